"""What the layers of a model keep for every token they have seen: enough to compute the KV cache at
any context and type.

Sources: llama.cpp ``llama-kv-cache.cpp`` and ``llama-hparams.cpp`` (``n_embd_k_gqa``, ``n_embd_r``,
``n_embd_s``), the estimate of gguf-parser-go, vLLM's ``MLAAttentionSpec`` for the compressed cache,
``ggml-common.h`` for the block sizes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any

from discovery.engine.core.text import MAX_INTEGER, strings

#: {type: (values in a block, bytes of a block)}.
KV_TYPES = {
    "f32": (1, 4), "f16": (1, 2), "bf16": (1, 2),
    "q8_0": (32, 34), "q5_1": (32, 24), "q5_0": (32, 22), "q4_1": (32, 20), "q4_0": (32, 18),
}  # fmt: skip

#: Recurrent state is kept in F32 by llama.cpp, whatever the type of the KV cache.
STATE_VALUE_BYTES = 4

MAX_LAYERS = 4_096
#: One recurrent layer of any real model keeps a few MB.
MAX_STATE_BYTES = 1 << 40


class Kind(StrEnum):
    FULL = "full"
    WINDOW = "window"
    MLA = "mla"
    RECURRENT = "recurrent"
    CROSS = "cross"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class LayerGroup:
    """``layers`` equal layers. Lengths are numbers of values.

    ``full``, ``window`` and ``cross`` (a decoder's copy of the encoder's output) store ``kv_heads``
    × (``key_length`` + ``value_length``) values per position; ``mla`` stores ``latent_length`` +
    ``rope_length``; ``recurrent`` stores ``state_bytes``, however long the context. ``window`` is
    the number of positions in a sliding window; in a ``cross`` group it is the encoder's fixed
    length, 0 if that may be as long as the context.
    """

    kind: Kind
    layers: int = 1
    kv_heads: int = 0
    key_length: int = 0
    value_length: int = 0
    window: int = 0
    latent_length: int = 0
    rope_length: int = 0
    state_bytes: int = 0


@dataclass(frozen=True, slots=True)
class AttentionShape:
    """Everything about a model that the estimate needs, small enough to store with it.

    ``groups`` count equal layers together: their order does not change the sum. A layer that is
    both attention and recurrent is in two groups. ``feed_forward_length`` is the number of values
    per token there (of all its experts). ``missing`` lists what the source omits: the figures are
    then a lower bound. ``note`` says why there is no cache.
    """

    groups: tuple[LayerGroup, ...] = ()
    layer_count: int | None = None
    embedding_length: int | None = None
    feed_forward_length: int | None = None
    vocab_size: int | None = None
    max_context: int | None = None
    note: str = ""
    missing: tuple[str, ...] = ()

    @property
    def caches(self) -> bool:
        """Whether it keeps anything between tokens."""
        return not self.note

    @property
    def grows(self) -> bool:
        """Whether the cache depends on the length of the context."""
        return any(
            group.kind not in (Kind.RECURRENT, Kind.NONE)
            and not (group.kind is Kind.CROSS and group.window)
            for group in self.groups
        )

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, without the zeros."""
        body = {
            name: value
            for name in _SHAPE_FIELDS
            if (value := getattr(self, name)) not in (None, "", ())
        }
        groups = [
            {name: value for name in _GROUP_FIELDS if (value := getattr(group, name)) != 0}
            for group in self.groups
        ]
        return {**body, "groups": groups} | (
            {"missing": list(self.missing)} if self.missing else {}
        )

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> AttentionShape:
        """The inverse of ``to_json``. Raises ``ValueError`` for anything else."""
        groups = data.get("groups")
        if not isinstance(groups, list) or not all(isinstance(group, dict) for group in groups):
            raise ValueError("groups: a list of objects is needed")
        numbers = {
            name: _stored(data, name)
            for name in (
                "layer_count",
                "embedding_length",
                "feed_forward_length",
                "vocab_size",
                "max_context",
            )
        }
        note = data.get("note", "")
        if not isinstance(note, str):
            raise ValueError("note: a text is needed")
        return cls(
            tuple(_group(group) for group in groups),
            **numbers,
            note=note,
            missing=tuple(strings(data.get("missing"))),
        )


_GROUP_FIELDS = tuple(field.name for field in fields(LayerGroup))
_SHAPE_FIELDS = tuple(field.name for field in fields(AttentionShape) if field.name != "groups")


def without_cache(note: str, **lengths: int | None) -> AttentionShape:
    """The shape of a model that keeps nothing between tokens; ``note`` is the sentence that says
    so.
    """
    return AttentionShape(note=note, **lengths)  # type: ignore[arg-type]


def collected(layers: Iterable[LayerGroup]) -> tuple[LayerGroup, ...]:
    """Equal layers counted together, in the order of their first one."""
    counts: dict[LayerGroup, int] = {}
    for layer in layers:
        alike = layer if layer.layers == 1 else replace(layer, layers=1)
        counts[alike] = counts.get(alike, 0) + layer.layers
    return tuple(replace(layer, layers=count) for layer, count in counts.items())


def ssm_state_bytes(conv_kernel: int, inner: int, groups: int, state: int) -> int:
    """One Mamba layer (Mamba 1 has no groups: 0) or gated delta net: the convolution's last inputs
    and the state itself.
    """
    return ((conv_kernel - 1) * (inner + 2 * groups * state) + state * inner) * STATE_VALUE_BYTES


def rwkv_state_bytes(embedding: int, head_size: int, token_shifts: int) -> int:
    """One RWKV layer from version 5 on: the shifted tokens and one matrix a head."""
    return (token_shifts * embedding + embedding * head_size) * STATE_VALUE_BYTES


def kv_cache_bytes(shape: AttentionShape, context: int, kv_type: str = "f16") -> int:
    """Bytes of the cache for one sequence of ``context`` tokens.

    Raises ``ValueError`` for a type that is not in ``KV_TYPES``.

    A sliding-window layer counts exactly ``min(context, window)`` positions. llama.cpp adds the
    tokens of one batch and rounds up to 256 positions; that is its choice and changes with its
    options, so it is not part of the figure.
    """
    if kv_type not in KV_TYPES:
        raise ValueError(
            f"{kv_type!r} is not a type of KV cache; choose from {', '.join(KV_TYPES)}"
        )
    if context < 0:
        raise ValueError("the context length is negative")
    return sum(group.layers * _layer_bytes(group, context, kv_type) for group in shape.groups)


def _layer_bytes(group: LayerGroup, context: int, kv_type: str) -> int:
    if group.kind is Kind.RECURRENT:
        return group.state_bytes
    if group.kind is Kind.NONE:
        return 0
    if group.kind is Kind.MLA:
        return context * row_size(group.latent_length + group.rope_length, kv_type)
    positions = context
    if group.window:
        positions = group.window if group.kind is Kind.CROSS else min(context, group.window)
    return positions * (
        row_size(group.kv_heads * group.key_length, kv_type)
        + row_size(group.kv_heads * group.value_length, kv_type)
    )


def row_size(values: int, kv_type: str) -> int:
    """``ggml_row_size``, a row of which the last block is not full rounded up to a whole one."""
    block, size = KV_TYPES[kv_type]
    return -(-values // block) * size


def _stored(data: Mapping[str, Any], name: str) -> int | None:
    value = data.get(name)
    if value is not None and (
        not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_INTEGER
    ):
        raise ValueError(f"{name}: a whole number is needed")
    return value


def _group(data: Mapping[str, Any]) -> LayerGroup:
    kind = data.get("kind")
    if not isinstance(kind, str) or kind not in set(Kind):
        raise ValueError(f"groups: {kind!r} is not a kind of layer")
    numbers = {
        field.name: _stored(data, field.name)
        for field in fields(LayerGroup)
        if field.name != "kind" and field.name in data
    }
    return LayerGroup(
        Kind(kind), **{name: number for name, number in numbers.items() if number is not None}
    )
