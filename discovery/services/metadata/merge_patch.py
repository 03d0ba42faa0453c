"""Changes from programs, merged into the current values of one or many models."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from django.db import transaction

from discovery.models import RegisteredModel
from discovery.services.metadata import memberships, metadata
from discovery.services.metadata.metadata import InvalidMetadata
from discovery.services.registry import aliases

if TYPE_CHECKING:
    from django.contrib.auth.models import User


#: (changes, record) → {field: why it may not be set}.
May = Callable[[Mapping[str, Any], RegisteredModel], Mapping[str, str]]

#: (what was sent, record) → the changes in it; raises ``InvalidMetadata``.
Read = Callable[[Mapping[str, Any], RegisteredModel], Mapping[str, Any]]


class Stale(Exception):
    """The model is not what the caller has seen; nothing was written."""


@dataclass(frozen=True, slots=True)
class Update:
    """The changes to one model and what is wrong with them: {field: text}.

    "model_id" may be among the fields. ``alias`` is the id that the caller used, where it is not
    the model's own.
    """

    model_id: str
    errors: Mapping[str, str]
    alias: str = ""


def update(
    model: RegisteredModel,
    changes: Mapping[str, Any],
    *,
    by: User,
    channel: str,
    if_match: Callable[[RegisteredModel], bool] = lambda _: True,
) -> RegisteredModel:
    """Merge ``changes`` into one model, object by object, and return the changed model.

    ``if_match`` decides whether the model still is the one that the caller has seen.

    Raises ``Stale`` or ``InvalidMetadata``.
    """
    with transaction.atomic():
        record = (
            RegisteredModel.objects.select_for_update(of=("self",))
            .select_related("root")
            .get(pk=model.pk)
        )
        if not if_match(record):
            raise Stale
        metadata.edit(record, metadata.merged(record, changes), by=by, channel=channel)
    return RegisteredModel.objects.select_related("root").get(pk=model.pk)


def update_many(
    updates: Sequence[tuple[str, Mapping[str, Any]]],
    *,
    by: User,
    channel: str,
    atomic: bool,
    may: May | None = None,
    read: Read = lambda changes, _record: changes,
) -> list[Update]:
    """Update models one by one, in one transaction and one batch; return the results in order.

    An invalid update does not affect the others, unless ``atomic``: then nothing is written. It
    takes a fixed number of statements. ``may`` tells which fields of a model this person may not
    set, ``read`` makes changes of what was sent, or raises ``InvalidMetadata``.
    """
    with transaction.atomic():
        visible = (
            RegisteredModel.objects.visible_to(by)
            .select_related("root")
            .select_for_update(of=("self",))
        )
        records = aliases.find_many(visible.order_by("pk"), (model_id for model_id, _ in updates))
        unknown = _unknown(changes for _, changes in updates)
        results: list[Update] = []
        wanted: dict[RegisteredModel, dict[str, Any]] = {}
        for model_id, changes in updates:
            record = records.get(model_id)
            if record is None:
                results.append(Update(model_id, {"model_id": "there is no such model"}))
                continue
            errors = _twice(record, wanted)
            try:
                changes = read(changes, record)
            except InvalidMetadata as error:
                errors = errors or error.errors
            errors = errors or (may(changes, record) if may else {})
            errors = errors or _into(wanted, record, changes, unknown)
            alias = model_id if model_id != record.model_id else ""
            results.append(Update(record.model_id, errors, alias))
        if not (atomic and any(result.errors for result in results)):
            metadata.edit_many(wanted, by=by, channel=channel, batch=uuid4())
    return results


def _twice(record: RegisteredModel, wanted: Mapping[RegisteredModel, Any]) -> Mapping[str, str]:
    if record not in wanted:
        return {}
    return {"model_id": "comes twice: put all changes of a model into one item"}


def _into(
    wanted: dict[RegisteredModel, dict[str, Any]],
    record: RegisteredModel,
    changes: Mapping[str, Any],
    unknown: metadata.Unknown,
) -> dict[str, str]:
    """Add the cleaned changes to ``wanted``; return the errors instead where there are any."""
    try:
        cleaned = metadata.clean(metadata.merged(record, changes), unknown=unknown)
    except InvalidMetadata as error:
        return error.errors
    errors = metadata.refusals(record, cleaned)
    if not errors:
        wanted[record] = cleaned
    return errors


def _unknown(all_changes: Iterable[Mapping[str, Any]]) -> metadata.Unknown:
    """Look up all names of groups and collections at once, with one query for each field."""
    named: dict[str, set[str]] = {}
    for changes in all_changes:
        for field in metadata.LINKS & changes.keys():
            names = changes[field] if isinstance(changes[field], list) else []
            named.setdefault(field, set()).update(name for name in names if isinstance(name, str))
    missing = {field: set(memberships.unknown(field, names)) for field, names in named.items()}
    return lambda field, names: sorted(missing[field].intersection(names))
