"""Change and undo access rules, the groups of collections and the default visibility.

Every change is an ``AccessChange``, and the models are updated in its transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import Group
from django.db import transaction

from discovery.engine.core.vocabulary import Severity
from discovery.models import (
    AccessChange,
    AccessRule,
    AccessTerm,
    Collection,
    LogTopic,
    Visibility,
)
from discovery.services.access import audiences, rule_matches
from discovery.services.access.rule_matches import Term
from discovery.services.access.rule_terms import AccessRuleError, label, terms_of
from discovery.services.core import config_files, event_log
from discovery.services.core.form_stamps import agree, touched

if TYPE_CHECKING:
    from django.contrib.auth.models import User

FILE = config_files.ACCESS.name

MAX_RULES = 500

Subject = AccessChange.Subject


def snapshot(rule: AccessRule) -> dict[str, Any]:
    """The rule as its changes tell it."""
    return {
        "terms": [list(each) for each in terms_of(rule)],
        "visibility": rule.visibility,
        "groups": list(rule.groups.order_by("name").values_list("name", flat=True)),
    }


def make(
    wanted: Term, *, visibility: str, groups: Iterable[Group], by: User, channel: str = "page"
) -> AccessRule:
    """Create a rule; raises ``AccessRuleError``."""
    groups = list(groups)
    _check(visibility, groups)
    with transaction.atomic():
        twin = AccessTerm.objects.filter(rule__file_key="", kind=wanted.kind, value=wanted.value)
        if twin.exists():
            raise AccessRuleError("value", "There is a rule for this already. Change that one.")
        if AccessRule.objects.filter(file_key="").count() >= MAX_RULES:
            raise AccessRuleError(
                "value", f"There are {MAX_RULES} rules already. Delete one first."
            )
        rule = AccessRule.objects.create(visibility=visibility)
        AccessTerm.objects.create(rule=rule, kind=wanted.kind, value=wanted.value)
        rule.groups.set(groups)
        audiences.refresh(rule_matches.of_rule(rule.pk))
        record(Subject.RULE, rule.pk, label([wanted]), None, snapshot(rule), by, channel)
    return rule


def settable(rule: AccessRule) -> dict[str, Any]:
    """What people set of a rule: forms show it, and send its stamps."""
    groups = rule.groups.order_by("pk").values_list("pk", flat=True)
    return {"visibility": rule.visibility, "groups": list(groups)}


def change(
    rule: AccessRule,
    *,
    visibility: str,
    groups: Iterable[Group],
    by: User,
    channel: str = "page",
    seen: Mapping[str, str] | None = None,
) -> bool:
    """Set the visibility and the groups of a rule; return whether anything changed.

    ``seen`` are the stamps of what a form showed: what was not touched stays as it is now. Raises
    ``AccessRuleError``, and ``Conflict`` where somebody else has changed what was touched.
    """
    groups = list(groups)
    _of_people(rule)
    _check(visibility, groups)
    with transaction.atomic():
        rule = _locked(rule)
        before, now = snapshot(rule), settable(rule)
        given = {"visibility": visibility, "groups": sorted(group.pk for group in groups)}
        changes = touched(given, seen or {})
        agree(changes, now, seen or {})
        wanted = {**now, **changes}
        _write(rule, wanted["visibility"], list(Group.objects.filter(pk__in=wanted["groups"])))
        after = snapshot(rule)
        if before == after:
            return False
        record(Subject.RULE, rule.pk, label(terms_of(rule)), before, after, by, channel)
    return True


def grant(rule: AccessRule, group: Group, on: bool, *, by: User, channel: str = "page") -> bool:
    """One cell of the matrix. Raises ``AccessRuleError``."""
    _of_people(rule)
    with transaction.atomic():
        rule = _locked(rule)
        standing = set(rule.groups.all())
        groups = standing | {group} if on else standing - {group}
        return change(rule, visibility=rule.visibility, groups=groups, by=by, channel=channel)


def delete(rule: AccessRule, *, by: User, channel: str = "page") -> None:
    """Delete a rule, and decide again about its models. Raises ``AccessRuleError``."""
    _of_people(rule)
    with transaction.atomic():
        rule = _locked(rule)
        pk, before, called = rule.pk, snapshot(rule), label(terms_of(rule))
        remove(rule)
        record(Subject.RULE, pk, called, before, None, by, channel)


def remove(rule: AccessRule) -> None:
    """Delete a rule, and update the models that it matched."""
    models = audiences.touched_by(rule)
    rule.audiences.all().delete()  # an undo may bring the rule back under its key
    rule.delete()
    audiences.refresh(models)


def set_default(
    visibility: str, *, by: User, channel: str = "page", seen: Mapping[str, str] | None = None
) -> bool:
    """Set the visibility of models that nothing else decides; return whether it changed.

    An empty value leaves it to the access file. ``seen`` has the stamp of what a form showed.
    Raises ``AccessRuleError``, and ``Conflict`` where somebody else has changed it since.
    """
    if visibility and visibility not in Visibility.values:
        raise AccessRuleError("visibility", "Choose one of the visibilities.")
    with transaction.atomic():
        rule, _ = AccessRule.objects.get_or_create(is_default=True, file_key="")
        before = rule.visibility
        if before == visibility or not touched({"visibility": visibility}, seen or {}):
            return False
        agree({"visibility": visibility}, {"visibility": before}, seen or {})
        AccessRule.objects.filter(pk=rule.pk).update(visibility=visibility)
        audiences.refresh()
        record(
            Subject.RULE, rule.pk, "Default", {"visibility": before}, {"visibility": visibility},
            by, channel,
        )  # fmt: skip
    return True


def grant_collection(
    collection: Collection, group: Group, on: bool, *, by: User, channel: str = "page"
) -> bool:
    """Set one cell of the matrix: whether a group may see the models of a collection."""
    with transaction.atomic():
        Collection.objects.select_for_update().get(pk=collection.pk)
        before = group_names(collection)
        (collection.groups.add if on else collection.groups.remove)(group)
        return record_groups(collection, before, by=by, channel=channel)


def group_names(collection: Collection) -> list[str]:
    return list(collection.groups.order_by("name").values_list("name", flat=True))


def record_groups(
    collection: Collection,
    before: Sequence[str],
    *,
    by: User,
    channel: str = "page",
    undoes: AccessChange | None = None,
) -> bool:
    """Record the groups that a collection has now and had ``before``.

    Returns whether they differ.
    """
    after = group_names(collection)
    if list(before) == after:
        return False
    told = ({"groups": list(before)}, {"groups": after})
    record(
        Subject.COLLECTION, collection.pk, f"Collection: {collection.name}", *told, by, channel,
        undoes,
    )  # fmt: skip
    return True


def record(
    subject: str,
    subject_id: int,
    called: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    by: User | None,
    channel: str,
    undoes: AccessChange | None = None,
) -> AccessChange:
    """Record a change in the history and in the log."""
    row = AccessChange.objects.create(
        subject=subject, subject_id=subject_id, label=called[:300], before=before, after=after,
        by=by, channel=channel, undoes=undoes,
    )  # fmt: skip
    who = by.get_username() if by else FILE
    what = "added" if before is None else "deleted" if after is None else "changed"
    event_log.record(
        LogTopic.ACCESS, Severity.INFO, f"{who} {what} who may see models ({called}, {channel})"
    )
    return row


# -- undo


def undo(row: AccessChange, *, by: User, channel: str = "page") -> None:
    """Restore the values from before a change, unless they have changed again since.

    Raises ``AccessRuleError``.
    """
    if row.channel == "file":
        raise AccessRuleError("change", f"This came from {FILE}. Change the file instead.")
    with transaction.atomic():
        if _now(row) != row.after:
            raise AccessRuleError(
                "change", "It was changed again since, or is undone already. Nothing was changed."
            )
        groups = _known_groups((row.before or {}).get("groups", ()))
        if row.subject == Subject.COLLECTION:
            collection = Collection.objects.select_for_update().get(pk=row.subject_id)
            before = group_names(collection)
            collection.groups.set(groups)
            record_groups(collection, before, by=by, channel=channel, undoes=row)
            return
        _restore(row, groups)
        record(
            row.subject, row.subject_id, row.label, row.after, row.before, by, channel, undoes=row
        )


def _now(row: AccessChange) -> Mapping[str, Any] | None:
    """Return the current state of what a change is about, in the format of the change."""
    if row.subject == Subject.COLLECTION:
        collection = Collection.objects.filter(pk=row.subject_id).first()
        return {"groups": group_names(collection)} if collection else None
    rule = AccessRule.objects.filter(pk=row.subject_id).first()
    if rule is None:
        return None
    return {"visibility": rule.visibility} if rule.is_default else snapshot(rule)


def _known_groups(names: Iterable[str]) -> list[Group]:
    wanted = set(names)
    known = list(Group.objects.filter(name__in=wanted))
    if gone := sorted(wanted - {group.name for group in known}):
        raise AccessRuleError(
            "change", f"The group {gone[0]} does not exist any more. Create it first."
        )
    return known


def _restore(row: AccessChange, groups: Sequence[Group]) -> None:
    rule = AccessRule.objects.filter(pk=row.subject_id).first()
    if row.before is None:
        if rule:
            remove(rule)
        return
    if rule is None:
        rule = AccessRule.objects.create(pk=row.subject_id)
        AccessTerm.objects.bulk_create(
            [AccessTerm(rule=rule, kind=kind, value=value) for kind, value in row.before["terms"]]
        )
        AccessRule.objects.filter(pk=rule.pk).update(visibility=row.before["visibility"])
        rule.groups.set(groups)
        audiences.refresh(rule_matches.of_rule(rule.pk))
    elif rule.is_default:
        AccessRule.objects.filter(pk=rule.pk).update(visibility=row.before["visibility"])
        audiences.refresh()
    else:
        _write(rule, row.before["visibility"], groups)


def _write(rule: AccessRule, visibility: str, groups: Iterable[Group]) -> None:
    rule.groups.set(groups)
    if rule.visibility != visibility:
        rule.visibility = visibility
        rule.save(update_fields=["visibility"])
        audiences.refresh(audiences.touched_by(rule))


def _locked(rule: AccessRule) -> AccessRule:
    found = AccessRule.objects.select_for_update().filter(pk=rule.pk).first()
    if found is None:
        raise AccessRuleError("rule", "This rule was deleted meanwhile.")
    return found


def _of_people(rule: AccessRule) -> None:
    if rule.file_key or rule.is_default:
        raise AccessRuleError(
            "rule",
            f"This rule stands in {FILE} under {rule.file_key}. Change it there.",
        )


def _check(visibility: str, groups: Sequence[Group]) -> None:
    if visibility and visibility not in Visibility.values:
        raise AccessRuleError("visibility", "Choose one of the visibilities.")
    if not visibility and not groups:
        raise AccessRuleError("groups", "Choose a visibility, or a group that may see the models.")


# -- before it is saved
