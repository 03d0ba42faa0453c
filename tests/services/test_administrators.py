"""Who was staff before keeps what staff could do, by a group that a migration makes."""

from __future__ import annotations

from importlib import import_module

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.test import Client

from discovery.models import Notice, Right
from discovery.models.permissions import WORDS
from discovery.services.access import permissions
from tests.support.page_text import page_text

migration = import_module("discovery.migrations.0026_administrators")


class Editor:
    connection = connection


@pytest.fixture
def upgraded(db: None) -> Group:
    """An installation with staff, a superuser and a reader, as the migration leaves it."""
    Group.objects.all().delete()
    Permission.objects.filter(content_type__app_label="discovery").delete()
    User.objects.create_user("ada", is_staff=True)
    User.objects.create_user("bob", is_staff=True, is_active=False)
    User.objects.create_user("eve")
    User.objects.create_superuser("root", password="x")
    migration.give(apps, Editor)
    return Group.objects.get()


def test_staff_are_in_the_group_and_superusers_and_readers_are_not(upgraded: Group) -> None:
    assert upgraded.name == "Registry administrators"
    assert sorted(upgraded.user_set.values_list("username", flat=True)) == ["ada", "bob"]


def test_the_group_holds_every_right_and_none_over_accounts(upgraded: Group) -> None:
    ada = User.objects.get(username="ada")
    assert permissions.rights(ada) == {f"discovery.{name}" for name in migration.RIGHTS}


def test_a_group_that_has_the_name_already_is_given_nothing(db: None) -> None:
    Group.objects.all().delete()
    mine = Group.objects.create(name="Registry administrators")
    mine.user_set.add(User.objects.create_user("eve"))
    User.objects.create_user("ada", is_staff=True)
    migration.give(apps, Editor)
    assert not mine.permissions.exists()
    assert User.objects.get(username="ada").groups.get().name == "Registry administrators 2"
    assert "Registry administrators 2" in Notice.objects.get().title


def test_superusers_are_told_once_whom_it_concerns(upgraded: Group, client: Client) -> None:
    client.force_login(User.objects.get(username="root"))
    html = page_text(client.get("/system/"))
    assert "Staff are in the group Registry administrators now" in html
    assert "<bdi>ada</bdi>, <bdi>bob</bdi>" in html
    notice = Notice.objects.get()
    other = Client()
    other.force_login(User.objects.get(username="ada"))
    assert "Staff are in the group" not in page_text(other.get("/system/"))
    assert other.post(f"/system/notices/{notice.pk}/confirm/").status_code == 403
    assert client.post(f"/system/notices/{notice.pk}/confirm/").status_code == 302
    assert "Staff are in the group" not in page_text(client.get("/system/"))
    notice.refresh_from_db()
    assert notice.confirmed_by == User.objects.get(username="root")


def test_without_staff_the_migration_has_nothing_to_give_or_tell(db: None) -> None:
    Group.objects.all().delete()
    migration.give(apps, Editor)
    assert not Group.objects.exists()
    assert not Notice.objects.exists()


def test_each_right_is_a_permission_that_exists_and_is_called_so(db: None) -> None:
    there = {
        f"{row.content_type.app_label}.{row.codename}": row.name
        for row in Permission.objects.select_related("content_type")
    }
    assert {str(right): there.get(right) for right in Right} == {
        str(right): words for right, words in WORDS.items()
    }


def test_rights_ask_for_an_active_account(upgraded: Group) -> None:
    assert not permissions.may(User.objects.get(username="bob"), Right.SCAN)
    root = User.objects.get(username="root")
    root.is_active = False
    assert not permissions.may(root, Right.SCAN)
    assert not permissions.may(User(is_staff=True), Right.SCAN)
