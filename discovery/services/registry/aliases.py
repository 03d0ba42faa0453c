"""Resolve a ``model_id`` to a model, including ids that models had before.

When two records become one, the id of the record that goes becomes an alias of the one that stays.
A model's own id always wins over an alias, and neither is given to another model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from discovery.engine.core.text import clean
from discovery.models import Alias, Forgotten, RegisteredModel, ScanRun

MAX_ID = 200

# -- finding


def find(rows: QuerySet[RegisteredModel], model_id: str) -> RegisteredModel | None:
    """The model of ``rows`` that has this id, or had it before.

    One query, unless no model of ``rows`` has the id now.
    """
    if not _is_storable(model_id):
        return None
    return rows.filter(model_id=model_id).first() or rows.filter(named([model_id])).first()


def find_many(
    rows: QuerySet[RegisteredModel], model_ids: Iterable[str]
) -> dict[str, RegisteredModel]:
    """{id as it was named: model of ``rows`` that has it, or had it before}.

    It takes one query, and a second one where an id is not a model's own.
    """
    asked = {each for each in model_ids if _is_storable(each)}
    records = {record.pk: record for record in rows.filter(named(asked))}
    found = {record.model_id: record for record in records.values() if record.model_id in asked}
    if records and (left := asked - found.keys()):
        rows_of = _unowned(left).filter(model__in=list(records))
        found |= {alias: records[key] for alias, key in rows_of.values_list("alias", "model_id")}
    return found


def named(model_ids: Iterable[str]) -> Q:
    """The condition on models that have one of these ids, or had it before.

    Both halves are looked up by their index.
    """
    ids = [each for each in model_ids if _is_storable(each)]
    own = RegisteredModel.objects.order_by().filter(model_id__in=ids).values_list("pk")
    return Q(pk__in=own.union(former(ids), all=True))


def former(model_ids: Sequence[str]) -> QuerySet[Any]:
    """Primary keys of the models that had one of these ids before, where no model has it now."""
    return _unowned(model_ids).exclude(model=None).values_list("model_id")


def _unowned(model_ids: Iterable[str]) -> QuerySet[Alias]:
    """Return those of the aliases that are not a model's own id."""
    owned = RegisteredModel.objects.filter(model_id=OuterRef("alias")).order_by()
    return Alias.objects.order_by().filter(~Exists(owned), alias__in=list(model_ids))


def current(model_id: str) -> Coalesce:
    """Return the current id of the model with this id or alias, for conditions on other tables.

    A value that is not an alias stays as it is.
    """
    names = RegisteredModel.objects.filter(pk__in=former([model_id])).order_by()
    return Coalesce(Subquery(names.values("model_id")[:1]), Value(model_id))


def like(word: str) -> QuerySet[Any]:
    """Return primary keys of the models with a former id that contains this text, ignoring case."""
    rows = Alias.objects.order_by().filter(alias__icontains=word)
    return rows.exclude(model=None).values_list("model_id")


def taken(model_ids: Iterable[str]) -> set[str]:
    """Those of the ids that no new model can have.

    They are a model's, an alias, or kept for a model that somebody forgot.
    """
    ids = list(model_ids)
    if not ids:
        return set()
    rows = RegisteredModel.objects.order_by().filter(model_id__in=ids).values_list("model_id")
    previous = Alias.objects.order_by().filter(alias__in=ids).values_list("alias")
    kept = Forgotten.objects.order_by().filter(model_id__in=ids).values_list("model_id")
    return {row[0] for row in rows.union(previous, kept)}


def _is_storable(model_id: str) -> bool:
    """Return whether any database can be queried with it."""
    return 0 < len(model_id) <= MAX_ID and clean(model_id, MAX_ID) == model_id


# -- keeping


def hand_over(pairs: Mapping[RegisteredModel, RegisteredModel], run: ScanRun | None = None) -> None:
    """Turn the ids and aliases of models that go into aliases of the models that stay.

    ``pairs`` is {model that stays: model that goes}.

    An id that ``run`` itself has given is not kept: nobody had time to use it.
    """
    heirs = {gone.pk: stays for stays, gone in pairs.items()}
    rows = list(Alias.objects.filter(model__in=list(heirs)))
    for row in rows:
        row.model = heirs[row.model_id] if row.model_id else None
    Alias.objects.bulk_update(rows, ["model"], batch_size=200)
    add(
        {
            gone.model_id: stays
            for stays, gone in pairs.items()
            if run is None or gone.added_in_id != run.pk
        }
    )


def add(models: Mapping[str, RegisteredModel]) -> None:
    """{id that a model had until now: the model}."""
    now = timezone.now()
    Alias.objects.bulk_create(
        (Alias(alias=alias, model=model, at=now) for alias, model in models.items()),
        update_conflicts=True,
        unique_fields=["alias"],
        update_fields=["model", "forgotten", "at"],
        batch_size=200,
    )


def forget(record: RegisteredModel, memory: Forgotten) -> None:
    """The aliases of a model that is forgotten wait with it."""
    Alias.objects.filter(model=record).update(model=None, forgotten=memory)


def restore(found: Mapping[Forgotten, RegisteredModel]) -> None:
    """{what was kept of a model: the model that it is again}."""
    models = {memory.pk: record for memory, record in found.items()}
    rows = list(Alias.objects.filter(forgotten__in=list(models)))
    for row in rows:
        row.model, row.forgotten = models[row.forgotten_id or 0], None
    Alias.objects.bulk_update(rows, ["model", "forgotten"], batch_size=200)
