"""What each layer of a Transformers config is: full attention, sliding window, recurrent, both or
neither.

Sources: ``layer_types`` and its forerunners in the ``configuration_*.py`` files of Transformers
(Gemma 2 and 3, Cohere 2, gpt-oss, Llama 4, Qwen 2, Jamba, Bamba, Zamba, Nemotron-H, LFM2, Kimi
Linear, MiniMax, MiMo).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from discovery.engine.memory.config_defaults import Config, kind, number
from discovery.engine.memory.config_state import is_recurrent

FULL, WINDOW, RECURRENT, BOTH, NONE = "full", "window", "recurrent", "both", "none"
#: Nothing tells what the layer is; or only that some layers have the window.
UNKNOWN, MAYBE_WINDOW = "unknown", "maybe window"

_WORDS = {
    "full_attention": FULL, "attention": FULL, "global": FULL, "global_attention": FULL,
    "full": FULL,
    "sliding_attention": WINDOW, "local_attention": WINDOW, "local": WINDOW,
    "sliding_window": WINDOW, "chunked_attention": WINDOW,
    "mamba": RECURRENT, "mamba2": RECURRENT, "linear_attention": RECURRENT, "recurrent": RECURRENT,
    "conv": RECURRENT, "ssm": RECURRENT,
    "hybrid": BOTH, "parallel": BOTH, "mlp": NONE, "moe": NONE,
}  # fmt: skip
_LISTS = ("layer_types", "layers_block_type", "block_types", "_block_types")
_LETTERS = {"M": RECURRENT, "*": FULL, "-": NONE, "E": NONE}

#: Every n-th layer attends to all, the others to a window.
_PATTERNS = {
    "gemma2": 2,
    "gpt_oss": 2,
    "cohere2": 4,
    "exaone4": 4,
    "olmo3": 4,
    "gemma3n": 5,
    "gemma3n_text": 5,
    "gemma3": 6,
    "gemma3_text": 6,
}
#: Every layer has the window that the config states.
_ALL_WINDOW = frozenset(
    {
        "mistral",
        "ministral",
        "mixtral",
        "phi3",
        "phi3_v",
        "phi4mm",
        "phi4_multimodal",
        "phimoe",
        "starcoder2",
    }
)
#: What tells a layer apart that does not attend; a config that has one of these and no plan known
#: here is not guessed at.
_HYBRID_MARKS = ("mamba", "ssm", "rwkv", "linear_attn", "lru_width")


def layer_plan(config: Config, count: int, max_context: int | None) -> tuple[list[str], int]:
    """A word for each of ``count`` layers, and the length of the window (0: there is none)."""
    window = window_length(config)
    words = _stated(config, count) or _hybrid(config, count)
    if words is None and any(
        key.startswith(_HYBRID_MARKS) and config.get(key) for key in config if isinstance(key, str)
    ):
        words = [UNKNOWN] * count
    if words is None:
        words = (
            [FULL] * count
            if not window or (max_context and window >= max_context)
            else _windows(config, count)
        )
    if not window:
        words = [FULL if word == WINDOW else word for word in words]
    elif kind(config) == "recurrent_gemma":  # all its attention is local
        words = [WINDOW if word == FULL else word for word in words]
    shared = number(config, "num_kv_shared_layers") or 0
    return words[: max(count - shared, 0)] + [NONE] * min(shared, count), window or 0


def window_length(config: Config) -> int | None:
    if config.get("use_sliding_window") is False:
        return None
    if (
        kind(config).startswith(("qwen2", "qwen3"))
        and config.get("use_sliding_window") is not True
        and "layer_types" not in config
    ):
        return None  # their default
    return number(
        config,
        "sliding_window",
        "sliding_window_size",
        "attention_window_size",
        "attention_chunk_size",
    )


def _stated(config: Config, count: int) -> list[str] | None:
    for key in _LISTS:
        value = config.get(key)
        if isinstance(value, list) and value:
            return [
                _WORDS.get(word, UNKNOWN) if isinstance(word, str) else UNKNOWN
                for word in _tiled(value, count)
            ]
    letters = config.get("hybrid_override_pattern")
    if isinstance(letters, str) and letters:
        return [_LETTERS.get(letter, UNKNOWN) for letter in _tiled(letters, count)]
    return None


def _tiled(items: Any, count: int) -> list[Any]:
    return [items[i % len(items)] for i in range(count)]


def _hybrid(config: Config, count: int) -> list[str] | None:
    """Older ways to say which layers attend."""
    if is_recurrent(config):
        return [RECURRENT] * count
    if kind(config) == "falcon_h1":
        return [BOTH] * count
    attends = _attends(config)
    return [FULL if attends(i) else RECURRENT for i in range(count)] if attends else None


def _attends(config: Config) -> Callable[[int], bool] | None:
    for key in ("full_attn_idxs", "attn_layer_indices"):
        if isinstance(chosen := config.get(key), list):
            full = _indices(chosen)
            return lambda i: i in full
    linear = config.get("linear_attn_config")
    if isinstance(linear, dict) and isinstance(linear.get("full_attn_layers"), list):
        counted = _indices(linear["full_attn_layers"])
        return lambda i: i + 1 in counted  # Kimi Linear counts from one
    flags = config.get("attn_type_list")
    if isinstance(flags, list) and flags:
        return lambda i: flags[i % len(flags)] == 1
    if (period := number(config, "attn_layer_period")) and isinstance(
        offset := config.get("attn_layer_offset", 0), int
    ):
        return lambda i: i % period == offset
    interval = number(config, "full_attention_interval")
    if interval and number(config, "linear_num_value_heads"):
        return lambda i: (i + 1) % interval == 0
    return None


def _indices(items: list[Any]) -> frozenset[int]:
    return frozenset(item for item in items if isinstance(item, int))


def _windows(config: Config, count: int) -> list[str]:
    """Which layers have the window, where no list of layer types says so."""
    name = kind(config)
    if isinstance(flags := config.get("hybrid_layer_pattern"), list) and flags:
        return [WINDOW if flag == 1 else FULL for flag in _tiled(flags, count)]
    if isinstance(rotary := config.get("no_rope_layers"), list) and rotary:
        return [WINDOW if flag == 1 else FULL for flag in _tiled(rotary, count)]
    if name.startswith("llama4"):
        return _every(number(config, "no_rope_layer_interval") or 4, count)
    if name.startswith("qwen"):
        first = config.get("max_window_layers")
        return [WINDOW if isinstance(first, int) and i >= first else FULL for i in range(count)]
    pattern = config.get("sliding_window_pattern", config.get("_sliding_window_pattern"))
    if isinstance(pattern, str) and pattern and set(pattern) <= {"L", "G"}:
        return [WINDOW if letter == "L" else FULL for letter in _tiled(pattern, count)]
    if isinstance(pattern, list) and pattern:
        return [WINDOW if flag else FULL for flag in _tiled(pattern, count)]
    if period := number(
        config, "sliding_window_pattern", "_sliding_window_pattern"
    ) or _PATTERNS.get(name):
        return _every(period, count)
    return [WINDOW if name in _ALL_WINDOW else MAYBE_WINDOW] * count


def _every(period: int, count: int) -> list[str]:
    return [FULL if (i + 1) % period == 0 else WINDOW for i in range(count)]
