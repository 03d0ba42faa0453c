"""The Tags page: counts of what one may see; a tag renamed, merged or deleted is so on every model,
and comes back as a whole.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django_q.brokers import Broker

from discovery import tasks
from discovery.models import BulkEdit, MetadataChange, RegisteredModel, Tag
from discovery.services.bulk import bulk_edits
from discovery.services.metadata import metadata
from discovery.services.registry import tags
from tests.support.page_text import page_text

Make = Callable[..., RegisteredModel]
HTMX = {"HX-Request": "true"}


@pytest.fixture
def shelf(make_model: Make, admin_user: User) -> None:
    """alpha and beta were read with tags, gamma was given some."""
    for name, own, visibility in (
        ("alpha", ["old", "chat"], "PUBLIC"),
        ("beta", ["old"], "ADMIN_ONLY"),
        ("gamma", None, "PUBLIC"),
    ):
        model = make_model(name, visibility=visibility, **({"tags": own} if own else {}))
        tags.sync([model])
    metadata.edit(
        RegisteredModel.objects.get(name="gamma"),
        {"tags": ["chat", "fine"]},
        by=admin_user,
        channel="page",
    )
    Tag.objects.filter(name="old").update(colour="red")


def html(client: Client, path: str = "/tags/") -> str:
    response = client.get(path)
    assert response.status_code == 200
    return page_text(response)


def act(client: Client, tag: str, **sent: str) -> str:
    """Where the answer leads."""
    response = client.post(f"/tags/{Tag.objects.get(name=tag).pk}/", sent)
    assert response.status_code == 302, page_text(response)
    return str(response["Location"])


def own(name: str) -> list[str]:
    return RegisteredModel.objects.get(name=name).value("tags")  # type: ignore[no-any-return]


def test_tags_are_listed_with_their_colour_and_count(shelf: None, admin_client: Client) -> None:
    page = html(admin_client)
    assert 'class="chip tag tag-red" href="/models/?tag=old"' in page
    assert "3 tags" in page
    order = [page.index(f"<bdi>{name}</bdi>") for name in ("chat", "fine", "old")]
    assert order == sorted(order)
    assert "<bdi>old</bdi>" not in html(admin_client, "/tags/?q=chat")
    assert "No tags match" in html(admin_client, "/tags/?q=nothing")


def test_counts_hold_only_what_one_may_see(shelf: None, reader_client: Client) -> None:
    RegisteredModel.objects.filter(name="alpha").update(visibility="ADMIN_ONLY")
    page = html(reader_client)
    assert "<bdi>old</bdi>" not in page
    assert "<bdi>chat</bdi>" in page
    assert 'class="num">1<' in page
    assert "Delete from" not in page
    assert reader_client.post("/tags/", {"name": "x", "colour": "red"}).status_code == 403
    assert (
        reader_client.post(
            f"/tags/{Tag.objects.get(name='old').pk}/", {"action": "delete"}
        ).status_code
        == 403
    )


def test_a_renamed_tag_is_renamed_everywhere_in_one_batch_and_comes_back(
    shelf: None, admin_client: Client
) -> None:
    where = act(admin_client, "old", action="rename", name=" fresh ")
    assert (own("alpha"), own("beta")) == (["chat", "fresh"], ["fresh"])
    assert not Tag.objects.filter(name="old").exists()
    assert Tag.objects.get(name="fresh").colour == "red"
    page = html(admin_client, where)
    assert "2 models changed" in page
    edit = BulkEdit.objects.get()
    assert set(
        MetadataChange.objects.filter(batch=edit.batch).values_list("model__name", flat=True)
    ) == {"alpha", "beta"}
    response = admin_client.post(f"/tags/taken-back/{edit.pk}/")
    assert (own("alpha"), own("beta")) == (["old", "chat"], ["old"])
    assert RegisteredModel.objects.get(name="alpha").curated == {}
    assert "2 models restored" in html(admin_client, response["Location"])
    assert set(RegisteredModel.objects.get(name="beta").tagged.values_list("name", flat=True)) == {
        "old"
    }


def test_a_tag_called_like_a_word_of_the_search_is_a_tag_like_others(
    make_model: Make, admin_client: Client
) -> None:
    tagged, bare = make_model("tagged", tags=["none"]), make_model("bare")
    tags.sync([tagged, bare])
    act(admin_client, "none", action="rename", name="some")
    assert own("tagged") == ["some"]
    assert not own("bare")


def test_a_name_that_exists_is_merged_only_when_that_is_meant(
    shelf: None, admin_client: Client
) -> None:
    response = admin_client.post(
        f"/tags/{Tag.objects.get(name='old').pk}/", {"action": "rename", "name": "chat"}
    )
    assert response.status_code == 422
    assert "There is a tag chat already" in page_text(response)
    assert own("beta") == ["old"]
    act(admin_client, "old", action="merge", name="chat")
    assert (own("alpha"), own("beta"), own("gamma")) == (["chat"], ["chat"], ["chat", "fine"])
    assert Tag.objects.get(name="chat").colour == "red"
    assert not Tag.objects.filter(name="old").exists()


def test_a_deleted_tag_stays_away_from_models_whose_files_have_it(
    shelf: None, admin_client: Client
) -> None:
    act(admin_client, "old", action="delete")
    assert (own("alpha"), own("beta")) == (["chat"], [])
    assert not Tag.objects.filter(name="old").exists()


def test_a_new_tag_waits_for_models_and_its_colour_can_be_changed(
    shelf: None, admin_client: Client
) -> None:
    assert admin_client.post("/tags/", {"name": "ready", "colour": "teal"}).status_code == 302
    assert "tag-teal" in html(admin_client)
    act(admin_client, "ready", action="colour", colour="purple")
    assert Tag.objects.get(name="ready").colour == "purple"
    act(admin_client, "ready", action="delete")
    assert not Tag.objects.filter(name="ready").exists()
    assert not BulkEdit.objects.exists()


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        ({"name": "  ", "colour": "red"}, "cannot be a tag"),
        ({"name": "x" * 10_000, "colour": "red"}, "at most 200"),
        ({"name": "nul\0", "colour": "red"}, "cannot be stored"),
        ({"name": "half\u202e", "colour": "red"}, "cannot be stored"),
        ({"name": "chat", "colour": "red"}, "There is a tag chat already"),
        ({"name": "new", "colour": "plaid"}, "one of the colours"),
        ({"name": "new", "colour": ""}, "Choose a colour"),
    ],
)
def test_what_cannot_be_a_tag_is_refused_beside_the_form(
    sent: dict[str, str], why: str, shelf: None, admin_client: Client
) -> None:
    response = admin_client.post("/tags/", sent)
    assert response.status_code == 422
    assert why in page_text(response)


def test_many_models_are_left_to_a_worker(
    shelf: None, admin_client: Client, monkeypatch: pytest.MonkeyPatch, task_queue: Broker
) -> None:
    monkeypatch.setattr(bulk_edits, "AT_ONCE", 1)
    where = act(admin_client, "old", action="rename", name="fresh")
    assert "A worker is changing 2 models" in html(admin_client, where)
    assert own("beta") == ["old"]
    assert tasks.run_bulk_edit(BulkEdit.objects.get().pk) == "done"
    assert own("beta") == ["fresh"]
    page = html(admin_client, where)
    assert "2 models changed" in page
    assert "<bdi>old</bdi>" not in page


def test_hostile_names_are_shown_as_text(make_model: Make, admin_client: Client) -> None:
    tags.sync([make_model("m", tags=["<script>x</script>", "a&b=c#d", "'; drop", "عربي"])])
    page = html(admin_client)
    assert "<script>x" not in page
    assert 'href="/models/?tag=a%26b%3Dc%23d"' in page
    assert admin_client.get("/models/?tag=a%26b%3Dc%23d").content.decode().count("m") > 0


def test_the_number_of_queries_does_not_grow_with_the_tags(
    shelf: None, admin_client: Client, django_assert_max_num_queries: Callable[..., object]
) -> None:
    Tag.objects.bulk_create(Tag(name=f"t{n}", colour="red") for n in range(150))
    with django_assert_max_num_queries(14):
        html(admin_client)


def test_a_model_shows_its_tags_in_their_colour_as_links(shelf: None, admin_client: Client) -> None:
    for path in ("/models/alpha/", "/models/alpha/metadata/"):
        assert 'class="chip tag tag-red" href="/models/?tag=old"' in html(admin_client, path)
