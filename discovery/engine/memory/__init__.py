"""How much memory a model takes: weights, KV cache, compute buffer, projector; and whether a
machine has that much.
"""

from discovery.engine.core.machines import (
    Gpu,
    Machine,
    MachineProfile,
    Machines,
    capacity,
    fits,
)
from discovery.engine.core.vocabulary import Fits
from discovery.engine.memory.attention import (
    KV_TYPES,
    AttentionShape,
    Kind,
    LayerGroup,
    kv_cache_bytes,
    without_cache,
)
from discovery.engine.memory.config_shape import shape_from_config
from discovery.engine.memory.estimate import Estimate, estimate
from discovery.engine.memory.gguf_shape import shape_from_gguf

__all__ = [
    "KV_TYPES", "AttentionShape", "Estimate", "Fits", "Gpu", "Kind", "LayerGroup", "Machine",
    "MachineProfile", "Machines", "capacity", "estimate",
    "fits", "kv_cache_bytes", "shape_from_config", "shape_from_gguf", "without_cache",
]  # fmt: skip
