"""What a model is by its tensors: situations as people's shelves have them, each built small.

The names of tensors are those that the programs write which save such files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.support import builders

Shapes = list[tuple[str, str, tuple[int, ...]]]
#: (builder, {field: what it must be, or a tuple of what it may be}).
Situation = tuple[Callable[[Path], None], Mapping[str, Any]]
ABSENT = object()


def attention(width: int, layers: int, prefix: str) -> Shapes:
    return [
        (f"{prefix}{i}.self_attn.{p}_proj.weight", "BF16", (width, width))
        for i in range(layers)
        for p in "qkvo"
    ]


def oft_of_kohya(at: Path) -> None:
    names = [f"lora_unet_down_blocks_{i}_attentions_0_proj_in" for i in range(8)]
    shapes: Shapes = [(f"{n}.oft_blocks", "F16", (4, 16, 16)) for n in names]
    shapes += [(f"{n}.alpha", "F16", ()) for n in names]
    builders.safetensors(at / "style.safetensors", shapes)


def lora_of_a_language_model_alone(at: Path) -> None:
    base = "base_model.model.model.layers."
    shapes: Shapes = [
        (f"{base}{i}.self_attn.{p}_proj.lora_{s}.weight", "F32", (8, 64) if s == "A" else (64, 8))
        for i in range(6)
        for p in "qv"
        for s in "AB"
    ]
    builders.safetensors(at / "adapter_model.safetensors", shapes)


def sdxl_embedding(at: Path) -> None:
    shapes: Shapes = [("clip_g", "F16", (8, 1280)), ("clip_l", "F16", (8, 768))]
    builders.safetensors(at / "embeddings/mood.safetensors", shapes)


def film_autoencoder(at: Path) -> None:
    shapes: Shapes = [("encoder.conv1.weight", "BF16", (96, 3, 3, 3, 3))]
    shapes += [
        (f"{half}.{way}.{i}.residual.2.weight", "BF16", (96, 96, 3, 3, 3))
        for half, way in (("encoder", "downsamples"), ("decoder", "upsamples"))
        for i in range(4)
    ]
    shapes += [("conv1.weight", "BF16", (32, 32, 1, 1, 1))]
    builders.safetensors(at / "vae/soft_film_vae.safetensors", shapes)


def old_esrgan(at: Path) -> None:
    shapes: Shapes = [("model.0.weight", "F32", (64, 3, 3, 3))]
    shapes += [
        (f"model.1.sub.{i}.RDB1.conv{c}.0.weight", "F32", (32, 64, 3, 3))
        for i in range(4)
        for c in (1, 2)
    ]
    shapes += [("model.10.weight", "F32", (3, 64, 3, 3))]
    builders.torch_zip(at / "4x-Sharp.pth", shapes)


def compact_upscaler(at: Path) -> None:
    shapes: Shapes = [("body.0.weight", "F32", (64, 3, 3, 3)), ("body.1.weight", "F32", (64,))]
    shapes += [(f"body.{i}.weight", "F32", (64, 64, 3, 3)) for i in range(2, 10, 2)]
    shapes += [("body.10.weight", "F32", (48, 64, 3, 3))]
    builders.torch_zip(at / "general-x4.pth", shapes, wrapper="params")


def painter_in_nvfp4(at: Path) -> None:
    shapes: Shapes = [("x_embedder.weight", "BF16", (128, 64))]
    for i in range(4):
        base = f"layers.{i}.attention.to_q"
        shapes += [
            (f"{base}.weight", "U8", (128, 64)),
            (f"{base}.weight_scale", "F8_E4M3", (128, 8)),
            (f"{base}.weight_scale_2", "F32", ()),
            (f"{base}.comfy_quant", "U8", (27,)),
        ]
    builders.safetensors(at / "diffusion_models/z_painter_nvfp4.safetensors", shapes)


def speaker_encoder(at: Path) -> None:
    shapes: Shapes = [("blocks.0.conv.conv.weight", "F32", (64, 80, 5))]
    shapes += [(f"blocks.{i}.tdnn1.conv.conv.weight", "F32", (64, 64, 1)) for i in range(1, 4)]
    shapes += [("fc.conv.weight", "F32", (192, 128, 1))]
    builders.torch_zip(at / "speakers.ckpt", shapes)


def sentences_by_convolution(at: Path) -> None:
    shapes: Shapes = [("embedding.weight", "F32", (1000, 300))]
    shapes += [(f"convs.{i}.weight", "F32", (100, 1, i + 3, 300)) for i in range(3)]
    shapes += [("fc.weight", "F32", (2, 300))]
    builders.torch_zip(at / "mood_of_sentences.pt", shapes)


def lora_with_the_adapters_name(at: Path) -> None:
    base = "transformer_blocks."
    shapes: Shapes = [
        (f"{base}{i}.attn.add_{p}_proj.lora_{s}.default.weight", "BF16", (16, 16))
        for i in range(8)
        for p in "kqv"
        for s in "AB"
    ]
    builders.safetensors(at / "lightning-4steps.safetensors", shapes)


def text_tower(at: Path) -> None:
    base = "text_model.encoder.layers."
    shapes: Shapes = [("text_model.embeddings.token_embedding.weight", "F16", (1000, 64))]
    shapes += attention(64, 2, base)
    builders.safetensors(at / "text_encoders/clip_small.safetensors", shapes)


def segments_anything(at: Path) -> None:
    shapes: Shapes = [
        ("image_encoder.pos_embed", "F32", (1, 64, 64, 32)),
        ("image_encoder.patch_embed.proj.weight", "F32", (32, 3, 16, 16)),
        ("prompt_encoder.point_embeddings.0.weight", "F32", (1, 32)),
        ("mask_decoder.iou_token.weight", "F32", (1, 32)),
    ]
    builders.torch_zip(at / "segments_b.pth", shapes)


def hears_waves(at: Path) -> None:
    shapes: Shapes = [("feature_extractor.conv_layers.0.0.weight", "F32", (64, 1, 10))]
    shapes += attention(64, 2, "encoder.layers.")
    builders.torch_zip(at / "content_base.pt", shapes, wrapper="model")


def vocoder(at: Path) -> None:
    shapes: Shapes = [
        ("conv_pre.weight_g", "F32", (64, 1, 1)),
        ("conv_pre.weight_v", "F32", (64, 80, 7)),
        ("ups.0.weight_v", "F32", (64, 32, 16)),
        ("conv_post.weight_v", "F32", (1, 32, 7)),
    ]
    builders.torch_zip(at / "generator_v1", shapes, wrapper="generator")
    (at / "generator_v1").rename(at / "generator_v1.pth")


def spoken_words_as_pictures(at: Path) -> None:
    shapes: Shapes = [
        ("features.0.weight", "F32", (64, 1, 3, 3)),
        ("features.3.weight", "F32", (128, 64, 3, 3)),
        ("embeddings.0.weight", "F32", (128, 512)),
    ]
    builders.torch_zip(at / "ggish.pth", shapes)


def torchvisions_resnet(at: Path) -> None:
    shapes: Shapes = [
        ("conv1.weight", "F32", (64, 3, 7, 7)),
        ("layer1.0.conv1.weight", "F32", (64, 64, 3, 3)),
        ("fc.weight", "F32", (1000, 512)),
    ]
    builders.torch_zip(at / "net18-f37072fd.pth", shapes)


def depth_of_any_size(at: Path) -> None:
    ports = [("x", "F32", ("batch", 3, "height", "width"))]
    builders.onnx(at / "depths.onnx", [("w", "F32", (8, 3, 14, 14))], ports, [("d", "F32", (1,))])


def words_of_a_painter_only(at: Path) -> None:
    names = [f"lora_te1_text_model_encoder_layers_{i}_mlp_fc1" for i in range(8)]
    shapes: Shapes = [
        (f"{n}.lora_{way}.weight", "F16", (4, 64) if way == "down" else (64, 4))
        for n in names
        for way in ("down", "up")
    ]
    shapes += [(f"{n}.alpha", "F16", ()) for n in names]
    builders.safetensors(at / "words.safetensors", shapes)


def enlarges_with_attention(at: Path) -> None:
    shapes: Shapes = [("conv_first.weight", "F32", (60, 3, 3, 3))]
    shapes += [
        (f"layers.0.residual_group.blocks.{i}.attn.qkv.weight", "F32", (180, 60)) for i in range(4)
    ]
    shapes += [
        ("upsample.0.weight", "F32", (240, 64, 3, 3)),
        ("conv_last.weight", "F32", (3, 64, 3, 3)),
    ]
    builders.torch_zip(at / "real_sr_x4.pth", shapes, wrapper="params_ema")


def guide_of_diffusers(at: Path) -> None:
    shapes: Shapes = [("controlnet_cond_embedding.conv_in.weight", "F16", (16, 3, 3, 3))]
    shapes += [(f"controlnet_down_blocks.{i}.weight", "F16", (320, 320, 1, 1)) for i in range(4)]
    shapes += [("down_blocks.0.resnets.0.conv1.weight", "F16", (320, 320, 3, 3))]
    builders.safetensors(at / "guide_canny.safetensors", shapes)


def hears_without_a_config(at: Path) -> None:
    shapes: Shapes = [
        ("model.encoder.conv1.weight", "F16", (64, 80, 3)),
        ("model.decoder.embed_tokens.weight", "F16", (100, 64)),
    ]
    builders.safetensors(at / "hearing.safetensors", shapes)


def patches_of_timm(at: Path) -> None:
    shapes: Shapes = [("patch_embed.proj.weight", "F32", (64, 3, 16, 16))]
    shapes += [(f"blocks.{i}.attn.qkv.weight", "F32", (192, 64)) for i in range(4)]
    builders.torch_zip(at / "small_patch16_224.pth", shapes, wrapper="model")


def parts_stereo(at: Path) -> None:
    shapes: Shapes = [("encoder.0.0.weight", "F32", (64, 2, 8))]
    shapes += [(f"encoder.{i}.0.weight", "F32", (64, 64, 8)) for i in range(1, 4)]
    builders.torch_zip(at / "parts-e07c671f.th.pth", shapes, wrapper="state")


def state_space(at: Path) -> None:
    shapes: Shapes = [("backbone.embedding.weight", "F32", (100, 64))]
    for i in range(4):
        shapes += [
            (f"backbone.layers.{i}.mixer.A_log", "F32", (128, 16)),
            (f"backbone.layers.{i}.mixer.conv1d.weight", "F32", (128, 1, 4)),
            (f"backbone.layers.{i}.mixer.in_proj.weight", "F32", (256, 64)),
        ]
    builders.torch_zip(at / "snake-130m.bin", shapes)


SITUATIONS: list[Situation] = [
    (oft_of_kohya, {"type": "PEFT", "parameter_count": ABSENT, "primary": "VISION"}),
    (
        lora_of_a_language_model_alone,
        {"type": "PEFT", "parameter_count": ABSENT, "primary": "LANGUAGE"},
    ),
    (sdxl_embedding, {"primary": "VISION", "secondary": "CREATIVE"}),
    (film_autoencoder, {"primary": "VISION", "modalities": ["VIDEO"], "secondary": "CREATIVE"}),
    (old_esrgan, {"primary": "VISION", "output_modalities": ["IMAGE"], "secondary": "CREATIVE"}),
    (compact_upscaler, {"primary": "VISION", "output_modalities": ["IMAGE"]}),
    (
        painter_in_nvfp4,
        {"quantization": "nvfp4", "parameter_count": 128 * 64 + 4 * 128 * 128, "primary": "VISION"},
    ),
    (speaker_encoder, {"modalities": (ABSENT, ["AUDIO"])}),
    (sentences_by_convolution, {"modalities": (ABSENT, ["TEXT"])}),
    (
        lora_with_the_adapters_name,
        {"type": "PEFT", "parameter_count": ABSENT, "primary": "VISION"},
    ),
    (text_tower, {"modalities": ["TEXT"], "primary": "LANGUAGE"}),
    (segments_anything, {"modalities": ["IMAGE"], "secondary": "ANALYSIS"}),
    (hears_waves, {"modalities": ["AUDIO"], "primary": "AUDIO"}),
    (vocoder, {"modalities": ["AUDIO"], "primary": "AUDIO"}),
    (spoken_words_as_pictures, {"modalities": ABSENT}),
    (torchvisions_resnet, {"modalities": ["IMAGE"], "secondary": "ANALYSIS"}),
    (depth_of_any_size, {"modalities": ["IMAGE"]}),
    (words_of_a_painter_only, {"type": "PEFT", "parameter_count": ABSENT, "primary": "VISION"}),
    (enlarges_with_attention, {"output_modalities": ["IMAGE"], "primary": "VISION"}),
    (guide_of_diffusers, {"primary": "VISION", "secondary": "CREATIVE"}),
    (hears_without_a_config, {"primary": "AUDIO"}),
    (patches_of_timm, {"modalities": ["IMAGE"], "secondary": "ANALYSIS"}),
    (parts_stereo, {"primary": "AUDIO"}),
    (state_space, {"primary": "LANGUAGE"}),
]
