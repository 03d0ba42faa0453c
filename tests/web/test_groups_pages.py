"""The Groups pages: what each allows, in words, and how it is changed."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from discovery.models import AccountChange, Right, roles
from tests.people import permit
from tests.support.page_text import page_text

GROUPS = "/users/groups/"


def test_the_list_says_in_words_what_each_role_allows(admin_client: Client, user: User) -> None:
    Group.objects.get(name="Editors").user_set.add(user)
    html = page_text(admin_client.get(GROUPS))
    for role in roles.ROLES:
        assert role.name in html
        assert role.sentence in html
    assert roles.SUPERUSER in html


@pytest.mark.parametrize("name", ["night shift", "R&D <ops>", "語 🦙", "Ünï-cödé/2.0", "%s{}"])
def test_a_group_is_created_renamed_and_deleted_whatever_it_is_called(
    name: str, admin_client: Client, user: User
) -> None:
    response = admin_client.post(GROUPS, {"name": name})
    group = Group.objects.get(name=name)
    assert response["Location"] == f"{GROUPS}{group.pk}/"
    user.groups.add(group)
    assert admin_client.get(response["Location"]).status_code == 200
    assert admin_client.post(f"{GROUPS}{group.pk}/", {"name": f"{name} 2"}).status_code == 302
    group.refresh_from_db()
    assert group.name == f"{name} 2"
    assert admin_client.post(f"{GROUPS}{group.pk}/delete/").status_code == 302
    assert not Group.objects.filter(pk=group.pk).exists()
    assert not user.groups.exists()
    assert list(AccountChange.objects.filter(kind="group").values_list("text", flat=True)) == [
        f"deleted the group {name} 2, whose members were reader",
        f"renamed the group {name} to {name} 2",
        f"created the group {name}",
    ]
    for address in (f"{GROUPS}{group.pk}/", f"/users/?group={group.pk}"):
        assert admin_client.get(address).status_code in (200, 404)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "This field is required."),
        ("   ", "This field is required."),
        ("Editors", "already exists"),
        ("x" * 151, "at most 150 characters"),
        ("\u202e", "at least one visible character"),
    ],
)
def test_a_name_that_cannot_be_is_refused_with_the_reason(
    name: str, why: str, admin_client: Client
) -> None:
    before = Group.objects.count()
    response = admin_client.post(GROUPS, {"name": name})
    assert response.status_code == 422
    assert why in page_text(response)
    assert Group.objects.count() == before
    group = Group.objects.create(name="mine")
    response = admin_client.post(f"{GROUPS}{group.pk}/", {"name": name})
    assert response.status_code == 422
    assert why in page_text(response)
    assert "<h1><bdi>mine</bdi></h1>" in page_text(response)


def test_a_group_that_was_renamed_meanwhile_is_not_renamed_unseen(admin_client: Client) -> None:
    group = Group.objects.create(name="before")
    seen = admin_client.get(f"{GROUPS}{group.pk}/").context["seen"]
    group.name = "theirs"
    group.save()
    response = admin_client.post(f"{GROUPS}{group.pk}/", {"name": "mine", "seen-name": seen})
    assert response.status_code == 422
    assert "Somebody else renamed the group to theirs meanwhile." in page_text(response)


def test_permissions_are_changed_by_what_was_marked_and_unmarked(admin_client: Client) -> None:
    group = Group.objects.create(name="mine")
    group.permissions.set(roles.rows([Right.EDIT, Right.SCAN]))
    sent = {"shown": [Right.EDIT], "rights": [Right.ADD_TAG, "nonsense"]}
    response = admin_client.post(f"{GROUPS}{group.pk}/permissions/", sent, follow=True)
    assert "Can add tag" in page_text(response)
    assert set(group.permissions.values_list("codename", flat=True)) == {"run_scans", "add_tag"}
    texts = list(AccountChange.objects.filter(kind="group").values_list("text", flat=True)[:2])
    assert texts == [
        "took from the group mine the permission “Can change model”",
        "gave the group mine the permission “Can add tag”",
    ]


def test_only_superusers_change_groups_that_give_permissions(client: Client, user: User) -> None:
    rights: list[Any] = [Right.VIEW_GROUPS, Right.ADD_GROUP, Right.CHANGE_GROUP, Right.DELETE_GROUP]
    client.force_login(permit(user, *rights))
    editors, friends = Group.objects.get(name="Editors"), Group.objects.create(name="friends")
    for address in ("", "delete/", "permissions/"):
        assert client.post(f"{GROUPS}{editors.pk}/{address}", {"name": "x"}).status_code == 403
    assert client.post(f"{GROUPS}{friends.pk}/permissions/").status_code == 403
    assert "Delete group" not in page_text(client.get(f"{GROUPS}{editors.pk}/"))
    assert client.post(f"{GROUPS}{friends.pk}/", {"name": "x"}).status_code == 302
    assert client.post(f"{GROUPS}{friends.pk}/delete/").status_code == 302
