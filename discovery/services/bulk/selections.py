"""Which models somebody has chosen, and what an operation would come to for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from discovery.models import RegisteredModel, RegisteredModelQuerySet
from discovery.services.bulk.operations import Operation
from discovery.services.core.form_stamps import stamp
from discovery.services.metadata import metadata
from discovery.services.metadata.plans import COLUMNS, FieldError, Plan
from discovery.services.registry import aliases
from discovery.services.search import model_filters, model_search
from discovery.services.search.search_language import SearchError as Misunderstood

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: Models that are read, and written, at a time.
BATCH = 500
#: A preview looks at so many models, and shows so many of each kind.
MAX_PREVIEW, MAX_EXAMPLES = 20_000, 5
MAX_FAULTS = 100


@dataclass(frozen=True, slots=True)
class Selection:
    """``ids`` as they were ticked, or all that the address query of the Models page finds."""

    ids: tuple[str, ...] = ()
    query: str | None = None

    def models(self, user: User) -> RegisteredModelQuerySet:
        if self.query is not None:
            return model_search.found(user, model_filters.ModelFilters.read(self.query)).order_by(
                "pk"
            )
        visible = RegisteredModel.objects.visible_to(user)
        return visible.filter(aliases.named(self.ids)).order_by("pk")

    @property
    def faults(self) -> tuple[Misunderstood, ...]:
        """What the query says that is not understood: then it finds nothing."""
        return model_filters.ModelFilters.read(self.query).faults if self.query else ()

    def keys(self, user: User) -> list[int]:
        return list(self.models(user).values_list("pk", flat=True))


@dataclass(frozen=True, slots=True)
class Example:
    """What one model would have in one field. ``source`` is where its value is from now."""

    model_id: str
    title: str
    before: Any
    after: Any
    source: str


@dataclass(slots=True)
class Effect:
    """The effect of an operation on one field."""

    models: int = 0
    examples: list[Example] = field(default_factory=list)


@dataclass(slots=True)
class Preview:
    """What a bulk edit would change.

    ``total`` models are selected, and the first ``looked_at`` were tried: ``changing`` would
    change, ``same`` have the value already.

    ``stamp`` identifies the values that would be replaced, to tell whether they are still those
    that were shown.
    """

    total: int
    looked_at: int = 0
    changing: int = 0
    same: int = 0
    effects: dict[str, Effect] = field(default_factory=dict)
    faults: list[FieldError] = field(default_factory=list)
    faulty: int = 0
    stamp: str = ""


def preview(operation: Operation, selection: Selection, user: User) -> Preview:
    """What would happen; writes nothing."""
    keys = selection.keys(user)
    result = Preview(len(keys))
    if operation.kind == "validate":
        result.changing = result.looked_at = len(keys)
        return result
    result.effects = {name: Effect() for name in operation.fields}
    replaced = blake2b(digest_size=8)
    for chunk in chunks(keys[:MAX_PREVIEW]):
        records = records_of(chunk)
        plan = operation.plan(records)
        result.looked_at += len(records)
        result.changing += len(plan.changes)
        result.same += len(records) - len(plan.changes) - len(plan.faults)
        result.faulty += len(plan.faults)
        result.faults += plan.faults[: MAX_FAULTS - len(result.faults)]
        for record, changes in plan.changes.items():
            for name, after in changes.items():
                effect = result.effects[name]
                effect.models += 1
                # Entries that are added to a list, or taken from it, replace nothing.
                if name in operation.values:
                    replaced.update(
                        f"{record.pk} {name} "
                        f"{stamp(metadata.decided(record, name, plan.linked))}\n".encode()
                    )
                if len(effect.examples) < MAX_EXAMPLES:
                    effect.examples.append(_example(record, name, after, plan))
    result.stamp = replaced.hexdigest()
    return result


def mark(operation: Operation, shown: Preview) -> str:
    """Return a stamp of what a preview showed.

    It changes when the operation, the number of models or the values to replace change.
    """
    return stamp([operation.as_json(), shown.total, shown.stamp])


def _example(record: RegisteredModel, name: str, after: Any, plan: Plan) -> Example:
    """Return an example of the result.

    A field returned to automatic shows the value from the files.
    """
    read = record.extracted.get(name)
    comes = read["value"] if after is None and read else after
    source = (
        f"edited by {record.curated[name]['by']}"
        if name in record.curated
        else str(read["source"])
        if read
        else ""
    )
    return Example(
        record.model_id, record.title, metadata.effective(record, name, plan.linked), comes, source
    )


def records_of(keys: Sequence[int], *, lock: bool = False) -> list[RegisteredModel]:
    """With the columns that plans read."""
    rows = RegisteredModel.objects.only(*COLUMNS).filter(pk__in=keys).order_by("pk")
    return list(rows.select_for_update() if lock else rows)


def chunks(keys: Sequence[int], size: int = BATCH) -> Iterator[Sequence[int]]:
    for start in range(0, len(keys), size):
        yield keys[start : start + size]
