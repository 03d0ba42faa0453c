"""Changes made together, with what the history shows of each batch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field
from uuid import UUID

from django.db.models import Count, Q, QuerySet

from discovery.models import MetadataChange
from discovery.services.access.redaction import Sight
from discovery.services.metadata import undo, undone
from discovery.web.shared import changes

#: Changes of a batch that the list of batches shows.
MAX_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """One change.

    ``can_undo`` tells that this kind of change can be undone here, and has not been.
    """

    change: MetadataChange
    view: changes.ChangeView
    can_undo: bool
    taken_back: bool


@dataclass(slots=True)
class Batch:
    """Changes that were made together.

    ``fields`` are (name, what it is called, changes); ``taken_back`` counts those that an undo took
    back.
    """

    head: MetadataChange
    fields: list[tuple[str, str, int]]
    rows: list[ChangeRow] = field(default_factory=list)
    taken_back: int = 0
    can_undo: bool = False

    @property
    def total(self) -> int:
        return sum(count for _, _, count in self.fields)

    @property
    def models(self) -> int:
        """Each model is changed once a field at most."""
        return max((count for _, _, count in self.fields), default=0)

    @property
    def more(self) -> int:
        return self.total - len(self.rows)


def without_heavy_columns(rows: QuerySet[MetadataChange]) -> QuerySet[MetadataChange]:
    """The changes with what a row shows; the models' JSON columns stay in the database."""
    columns = ("field", "before", "after", "at", "channel", "batch", "undoes", "by__username")
    return rows.select_related("model", "by").only(
        *columns, "model__model_id", "model__name", "model__display_name", "model__status"
    )


def _row(change: MetadataChange, gone: Set[tuple[UUID, int, str]], sight: Sight) -> ChangeRow:
    nothing = "nothing" if change.field == "finding" else "automatic"
    taken_back = (change.batch, change.model_id, change.field) in gone
    before, after = (sight.change(change.field, value) for value in (change.before, change.after))
    view = changes.change_view(change.field, before, after, nothing=nothing)
    return ChangeRow(change, view, undo.is_undoable(change.field) and not taken_back, taken_back)


def batches_ending_with(
    heads: Sequence[int],
    found: QuerySet[MetadataChange],
    rows: QuerySet[MetadataChange],
    sight: Sight,
) -> list[Batch]:
    """Return the batches that end with ``heads``.

    Each has a few of its changes that the filters found.
    """
    if not heads:
        return []
    # Changes of a batch are written together: looking just below its last one is enough, however
    # many there are.
    near = Q()
    keys = dict(MetadataChange.objects.filter(pk__in=heads).values_list("pk", "batch"))
    for pk, batch in keys.items():
        near |= Q(batch=batch, pk__gt=pk - 2 * MAX_EXAMPLES, pk__lte=pk)
    examples: dict[UUID, list[MetadataChange]] = defaultdict(list)
    for change in without_heavy_columns(found.filter(near)):
        if len(examples[change.batch]) < MAX_EXAMPLES:
            examples[change.batch].append(change)
    return _batches_of([examples[keys[head]] for head in heads if head in keys], rows, sight)


def grouped_by_batch(
    page: Iterable[MetadataChange], rows: QuerySet[MetadataChange], sight: Sight
) -> list[Batch]:
    """Changes that follow each other and belong together, as one."""
    groups: list[list[MetadataChange]] = []
    for change in page:
        if groups and groups[-1][0].batch == change.batch:
            groups[-1].append(change)
        else:
            groups.append([change])
    return _batches_of(groups, rows, sight)


def _batches_of(
    groups: Sequence[Sequence[MetadataChange]], rows: QuerySet[MetadataChange], sight: Sight
) -> list[Batch]:
    """Return a batch for each group, with totals of its changes among ``rows`` by field.

    It also has how many of these are undone.
    """
    batches = [group[0].batch for group in groups]
    counts: dict[UUID, list[tuple[str, str, int]]] = defaultdict(list)
    counted = (
        rows.order_by()
        .filter(batch__in=batches)
        .values("batch", "field")
        .annotate(count=Count("pk"))
        .order_by("batch", "-count", "field")
    )
    for row in counted:
        counts[row["batch"]].append((row["field"], changes.label(row["field"]), row["count"]))
    taken, gone = (
        undone.counts(batches, rows),
        undone.changes([change for group in groups for change in group]),
    )
    told = []
    for group in groups:
        batch = Batch(
            group[0],
            counts[group[0].batch],
            [_row(change, gone, sight) for change in group],
            taken.get(group[0].batch, 0),
        )
        batch.can_undo = (
            any(undo.is_undoable(name) for name, _, _ in batch.fields)
            and batch.taken_back < batch.total
        )
        told.append(batch)
    return told
