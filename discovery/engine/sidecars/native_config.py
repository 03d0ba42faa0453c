"""Configs of other libraries, said in the words of Transformers' ``config.json``.

Mistral's and Meta's ``params.json``, onnxruntime-genai's ``genai_config.json``, OpenCLIP's
``open_clip_config.json`` and MLC's ``mlc-chat-config.json``: the same facts under other names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Config = Mapping[str, Any]

#: What is asked of each, by Transformers' name.
_PARAMS = {
    "hidden_size": ("dim",),
    "num_hidden_layers": ("n_layers",),
    "num_attention_heads": ("n_heads",),
    "num_key_value_heads": ("n_kv_heads", "n_heads"),
    "head_dim": ("head_dim",),
    "intermediate_size": ("hidden_dim",),
    "vocab_size": ("vocab_size",),
    "max_position_embeddings": ("max_position_embeddings", "max_seq_len", "model_max_length"),
    "sliding_window": ("sliding_window",),
    "dtype": ("dtype", "torch_dtype"),
    "quantization_config": ("quantization_config",),
}
_DECODER = {
    "hidden_size": ("hidden_size",),
    "num_hidden_layers": ("num_hidden_layers",),
    "num_attention_heads": ("num_attention_heads",),
    "num_key_value_heads": ("num_key_value_heads", "num_attention_heads"),
    "head_dim": ("head_size",),
}
_MLC = {
    "model_type": ("model_type",),
    "vocab_size": ("vocab_size",),
    "max_position_embeddings": ("context_window_size",),
}
_CLIP_TEXT = {
    "hidden_size": ("width",),
    "num_hidden_layers": ("layers",),
    "num_attention_heads": ("heads",),
    "vocab_size": ("vocab_size",),
    "max_position_embeddings": ("context_length",),
}


def params(config: Config) -> dict[str, Any] | None:
    """``params.json``; ``None`` for files of that name that describe no transformer."""
    if not isinstance(config.get("dim"), int) or not isinstance(config.get("n_layers"), int):
        return None
    found = _renamed(config, _PARAMS)
    if isinstance(vision := config.get("vision_encoder"), dict):
        found["vision_config"] = vision
    hearing = config.get("multimodal")
    if isinstance(hearing, dict) and isinstance(hearing.get("whisper_model_args"), dict):
        found["audio_config"] = hearing["whisper_model_args"]
    if isinstance(mixture := config.get("moe"), dict):
        found |= _renamed(
            mixture,
            {
                "num_local_experts": ("num_experts",),
                "num_experts_per_tok": ("num_experts_per_tok",),
            },
        )
    return found


def genai(config: Config) -> dict[str, Any] | None:
    """``genai_config.json``: the settings of the decoder and of the whole model."""
    model = config.get("model")
    if not isinstance(model, dict):
        return None
    decoder = model.get("decoder")
    found = _renamed(decoder, _DECODER) if isinstance(decoder, dict) else {}
    found |= _renamed(
        model,
        {
            "model_type": ("type",),
            "max_position_embeddings": ("context_length",),
            "vocab_size": ("vocab_size",),
        },
    )
    for half, name in (("vision", "vision_config"), ("speech", "audio_config")):
        if isinstance(model.get(half), dict):
            found[name] = model[half]
    return found


def open_clip(config: Config) -> dict[str, Any] | None:
    """``open_clip_config.json``: two towers, one for pictures and one for texts."""
    model = config.get("model_cfg")
    if not isinstance(model, dict) or not isinstance(model.get("vision_cfg"), dict):
        return None
    text = model.get("text_cfg")
    return {
        "model_type": "clip",
        "vision_config": model["vision_cfg"],
        "text_config": _renamed(text, _CLIP_TEXT) if isinstance(text, dict) else {},
        "projection_dim": model.get("embed_dim"),
    }


def mlc(config: Config) -> dict[str, Any] | None:
    """``mlc-chat-config.json``: the model's own config, and the context it was compiled for."""
    model = config.get("model_config")
    if not isinstance(model, dict):
        return None
    found = {**model, **_renamed(config, _MLC)}
    if isinstance(packing := config.get("quantization"), str):
        found["quantization_config"] = {"quant_method": packing}
    return found


def stable_audio(config: Config) -> dict[str, Any] | None:
    """``model_config.json`` of stable-audio-tools: sound from words."""
    if not isinstance(config.get("sample_rate"), int) or "audio_channels" not in config:
        return None
    return {"model_type": "stable_audio", "sampling_rate": config["sample_rate"]}


#: File → how it is read; asked where there is no ``config.json``.
READERS: dict[str, Callable[[Config], dict[str, Any] | None]] = {
    "params.json": params,
    "genai_config.json": genai,
    "open_clip_config.json": open_clip,
    "mlc-chat-config.json": mlc,
    "model_config.json": stable_audio,
}


def _renamed(config: Config, names: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    found = {}
    for name, keys in names.items():
        key = next((key for key in keys if config.get(key) is not None), None)
        if key is not None:
            found[name] = config[key]
    return found
