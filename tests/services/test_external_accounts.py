"""The accounts and groups of people whom a provider vouches for."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import IntegrityError

from discovery.engine.core.service_words import SignInSource
from discovery.models import AccountChange, ExternalGrant, ExternalIdentity, LogEntry, roles
from discovery.services.access import external_accounts, external_groups
from discovery.services.access.external_accounts import Person, Refused, admit
from tests.people import restore

pytestmark = pytest.mark.django_db

ISSUER = "https://id.example.org"


@pytest.fixture(autouse=True)
def mapped(settings: Any) -> None:
    for role in roles.ROLES:
        restore(role)
    settings.SIGN_IN_GROUPS = {"editors": ("Editors",), "all": ("Editors", "Curators")}
    settings.SIGN_IN_SUPERUSERS, settings.SIGN_IN_STAFF = frozenset({"root"}), frozenset({"staff"})


def person(*values: str, source: SignInSource = SignInSource.OPENID, **more: Any) -> Person:
    proxy = source == SignInSource.PROXY
    facts = {"issuer": external_accounts.PROXY if proxy else ISSUER, "subject": "u-1"}
    facts |= {"username": "ada"}
    return Person(source=source, values=frozenset(values), **(facts | more))


def groups(account: User) -> set[str]:
    return set(account.groups.values_list("name", flat=True))


def test_one_value_may_mean_several_groups() -> None:
    assert groups(admit(person("all", "unknown"))) == {"Editors", "Curators"}


def test_groups_given_by_hand_stay_and_those_of_the_provider_go() -> None:
    ada = admit(person("editors"))
    ada.groups.add(Group.objects.get(name="Curators"))
    admit(person("all"))
    admit(person())
    assert groups(ada) == {"Curators"}
    assert not ExternalGrant.objects.exists()


def test_a_group_that_was_taken_and_given_by_hand_is_by_hand() -> None:
    ada, editors = admit(person("editors")), Group.objects.get(name="Editors")
    ada.groups.remove(editors)
    ada.groups.add(editors)
    admit(person())
    assert groups(ada) == {"Editors"}
    editors.user_set.clear()
    assert groups(admit(person("editors"))) == {"Editors"}
    editors.user_set.remove(ada)
    editors.user_set.add(ada)
    assert groups(admit(person())) == {"Editors"}


def test_what_two_sources_give_stays_until_both_have_taken_it(settings: Any) -> None:
    settings.SIGN_IN_MATCH = "username"
    ada = admit(person("editors"))
    assert admit(person("editors", source=SignInSource.PROXY)) == ada
    admit(person())
    assert groups(ada) == {"Editors"}
    admit(person(source=SignInSource.PROXY))
    assert groups(ada) == set()


def test_a_deleted_group_takes_its_record_along() -> None:
    admit(person("editors"))
    Group.objects.get(name="Editors").delete()
    assert not ExternalGrant.objects.exists()
    assert groups(admit(person("editors"))) == set(), "it is unknown now, and ignored"
    assert external_groups.missing() == ["Editors"]


def test_unknown_groups_are_created_only_where_that_is_configured(settings: Any) -> None:
    assert groups(admit(person("lab"))) == set()
    settings.SIGN_IN_UNKNOWN_GROUPS = "create"
    settings.SIGN_IN_GROUPS = {"x": ("Vision",)}
    assert groups(admit(person("lab", "x"))) == {"lab", "Vision"}
    lab = Group.objects.get(name="lab")
    lab.permissions.add(Permission.objects.first())
    assert groups(admit(person("lab"))) == set(), "what holds permissions is given by the map alone"
    lab.user_set.add(admit(person()))
    assert groups(admit(person("lab"))) == {"lab"}, "and by hand"


def test_nothing_is_created_for_somebody_who_is_refused(settings: Any) -> None:
    settings.SIGN_IN_UNKNOWN_GROUPS, settings.SIGN_IN_CREATE_ACCOUNTS = "create", False
    with pytest.raises(Refused, match="do not have an account here"):
        admit(person("lab"))
    assert not Group.objects.filter(name="lab").exists()
    assert not AccountChange.objects.exists()


def test_status_is_given_and_taken_only_as_configured_and_by_hand_it_stays() -> None:
    User.objects.create_superuser("root")
    ada = admit(person("root", "staff", "superuser", "admin"))
    assert (ada.is_superuser, ada.is_staff) == (True, True)
    ada = admit(person("superuser", "admin"))
    assert (ada.is_superuser, ada.is_staff) == (False, False)
    User.objects.filter(pk=ada.pk).update(is_superuser=True, is_staff=True)
    admit(person("root"))
    ada = admit(person())
    assert (ada.is_superuser, ada.is_staff) == (True, True)
    texts = set(AccountChange.objects.filter(by="Sign-in provider").values_list("text", flat=True))
    assert {"made ada a superuser", "took superuser status from ada"} <= texts


def test_the_last_superuser_stays_one_and_can_sign_in() -> None:
    admit(person("root"))
    ada = admit(person())
    assert User.objects.get().is_superuser
    assert "stays a superuser" in LogEntry.objects.get().message
    User.objects.create_superuser("other")
    admit(person())
    ada.refresh_from_db()
    assert not ada.is_superuser


def test_whoever_is_kept_out_loses_the_groups_too(settings: Any) -> None:
    settings.SIGN_IN_REQUIRE_GROUP = True
    ada = admit(person("editors"))
    with pytest.raises(Refused, match="none of the groups"):
        admit(person())
    assert groups(ada) == set()
    ada.is_active = False
    ada.save()
    with pytest.raises(Refused, match="is deactivated"):
        admit(person("editors"))


@pytest.mark.parametrize(
    ("match", "more", "found"),
    [
        ("nothing", {}, False),
        ("username", {}, True),
        ("username", {"username": "ADA"}, False),
        ("email", {"email": "Ada@example.org", "verified": True}, True),
        ("email", {"email": "ada@example.org"}, False),
        ("email", {}, False),
    ],
)
def test_an_account_is_matched_only_as_an_administrator_allowed(
    match: str, more: dict[str, Any], found: bool, settings: Any
) -> None:
    settings.SIGN_IN_MATCH = match
    ada = User.objects.create_user("ada", "ada@example.org")
    if found:
        assert admit(person("editors", **more)) == ada
        assert groups(ada) == {"Editors"}
    else:
        with pytest.raises(Refused, match="already an account"):
            admit(person("editors", **more))
        assert not ExternalIdentity.objects.exists()


@pytest.mark.parametrize(("field", "value"), [("is_superuser", "root"), ("is_staff", "staff")])
def test_the_account_of_an_administrator_is_matched_only_for_one(
    field: str, value: str, settings: Any
) -> None:
    settings.SIGN_IN_MATCH = "username"
    ada = User.objects.create_user("ada", **{field: True})
    with pytest.raises(Refused, match="that of an administrator"):
        admit(person("editors"))
    assert admit(person(value)) == ada


def test_an_account_is_matched_once_active_and_never_one_of_two(settings: Any) -> None:
    settings.SIGN_IN_MATCH = "email"
    ada = User.objects.create_user("ada", "a@example.org")
    mail = {"email": "a@example.org", "verified": True}
    admit(person(**mail))
    with pytest.raises(Refused, match="belongs to somebody else"):
        admit(person(subject="u-2", **mail))
    User.objects.create_user("twin", "A@example.org")
    with pytest.raises(Refused, match="Several accounts"):
        admit(person(subject="u-3", **mail))
    User.objects.filter(username="twin").delete()
    ExternalIdentity.objects.all().delete()
    User.objects.filter(pk=ada.pk).update(is_active=False)
    with pytest.raises(Refused, match="is deactivated"):
        admit(person(**mail))


def test_an_account_is_known_by_its_subject_whatever_it_is_called() -> None:
    ada = admit(person())
    assert admit(person(username="lovelace", email="x@example.org")) == ada
    ada.refresh_from_db()
    assert (ada.username, ada.email) == ("ada", "")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"username": ""}, "does not say what your username is"),
        ({"username": "a b"}, "cannot be a username"),
        ({"username": "x" * 151}, "cannot be a username"),
        ({"username": "a\0b"}, "cannot be a username"),
        ({"subject": ""}, "does not say who you are"),
        ({"subject": "x" * 256}, "does not say who you are"),
    ],
)
def test_who_cannot_have_an_account_is_told_why(more: dict[str, Any], said: str) -> None:
    with pytest.raises(Refused, match=said):
        admit(person(**more))
    assert not User.objects.exists()


def test_odd_details_are_left_out() -> None:
    ada = admit(person(email="not an address", first_name="A" * 300, last_name="B\n\x1b"))
    ada.full_clean(exclude=["password"])
    assert ada.email == ""


def test_two_browsers_at_once_are_one_account() -> None:
    real, calls = external_accounts._first_time, []

    def late(someone: Person) -> User:
        calls.append(someone)
        real(someone)
        raise IntegrityError

    with patch.object(external_accounts, "_first_time", late):
        ada = admit(person())
    assert len(calls) == 1
    assert User.objects.get() == ada
