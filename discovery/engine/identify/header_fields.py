"""What weight headers say in the document's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from discovery.engine.core.text import clean, positive, strings
from discovery.engine.core.types import Variant
from discovery.engine.formats.gguf import Array
from discovery.engine.identify import gguf_models
from discovery.engine.identify.found import Merge
from discovery.engine.identify.gguf_models import GGUFModel


def weight_fields(merge: Merge, first: Variant) -> None:
    """Counts, precision and quantization of the variant that represents the model."""
    # Some formats state their counts and keep no list of tensors.
    merge.add(
        "tensors" if first.weights_bytes or not first.format else f"{first.format} header",
        {
            "parameter_count": first.parameter_count,
            "dtype": first.dtype,
            "bits_per_weight": first.bits_per_weight,
        },
    )
    merge.add(
        "gguf header" if first.format == "gguf" else "tensors", {"quantization": first.quantization}
    )


def gguf_fields(model: GGUFModel) -> dict[str, Any]:
    """``general.*`` and the architecture's own keys."""
    metadata = model.metadata
    tokens = metadata.get("tokenizer.ggml.tokens")
    vocabulary = (
        tokens.length
        if isinstance(tokens, Array)
        else len(tokens)
        if isinstance(tokens, list)
        else None
    )
    text = {
        key: clean(value, 300)
        for key in ("license", "author", "version", "description")
        if isinstance(value := metadata.get(f"general.{key}"), str)
    }
    found: dict[str, Any] = {
        "architecture": gguf_models.architecture(metadata),
        "context_length": positive(gguf_models.length(metadata, "context_length")),
        "embedding_length": positive(gguf_models.length(metadata, "embedding_length")),
        "layer_count": positive(gguf_models.length(metadata, "block_count")),
        "vocab_size": positive(vocabulary) or positive(gguf_models.length(metadata, "vocab_size")),
        "language_support": strings(metadata.get("general.languages")),
        "tags": strings(metadata.get("general.tags")),
        "base_model": _base_model(metadata),
        **text,
    }
    return found


def _base_model(metadata: Mapping[str, Any]) -> str | None:
    url, name = (
        metadata.get("general.base_model.0.repo_url"),
        metadata.get("general.base_model.0.name"),
    )
    if isinstance(url, str) and url.startswith("https://huggingface.co/"):
        return clean(url.removeprefix("https://huggingface.co/"), 300) or None
    return clean(name, 300) or None if isinstance(name, str) else None


def safetensors_fields(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """``modelspec.*`` (https://github.com/Stability-AI/ModelSpec) and what kohya's trainers leave
    (``ss_*``).
    """
    spec = {
        key: clean(value, 600)
        for key in ("author", "description", "license", "version")
        if isinstance(value := metadata.get(f"modelspec.{key}"), str)
    }
    base = metadata.get("ss_sd_model_name") or metadata.get("ss_base_model_version")
    found: dict[str, Any] = {
        **spec,
        "base_model": (
            clean(base, 300) if isinstance(base, str) and base not in ("None", "") else None
        ),
    }
    if isinstance(tags := metadata.get("modelspec.tags"), str):
        found["tags"] = strings([part.strip() for part in tags.split(",")])
    return found
