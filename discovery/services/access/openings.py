"""Keep the groups that each audience opens its restricted models to.

They follow from the audience's own groups and from what is granted to its collections and access
rules. A grant changes these rows alone, never a model.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django.db import connection, transaction
from django.db.models import Model
from django.db.models.signals import m2m_changed, post_delete, pre_delete

from discovery.models import AccessRule, Audience, Collection, Opening
from discovery.services.access.rule_matches import numbers

_OPENING = Opening._meta.db_table
_DIRECT, _COLLECTED, _RULED = (
    relation.through._meta.db_table
    for relation in (Audience.groups, Audience.collections, Audience.rules)
)
_OF_COLLECTION = Collection.groups.through._meta.db_table
_OF_RULE = AccessRule.groups.through._meta.db_table

#: (audience, group) in each way that an audience is opened to a group; what is told of both limits
#: each.
_WAYS = (
    f"SELECT audience_id, group_id FROM {_DIRECT} WHERE ",  # noqa: S608
    (
        f"SELECT has.audience_id, granted.group_id FROM {_COLLECTED} has"  # noqa: S608
        f" JOIN {_OF_COLLECTION} granted ON granted.collection_id = has.collection_id WHERE "
    ),
    (
        f"SELECT has.audience_id, granted.group_id FROM {_RULED} has"  # noqa: S608
        f" JOIN {_OF_RULE} granted ON granted.accessrule_id = has.accessrule_id WHERE "
    ),
)

#: Model of what is granted to groups → (column, table that links it to audiences).
_HELD = {Collection: ("collection_id", _COLLECTED), AccessRule: ("accessrule_id", _RULED)}


def add(audiences: Iterable[int]) -> None:
    """Insert the rows of new audiences (primary keys), which must be linked to their sources."""
    with connection.cursor() as cursor:
        limit, keys = f"audience_id IN ({numbers()})", json.dumps(list(audiences))
        _insert(cursor, limit, [keys])


def renew(audiences: Iterable[int]) -> None:
    """Bring the rows of these audiences in step with their sources."""
    limit, keys = f"audience_id IN ({numbers()})", json.dumps(list(audiences))
    _replace(limit, [keys])


def _regrant(kind: type[Model], holders: Iterable[int], groups: Iterable[int] | None) -> None:
    """What is granted of these collections or rules has changed, for these groups or for all."""
    column, table = _HELD[kind]
    limit = f"audience_id IN (SELECT audience_id FROM {table} WHERE {column} IN ({numbers()}))"  # noqa: S608
    parameters = [json.dumps(list(holders))]
    if groups is not None:
        limit += f" AND group_id IN ({numbers()})"
        parameters.append(json.dumps(list(groups)))
    _replace(limit, parameters)


def _replace(limit: str, parameters: list[str]) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {_OPENING} WHERE {limit}", parameters)  # noqa: S608
        _insert(cursor, limit, parameters)


def _insert(cursor: Any, limit: str, parameters: list[str]) -> None:
    ways = " UNION ".join(way + limit for way in _WAYS)
    cursor.execute(
        f"INSERT INTO {_OPENING} (audience_id, group_id)"  # noqa: S608
        f" SELECT * FROM ({ways}) AS ways WHERE true ON CONFLICT DO NOTHING",
        parameters * len(_WAYS),
    )


# -- grants, however they are made


def _on_grants(
    sender: type[Model],
    instance: Any,
    action: str,
    reverse: bool,
    model: type[Model],
    pk_set: set[int] | None,
    **_: Any,
) -> None:
    """Collections or rules are granted to groups, or the other way round (``reverse``)."""
    kind = type(instance) if not reverse else model
    if action == "pre_clear" and reverse:
        held = sender._default_manager.filter(group=instance.pk)
        column = _HELD[kind][0]
        instance.held_before_clear = list(held.values_list(column, flat=True))
    if action not in ("post_add", "post_remove", "post_clear"):
        return
    if not reverse:
        _regrant(kind, [instance.pk], pk_set)
    elif action == "post_clear":
        _regrant(kind, instance.__dict__.pop("held_before_clear", ()), [instance.pk])
    else:
        _regrant(kind, pk_set or (), [instance.pk])


def _before_delete(sender: type[Model], instance: Any, **_: Any) -> None:
    column = _HELD[sender][0].removesuffix("_id")
    relation = Audience.collections if sender is Collection else Audience.rules
    held = relation.through._default_manager.filter(**{column: instance.pk})
    instance.audiences_before_delete = list(held.values_list("audience_id", flat=True))


def _after_delete(instance: Any, **_: Any) -> None:
    if audiences := instance.__dict__.pop("audiences_before_delete", ()):
        renew(audiences)


def listen() -> None:
    """Called once, when the application is ready."""
    for kind in (Collection, AccessRule):
        m2m_changed.connect(
            _on_grants, sender=kind.groups.through, dispatch_uid=f"openings-{kind.__name__}"
        )
        pre_delete.connect(
            _before_delete, sender=kind, dispatch_uid=f"openings-before-{kind.__name__}"
        )
        post_delete.connect(
            _after_delete, sender=kind, dispatch_uid=f"openings-after-{kind.__name__}"
        )
