"""The sum: weights + KV cache + compute buffer + projector, each term shown, and what is missing
said instead of guessed.

Source of the compute buffer: llama.cpp's reservation for one micro-batch of 512 tokens with flash
attention. The largest moment is either the output (logits beside the last activations: Llama 3.1
8B, (128,256 + 4,096) × 512 × 4 = 258.5 MiB, as its log says) or the feed-forward layer (gate, up,
and the activations before and after it); the attention mask, 512 rows as long as the context, is
there all the time.
"""

from __future__ import annotations

from dataclasses import dataclass

from discovery.engine.memory.attention import KV_TYPES, AttentionShape, kv_cache_bytes

#: Tokens computed at once (``--ubatch-size``).
BATCH = 512
ACTIVATION_BYTES = 4

#: Graph, scheduler and allocator take this much of any model, however small.
MIN_OVERHEAD = 64 << 20

#: No machine has so much: a header that comes to more is wrong.
MAX_CACHE = 1 << 50


@dataclass(frozen=True, slots=True)
class Estimate:
    """Bytes; an unknown term is ``None`` and not part of the total.

    ``at_least``: something in ``missing`` would add to it.

    ``context_length`` is the one the figures hold for: the chosen one, or the model's own where
    that is shorter or none was chosen.
    """

    weights_bytes: int | None
    kv_cache_bytes: int | None
    overhead_bytes: int | None
    projector_bytes: int
    total_bytes: int | None
    context_length: int | None
    kv_type: str
    at_least: bool
    missing: tuple[str, ...] = ()
    note: str = ""


def estimate(
    weights_bytes: int | None,
    shape: AttentionShape | None,
    *,
    context: int | None = None,
    kv_type: str = "f16",
    projector_bytes: int = 0,
) -> Estimate:
    """``shape`` is ``None`` where neither config nor header describe the layers.

    Raises ``ValueError`` for an unknown ``kv_type``.
    """
    if kv_type not in KV_TYPES:
        raise ValueError(
            f"{kv_type!r} is not a type of KV cache; choose from {', '.join(KV_TYPES)}"
        )
    missing = [] if weights_bytes is not None else ["the size of the weights"]
    length, cache, overhead = context, None, None
    if shape is None:
        missing.append("the shape of its layers")
    else:
        missing += shape.missing
        length = min((n for n in (context, shape.max_context) if n), default=None)
        cache = _cache(shape, length, kv_type, missing)
        overhead = compute_buffer(shape, length, missing)
    total = (
        None
        if weights_bytes is None
        else weights_bytes + (cache or 0) + (overhead or 0) + projector_bytes
    )
    note = shape.note if shape else ""
    return Estimate(
        weights_bytes,
        cache,
        overhead,
        projector_bytes,
        total,
        length,
        kv_type,
        bool(missing),
        tuple(dict.fromkeys(missing)),
        note,
    )


def _cache(
    shape: AttentionShape, length: int | None, kv_type: str, missing: list[str]
) -> int | None:
    if not shape.caches:
        return 0
    if not shape.groups:
        return None
    if shape.grows and not length:
        missing.append("the context length")
        return None
    size = kv_cache_bytes(shape, length or 0, kv_type)
    if size > MAX_CACHE:
        missing.append("plausible lengths of its layers")
        return None
    return size


def compute_buffer(shape: AttentionShape, length: int | None, missing: list[str]) -> int:
    """The memory beyond weights and cache while one batch is computed.

    Unknown lengths are added to ``missing`` and count nothing. A model without a cache writes no
    logits: only its activations count.
    """
    embedding, inner, vocabulary = (
        shape.embedding_length or 0,
        shape.feed_forward_length or 0,
        shape.vocab_size or 0,
    )
    wanted = {"the embedding length": embedding, "the feed-forward length": inner} | (
        {"the vocabulary size": vocabulary} if shape.caches else {}
    )
    missing += [name for name, value in wanted.items() if not value]
    tokens = min(BATCH, length or BATCH)
    output = vocabulary + embedding if shape.caches else 0
    mask = (length or 0) if shape.grows or not shape.caches else 0
    return max(
        MIN_OVERHEAD, tokens * ACTIVATION_BYTES * (max(output, 2 * inner + 2 * embedding) + mask)
    )
