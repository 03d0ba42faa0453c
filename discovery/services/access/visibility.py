"""Who may see a model, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import Group, User
from django.db.models import Q

from discovery.engine.core.service_words import VisibilitySource
from discovery.models import AccessRule, MetadataChange, RegisteredModel, Visibility
from discovery.models.registry import groups_of, sees_all
from discovery.services.access import access_rules, rule_terms
from discovery.services.access.permissions import seeing_all
from discovery.services.access.rule_matches import Term


def explained(record: RegisteredModel) -> dict[str, Any]:
    """Return who may see the model, and through what.

    ``users`` are active people who do not see all models anyway and who see the restricted model
    through a group, a collection or an access rule.
    """
    collections = list(record.collections.prefetch_related("groups").order_by("name"))
    own = list(record.groups.order_by("name"))
    rules = rules_of(record)
    granting = Group.objects.filter(
        Q(models=record) | Q(collections__models=record) | Q(access_rules__in=rules)
    )
    seeing = User.objects.filter(seeing_all()).values("pk")
    people = (
        User.objects.filter(is_active=True, groups__in=granting)
        .exclude(pk__in=seeing)
        .order_by("username")
        .distinct()
    )
    return {
        "model_id": record.model_id,
        "visibility": record.visibility,
        "visibility_source": record.visibility_source,
        "quarantined_at": record.quarantined_at,
        "groups": [group.name for group in own],
        "collections": [
            {"name": item.name, "groups": sorted(group.name for group in item.groups.all())}
            for item in collections
        ],
        "rules": [
            {
                "rule": called(rule),
                "visibility": rule.visibility or None,
                "groups": sorted(group.name for group in rule.groups.all()),
            }
            for rule in rules
        ],
        "users": (
            [user.username for user in people] if record.visibility == Visibility.RESTRICTED else []
        ),
    }


def rules_of(record: RegisteredModel) -> list[AccessRule]:
    """The access rules that mean a model, with their terms and groups."""
    rows = AccessRule.objects.filter(audiences=record.audience_id, is_default=False)
    return list(rows.order_by("pk").prefetch_related("terms", "groups"))


def called(rule: AccessRule) -> str:
    """Describe a rule: ``License: mit``, or its place in the access file."""
    if rule.file_key:
        return f"{access_rules.FILE}: {rule.file_key}"
    terms = [Term(each.kind, each.value) for each in rule.terms.all()]
    return rule_terms.label(terms)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a decision about access.

    ``allows`` is ``True`` where the step lets the person see the model, ``False`` where it forbids
    it, and ``None`` where it does neither.
    """

    text: str
    allows: bool | None = None


@dataclass(frozen=True, slots=True)
class AccessAnswer:
    """Whether one person may see a model, and the reason in a sentence.

    ``allowed`` is ``None`` where the person has no account. ``steps`` is everything that was
    checked, in order.
    """

    allowed: bool | None
    why: str
    steps: tuple[Step, ...] = ()


def of_person(record: RegisteredModel, username: str) -> AccessAnswer:
    """The answer for one account, as ``visible_to`` gives it."""
    person = User.objects.filter(username=username.replace("\0", "")).first()
    if person is None:
        return AccessAnswer(None, "There is no account of this name.")
    steps = decided_by(record)
    if not person.is_active:
        step = Step("The account is switched off: it sees no more than a visitor.")
        return _answer(record.visibility == Visibility.PUBLIC, step, steps)
    if person.is_superuser:
        return _answer(True, Step("Superusers see every model.", True), steps)
    if sees_all(person):
        text = "The account has the permission to see every model."
        return _answer(True, Step(text, True), steps)
    if record.visibility == Visibility.PUBLIC:
        return _answer(True, Step("The model is public.", True), steps)
    if record.visibility == Visibility.ADMIN_ONLY:
        text = (
            "In quarantine only administrators see it."
            if record.quarantined_at
            else "Only administrators see it."
        )
        return _answer(False, Step(text, False), steps)
    return _restricted(record, person, steps)


def _answer(allowed: bool, step: Step, before: list[Step]) -> AccessAnswer:
    return AccessAnswer(allowed, step.text, (*before, step))


def decided_by(record: RegisteredModel) -> list[Step]:
    """What decides the visibility of a model, the decisive thing first, then what it outweighs."""
    label = Visibility(record.visibility).label.lower()
    rules = [rule for rule in rules_of(record) if rule.visibility]
    steps = []
    if record.quarantined_at:
        steps.append(Step("The model is in quarantine: only administrators see it."))
    elif record.visibility_source == VisibilitySource.PERSON:
        last = MetadataChange.objects.filter(model=record, field="visibility").first()
        by = f" by {last.by.get_username()}" if last and last.by else ""
        steps.append(Step(f"The model was set to {label}{by}."))
    elif record.visibility_source == VisibilitySource.DEFAULT:
        steps.append(Step(f"Nothing decides its visibility: the default is {label}."))
    else:
        winning = record.visibility_source == VisibilitySource.FILE
        first = next(
            rule
            for rule in rules
            if bool(rule.file_key) is winning and rule.visibility == record.visibility
        )
        steps.append(Step(f"{called(first)} makes it {label}."))
        rules.remove(first)
    return steps + [
        Step(f"{called(rule)} says {Visibility(rule.visibility).label.lower()}, and is outweighed.")
        for rule in rules
        if rule.visibility != record.visibility
    ]


def _restricted(record: RegisteredModel, person: User, steps: list[Step]) -> AccessAnswer:
    own = list(person.groups.order_by("name").values_list("name", flat=True))
    grants = _grants(record)
    shared = [sorted(set(own).intersection(groups)) for _, groups in grants]
    steps = [
        *steps,
        *(
            Step(f"{_groups(mine or groups)} may see {what}.", bool(mine) or None)
            for (what, groups), mine in zip(grants, shared, strict=True)
        ),
    ]
    if granted := next((step for step in steps if step.allows), None):
        return AccessAnswer(True, granted.text, tuple(steps))
    if not own:
        text = "The model is restricted, and the account is in no group."
    else:
        text = f"The model is restricted, and {_groups(own, first=False)} may not see it."
    return _answer(False, Step(text, False), steps)


def _grants(record: RegisteredModel) -> list[tuple[str, list[str]]]:
    """Return (what is granted, names of the groups) for all that opens a restricted model."""
    found = [("it", list(record.groups.order_by("name").values_list("name", flat=True)))]
    for item in record.collections.order_by("name").prefetch_related("groups"):
        names = sorted(group.name for group in item.groups.all())
        found.append((f"the collection {item.name}, which it is in", names))
    for rule in rules_of(record):
        names = sorted(group.name for group in rule.groups.all())
        found.append((f"what the rule {called(rule)} means", names))
    return [(what, names) for what, names in found if names]


def _groups(names: list[str], *, first: bool = True) -> str:
    text = (
        f"group{'s' if len(names) > 1 else ''}"
        f" {', '.join(names[:5])}{' …' if len(names) > 5 else ''}"
    )
    return f"The {text}" if first else f"the {text}"


def explained_to(user: User, record: RegisteredModel) -> dict[str, Any]:
    """Return ``explained(record)`` as this user may know it.

    People who see every model get all of it; others only learn about their own groups and
    themselves.
    """
    told = explained(record)
    if sees_all(user):
        return told
    own = set(groups_of(user).values_list("name", flat=True))
    shared = [
        {**item, "groups": sorted(own.intersection(item["groups"]))}
        for item in told["collections"]
        if own.intersection(item["groups"])
    ]
    rules = [
        {**item, "groups": sorted(own.intersection(item["groups"]))}
        for item in told["rules"]
        if own.intersection(item["groups"])
    ]
    mine = [name for name in told["users"] if name == user.username]
    return {
        **told,
        "groups": sorted(own.intersection(told["groups"])),
        "collections": shared,
        "rules": rules,
        "users": mine,
    }
