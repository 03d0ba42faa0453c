"""Counts are counted once as long as nobody writes, and anew after everything that changes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from discovery.models import Collection, Listing, RegisteredModel, Tag, Visibility, listing_version
from discovery.models.listing_version import ListingVersion
from discovery.services.access import access_rules, rule_terms
from discovery.services.search import facets, model_search
from discovery.services.search.model_filters import ModelFilters

Make = Callable[..., RegisteredModel]
ALL = ModelFilters()


@pytest.fixture
def people(make_model: Make) -> dict[str, Any]:
    """A registry with two restricted models, and somebody in a group that sees neither."""
    group = Group.objects.create(name="readers")
    reader = User.objects.create_user("reader")
    reader.groups.add(group)
    make_model("one", license="mit")
    make_model("two", license="mit")
    return {"group": group, "reader": reader}


def seen(user: Any) -> list[str]:
    return sorted(row.name for row in RegisteredModel.objects.visible_to(user))


def publish(_: Any) -> None:
    RegisteredModel.objects.filter(name="one").update(visibility=Visibility.PUBLIC)


def delete(_: Any) -> None:
    RegisteredModel.objects.filter(name="one").delete()


def grant(people: Any) -> None:
    RegisteredModel.objects.get(name="one").groups.add(people["group"])


def grant_a_collection(people: Any) -> None:
    collection = Collection.objects.create(name="shelf")
    collection.models.add(RegisteredModel.objects.get(name="one"))
    collection.groups.add(people["group"])


def grant_by_rule(people: Any) -> None:
    admin = User.objects.create_superuser("root")
    access_rules.make(
        rule_terms.term("license", "mit"), visibility="", groups=[people["group"]], by=admin
    )


@pytest.mark.django_db
@pytest.mark.parametrize(
    "change",
    [publish, delete, grant, grant_a_collection, grant_by_rule],
    ids=lambda it: it.__name__,
)
def test_whatever_changes_what_somebody_sees_is_counted_at_once(
    change: Callable[[Any], None], people: dict[str, Any], admin_user: User
) -> None:
    everybody = (people["reader"], admin_user, AnonymousUser())
    for user in everybody:
        assert model_search.count(user, ALL) == len(seen(user))
    change(people)
    for user in everybody:
        assert model_search.count(user, ALL) == len(seen(user))
        assert sum(dict(facets.counts(user, ALL, ("license",))["license"]).values()) == len(
            seen(user)
        )


@pytest.mark.django_db
def test_a_tag_that_is_added_renamed_and_removed_is_counted_at_once(
    people: dict[str, Any], admin_user: User
) -> None:
    def tags() -> dict[str, int]:
        return dict(facets.counts(admin_user, ALL, ("tag",))["tag"])

    record = RegisteredModel.objects.get(name="one")
    assert tags() == {}
    tag = Tag.objects.create(name="good")
    record.tagged.add(tag)
    assert tags() == {"good": 1}
    Tag.objects.filter(pk=tag.pk).update(name="better")
    assert tags() == {"better": 1}
    record.tagged.remove(tag)
    assert tags() == {}


@pytest.mark.django_db
def test_whoever_leaves_a_group_or_joins_one_is_counted_for_anew(people: dict[str, Any]) -> None:
    grant(people)
    assert model_search.count(people["reader"], ALL) == 1
    people["reader"].groups.clear()
    assert model_search.count(people["reader"], ALL) == 0
    people["reader"].groups.add(people["group"])
    assert model_search.count(people["reader"], ALL) == 1


@pytest.mark.django_db
def test_nothing_is_counted_twice_while_nobody_writes(
    people: dict[str, Any], admin_user: User
) -> None:
    other = User.objects.create_user("another reader")
    other.groups.add(people["group"])
    filters = ModelFilters.read("license=mit")
    model_search.count(people["reader"], filters)
    facets.count(people["reader"], filters, ("tag", "license"))
    with CaptureQueriesContext(connection) as queries:
        model_search.count(other, filters)
        facets.count(other, ALL, ("tag",))
        facets.count(other, filters, ("tag", "license"))
    read = [each["sql"] for each in queries if Listing._meta.db_table in each["sql"]]
    # Of a filter that the index of profiles lacks, the rows are found again.
    assert [each for each in read if "COUNT(*)" in each] == []


@pytest.mark.django_db
def test_what_is_rolled_back_leaves_no_count_behind(
    people: dict[str, Any], admin_user: User
) -> None:
    assert model_search.count(admin_user, ALL) == 2
    for _ in range(3):
        with transaction.atomic():
            delete(people)
            assert model_search.count(admin_user, ALL) == 1
            transaction.set_rollback(True)
        assert model_search.count(admin_user, ALL) == 2


@pytest.mark.django_db
def test_each_write_gives_a_version_that_was_never_given_before(make_model: Make) -> None:
    versions = [ListingVersion.current()]
    for number in range(20):
        make_model(f"model {number}")
        versions.append(ListingVersion.current())
    assert len(set(versions)) == len(versions)


@pytest.mark.django_db
def test_what_no_list_counts_keeps_the_version(make_model: Make) -> None:
    record = make_model("one")
    before = ListingVersion.current()
    RegisteredModel.objects.filter(pk=record.pk).update(extracted={"author": "somebody"})
    User.objects.create_user("somebody")
    assert ListingVersion.current() == before


@pytest.mark.django_db
def test_rows_of_closed_connections_become_one_without_a_new_version(make_model: Make) -> None:
    make_model("one")
    if connection.vendor == "postgresql":
        ListingVersion.objects.bulk_create(
            [ListingVersion(slot=-number, value=number * 1000) for number in (1, 2, 3)]
        )
    before, rows = ListingVersion.current(), ListingVersion.objects.count()
    for _ in range(2):
        listing_version.fold()
        assert ListingVersion.current() == before
    assert ListingVersion.objects.count() <= min(rows, 2)


@pytest.mark.django_db(transaction=True)
def test_the_triggers_step_aside_for_migrations_and_come_back(make_model: Make) -> None:
    listing_version.uninstall(connection.alias, plan=["a migration"])
    make_model("unseen")
    before = ListingVersion.current()
    make_model("unseen, too")
    assert ListingVersion.current() == before
    listing_version.install(connection.alias)
    make_model("seen")
    assert ListingVersion.current() != before
