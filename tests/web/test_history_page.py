"""History: who changed what, when, through what, before and after; and taking it back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from discovery.models import Finding, MetadataChange, RegisteredModel
from discovery.services.bulk import bulk_edits
from discovery.services.bulk.operations import Operation
from discovery.services.bulk.selections import Selection
from discovery.services.findings import triage
from discovery.services.metadata import metadata, undo
from tests.support.page_text import page_text

Make = Callable[..., RegisteredModel]
HTMX = {"HX-Request": "true"}


def html(
    client: Client, path: str = "/history/", headers: dict[str, str] | None = None, **query: str
) -> str:
    response = client.get(path, query, headers=headers or {})
    assert response.status_code == 200
    return page_text(response)


@pytest.fixture
def edited(make_model: Make, admin_user: User, user: User) -> RegisteredModel:
    """A public model with two edits, beside a restricted one with one."""
    model, hidden = make_model("bert-base", visibility="PUBLIC"), make_model("secret-model")
    metadata.edit(model, {"tags": ["a", "b"], "license": "mit"}, by=admin_user, channel="page")
    metadata.edit(model, {"tags": ["b", "c"], "description": "word " * 60}, by=user, channel="api")
    metadata.edit(hidden, {"author": "Ada"}, by=admin_user, channel="admin")
    return model


def test_each_edit_says_who_through_what_and_what_was_before_and_after(
    admin_client: Client, edited: RegisteredModel
) -> None:
    page = html(admin_client)
    assert page.count('class="panel batch"') == 3
    for text in (
        "reader",
        "admin",
        "API",
        "Page",
        "Admin",
        "bert-base",
        "secret-model",
        "Ada",
        "automatic",
        'href="/models/bert-base/history/"',
    ):
        assert text in page
    assert page.count('class="chip plus"') == 1
    assert page.count('class="chip minus"') == 1
    assert f'title="{("word " * 60).strip()}"' in page


def test_a_model_shows_its_own_history(admin_client: Client, edited: RegisteredModel) -> None:
    page = html(admin_client, "/models/bert-base/history/")
    assert page.count('class="panel batch"') == 2
    assert "Ada" not in page
    assert "Nobody has changed this model" in html(
        admin_client, "/models/" + _unedited(edited).model_id + "/history/"
    )
    part = html(admin_client, "/models/bert-base/history/", headers=HTMX)
    assert "<html" not in part


def _unedited(like: RegisteredModel) -> RegisteredModel:
    values = {
        field.attname: getattr(like, field.attname)
        for field in RegisteredModel._meta.concrete_fields
    }
    return RegisteredModel.objects.create(
        **{**values, "id": None, "model_id": "new", "path": "new", "name": "new"}
    )


@pytest.mark.parametrize(
    ("query", "edits"),
    [
        ({"by": "reader"}, 1),
        ({"by": "nobody"}, 0),
        ({"field": "tags"}, 2),
        ({"field": "nonsense"}, 0),
        ({"through": "admin"}, 1),
        ({"through": "nonsense"}, 0),
        ({"model": "bert"}, 2),
        ({"model": "BASE bert"}, 2),
        ({"model": "zzz"}, 0),
        ({"since": "2000-01-01", "until": "2100-01-01"}, 3),
        ({"until": "2000-01-01"}, 0),
        ({"since": "2100-01-01"}, 0),
        ({"batch": "nonsense"}, 0),
        ({"page": "1000000000"}, 3),
        ({"model": "\0"}, 3),
    ],
)
def test_history_is_narrowed_and_nonsense_finds_nothing(
    admin_client: Client, edited: RegisteredModel, query: dict[str, str], edits: int
) -> None:
    page = html(admin_client, **query)
    assert page.count('class="panel batch"') == edits
    assert ("No change matches" in page) is (edits == 0)


@pytest.mark.parametrize("day", ["yesterday", "2026-99-99", "9999-12-31", "-1"])
def test_a_day_that_is_none_is_told(
    admin_client: Client, edited: RegisteredModel, day: str
) -> None:
    for name in ("since", "until"):
        assert "is not a day: write it as" in html(admin_client, **{name: day})


def test_an_edit_today_is_found_until_today(admin_client: Client, edited: RegisteredModel) -> None:
    today = MetadataChange.objects.latest("at").at.date()
    assert html(admin_client, until=str(today)).count('class="panel batch"') == 3
    assert (
        html(admin_client, until=str(today - timedelta(days=1))).count('class="panel batch"') == 0
    )


def test_a_large_batch_is_one_entry_with_a_few_examples_and_a_way_to_all(
    admin_client: Client, admin_user: User, make_model: Make
) -> None:
    for number in range(60):
        make_model(f"m{number}")
    edit = bulk_edits.request(
        Operation.read("tags", add={"tags": ["t"]}), Selection(query=""), by=admin_user
    )
    page = html(admin_client)
    assert page.count('class="panel batch"') == 1
    assert "of 60 models" in page
    assert "All 60 changes" in page
    assert "Undo all 60" in page
    whole = html(admin_client, batch=str(edit.batch))
    assert "60 changes made together." in whole
    assert whole.count('class="what muted field-col"') == 50
    assert (
        html(admin_client, batch=str(edit.batch), page="2").count('class="what muted field-col"')
        == 10
    )


def test_readers_see_the_history_of_what_they_may_see_and_take_nothing_back(
    reader_client: Client, edited: RegisteredModel
) -> None:
    page = html(reader_client)
    assert page.count('class="panel batch"') == 2
    assert "secret-model" not in page
    assert "history/undo" not in page
    assert reader_client.get("/models/secret-model/history/").status_code == 404
    assert "history/undo" not in html(reader_client, "/models/bert-base/history/")
    change = MetadataChange.objects.filter(model__model_id="bert-base").first()
    assert change
    assert reader_client.post("/history/undo/", {"change": change.pk}).status_code == 403


def test_a_batch_counts_only_models_that_the_reader_may_see(
    reader_client: Client, admin_user: User, make_model: Make
) -> None:
    make_model("seen", visibility="PUBLIC")
    make_model("unseen")
    edit = bulk_edits.request(
        Operation.read("tags", add={"tags": ["t"]}), Selection(query=""), by=admin_user
    )
    for page in (html(reader_client), html(reader_client, batch=str(edit.batch))):
        assert "seen" in page
        assert "unseen" not in page
        assert "2 models" not in page


def test_what_is_counted_and_taken_back_is_told_of_what_the_reader_may_see(
    reader_client: Client, admin_user: User, make_model: Make
) -> None:
    make_model("seen", visibility="PUBLIC")
    hidden = make_model("unseen")
    bulk_edits.request(
        Operation.read("tags", add={"tags": ["t"]}), Selection(query=""), by=admin_user
    )
    undo.undo_change(MetadataChange.objects.get(model=hidden), by=admin_user, channel="page")
    for path in ("/history/", "/models/seen/history/"):
        page = html(reader_client, path)
        assert page.count('class="panel batch"') == 1
        assert "undone" not in page.lower()
        assert "of other models" not in page


def test_a_filter_by_field_tells_how_much_of_the_whole_edit_is_taken_back(
    admin_client: Client, edited: RegisteredModel
) -> None:
    admin_client.post("/history/undo/", {"change": MetadataChange.objects.get(field="license").pk})
    assert "1 of 2 undone" in html(admin_client, field="tags")


def test_one_change_is_taken_back_alone(admin_client: Client, edited: RegisteredModel) -> None:
    change = MetadataChange.objects.get(field="license")
    response = admin_client.post(
        "/history/undo/", {"change": change.pk, "next": "/models/bert-base/history/"}, follow=True
    )
    assert response.redirect_chain == [("/models/bert-base/history/", 302)]
    page = page_text(response)
    assert "License of bert-base is what it was before." in page
    assert "1 of 2 undone" in page
    assert "undid a change to" in page
    edited.refresh_from_db()
    assert (edited.license, edited.value("tags")) == (None, ["b", "c"])
    again = page_text(admin_client.post("/history/undo/", {"change": change.pk}, follow=True))
    assert "Nothing was undone." in again


def test_a_batch_is_taken_back_and_what_was_decided_since_is_kept_and_told(
    admin_client: Client, edited: RegisteredModel
) -> None:
    first = MetadataChange.objects.get(field="license").batch
    page = page_text(
        admin_client.post("/history/undo/", {"batch": str(first), "next": "/history/"}, follow=True)
    )
    assert "1 model kept as it is." in page
    assert "was changed again since" in page
    edited.refresh_from_db()
    assert (edited.license, edited.value("tags")) == (None, ["b", "c"])


def test_an_undo_can_be_undone_from_the_page(admin_client: Client, edited: RegisteredModel) -> None:
    batch = MetadataChange.objects.get(field="description").batch
    toast = page_text(
        admin_client.post("/history/undo/", {"batch": str(batch), "next": "/history/"}, follow=True)
    )
    assert "Undone: 1 model restored." in toast
    assert ">Undone</span>" in toast
    taken_back = MetadataChange.objects.filter(undoes=batch).first()
    assert taken_back
    back = page_text(
        admin_client.post(
            "/history/undo/", {"batch": str(taken_back.batch), "next": "/history/"}, follow=True
        )
    )
    edited.refresh_from_db()
    assert edited.value("tags") == ["b", "c"]
    assert back.count(">Undone</span>") == 1


@pytest.mark.parametrize(
    "sent", [{}, {"batch": "nonsense"}, {"change": "0"}, {"change": "9" * 30}, {"change": "x"}]
)
def test_what_does_not_exist_is_not_taken_back(
    admin_client: Client, edited: RegisteredModel, sent: dict[str, str]
) -> None:
    assert admin_client.post("/history/undo/", sent).status_code == 404


def test_nobody_is_sent_to_another_site_after_an_undo(
    admin_client: Client, edited: RegisteredModel
) -> None:
    sent = {
        "change": MetadataChange.objects.get(field="license").pk,
        "next": "https://elsewhere.example/",
    }
    assert admin_client.post("/history/undo/", sent)["Location"] == "/history/"


def test_decisions_about_findings_are_listed_without_an_undo(
    admin_client: Client, admin_user: User, make_model: Make
) -> None:
    model = make_model("m", visibility="PUBLIC")
    triage.quarantine(model, by=admin_user)
    page = html(admin_client)
    assert "Administrators only" in page
    assert "history/undo" not in page
    batch = MetadataChange.objects.get().batch
    assert "decided elsewhere" in page_text(
        admin_client.post("/history/undo/", {"batch": str(batch)}, follow=True)
    )


def test_what_was_accepted_is_told_as_a_judgement(
    admin_client: Client, admin_user: User, make_model: Make
) -> None:
    now = timezone.now()
    told = {
        "source": "scan",
        "code": "truncated",
        "severity": "error",
        "first_seen_at": now,
        "last_seen_at": now,
    }
    keys = [
        Finding.objects.create(model=make_model(name), message="3 of 8 bytes are there", **told).pk
        for name in ("one", "two")
    ]
    admin_client.post(
        "/problems/decide/", {"finding": keys, "action": "accept", "reason": "a mirror"}
    )
    assert "decided on 2 problems of 2 models" in " ".join(html(admin_client).split())


def test_without_changes_the_page_says_so(admin_client: Client) -> None:
    assert "No changes yet" in html(admin_client)


def test_values_that_mean_harm_are_shown_as_text(admin_client: Client, make_model: Make) -> None:
    model = make_model("m")
    for before, after in (
        ("<script>1</script>", ["<b>x</b>"]),
        ({"<i>": "<u>"}, {"<i>": {"deep": [1]}}),
        (None, 5),
        ([], ["漢字" * 90]),
        ("", {}),
    ):
        MetadataChange.objects.create(
            model=model,
            field="custom",
            before=before,
            after=after,
            at=timezone.now(),
            channel="x<y>",
            batch=uuid4(),
        )
    page = html(admin_client)
    for tag in ("<script>1", "<b>", "<i>", "<u>", "x<y>"):
        assert tag not in page
    assert page.count('class="panel batch"') == 5


def test_a_page_of_history_needs_a_fixed_number_of_queries(
    admin_client: Client, admin_user: User, make_model: Make, django_assert_max_num_queries: Any
) -> None:
    models = [make_model(f"m{number}") for number in range(40)]
    for model in models:
        metadata.edit(model, {"author": "A", "license": "mit"}, by=admin_user, channel="page")
    bulk_edits.request(
        Operation.read("tags", add={"tags": ["t"]}), Selection(query=""), by=admin_user
    )
    for path in ("/history/", "/history/?field=license", "/models/m1/history/"):
        with django_assert_max_num_queries(21):
            assert "admin" in html(admin_client, path)
