"""Two people have the same change form open: nothing is overwritten that one of them has not seen,
whatever the model.
"""

from __future__ import annotations

from collections.abc import Callable
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from discovery.models import Collection, RegisteredModel, Root, SavedView, Tag
from discovery.services.metadata import metadata
from discovery.site import ComparingAdmin
from tests.support.page_text import page_text

Make = Callable[..., RegisteredModel]


class Form(HTMLParser):
    """What a browser would send of the main form, as (name, value) lists."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.sent: dict[str, list[str]] = {}
        self.select = self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        name, kind = given.get("name", ""), given.get("type", "text")
        if tag == "input" and name and kind not in ("submit", "button", "search"):
            if kind not in ("checkbox", "radio") or "checked" in given:
                self.sent.setdefault(name, []).append(
                    given.get("value", "on" if kind in ("checkbox", "radio") else "")
                )
        elif tag == "select":
            self.select = name
        elif tag == "option" and self.select and "selected" in given:
            self.sent.setdefault(self.select, []).append(given.get("value", ""))
        elif tag == "textarea":
            self.text = name
            self.sent[name] = [""]

    def handle_data(self, data: str) -> None:
        if self.text:
            self.sent[self.text][0] += unescape(data).removeprefix("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self.select = ""
        elif tag == "textarea":
            self.text = ""


def opened(client: Client, address: str) -> dict[str, list[str]]:
    response = client.get(address)
    assert response.status_code == 200
    return Form(response.content.decode().partition('id="content-main"')[2]).sent


def post(client: Client, address: str, form: dict[str, list[str]], **changed: Any) -> Any:
    values = {
        **form,
        **{name: value if isinstance(value, list) else [value] for name, value in changed.items()},
    }
    return client.post(address, {name: value for name, value in values.items() if value != [None]})


def address_of(instance: Any) -> str:
    return f"/admin/{instance._meta.app_label}/{instance._meta.model_name}/{instance.pk}/change/"


@pytest.fixture
def model(make_model: Make) -> RegisteredModel:
    return make_model("m")


def test_every_registered_model_compares() -> None:
    assert {User, Group, RegisteredModel, Root, Collection} <= admin.site._registry.keys()
    for registered in admin.site._registry.values():
        assert isinstance(registered, ComparingAdmin)


def test_fields_that_nobody_touched_keep_what_somebody_else_set(
    admin_client: Client, admin_user: User, model: RegisteredModel
) -> None:
    stale = opened(admin_client, address_of(model))
    group = Group.objects.create(name="research")
    changes = {"author": "ada", "tags": ["x"], "visibility": "PUBLIC", "groups": ["research"]}
    metadata.edit(model, changes, by=admin_user, channel="api")
    assert post(admin_client, address_of(model), stale, set_license="mit").status_code == 302
    model.refresh_from_db()
    assert (model.license, model.author, model.visibility, model.value("tags")) == (
        "mit",
        "ada",
        "PUBLIC",
        ["x"],
    )
    assert list(model.groups.all()) == [group]


@pytest.mark.parametrize(
    ("field", "theirs", "mine", "shown"),
    [
        ("license", "apache-2.0", {"set_license": "mit"}, "apache-2.0"),
        ("tags", ["a", "b"], {"set_tags": "c"}, "a, b"),
        ("parameter_count", 7, {"set_parameter_count": "8"}, "7"),
        ("type", "ONNX", {"set_type": "PEFT"}, "ONNX Runtime"),
        ("visibility", "PUBLIC", {"visibility": "ADMIN_ONLY"}, "Public"),
    ],
)
def test_what_somebody_else_changed_is_asked_about(
    field: str,
    theirs: Any,
    mine: dict[str, str],
    shown: str,
    admin_client: Client,
    admin_user: User,
    model: RegisteredModel,
) -> None:
    address = address_of(model)
    stale = opened(admin_client, address)
    metadata.edit(model, {field: theirs}, by=admin_user, channel="api")
    model.refresh_from_db()
    before = metadata.stamp(model, field)
    refused = post(admin_client, address, stale, **mine)
    assert refused.status_code == 409
    html = page_text(refused)
    assert f"set this to “{shown}”" in html
    assert "Keep theirs" in html
    model.refresh_from_db()
    assert metadata.stamp(model, field) == before

    again = Form(html.partition('id="content-main"')[2]).sent
    kept = post(admin_client, address, again, **{f"keep-{next(iter(mine))}": "on"})
    assert kept.status_code == 302
    model.refresh_from_db()
    assert metadata.stamp(model, field) == before

    assert post(admin_client, address, again).status_code == 302
    model.refresh_from_db()
    assert metadata.stamp(model, field) != before


def test_the_same_change_by_two_people_is_no_conflict(
    admin_client: Client, admin_user: User, model: RegisteredModel
) -> None:
    stale = opened(admin_client, address_of(model))
    metadata.edit(model, {"license": "mit"}, by=admin_user, channel="api")
    assert post(admin_client, address_of(model), stale, set_license="mit").status_code == 302


def test_groups_that_were_none_when_shown_are_not_taken_away(
    admin_client: Client, admin_user: User, model: RegisteredModel
) -> None:
    group, other = (Group.objects.create(name=name) for name in ("research", "other"))
    stale = opened(admin_client, address_of(model))
    metadata.edit(model, {"groups": ["research"]}, by=admin_user, channel="api")
    assert post(admin_client, address_of(model), stale).status_code == 302
    assert list(model.groups.all()) == [group]
    refused = post(admin_client, address_of(model), stale, groups=[str(other.pk)])
    assert refused.status_code == 409
    assert "research" in page_text(refused)
    assert list(model.groups.all()) == [group]


def test_a_root_keeps_what_a_scan_and_another_administrator_wrote(
    admin_client: Client, db: None, tmp_path: Any
) -> None:
    root = Root.objects.create(path=str(tmp_path))
    stale = opened(admin_client, address_of(root))
    Root.objects.filter(pk=root.pk).update(
        enabled=False, frozen_reason="half is gone", missing_count=3
    )
    assert post(admin_client, address_of(root), stale, deep_every_days="7").status_code == 302
    root.refresh_from_db()
    assert (root.deep_every_days, root.enabled, root.frozen_reason, root.missing_count) == (
        7,
        False,
        "half is gone",
        3,
    )
    refused = post(admin_client, address_of(root), stale, deep_every_days="9")
    assert refused.status_code == 409
    assert "“7”" in page_text(refused)
    root.refresh_from_db()
    assert root.deep_every_days == 7


def test_a_collection_keeps_what_another_administrator_wrote(
    admin_client: Client, db: None
) -> None:
    collection = Collection.objects.create(name="one", description="first")
    group = Group.objects.create(name="research")
    stale = opened(admin_client, address_of(collection))
    Collection.objects.filter(pk=collection.pk).update(description="second")
    collection.groups.add(group)
    assert post(admin_client, address_of(collection), stale, name="two").status_code == 302
    collection.refresh_from_db()
    assert (collection.name, collection.description, list(collection.groups.all())) == (
        "two",
        "second",
        [group],
    )
    assert post(admin_client, address_of(collection), stale, description="mine").status_code == 409


def test_an_account_and_a_group_keep_what_another_administrator_wrote(
    admin_client: Client, user: User
) -> None:
    group = Group.objects.create(name="research")
    permission = Permission.objects.order_by("pk").first()
    assert permission
    stale_user, stale_group = (
        opened(admin_client, address_of(user)),
        opened(admin_client, address_of(group)),
    )
    User.objects.filter(pk=user.pk).update(email="a@example.org", is_active=False)
    user.groups.add(group)
    group.permissions.add(permission)
    assert post(admin_client, address_of(user), stale_user, first_name="Ada").status_code == 302
    user.refresh_from_db()
    assert (user.first_name, user.email, user.is_active, list(user.groups.all())) == (
        "Ada",
        "a@example.org",
        False,
        [group],
    )
    assert (
        post(admin_client, address_of(user), stale_user, email="b@example.org").status_code == 409
    )
    assert post(admin_client, address_of(group), stale_group, name="lab").status_code == 302
    group.refresh_from_db()
    assert (group.name, list(group.permissions.all())) == ("lab", [permission])


def test_what_is_in_a_value_is_never_markup(
    admin_client: Client, admin_user: User, model: RegisteredModel
) -> None:
    stale = opened(admin_client, address_of(model))
    metadata.edit(model, {"license": "<script>alert(1)</script>"}, by=admin_user, channel="api")
    html = page_text(post(admin_client, address_of(model), stale, set_license="<b>x</b>"))
    assert "<script>alert(1)" not in html
    assert "you have entered “&lt;b&gt;x&lt;/b&gt;”" in html


def test_a_tag_and_a_view_keep_what_another_administrator_wrote(
    admin_client: Client, admin_user: User
) -> None:
    tag = Tag.objects.create(name="x", colour="blue")
    view = SavedView.objects.create(owner=admin_user, name="first", query="q=x")
    stale_tag, stale_view = (opened(admin_client, address_of(each)) for each in (tag, view))
    Tag.objects.update(colour="red")
    SavedView.objects.update(name="second")
    assert post(admin_client, address_of(tag), stale_tag, colour="green").status_code == 409
    assert post(admin_client, address_of(view), stale_view, name="third").status_code == 409
    assert post(admin_client, address_of(view), stale_view, shared="on").status_code == 302
    view.refresh_from_db()
    tag.refresh_from_db()
    assert (tag.colour, view.name, view.shared) == ("red", "second", True)
