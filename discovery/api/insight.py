"""What is worked out from models: completeness, family, memory, comparisons and the disk map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from django.http import HttpRequest
from ninja import Query, Router

from discovery.api import closed_lists, paging
from discovery.api import insight_schemas as schemas
from discovery.api.authentication import READ, Access, caller_of, fetch
from discovery.api.errors import ApiError
from discovery.engine.core import fields
from discovery.engine.core.service_words import TokenScope
from discovery.engine.disk.ledger import Use
from discovery.models import RegisteredModel, Right, Root
from discovery.services.access.redaction import Sight
from discovery.services.insight import comparison, completeness_report, lineage, overview
from discovery.services.machine import memory_fit
from discovery.services.scans import ledgers

router = Router(tags=["Insight"])

#: Columns of a row of the report.
_COLUMNS = (
    "model_id", "name", "display_name", "path", "root__path", "status", "primary", "secondary",
    "specialization", "parameter_count", "extracted", "curated",
)  # fmt: skip


@router.get(
    "/completeness",
    auth=Access(TokenScope.READ, Right.EDIT),
    response=schemas.CompletenessReport,
    operation_id="completeness_report",
    summary="What nobody has filled in",
)
def completeness(request: HttpRequest, query: Query[schemas.CompletenessQuery]) -> dict[str, Any]:
    """Models by their score, the lowest first, each with what it lacks."""
    user = caller_of(request).user
    summary = completeness_report.summary(user)
    keys = completeness_report.worst_first(user, query.lacking or "").values_list("pk", flat=True)

    def together(page: list[int]) -> list[dict[str, Any]]:
        rows = RegisteredModel.objects.visible_to(user).select_related("root").only(*_COLUMNS)
        records = rows.in_bulk(page)
        return [_lacking(records[key]) for key in page if key in records]

    return paging.numbered(request, keys, query, together=together, **asdict(summary))


def _lacking(record: RegisteredModel) -> dict[str, Any]:
    advice = completeness_report.advice(record)
    naming = advice.name and {"reason": advice.name.reason, "better": advice.name.better}
    return {
        "model_id": record.model_id,
        "name": record.title,
        "score": advice.score,
        "missing": advice.missing,
        "naming": naming,
        "better_place": advice.place,
    }


@router.get(
    "/models/{model_id}/family",
    auth=READ,
    response=schemas.FamilyAnswer,
    operation_id="get_family",
    summary="Relatives of a model",
)
def family(request: HttpRequest, model_id: str) -> dict[str, Any]:
    """Bases, fine-tunes, adapters, quantizations, and the same model in other formats."""
    record = fetch(request, model_id)
    found = lineage.family(record, caller_of(request).user)
    return {
        "model_id": record.model_id,
        **{
            name: [_relative(each) for each in getattr(found, name)]
            for name in ("ancestors", "children", "formats", "siblings")
        },
    }


def _relative(each: lineage.Relative) -> dict[str, Any]:
    record = each.record
    return {
        "name": each.name,
        "relation": each.relation,
        "model_id": record.model_id if record else None,
    }


@router.get(
    "/models/{model_id}/memory",
    auth=READ,
    response=schemas.MemoryAnswer,
    operation_id="get_memory",
    summary="What running a model takes",
)
def memory(request: HttpRequest, model_id: str, query: Query[schemas.MemoryQuery]) -> Any:
    """For a variant, a context and a type of cache of your choice, on each machine."""
    record = fetch(request, model_id)
    names = [str(item["name"]) for item in record.variants]
    if query.variant is not None and query.variant not in names:
        text = closed_lists.not_known(query.variant, names)
        raise ApiError(422, "The model has no such variant.", errors=[(("query", "variant"), text)])
    need = memory_fit.need(
        record, variant=query.variant or "", context=query.context, kv_type=query.kv_type
    )
    terms = ("weights", "kv_cache", "overhead", "projector", "total")
    estimate = need.estimate if need else None
    return {
        "model_id": record.model_id,
        "variant": need.variant if need else None,
        "context_length": estimate.context_length if estimate else None,
        "kv_type": query.kv_type,
        **{f"{name}_bytes": getattr(estimate, f"{name}_bytes", None) for name in terms},
        "at_least": list(estimate.missing) if estimate else [],
        "notes": list(need.notes) if need else [],
        "machines": [
            {
                "name": each.machine.name or "This machine",
                "budget_bytes": each.budget,
                "fits": each.fits,
            }
            for each in (need.machines if need else ())
        ],
    }


@router.get(
    "/compare",
    auth=READ,
    response=schemas.ComparisonAnswer,
    operation_id="compare_models",
    summary="Models side by side",
    exclude_unset=True,
)
def compare(request: HttpRequest, query: Query[schemas.CompareQuery]) -> dict[str, Any]:
    """Two to six models, field by field."""
    chosen = comparison.choose(caller_of(request).user, query.model_id)
    models = chosen.models
    enough = len(models) >= comparison.FEWEST
    rows = _compared(models, Sight(caller_of(request).user)) if enough else []
    fault = comparison.why_not_tensors(models) if query.tensors else ""
    tensors = comparison.tensors(models) if query.tensors and enough and not fault else None
    told: dict[str, Any] = {
        "models": chosen.ids,
        "results": [row for row in rows if row["differs"] or not query.differences],
        "tensors": tensors and _tensors(tensors),
        "tensors_fault": fault or None,
    }
    return told | ({"unknown": {"model_id": chosen.unknown}} if chosen.unknown else {})


def _compared(models: Sequence[RegisteredModel], sight: Sight) -> list[dict[str, Any]]:
    columns = {
        each.name: [model.value(each.name) for model in models]
        for each in fields.FIELDS.values()
        if "compare" not in each.not_in
    }
    columns |= {
        "status": [model.status for model in models],
        "size_bytes": [model.size_bytes for model in models],
        "file_count": [model.file_count for model in models],
        "memory_bytes": [model.memory_bytes for model in models],
        "root": [sight.root(model.root) for model in models],
        "path": [model.path for model in models],
        "visibility": [model.visibility for model in models],
    }
    return [
        {"field": name, "differs": any(value != values[0] for value in values), "values": values}
        for name, values in columns.items()
        if any(value not in (None, "", [], {}) for value in values)
    ]


def _tensors(found: comparison.Tensors) -> dict[str, Any]:
    return {
        "same": found.same,
        "differing": found.differing,
        "results": [
            {
                "name": row.name,
                "kinds": [
                    {"dtype": kind[0], "shape": list(kind[1])} if kind else None
                    for kind in row.kinds
                ],
            }
            for row in found.rows
        ],
        "faults": list(found.faults),
    }


@router.get(
    "/disk-map",
    auth=READ,
    response=schemas.DiskMap,
    operation_id="get_disk_map",
    summary="What takes up the disk",
)
def disk_map(request: HttpRequest, query: Query[schemas.DiskMapQuery]) -> dict[str, Any]:
    """Bytes of the models that you see, by category, type, status or root."""
    caller = caller_of(request)
    registry, sight = overview.registry(caller.user), Sight(caller.user)
    largest = overview.largest(caller.user, query.largest) if query.largest else []
    strays = None
    if caller.may(Right.VIEW_SCANS, Right.VIEW_ALL):
        strays = ledgers.sums(Root.objects.filter(enabled=True))[Use.UNRECOGNIZED]
    return {
        "count": registry.models,
        "size_bytes": registry.size,
        "results": [
            {
                "value": _value(share.value, query.by, sight),
                "count": share.models,
                "size_bytes": share.size,
            }
            for share in registry.by(query.by)
        ],
        "largest": [
            {"model_id": record.model_id, "size_bytes": record.size_bytes} for record in largest
        ],
        "unrecognized": strays and {"files": strays.files, "bytes": strays.bytes},
    }


def _value(value: Any, by: str, sight: Sight) -> str | None:
    return sight.roots[value] if by == "root" else (value or None)
