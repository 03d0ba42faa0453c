"""Find the models that match access rules.

One statement does it, both for saved rules and for rules that somebody is about to create.

A name means every model of that ID or name, and every model in the collection or with the tag of
that name. In a pattern, ``*`` stands for anything and ``?`` for one character.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from django.db import connection
from django.db.models.expressions import RawSQL

from discovery.engine.core.service_words import RuleKind
from discovery.models import (
    AccessTerm,
    Listing,
    RegisteredModel,
    RegisteredModelQuerySet,
    Root,
    Tag,
)
from discovery.models import Collection as Shelf

WILDCARDS = "*?"


class Term(NamedTuple):
    """One thing that models of a rule may have."""

    kind: str
    value: str


_TABLES = {
    "model": RegisteredModel._meta.db_table,
    "listing": Listing._meta.db_table,
    "root": Root._meta.db_table,
    "tag": Tag._meta.db_table,
    "collection": Shelf._meta.db_table,
    "tagged": RegisteredModel.tagged.through._meta.db_table,
    "collected": RegisteredModel.collections.through._meta.db_table,
    "granted": RegisteredModel.groups.through._meta.db_table,
    "term": AccessTerm._meta.db_table,
}

_K = RuleKind

#: (kinds, tables, column with the key of the model, condition) of each way to have a term; ``{of}``
#: limits it to some models.
_WAYS: tuple[tuple[tuple[str, ...], str, str, str], ...] = (
    ((_K.CATEGORY,), "{listing} l", "l.id", 't.value = l."primary"'),
    ((_K.CATEGORY,), "{listing} l", "l.id", "t.value = l.secondary"),
    ((_K.CATEGORY,), "{listing} l", "l.id", "t.value = l.specialization"),
    ((_K.LICENSE,), "{listing} l", "l.id", "t.value = l.license"),
    ((_K.ROOT,), "{listing} l", "l.id", "t.value = CAST(l.root_id AS TEXT)"),
    (
        (_K.TAG, _K.NAME),
        "{tagged} j JOIN {tag} n ON n.id = j.tag_id",
        "j.registeredmodel_id",
        "t.value = n.name",
    ),
    (
        (_K.NAME,),
        "{collected} j JOIN {collection} n ON n.id = j.collection_id",
        "j.registeredmodel_id",
        "t.value = n.name",
    ),
    ((_K.NAME,), "{model} m", "m.id", "t.value = m.model_id"),
    ((_K.NAME,), "{model} m", "m.id", "t.value = m.name"),
    (
        (_K.FOLDER,),
        "{model} m",
        "m.id",
        "(m.path = t.value OR SUBSTR(m.path, 1, LENGTH(t.value) + 1) = t.value || '/')",
    ),
    (
        (_K.FOLDER,),
        "{model} m JOIN {root} r ON r.id = m.root_id",
        "m.id",
        (
            "(r.path || '/' || m.path = t.value OR SUBSTR(r.path || '/' || m.path, 1,"
            " LENGTH(t.value) + 1) = t.value || '/')"
        ),
    ),
    (
        (_K.PATTERN,),
        "{model} m",
        "m.id",
        "({like_id} OR {like_name} OR {like_path})",
    ),
)


def _like(column: str) -> str:
    """SQL: whether a column is as the pattern says, in its own case."""
    if connection.vendor == "sqlite":
        return f"{column} GLOB REPLACE(t.value, '[', '[[]')"
    escaped = "t.value"
    for written, meant in (("\\", "\\\\"), ("%%", "\\%%"), ("_", "\\_"), ("*", "%%"), ("?", "_")):
        escaped = f"REPLACE({escaped}, '{written}', '{meant}')"
    return f"{column} LIKE {escaped}"


def numbers() -> str:
    """SQL: the numbers of a list of JSON, which is one parameter."""
    if connection.vendor == "sqlite":
        return "SELECT value FROM json_each(%s)"
    return "SELECT value::bigint FROM json_array_elements_text(%s::json)"


def _matches(term: str, kinds: Collection[str], some: bool) -> tuple[str, int]:
    """(statement that gives model and rule, how often it takes the list of models)."""
    names = {
        **_TABLES,
        "like_id": _like("m.model_id"),
        "like_name": _like("m.name"),
        "like_path": _like("m.path"),
    }
    parts = []
    for of, tables, key, condition in _WAYS:
        if not (wanted := [f"'{kind}'" for kind in of if kind in kinds]):
            continue
        limit = f" AND {key} IN ({numbers()})" if some else ""
        parts.append(
            f"SELECT {key} AS model, t.rule_id AS rule FROM {tables} JOIN {term} t ON"  # noqa: S608
            f" t.kind IN ({', '.join(wanted)}) AND {condition}{limit}".format(**names)
        )
    return " UNION ".join(parts), len(parts) if some else 0


def sources(keys: Sequence[int] | None) -> dict[int, str]:
    """Return the rules, groups and collections of models: {primary key: ``r7,g2,c3``}.

    Their order is undefined. ``keys`` limits it to these models; models that have none are left
    out.
    """
    some = keys is not None
    granted, collected = _TABLES["granted"], _TABLES["collected"]
    limit = f" WHERE registeredmodel_id IN ({numbers()})" if some else ""
    kinds = set(AccessTerm.objects.order_by().values_list("kind", flat=True).distinct())
    parts = [
        f"SELECT registeredmodel_id AS model, 'g' || group_id AS source FROM {granted}{limit}",  # noqa: S608
        f"SELECT registeredmodel_id, 'c' || collection_id FROM {collected}{limit}",  # noqa: S608
    ]
    count = 2 if some else 0
    if kinds:
        matches, more = _matches(_TABLES["term"], kinds, some)
        parts.append(f"SELECT model, 'r' || rule FROM ({matches}) AS matches")  # noqa: S608
        count += more
    gather = "GROUP_CONCAT(source)" if connection.vendor == "sqlite" else "STRING_AGG(source, ',')"
    statement = f"SELECT model, {gather} FROM ({' UNION ALL '.join(parts)}) AS every GROUP BY model"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(statement, [json.dumps(keys)] * count)
        return dict(cursor.fetchall())


def of_rule(pk: int) -> set[int]:
    """Return primary keys of the models that a rule matches now, regardless of stored results."""
    terms = AccessTerm.objects.filter(rule=pk).values_list("kind", "value")
    return of_terms(Term(*each) for each in terms)


def of_terms(terms: Iterable[Term]) -> set[int]:
    """Primary keys of the models that have one of ``terms`` now."""
    return {model for model, _ in pairs(terms)}


def models_of(terms: Iterable[Term]) -> RegisteredModelQuerySet:
    """The models that have one of ``terms`` now.

    Their keys are one parameter: a statement has no room for those of a large registry.
    """
    keys = RawSQL(numbers(), [json.dumps(sorted(of_terms(terms)))])  # noqa: S611
    return RegisteredModel.objects.filter(pk__in=keys)


def pairs(terms: Iterable[Term]) -> list[tuple[int, int]]:
    """(primary key of a model, place of a term among ``terms``) for each term that it has."""
    wanted = list(dict.fromkeys(terms))
    if not wanted:
        return []
    given = json.dumps([[place, *each] for place, each in enumerate(wanted)])
    kinds = {each.kind for each in wanted}
    matches, _ = _matches("given", kinds, some=False)
    if connection.vendor == "sqlite":
        rows = (
            "SELECT json_extract(value, '$[0]') AS rule_id, json_extract(value, '$[1]') AS kind,"
            " json_extract(value, '$[2]') AS value FROM json_each(%s)"
        )
    else:
        rows = (
            "SELECT (value->>0)::bigint AS rule_id, value->>1 AS kind, value->>2 AS value FROM"
            " json_array_elements(%s::json) AS given_rows(value)"
        )
    with connection.cursor() as cursor:
        cursor.execute(f"WITH given AS MATERIALIZED ({rows}) {matches}", [given])
        return list(cursor.fetchall())
