"""Which half of a Transformers config is the language model, and what its class fills in where the
file leaves a length out.

Source: the ``configuration_*.py`` files of Transformers. Multimodal configs state only what differs
from the class's defaults: LLaVA 1.5 names ``llama`` and no layer count, Gemma 3 4B no heads.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator, Mapping
from typing import Any

from discovery.engine.core.text import positive
from discovery.engine.sidecars.model_config import TEXT_CONFIGS

Config = Mapping[str, Any]

LAYERS = (
    "num_hidden_layers",
    "n_layer",
    "n_layers",
    "num_layers",
    "num_decoder_layers",
    "decoder_layers",
)

_DEFAULTS: dict[str, dict[str, Any]] = {
    "llama": {
        "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
        "num_attention_heads": 32, "vocab_size": 32000,
        "max_position_embeddings": 2048,
    },
    "mistral": {
        "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 8,
        "vocab_size": 32000, "max_position_embeddings": 131072, "sliding_window": 4096,
    },
    "qwen2": {
        "hidden_size": 4096, "intermediate_size": 22016, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 32,
        "vocab_size": 151936, "max_position_embeddings": 32768,
    },
    "gemma": {
        "hidden_size": 3072, "intermediate_size": 24576, "num_hidden_layers": 28,
        "num_attention_heads": 16, "num_key_value_heads": 16,
        "head_dim": 256, "vocab_size": 256000, "max_position_embeddings": 8192,
    },
    "gemma2": {
        "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26,
        "num_attention_heads": 8, "num_key_value_heads": 4,
        "head_dim": 256, "vocab_size": 256000, "max_position_embeddings": 8192,
        "sliding_window": 4096,
    },
    "gemma3_text": {
        "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26,
        "num_attention_heads": 8, "num_key_value_heads": 4,
        "head_dim": 256, "vocab_size": 262208, "max_position_embeddings": 131072,
        "sliding_window": 4096,
    },
}  # fmt: skip


def kind(config: Config) -> str:
    value = config.get("model_type")
    return value.lower() if isinstance(value, str) else ""


def language_half(config: Config) -> Config | None:
    """The part that describes the layers which generate; ``None`` when no part does."""
    if layer_count(config):
        return ChainMap(dict(config), _DEFAULTS.get(kind(config), {}))
    for half in _nested(config):
        if layer_count(half) or kind(half) in _DEFAULTS:
            return ChainMap(
                half,
                _DEFAULTS.get(kind(half), {}),
                {"is_encoder_decoder": config.get("is_encoder_decoder")},
            )
    return None


def _nested(config: Config) -> Iterator[dict[str, Any]]:
    for key in TEXT_CONFIGS:
        half = config.get(key)
        if isinstance(half, dict):
            yield half
            if isinstance(half.get("text_config"), dict):
                yield half["text_config"]


def number(config: Config, *keys: str) -> int | None:
    """The first of ``keys`` that holds a whole number a model can have."""
    return next((n for key in keys if (n := positive(config.get(key))) and n < 1 << 32), None)


def layer_count(config: Config) -> int | None:
    return number(config, *LAYERS)
