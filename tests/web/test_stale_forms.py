"""Two people have the same form of the pages open: nothing is overwritten that one of them has not
seen; both values are shown, and asked about.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from discovery.models import Collection, Finding, MetadataImport, RegisteredModel, SavedView, Tag
from discovery.services.core import form_stamps
from discovery.services.curation import collections, saved_views
from discovery.services.findings import triage
from discovery.services.metadata import metadata
from tests.support.page_text import page_text

Make = Callable[..., RegisteredModel]


def stamps(html: str, form: str = "") -> dict[str, str]:
    return dict(
        re.findall(r'name="(seen-[\w-]+)" value="(\w+)"', html.partition(form)[2] if form else html)
    )


def opened(client: Client, address: str) -> dict[str, str]:
    response = client.get(address)
    assert response.status_code == 200
    return stamps(page_text(response))


def test_a_stamp_is_the_same_in_every_process() -> None:
    assert form_stamps.stamp({"b": [1, "x"], "a": None}) == form_stamps.stamp(
        {"a": None, "b": [1, "x"]}
    )
    assert len(form_stamps.stamp("x")) == 16
    assert form_stamps.touched({"a": 1, "b": 2}, {"a": form_stamps.stamp(1)}) == {"b": 2}
    form_stamps.agree({"a": 3}, {"a": 3}, {"a": form_stamps.stamp(1)})
    with pytest.raises(form_stamps.Conflict) as caught:
        form_stamps.agree({"a": 3}, {"a": 2}, {"a": form_stamps.stamp(1)})
    assert caught.value.theirs == {"a": 2}


# -- access


def test_access_writes_only_what_was_touched(
    admin_client: Client, admin_user: User, make_model: Make
) -> None:
    record = make_model("m")
    Group.objects.create(name="research")
    form = opened(admin_client, "/models/m/access/")
    metadata.edit(record, {"groups": ["research"]}, by=admin_user, channel="api")
    assert (
        admin_client.post("/models/m/access/", {**form, "visibility": "PUBLIC"}).status_code == 302
    )
    record.refresh_from_db()
    assert (record.visibility, [group.name for group in record.groups.all()]) == (
        "PUBLIC",
        ["research"],
    )


@pytest.mark.parametrize(("choice", "after"), [("theirs", "ADMIN_ONLY"), ("mine", "PUBLIC")])
def test_access_asks_whose_visibility_counts(
    choice: str, after: str, admin_client: Client, admin_user: User, make_model: Make
) -> None:
    record = make_model("m")
    form = opened(admin_client, "/models/m/access/")
    metadata.edit(record, {"visibility": "ADMIN_ONLY"}, by=admin_user, channel="api")
    refused = admin_client.post("/models/m/access/", {**form, "visibility": "PUBLIC"})
    html = page_text(refused)
    assert refused.status_code == 409
    assert "Administrators only" in html
    assert 'name="mine-visibility" value="PUBLIC"' in html
    again = {
        **stamps(html),
        "visibility": "ADMIN_ONLY",
        "choose-visibility": choice,
        "mine-visibility": "PUBLIC",
    }
    assert admin_client.post("/models/m/access/", again).status_code == 302
    record.refresh_from_db()
    assert record.visibility == after


# -- collections


@pytest.fixture
def collection(db: None, admin_user: User) -> Collection:
    return collections.save(Collection(), name="one", description="first", by=admin_user)


def test_a_collection_writes_only_what_was_touched(
    admin_client: Client, admin_user: User, collection: Collection
) -> None:
    address, group = f"/collections/{collection.pk}/edit/", Group.objects.create(name="research")
    form = opened(admin_client, address)
    collections.save(collection, name="two", description="first", groups=[group], by=admin_user)
    assert (
        admin_client.post(
            address, {**form, "name": "one", "description": "mine", "query": ""}
        ).status_code
        == 302
    )
    collection.refresh_from_db()
    assert (collection.name, collection.description, list(collection.groups.all())) == (
        "two",
        "mine",
        [group],
    )


@pytest.mark.parametrize(("choice", "after"), [("theirs", "second"), ("mine", "mine")])
def test_a_collection_asks_whose_words_count(
    choice: str, after: str, admin_client: Client, admin_user: User, collection: Collection
) -> None:
    address = f"/collections/{collection.pk}/edit/"
    form = opened(admin_client, address)
    collections.save(collection, name="two", description="second", by=admin_user)
    refused = admin_client.post(
        address, {**form, "name": "one", "description": "mine", "query": ""}
    )
    html = page_text(refused)
    assert refused.status_code == 409
    assert "second" in html
    assert 'name="mine-description" value="mine"' in html
    assert 'name="name" value="two"' in html
    again = {
        **stamps(html),
        "name": "two",
        "description": "second",
        "query": "",
        "choose-description": choice,
        "mine-description": "mine",
    }
    assert admin_client.post(address, again).status_code == 302
    collection.refresh_from_db()
    assert (collection.name, collection.description) == ("two", after)


def test_groups_of_a_collection_are_asked_about_too(
    admin_client: Client, admin_user: User, collection: Collection
) -> None:
    address = f"/collections/{collection.pk}/edit/"
    one, two = (Group.objects.create(name=name) for name in ("lab", "press"))
    form = opened(admin_client, address)
    collection.groups.set([one])
    refused = admin_client.post(
        address,
        {**form, "name": "one", "description": "first", "query": "", "groups": [str(two.pk)]},
    )
    assert refused.status_code == 409
    assert '<bdi class="break">lab</bdi>' in page_text(refused)
    assert '<bdi class="break">press</bdi>' in page_text(refused)
    assert list(collection.groups.all()) == [one]


# -- tags and views


@pytest.mark.parametrize(("choice", "after"), [("theirs", "red"), ("mine", "green")])
def test_the_color_of_a_tag_is_asked_about(
    choice: str, after: str, admin_client: Client, db: None
) -> None:
    tag = Tag.objects.create(name="x", colour="blue")
    form, address = opened(admin_client, "/tags/"), f"/tags/{tag.pk}/"
    Tag.objects.update(colour="red")
    refused = admin_client.post(address, {**form, "action": "colour", "colour": "green"})
    html = page_text(refused)
    assert refused.status_code == 409
    assert "Red" in html
    again = {
        **stamps(html, 'role="alert"'),
        "action": "colour",
        "colour": "red",
        "choose-colour": choice,
        "mine-colour": "green",
    }
    assert admin_client.post(address, again).status_code == 302
    tag.refresh_from_db()
    assert tag.colour == after


def test_a_color_that_nobody_touched_is_not_written(admin_client: Client, db: None) -> None:
    tag = Tag.objects.create(name="x", colour="blue")
    form = opened(admin_client, "/tags/")
    Tag.objects.update(colour="red")
    assert (
        admin_client.post(
            f"/tags/{tag.pk}/", {**form, "action": "colour", "colour": "blue"}
        ).status_code
        == 302
    )
    tag.refresh_from_db()
    assert tag.colour == "red"


@pytest.mark.parametrize(("choice", "after"), [("theirs", "second"), ("mine", "third")])
def test_the_name_of_a_view_is_asked_about(
    choice: str, after: str, admin_client: Client, admin_user: User
) -> None:
    view = saved_views.save(admin_user, "first", "q=x")
    form, address = opened(admin_client, "/views/"), f"/views/{view.pk}/"
    SavedView.objects.update(name="second", shared=True)
    refused = admin_client.post(address, {**form, "action": "rename", "name": "third"})
    html = page_text(refused)
    assert refused.status_code == 409
    again = {
        **stamps(html, 'role="alert"'),
        "action": "rename",
        "name": "second",
        "choose-name": choice,
        "mine-name": "third",
    }
    assert admin_client.post(address, again).status_code == 302
    view.refresh_from_db()
    assert (view.name, view.shared) == (after, True)


# -- many models


def test_a_bulk_edit_asks_again_when_what_it_replaces_has_changed(
    admin_client: Client, admin_user: User, make_model: Make
) -> None:
    records = [make_model("a"), make_model("b")]
    html = page_text(
        admin_client.post(
            "/bulk/",
            {"kind": "visibility", "id": ["a", "b"], "f-visibility": "PUBLIC", "step": "preview"},
        )
    )
    mark = re.search(r'name="mark" value="(\w+)"', html)
    assert mark
    metadata.edit(records[1], {"visibility": "ADMIN_ONLY"}, by=admin_user, channel="api")
    sent = {
        "kind": "visibility",
        "id": ["a", "b"],
        "f-visibility": "PUBLIC",
        "step": "apply",
        "mark": mark[1],
    }
    refused = admin_client.post("/bulk/", sent)
    assert refused.status_code == 409
    assert {record.visibility for record in RegisteredModel.objects.all()} == {
        "RESTRICTED",
        "ADMIN_ONLY",
    }
    again = re.search(r'name="mark" value="(\w+)"', page_text(refused))
    assert again
    assert admin_client.post("/bulk/", {**sent, "mark": again[1]}).status_code == 302
    assert {record.visibility for record in RegisteredModel.objects.all()} == {"PUBLIC"}


def test_an_import_asks_again_when_what_it_replaces_has_changed(
    admin_client: Client, admin_user: User, make_model: Make
) -> None:
    record = make_model("a")
    make_model("b")
    admin_client.post(
        "/import/", {"file": SimpleUploadedFile("x.csv", b"model_id,license\na,mit\nb,mit\n")}
    )
    run = MetadataImport.objects.get()
    metadata.edit(record, {"license": "apache-2.0"}, by=admin_user, channel="api")
    admin_client.post(f"/import/{run.pk}/act/", {"action": "apply"})
    html = page_text(admin_client.get(f"/import/{run.pk}/"))
    assert "changed since the file was checked, so nothing was imported" in html
    assert "apache-2.0" in html
    record.refresh_from_db()
    assert record.license == "apache-2.0"
    admin_client.post(f"/import/{run.pk}/act/", {"action": "apply"})
    assert set(RegisteredModel.objects.values_list("license", flat=True)) == {"mit"}


# -- decisions


def test_a_decision_about_a_problem_is_not_taken_over_unseen(
    admin_client: Client, admin_user: User, make_model: Make
) -> None:
    record, now = make_model("m", content="c"), timezone.now()
    finding = Finding.objects.create(
        model=record, code="unsafe_pickle", message="It runs code", path="x", severity="error",
        source="scan", content="c",
        first_seen_at=now, last_seen_at=now,
    )  # fmt: skip
    form = opened(admin_client, "/problems/")
    triage.accept([finding], by=admin_user, reason="it is ours")
    for sent in (
        {"action": "accept", "reason": "mine"},
        {"action": "snooze", "days": "7"},
        {"action": "reopen"},
    ):
        response = admin_client.post(
            "/problems/decide/", {**form, "finding": finding.pk, **sent}, follow=True
        )
        assert "was accepted by admin (“it is ours”)" in page_text(response)
        finding.refresh_from_db()
        assert (finding.accepted_reason, finding.snoozed_until) == ("it is ours", None)
    triage.snooze([finding], now + timedelta(days=1), by=admin_user)
    fresh = opened(admin_client, "/problems/?state=accepted")
    admin_client.post("/problems/decide/", {**fresh, "finding": finding.pk, "action": "reopen"})
    finding.refresh_from_db()
    assert finding.accepted_at is None
