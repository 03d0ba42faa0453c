"""Who looks after accounts gives nobody, themselves neither, more than they have."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from discovery.models import Right
from tests.people import administer, permit
from tests.support.page_text import page_text

LAST = "This is the last active superuser"
USERS, GROUPS = "/admin/auth/user/", "/admin/auth/group/"
KEEPS = tuple(
    f"auth.{action}_{kind}"
    for kind in ("user", "group")
    for action in ("view", "add", "change", "delete")
)


@pytest.fixture
def keeper(db: None) -> User:
    """Looks after accounts and groups, and is no superuser."""
    return permit(User.objects.create_user("keeper", is_staff=True), *KEEPS)


@pytest.fixture
def keeper_client(client: Client, keeper: User) -> Client:
    client.force_login(keeper)
    return client


def fields(person: User, **more: Any) -> dict[str, Any]:
    stamps = {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
    return {"username": person.username, "is_active": "on", **stamps, **more}


def test_privileges_sent_by_anybody_but_a_superuser_are_not_looked_at(
    keeper: User, keeper_client: Client, user: User
) -> None:
    group = Group.objects.create(name="g")
    right = Permission.objects.get(codename=Right.VIEW_ALL.codename)
    more = {
        "is_superuser": "on",
        "is_staff": "on",
        "user_permissions": [right.pk],
        "groups": [group.pk],
        "first_name": "Ann",
    }
    for person in (user, keeper):
        before = (person.is_staff, sorted(person.get_all_permissions()))
        assert (
            keeper_client.post(f"{USERS}{person.pk}/change/", fields(person, **more)).status_code
            == 302
        )
        after = User.objects.get(pk=person.pk)
        assert after.first_name == "Ann"
        assert not after.is_superuser
        assert (after.is_staff, sorted(after.get_all_permissions())) == before
        assert not after.groups.exists()


def test_superusers_give_privileges(admin_client: Client, user: User) -> None:
    group = Group.objects.create(name="g")
    assert (
        admin_client.post(
            f"{USERS}{user.pk}/change/", fields(user, is_staff="on", groups=[group.pk])
        ).status_code
        == 302
    )
    user.refresh_from_db()
    assert user.is_staff
    assert list(user.groups.all()) == [group]


@pytest.mark.parametrize("page", ["change/", "delete/", "password/"])
def test_accounts_that_can_do_more_are_out_of_reach(
    page: str, keeper_client: Client, admin_user: User
) -> None:
    mightier = administer(User.objects.create_user("mightier"))
    asleep = permit(User.objects.create_user("asleep", is_active=False), Right.SCAN)
    sent = {
        "post": "yes",
        "password1": "taken-over-1",
        "password2": "taken-over-1",
        "usable_password": "true",
        "username": "x",
    }
    for person in (admin_user, mightier, asleep):
        old = person.password
        assert keeper_client.post(f"{USERS}{person.pk}/{page}", sent).status_code == 403
        assert User.objects.get(pk=person.pk).password == old


def test_the_delete_action_spares_them_too(
    keeper_client: Client, admin_user: User, user: User
) -> None:
    sent = {
        "action": "delete_selected",
        "_selected_action": [admin_user.pk, user.pk],
        "post": "yes",
    }
    assert keeper_client.post(USERS, sent).status_code == 403
    assert User.objects.filter(pk__in=[admin_user.pk, user.pk]).count() == 2
    assert keeper_client.post(USERS, {**sent, "_selected_action": [user.pk]}).status_code == 302
    assert not User.objects.filter(pk=user.pk).exists()


def test_a_new_account_has_no_privileges(keeper_client: Client) -> None:
    sent = {
        "username": "new",
        "usable_password": "true",
        "password1": "a-long-password",
        "password2": "a-long-password",
        "is_superuser": "on",
    }
    assert keeper_client.post(f"{USERS}add/", sent).status_code == 302
    new = User.objects.get(username="new")
    assert not new.is_superuser
    assert not new.is_staff


def test_permissions_of_groups_are_for_superusers(
    keeper_client: Client, admin_client: Client, user: User
) -> None:
    right = Permission.objects.get(codename=Right.VIEW_ALL.codename)
    assert (
        keeper_client.post(f"{GROUPS}add/", {"name": "mine", "permissions": [right.pk]}).status_code
        == 302
    )
    mine = Group.objects.get(name="mine")
    assert not mine.permissions.exists()
    assert (
        keeper_client.post(
            f"{GROUPS}{mine.pk}/change/", {"name": "ours", "permissions": [right.pk]}
        ).status_code
        == 302
    )
    mine.refresh_from_db()
    assert mine.name == "ours"
    assert not mine.permissions.exists()
    mine.permissions.add(right)
    for page in ("change/", "delete/"):
        assert (
            keeper_client.post(
                f"{GROUPS}{mine.pk}/{page}", {"post": "yes", "name": "taken"}
            ).status_code
            == 403
        )
    assert (
        admin_client.post(
            f"{GROUPS}{mine.pk}/change/", {"name": "ours", "permissions": []}
        ).status_code
        == 302
    )
    assert not mine.permissions.exists()


def test_is_staff_alone_sees_an_empty_admin(client: Client, user: User) -> None:
    user.is_staff = True
    user.save()
    client.force_login(user)
    html = page_text(client.get("/admin/"))
    assert "You don’t have permission to view or edit anything" in html


def test_the_pages_of_the_task_queue_are_there_for_nobody(admin_client: Client) -> None:
    html = page_text(admin_client.get("/admin/"))
    assert "Scheduled" not in html
    assert "Queued" not in html
    for page in ("schedule/", "schedule/add/", "success/", "failure/", "ormq/"):
        assert admin_client.get(f"/admin/django_q/{page}").status_code == 404
    assert admin_client.get("/admin/django_q/").status_code == 404


def test_the_last_active_superuser_stays_one(admin_client: Client, admin_user: User) -> None:
    address = f"{USERS}{admin_user.pk}/"
    for kept in ({"is_superuser": "on", "is_active": ""}, {"is_active": "on"}):
        response = admin_client.post(f"{address}change/", {**fields(admin_user), **kept})
        assert response.status_code == 200
        assert LAST in page_text(response)
    assert LAST in page_text(admin_client.post(f"{address}delete/", {"post": "yes"}))
    other = User.objects.create_superuser("other", password="x")
    both = {
        "action": "delete_selected",
        "_selected_action": [admin_user.pk, other.pk],
        "post": "yes",
    }
    assert LAST in page_text(admin_client.post(USERS, both))
    assert User.objects.filter(is_superuser=True, is_active=True).count() == 2
    assert admin_client.post(f"{USERS}{other.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not User.objects.filter(pk=other.pk).exists()
