"""Reads ``config.json`` of Transformers and its relatives.

Architecture, shape, context length, precision, quantization.

Sources: the ``PretrainedConfig`` classes of Transformers for the spellings; vLLM's derivation of
the usable context from RoPE scaling.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from discovery.engine.core.packings import NOTHING, Declared
from discovery.engine.core.text import clean, positive
from discovery.engine.sidecars import quantization as declared_quantization

#: Where multimodal models keep the language half, most telling first.
TEXT_CONFIGS = (
    "text_config",
    "llm_config",
    "language_config",
    "lm_config",
    "thinker_config",
    "language_model_config",
    "decoder",
    "text_encoder",
)
VISION_CONFIGS = (
    "vision_config",
    "visual",
    "vision_tower_config",
    "vit_config",
    "image_config",
    "encoder",
)
AUDIO_CONFIGS = (
    "audio_config",
    "audio_tower_config",
    "audio_encoder",
    "audio_encoder_config",
    "speech_config",
    "audio_processor",
)

#: Classes of what guesses ahead.
_DRAFT = re.compile(r"Eagle|EAGLE|Medusa|Speculator|DFlash|MTPModel|NextN")

#: More graphics cards run no model.
MAX_RANKS = 4_096

_CONTEXT_KEYS = (
    "max_position_embeddings", "n_positions", "max_sequence_length", "max_seq_len",
    "max_seq_length", "seq_length", "n_ctx",
    "max_target_positions", "max_context_length", "model_max_length", "max_length_tokens",
    "context_length", "max_text_len",
)  # fmt: skip
_HIDDEN_KEYS = ("hidden_size", "d_model", "n_embd", "n_embed", "dim", "model_dim", "hidden_dim")
_LAYER_KEYS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers", "depth")
_NUMBER_KEYS = frozenset(
    (
        *_CONTEXT_KEYS,
        *_HIDDEN_KEYS,
        *_LAYER_KEYS,
        "vocab_size",
        "num_attention_heads",
        "num_key_value_heads",
    )
)

#: Embedders that keep ``padding_idx + 1`` positions for themselves.
_OFFSET_POSITIONS = frozenset(
    {
        "roberta",
        "xlm-roberta",
        "camembert",
        "longformer",
        "mpnet",
        "roberta-prelayernorm",
        "xlm-roberta-xl",
    }
)

_DTYPES = {
    "float64": "F64", "float32": "F32", "float": "F32", "float16": "F16", "half": "F16",
    "bfloat16": "BF16", "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2", "int8": "I8", "uint8": "U8",
}  # fmt: skip


def unwrapped(config: dict[str, Any]) -> dict[str, Any]:
    """The config of a model that TensorRT-LLM converted or built an engine of, translated to the
    keys of Transformers; other configs unchanged. The engine's settings stay in it.
    """
    inner = config.get("pretrained_config", config)
    if not isinstance(inner, dict) or _word(inner.get("architecture")) is None:
        return config
    if inner is config and not isinstance(config.get("mapping"), dict):
        return config
    return {**config, **inner, "architectures": [inner["architecture"]]}


def ranks(config: Mapping[str, Any]) -> int | None:
    """How many processes load a part of the weights each, as TensorRT-LLM's config says."""
    mapping = config.get("mapping")
    told = positive(mapping.get("world_size")) if isinstance(mapping, dict) else None
    return told if told and told <= MAX_RANKS else None


def fields(config: Mapping[str, Any]) -> dict[str, Any]:
    """The document fields that ``config`` states. Missing, junk and impossible values are
    left out.
    """
    text = list(_language_halves(config))
    found = {
        "architecture": architecture(config),
        "context_length": next((c for half in text if (c := _context(half, config))), None),
        "vocab_size": _first(text, ("vocab_size", "padded_vocab_size", "n_vocab")),
        "embedding_length": _first(text, _HIDDEN_KEYS),
        "layer_count": _first(text, _LAYER_KEYS),
        "dtype": dtype(config),
        "base_model": verifier(config),
    }
    return {name: value for name, value in found.items() if value is not None}


def looks_like_model(config: Mapping[str, Any]) -> bool:
    """Whether a lone ``config.json`` describes a model, and not a web server or a linter."""
    named = (
        architecture(config) is not None
        or _word(config.get("model_type")) is not None
        or _word(config.get("_class_name")) is not None
    )
    shaped = any(key in config for key in _HIDDEN_KEYS) and any(
        key in config for key in (*_LAYER_KEYS, "vocab_size")
    )
    return (
        named
        or shaped
        or any(
            isinstance(config.get(key), dict)
            for key in (*TEXT_CONFIGS[:4], *VISION_CONFIGS[:2], "quantization_config")
        )
    )


def is_draft(config: Mapping[str, Any]) -> bool:
    """Whether it guesses ahead for another model, and says nothing alone."""
    return (
        config.get("draft_vocab_size") is not None
        or isinstance(config.get("speculators_config"), dict)
        or any(_DRAFT.search(word) for word in _classes(config))
    )


def verifier(config: Mapping[str, Any]) -> str | None:
    """The model that a draft guesses ahead for."""
    told = config.get("speculators_config")
    inner = told.get("verifier") if isinstance(told, dict) else None
    return _word(inner.get("name_or_path")) if isinstance(inner, dict) else None


def _classes(config: Mapping[str, Any]) -> Iterator[str]:
    named = config.get("architectures")
    for item in named if isinstance(named, list) else [named]:
        if word := _word(item):
            yield word


def architecture(config: Mapping[str, Any]) -> str | None:
    """``architectures[0]``, Diffusers' ``_class_name``, or timm's ``architecture``."""
    named = config.get("architectures")
    candidates = named if isinstance(named, list) else [named]
    own = config.get("architecture") if is_timm(config) else None
    return next(
        (word for item in (*candidates, config.get("_class_name"), own) if (word := _word(item))),
        None,
    )


def is_timm(config: Mapping[str, Any]) -> bool:
    """Whether timm wrote it: networks for pictures, by their own names."""
    return isinstance(config.get("pretrained_cfg"), dict)


def dtype(config: Mapping[str, Any]) -> str | None:
    for half in _language_halves(config):
        for key in ("torch_dtype", "dtype"):
            name = half.get(key)
            if isinstance(name, str) and (known := _DTYPES.get(name.removeprefix("torch."))):
                return known
    return None


def quantization(config: Mapping[str, Any]) -> Declared:
    """The declared quantization of the weights; nothing where they are plain."""
    for half in (config, *_language_halves(config)):
        declared = (
            half.get("quantization_config")
            or half.get("compression_config")
            or half.get("quantization")
        )
        if isinstance(declared, dict) and declared:
            return declared_quantization.read(declared)
    return NOTHING


def experts(config: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """(routed experts, experts a token is sent to) of a mixture."""
    halves = list(_language_halves(config))
    return _first(halves, ("num_local_experts", "n_routed_experts", "num_experts")), _first(
        halves, ("num_experts_per_tok", "num_experts_per_token", "moe_topk")
    )


def odd_fields(config: Mapping[str, Any]) -> list[str]:
    """Names of well-known fields whose value has a type or size that no loader accepts."""
    odd = [
        key
        for key, value in config.items()
        if key in _NUMBER_KEYS and value is not None and positive(value) is None and value != 0
    ]
    odd += [
        key
        for key in ("model_type", "torch_dtype", "dtype")
        if not isinstance(config.get(key, ""), str | None)
    ]
    odd += [
        key
        for key in TEXT_CONFIGS[:4] + VISION_CONFIGS[:1] + AUDIO_CONFIGS[:1]
        if not isinstance(config.get(key, {}), dict | None)
    ]
    named = config.get("architectures")
    if named is not None and (
        not isinstance(named, list) or any(_word(item) is None for item in named)
    ):
        odd.append("architectures")
    odd += [
        key for key in _NUMBER_KEYS if (number := positive(config.get(key))) and number > 1 << 40
    ]
    return sorted(set(odd))


def _language_halves(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The config itself, then the sub-configs that describe its language model, nested ones
    included.
    """
    yield config
    for key in TEXT_CONFIGS:
        half = config.get(key)
        if isinstance(half, dict):
            yield half
            if isinstance(half.get("text_config"), dict):
                yield half["text_config"]


def _context(half: Mapping[str, Any], config: Mapping[str, Any]) -> int | None:
    length = next(
        (
            number
            for key in _CONTEXT_KEYS
            if (number := positive(half.get(key))) and number < 1 << 31
        ),
        None,
    )
    if length is None:
        return None
    kind = half.get("model_type", config.get("model_type"))
    if isinstance(kind, str) and kind in _OFFSET_POSITIONS and length % 64 == 2:
        return length - 2
    return _scaled(length, half)


def _scaled(length: int, half: Mapping[str, Any]) -> int:
    """RoPE scaling: YaRN stretches the original length, linear and dynamic the stated one where the
    config is of the old style (``type``); in the new style (``rope_type``) and for the other kinds
    the stated length is final.
    """
    scaling = half.get("rope_scaling") or half.get("rope_parameters")
    if not isinstance(scaling, dict):
        return length
    kind = scaling.get("rope_type") or scaling.get("type")
    factor = scaling.get("factor")
    if not isinstance(factor, int | float) or isinstance(factor, bool) or not 1 < factor <= 4096:
        return length
    if kind == "yarn":
        original = positive(scaling.get("original_max_position_embeddings"))
        return max(int(original * factor), length) if original else length
    return (
        int(length * factor)
        if kind in ("linear", "dynamic") and "rope_type" not in scaling
        else length
    )


def _first(halves: list[Mapping[str, Any]], keys: tuple[str, ...]) -> int | None:
    return next(
        (n for half in halves for key in keys if (n := positive(half.get(key))) and n <= 1 << 40),
        None,
    )


def _word(value: Any) -> str | None:
    return (clean(value, 200) or None) if isinstance(value, str) else None
