"""What models take and give, told by halves, inputs, ranks and settings that do not lie where
Transformers keeps them: situations as people's shelves have them, each built small.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tests.engine.situations_of_tensors import ABSENT, Shapes, Situation
from tests.support import builders

WORDS: Shapes = [("model.embed_tokens.weight", "BF16", (100, 64))]


def folder(at: Path, name: str, config: dict[str, Any], shapes: Shapes = WORDS) -> None:
    builders.write_json(at / name / "config.json", config)
    builders.safetensors(at / name / "model.safetensors", shapes)


def graph_of_a_config_nobody_knows(at: Path) -> None:
    ports = [("waveforms", "F32", ("b", "n")), ("waveforms_lens", "I64", ("b",))]
    builders.onnx(at / "m/model.onnx", [("w", "F32", (8, 8))], ports, [("o", "F32", (1,))])
    builders.write_json(at / "m/config.json", {"model_type": "heard-of-by-nobody"})


def guesses_ahead(at: Path) -> None:
    told = {"architectures": ["LlamaForCausalLMEagle3"], "model_type": "llama", "hidden_size": 64,
            "num_hidden_layers": 1, "vocab_size": 256, "draft_vocab_size": 128}  # fmt: skip
    folder(at, "Thing-EAGLE3", told, [("midlayer.self_attn.q_proj.weight", "BF16", (64, 128))])


def guesses_ahead_for_another(at: Path) -> None:
    verifier = {"architectures": ["LlamaForCausalLM"], "name_or_path": "acme/Thing-8B"}
    told = {"architectures": ["Eagle3Speculator"], "speculators_config": {"verifier": verifier}}
    folder(at, "eagle3-thing", told, [("fc.weight", "BF16", (64, 192))])


def speaks_with_a_talker(at: Path) -> None:
    told = {"architectures": ["ThingTTSModel9"], "model_type": "thing_9", "talker_config": {}}
    folder(at, "speaker-1b", {**told, "talker_config": {"hidden_size": 64}})
    tokens = {"architectures": ["ThingTokenizer"], "model_type": "thing_tokenizer"}
    folder(at / "speaker-1b", "speech_tokenizer", tokens, [("decoder.w", "F32", (64, 64))])


def sees_hears_and_speaks(at: Path) -> None:
    told = {
        "architectures": ["ThingO"], "model_type": "thingo", "vocab_size": 100, "hidden_size": 64,
        "vision_config": {"model_type": "siglip"}, "audio_config": {"encoder_layers": 2},
        "tts_config": {"num_audio_tokens": 626},
    }  # fmt: skip
    folder(at, "Thing-o", told)


def hears_under_another_key(at: Path) -> None:
    told = {"architectures": ["ThingForCausalLM"], "model_type": "thing_audio_2", "vocab_size": 9}
    folder(at, "Thing-2", {**told, "audio_encoder_config": {"n_mels": 128}})


def sound_from_words(at: Path) -> None:
    settings = {"model_type": "diffusion_cond", "sample_rate": 44100, "audio_channels": 2}
    builders.write_json(at / "open-thing/model_config.json", settings)
    shapes: Shapes = [("model.model.transformer.layers.0.self_attn.to_qkv.weight", "F32", (9, 3))]
    builders.safetensors(at / "open-thing/model.safetensors", shapes)


def forecaster_by_its_pieces(at: Path) -> None:
    told = {"model_name": "THING", "seq_len": 512, "patch_len": 8, "hidden_size": 64}
    shapes: Shapes = [("encoder.block.0.layer.0.SelfAttention.q.weight", "F32", (64, 64))]
    folder(at, "THING-1-large", {**told, "vocab_size": 32}, shapes)


def eyes_and_ears_in_one_projector(at: Path) -> None:
    keys = {"general.architecture": "qwen2vl", "general.name": "Thing Omni 3B"}
    shapes: Shapes = [("token_embd.weight", "F16", (100, 64))]
    keys |= {"qwen2vl.embedding_length": 64, "qwen2vl.block_count": 1}  # type: ignore[dict-item]
    builders.gguf(at / "m/Thing-Omni-3B-F16.gguf", keys, shapes)
    both = {
        "general.architecture": "clip", "general.type": "mmproj", "clip.has_vision_encoder": True,
        "clip.has_audio_encoder": True, "clip.vision.projection_dim": 64,
    }  # fmt: skip
    builders.gguf(at / "m/mmproj-Thing-Omni-3B.gguf", both, [("mm.0.weight", "F16", (64, 64))])


def cuts_out_roads(at: Path) -> None:
    shapes: Shapes = [
        ("encoder.conv1.weight", "F32", (64, 3, 7, 7)),
        ("decoder.blocks.0.conv1.0.weight", "F32", (64, 96, 3, 3)),
        ("segmentation_head.0.weight", "F32", (1, 16, 3, 3)),
    ]
    builders.torch_zip(at / "roads.pth", shapes, wrapper="state_dict")


def finds_the_pitch(at: Path) -> None:
    shapes: Shapes = [
        ("unet.encoder.layers.0.conv.0.conv.0.weight", "F32", (16, 1, 3, 3)),
        ("fc.0.gru.weight_ih_l0", "F32", (768, 384)),
    ]
    builders.torch_zip(at / "pitch.pt", shapes)


def takes_songs_apart(at: Path) -> None:
    shapes: Shapes = [
        ("band_split.to_features.0.1.weight", "F32", (64, 8)),
        ("layers.0.0.layers.0.0.to_qkv.weight", "F32", (96, 32)),
    ]
    builders.torch_zip(at / "apart_317.ckpt", shapes)


def song_parts_of_old(at: Path) -> None:
    shapes: Shapes = [("tencoder.0.conv.weight", "F32", (48, 2, 8))]
    builders.torch_zip(at / "955717e8-8726e21a.th", shapes, wrapper="state")


def best_of_a_training(at: Path) -> None:
    shapes: Shapes = [("module.conv1.conv.weight", "F32", (64, 3, 7, 7))]
    builders.torch_zip(at / "osn_x1/model_best.pth.tar", shapes, wrapper="state_dict")


def last_of_a_fold(at: Path) -> None:
    shapes: Shapes = [("encoder.stages.0.0.convs.0.conv.weight", "F32", (32, 1, 3, 3, 3))]
    builders.torch_zip(at / "brains/fold_0/checkpoint_final.pth", shapes, wrapper="network_weights")


def checkpoint_of_old(at: Path) -> None:
    ports = [("x", "F32", (1, 3))], [("y", "F32", (1, 2))]
    builders.savedmodel(at / "x", [("bert/embeddings", "F32", (100, 8))], *ports)
    home = at / "uncased_L-2"
    home.mkdir()
    for file in (at / "x/variables").iterdir():
        file.rename(home / file.name.replace("variables.", "bert_model.ckpt."))
    shutil.rmtree(at / "x")


def type_of_a_fork(at: Path) -> None:
    keys = {"general.architecture": "bitnet", "general.file_type": 40}
    shapes: Shapes = [("token_embd.weight", "F16", (100, 64)), ("blk.0.w.weight", "Q8_0", (64, 64))]
    path = at / "thing-i2_s.gguf"
    builders.gguf(path, keys, shapes)
    data = path.read_bytes()
    at_type = data.index(b"blk.0.w.weight") + len(b"blk.0.w.weight") + 4 + 16
    path.write_bytes(data[:at_type] + (36).to_bytes(4, "little") + data[at_type + 4 :])


def encoder_of_a_painter(at: Path) -> None:
    keys = {"general.architecture": "t5encoder", "general.name": "Umx Xxl"}
    shapes: Shapes = [("token_embd.weight", "F16", (100, 64)), ("enc.blk.0.w", "F16", (64, 64))]
    builders.gguf(at / "umx-xxl-encoder-F16.gguf", keys, shapes)


def finds_what_words_ask_for(at: Path) -> None:
    shapes: Shapes = [
        ("module.backbone.0.patch_embed.proj.weight", "F32", (96, 3, 4, 4)),
        ("module.bert.embeddings.word_embeddings.weight", "F32", (100, 64)),
    ]
    builders.torch_zip(at / "finder_swint.pth", shapes, wrapper="model")


def layers_before_the_labels(at: Path) -> None:
    told = {"architecture": "vit_small", "num_classes": 0, "pretrained_cfg": {"num_classes": 0}}
    folder(at, "vit_small", told, [("patch_embed.proj.weight", "F32", (64, 3, 16, 16))])


def hears_in_four_graphs(at: Path) -> None:
    for name in ("preprocess", "encode", "uncached_decode", "cached_decode"):
        port = "audio" if name == "preprocess" else "args_0"
        ports = [(port, "F32", ("b", "n"))]
        out = [("o", "F32", (1,))]
        builders.onnx(at / f"shine-tiny/{name}.int8.onnx", [("w", "F32", (8, 8))], ports, out)


def flows_into_speech(at: Path) -> None:
    base = "decoder.estimator.down_blocks.0.1.0.attn1"
    shapes: Shapes = [(f"{base}.to_{part}.weight", "F32", (64, 64)) for part in "qkv"]
    builders.torch_zip(at / "flow.pt", shapes)


def borrows_its_attention(at: Path) -> None:
    shapes: Shapes = [
        (f"layers.{i}.0.to_{p}.weight", "F32", (64, 64)) for i in (0, 1) for p in "qkv"
    ]
    builders.torch_zip(at / "anything.pt", shapes)


SITUATIONS: list[Situation] = [
    (flows_into_speech, {"primary": "AUDIO", "type": "PYTORCH"}),
    (borrows_its_attention, {"type": "PYTORCH"}),
    (encoder_of_a_painter, {"primary": "LANGUAGE", "modalities": ["TEXT"]}),
    (finds_what_words_ask_for, {"modalities": ["TEXT", "IMAGE"], "primary": "MULTIMODAL"}),
    (layers_before_the_labels, {"capabilities": ["EMBEDDING"], "modalities": ["IMAGE"]}),
    (hears_in_four_graphs, {"primary": "AUDIO", "parameter_count": 4 * 64, "variants": 1}),
    (graph_of_a_config_nobody_knows, {"modalities": ["AUDIO"]}),
    (guesses_ahead, {"capabilities": (ABSENT, [])}),
    (guesses_ahead_for_another, {"capabilities": (ABSENT, []), "base_model": "acme/Thing-8B"}),
    (speaks_with_a_talker, {"output_modalities": ["AUDIO"], "capabilities": ["SPEECH"]}),
    (
        sees_hears_and_speaks,
        {
            "modalities": ["TEXT", "IMAGE", "AUDIO"],
            "output_modalities": ["TEXT", "AUDIO"],
            "primary": "MULTIMODAL",
        },
    ),
    (hears_under_another_key, {"modalities": ["TEXT", "AUDIO"], "primary": "MULTIMODAL"}),
    (sound_from_words, {"output_modalities": ["AUDIO"], "primary": "AUDIO"}),
    (forecaster_by_its_pieces, {"modalities": (ABSENT, []), "capabilities": (ABSENT, [])}),
    (eyes_and_ears_in_one_projector, {"modalities": ["TEXT", "IMAGE", "AUDIO"]}),
    (cuts_out_roads, {"modalities": ["IMAGE"], "primary": "VISION"}),
    (finds_the_pitch, {"modalities": (ABSENT, [])}),
    (takes_songs_apart, {"primary": "AUDIO"}),
    (song_parts_of_old, {"primary": "AUDIO", "type": "PYTORCH"}),
    (best_of_a_training, {"name": "osn_x1", "modalities": ["IMAGE"]}),
    (last_of_a_fold, {"name": "brains"}),
    (checkpoint_of_old, {"name": "uncased_L-2", "type": "TENSORFLOW", "parameter_count": 800}),
    (type_of_a_fork, {"quantization": "I2_S"}),
]
