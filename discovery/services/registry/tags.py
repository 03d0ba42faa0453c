"""Tags: rows that follow the resolved ``tags`` of models, with a color.

They are renamed, merged and deleted everywhere at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from discovery.engine.core.text import clean
from discovery.models import RegisteredModel, Tag

if TYPE_CHECKING:
    from django.db.models import QuerySet

MAX_NAME = 200
MAX_SUGGESTED = 300
_Link = RegisteredModel.tagged.through


def names_of(record: RegisteredModel) -> list[str]:
    """The tags a record has now, each once, as rows are named."""
    value = record.value("tags")
    names = (clean(str(name), MAX_NAME) for name in value) if isinstance(value, list) else ()
    return list(dict.fromkeys(name for name in names if name))


def suggestions() -> QuerySet[Tag, str]:
    """Names that a form offers. Asked for once a form shows them."""
    return Tag.objects.order_by("name").values_list("name", flat=True)[:MAX_SUGGESTED]


def sync(records: Sequence[RegisteredModel]) -> None:
    """Update the rows of these records from their values, in a fixed number of statements."""
    wanted = {record.pk: set(names_of(record)) for record in records}
    names = sorted({name for own in wanted.values() for name in own})
    known = _known(names)
    Tag.objects.bulk_create(
        [Tag(name=name) for name in names if name not in known], ignore_conflicts=True
    )
    if len(known) < len(names):
        known = _known(names)
    links = _Link.objects.filter(registeredmodel__in=list(wanted)).values_list(
        "pk", "registeredmodel_id", "tag_id"
    )
    have: dict[tuple[int, int], int] = {(model, tag): pk for pk, model, tag in links}
    want = {(model, known[name]) for model, own in wanted.items() for name in own}
    _Link.objects.filter(pk__in=[pk for pair, pk in have.items() if pair not in want]).delete()
    new = [_Link(registeredmodel_id=model, tag_id=tag) for model, tag in sorted(want - have.keys())]
    _Link.objects.bulk_create(new, ignore_conflicts=True)


def _known(names: Sequence[str]) -> dict[str, int]:
    return dict(Tag.objects.filter(name__in=names).values_list("name", "pk"))


def colours() -> dict[str, str]:
    """{name: colour} of the tags that have one."""
    return dict(Tag.objects.exclude(colour="").values_list("name", "colour"))
