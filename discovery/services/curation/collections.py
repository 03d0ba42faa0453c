"""Collections: groups of models, selected by hand or by a filter.

The groups of one may see all that is in it.

The members of a collection that follows a filter are rows like those of any other, so that lists
and rights need not ask the filter: they are brought up to date with each edit of a model, in its
transaction, and with each scan.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import Group, User
from django.db import IntegrityError, transaction

from discovery.engine.core.text import clean, plural
from discovery.engine.core.vocabulary import Severity
from discovery.models import Collection, LogTopic, RegisteredModel
from discovery.services.access import access_rules, audiences
from discovery.services.core import event_log
from discovery.services.core.form_stamps import agree, touched
from discovery.services.search import model_filters, model_search
from discovery.services.search.search_language import Named, parse

if TYPE_CHECKING:
    from django.db.models import QuerySet

MAX_NAME, MAX_DESCRIPTION, MAX_QUERY = 120, 1_000, 2_000
_CHUNK = 500

_Link = RegisteredModel.collections.through


class CollectionError(Exception):
    """The collection was refused: ``field`` is the invalid one, the text says why and what to do.

    Nothing was changed.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


def shown(collection: Collection) -> dict[str, Any]:
    """The fields of one as forms show them: text, and the keys of its groups."""
    groups = sorted(collection.groups.values_list("pk", flat=True)) if collection.pk else []
    return {
        "name": collection.name,
        "description": collection.description,
        "query": collection.query,
        "groups": groups,
    }


def save(
    collection: Collection, *, name: str, description: str = "", query: str = "",
    groups: Iterable[Group] = (), by: User,
    seen: Mapping[str, str] | None = None,
) -> Collection:  # fmt: skip
    """Create the collection or save its changes.

    What turns from a filter to choice by hand keeps its models.

    ``seen`` maps fields to the stamps of what was :func:`shown`: only what is not that any more is
    written. Raises ``CollectionError``, and ``Conflict`` for what somebody else has changed since.
    """
    given = {
        "name": name,
        "description": description.replace("\r\n", "\n"),
        "query": query,
        "groups": sorted(group.pk for group in groups),
    }
    changes: dict[str, Any] = {}
    for field, value in touched(given, seen or {}).items():
        changes[field] = _CLEAN[field](value) if field in _CLEAN else value
    made = collection.pk is None
    try:
        with transaction.atomic():
            if not made:
                Collection.objects.select_for_update().get(pk=collection.pk)
                collection.refresh_from_db()
                agree(changes, shown(collection), seen or {})
            columns = [field for field in changes if field in _CLEAN]
            for field in columns:
                setattr(collection, field, changes[field])
            collection.save(update_fields=None if made else columns)
            if "groups" in changes:
                before = access_rules.group_names(collection)
                collection.groups.set(changes["groups"])
                access_rules.record_groups(collection, before, by=by)
            follow(collection)
            if "name" in changes and not made:  # the access file may name it
                audiences.refresh(collection.models.values_list("pk", flat=True))
    except IntegrityError:
        raise CollectionError(
            "name", f"There is a collection {collection.name} already. Choose another name."
        ) from None
    named = sorted(collection.groups.values_list("name", flat=True))
    told = f", seen by {', '.join(named)}" if named else ""
    what = "made" if made else "changed"
    event_log.record(
        LogTopic.METADATA,
        Severity.INFO,
        f"{by.get_username()} {what} the collection {collection.name}{told}",
    )
    return collection


def delete(collection: Collection, *, by: User) -> None:
    """The models stay; rights that the collection gave are gone with it."""
    with transaction.atomic():
        models = list(collection.models.values_list("pk", flat=True))
        collection.delete()
        audiences.refresh(models)
    count = len(models)
    event_log.record(
        LogTopic.METADATA,
        Severity.INFO,
        f"{by.get_username()} deleted the collection {collection.name} of {plural(count, 'model')}",
    )


def refresh(keys: Sequence[int] | None = None) -> None:
    """Update collections that follow a filter, and who may see their models.

    ``keys`` limits it to these models (primary keys). It takes a fixed number of statements.
    """
    for collection in Collection.objects.exclude(query="").order_by("pk"):
        with transaction.atomic():
            _refresh(collection, keys)
    if keys is not None:
        audiences.refresh(keys)


def follow(collection: Collection) -> None:
    """Update one collection that follows a filter; others stay as they are."""
    if collection.query:
        _refresh(collection, None)


def _refresh(collection: Collection, keys: Sequence[int] | None) -> None:
    found = model_search.listed(_everyone(), model_filters.ModelFilters.read(collection.query))
    links: QuerySet[Any] = _Link.objects.filter(collection=collection)
    if keys is not None:
        found, links = found.filter(pk__in=keys), links.filter(registeredmodel__in=keys)
    want = set(found.values_list("pk", flat=True))
    have = dict(links.values_list("registeredmodel_id", "pk"))
    stale = [pk for model, pk in have.items() if model not in want]
    for start in range(0, len(stale), _CHUNK):
        _Link.objects.filter(pk__in=stale[start : start + _CHUNK]).delete()
    new = [
        _Link(registeredmodel_id=model, collection_id=collection.pk)
        for model in sorted(want - have.keys())
    ]
    _Link.objects.bulk_create(new, ignore_conflicts=True, batch_size=_CHUNK)
    if keys is None:
        audiences.refresh(want ^ have.keys())


def normal_query(query: str) -> str:
    """The filter of an address of the Models page, as collections keep it.

    Raises ``CollectionError`` for one that no collection can follow.
    """
    filters = model_filters.ModelFilters.read(query.strip().rpartition("?")[2])
    if filters.faults:
        raise CollectionError(
            "query",
            f"The filter is not understood: {filters.faults[0].term}: {filters.faults[0].reason}.",
        )
    if filters.favourites:
        raise CollectionError(
            "query", "Favorites differ for each person, so a collection can't follow them."
        )
    if filters.values("collection") or any(
        isinstance(term, Named) and term.field == "collection" for term in parse(filters.text)[0]
    ):
        raise CollectionError("query", "A collection cannot follow another one.")
    if not filters.is_filtered:
        raise CollectionError(
            "query",
            "This is not a filter: filter the models first, then copy the address of the page.",
        )
    text = model_filters.ModelFilters.read(filters.as_query()).as_query()
    if len(text) > MAX_QUERY:
        raise CollectionError(
            "query", f"The filter is too long: {len(text):,} characters of at most {MAX_QUERY:,}."
        )
    return text


def _everyone() -> User:
    """Somebody who sees every model."""
    return User(is_superuser=True, is_active=True)


def _name(name: str) -> str:
    tidy = " ".join(clean(name, MAX_NAME + 1).split())
    if not tidy or len(tidy) > MAX_NAME:
        raise CollectionError("name", f"Give it a name of at most {MAX_NAME} characters.")
    return tidy


def _description(text: str) -> str:
    if len(text) > MAX_DESCRIPTION:
        raise CollectionError(
            "description", f"It has {len(text):,} characters, at most {MAX_DESCRIPTION:,} are kept."
        )
    return clean(text, MAX_DESCRIPTION)


def _query(text: str) -> str:
    return normal_query(text) if text.strip() else ""


_CLEAN = {"name": _name, "description": _description, "query": _query}
