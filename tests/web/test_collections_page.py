"""Collections in the browser: listed for those who see something in them, kept by administrators,
filled on the pages of models.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from discovery.models import Collection, MetadataChange, RegisteredModel
from tests.support.page_text import page_text

Make = Callable[..., RegisteredModel]
HTMX = {"HX-Request": "true"}


def html(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200
    return page_text(response)


def test_a_collection_is_made_from_a_filter_and_shows_its_models(
    admin_client: Client, make_model: Make
) -> None:
    make_model("alpha", license="mit")
    make_model("beta")
    group = Group.objects.create(name="medics")
    assert 'value="license=mit"' in html(admin_client, "/collections/new/?query=license%3Dmit")
    sent = {
        "name": "Free ones",
        "description": "May be used <b>freely</b>",
        "query": "license=mit",
        "groups": [str(group.pk)],
    }
    response = admin_client.post("/collections/new/", sent)
    assert response.status_code == 302
    page = html(admin_client, response["Location"])
    for text in (
        "Free ones",
        "May be used &lt;b&gt;freely",
        "alpha",
        "seen by medics",
        "/models/?collection=Free%20ones",
        "1 model",
    ):
        assert text in page
    assert "beta" not in page
    listed = html(admin_client, "/collections/")
    assert "Free ones" in listed
    assert 'class="num">1<' in listed
    assert "alpha" in html(admin_client, "/models/?collection=Free+ones")


def test_it_is_changed_and_deleted(admin_client: Client, make_model: Make) -> None:
    collection = Collection.objects.create(name="one")
    collection.models.add(make_model("alpha"))
    admin_client.post(
        f"/collections/{collection.pk}/edit/", {"name": "two", "description": "", "query": ""}
    )
    assert Collection.objects.get().name == "two"
    assert "alpha" in html(admin_client, f"/collections/{collection.pk}/")
    admin_client.post(f"/collections/{collection.pk}/delete/")
    assert not Collection.objects.exists()
    assert RegisteredModel.objects.count() == 1


def test_what_is_wrong_is_said_beside_the_field_with_what_was_typed(admin_client: Client) -> None:
    response = admin_client.post(
        "/collections/new/", {"name": "ok", "query": "favourites=1", "groups": ["x", "9" * 40]}
    )
    assert response.status_code == 422
    page = page_text(response)
    assert "differ for each person" in page
    assert 'value="favourites=1"' in page
    assert not Collection.objects.exists()


def test_people_see_collections_that_hold_something_for_them_and_change_none(
    reader_client: Client, make_model: Make
) -> None:
    shown, hidden = (
        Collection.objects.create(name="shown"),
        Collection.objects.create(name="hidden"),
    )
    shown.models.add(
        make_model("open", visibility="PUBLIC"), make_model("closed", visibility="ADMIN_ONLY")
    )
    hidden.models.add(RegisteredModel.objects.get(name="closed"))
    page = html(reader_client, "/collections/")
    assert ">shown<" in page
    assert ">hidden<" not in page
    assert 'class="num">1<' in page
    page = html(reader_client, f"/collections/{shown.pk}/")
    assert "open" in page
    assert "closed" not in page
    assert "Take out" not in page
    assert reader_client.get(f"/collections/{hidden.pk}/").status_code == 404
    for path in ("new/", f"{shown.pk}/edit/"):
        assert reader_client.get(f"/collections/{path}").status_code == 403
    assert reader_client.post(f"/collections/{shown.pk}/delete/").status_code == 403
    assert reader_client.post("/models/open/collections/", {"add": "shown"}).status_code == 403


def test_a_model_is_put_in_and_taken_out_on_its_page_and_both_are_on_record(
    admin_client: Client, admin_user: User, make_model: Make
) -> None:
    make_model("alpha")
    shelf = Collection.objects.create(name="shelf")
    Collection.objects.create(name="by filter", query="license=mit")
    page = html(admin_client, "/models/alpha/")
    assert '<option value="shelf">' in page
    assert '<option value="by filter">' not in page
    response = admin_client.post("/models/alpha/collections/", {"add": "shelf"}, headers=HTMX)
    assert "Take out of shelf" in page_text(response)
    assert "<html" not in page_text(response)
    assert shelf.models.count() == 1
    response = admin_client.post(
        "/models/alpha/collections/", {"remove": "shelf", "back": str(shelf.pk)}
    )
    assert response["Location"] == f"/collections/{shelf.pk}/"
    assert shelf.models.count() == 0
    changes = MetadataChange.objects.order_by("pk").values_list("field", "before", "after", "by")
    assert list(changes) == [
        ("collections", [], ["shelf"], admin_user.pk),
        ("collections", ["shelf"], [], admin_user.pk),
    ]


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        ({}, "Choose a collection"),
        ({"add": "nobody"}, "there is no"),
        ({"add": "by filter"}, "there is no"),
    ],
)
def test_what_is_no_collection_kept_by_hand_is_refused(
    sent: dict[str, str], why: str, admin_client: Client, make_model: Make
) -> None:
    make_model("alpha")
    Collection.objects.create(name="by filter", query="license=mit")
    response = admin_client.post("/models/alpha/collections/", sent, follow=True)
    assert why in page_text(response)
    assert not MetadataChange.objects.exists()


def test_the_list_costs_the_same_however_many_collections(
    admin_client: Client, make_model: Make, django_assert_max_num_queries: Any
) -> None:
    model = make_model("m")
    for n in range(30):
        Collection.objects.create(name=f"c{n}").models.add(model)
    with django_assert_max_num_queries(14):
        html(admin_client, "/collections/")
