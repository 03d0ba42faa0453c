"""The model document (contract, section 5), for models just read and for the registry's."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from discovery.engine.classify.categorize import as_json
from discovery.engine.core.fields import FIELDS, LISTED, SINGLE, Kind, names
from discovery.engine.core.paths import to_text
from discovery.engine.core.types import Found, problem_json
from discovery.engine.core.vocabulary import AXES
from discovery.engine.memory import AttentionShape, Estimate, Machine, estimate, fits

#: Fields with one value; those of ``CATEGORIES`` are together under ``category``.
TEXTS_AND_NUMBERS = tuple(
    name for name in names(*SINGLE) if name not in AXES and not FIELDS[name].hosted
)
LISTS = names(*LISTED)
OBJECTS = names(Kind.OBJECT)
CATEGORIES = AXES


def assemble(
    values: Mapping[str, Any],
    variants: list[dict[str, Any]],
    memory_shape: Mapping[str, Any],
    machine: Machine | None,
) -> dict[str, Any]:
    """The document's fields from ``values`` ({field: resolved value}).

    Unknown fields are ``null`` or empty.
    """
    document: dict[str, Any] = {name: values.get(name) for name in TEXTS_AND_NUMBERS}
    document["display_name"] = values.get("display_name") or values.get("name")
    document |= {name: values.get(name) or [] for name in LISTS}
    document |= {name: values.get(name) or {} for name in OBJECTS}
    document["category"] = {name: values.get(name) for name in CATEGORIES}
    document["endpoint"] = values.get("endpoint")
    document["variants"] = [_variant(item, memory_shape, machine) for item in variants]
    document["memory"] = (
        document["variants"][0]["memory"] if variants else memory(needed({}, memory_shape), machine)
    )
    return document


def _variant(
    item: Mapping[str, Any], memory_shape: Mapping[str, Any], machine: Machine | None
) -> dict[str, Any]:
    shown = {
        key: item.get(key)
        for key in (
            "name",
            "path",
            "format",
            "quantization",
            "bits_per_weight",
            "dtype",
            "size_bytes",
            "status",
        )
    }
    return {**shown, "memory": memory(needed(item, memory_shape), machine)}


def needed(
    variant: Mapping[str, Any],
    memory_shape: Mapping[str, Any],
    *,
    context: int | None = None,
    kv_type: str = "f16",
) -> Estimate:
    """Memory of a variant, at its own or a chosen context.

    Raises ``ValueError`` for an unknown ``kv_type``.
    """
    shape = AttentionShape.from_json(memory_shape["shape"]) if "shape" in memory_shape else None
    return estimate(
        variant.get("weights_bytes"),
        shape,
        context=context,
        kv_type=kv_type,
        projector_bytes=memory_shape.get("projector_bytes", 0),
    )


def memory(need: Estimate, machine: Machine | None) -> dict[str, Any]:
    """The memory part of the document.

    ``at_least`` names what is missing from the sum; ``fits`` is ``null`` where the machine or the
    sum is unknown.
    """
    return {
        "weights_bytes": need.weights_bytes,
        "kv_cache_bytes": need.kv_cache_bytes,
        "overhead_bytes": need.overhead_bytes,
        "projector_bytes": need.projector_bytes,
        "total_bytes": need.total_bytes,
        "at_least": list(need.missing),
        "context_length": need.context_length,
        "kv_type": need.kv_type,
        "fits": (
            fits(need.total_bytes, machine) if machine and need.total_bytes is not None else None
        ),
    }


def document(
    found: Found, root: str, model_id: str, machine: Machine | None = None
) -> dict[str, Any]:
    """The document of a model that is not in the registry.

    What only the registry knows is ``null``.
    """
    modified = (
        datetime.fromtimestamp(found.modified_ns / 1e9, UTC).isoformat()
        if found.modified_ns
        else None
    )
    body = assemble(
        {name: value.value for name, value in found.values.items()},
        variants_of(found),
        found.memory_shape,
        machine,
    )
    return {
        "model_id": model_id,
        "name": found.name,
        **body,
        "path": to_text(found.path),
        "root": to_text(root),
        "status": found.status.value,
        "size_bytes": found.size_bytes,
        "file_count": len(found.files),
        "modified_at": modified,
        "added_at": None,
        "last_seen_at": None,
        "visibility": None,
        "groups": [],
        "sources": {
            name: {"source": value.source, "curated": False} for name, value in found.values.items()
        },
        "evidence": as_json(found.evidence),
        "problems": problems_of(found),
    }


def variants_of(found: Found) -> list[dict[str, Any]]:
    return [
        {
            "name": item.name,
            "path": to_text(item.path),
            "format": item.format or None,
            "status": item.status.value,
            "size_bytes": item.size_bytes,
            "quantization": item.quantization,
            "bits_per_weight": item.bits_per_weight,
            "dtype": item.dtype,
            "parameter_count": item.parameter_count,
            "weights_bytes": item.weights_bytes,
            "files": [to_text(path) for path in item.files],
        }
        for item in found.variants
    ]


def problems_of(found: Found) -> list[dict[str, Any]]:
    return [problem_json(problem) for problem in found.problems]
