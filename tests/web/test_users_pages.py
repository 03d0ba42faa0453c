"""The Users pages: who may open them, who may touch whom, and what is kept of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from discovery.models import (
    AccountChange,
    ApiToken,
    ExternalGrant,
    ExternalIdentity,
    Right,
    UserSession,
    roles,
)
from tests.people import join, permit
from tests.support.page_text import page_text

HTMX = {"HX-Request": "true"}
KEEPS = (Right.VIEW_USERS, Right.ADD_USER, Right.CHANGE_USER)
LAST = "This is the last active superuser"


@pytest.fixture
def keeper_client(db: None) -> Client:
    """Somebody who manages accounts and sees every model, and is no superuser."""
    client = Client()
    client.force_login(permit(User.objects.create_user("keeper"), *KEEPS, Right.VIEW_ALL))
    return client


def texts(**narrowed: Any) -> list[str]:
    return list(
        AccountChange.objects.filter(**narrowed).order_by("pk").values_list("text", flat=True)
    )


@pytest.mark.parametrize("role", roles.ROLES, ids=lambda role: role.name)
def test_no_role_manages_accounts(role: roles.Role, user: User, client: Client) -> None:
    client.force_login(join(user, role))
    for address in ("/users/", "/users/new/", "/users/changes/", "/users/groups/"):
        assert client.get(address).status_code == 403, address
    assert client.post(f"/users/{user.pk}/act/", {"action": "superuser"}).status_code == 403
    assert 'href="/users/"' not in page_text(client.get("/models/"))


def test_the_list_is_searched_and_filtered(admin_client: Client, user: User) -> None:
    group = Group.objects.create(name="night <b>shift</b>")
    user.groups.add(group)
    User.objects.create_user("ada", email="ada@example.org", is_active=False)
    html = page_text(admin_client.get("/users/"))
    assert "night &lt;b&gt;shift&lt;/b&gt;" in html
    assert "Superuser" in html

    def shown(query: str) -> list[str]:
        page = admin_client.get(f"/users/?{query}").context["page"]
        return [person.username for person in page]

    assert shown("") == ["ada", "admin", "reader"]
    assert shown("q=EXAMPLE.org") == ["ada"]
    assert shown(f"group={group.pk}") == ["reader"]
    assert shown("state=deactivated") == ["ada"]
    assert shown("state=superuser") == ["admin"]
    assert shown("state=alone") == ["ada"]
    assert shown("state=nonsense&group=nonsense&page=99") == ["ada", "admin", "reader"]
    assert "No users match" in page_text(admin_client.get("/users/?q=nobody"))


@pytest.mark.parametrize("text", ["x" * 100_000, "\0", "%_'\"\\", "\u202e語 " * 50])
@pytest.mark.parametrize("address", ["/users/", "/users/changes/"])
def test_any_text_can_be_searched_for(text: str, address: str, admin_client: Client) -> None:
    assert admin_client.get(address, {"q": text}).status_code == 200


def test_a_refresh_is_the_list_alone(admin_client: Client) -> None:
    html = page_text(admin_client.get("/users/", headers=HTMX))
    assert "<html" not in html
    assert "admin" in html


def test_the_list_asks_as_often_for_many_as_for_few(
    admin_client: Client, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    groups = [Group.objects.create(name=f"g{number}") for number in range(5)]
    for number in range(60):
        User.objects.create(username=f"person-{number}").groups.add(*groups)
    with django_assert_max_num_queries(8):
        admin_client.get("/users/", headers=HTMX)
    with django_assert_max_num_queries(8):
        admin_client.get("/users/groups/", headers=HTMX)
    with django_assert_max_num_queries(6):
        admin_client.get("/users/changes/", headers=HTMX)


def test_an_account_with_a_password_can_sign_in_and_is_in_its_groups(admin_client: Client) -> None:
    group = Group.objects.get(name="Editors")
    sent = {
        "username": "ada",
        "email": "",
        "password": "correct horse battery",
        "groups": [group.pk],
    }
    response = admin_client.post("/users/new/", sent)
    ada = User.objects.get(username="ada")
    assert response["Location"] == f"/users/{ada.pk}/"
    assert Client().login(username="ada", password="correct horse battery")
    assert list(ada.groups.all()) == [group]
    assert texts(key=ada.pk) == [
        "created the account ada",
        "put ada into the group Editors",
    ]
    assert set(AccountChange.objects.values_list("by", flat=True)) == {"admin", ""}


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        ({"username": ""}, "This field is required."),
        ({"username": "reader"}, "already exists"),
        ({"username": "two words"}, "Enter a valid username"),
        ({"username": "ada", "password": "short"}, "too short"),
        ({"username": "adaadaada", "password": "adaadaada"}, "too similar to the username"),
        ({"username": "ada", "email": "nonsense"}, "Enter a valid email address"),
        ({"username": "ada", "groups": ["987654"]}, "not one of the available choices"),
        ({"username": "x" * 151}, "at most 150 characters"),
    ],
)
def test_what_is_wrong_stands_beside_the_field_and_nothing_is_created(
    sent: dict[str, Any], why: str, admin_client: Client, user: User
) -> None:
    response = admin_client.post("/users/new/", sent)
    assert response.status_code == 422
    assert why in page_text(response)
    assert User.objects.count() == 2
    assert 'value="short"' not in response.text


def test_details_are_saved_only_where_they_were_touched(admin_client: Client, user: User) -> None:
    address = f"/users/{user.pk}/"
    stamps = admin_client.get(address).context["stamps"]
    sent = {f"seen-{name}": value for name, value in stamps.items()}
    sent |= {"username": "reader", "first_name": "", "last_name": "", "email": ""}
    User.objects.filter(pk=user.pk).update(first_name="Rea")
    assert admin_client.post(address, {**sent, "email": "r@example.org"}).status_code == 302
    user.refresh_from_db()
    assert (user.first_name, user.email) == ("Rea", "r@example.org")
    response = admin_client.post(address, {**sent, "first_name": "Other"})
    assert response.status_code == 409
    assert "This was changed in another session" in page_text(response)
    user.refresh_from_db()
    assert user.first_name == "Rea"
    assert admin_client.post(address, {**sent, "username": "a b"}).status_code == 422
    assert "changed the email address of reader" in texts(key=user.pk)


def test_groups_are_changed_by_what_was_marked_and_unmarked(
    admin_client: Client, user: User
) -> None:
    first, second, third = (Group.objects.create(name=name) for name in ("a", "b & b", "語"))
    user.groups.add(first)
    meanwhile = {"shown": [first.pk], "groups": [second.pk]}
    user.groups.add(third)  # by somebody else, after the form was shown
    assert admin_client.post(f"/users/{user.pk}/groups/", meanwhile).status_code == 302
    assert set(user.groups.values_list("name", flat=True)) == {"b & b", "語"}
    second_key = second.pk
    second.delete()
    html = page_text(
        admin_client.post(
            f"/users/{user.pk}/groups/", {"groups": [second_key, "x", 10**30]}, follow=True
        )
    )
    assert "was deleted meanwhile" in html
    assert set(user.groups.values_list("name", flat=True)) == {"語"}


def test_a_person_in_no_group_is_told_so(admin_client: Client, user: User) -> None:
    html = page_text(admin_client.get(f"/users/{user.pk}/"))
    assert "See the models that are public or granted to their groups." in html


def test_the_last_active_superuser_stays_one_and_is_told_why(
    admin_client: Client, admin_user: User
) -> None:
    User.objects.create_superuser("asleep", password="x", is_active=False)
    for action in ("no-superuser", "deactivate"):
        html = page_text(
            admin_client.post(f"/users/{admin_user.pk}/act/", {"action": action}, follow=True)
        )
        assert LAST in html
        admin_user.refresh_from_db()
        assert admin_user.is_active
        assert admin_user.is_superuser
    User.objects.create_superuser("second", password="x")
    admin_client.post(f"/users/{admin_user.pk}/act/", {"action": "no-superuser"})
    admin_user.refresh_from_db()
    assert not admin_user.is_superuser
    assert "took superuser status from admin" in texts(by="admin")


def test_who_manages_accounts_gives_nothing_beyond_their_own(
    keeper_client: Client, user: User, admin_user: User
) -> None:
    editors, friends = Group.objects.get(name="Editors"), Group.objects.create(name="friends")
    page = keeper_client.get(f"/users/{user.pk}/")
    assert [group.name for group, *_ in page.context["groups"]] == ["Viewers", "friends"]
    assert (
        keeper_client.post(f"/users/{user.pk}/groups/", {"groups": [editors.pk]}).status_code == 403
    )
    keeper_client.post(f"/users/{user.pk}/groups/", {"groups": [friends.pk]})
    assert list(user.groups.all()) == [friends]
    response = keeper_client.post("/users/new/", {"username": "new", "groups": [editors.pk]})
    assert response.status_code == 422
    for action in ("superuser", "staff"):
        assert keeper_client.post(f"/users/{user.pk}/act/", {"action": action}).status_code == 403
    mightier = join(User.objects.create_user("mightier"), roles.CURATOR)
    for person in (admin_user, mightier):
        for action in ("link", "deactivate", "sign-out", "revoke"):
            response = keeper_client.post(f"/users/{person.pk}/act/", {"action": action})
            assert response.status_code == 403
            assert "only a superuser can change this account" in page_text(response)
        assert "Create one-time link" not in page_text(keeper_client.get(f"/users/{person.pk}/"))


def test_who_does_not_see_every_model_gives_only_the_groups_they_are_in(
    client: Client, user: User
) -> None:
    """Whoever is in a group sees what is granted to it."""
    keeper = permit(User.objects.create_user("keeper"), *KEEPS)
    own, other = Group.objects.create(name="own"), Group.objects.create(name="other")
    keeper.groups.add(own)
    client.force_login(keeper)
    for person in (user, keeper):
        address = f"/users/{person.pk}/groups/"
        assert client.post(address, {"groups": [other.pk]}).status_code == 403
    assert client.post(f"/users/{user.pk}/groups/", {"groups": [own.pk]}).status_code == 302
    user.groups.add(other)
    assert client.post(f"/users/{user.pk}/act/", {"action": "link"}).status_code == 403


def test_a_deactivated_account_is_out_at_once_and_comes_back_as_it_was(
    admin_client: Client, user: User, reader_client: Client
) -> None:
    assert reader_client.get("/models/").status_code == 200
    admin_client.post(f"/users/{user.pk}/act/", {"action": "deactivate"})
    assert reader_client.get("/models/").status_code == 302
    assert not Client().login(username="reader", password="reader")
    html = page_text(admin_client.post(f"/users/{user.pk}/act/", {"action": "link"}, follow=True))
    assert "is deactivated. Activate it first." in html
    admin_client.post(f"/users/{user.pk}/act/", {"action": "activate"})
    assert Client().login(username="reader", password="reader")
    assert texts(key=user.pk)[1:] == [
        "deactivated the account reader",
        "activated the account reader",
    ]


def test_sessions_and_tokens_of_somebody_end_by_a_button(
    admin_client: Client, user: User, reader_client: Client
) -> None:
    token = ApiToken.objects.create(user=user, name="ci", prefix="karen_abc", digest="0" * 64)
    foreign = ApiToken.objects.create(
        user=User.objects.get(username="admin"), name="no", prefix="karen_abd", digest="1" * 64
    )
    address = f"/users/{user.pk}/act/"
    assert "karen_abc" in page_text(admin_client.get(f"/users/{user.pk}/"))
    admin_client.post(address, {"action": "revoke", "token": token.pk})
    for key in (foreign.pk, token.pk, "nonsense", ""):
        html = page_text(
            admin_client.post(address, {"action": "revoke", "token": key}, follow=True)
        )
        assert "The token is already revoked." in html
    token.refresh_from_db()
    foreign.refresh_from_db()
    assert token.revoked_at is not None
    assert foreign.revoked_at is None
    admin_client.post(address, {"action": "sign-out"})
    assert reader_client.get("/models/").status_code == 302
    assert not UserSession.objects.filter(user_id=user.pk).exists()
    assert "There is no such action." in page_text(
        admin_client.post(address, {"action": "nonsense"}, follow=True)
    )


def test_the_page_of_a_user_says_what_a_provider_gave_and_unlinks_them(
    admin_client: Client,
) -> None:
    ada = User.objects.create_user("ada")
    editors, curators = (Group.objects.get(name=name) for name in ("Editors", "Curators"))
    ada.groups.add(editors, curators)
    ExternalGrant.objects.create(user=ada, source="openid", group=editors)
    link = ExternalIdentity.objects.create(
        user=ada, issuer="https://id.example.org", subject="u-1", linked_at=timezone.now()
    )
    page = page_text(admin_client.get(f"/users/{ada.pk}/"))
    assert page.count("From the sign-in provider") == 1
    assert "https://id.example.org" in page
    assert f'name="identity" value="{link.pk}"' in page
    sent = {"action": "unlink", "identity": str(link.pk)}
    for said in ("The account ada was unlinked.", "is no longer linked"):
        response = admin_client.post(f"/users/{ada.pk}/act/", sent, follow=True)
        assert said in page_text(response)
    assert set(ada.groups.all()) == {curators}
    assert not ExternalIdentity.objects.exists()
    text = f"unlinked the account {ada.username} from https://id.example.org"
    assert AccountChange.objects.filter(text=text, by="admin").exists()
