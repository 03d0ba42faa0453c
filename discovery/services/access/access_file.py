"""``access_control.json``: kept in step with the access rules that come from it.

Each list of the file is one rule: the visibility lists decide what nobody else decides, the lists
of ``user_groups`` open restricted models to the group of that name. A group that does not exist yet
is made when the file first names it; one that people delete later stays deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock

from django.contrib.auth.models import Group
from django.db import transaction

from discovery.engine.core.config import AccessControl, is_pattern
from discovery.engine.core.service_words import Channel, RuleKind
from discovery.engine.core.vocabulary import Visibility
from discovery.models import AccessChange, AccessRule, AccessTerm
from discovery.services.access import access_rules, audiences, rule_matches, rule_terms
from discovery.services.access.rule_matches import Term
from discovery.services.core import config_files

FILE = config_files.ACCESS.name

#: Lists of the file that decide visibility.
VISIBILITIES = {
    "public_models": Visibility.PUBLIC,
    "restricted_models": Visibility.RESTRICTED,
    "admin_only_models": Visibility.ADMIN_ONLY,
}
GROUPS = "user_groups/"
DEFAULT = "default"

#: Names that a message tells.
MAX_NAMED = 20


@dataclass(frozen=True, slots=True)
class RuleInFile:
    """A rule as the file has it."""

    terms: tuple[Term, ...] = ()
    visibility: str = ""
    group: str = ""


class _Seen:
    """What this process has brought the rules in step with."""

    lock = Lock()
    control: AccessControl | None = None


def follow() -> bool:
    """Apply the access file if it has changed since this process last applied it.

    Returns whether anything was written. An invalid file changes nothing.
    """
    with _Seen.lock:
        control = config_files.ACCESS.value()
        if control == _Seen.control:
            return False
        changed = apply(control)
        _Seen.control = control
        return changed


def forget() -> None:
    """Make the next ``follow`` apply the rules even if the file has not changed."""
    _Seen.control = None


def apply(control: AccessControl) -> bool:
    """Update the rules of the file to ``control``; return whether anything changed."""
    wanted = _wanted(control)
    with transaction.atomic():
        standing = {
            rule.file_key: rule
            for rule in AccessRule.objects.select_for_update().exclude(file_key="").order_by("pk")
        }
        models: set[int] = set()
        everything = False
        for key, rule in standing.items():
            if key not in wanted:
                models |= _drop(rule)
                everything |= rule.is_default
        for key, rule_wanted in wanted.items():
            touched = _follow(standing.get(key), key, rule_wanted)
            models |= touched or set()
            everything |= touched is not None and key == DEFAULT
        audiences.refresh(None if everything else models)
    return bool(models) or everything or standing.keys() != wanted.keys()


def _wanted(control: AccessControl) -> dict[str, RuleInFile]:
    found = {
        key: RuleInFile(
            tuple(dict.fromkeys(_term(name) for name in names)),
            VISIBILITIES.get(key, ""),
            key.removeprefix(GROUPS) if key.startswith(GROUPS) else "",
        )
        for key, names in control.lists().items()
        if names or key.startswith(GROUPS)
    }
    if control.default:
        found[DEFAULT] = RuleInFile(visibility=control.default)
    return found


def _term(name: str) -> Term:
    return Term(RuleKind.PATTERN if is_pattern(name) else RuleKind.NAME, name)


def _drop(rule: AccessRule) -> set[int]:
    """Delete a rule; return the models that it matched."""
    models, pk, before = audiences.touched_by(rule), rule.pk, _told(rule)
    key = rule.file_key
    rule.audiences.all().delete()
    rule.delete()
    _record(pk, key, before, None)
    return models


def _follow(rule: AccessRule | None, key: str, wanted: RuleInFile) -> set[int] | None:
    """Change a rule to what the file says, or create it.

    Returns the models that the rule selected before or selects now; ``None`` where the rule was up
    to date.
    """
    before = _told(rule) if rule else None
    if rule is None:
        rule = AccessRule.objects.create(
            file_key=key, visibility=wanted.visibility, is_default=key == DEFAULT
        )
        if wanted.group:
            rule.groups.add(Group.objects.get_or_create(name=wanted.group)[0])
    standing = set(rule_terms.terms_of(rule))
    if (
        before is not None
        and standing == set(wanted.terms)
        and (rule.visibility == wanted.visibility)
    ):
        return None
    models = audiences.touched_by(rule)
    rule.terms.all().delete()
    AccessTerm.objects.bulk_create(
        [AccessTerm(rule=rule, kind=each.kind, value=each.value) for each in wanted.terms],
        batch_size=500,
    )
    if rule.visibility != wanted.visibility:
        AccessRule.objects.filter(pk=rule.pk).update(visibility=wanted.visibility)
    rule.refresh_from_db()
    _record(rule.pk, key, before, _told(rule))
    return models | rule_matches.of_rule(rule.pk)


def _told(rule: AccessRule) -> dict[str, object]:
    """For the history: how many names, and the first of them."""
    terms = rule_terms.terms_of(rule)
    return {
        "names": len(terms),
        "terms": [list(each) for each in terms[:MAX_NAMED]],
        "visibility": rule.visibility,
        "groups": list(rule.groups.order_by("name").values_list("name", flat=True)),
    }


def _record(
    pk: int, key: str, before: Mapping[str, object] | None, after: Mapping[str, object] | None
) -> None:
    access_rules.record(
        AccessChange.Subject.RULE, pk, f"{FILE}: {key}", before, after, None,
        Channel.FILE,
    )  # fmt: skip


# -- what the file says that leads nowhere


def warnings() -> list[str]:
    """Return warnings about the active file.

    They are sentences about names that match nothing and groups that no longer exist. The database
    is only queried where the file names something.
    """
    control = config_files.ACCESS.value()
    return [*_unmatched(control), *_gone(control)]


def _unmatched(control: AccessControl) -> list[str]:
    lists = control.lists()
    terms = list(dict.fromkeys(_term(name) for names in lists.values() for name in names))
    matched = {terms[place].value for _, place in rule_matches.pairs(terms)}
    missing = {
        key: [name for name in dict.fromkeys(names) if name not in matched]
        for key, names in lists.items()
    }
    return [
        f"{FILE}: {key}: no model, collection or tag is called"
        f" {', '.join(repr(name[:80]) for name in names[:MAX_NAMED])}"
        f"{f' and {len(names) - MAX_NAMED:,} more names' if len(names) > MAX_NAMED else ''}."
        for key, names in missing.items()
        if names
    ]


def _gone(control: AccessControl) -> list[str]:
    """Groups that people deleted; those that the file has just added are still to be created."""
    if not control.user_groups:
        return []
    followed = AccessRule.objects.filter(file_key__startswith=GROUPS, groups=None)
    return [
        f"{FILE}: {key}: the group was deleted. Create a group of this name and grant it the"
        " models, or take it out of the file."
        for key in followed.values_list("file_key", flat=True)
        if key.removeprefix(GROUPS) in control.user_groups
    ]
