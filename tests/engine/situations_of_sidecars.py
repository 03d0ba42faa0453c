"""What a model is by its headers and sidecars: situations as people's shelves have them, each built
small.
"""

from __future__ import annotations

import json
from pathlib import Path

from tests.engine.situations_of_tensors import ABSENT, Shapes, Situation
from tests.support import builders


def ranking_gguf(at: Path) -> None:
    keys = {
        "general.architecture": "qwen3",
        "general.name": "Sorter 0.6B",
        "qwen3.pooling_type": 4,
        "qwen3.block_count": 1,
        "tokenizer.chat_template": "{{ messages }}",
    }
    builders.gguf(at / "sorter-0.6b-f16.gguf", keys, decoder_tensors())


def decoder_tensors(layers: int = 1) -> Shapes:
    return [
        ("token_embd.weight", "F16", (100, 64)),
        *((f"blk.{i}.attn_q.weight", "F16", (64, 64)) for i in range(layers)),
        ("output_norm.weight", "F32", (64,)),
    ]


def film_gguf(at: Path) -> None:
    shapes: Shapes = [("patch_embedding.weight", "F16", (64, 16, 1, 2))]
    shapes += [(f"blocks.{i}.self_attn.q.weight", "Q8_0", (64, 64)) for i in range(4)]
    builders.gguf(at / "some-film-t2v-Q8_0.gguf", {"general.architecture": "wan"}, shapes)


def control_vector(at: Path) -> None:
    keys = {"general.architecture": "controlvector", "controlvector.model_hint": "llama"}
    shapes: Shapes = [(f"direction.{i}", "F32", (64,)) for i in range(1, 5)]
    builders.gguf(at / "happy.gguf", keys, shapes)


def mlx_of_two_widths(at: Path) -> None:
    shapes: Shapes = [("model.embed_tokens.weight", "BF16", (100, 128))]
    for name, bits in (("model.layers.0.mlp.down_proj", 8), ("model.layers.0.mlp.up_proj", 4)):
        shapes += [
            (f"{name}.weight", "U32", (128, 128 * bits // 32)),
            (f"{name}.scales", "BF16", (128, 128 // (32 if bits == 8 else 64))),
            (f"{name}.biases", "BF16", (128, 128 // (32 if bits == 8 else 64))),
        ]
    quantization = {
        "group_size": 64,
        "bits": 4,
        "model.layers.0.mlp.down_proj": {"group_size": 32, "bits": 8},
    }
    builders.transformers(at / "m", tensors=shapes, extra_config={"quantization": quantization})


def experts_as_openai_ships_them(at: Path) -> None:
    shapes: Shapes = [("embedding.weight", "BF16", (100, 64))]
    for name, out in (("mlp1", 128), ("mlp2", 64)):
        shapes += [
            (f"block.0.mlp.{name}_weight.blocks", "U8", (4, out, 2, 16)),
            (f"block.0.mlp.{name}_weight.scales", "U8", (4, out, 2)),
        ]
    builders.transformers(at / "m", tensors=shapes)


def awq_of_its_authors(at: Path) -> None:
    builders.awq(at / "m")
    config = json.loads((at / "m/config.json").read_text())
    del config["quantization_config"]
    builders.write_json(at / "m/config.json", config)
    stated = {"zero_point": True, "q_group_size": 128, "w_bit": 4, "version": "GEMM"}
    builders.write_json(at / "m/quant_config.json", stated)


def timm_folder(at: Path) -> None:
    config = {
        "architecture": "convnext_tiny",
        "num_classes": 1000,
        "num_features": 768,
        "pretrained_cfg": {"input_size": [3, 224, 224], "mean": [0.5], "tag": "in1k"},
    }
    builders.write_json(at / "m/config.json", config)
    shapes: Shapes = [("stem.0.weight", "F32", (96, 3, 4, 4)), ("head.fc.weight", "F32", (10, 96))]
    builders.safetensors(at / "m/model.safetensors", shapes)


def pixtral_of_its_authors(at: Path) -> None:
    params = {
        "dim": 64, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "head_dim": 16, "vocab_size": 100,
        "hidden_dim": 128, "max_seq_len": 8192,
        "vision_encoder": {"hidden_size": 32, "image_size": 1024, "patch_size": 16},
    }  # fmt: skip
    builders.write_json(at / "m/params.json", params)
    shapes: Shapes = [("tok_embeddings.weight", "BF16", (100, 64))]
    shapes += [("vision_encoder.patch_conv.weight", "BF16", (32, 3, 16, 16))]
    builders.safetensors(at / "m/consolidated.safetensors", shapes)


def sorter_of_pairs(at: Path) -> None:
    more = {
        "architectures": ["BertForSequenceClassification"],
        "id2label": {"0": "LABEL_0"},
        "sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"},
    }
    builders.transformers(at / "ms-pairs-L6", family="bert", extra_config=more, card=False)


def judge_of_answers(at: Path) -> None:
    more = {"architectures": ["LlamaForSequenceClassification"], "num_labels": 1}
    builders.transformers(at / "Sky-Reward-8B", chat=True, extra_config=more, card=False)


def base_with_a_template(at: Path) -> None:
    builders.transformers(at / "Thing3-8B-Base", chat=True, card=False)


def coder_that_chats(at: Path) -> None:
    card = builders.DemoCard(
        "Thing-Coder-7B-Instruct", "A helpful assistant.", tags=("chat", "conversational"),
        pipeline_tag="text-generation",
    )  # fmt: skip
    builders.transformers(at / "Thing-Coder-7B-Instruct", chat=True, card=card)


def card_of_another_editor(at: Path) -> None:
    builders.transformers(at / "m", card=False)
    card = "---\r\nlanguage: en, de, fr\r\nbase_model:\r\n  - id: acme/base\r\n---\r\n# M\r\n"
    (at / "m/Readme.MD").write_bytes(card.encode("utf-16"))
    text = "Attribution-NonCommercial 4.0 International\n\n====\n\nCreative Commons Corporation"
    builders.write_text(at / "m/LICENSE.txt", text)


def embedder_in_gguf(at: Path) -> None:
    keys = {
        "general.architecture": "qwen3", "general.name": "Thing Embedding 0.6B",
        "qwen3.pooling_type": 3, "tokenizer.chat_template": "{{ messages }}",
    }  # fmt: skip
    builders.gguf(at / "Thing-Embedding-0.6B-f16.gguf", keys, decoder_tensors())


def thinker_in_gguf(at: Path) -> None:
    keys = {
        "general.architecture": "qwen2", "general.name": "DeepThing R1 Distill 7B",
        "tokenizer.chat_template": "{{ messages }}",
    }  # fmt: skip
    builders.gguf(at / "DeepThing-R1-Distill-7B-Q4_K_M.gguf", keys, decoder_tensors())


def projector_alone(at: Path) -> None:
    builders.mmproj(at / "mmproj-model-f16.gguf", 2048)


def speech_in_onnx(at: Path) -> None:
    ids, sound = ("input_ids", "I64", ("b", "s")), ("input_features", "F32", ("b", 80, 3000))
    out = ("logits", "F32", (1, 1))
    parts = {"encoder_model": 100, "decoder_model": 60, "decoder_with_past_model": 50,
             "decoder_model_merged": 61}  # fmt: skip
    for name, rows in parts.items():
        inputs = [sound if name.startswith("enc") else ids]
        builders.onnx(at / f"m/onnx/{name}.onnx", [("w", "F32", (rows, 10))], inputs, [out])
    builders.write_json(
        at / "m/config.json",
        {"model_type": "whisper", "architectures": ["WhisperForConditionalGeneration"],
         "d_model": 8, "vocab_size": 100},
    )  # fmt: skip


def eight_bits_here_and_four_there(at: Path) -> None:
    shapes: Shapes = [("model.embed_tokens.weight", "BF16", (100, 128))]
    shapes += [
        ("model.layers.0.self_attn.q_proj.weight", "F8_E4M3", (128, 128)),
        ("model.layers.0.self_attn.q_proj.weight_scale", "BF16", (128, 1)),
        ("model.layers.0.mlp.up_proj.weight_packed", "I32", (128, 16)),
        ("model.layers.0.mlp.up_proj.weight_scale", "BF16", (128, 1)),
        ("model.layers.0.mlp.up_proj.weight_shape", "I64", (2,)),
    ]
    groups = {
        "a": {"weights": {"num_bits": 8, "type": "float", "strategy": "channel"}},
        "b": {"weights": {"num_bits": 4, "type": "int", "strategy": "channel"}},
    }
    stated = {"quant_method": "compressed-tensors", "config_groups": groups}
    builders.transformers(at / "m", tensors=shapes, extra_config={"quantization_config": stated})


def judge_of_steps(at: Path) -> None:
    more = {"architectures": ["Qwen2ForProcessRewardModel"], "model_type": "qwen2"}
    builders.transformers(at / "Math-Thing-7B", chat=True, extra_config=more, card=False)


def embedder_of_its_own_class(at: Path) -> None:
    more = {"architectures": ["XLMRobertaLoRA"], "model_type": "xlm-roberta"}
    builders.transformers(at / "thing-embeddings-v3", family="bert", extra_config=more, card=False)


def embedder_that_cuts_early(at: Path) -> None:
    builders.sentence_transformers(at / "m")
    config = {"max_seq_length": 128, "do_lower_case": False}
    builders.write_json(at / "m/sentence_bert_config.json", config)


def license_of_another_kind(at: Path) -> None:
    builders.transformers(
        at / "m", card=builders.DemoCard("M", "Some words here.", license="other")
    )
    builders.write_text(at / "m/LICENSE", "LLAMA 3.2 COMMUNITY LICENSE AGREEMENT\nLlama 3.2 ...")


def as_meta_ships_it(at: Path) -> None:
    params = {
        "dim": 64, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "vocab_size": 128,
        "multiple_of": 256, "ffn_dim_multiplier": 1.3, "norm_eps": 1e-5, "rope_theta": 5e5,
    }  # fmt: skip
    builders.write_json(at / "Thing-3-8B/params.json", params)
    shapes: Shapes = [("tok_embeddings.weight", "BF16", (128, 64))]
    shapes += [(f"layers.{i}.attention.wq.weight", "BF16", (64, 64)) for i in range(2)]
    builders.torch_zip(at / "Thing-3-8B/consolidated.00.pth", shapes)


def painter_without_architecture(at: Path) -> None:
    shapes: Shapes = [
        ("model.diffusion_model.input_blocks.0.0.weight", "F16", (64, 4, 3, 3)),
        ("model.diffusion_model.middle_block.1.proj_in.weight", "Q8_0", (64, 64)),
        ("first_stage_model.decoder.conv_in.weight", "F16", (64, 4, 3, 3)),
    ]
    builders.gguf(at / "sdxl-thing-q8_0.gguf", {"general.file_type": 7}, shapes)


def levels_of_optimum(at: Path) -> None:
    ports = [("input_ids", "I64", ("b", "s"))]
    builders.transformers(at / "m", family="bert", card=False)
    for name in ("model", "model_O2", "model_O4", "model_qint8_avx512_vnni", "model_quint8_avx2"):
        builders.onnx(
            at / f"m/onnx/{name}.onnx", [("w", "F32", (10, 10))], ports, [("o", "F32", (1,))]
        )
    for each in (at / "m").glob("*.safetensors"):
        each.unlink()


def card_in_other_words(at: Path) -> None:
    builders.transformers(at / "m", card=False)
    card = (
        "---\nlicense: [other]\nlicense_name: house\nlanguage: [en, 'de,fr']\n"
        "base_model:\n  name: Base 1B\n  organization: acme\n---\n# M\n"
    )
    (at / "m/README.md").write_bytes(b"\xfe\xff" + card.encode("utf-16-be"))


def untaught_and_seeing(at: Path) -> None:
    builders.transformers(at / "thing-3-4b-pt", family="llava", card=False)


def pair_scorer_of_a_language_model(at: Path) -> None:
    card = builders.DemoCard(
        "Thing3-Reranker-4B", "Sorts passages by how well they answer.", tags=("transformers",),
        pipeline_tag="text-ranking",
    )  # fmt: skip
    builders.transformers(at / "Thing3-Reranker-4B", chat=True, card=card)


SITUATIONS: list[Situation] = [
    (ranking_gguf, {"capabilities": ["RERANKING"], "secondary": "ANALYSIS"}),
    (film_gguf, {"type": "DIFFUSERS", "modalities": ["TEXT", "VIDEO"], "primary": "VISION"}),
    (control_vector, {"type": "PEFT", "parameter_count": ABSENT, "capabilities": ABSENT}),
    (mlx_of_two_widths, {"parameter_count": 12_800 + 2 * 128 * 128, "type": "MLX"}),
    (
        experts_as_openai_ships_them,
        {"parameter_count": 6_400 + 4 * (128 + 64) * 64, "quantization": "mxfp4"},
    ),
    (awq_of_its_authors, {"quantization": "awq-4bit"}),
    (timm_folder, {"modalities": ["IMAGE"], "capabilities": ["CLASSIFICATION"]}),
    (
        pixtral_of_its_authors,
        {"modalities": ["TEXT", "IMAGE"], "layer_count": 2, "context_length": 8192},
    ),
    (sorter_of_pairs, {"capabilities": ["CLASSIFICATION", "RERANKING"], "secondary": "ANALYSIS"}),
    (judge_of_answers, {"capabilities": ["CLASSIFICATION"], "secondary": "ANALYSIS"}),
    (base_with_a_template, {"capabilities": ["GENERATION"], "secondary": ABSENT}),
    (coder_that_chats, {"secondary": "CODE"}),
    (
        card_of_another_editor,
        {
            "license": "cc-by-nc-4.0",
            "language_support": ["en", "de", "fr"],
            "base_model": "acme/base",
        },
    ),
    (embedder_in_gguf, {"capabilities": ["EMBEDDING"], "secondary": "ANALYSIS"}),
    (thinker_in_gguf, {"secondary": "REASONING"}),
    (projector_alone, {"capabilities": (ABSENT, ["VISION"])}),
    (speech_in_onnx, {"parameter_count": 1610, "modalities": ["TEXT", "AUDIO"]}),
    (
        eight_bits_here_and_four_there,
        {"parameter_count": 12_800 + 2 * 128 * 128, "quantization": "compressed-tensors-mixed"},
    ),
    (judge_of_steps, {"capabilities": ["CLASSIFICATION"], "secondary": "ANALYSIS"}),
    (embedder_of_its_own_class, {"capabilities": ["EMBEDDING"], "secondary": "ANALYSIS"}),
    (embedder_that_cuts_early, {"context_length": 128}),
    (license_of_another_kind, {"license": "llama3.2"}),
    (as_meta_ships_it, {"primary": "LANGUAGE", "layer_count": 2, "vocab_size": 128}),
    (painter_without_architecture, {"type": "DIFFUSERS", "capabilities": ["IMAGE_GENERATION"]}),
    (levels_of_optimum, {"variants": 5, "parameter_count": 100}),
    (
        card_in_other_words,
        {"license": "house", "language_support": ["en", "de", "fr"], "base_model": "acme/Base 1B"},
    ),
    (untaught_and_seeing, {"modalities": ["TEXT", "IMAGE"], "secondary": ABSENT}),
    (pair_scorer_of_a_language_model, {"capabilities": ["RERANKING"], "secondary": "ANALYSIS"}),
]
