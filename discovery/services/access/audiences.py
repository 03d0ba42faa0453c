"""Compute who may see a model: its audience and its visibility.

The groups of a model, its collections and the access rules that match it are its ``Audience``; the
rules may decide its visibility too.

Both are kept with each change of a model, of what it belongs to, or of a rule, in its transaction.
In this order, the first that says something decides the visibility of a model:

1. quarantine: administrators only;
2. what a person set on the model;
3. access rules that people made: of several the strictest;
4. the access file: of several of its lists the strictest;
5. the default that people chose, else that of the access file, else restricted.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

from django.db import connection, transaction
from django.db.models.signals import m2m_changed
from django.utils import timezone

from discovery.engine.core.service_words import VisibilitySource
from discovery.models import AccessRule, Audience, Opening, RegisteredModel, Visibility
from discovery.services.access import openings, rule_matches

_CHUNK = 5_000

#: After a change of so many models, audiences that none has any more are looked for.
_MANY = 1_000

#: Key of the lock that those who give audiences to models share, on PostgreSQL: SQLite has one
#: writer at a time.
_LOCK = 0x6B6172656E617564

#: From the weakest on: of contradicting rules the last one wins.
STRICTNESS = (Visibility.PUBLIC, Visibility.RESTRICTED, Visibility.ADMIN_ONLY)

#: What is decided for a model: its visibility, and who decided.
Verdict = tuple[str, str]

_LINKS = {"g": ("groups", "group_id"), "c": ("collections", "collection_id"),
          "r": ("rules", "accessrule_id")}  # fmt: skip


def refresh(keys: Iterable[int] | None = None) -> int:
    """Update the audience and visibility of these models, or of all.

    It takes a fixed number of statements for each 5,000 models. Returns how many were out of date.
    """
    if keys is None:
        keys = RegisteredModel.objects.order_by("pk").values_list("pk", flat=True)
    wanted = sorted(set(keys))
    count = sum(_refresh(wanted[start : start + _CHUNK]) for start in range(0, len(wanted), _CHUNK))
    if count >= _MANY:
        prune()
    return count


def prune() -> int:
    """Delete the audiences that no model has any more; return how many there were.

    It does nothing while somebody else gives audiences to models, who may just have found one of
    these.
    """
    with transaction.atomic():
        if not _alone():
            return 0
        unused = list(Audience.objects.filter(models=None).values_list("pk", flat=True))
        for start in range(0, len(unused), _CHUNK):
            _delete(unused[start : start + _CHUNK])
    return len(unused)


def _delete(keys: Sequence[int]) -> None:
    linked = (Opening, *(getattr(Audience, relation).through for relation, _ in _LINKS.values()))
    for model in linked:
        model._default_manager.filter(audience__in=keys)._raw_delete("default")
    Audience.objects.filter(pk__in=keys)._raw_delete("default")


def touched_by(rule: AccessRule) -> set[int]:
    """Return primary keys of the models that a rule matched when it was last checked."""
    return set(RegisteredModel.objects.filter(audience__rules=rule).values_list("pk", flat=True))


def default_verdict() -> Verdict:
    """The visibility of models that nothing else decides."""
    rows = AccessRule.objects.filter(is_default=True).values_list("file_key", "visibility")
    chosen = dict(rows)
    return (
        chosen.get("") or chosen.get("default") or Visibility.RESTRICTED,
        VisibilitySource.DEFAULT,
    )


def strictest(visibilities: Iterable[str]) -> str:
    """Return the visibility that the fewest people see."""
    return max(visibilities, key=lambda each: STRICTNESS.index(Visibility(each)))


def _alone() -> bool:
    """Whether nobody gives audiences to models until the end of this transaction."""
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        return bool(cursor.fetchone()[0])


def _share() -> None:
    """Until the end of this transaction, no audience is deleted."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [_LOCK])


def _refresh(keys: Sequence[int]) -> int:
    with transaction.atomic():
        _share()
        rows = list(
            RegisteredModel.objects.filter(pk__in=keys).values_list(
                "pk", "audience_id", "visibility", "visibility_source", "quarantined_at"
            )
        )
        sources = rule_matches.sources(keys)
        audiences = _audiences(sources.values())
        verdicts = _Verdicts()
        moved: dict[int, int | None] = {}
        decided: dict[Verdict, list[int]] = defaultdict(list)
        for pk, audience, visibility, source, quarantined in rows:
            text = sources.get(pk, "")
            if audience != audiences.get(text):
                moved[pk] = audiences.get(text)
            if quarantined or source == VisibilitySource.PERSON:
                continue
            if (verdict := verdicts.of(text)) != (visibility, source):
                decided[verdict].append(pk)
        _move(moved)
        for (visibility, source), models in decided.items():
            RegisteredModel.objects.filter(pk__in=models).update(
                visibility=visibility, visibility_source=source, changed_at=timezone.now()
            )
    return len(moved.keys() | {pk for models in decided.values() for pk in models})


class _Verdicts:
    """What rules and default decide for each combination, looked up once."""

    def __init__(self) -> None:
        rows = AccessRule.objects.exclude(visibility="").filter(is_default=False)
        self.rules: dict[str, tuple[str, bool]] = {
            f"r{pk}": (visibility, bool(key))
            for pk, visibility, key in rows.values_list("pk", "visibility", "file_key")
        }
        self.default = default_verdict()
        self._known: dict[str, Verdict] = {}

    def of(self, sources: str) -> Verdict:
        if sources not in self._known:
            named = [self.rules[each] for each in sources.split(",") if each in self.rules]
            made = [visibility for visibility, is_file in named if not is_file]
            filed = [visibility for visibility, is_file in named if is_file]
            self._known[sources] = (
                (strictest(made), VisibilitySource.RULE) if made
                else (strictest(filed), VisibilitySource.FILE) if filed
                else self.default
            )  # fmt: skip
        return self._known[sources]


def _audiences(found: Collection[str]) -> Mapping[str, int]:
    """{sources as they were found: primary key of their audience}; new ones are made."""
    digests = {text: _digest(text) for text in set(found)}
    known = _known(digests.values())
    missing = {digest: text for text, digest in digests.items() if digest not in known}
    if missing:
        Audience.objects.bulk_create(
            [Audience(key=digest) for digest in missing], ignore_conflicts=True
        )
        made = _known(missing)
        known |= made
        _link({made[digest]: text for digest, text in missing.items()})
        openings.add(made.values())
    return {text: known[digest] for text, digest in digests.items()}


def _digest(sources: str) -> str:
    text = ",".join(sorted(set(sources.split(","))))
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _known(digests: Iterable[str]) -> dict[str, int]:
    return dict(Audience.objects.filter(key__in=list(digests)).values_list("key", "pk"))


def _link(made: Mapping[int, str]) -> None:
    for letter, (relation, column) in _LINKS.items():
        through: Any = getattr(Audience, relation).through
        through.objects.bulk_create(
            [
                through(audience_id=audience, **{column: int(source[1:])})
                for audience, text in made.items()
                for source in set(text.split(","))
                if source.startswith(letter)
            ],
            ignore_conflicts=True,
            batch_size=500,
        )


def _move(audiences: Mapping[int, int | None]) -> None:
    """Point models at their audiences, in one statement."""
    if not audiences:
        return
    if connection.vendor == "sqlite":
        rows = "SELECT CAST(key AS INTEGER) AS id, value AS audience FROM json_each(%s)"
    else:
        rows = "SELECT key::bigint AS id, value::bigint AS audience FROM json_each_text(%s::json)"
    table = RegisteredModel._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {table} SET audience_id = new.audience FROM ({rows}) AS new"  # noqa: S608
            f" WHERE {table}.id = new.id",
            [json.dumps(audiences)],
        )


# -- what Django itself links and unlinks: forms of the admin, ``model.groups.add(…)``


def _on_links(instance: Any, action: str, reverse: bool, pk_set: set[int] | None, **_: Any) -> None:
    if action == "pre_clear" and reverse:
        instance.models_before_clear = list(instance.models.values_list("pk", flat=True))
    if action not in ("post_add", "post_remove", "post_clear"):
        return
    if not reverse:
        refresh([instance.pk])
    elif action == "post_clear":
        refresh(instance.__dict__.pop("models_before_clear", ()))
    else:
        refresh(pk_set or ())


def listen() -> None:
    """Called once, when the application is ready."""
    openings.listen()
    for relation in (RegisteredModel.groups, RegisteredModel.collections, RegisteredModel.tagged):
        through: Any = relation.through
        m2m_changed.connect(_on_links, sender=through, dispatch_uid=f"audience-{through.__name__}")
