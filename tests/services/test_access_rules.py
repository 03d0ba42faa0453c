"""Access rules: which models they mean, what follows, and that ``visible_to`` is what ten lines of
Python say.
"""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from discovery.engine.core.service_words import RuleKind, VisibilitySource
from discovery.models import (
    AccessChange,
    AccessRule,
    AccessTerm,
    Collection,
    Listing,
    RegisteredModel,
    Root,
    Visibility,
)
from discovery.services.access import (
    access_rules,
    audiences,
    rule_matches,
    rule_preview,
    rule_terms,
)
from discovery.services.access.rule_matches import Term
from discovery.services.bulk import bulk_edits
from discovery.services.curation import collections
from discovery.services.findings import triage
from discovery.services.metadata import metadata, undo
from discovery.services.registry import deregistration, tags

Make = Callable[..., RegisteredModel]

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin() -> User:
    return User.objects.create_superuser("root")


@pytest.fixture
def group(user: User) -> Group:
    group = Group.objects.create(name="developers")
    user.groups.add(group)
    return group


def seen(user: User) -> set[str]:
    return set(RegisteredModel.objects.visible_to(user).values_list("name", flat=True))


def rule(admin: User, kind: str, value: str, *groups: Group, visibility: str = "") -> AccessRule:
    return access_rules.make(
        rule_terms.term(kind, value), visibility=visibility, groups=groups, by=admin
    )


# -- the reference


def has(term: Term, model: RegisteredModel) -> bool:
    """What a term means, in Python."""
    words = {*model.tagged.values_list("name", flat=True)}
    shelves = {*model.collections.values_list("name", flat=True)}
    places = (model.path, f"{model.root.path}/{model.path}")
    return {
        RuleKind.CATEGORY: term.value in (model.primary, model.secondary, model.specialization),
        RuleKind.TAG: term.value in words,
        RuleKind.FOLDER: any(f"{each}/".startswith(f"{term.value}/") for each in places),
        RuleKind.LICENSE: model.license == term.value,
        RuleKind.ROOT: str(model.root_id) == term.value,
        RuleKind.NAME: term.value in {model.model_id, model.name, *words, *shelves},
        RuleKind.PATTERN: any(
            fnmatchcase(each, term.value.replace("[", "[[]"))
            for each in (model.model_id, model.name, model.path)
        ),
    }[RuleKind(term.kind)]


def reference(user: User, model: RegisteredModel, rules: list[Any], default: str) -> bool:
    """Whether a person sees a model: ten lines."""
    means = [each for each in rules if any(has(term, model) for term in each["terms"])]
    visibility = model.visibility if model.visibility_source == VisibilitySource.PERSON else ""
    for of_file in (False, True):
        named = [r["visibility"] for r in means if r["visibility"] and r["file"] is of_file]
        visibility = visibility or (audiences.strictest(named) if named else "")
    visibility = Visibility.ADMIN_ONLY if model.quarantined_at else visibility or default
    own = set(user.groups.all())
    granted = {*model.groups.all(), *(g for r in means for g in r["groups"])}
    granted |= {g for shelf in model.collections.all() for g in shelf.groups.all()}
    return visibility == "PUBLIC" or (visibility == "RESTRICTED" and bool(own & granted))


NAMES = ("llama-7b", "llama-70b", "bert", "a_b", "x[1]", "Bert", "größe%")
TAGS = ("prod", "old", "code-models", "bert")
FOLDERS = ("language/chat", "language/code", "vision", "a_b", "Vision")
TERMS = st.one_of(
    st.tuples(st.just(RuleKind.CATEGORY), st.sampled_from(("LANGUAGE", "CODE", "MEDICAL"))),
    st.tuples(st.just(RuleKind.TAG), st.sampled_from(TAGS)),
    st.tuples(
        st.just(RuleKind.FOLDER),
        st.sampled_from(("language", "language/chat", "vision", "/one", "/one/language", "a_b")),
    ),
    st.tuples(st.just(RuleKind.LICENSE), st.sampled_from(("mit", "apache-2.0"))),
    st.tuples(st.just(RuleKind.ROOT), st.sampled_from(("/one", "/two"))),
    st.tuples(st.just(RuleKind.NAME), st.sampled_from((*NAMES, *TAGS, "shelf", "nothing"))),
    st.tuples(
        st.just(RuleKind.PATTERN), st.sampled_from(("llama-*", "?ert", "*_b", "x[[]*", "x[*", "*%"))
    ),
)
VISIBILITY = st.sampled_from(("", *Visibility.values))


@pytest.mark.slow
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_what_sql_shows_is_what_the_reference_shows(
    data: st.DataObject, make_model: Make, user: User, admin: User
) -> None:
    for rows in (AccessRule, Collection, Group, RegisteredModel, Root):
        rows._default_manager.all().delete()
    roots = [Root.objects.create(path=path) for path in ("/one", "/two")]
    groups = [Group.objects.create(name=name) for name in ("g1", "ö \"'<b>", "g3")]
    shelves = [Collection.objects.create(name=name) for name in ("shelf", "prod")]
    some = st.sets(st.sampled_from(groups))
    for shelf in shelves:
        shelf.groups.set(data.draw(some))
    user.groups.set(data.draw(some))
    models = [_draw_model(data, make_model, roots, groups, shelves, n) for n in range(4)]
    default = data.draw(st.sampled_from(Visibility.values))
    AccessRule.objects.create(is_default=True, file_key="default", visibility=default)
    rules = [_draw_rule(data, groups, number) for number in range(data.draw(st.integers(0, 5)))]
    audiences.refresh()
    for model in models[:2]:
        model.tagged.add(
            *[tags.Tag.objects.get_or_create(name=data.draw(st.sampled_from(TAGS)))[0]]
        )
        model.groups.add(data.draw(st.sampled_from(groups)))
    triage.quarantine(RegisteredModel.objects.get(pk=models[0].pk), by=admin)
    if data.draw(st.booleans()):
        triage.lift_quarantine(RegisteredModel.objects.get(pk=models[0].pk), by=admin)
    fresh = list(RegisteredModel.objects.select_related("root"))
    expected = {model.pk for model in fresh if reference(user, model, rules, default)}
    for rows in (RegisteredModel.objects, Listing.objects):
        assert set(rows.visible_to(user).values_list("pk", flat=True)) == expected


def _draw_model(
    data: st.DataObject, make: Make, roots: Any, groups: Any, shelves: Any, number: int
) -> RegisteredModel:
    chosen = data.draw(VISIBILITY)
    columns = {"visibility": chosen} if chosen else {}
    name, folder = data.draw(st.sampled_from(NAMES)), data.draw(st.sampled_from(FOLDERS))
    model = make(
        name, model_id=f"id-{number}", path=f"{folder}/{number}", place=str(number),
        root=data.draw(st.sampled_from(roots)),
        license=data.draw(st.sampled_from(("mit", "apache-2.0", "MIT"))),
        primary=data.draw(st.sampled_from(("LANGUAGE", "VISION"))),
        secondary=data.draw(st.sampled_from(("CODE", "CHAT"))), **columns,
    )  # fmt: skip
    model.groups.set(data.draw(st.sets(st.sampled_from(groups), max_size=1)))
    model.collections.set(data.draw(st.sets(st.sampled_from(shelves))))
    for tag in data.draw(st.sets(st.sampled_from(TAGS), max_size=2)):
        model.tagged.add(tags.Tag.objects.get_or_create(name=tag)[0])
    return model


def _draw_rule(data: st.DataObject, groups: Any, number: int) -> dict[str, Any]:
    of_file = data.draw(st.booleans())
    terms = [
        Term(*each) for each in data.draw(st.lists(TERMS, min_size=1, max_size=3, unique=True))
    ]
    terms = [
        rule_terms.term(each.kind, each.value) if each.kind == RuleKind.ROOT else each
        for each in terms
    ]
    row = AccessRule.objects.create(
        file_key=f"user_groups/{number}" if of_file else "", visibility=data.draw(VISIBILITY)
    )
    AccessTerm.objects.bulk_create([AccessTerm(rule=row, kind=k, value=v) for k, v in terms])
    row.groups.set(data.draw(st.sets(st.sampled_from(groups))))
    return {
        "terms": terms, "visibility": row.visibility, "file": of_file,
        "groups": list(row.groups.all()),
    }  # fmt: skip


# -- what follows each change


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("category", "code", {"coder"}),
        ("tag", "prod", {"coder"}),
        ("folder", "language/chat/", {"talker"}),
        ("folder", "/srv/models/language", {"talker"}),
        ("folder", "langu", set()),
        ("license", "mit", {"talker"}),
        ("root", "/srv/models", {"coder", "talker"}),
        ("name", "coder", {"coder"}),
        ("name", "Shelf", {"talker"}),
        ("pattern", "t*r", {"talker"}),
    ],
)
def test_a_group_sees_what_its_rule_means(
    kind: str, value: str, expected: set[str], make_model: Make, user: User, admin: User,
    group: Group,
) -> None:  # fmt: skip
    coder = make_model("coder", secondary="CODE", tags=["prod"])
    talker = make_model("talker", path="language/chat/talker", license="mit")
    tags.sync([coder, talker])
    talker.collections.add(Collection.objects.create(name="Shelf"))
    assert seen(user) == set()
    made = rule(admin, kind, value, group)
    assert seen(user) == expected
    access_rules.delete(made, by=admin)
    assert seen(user) == set()


def test_an_edit_and_its_undo_move_a_model_in_and_out_of_a_rule(
    make_model: Make, user: User, admin: User, group: Group
) -> None:
    model = make_model("m", license="mit")
    rule(admin, "license", "apache-2.0", group)
    made = metadata.edit(model, {"license": "apache-2.0"}, by=admin, channel="page")
    assert seen(user) == {"m"}
    undo.undo_change(made[0], by=admin, channel="page")
    assert seen(user) == set()


def test_a_bulk_edit_moves_models_into_a_rule(
    make_model: Make, user: User, admin: User, group: Group
) -> None:
    models = [make_model(f"m{number}") for number in range(3)]
    rule(admin, "tag", "open", group)
    operation = bulk_edits.Operation.read("tags", add={"tags": ["open"]})
    selection = bulk_edits.Selection(ids=tuple(model.model_id for model in models[:2]))
    bulk_edits.request(operation, selection, by=admin)
    assert seen(user) == {"m0", "m1"}


def test_a_model_that_is_found_again_is_where_its_rules_have_it(
    make_model: Make, user: User, admin: User, group: Group
) -> None:
    model = make_model("m", license="mit")
    metadata.edit(model, {"visibility": "PUBLIC"}, by=admin, channel="page")
    deregistration.forget(model, by=admin, channel="page")
    rule(admin, "license", "mit", group)
    again = make_model("m", license="mit")
    memory = deregistration.find(again.root, ["m"])["m"]
    deregistration.restore(again, memory)
    deregistration.save_again([(again, memory)])
    again.refresh_from_db()
    assert (again.visibility, again.visibility_source) == ("PUBLIC", VisibilitySource.PERSON)


def test_a_rule_decides_the_visibility_that_nobody_set(make_model: Make, admin: User) -> None:
    free, fixed = make_model("free", license="mit"), make_model("fixed", license="mit")
    metadata.edit(fixed, {"visibility": "ADMIN_ONLY"}, by=admin, channel="page")
    made = rule(admin, "license", "mit", visibility="PUBLIC")
    assert _visibility(free, fixed) == [("PUBLIC", "rule"), ("ADMIN_ONLY", "person")]
    access_rules.delete(made, by=admin)
    assert _visibility(free, fixed) == [("RESTRICTED", "default"), ("ADMIN_ONLY", "person")]


def test_of_contradicting_rules_the_stricter_one_wins(make_model: Make, admin: User) -> None:
    model = make_model("m", license="mit", secondary="CODE")
    rule(admin, "license", "mit", visibility="PUBLIC")
    strict = rule(admin, "category", "CODE", visibility="ADMIN_ONLY")
    assert _visibility(model) == [("ADMIN_ONLY", "rule")]
    access_rules.delete(strict, by=admin)
    assert _visibility(model) == [("PUBLIC", "rule")]


def test_a_visibility_is_given_back_to_the_rules(make_model: Make, admin: User) -> None:
    model = make_model("m", license="mit")
    rule(admin, "license", "mit", visibility="PUBLIC")
    made = metadata.edit(model, {"visibility": "ADMIN_ONLY"}, by=admin, channel="page")
    metadata.edit(model, {"visibility": None}, by=admin, channel="page")
    assert _visibility(model) == [("PUBLIC", "rule")]
    assert [(each.before, each.after) for each in made] == [(None, "ADMIN_ONLY")]


def test_undoing_the_first_decision_leaves_none(make_model: Make, admin: User) -> None:
    model = make_model("m")
    made = metadata.edit(model, {"visibility": "PUBLIC"}, by=admin, channel="page")
    undo.undo_change(made[0], by=admin, channel="page")
    assert _visibility(model) == [("RESTRICTED", "default")]


def test_the_default_is_for_models_that_nothing_else_decides(make_model: Make, admin: User) -> None:
    old, ruled = make_model("old"), make_model("ruled", license="mit")
    rule(admin, "license", "mit", visibility="ADMIN_ONLY")
    assert access_rules.set_default("PUBLIC", by=admin)
    new = make_model("new")
    audiences.refresh([new.pk])
    assert _visibility(old, ruled, new) == [
        ("PUBLIC", "default"), ("ADMIN_ONLY", "rule"), ("PUBLIC", "default"),
    ]  # fmt: skip


def test_quarantine_beats_every_rule_and_its_end_gives_the_model_back_to_them(
    make_model: Make, admin: User
) -> None:
    model = make_model("m", license="mit")
    triage.quarantine(model, by=admin)
    rule(admin, "license", "mit", visibility="PUBLIC")
    assert _visibility(model)[0][0] == "ADMIN_ONLY"
    triage.lift_quarantine(RegisteredModel.objects.get(pk=model.pk), by=admin)
    assert _visibility(model) == [("PUBLIC", "rule")]


def _visibility(*models: RegisteredModel) -> list[tuple[str, str]]:
    rows = RegisteredModel.objects.in_bulk([model.pk for model in models])
    return [(rows[each.pk].visibility, rows[each.pk].visibility_source) for each in models]


def test_a_deleted_group_an_emptied_collection_and_a_person_in_no_group_see_nothing(
    make_model: Make, user: User, admin: User, group: Group
) -> None:
    model, shelf = make_model("m", license="mit"), Collection.objects.create(name="s")
    made = rule(admin, "license", "mit", group)
    shelf.groups.add(group)
    model.collections.add(shelf)
    shelf.models.clear()
    assert seen(user) == {"m"}
    user.groups.clear()
    assert seen(user) == set()
    user.groups.add(group)
    group.delete()
    assert seen(User.objects.get(pk=user.pk)) == set()
    assert access_rules.snapshot(made)["groups"] == []


def test_a_collection_that_follows_a_filter_opens_what_enters_it(
    make_model: Make, user: User, admin: User, group: Group
) -> None:
    model = make_model("m", license="mit")
    collections.save(Collection(), name="s", query="license=apache-2.0", groups=[group], by=admin)
    assert seen(user) == set()
    metadata.edit(model, {"license": "apache-2.0"}, by=admin, channel="page")
    assert seen(user) == {"m"}


@pytest.mark.parametrize(
    ("kind", "value", "field"),
    [
        ("nonsense", "x", "kind"), ("tag", " ", "value"), ("tag", "x" * 1_001, "value"),
        ("category", "POETRY", "value"), ("folder", "../etc", "value"), ("folder", "/", "value"),
        ("root", "/nowhere", "value"), ("pattern", "*", "value"), ("pattern", "plain", "value"),
    ],
)  # fmt: skip
def test_a_rule_that_makes_no_sense_is_refused(kind: str, value: str, field: str) -> None:
    with pytest.raises(rule_terms.AccessRuleError) as error:
        rule_terms.term(kind, value)
    assert error.value.field == field


def test_a_rule_without_effect_and_a_second_one_for_the_same_are_refused(
    admin: User, group: Group
) -> None:
    with pytest.raises(rule_terms.AccessRuleError, match="Choose a visibility"):
        rule(admin, "tag", "x")
    rule(admin, "tag", "x", group)
    with pytest.raises(rule_terms.AccessRuleError, match="already"):
        rule(admin, "tag", "x", group)


# -- history and undo


def test_every_change_of_a_rule_is_in_the_history_and_is_undone(
    make_model: Make, user: User, admin: User, group: Group
) -> None:
    make_model("m", license="mit")
    made = rule(admin, "license", "mit", group)
    access_rules.grant(made, group, True, by=admin)  # is so already: no change
    access_rules.change(made, visibility="PUBLIC", groups=[], by=admin)
    access_rules.delete(made, by=admin)
    added, changed, deleted = AccessChange.objects.order_by("pk")
    assert (added.before, deleted.after) == (None, None)
    access_rules.undo(deleted, by=admin)
    assert seen(user) == {"m"}
    with pytest.raises(rule_terms.AccessRuleError, match="changed again"):
        access_rules.undo(added, by=admin)
    access_rules.undo(changed, by=admin)
    assert access_rules.snapshot(AccessRule.objects.get(pk=made.pk)) == added.after
    access_rules.undo(added, by=admin)
    assert not AccessRule.objects.exists()
    assert seen(user) == set()


def test_a_cell_of_a_collection_and_the_default_are_undone(
    make_model: Make, user: User, admin: User, group: Group
) -> None:
    shelf = Collection.objects.create(name="s")
    make_model("m").collections.add(shelf)
    access_rules.grant_collection(shelf, group, True, by=admin)
    assert seen(user) == {"m"}
    access_rules.undo(AccessChange.objects.get(), by=admin)
    assert seen(user) == set()
    access_rules.set_default("PUBLIC", by=admin)
    assert seen(user) == {"m"}
    access_rules.undo(AccessChange.objects.first(), by=admin)
    assert seen(user) == set()


def test_an_undo_that_needs_a_deleted_group_is_refused(admin: User, group: Group) -> None:
    made = rule(admin, "tag", "x", group, visibility="PUBLIC")
    access_rules.delete(made, by=admin)
    group.delete()
    with pytest.raises(rule_terms.AccessRuleError, match="developers does not exist"):
        access_rules.undo(AccessChange.objects.first(), by=admin)


def test_a_preview_says_what_would_open_and_changes_nothing(
    make_model: Make, user: User, group: Group
) -> None:
    make_model("m", license="mit")
    make_model("p", license="mit", visibility="PUBLIC")
    told = rule_preview.preview(Term("license", "mit"), "", [group])
    assert told == ["2 models match now.", "developers would see 1 more restricted model."]
    assert not AccessRule.objects.exists()
    assert seen(user) == {"p"}


def test_bringing_many_models_up_to_date_takes_as_many_statements_as_one(
    make_model: Make, admin: User, group: Group, django_assert_num_queries: Any
) -> None:
    for number in range(20):
        make_model(f"m{number}", license="mit")
    for number in range(10):
        rule(admin, "tag", f"t{number}", group)
    rule(admin, "license", "mit", group)
    keys = list(RegisteredModel.objects.values_list("pk", flat=True))
    lock = connection.vendor == "postgresql"
    for wanted in (keys[:1], keys):
        with django_assert_num_queries(8 + lock):
            assert audiences.refresh(wanted) == 0
    assert len(rule_matches.of_terms([Term("license", "mit")])) == 20


def test_a_preview_takes_one_parameter_however_many_models_match(make_model: Make) -> None:
    for number in range(3):
        make_model(f"m{number}", license="mit")
    found = rule_matches.models_of([Term("license", "mit")])
    assert found.count() == 3
    assert len(found.order_by().values("pk").query.sql_with_params()[1]) == 1
