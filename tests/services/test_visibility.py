"""Who may see a model."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User

from discovery.models import Collection, RegisteredModel, Right
from tests.people import administer, permit

Make = Callable[..., RegisteredModel]


@pytest.fixture
def three(make_model: Make) -> list[RegisteredModel]:
    return [
        make_model(name, visibility=name.upper()) for name in ("public", "restricted", "admin_only")
    ]


def seen(user: User | AnonymousUser) -> set[str]:
    return set(RegisteredModel.objects.visible_to(user).values_list("name", flat=True))


def test_visitors_and_users_without_grants_see_what_is_public(
    three: list[RegisteredModel], user: User
) -> None:
    assert seen(AnonymousUser()) == seen(user) == {"public"}


def test_administrators_see_everything_while_they_are_active(
    three: list[RegisteredModel], user: User
) -> None:
    user = administer(user)
    assert seen(user) == {"public", "restricted", "admin_only"}
    user.is_active = False
    assert seen(user) == {"public"}


def test_staff_without_permissions_see_what_everybody_sees(
    three: list[RegisteredModel], user: User
) -> None:
    user.is_staff = True
    assert seen(user) == {"public"}
    assert seen(User(is_staff=True, is_active=True)) == {"public"}


def test_one_permission_shows_every_model(three: list[RegisteredModel], user: User) -> None:
    assert seen(permit(user, Right.VIEW_ALL)) == {"public", "restricted", "admin_only"}


def test_a_superuser_sees_everything_while_active(three: list[RegisteredModel], user: User) -> None:
    user.is_superuser = True
    assert len(seen(user)) == 3
    user.is_active = False
    assert seen(user) == {"public"}


def test_a_group_sees_the_restricted_models_it_is_granted(
    three: list[RegisteredModel], user: User
) -> None:
    group = Group.objects.create(name="g")
    user.groups.add(group)
    for model in three:
        model.groups.add(group)
    assert seen(user) == {"public", "restricted"}


def test_a_group_sees_the_restricted_models_of_its_collections(
    three: list[RegisteredModel], user: User
) -> None:
    group, collection = Group.objects.create(name="g"), Collection.objects.create(name="c")
    user.groups.add(group)
    collection.groups.add(group)
    for model in three:
        model.collections.add(collection)
    assert seen(user) == {"public", "restricted"}
    assert RegisteredModel.objects.visible_to(user).count() == 2
