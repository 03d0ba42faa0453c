"""What trainers, speakers, painters and forecasters of other programs save: situations as people's
shelves have them, each built small.

The names of tensors, inputs and settings are those that the programs write.
"""

from __future__ import annotations

from pathlib import Path

from tests.engine.situations_of_tensors import ABSENT, Shapes, Situation
from tests.support import builders


def _changes(at: Path, modules: list[str], parts: dict[str, tuple[int, ...]]) -> None:
    shapes: Shapes = [
        (f"{m}{part}", "F16", shape) for m in modules for part, shape in parts.items()
    ]
    builders.safetensors(at / "change.safetensors", shapes)


def lora_of_flux_processors(at: Path) -> None:
    modules = [f"double_blocks.{i}.processor.{p}_lora1" for i in range(4) for p in ("proj", "qkv")]
    _changes(at, modules, {".down.weight": (16, 64), ".up.weight": (64, 16)})


def glora(at: Path) -> None:
    modules = [f"lora_unet_input_blocks_{i}_1_attn1_to_q" for i in range(5)]
    parts = {".a1.weight": (4, 64), ".a2.weight": (64, 4), ".b1.weight": (4, 64), ".alpha": ()}
    _changes(at, modules, parts)


def ia3_of_kohya(at: Path) -> None:
    modules = [f"lora_unet_down_blocks_{i}_attn1_to_k" for i in range(5)]
    _changes(at, modules, {".weight": (64, 1), ".on_input": ()})


def lora_by_numbers(at: Path) -> None:
    modules = [f"unet:{i}" for i in range(6)] + [f"text_encoder:{i}" for i in range(3)]
    _changes(at, modules, {":down": (4, 320), ":up": (320, 4)})


def lora_of_stages(at: Path) -> None:
    modules = [f"diffusion_model.blocks.{i}.self_attn.{p}" for i in range(4) for p in "qkvo"]
    _changes(at, modules, {".lora_A.weight": (16, 64), ".lora_B.weight": (64, 16)})


def guide_of_tencent(at: Path) -> None:
    shapes: Shapes = [("conv_in.weight", "F32", (320, 64, 3, 3))]
    shapes += [(f"body.{i}.block1.weight", "F32", (320, 320, 3, 3)) for i in range(8)]
    builders.safetensors(at / "edges_sd15.safetensors", shapes)


def moving_blocks(at: Path) -> None:
    name = "down_blocks.{}.motion_modules.0.temporal_transformer.proj_in.weight"
    builders.torch_zip(at / "mm_15.ckpt", [(name.format(i), "F32", (32, 32)) for i in range(4)])


def learned_word(at: Path) -> None:
    builders.torch_zip(at / "toy/learned_embeds.bin", [("<some-toy>", "F32", (768,))])


def still_of_film_blocks(at: Path) -> None:
    base = "model.diffusion_model."
    shapes: Shapes = [
        (f"{base}blocks.{i}.self_attn.{p}_proj.weight", "BF16", (64, 64))
        for i in range(4)
        for p in "qkv"
    ]
    shapes += [(f"{base}llm_adapter.blocks.0.cross_attn.q_proj.weight", "BF16", (64, 64))]
    builders.safetensors(at / "thing-preview.safetensors", shapes)


def painter_of_classes(at: Path) -> None:
    shapes: Shapes = [
        ("x_embedder.proj.weight", "F32", (64, 4, 2, 2)),
        ("y_embedder.y_embedding", "F32", (300, 128)),
        ("blocks.0.cross_attn.q_linear.weight", "F32", (64, 64)),
    ]
    builders.torch_zip(at / "sigma-512.pth", shapes, wrapper="state_dict")


def painter_of_two_streams(at: Path) -> None:
    shapes: Shapes = [("model.cond_seq_linear.weight", "F16", (64, 32))]
    shapes += [(f"model.double_layers.{i}.attn.w1q.weight", "F16", (64, 64)) for i in range(4)]
    builders.safetensors(at / "aura_thing.safetensors", shapes)


def painter_packed_for_speed(at: Path) -> None:
    shapes: Shapes = []
    for i in range(3):
        base = f"transformer_blocks.{i}.qkv_proj"
        shapes += [
            (f"{base}.qweight", "I8", (192, 32)), (f"{base}.wscales", "BF16", (1, 192)),
            (f"{base}.lora_down", "BF16", (64, 32)), (f"{base}.lora_up", "BF16", (192, 32)),
        ]  # fmt: skip
    builders.safetensors(at / "svdq-int4_r32-thing.safetensors", shapes)


def small_picture_decoder(at: Path) -> None:
    shapes: Shapes = [("1.weight", "F32", (64, 4, 3, 3))]
    shapes += [(f"{i}.conv.0.weight", "F32", (64, 64, 3, 3)) for i in (3, 4, 5)]
    builders.safetensors(
        at / "taesd_like.safetensors", [*shapes, ("19.weight", "F32", (3, 64, 3, 3))]
    )


def overlaid_pixels(at: Path) -> None:
    shapes: Shapes = [
        ("backbone.stem.conv.weight", "F32", (32, 12, 3, 3)),
        ("backbone.dark2.conv.weight", "F32", (64, 32, 3, 3)),
    ]
    builders.torch_zip(at / "x_s.pth", shapes, wrapper="model")


def writes_what_it_hears(at: Path) -> None:
    shapes: Shapes = [
        ("encoder.conv1.weight", "F16", (64, 128, 3)),
        ("decoder.token_embedding.weight", "F16", (100, 64)),
        ("encoder.blocks.0.attn.query.weight", "F16", (64, 64)),
    ]
    builders.torch_zip(at / "large-thing.pt", shapes, wrapper="model_state_dict")


def speaks_by_flowing(at: Path) -> None:
    base = "ema_model.transformer."
    shapes: Shapes = [("ema_model.mel_spec.mel_stft.spectrogram.window", "F32", (1024,))]
    shapes += [
        (f"{base}transformer_blocks.{i}.attn.to_q.weight", "F32", (64, 64)) for i in range(4)
    ]
    builders.safetensors(at / "flow_1250000.safetensors", shapes)


def speaker_with_a_vocoder(at: Path) -> None:
    settings = {"istftnet": {"upsample_rates": [10, 6]}, "n_mels": 80, "n_token": 178, "vocab": {}}
    builders.write_json(at / "Speaker-82M/config.json", settings)
    words: Shapes = [("module.embeddings.word_embeddings.weight", "F32", (178, 128))]
    builders.torch_zip(at / "Speaker-82M/speaker-v1_0.pth", words, wrapper="bert")


def speaking_graph(at: Path) -> None:
    ports = [
        ("input", "I64", ("b", "phonemes")), ("input_lengths", "I64", ("b",)),
        ("scales", "F32", (3,)),
    ]  # fmt: skip
    weights: Shapes = [("enc_p.emb.weight", "F32", (256, 64))]
    builders.onnx(at / "en_US-thing-medium.onnx", weights, ports, [("output", "F32", ("b", 1, 1))])


def speaker_of_tokens(at: Path) -> None:
    ports = [("tokens", "I64", (1, "n")), ("style", "F32", (1, 256)), ("speed", "F32", (1,))]
    builders.onnx(at / "kok.onnx", [("w", "F32", (8, 8))], ports, [("audio", "F32", ("n",))])


def hears_by_its_task(at: Path) -> None:
    builders.torch_zip(at / "SenseSmall/model.pt", [("ctc.ctc_lo.weight", "F32", (100, 64))])
    told = {"framework": "pytorch", "task": "auto-speech-recognition"}
    builders.write_json(at / "SenseSmall/configuration.json", told)


def vocoder_gguf(at: Path) -> None:
    keys = {"general.architecture": "wavtokenizer-dec", "general.name": "WavThing Large 75"}
    shapes: Shapes = [
        ("token_embd.weight", "F16", (4096, 64)),
        ("conv1d.weight", "F16", (64, 64, 7)),
    ]
    builders.gguf(at / "WavThing-F16.gguf", keys, shapes)


def unheard_of_language_model(at: Path) -> None:
    keys = {"general.architecture": "brandnew", "general.name": "Brand New 7B"}
    shapes: Shapes = [
        ("token_embd.weight", "F16", (100, 64)),
        ("blk.0.attn_q.weight", "F16", (64, 64)),
    ]
    builders.gguf(at / "Brand-New-7B-F16.gguf", keys, shapes)


def forecaster_on_t5(at: Path) -> None:
    more = {"architectures": ["T5ForConditionalGeneration"], "model_type": "t5",
            "chronos_config": {"context_length": 512}}  # fmt: skip
    builders.write_json(
        at / "forecasts-tiny/config.json", {**more, "d_model": 64, "vocab_size": 100}
    )
    shapes: Shapes = [("shared.weight", "F32", (100, 64))]
    builders.safetensors(at / "forecasts-tiny/model.safetensors", shapes)


def forecaster_by_class(at: Path) -> None:
    more = {"architectures": ["TinyTimeMixerForPrediction"], "model_type": "tinytimemixer"}
    builders.write_json(
        at / "ttm-thing/config.json", {**more, "d_model": 64, "context_length": 512}
    )
    builders.safetensors(at / "ttm-thing/model.safetensors", [("backbone.w", "F32", (64, 64))])


def reads_proteins(at: Path) -> None:
    more = {"architectures": ["EsmForMaskedLM"], "model_type": "esm"}
    builders.write_json(at / "e2_t6/config.json", {**more, "hidden_size": 64, "vocab_size": 33})
    shapes: Shapes = [("esm.embeddings.word_embeddings.weight", "F32", (33, 64))]
    builders.safetensors(at / "e2_t6/model.safetensors", shapes)


def embeds_by_its_class(at: Path) -> None:
    more = {"architectures": ["ColThing2ForRetrieval"], "model_type": "colqwen2"}
    builders.write_json(at / "col-v1/config.json", {**more, "embedding_dim": 128})
    shapes: Shapes = [("vlm.model.embed_tokens.weight", "BF16", (100, 64))]
    builders.safetensors(at / "col-v1/model.safetensors", shapes)


def embeds_by_its_name(at: Path) -> None:
    more = {"architectures": ["BertModel"], "model_type": "bert"}
    builders.transformers(at / "mx-embed-large-v1", family="bert", chat=True, extra_config=more)


def pipeline_of_sound(at: Path) -> None:
    parts = {"unet": ["diffusers", "UNet1DModel"]}
    builders.write_json(
        at / "honk/model_index.json", {"_class_name": "DanceDiffusionPipeline", **parts}
    )
    builders.torch_zip(at / "honk/unet/diffusion_pytorch_model.bin", [("w", "F32", (8, 2, 5))])


def pipeline_from_pictures(at: Path) -> None:
    parts = {"unet": ["diffusers", "UNet2DConditionModel"]}
    builders.write_json(
        at / "deep/model_index.json", {"_class_name": "MarigoldDepthPipeline", **parts}
    )
    shapes: Shapes = [("conv_in.weight", "F16", (8, 8, 3, 3))]
    builders.safetensors(at / "deep/unet/diffusion_pytorch_model.safetensors", shapes)


def named_by_its_training(at: Path) -> None:
    place = at / "segmenter/lightning_logs/version_0/checkpoints/epoch=9-step=1000.ckpt"
    builders.torch_zip(place, [("net.conv.weight", "F32", (16, 3, 3, 3))], wrapper="state_dict")


CHANGE = {"type": "PEFT", "parameter_count": ABSENT, "primary": "VISION"}
PAINTS = {"type": "DIFFUSERS", "output_modalities": ["IMAGE"], "secondary": "CREATIVE"}
SPEAKS = {"output_modalities": ["AUDIO"], "primary": "AUDIO"}
FORECASTS = {"modalities": (ABSENT, []), "capabilities": (ABSENT, [])}

SITUATIONS: list[Situation] = [
    (lora_of_flux_processors, CHANGE),
    (glora, CHANGE),
    (ia3_of_kohya, CHANGE),
    (lora_by_numbers, CHANGE),
    (lora_of_stages, {**CHANGE, "output_modalities": ["VIDEO"]}),
    (guide_of_tencent, {"primary": "VISION", "secondary": "CREATIVE"}),
    (moving_blocks, {"output_modalities": ["VIDEO"]}),
    (learned_word, {"type": "PYTORCH", "primary": "VISION", "secondary": "CREATIVE"}),
    (still_of_film_blocks, PAINTS),
    (painter_of_classes, PAINTS),
    (painter_of_two_streams, PAINTS),
    (painter_packed_for_speed, {**PAINTS, "quantization": "svdquant"}),
    (small_picture_decoder, {"output_modalities": ["IMAGE"], "secondary": "CREATIVE"}),
    (overlaid_pixels, {"modalities": ["IMAGE"], "secondary": "ANALYSIS"}),
    (writes_what_it_hears, {"primary": "AUDIO", "capabilities": ["TRANSCRIPTION"]}),
    (speaks_by_flowing, SPEAKS),
    (speaker_with_a_vocoder, {**SPEAKS, "capabilities": ["SPEECH"]}),
    (speaking_graph, {**SPEAKS, "capabilities": ["SPEECH"]}),
    (speaker_of_tokens, {**SPEAKS, "capabilities": ["SPEECH"]}),
    (hears_by_its_task, {"primary": "AUDIO", "capabilities": ["TRANSCRIPTION"]}),
    (vocoder_gguf, SPEAKS),
    (
        unheard_of_language_model,
        {"modalities": ["TEXT"], "capabilities": ["GENERATION"], "primary": "LANGUAGE"},
    ),
    (forecaster_on_t5, FORECASTS),
    (forecaster_by_class, FORECASTS),
    (reads_proteins, {"specialization": "SCIENTIFIC"}),
    (embeds_by_its_class, {"capabilities": ["EMBEDDING"], "modalities": ["TEXT", "IMAGE"]}),
    (embeds_by_its_name, {"capabilities": ["EMBEDDING"], "secondary": "ANALYSIS"}),
    (pipeline_of_sound, {**SPEAKS, "type": "DIFFUSERS"}),
    (pipeline_from_pictures, {"input_modalities": ["IMAGE"], "output_modalities": ["IMAGE"]}),
    (named_by_its_training, {"name": "segmenter"}),
]
