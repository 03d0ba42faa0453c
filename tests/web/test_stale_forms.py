"""Two people have the same form of the pages open: nothing is overwritten that one of them has not
seen; both values are shown, and asked about.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from django_q.models import Schedule

from discovery.models import (
    AccessRule,
    Collection,
    Finding,
    MetadataImport,
    RegisteredModel,
    Root,
    SavedView,
    ScanRun,
    Tag,
)
from discovery.services import scans, schedules
from discovery.services.access import access_rules, rule_terms
from discovery.services.core import form_stamps
from discovery.services.curation import collections, saved_views
from discovery.services.findings import triage
from discovery.services.metadata import metadata
from tests.support import builders
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


# -- access rules


@pytest.fixture
def rule(db: None, admin_user: User) -> AccessRule:
    term = rule_terms.term("tag", "prod")
    return access_rules.make(term, visibility="PUBLIC", groups=[], by=admin_user)


def test_an_access_rule_writes_only_what_was_touched(
    admin_client: Client, admin_user: User, rule: AccessRule
) -> None:
    address, group = f"/access/rules/{rule.pk}/", Group.objects.create(name="lab")
    form = opened(admin_client, address)
    access_rules.change(rule, visibility="PUBLIC", groups=[group], by=admin_user)
    sent = {**form, "step": "save", "visibility": "ADMIN_ONLY"}
    assert admin_client.post(address, sent).status_code == 302
    rule.refresh_from_db()
    assert (rule.visibility, list(rule.groups.all())) == ("ADMIN_ONLY", [group])


@pytest.mark.parametrize(("choice", "after"), [("theirs", "lab"), ("mine", "press")])
def test_an_access_rule_asks_whose_groups_count(
    choice: str, after: str, admin_client: Client, admin_user: User, rule: AccessRule
) -> None:
    address = f"/access/rules/{rule.pk}/"
    lab, press = (Group.objects.create(name=name) for name in ("lab", "press"))
    form = opened(admin_client, address)
    access_rules.change(rule, visibility="PUBLIC", groups=[lab], by=admin_user)
    mine = {**form, "visibility": "PUBLIC", "groups": [str(press.pk)]}
    preview = admin_client.post(address, {**mine, "step": "preview"})
    assert stamps(page_text(preview)) == form, "a preview shows nothing that somebody else did"
    refused = admin_client.post(address, {**mine, "step": "save"})
    html = page_text(refused)
    assert refused.status_code == 409
    assert '<bdi class="break">lab</bdi>' in html
    assert '<bdi class="break">press</bdi>' in html
    assert list(rule.groups.all()) == [lab]
    again = {
        **stamps(html),
        "step": "save",
        "visibility": "PUBLIC",
        "groups": [str(lab.pk)],
        "choose-groups": choice,
        "mine-groups": [str(press.pk)],
    }
    assert admin_client.post(address, again).status_code == 302
    assert [group.name for group in rule.groups.all()] == [after]


def test_the_default_visibility_is_not_replaced_unseen(
    admin_client: Client, admin_user: User
) -> None:
    form = opened(admin_client, "/access/")
    access_rules.set_default("ADMIN_ONLY", by=admin_user)
    response = admin_client.post("/access/default/", {**form, "visibility": "PUBLIC"}, follow=True)
    html = page_text(response)
    assert "Somebody else set the default to “Administrators only”" in html
    assert "you chose “Public”" in html
    assert AccessRule.objects.get(is_default=True).visibility == "ADMIN_ONLY"
    fresh = opened(admin_client, "/access/")
    admin_client.post("/access/default/", {**fresh, "visibility": "PUBLIC"})
    assert AccessRule.objects.get(is_default=True).visibility == "PUBLIC"


# -- roots, moves and schedules


def hidden(html: str) -> str:
    found = re.search(r'name="seen"\s+value="([^"]+)"', html)
    assert found
    return found[1]


def test_a_root_that_somebody_else_moved_is_not_moved_again_unseen(
    admin_client: Client, models_root: Path, tmp_path: Path
) -> None:
    root = Root.objects.create(path=str(models_root))
    places = [tmp_path / name for name in ("one", "two")]
    for place in places:
        builders.transformers(place / "m")
    address = f"/scans/roots/{root.pk}/"
    seen = hidden(page_text(admin_client.get(address)))
    Root.objects.update(path=str(places[0]))
    refused = admin_client.post(address, {"seen": seen, "path": str(places[1])})
    html = page_text(refused)
    assert refused.status_code == 409
    assert f"Somebody else moved this root to {places[0]}" in html
    assert f'value="{places[1]}"' in html
    assert Root.objects.get().path == str(places[0])


def test_a_join_does_what_was_shown(
    admin_client: Client, admin_user: User, make_model: Make
) -> None:
    old = make_model("old", status="MISSING", missing_since=timezone.now(), fingerprint="1" * 32)
    make_model("new", fingerprint="1" * 32)
    pair = {"old": "old", "new": "new"}
    seen = hidden(page_text(admin_client.get("/scans/moves/join/", pair)))
    metadata.edit(old, {"license": "mit"}, by=admin_user, channel="api")
    refused = admin_client.post("/scans/moves/join/", {**pair, "action": "join", "seen": seen})
    assert refused.status_code == 409
    assert "mit" in page_text(refused)
    assert RegisteredModel.objects.count() == 2
    again = {**pair, "action": "join", "seen": hidden(page_text(refused))}
    assert admin_client.post("/scans/moves/join/", again).status_code == 302
    assert RegisteredModel.objects.get().license == "mit"


def test_a_schedule_that_somebody_else_moved_is_not_moved_unseen(
    admin_client: Client, admin_user: User, task_queue: Any
) -> None:
    name = next(iter(schedules.KINDS))
    row = Schedule.objects.filter(name=name).first() or Schedule.objects.create(
        name=name, func="discovery.tasks.scan_by_schedule", schedule_type=Schedule.DAILY
    )
    theirs = timezone.now() + timedelta(days=2)
    schedules.move(name, theirs, by=admin_user)
    mine = f"{timezone.now() + timedelta(days=5):%Y-%m-%dT%H:%M}"
    sent = {"action": "move", "name": name, "at": mine, "seen": row.next_run.isoformat()}
    response = admin_client.post("/system/schedules/", sent, follow=True)
    assert f"{theirs:%Y-%m-%d %H:%M} UTC by now" in page_text(response)
    assert Schedule.objects.get(pk=row.pk).next_run == theirs
    admin_client.post("/system/schedules/", {**sent, "seen": theirs.isoformat()})
    assert Schedule.objects.get(pk=row.pk).next_run > theirs


# -- scans


def test_a_form_that_was_open_during_a_scan_is_saved_without_a_question(
    admin_client: Client, models_root: Path
) -> None:
    def scan() -> None:
        run, _ = scans.start_now(ScanRun.Trigger.COMMAND, path=str(models_root))
        scans.execute(run)

    builders.transformers(models_root / "m", hidden=64)
    scan()
    form = opened(admin_client, "/models/m/metadata/?edit=all")
    html = page_text(admin_client.get("/models/m/metadata/?edit=all"))
    was = dict(re.findall(r'name="(was-license)"\s+value="([^"]*)"', html))
    access = opened(admin_client, "/models/m/access/")
    (models_root / "m/notes.txt").write_text("another file")
    scan()
    sent = {**form, **was, "license": "mit", "action": "save"}
    assert admin_client.post("/models/m/metadata/", sent).status_code == 302
    assert RegisteredModel.objects.get().license == "mit"
    sent = {**access, "visibility": "PUBLIC"}
    assert admin_client.post("/models/m/access/", sent).status_code == 302
    assert RegisteredModel.objects.get().visibility == "PUBLIC"
