"""Estimates the parameters of weights that are not on this disk, never from a name.

The sizes come from git-lfs pointers and indexes.

A size needs a width to become a count. The config's precision gives it; where index and precision
disagree (``total_size`` written for float32, a config that says bfloat16) the shape in the config
is the referee, and only that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from discovery.engine.core.parameters import DTYPE_BITS
from discovery.engine.core.text import positive
from discovery.engine.core.types import Value
from discovery.engine.identify.weight_files import WeightSet
from discovery.engine.sidecars import model_config, model_shape


def unread_parameters(group: WeightSet, config: Mapping[str, Any]) -> Value | None:
    """The count and the file it was read from; ``None`` when no source states a size."""
    if any(file.header for file in group.files) and not group.index:
        return None
    declared = model_config.quantization(config)
    if declared.bits or declared.element:
        return None
    sizes = [file.size for file in group.files if file.pointer]
    if sizes and len(sizes) == len(group.files) and not group.missing:
        return _count(sum(sizes), config, "git-lfs pointers")
    if group.index and group.index.total_parameters:
        return Value(group.index.total_parameters, "weight index")
    if group.index and group.index.total_size:
        return _count(group.index.total_size, config, "weight index")
    return None


def _count(size: int, config: Mapping[str, Any], source: str) -> Value | None:
    dtype = model_config.dtype(config)
    shape = shape_parameters(config)
    widths = [DTYPE_BITS[dtype] // 8] if dtype else []
    if shape:
        fitting = min((1, 2, 4, 8), key=lambda width: abs(size / width - shape))
        if not widths or not 0.6 < size / widths[0] / shape < 1.7:
            widths = [fitting]
    if not widths:
        return None
    return Value(size // max(widths[0], 1), source)


def shape_parameters(config: Mapping[str, Any]) -> int | None:
    """Parameters of a plain transformer of this shape, accurate to some tens of percent.

    Used to choose between widths, never as a value.
    """
    if exact := model_shape.parameters(config):
        return exact
    fields = model_config.fields(config)
    hidden, layers = fields.get("embedding_length"), fields.get("layer_count")
    if not hidden or not layers:
        return None
    half: Mapping[str, Any] = next(
        (
            c
            for key in ("text_config", "llm_config", "language_config")
            if isinstance(c := config.get(key), dict) and c.get("hidden_size")
        ),
        config,
    )
    inner = positive(half.get("intermediate_size")) or positive(half.get("ffn_dim")) or 4 * hidden
    heads = positive(half.get("num_attention_heads")) or 1
    shared = (positive(half.get("num_key_value_heads")) or heads) / heads
    gates = 3 if half.get("hidden_act") in ("silu", "swish", "gelu_pytorch_tanh") else 2
    experts = positive(half.get("num_local_experts")) or positive(half.get("n_routed_experts")) or 1
    attention = hidden * hidden * (2 + 2 * shared)
    return int(
        layers * (attention + gates * hidden * inner * min(experts, 8))
        + 2 * (fields.get("vocab_size") or 0) * hidden
    )
