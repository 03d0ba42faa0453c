"""What people decide about models: written to ``curated``, kept for ever, each change on record.

``edit`` is one person at one model, ``edit_many`` the road that all changes take: pages, API,
admin, import, undo.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from discovery.engine.core.fields import Kind, names
from discovery.engine.core.service_words import VisibilitySource
from discovery.engine.core.text import clean as clean_text
from discovery.engine.core.text import plural
from discovery.engine.core.vocabulary import Severity
from discovery.engine.identify.document import OBJECTS
from discovery.engine.sidecars import metadata_json
from discovery.models import LogTopic, MetadataChange, RegisteredModel
from discovery.services.access.redaction import Sight
from discovery.services.core import endpoint_addresses, event_log
from discovery.services.core.choices import CHOICES as CHOICES
from discovery.services.core.form_stamps import Conflict as Conflict
from discovery.services.core.form_stamps import stamp as stamp_of
from discovery.services.curation import collections
from discovery.services.integrations import http_client, webhooks
from discovery.services.metadata import input_checks, memberships
from discovery.services.registry import tags
from discovery.services.registry.records import follow, resolve, save_many

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: Fields that a person may set.
EDITABLE = frozenset(names(*Kind, editable=True))

#: Where a hosted model is, and which variable of the environment holds its key: a text, and what
#: may be wrong with it.
HOSTING = {"endpoint": http_client.endpoint_fault, "api_key_variable": endpoint_addresses.key_fault}

#: Columns of the registry that are changed and undone like fields; what is automatic follows from
#: access rules (see ``services.access.audiences``).
COLUMNS = frozenset({"visibility"})

#: What a model belongs to: lists of names, changed and undone like fields, without an automatic
#: value.
LINKS = frozenset(memberships.FIELDS)

SETTABLE = EDITABLE | COLUMNS | LINKS

#: {field of ``LINKS``: {primary key: names}}, as it stands before a change.
Linked = Mapping[str, Mapping[int, list[str]]]

#: (field of ``LINKS``, names) → those of the names that nothing has.
Unknown = Callable[[str, Iterable[str]], list[str]]


class InvalidMetadata(Exception):
    """The metadata is invalid; ``errors`` maps a field to what is wrong with its value."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {text}" for name, text in errors.items()))
        self.errors = dict(errors)


def stamp(record: RegisteredModel, field: str) -> str:
    """Return the stamp of a field as a form showed it.

    ``edit`` compares it, so that no unseen change is overwritten.
    """
    shown = (
        decided(record, field, standing_links({record: (field,)}))
        if field in COLUMNS | LINKS
        else record.curated.get(field)
    )
    return stamp_of(shown)


def edit(
    model: RegisteredModel,
    changes: Mapping[str, Any],
    *,
    by: User,
    channel: str,
    seen: Mapping[str, str] | None = None,
) -> list[MetadataChange]:
    """Set curated fields of one model; ``None`` returns a field to automatic. All or nothing.

    ``seen`` maps fields to their ``stamp`` when they were shown. Raises ``InvalidMetadata`` or
    ``Conflict`` before writing.
    """
    cleaned = clean(changes)
    with transaction.atomic():
        record = RegisteredModel.objects.select_for_update().get(pk=model.pk)
        if errors := refusals(record, cleaned):
            raise InvalidMetadata(errors)
        now = standing_links({record: cleaned})
        unseen = [
            name for name in cleaned if seen and name in seen and seen[name] != stamp(record, name)
        ]
        theirs = {
            name: effective(record, name, now)
            for name in unseen
            if decided(record, name, now) != cleaned[name]
        }
        if theirs:
            raise Conflict(theirs)
        made = edit_many({record: cleaned}, by=by, channel=channel, batch=uuid4())
    model.refresh_from_db()
    return made


def edit_many(
    changes: Mapping[RegisteredModel, Mapping[str, Any]],
    *,
    by: User | None,
    channel: str,
    batch: UUID,
    undoes: UUID | None = None,
    origins: Mapping[tuple[int, str], tuple[str, str]] | None = None,
) -> list[MetadataChange]:
    """Write cleaned values of locked records, and return the actual changes.

    It takes a fixed number of statements.

    ``by`` is ``None`` for a command without a user: then ``channel`` is recorded instead.
    ``origins`` tells, for values that an undo restores, who set them first and when: {(primary key,
    field): (by, at)}.
    """
    now, made, touched = timezone.now(), [], []
    person = by.get_username() if by else channel
    before, origins = standing_links(changes), origins or {}
    written: dict[str, dict[int, list[str]]] = {}
    for record, cleaned in changes.items():
        own = [
            (name, value, after)
            for name, after in cleaned.items()
            if (value := decided(record, name, before)) != after
        ]
        for name, value, after in own:
            if name in LINKS:
                written.setdefault(name, {})[record.pk] = after
            else:
                _put(
                    record, name, after, *origins.get((record.pk, name), (person, now.isoformat()))
                )
            change = MetadataChange(
                model=record,
                field=name,
                before=value,
                after=after,
                by=by,
                at=now,
                channel=channel,
                batch=batch,
            )
            change.undoes = undoes
            made.append(change)
        if own:
            resolve(record)
            record.changed_at = now
            touched.append(record)
    if touched:
        with transaction.atomic():
            _save(made, touched, written)
            _note(made, touched, person, channel)
            webhooks.after_edit(made, person, channel)
    return made


def _save(
    made: list[MetadataChange],
    touched: list[RegisteredModel],
    written: Mapping[str, dict[int, list[str]]],
) -> None:
    """Save the changes, the changed records and their links.

    ``written`` is {field: {primary key: names}}.
    """
    fields = {change.field for change in made}
    columns = ("visibility", "visibility_source") if "visibility" in fields else ()
    save_many(touched, ["curated", "changed_at", *columns, *follow(fields)])
    if tagged := [change.model for change in made if change.field == "tags"]:
        tags.sync(tagged)
    for name, wanted in written.items():
        memberships.write(name, wanted)
    collections.refresh([record.pk for record in touched])
    MetadataChange.objects.bulk_create(made, batch_size=500)


def changes_told_to(sight: Sight) -> QuerySet[MetadataChange]:
    """The changes of models that this person may see, the newest first.

    Changes of groups are only shown to people who see every model.
    """
    rows = MetadataChange.objects.order_by("-pk")
    if sight.everything or sight.user is None:
        return rows
    return rows.filter(
        model__in=RegisteredModel.objects.visible_to(sight.user).values("pk")
    ).exclude(field="groups")


def standing_links(changes: Mapping[RegisteredModel, Iterable[str]]) -> Linked:
    """Return the current links of the records for the fields of ``LINKS`` that any change names.

    It takes one query for each field.
    """
    named = {name for fields in changes.values() for name in fields if name in LINKS}
    return {name: memberships.standing(name, [record.pk for record in changes]) for name in named}


def refusals(record: RegisteredModel, cleaned: Mapping[str, Any]) -> dict[str, str]:
    """What this one model may not be given now, {field: why}."""
    if record.quarantined_at and cleaned.get("visibility", record.visibility) != record.visibility:
        return {
            "visibility": "the model is in quarantine: lift the quarantine on its Health page first"
        }
    return {}


def effective(record: RegisteredModel, field: str, linked: Linked) -> Any:
    """The value that counts now, set by people or read from files."""
    if field in COLUMNS:
        return getattr(record, field)
    return decided(record, field, linked) if field in LINKS else record.value(field)


def decided(record: RegisteredModel, field: str, linked: Linked) -> Any:
    """The value people have set, ``None`` while it is automatic."""
    if field in LINKS:
        return linked[field][record.pk]
    if field in COLUMNS:
        return record.visibility if record.visibility_source == VisibilitySource.PERSON else None
    entry = record.curated.get(field)
    return entry["value"] if entry else None


def _put(record: RegisteredModel, field: str, value: Any, by: str, at: str) -> None:
    if field in COLUMNS:
        record.visibility = value or record.visibility
        record.visibility_source = VisibilitySource.PERSON if value else VisibilitySource.DEFAULT
    elif value is None:
        record.curated.pop(field, None)
    else:
        record.curated[field] = {"value": value, "by": by, "at": at}


def _note(
    made: Sequence[MetadataChange], touched: Sequence[RegisteredModel], person: str, channel: str
) -> None:
    fields = ", ".join(sorted({change.field.replace("_", " ") for change in made}))
    if len(touched) == 1:
        text, model_id = f"{person} set {fields} ({channel})", touched[0].model_id
    else:
        text, model_id = f"{person} set {fields} of {plural(len(touched), 'model')} ({channel})", ""
    event_log.record(LogTopic.METADATA, Severity.INFO, text, model_id=model_id)


def merged(record: RegisteredModel, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``changes`` as ``edit`` takes them.

    Objects are merged into the current value key by key (a key set to ``None`` is removed).
    """
    result: dict[str, Any] = {}
    for name, value in changes.items():
        if name in OBJECTS and isinstance(value, Mapping):
            standing = record.value(name) or {}
            result[name] = {
                key: item for key, item in {**standing, **value}.items() if item is not None
            }
        else:
            result[name] = value
    return result


def clean(changes: Mapping[str, Any], *, unknown: Unknown = memberships.unknown) -> dict[str, Any]:
    """Return the values as they would be stored; ``None`` for those returned to automatic.

    Raises ``InvalidMetadata``.

    ``unknown`` tells which names of a field of ``LINKS`` nothing has: who cleans many changes looks
    them up at once.
    """
    errors = {
        str(name)[:80]: "this field cannot be set" for name in changes if name not in SETTABLE
    }
    cleaned: dict[str, Any] = {}
    for name, value in changes.items():
        if name not in SETTABLE:
            continue
        try:
            cleaned[name] = _cleaned(name, value, unknown)
        except ValueError as error:
            errors[name] = str(error)
    if errors:
        raise InvalidMetadata(errors)
    return cleaned


def _cleaned(name: str, value: Any, unknown: Unknown) -> Any:
    """Return the cleaned value; raises ``ValueError`` with what is wrong."""
    if name in LINKS:
        return _names(name, value, unknown)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if name not in COLUMNS and (value == [] or value == {}):
        return None
    if name in CHOICES:
        if not isinstance(value, str) or value not in CHOICES[name]:
            raise ValueError(f"must be one of {', '.join(CHOICES[name])}")
        return value
    if name in HOSTING:
        if not isinstance(value, str):
            raise ValueError("must be a text")
        if reason := HOSTING[name](value.strip()):
            raise ValueError(reason)
        return value.strip()
    found, complaints = metadata_json.fields({name: value})
    if complaints:
        raise ValueError(complaints[0].removeprefix(f"{name} "))
    if reason := input_checks.fault(name, value):
        raise ValueError(reason)
    return found.get(name)


def _names(field: str, value: Any, unknown: Unknown) -> list[str]:
    """Return the names; raises ``ValueError`` for anything but a list of names that exist."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("must be a list of names")
    if missing := [
        item for item in value if clean_text(item, len(item)) != item.strip()
    ] or unknown(field, value):
        raise ValueError(
            f"there is no {field.removesuffix('s')} called"
            f" {', '.join(repr(item[:60]) for item in missing[:5])}"
        )
    return sorted(set(value))
