"""Which program runs a model of a folder, by what describes it, its tensors and its formats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from discovery.engine.core import format_registry
from discovery.engine.core.types import Header, Variant
from discovery.engine.core.vocabulary import ModelType
from discovery.engine.disk.folder import ModelFolder
from discovery.engine.identify import tensor_clues
from discovery.engine.identify.adapters import is_adapter
from discovery.engine.identify.descriptions import Description
from discovery.engine.identify.weight_files import WeightSet
from discovery.engine.sidecars import model_config


def speaking(sets: Sequence[WeightSet], format_name: str) -> list[Header]:
    """Headers of the format that represents the model."""
    return [header for group in sets if group.format == format_name for header in group.headers[:4]]


#: What only painters' tensors are called, and what the marks of their kinds are.
_PAINTED = ("model.diffusion_model.", "first_stage_model.", "double_blocks.")
_PAINTS = ("tensors:diffusion", "tensors:video")
#: Tensors of a word that a painter has learned.
MAX_WORDS = 2


def _paints(features: Mapping[str, str]) -> bool:
    return any(tensor_clues.is_painters(features.get(mark, "")) for mark in _PAINTS)


def type_of(
    folder: ModelFolder,
    variants: Sequence[Variant],
    sets: Sequence[WeightSet],
    told: Description,
    quantization: str | None,
    features: Mapping[str, str],
) -> ModelType:
    """``marks`` are what the tensors and graphs show."""
    config = told.config
    main = (variants[0].format or None) if variants else None
    tensors = [
        tensor for group in sets for header in group.headers[:1] for tensor in header.tensors[:4000]
    ]
    if told.pipeline is not None or (config is not None and "_diffusers_version" in config):
        return ModelType.DIFFUSERS
    if told.adapter is not None or is_adapter(tensors):
        return ModelType.PEFT
    if "modules.json" in folder or "config_sentence_transformers.json" in folder:
        return ModelType.SENTENCE_TRANSFORMERS
    if (
        main in ("pytorch", "safetensors", "flax", "tensorflow", None)
        and config is not None
        and model_config.looks_like_model(config)
    ):
        mlx = quantization == "mlx" or any(
            header.metadata.get("format") == "mlx" for group in sets for header in group.headers
        )
        return ModelType.MLX if mlx else ModelType.TRANSFORMERS
    if main == "numpy" and config is not None and model_config.looks_like_model(config):
        return ModelType.MLX
    if any(tensor.name.startswith(_PAINTED) for tensor in tensors):
        return ModelType.DIFFUSERS
    if main in ("safetensors", "pytorch") and len(tensors) > MAX_WORDS and _paints(features):
        return ModelType.DIFFUSERS
    if main is None:
        return ModelType.TRANSFORMERS if sets or folder.faulty else ModelType.UNKNOWN
    if stated := next((header.type for header in speaking(sets, main) if header.type), None):
        return stated
    known = format_registry.get(main)
    return known.type if known else ModelType.UNKNOWN
