"""The groups that each audience is open to follow every grant, and audiences go when no model has
them any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection

from discovery.models import AccessRule, Audience, Collection, Opening, RegisteredModel
from discovery.services.access import access_rules, audiences, rule_terms
from discovery.services.curation import collections

Make = Callable[..., RegisteredModel]


def kept() -> set[tuple[int, int]]:
    return set(Opening.objects.values_list("audience_id", "group_id"))


def by_hand() -> set[tuple[int, int]]:
    """What the rows should be, a grant at a time."""
    found = set()
    for audience in Audience.objects.prefetch_related(
        "groups", "collections__groups", "rules__groups"
    ):
        sources = [audience, *audience.collections.all(), *audience.rules.all()]
        found |= {(audience.pk, group.pk) for source in sources for group in source.groups.all()}
    return found


@pytest.fixture
def shelf(make_model: Make, admin_user: User) -> Iterator[Collection]:
    """Three models: one in a collection, one with a tag that a rule is about, one with both."""
    first, second, both = (make_model(name) for name in ("first", "second", "both"))
    collection = Collection.objects.create(name="Shelf")
    collection.models.add(first, both)
    second.tagged.create(name="kept")
    both.tagged.add(*second.tagged.all())
    access_rules.make(
        rule_terms.term("tag", "kept"), visibility="RESTRICTED", groups=[], by=admin_user
    )
    second.groups.add(Group.objects.create(name="direct"))
    yield collection
    assert kept() == by_hand()


def test_grants_of_collections_and_rules_open_audiences(shelf: Collection) -> None:
    one, two = (Group.objects.create(name=name) for name in ("one", "two"))
    rule = AccessRule.objects.get(is_default=False)
    assert kept() == by_hand() != set()
    for change in (
        lambda: shelf.groups.add(one, two),
        lambda: rule.groups.add(two),
        lambda: shelf.groups.remove(two),
        lambda: two.access_rules.clear(),
        lambda: one.access_rules.add(rule),
        lambda: shelf.groups.clear(),
        lambda: rule.groups.set([two]),
    ):
        change()
        assert kept() == by_hand()
    assert {group for _, group in kept()} == {two.pk, Group.objects.get(name="direct").pk}


def test_what_is_granted_in_two_ways_stays_while_one_of_them_does(shelf: Collection) -> None:
    group = Group.objects.create(name="one")
    rule, both = AccessRule.objects.get(is_default=False), RegisteredModel.objects.get(name="both")
    shelf.groups.add(group)
    rule.groups.add(group)
    shelf.groups.remove(group)
    assert (both.audience_id, group.pk) in kept()


def test_a_group_or_collection_that_is_deleted_opens_nothing(
    shelf: Collection, admin_user: User
) -> None:
    group = Group.objects.create(name="one")
    shelf.groups.add(group)
    collections.delete(shelf, by=admin_user)
    assert group.pk not in {each for _, each in kept()}
    Group.objects.get(name="direct").delete()
    assert kept() == set()


def test_audiences_that_no_model_has_any_more_are_deleted_with_their_links(
    shelf: Collection, admin_user: User, user: User
) -> None:
    group = Group.objects.create(name="one")
    shelf.groups.add(group)
    user.groups.add(group)
    before = set(RegisteredModel.objects.visible_to(user).values_list("name", flat=True))
    unused = Audience.objects.filter(models=None).count()
    assert unused > 0
    assert audiences.prune() == unused
    assert not Audience.objects.filter(models=None).exists()
    held = [getattr(Audience, name).through for name in ("groups", "collections", "rules")]
    for through in (Opening, *held):
        assert not through.objects.exclude(audience__in=Audience.objects.all()).exists()
    after = set(RegisteredModel.objects.visible_to(user).values_list("name", flat=True))
    assert before == after == {"first", "both"}
    assert audiences.prune() == 0


def test_a_change_of_many_models_leaves_no_unused_audience(
    shelf: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audiences, "_MANY", 2)
    Collection.objects.create(name="Other").models.add(*RegisteredModel.objects.all())
    assert not Audience.objects.filter(models=None).exists()


def test_rows_that_are_asked_one_by_one_and_all_at_once_are_the_same(
    shelf: Collection, user: User
) -> None:
    group = Group.objects.create(name="one")
    shelf.groups.add(group)
    user.groups.add(group)
    few, all_ = (RegisteredModel.objects.visible_to(user, few=few) for few in (True, False))
    assert set(few) == set(all_) != set()


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_nothing_is_deleted_while_somebody_gives_audiences_to_models(make_model: Make) -> None:
    from threading import Thread

    from django.db import transaction

    record = make_model("m")
    record.groups.add(Group.objects.create(name="one"))
    record.groups.clear()
    found: list[int] = []

    def prune() -> None:
        found.append(audiences.prune())
        connection.close()

    with transaction.atomic():
        audiences.refresh([record.pk])
        thread = Thread(target=prune)
        thread.start()
        thread.join()
    assert found == [0]
    assert audiences.prune() >= 1
