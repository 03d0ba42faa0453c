"""What is done to accounts and groups is kept, whatever surface it was done on."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import transaction
from django.test import Client

from discovery.models import AccountChange, Right, roles
from discovery.services.access import account_journal
from discovery.services.access.last_superuser import LastSuperuser


def texts() -> list[str]:
    return list(AccountChange.objects.order_by("pk").values_list("text", flat=True))


@pytest.fixture(autouse=True)
def empty(db: None) -> None:
    AccountChange.objects.all().delete()


def test_commands_of_django_are_kept_as_the_command_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "correct horse battery")
    call_command("createsuperuser", interactive=False, username="ada", email="a@example.org")
    assert [(change.by, change.text) for change in AccountChange.objects.all()] == [
        ("", "created the superuser ada")
    ]


def test_each_side_of_a_membership_is_kept(user: User) -> None:
    group = Group.objects.create(name="g")
    with account_journal.acting(User(username="boss")):
        group.user_set.add(user)
        user.groups.remove(group)
        user.groups.remove(group)
        user.groups.set([group])
        group.user_set.clear()
    assert texts()[2:] == [
        "put reader into the group g",
        "took reader out of the group g",
        "put reader into the group g",
        "took reader out of the group g",
    ]
    assert set(
        AccountChange.objects.filter(text__contains="group g").values_list("by", flat=True)
    ) == {
        "",
        "boss",
    }


def test_permissions_of_people_and_groups_are_kept(user: User) -> None:
    group = Group.objects.create(name="g")
    group.permissions.set(roles.rows([Right.SCAN, Right.EDIT]))
    group.permissions.clear()
    user.user_permissions.add(*roles.rows([Right.SCAN]))
    assert texts()[2:] == [
        "gave the group g the permissions “Can change model” and “Can start and stop scans”",
        "took from the group g the permissions “Can change model” and “Can start and stop scans”",
        "gave reader the permission “Can start and stop scans”",
    ]


def test_signing_in_is_no_change_of_the_account(user: User, client: Client) -> None:
    before = texts()
    assert client.login(username="reader", password="reader")
    user.save(update_fields=["last_login"])
    assert texts() == before


def test_what_is_deleted_leaves_its_history(user: User) -> None:
    key = user.pk
    user.username = "somebody"
    user.save()
    user.delete()
    rows = AccountChange.objects.filter(key=key).order_by("pk")
    assert [(row.name, row.text) for row in rows][1:] == [
        ("somebody", "renamed the account reader to somebody"),
        ("somebody", "deleted the account somebody"),
    ]


def test_the_last_active_superuser_cannot_go_by_any_way(admin_user: User) -> None:
    for change in ({"is_active": False}, {"is_superuser": False}):
        person = User.objects.get(pk=admin_user.pk)
        for name, value in change.items():
            setattr(person, name, value)
        with pytest.raises(LastSuperuser):
            person.save()
    other = User.objects.create_superuser("other", password="x")
    with pytest.raises(LastSuperuser), transaction.atomic():
        User.objects.filter(is_superuser=True).delete()
    other.delete()
    with pytest.raises(LastSuperuser), transaction.atomic():
        User.objects.get(pk=admin_user.pk).delete()
    assert User.objects.get(is_superuser=True).is_active
