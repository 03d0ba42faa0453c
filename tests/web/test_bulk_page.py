"""The bulk page: choose, fill in, look, apply, take back; nothing changes before it was shown, and
wrong input says where.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django_q.brokers import Broker

from discovery.models import BulkEdit, Collection, MetadataChange, RegisteredModel
from discovery.services.bulk import bulk_edits
from discovery.services.findings import triage
from discovery.services.metadata import metadata
from tests.support.page_text import page_text

Make = Callable[..., RegisteredModel]
HTMX = {"HX-Request": "true"}
KINDS = ("metadata", "tags", "category", "visibility", "collection", "validate")


@pytest.fixture
def three(make_model: Make, admin_user: User) -> list[RegisteredModel]:
    models = [make_model("a", license="mit"), make_model("b"), make_model("c")]
    metadata.edit(models[0], {"tags": ["old", "x"]}, by=admin_user, channel="page")
    return models


def send(
    client: Client,
    kind: str,
    step: str = "",
    status: int = 200,
    headers: dict[str, str] | None = None,
    **fields: Any,
) -> str:
    sent = {"kind": kind, **fields, **({"step": step} if step else {})}
    sent.setdefault("id", ["a", "b", "c"])
    response = client.post("/bulk/", sent, headers=headers or {})
    assert response.status_code == status
    return page_text(response)


def mark_of(html: str) -> str:
    found = re.search(r'name="mark" value="(\w+)"', html)
    assert found
    return found[1]


def apply(client: Client, kind: str, **fields: Any) -> BulkEdit:
    """Previews, applies, and returns the edit."""
    mark = mark_of(send(client, kind, "" if kind == "validate" else "preview", **fields))
    sent = {"id": ["a", "b", "c"], **fields, "kind": kind, "step": "apply", "mark": mark}
    response = client.post("/bulk/", sent)
    assert response.status_code == 302
    edit = BulkEdit.objects.get()
    assert response["Location"] == f"/bulk/{edit.pk}/"
    return edit


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_shows_its_form_and_who_is_chosen(
    admin_client: Client, three: list[RegisteredModel], kind: str
) -> None:
    Group.objects.create(name="team <b>")
    Collection.objects.create(name="shelf")
    html = send(admin_client, kind)
    assert "of 3 models</h1>" in html
    assert 'name="ids" value="a b c"' in html
    assert "<b>" not in html
    assert MetadataChange.objects.count() == 1


def test_chosen_models_that_are_gone_are_told(
    admin_client: Client, three: list[RegisteredModel]
) -> None:
    html = send(admin_client, "tags", id=["a", "gone", "nul\0"])
    assert "Tags of 1 model</h1>" in html
    assert "2 chosen models are not there any more." in html
    assert "not there any more" not in send(admin_client, "tags")


def test_a_filter_stands_for_all_that_match_it(
    admin_client: Client, three: list[RegisteredModel]
) -> None:
    html = page_text(admin_client.post("/bulk/", {"kind": "tags", "query": "tag=old"}))
    assert "Tags of 1 model</h1>" in html
    assert '<a class="link" href="/models/?tag=old">this filter</a>' in html
    assert 'name="query" value="tag=old"' in html
    assert "Tags of 1 model</h1>" in page_text(
        admin_client.post("/bulk/", {"kind": "tags", "query": "tag=old", "id": ["b", "c"]})
    )
    assert "Every model there is" in page_text(
        admin_client.post("/bulk/", {"kind": "tags", "query": ""})
    )


def test_metadata_is_previewed_then_applied(
    admin_client: Client, three: list[RegisteredModel]
) -> None:
    fields = {
        "f-license": "mit",
        "f-capabilities": ["CHAT"],
        "f-custom": "team: blue\nseats: 3",
        "automatic": ["author"],
    }
    html = send(admin_client, "metadata", "preview", **fields)
    assert "3 models of 3 would change" in html
    assert "from config.json" in html
    assert MetadataChange.objects.count() == 1
    edit = apply(admin_client, "metadata", **fields)
    assert (edit.state, edit.changed, edit.operation["channel"]) == ("done", 3, "page")
    for model in RegisteredModel.objects.all():
        assert (model.license, model.value("capabilities"), model.value("custom")) == (
            "mit",
            ["CHAT"],
            {"team": "blue", "seats": 3},
        )


def test_tags_are_added_and_ticked_ones_removed(
    admin_client: Client, three: list[RegisteredModel]
) -> None:
    html = send(admin_client, "tags", "preview", add="new, n2", **{"remove-tag": ["old"]})
    assert 'class="chip plus"' in html
    assert 'class="chip minus"' in html
    assert 'name="remove" value="old"' in html
    apply(admin_client, "tags", add="new, n2", remove="old", mode="change")
    assert [model.value("tags") for model in RegisteredModel.objects.order_by("name")] == [
        ["x", "new", "n2"],
        ["new", "n2"],
        ["new", "n2"],
    ]


@pytest.mark.parametrize(
    ("fields", "tags"),
    [({"mode": "replace", "replacement": ""}, []), ({"mode": "automatic"}, None)],
)
def test_tags_are_replaced_or_given_back(
    admin_client: Client, three: list[RegisteredModel], fields: dict[str, str], tags: Any
) -> None:
    apply(admin_client, "tags", **fields)
    assert RegisteredModel.objects.get(name="a").value("tags") == tags


def test_categories_visibility_groups_and_collections_are_set(
    admin_client: Client, three: list[RegisteredModel]
) -> None:
    group, shelf = Group.objects.create(name="team"), Collection.objects.create(name="shelf")
    apply(admin_client, "category", **{"f-primary": "AUDIO", "f-secondary": "automatic"})
    BulkEdit.objects.all().delete()
    apply(admin_client, "visibility", **{"f-visibility": "RESTRICTED", f"groups-{group.pk}": "add"})
    BulkEdit.objects.all().delete()
    apply(admin_client, "collection", **{f"collections-{shelf.pk}": "add"})
    model = RegisteredModel.objects.get(name="b")
    assert (model.primary, model.visibility, model.groups.get(), model.collections.get()) == (
        "AUDIO",
        "RESTRICTED",
        group,
        shelf,
    )


def test_validating_is_left_to_a_worker(
    admin_client: Client, three: list[RegisteredModel], task_queue: Broker
) -> None:
    assert "3 models would be read again" in send(admin_client, "validate")
    edit = apply(admin_client, "validate")
    assert (edit.state, task_queue.queue_size()) == ("queued", 1)
    page = page_text(admin_client.get(f"/bulk/{edit.pk}/"))
    assert 'hx-trigger="every 1s"' in page
    bulk_edits.execute(edit)
    response = admin_client.get(f"/bulk/{edit.pk}/", headers=HTMX)
    assert response.status_code == 286
    assert "3 models read again" in page_text(response)
    assert "undo" not in page_text(response)


@pytest.mark.parametrize(
    ("kind", "fields", "told"),
    [
        ("metadata", {}, "Nothing is filled in yet"),
        ("tags", {"add": " , "}, "Nothing is filled in yet"),
        ("metadata", {"f-context_length": "many"}, "Must be a whole number above zero."),
        ("metadata", {"f-context_length": "9" * 30}, "Must be a whole number above zero."),
        ("metadata", {"f-license": "x" * 300}, "at most 200 characters"),
        (
            "metadata",
            {"f-license": "mit", "automatic": "license"},
            "Either a value or back to automatic, not both.",
        ),
        ("metadata", {"f-description": "nul \0"}, "cannot be stored"),
        ("metadata", {"f-custom": "no colon"}, "Line 1 is not name: value."),
        ("metadata", {"f-custom": "deep: " + "[" * 1_000 + "]" * 1_000}, "nested "),
        ("metadata", {"f-custom": f"big: {1 << 70}"}, "beyond 64 bits"),
        ("metadata", {"f-type": "FAST"}, "Must be one of"),
        ("metadata", {"f-capabilities": ["FLY"]}, "is none of"),
        ("tags", {"add": "x" * 10_000}, "10,000 characters"),
        ("tags", {"add": "a", "remove": "a"}, "cannot be added and removed at once"),
        ("category", {"f-primary": "SMELL"}, "Must be one of"),
        ("visibility", {"f-visibility": "EVERYBODY"}, "Must be one of"),
    ],
)
def test_wrong_input_says_what_is_wrong_and_keeps_what_was_entered(
    admin_client: Client, three: list[RegisteredModel], kind: str, fields: dict[str, Any], told: str
) -> None:
    for headers in ({}, HTMX):
        html = send(admin_client, kind, "preview", 422, headers, **fields)
        assert told in html
        assert ("<html" in html) is not bool(headers)
    assert MetadataChange.objects.count() == 1


def test_all_that_is_wrong_is_told_at_once_and_folded_fields_are_open(
    admin_client: Client, three: list[RegisteredModel]
) -> None:
    html = send(
        admin_client,
        "metadata",
        "preview",
        422,
        **{"f-license": "x" * 300, "f-context_length": "many", "f-author": "Ada"},
    )
    assert '<a href="#f-license">License</a>: must be a text of at most 200 characters.' in html
    assert (
        '<a href="#f-context_length">Context length</a>: must be a whole number above zero.' in html
    )
    assert '<details class="more" open>' in html
    assert 'value="Ada"' in html


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"kind": "tags"},
        {"kind": "tags", "id": "nobody"},
        {"kind": "fly", "id": "a"},
        {"kind": "tags", "query": "q=zzz"},
    ],
)
def test_without_models_or_a_kind_one_is_sent_back_to_choose(
    admin_client: Client, three: list[RegisteredModel], sent: dict[str, str]
) -> None:
    response = admin_client.post("/bulk/", sent, follow=True)
    assert response.redirect_chain == [("/models/", 302)]
    assert "Choose" in page_text(response)


def test_a_filter_that_is_not_understood_chooses_nothing(
    admin_client: Client, three: list[RegisteredModel]
) -> None:
    response = admin_client.post(
        "/bulk/",
        {"kind": "tags", "query": "q=params%3A%3Ehuge", "add": "t", "step": "preview"},
        follow=True,
    )
    assert response.redirect_chain == [("/models/", 302)]
    assert "The filter is not understood" in page_text(response)


def test_what_was_not_previewed_is_shown_first_and_not_applied(
    admin_client: Client, three: list[RegisteredModel], make_model: Make
) -> None:
    mark = mark_of(send(admin_client, "tags", "preview", add="one"))
    assert "this is not what the preview showed" in send(
        admin_client, "tags", "apply", 409, add="two", mark=mark
    )
    assert "this is not what the preview showed" in send(
        admin_client, "tags", "apply", 409, add="one"
    )
    html = page_text(
        admin_client.post("/bulk/", {"kind": "tags", "query": "", "add": "one", "step": "preview"})
    )
    make_model("d")
    sent = {"kind": "tags", "query": "", "add": "one", "step": "apply", "mark": mark_of(html)}
    assert admin_client.post("/bulk/", sent).status_code == 409
    assert not BulkEdit.objects.exists()


def test_where_a_model_cannot_be_changed_one_chooses_all_or_nothing_or_the_others(
    admin_client: Client, admin_user: User, three: list[RegisteredModel]
) -> None:
    triage.quarantine(three[1], by=admin_user)
    sent = {"f-visibility": "PUBLIC"}
    html = send(admin_client, "visibility", "preview", **sent)
    assert "1 model cannot be changed." in html
    assert 'name="atomic"' in html
    refused = send(admin_client, "visibility", "apply", 422, mark=mark_of(html), atomic="1", **sent)
    assert "Nothing was changed." in refused
    assert not RegisteredModel.objects.filter(visibility="PUBLIC").exists()
    admin_client.post(
        "/bulk/",
        {
            "kind": "visibility",
            "id": ["a", "b", "c"],
            "step": "apply",
            "mark": mark_of(html),
            "atomic": "0",
            **sent,
        },
    )
    assert RegisteredModel.objects.filter(visibility="PUBLIC").count() == 2
    page = page_text(admin_client.get(f"/bulk/{BulkEdit.objects.get().pk}/"))
    assert "1 model left out." in page
    assert "quarantine" in page


def test_one_click_takes_an_edit_back(admin_client: Client, three: list[RegisteredModel]) -> None:
    edit = apply(admin_client, "tags", add="new")
    page = page_text(admin_client.get(f"/bulk/{edit.pk}/"))
    assert 'id="undo"' in page
    response = admin_client.post("/history/undo/", {"batch": str(edit.batch)}, follow=True)
    assert "3 models restored" in page_text(response)
    assert [model.value("tags") for model in RegisteredModel.objects.order_by("name")] == [
        ["old", "x"],
        None,
        None,
    ]
    again = page_text(admin_client.get(f"/bulk/{edit.pk}/"))
    assert "Undone" in again
    assert 'id="undo"' not in again
    assert "Bulk edits" in page_text(admin_client.get("/bulk/"))


def test_many_models_are_changed_by_a_worker_with_a_stop_button(
    admin_client: Client,
    three: list[RegisteredModel],
    task_queue: Broker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bulk_edits, "AT_ONCE", 1)
    edit = apply(admin_client, "tags", add="new")
    page = admin_client.get(f"/bulk/{edit.pk}/", headers=HTMX)
    assert page.status_code == 200
    assert "Stop</button>" in page_text(page)
    assert "Stopped" in page_text(admin_client.post(f"/bulk/{edit.pk}/stop/", follow=True))
    assert "has already finished" in page_text(
        admin_client.post(f"/bulk/{edit.pk}/stop/", follow=True)
    )
    assert "Go on with the rest" in page_text(admin_client.get(f"/bulk/{edit.pk}/"))
    assert "goes on with the 3 models" in page_text(
        admin_client.post(f"/bulk/{edit.pk}/go-on/", follow=True)
    )
    bulk_edits.execute(edit)
    assert "nothing left" in page_text(admin_client.post(f"/bulk/{edit.pk}/go-on/", follow=True))
    assert RegisteredModel.objects.filter(tagged__name="new").count() == 3


def test_readers_change_nothing(
    reader_client: Client, three: list[RegisteredModel], admin_user: User
) -> None:
    edit = bulk_edits.request(
        bulk_edits.Operation.read("tags", add={"tags": ["t"]}),
        bulk_edits.Selection(query=""),
        by=admin_user,
    )
    assert reader_client.get("/bulk/").status_code == 403
    assert reader_client.post("/bulk/", {"kind": "tags", "id": "a"}).status_code == 403
    assert reader_client.get(f"/bulk/{edit.pk}/").status_code == 403
    for what in ("stop", "go-on"):
        assert reader_client.post(f"/bulk/{edit.pk}/{what}/").status_code == 403
    assert reader_client.post("/history/undo/", {"batch": str(edit.batch)}).status_code == 403


def test_an_edit_that_does_not_exist_is_not_found(admin_client: Client) -> None:
    assert admin_client.get("/bulk/77/").status_code == 404
    assert admin_client.post("/bulk/77/stop/").status_code == 404


def test_the_preview_needs_the_same_number_of_queries_for_many_models_as_for_few(
    admin_client: Client, make_model: Make, django_assert_max_num_queries: Any
) -> None:
    for number in range(120):
        make_model(f"m{number}", tags=["a", f"t{number}"])
    for query in ("q=m11", ""):
        with django_assert_max_num_queries(22):
            html = page_text(
                admin_client.post(
                    "/bulk/", {"kind": "tags", "query": query, "add": "z", "step": "preview"}
                )
            )
    assert "120 models of 120 would change" in html


def test_names_that_mean_harm_are_shown_as_text(admin_client: Client, make_model: Make) -> None:
    for number, name in enumerate(("<script>alert(1)</script>", "‮txt.exe", "漢字" * 200)):
        make_model(f"m{number}", extracted={"display_name": name})
    html = page_text(
        admin_client.post(
            "/bulk/", {"kind": "tags", "query": "", "add": "<i>tag</i>", "step": "preview"}
        )
    )
    assert "<script>alert" not in html
    assert "<i>" not in html
    assert "&lt;i&gt;tag" in html
