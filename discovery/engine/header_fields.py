"""What weight headers say in the document's words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from discovery.engine import gguf_models
from discovery.engine.formats.gguf import Array
from discovery.engine.found import Merge
from discovery.engine.gguf_models import GGUFModel
from discovery.engine.text import clean, positive, strings
from discovery.engine.types import Tensor, Variant

#: What only the tensors of an adapter are called.
_ADAPTER = re.compile(
    r"\.lora_[AB]\b|\.lora_(?:down|up)\.|\.lora\.(?:down|up)|^lora_(?:unet|te)|\.hada_w1|\.oft_|\.lokr_w1|\.processor\.to_\w+_lora"
)

#: How many tensors are asked for their name: an adapter shows in the first ones.
_SAMPLE = 24


def weight_fields(merge: Merge, first: Variant) -> None:
    """Counts, precision and quantization of the variant that speaks for the model."""
    merge.add(
        "tensors",
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
    """``modelspec.*`` (https://github.com/Stability-AI/ModelSpec) and what kohya's trainers leave (``ss_*``)."""
    spec = {
        key: clean(value, 600)
        for key in ("author", "description", "license", "version")
        if isinstance(value := metadata.get(f"modelspec.{key}"), str)
    }
    base = metadata.get("ss_sd_model_name") or metadata.get("ss_base_model_version")
    found: dict[str, Any] = {
        **spec,
        "base_model": clean(base, 300)
        if isinstance(base, str) and base not in ("None", "")
        else None,
    }
    if isinstance(tags := metadata.get("modelspec.tags"), str):
        found["tags"] = strings([part.strip() for part in tags.split(",")])
    return found


def is_adapter(tensors: Sequence[Tensor]) -> bool:
    """Whether most of the first tensors are an adapter's, by their names."""
    sample = tensors[:_SAMPLE]
    return sum(1 for tensor in sample if _ADAPTER.search(tensor.name)) * 2 > len(sample)
