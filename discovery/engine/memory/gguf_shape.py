"""``AttentionShape`` from the metadata of a GGUF header.

Sources: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md and the ``load_arch_hparams`` of
llama.cpp: which layers slide is part of its code where the header does not say, so that a GGUF of
Gemma 3 needs the table below.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from discovery.engine.core.text import positive
from discovery.engine.formats.gguf import Array
from discovery.engine.memory.attention import (
    MAX_LAYERS,
    MAX_STATE_BYTES,
    STATE_VALUE_BYTES,
    AttentionShape,
    Kind,
    LayerGroup,
    collected,
    rwkv_state_bytes,
    ssm_state_bytes,
    without_cache,
)
from discovery.engine.memory.encoders import ENCODER

#: (period, full layer comes first). Every period-th layer attends to all, the others to the window.
_PATTERNS = {
    "gemma2": (2, False), "gemma3": (6, False), "gemma3n": (5, False), "cohere2": (4, False),
    "gpt-oss": (2, False), "llama4": (4, False),
    "exaone4": (4, False), "exaone-moe": (4, False), "olmo2": (4, False), "afmoe": (4, False),
    "smallthinker": (4, True),
}  # fmt: skip
_WINDOWS = {"gemma2": 4096, "llama4": 8192}
#: The header states a window that llama.cpp does not use.
_WITHOUT_WINDOW = frozenset({"phi3"})

_ENCODERS = frozenset({
    "bert", "clip", "eurobert", "gemma-embedding", "jina-bert-v2", "jina-bert-v3", "modern-bert",
    "neo-bert", "nomic-bert", "nomic-bert-moe",
    "t5encoder", "wavtokenizer-dec",
})  # fmt: skip
#: Every layer attends and is recurrent at once.
_PARALLEL = frozenset({"falcon-h1"})
#: Every fourth layer attends where the header does not say.
_INTERVAL = frozenset({"qwen3next", "qwen35", "qwen35moe"})
#: Layers of Gemma 3n from this one on use the cache of earlier ones.
_GEMMA_3N_LAYERS_WITH_CACHE = 20


@dataclass(frozen=True, slots=True)
class _Keys:
    """``<architecture>.<key>``."""

    metadata: Mapping[str, Any]
    architecture: str

    def value(self, key: str) -> Any:
        return self.metadata.get(f"{self.architecture}.{key}")

    def number(self, key: str) -> int | None:
        number = positive(self.value(key))
        return number if number and number < 1 << 32 else None

    def largest(self, key: str) -> int | None:
        value = self.value(key)
        return (
            max((n for item in value if (n := positive(item)) and n < 1 << 32), default=None)
            if isinstance(value, list)
            else self.number(key)
        )


def shape_from_gguf(metadata: Mapping[str, Any]) -> AttentionShape | None:
    """``None`` when the header does not count its layers."""
    architecture = metadata.get("general.architecture")
    if not isinstance(architecture, str):
        return None
    keys = _Keys(metadata, architecture)
    lengths: dict[str, Any] = {
        "layer_count": keys.number("block_count"),
        "embedding_length": keys.number("embedding_length"),
        # Mamba has no other inner width.
        "feed_forward_length": _feed_forward(keys) or keys.number("ssm.inner_size"),
        "vocab_size": _vocabulary(keys),
        "max_context": keys.number("context_length"),
    }
    if architecture in _ENCODERS or keys.value("attention.causal") is False:
        return without_cache(ENCODER, **lengths)
    count = (keys.number("decoder_block_count") or 0) or (keys.number("block_count") or 0) - (
        keys.number("nextn_predict_layers") or 0
    )
    if not 0 < count <= MAX_LAYERS:
        return None
    missing: dict[str, None] = {}
    groups = collected(_layers(keys, count, missing))
    return AttentionShape(groups, **{**lengths, "layer_count": count}, missing=tuple(missing))


def _layers(keys: _Keys, count: int, missing: dict[str, None]) -> list[LayerGroup]:
    state = _state(keys)
    kv_heads = _each(keys, "attention.head_count_kv", count) or _each(
        keys, "attention.head_count", count
    )
    recurrent = _recurrent(keys, count, kv_heads, state, missing)
    sliding, window = _sliding(keys, count, missing)
    with_cache = _layers_with_cache(keys, count)
    if state and state > MAX_STATE_BYTES:
        missing["the size of the state of its recurrent layers"] = None
    if keys.number("attention.indexer.key_length"):
        missing["the cache of the indexer of sparse attention"] = None
    layers = []
    for i in range(count):
        if recurrent[i] and state and state <= MAX_STATE_BYTES:
            layers.append(LayerGroup(Kind.RECURRENT, state_bytes=state))
        if (not recurrent[i] or keys.architecture in _PARALLEL) and i < with_cache:
            layers += _attention(
                keys, kv_heads[i] if kv_heads else None, window if sliding[i] else 0, missing
            )
    if keys.architecture == "t5":
        layers += [
            LayerGroup(Kind.CROSS, g.layers, g.kv_heads, g.key_length, g.value_length)
            for g in layers
        ]
    return layers


def _attention(
    keys: _Keys, kv_heads: int | None, window: int, missing: dict[str, None]
) -> list[LayerGroup]:
    if kv_heads is None:
        missing["the number of attention heads"] = None
        return []
    if kv_heads == 0:
        return []
    if latent := _latent(keys, kv_heads):
        return [latent]
    key_length, value_length = (
        keys.number("attention.key_length"),
        keys.number("attention.value_length"),
    )
    if window:
        key_length = keys.number("attention.key_length_swa") or key_length
        value_length = keys.number("attention.value_length_swa") or value_length
    if key_length is None or value_length is None:
        heads, embedding = keys.largest("attention.head_count"), keys.number("embedding_length")
        even = embedding // heads if embedding and heads and embedding % heads == 0 else None
        key_length, value_length = key_length or even, value_length or even
    if key_length is None or value_length is None:
        missing["the length of its attention heads"] = None
        return []
    return [
        LayerGroup(
            Kind.WINDOW if window else Kind.FULL, 1, kv_heads, key_length, value_length, window
        )
    ]


def _latent(keys: _Keys, kv_heads: int) -> LayerGroup | None:
    """Multi-head latent attention.

    Files from before ``key_length_mla`` make llama.cpp keep whole keys and values: no latent there.
    """
    rank = keys.number("attention.kv_lora_rank")
    if not rank or not (keys.number("attention.key_length_mla") or kv_heads == 1):
        return None
    whole = keys.number("attention.key_length") or 0
    rope = keys.number("rope.dimension_count") or max(whole - rank, 0)
    return LayerGroup(Kind.MLA, latent_length=rank, rope_length=rope)


def _each(keys: _Keys, key: str, count: int) -> list[int | None] | None:
    """A number for each layer, 0 included, whether the header has one for all or a list."""
    value = keys.value(key)
    if isinstance(value, list):
        numbers = [
            0 if item == 0 and item is not False else positive(item) for item in value[:count]
        ]
        return numbers + [None] * (count - len(numbers))
    if value == 0 and isinstance(value, int) and not isinstance(value, bool):
        return [0] * count
    return [number] * count if (number := keys.number(key)) else None


def _state(keys: _Keys) -> int | None:
    """Bytes that one recurrent layer keeps; ``None`` where nothing is recurrent."""
    embedding = keys.number("embedding_length")
    if embedding and (size := keys.number("wkv.head_size")):
        return rwkv_state_bytes(embedding, size, keys.number("token_shift_count") or 2)
    if embedding and (kernel := keys.number("shortconv.l_cache")):
        return embedding * (kernel - 1) * STATE_VALUE_BYTES
    kernel = keys.number("ssm.conv_kernel")
    if (
        kernel
        and (length := keys.number("kda.head_dim"))
        and (heads := keys.largest("attention.head_count"))
    ):
        return heads * length * (3 * (kernel - 1) + length) * STATE_VALUE_BYTES
    inner, state = keys.number("ssm.inner_size"), keys.number("ssm.state_size")
    return (
        ssm_state_bytes(kernel, inner, keys.number("ssm.group_count") or 0, state)
        if kernel and inner and state
        else None
    )


def _recurrent(
    keys: _Keys,
    count: int,
    kv_heads: list[int | None] | None,
    state: int | None,
    missing: dict[str, None],
) -> list[bool]:
    marked = keys.value("attention.recurrent_layers")
    if isinstance(marked, list) and len(marked) == count:
        return [bool(mark) for mark in marked]
    if state is None:
        return [False] * count
    if keys.architecture in _PARALLEL:
        return [True] * count
    interval = keys.number("full_attention_interval") or (
        4 if keys.architecture in _INTERVAL else None
    )
    if interval:
        return [(i + 1) % interval != 0 for i in range(count)]
    if kv_heads is None or keys.number("wkv.head_size"):
        return [True] * count
    if all(kv_heads):
        missing["which of its layers attend"] = None
        return [True] * count
    # A layer of Nemotron-H is one of three: attention, state or feed-forward.
    inner = _each(keys, "feed_forward_length", count)
    alone = keys.architecture.startswith("nemotron_h") and inner is not None
    return [
        kv == 0 and not (alone and inner is not None and inner[i]) for i, kv in enumerate(kv_heads)
    ]


def _sliding(keys: _Keys, count: int, missing: dict[str, None]) -> tuple[list[bool], int]:
    """Which layers slide, and over how many tokens."""
    window = keys.largest("attention.sliding_window") or (
        _WINDOWS.get(keys.architecture) if keys.value("attention.sliding_window") is None else None
    )
    context = keys.number("context_length")
    if not window or keys.architecture in _WITHOUT_WINDOW or (context and window >= context):
        return [False] * count, 0
    pattern = keys.value("attention.sliding_window_pattern")
    if isinstance(pattern, list) and pattern:
        return [bool(pattern[i % len(pattern)]) for i in range(count)], window
    known, first = _PATTERNS.get(keys.architecture, (None, False))
    if period := positive(pattern) or known:
        return [
            (i % period != 0) if first else ((i + 1) % period != 0) for i in range(count)
        ], window
    missing[f"which layers look at no more than {window:,} tokens"] = None
    return [True] * count, window


def _layers_with_cache(keys: _Keys, count: int) -> int:
    if shared := keys.number("attention.shared_kv_layers"):
        return max(count - shared, 0)
    return _GEMMA_3N_LAYERS_WITH_CACHE if keys.architecture == "gemma3n" else count


def _feed_forward(keys: _Keys) -> int | None:
    dense, used = keys.largest("feed_forward_length"), keys.number("expert_used_count")
    if not used:
        return dense
    expert = keys.number("expert_feed_forward_length")
    shared = keys.number("expert_shared_feed_forward_length") or (expert or 0) * (
        keys.number("expert_shared_count") or 0
    )
    return max(dense or 0, expert * used + shared) if expert else dense * used if dense else None


def _vocabulary(keys: _Keys) -> int | None:
    tokens = keys.metadata.get("tokenizer.ggml.tokens")
    length = (
        tokens.length
        if isinstance(tokens, Array)
        else len(tokens)
        if isinstance(tokens, list)
        else None
    )
    return positive(length) or keys.number("vocab_size")
