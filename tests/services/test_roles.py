"""The roles are groups that a migration makes and people may change."""

from __future__ import annotations

from importlib import import_module

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission, User
from django.db import connection

from discovery.models import Right, roles
from discovery.models.permissions import OVER_ACCOUNTS
from discovery.services.access import permissions
from tests.people import join, permit

MAKE = import_module("discovery.migrations.0031_roles").make


class Editor:
    connection = connection


def held(group: Group) -> set[str]:
    rows = group.permissions.select_related("content_type")
    return {f"{row.content_type.app_label}.{row.codename}" for row in rows}


@pytest.fixture
def empty(db: None) -> None:
    Group.objects.all().delete()


def test_an_installation_has_a_group_for_each_role_with_the_rights_declared(db: None) -> None:
    """Whoever adds a right gives it to the roles in the same migration."""
    assert {group.name: held(group) for group in Group.objects.all()} == {
        role.name: set(map(str, role.rights)) for role in roles.ROLES
    }


def test_each_role_can_do_what_the_one_before_it_can() -> None:
    for less, more in zip(roles.ROLES, roles.ROLES[1:], strict=False):
        assert less.rights < more.rights


def test_an_administrator_does_everything_but_accounts() -> None:
    assert roles.ADMINISTRATOR.rights | OVER_ACCOUNTS == frozenset(Right)
    assert not roles.ADMINISTRATOR.rights & OVER_ACCOUNTS


def test_making_them_again_changes_nothing(empty: None) -> None:
    MAKE(apps, Editor)
    editors = Group.objects.get(name="Editors")
    editors.permissions.remove(*roles.rows([Right.ADD_TAG]))
    before = {group.name: held(group) for group in Group.objects.all()}
    MAKE(apps, Editor)
    assert {group.name: held(group) for group in Group.objects.all()} == before


def test_the_administrators_of_before_stay_with_their_members_and_their_rights(empty: None) -> None:
    group = Group.objects.create(name="Registry administrators")
    group.permissions.set(roles.rows(roles.ADMINISTRATOR.rights - {Right.CLEAN_UP}))
    group.user_set.add(User.objects.create_user("ada"))
    MAKE(apps, Editor)
    assert Group.objects.filter(name__startswith="Registry administrators").get() == group
    assert held(group) == set(roles.ADMINISTRATOR.rights - {Right.CLEAN_UP})
    assert group.user_set.get().username == "ada"


def test_a_team_that_has_the_name_is_given_nothing(empty: None) -> None:
    team = Group.objects.create(name="Editors")
    team.user_set.add(User.objects.create_user("eve"))
    MAKE(apps, Editor)
    MAKE(apps, Editor)
    assert held(team) == set()
    assert held(Group.objects.get(name="Editors 2")) == set(roles.EDITOR.rights)
    assert not Group.objects.filter(name="Editors 3").exists()


def test_rights_are_told_as_the_largest_role_and_what_is_beyond_it() -> None:
    assert roles.allowed([]) == roles.Allowed(roles.VIEWER, ())
    assert roles.allowed(roles.CURATOR.rights) == roles.Allowed(roles.CURATOR, ())
    told = roles.allowed({*roles.EDITOR.rights, Right.SCAN, Right.CHANGE_USER, "auth.nonsense"})
    assert told == roles.Allowed(roles.EDITOR, ("Can start and stop scans", "Can change user"))


def test_a_person_in_several_groups_can_do_what_each_of_them_allows(user: User) -> None:
    person = permit(join(user, roles.EDITOR), Right.SCAN)
    assert permissions.rights(person) == roles.EDITOR.rights | {Right.SCAN}


def test_staff_status_alone_allows_nothing(db: None) -> None:
    assert permissions.rights(User.objects.create_user("staff", is_staff=True)) == frozenset()


def test_a_permission_of_a_deleted_group_is_gone_with_it(user: User) -> None:
    person = join(user, roles.CURATOR)
    assert permissions.may(person, Right.RULES)
    Group.objects.get(name="Curators").delete()
    assert permissions.rights(User.objects.get(pk=person.pk)) == frozenset()
    assert Permission.objects.filter(codename="manage_rules").exists()
