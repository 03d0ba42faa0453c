"""The panel "Will it run here?": each term of the sum as a bar.

People choose the context, KV type and variant.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from discovery.engine.memory import KV_TYPES
from discovery.models import RegisteredModel
from discovery.services.machine import memory_fit
from discovery.services.machine.memory_fit import Need, OnMachine
from discovery.web.shared.shortcuts import fetch

#: The bar is drawn 100 units wide.
WIDTH = 100.0


@dataclass(frozen=True, slots=True)
class Part:
    """One term of the sum as a rectangle.

    It has a name, the class for its color, its bytes, and the rectangle's start and width.
    """

    label: str
    tone: str
    size: int
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class Bar:
    machine: OnMachine
    parts: tuple[Part, ...]
    total: int | None


@require_safe
def panel(request: HttpRequest, model_id: str) -> HttpResponse:
    """Show the panel alone, for htmx.

    Without JavaScript the same choices are parameters of the model's page.
    """
    record = fetch(request, model_id)
    return render(
        request, "discovery/model/_memory.html", {"model": record, **context(request, record)}
    )


def context(request: HttpRequest, record: RegisteredModel) -> dict[str, Any]:
    asked = request.GET.get("context", "")
    length = int(asked) if asked.isdecimal() and len(asked) < 10 and int(asked) > 0 else None
    need = memory_fit.need(
        record,
        variant=request.GET.get("variant", ""),
        context=length,
        kv_type=request.GET.get("kv", "f16"),
    )
    if need is None:
        return {"need": None}
    own = record.value("context_length")
    choices = sorted(
        {
            number
            for number in (*memory_fit.CONTEXTS, own)
            if number and (own is None or number <= own)
        }
    )
    return {
        "need": need,
        "bars": _bars(need),
        "contexts": choices,
        "own_context": own,
        "kv_types": list(KV_TYPES),
    }


def _bars(need: Need) -> list[Bar]:
    return [
        Bar(machine, _parts(need, machine.budget), need.estimate.total_bytes)
        for machine in need.machines
    ]


def _parts(need: Need, budget: int) -> tuple[Part, ...]:
    """Return the parts of the bar.

    It is as long as the machine's memory, or as the need where that is more.
    """
    estimate = need.estimate
    terms = (
        ("weights", "weights", estimate.weights_bytes),
        ("KV cache", "cache", estimate.kv_cache_bytes),
        ("overhead", "overhead", estimate.overhead_bytes),
        ("projector", "projector", estimate.projector_bytes),
    )
    return stack(terms, max(budget, estimate.total_bytes or 0))


def stack(terms: Iterable[tuple[str, str, int | None]], whole: int) -> tuple[Part, ...]:
    """Return adjacent rectangles for (label, tone, bytes) in one bar.

    The bar is ``whole`` bytes long.
    """
    parts, start = [], 0.0
    for label, tone, size in terms:
        if size:
            width = size / max(whole, 1) * WIDTH
            parts.append(Part(label, tone, size, round(start, 2), round(width, 2)))
            start += width
    return tuple(parts)
