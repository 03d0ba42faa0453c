"""Whole model folders as the libraries that save them lay them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from discovery.demo.writers import diffusion, packed
from discovery.demo.writers.cards import DemoCard, model_card
from discovery.demo.writers.configs import (
    GENERATIVE_FAMILIES,
    TEXT_FAMILIES,
    config,
    write_generation_config,
    write_preprocessor,
    write_tokenizer,
)
from discovery.demo.writers.safetensors import write_safetensors, write_safetensors_shards
from discovery.demo.writers.shapes import Sizes, Tensors, clip_text, transformer_tensors
from discovery.demo.writers.sparse import write_json


def transformers_folder(
    path: Path,
    *,
    family: str = "llama",
    layers: int = 2,
    hidden: int = 64,
    vocab: int = 1000,
    context: int = 2048,
    intermediate: int = 0,
    heads: int = 0,
    kv_heads: int = 0,
    experts: int = 0,
    mels: int = 80,
    shards: int = 1,
    dtype: str = "BF16",
    card: DemoCard | bool = True,
    chat: bool = False,
    extra_config: Mapping[str, Any] | None = None,
    tensors: Tensors | None = None,
) -> None:
    """A Transformers model.

    ``tensors`` replaces the family's own (a quantized model's); ``extra_config`` is merged into
    config.json.
    """
    sizes = Sizes(layers, hidden, vocab, context, intermediate, heads, kv_heads, experts, mels)
    _transformers_sidecars(path, family, sizes, dtype, card, chat, extra_config)
    if tensors is None:
        tensors = transformer_tensors(family, sizes, dtype=dtype)
    write_safetensors_shards(path, tensors, shards, metadata={"format": "pt"})


def _transformers_sidecars(
    path: Path,
    family: str,
    sizes: Sizes,
    dtype: str,
    card: DemoCard | bool,
    chat: bool,
    extra_config: Mapping[str, Any] | None,
) -> None:
    write_json(path / "config.json", config(family, sizes, dtype) | dict(extra_config or {}))
    if family in GENERATIVE_FAMILIES:
        write_generation_config(path)
    if family in TEXT_FAMILIES:
        write_tokenizer(
            path,
            sizes.vocab,
            sizes.context,
            tokenizer_class="BertTokenizer" if family == "bert" else "LlamaTokenizer",
            chat=chat,
        )
    write_preprocessor(path, family, sizes)
    model_card(path, card)


def gptq_folder(
    path: Path, *, sizes: Sizes | None = None, family: str = "llama", card: DemoCard | bool = True
) -> None:
    _quantized_folder(
        path,
        "gptq",
        sizes or Sizes(hidden=128),
        family,
        card,
        {"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": False},
    )


def awq_folder(
    path: Path, *, sizes: Sizes | None = None, family: str = "llama", card: DemoCard | bool = True
) -> None:
    _quantized_folder(
        path,
        "awq",
        sizes or Sizes(hidden=128),
        family,
        card,
        {"quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemm"},
    )


def _quantized_folder(
    path: Path,
    method: str,
    sizes: Sizes,
    family: str,
    card: DemoCard | bool,
    declared: dict[str, Any],
) -> None:
    tensors = transformer_tensors(family, sizes, dtype="F16")
    tensors = packed.gptq_tensors(tensors) if method == "gptq" else packed.awq_tensors(tensors)
    _transformers_sidecars(
        path, family, sizes, "F16", card, True, {"quantization_config": declared}
    )
    write_safetensors(path / "model.safetensors", tensors, {"format": "pt"})


def mlx_folder(
    path: Path, *, sizes: Sizes | None = None, family: str = "llama", card: DemoCard | bool = True
) -> None:
    """Four bits, the output layer tied to the embeddings as small models have it."""
    sizes = sizes or Sizes()
    tensors = [
        tensor
        for tensor in transformer_tensors(family, sizes, dtype="F16")
        if tensor[0] != "lm_head.weight"
    ]
    width = {"group_size": 64, "bits": 4}
    _transformers_sidecars(
        path,
        family,
        sizes,
        "BF16",
        card,
        True,
        {"quantization": width, "quantization_config": width, "tie_word_embeddings": True},
    )
    write_safetensors(path / "model.safetensors", packed.mlx_tensors(tensors), {"format": "mlx"})


def diffusers_folder(
    path: Path,
    *,
    channels: Sequence[int] = (32, 64),
    depths: Sequence[int] = (0, 1),
    text: int = 64,
    card: DemoCard | bool = True,
) -> None:
    """A pipeline like Stable Diffusion XL's, with one text encoder.

    At ``(320, 640, 1280), (0, 2, 10), 2048`` its UNet is SDXL's.
    """
    encoder = Sizes(
        layers=12, hidden=min(text, 768), vocab=49408 if text > 256 else 1000, context=77
    )
    _write_pipeline_index(path)
    _write_unet(path / "unet", channels, depths, text)
    _write_vae(path / "vae", (128, 256, 512, 512) if text > 256 else (32, 64))
    _write_text_encoder(path / "text_encoder", encoder)
    write_tokenizer(path / "tokenizer", encoder.vocab, 77, tokenizer_class="CLIPTokenizer")
    write_json(
        path / "scheduler/scheduler_config.json",
        {
            "_class_name": "EulerDiscreteScheduler",
            "num_train_timesteps": 1000,
            "prediction_type": "epsilon",
        },
    )
    model_card(path, card)


def _write_pipeline_index(path: Path) -> None:
    part_of = {
        "unet": ("diffusers", "UNet2DConditionModel"),
        "vae": ("diffusers", "AutoencoderKL"),
        "text_encoder": ("transformers", "CLIPTextModel"),
    }
    rest = {
        "tokenizer": ("transformers", "CLIPTokenizer"),
        "scheduler": ("diffusers", "EulerDiscreteScheduler"),
    }
    index = {"_class_name": "StableDiffusionXLPipeline", "_diffusers_version": "0.30.0"}
    write_json(
        path / "model_index.json",
        index | {name: list(source) for name, source in (part_of | rest).items()},
    )


def _write_unet(path: Path, channels: Sequence[int], depths: Sequence[int], text: int) -> None:
    write_json(path / "config.json", {
        "_class_name": "UNet2DConditionModel", "block_out_channels": list(channels),
        "cross_attention_dim": text, "in_channels": 4,
        "out_channels": 4, "sample_size": 128,
        "transformer_layers_per_block": [max(depth, 1) for depth in depths],
    })  # fmt: skip
    write_safetensors(
        path / "diffusion_pytorch_model.safetensors", diffusion.unet(channels, depths, text)
    )


def _write_vae(path: Path, blocks: Sequence[int]) -> None:
    write_json(
        path / "config.json",
        {
            "_class_name": "AutoencoderKL",
            "block_out_channels": list(blocks),
            "latent_channels": 4,
            "sample_size": 1024,
        },
    )
    write_safetensors(path / "diffusion_pytorch_model.safetensors", diffusion.vae(blocks))


def _write_text_encoder(path: Path, encoder: Sizes) -> None:
    text_config = {
        "architectures": ["CLIPTextModel"],
        "model_type": "clip_text_model",
        "hidden_size": encoder.hidden,
        "torch_dtype": "float16",
    }
    write_json(
        path / "config.json",
        text_config
        | {
            "num_hidden_layers": encoder.layers,
            "vocab_size": encoder.vocab,
            "max_position_embeddings": 77,
        },
    )
    write_safetensors(
        path / "model.safetensors",
        [(name, "F16", shape) for name, shape in clip_text(encoder)],
        {"format": "pt"},
    )


def sentence_transformers_folder(
    path: Path, *, sizes: Sizes | None = None, card: DemoCard | bool = True
) -> None:
    sizes = sizes or Sizes(context=512)
    _transformers_sidecars(path, "bert", sizes, "F32", card, False, None)
    modules = [
        ("", "models.Transformer"),
        ("1_Pooling", "models.Pooling"),
        ("2_Normalize", "models.Normalize"),
    ]
    write_json(path / "modules.json", [
        {"idx": number, "name": str(number), "path": place,
            "type": f"sentence_transformers.{kind}"} for number, (place, kind) in enumerate(modules)
    ])  # fmt: skip
    write_json(
        path / "1_Pooling/config.json",
        {
            "word_embedding_dimension": sizes.hidden,
            "pooling_mode_mean_tokens": True,
            "pooling_mode_cls_token": False,
        },
    )
    write_json(
        path / "sentence_bert_config.json",
        {"max_seq_length": sizes.context, "do_lower_case": False},
    )
    write_json(
        path / "config_sentence_transformers.json",
        {
            "__version__": {
                "sentence_transformers": "3.0.1",
                "transformers": "4.44.2",
                "pytorch": "2.4.0",
            }
        },
    )
    write_safetensors(
        path / "model.safetensors",
        transformer_tensors("bert", sizes, dtype="F32"),
        {"format": "pt"},
    )


def adapter_folder(
    path: Path,
    *,
    base_model: str = "meta-llama/Llama-2-7b-hf",
    sizes: Sizes | None = None,
    rank: int = 8,
    card: DemoCard | bool = True,
) -> None:
    """A LoRA adapter, as PEFT saves it."""
    write_json(path / "adapter_config.json", {
        "base_model_name_or_path": base_model, "bias": "none", "inference_mode": True,
        "lora_alpha": 2 * rank, "lora_dropout": 0.05,
        "peft_type": "LORA", "r": rank, "target_modules": ["q_proj", "v_proj"],
        "task_type": "CAUSAL_LM",
    })  # fmt: skip
    write_safetensors(
        path / "adapter_model.safetensors",
        packed.lora_tensors(sizes or Sizes(), rank=rank),
        {"format": "pt"},
    )
    model_card(path, card)
