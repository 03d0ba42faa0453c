"""Saved views and favourites: kept for the person, shared on purpose, and good without
JavaScript.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from discovery.models import RegisteredModel, SavedView
from tests.support.page_text import page_text

Make = Callable[..., RegisteredModel]
HTMX = {"HX-Request": "true"}


def page(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200
    return page_text(response)


def test_a_filtered_list_offers_to_be_saved_and_is_shown_by_its_name(
    admin_client: Client, make_model: Make
) -> None:
    make_model("m")
    assert "Save view" not in page(admin_client, "/models/")
    assert 'name="query" value="q=m&amp;sort=-size"' in page(
        admin_client, "/models/?q=m&sort=-size&page=3"
    )
    response = admin_client.post(
        "/views/", {"name": "Large  ones", "query": "q=m&sort=-size&page=3"}
    )
    assert response.status_code == 302
    assert response["Location"] == "/models/?q=m&sort=-size"
    shown = page(admin_client, "/models/?sort=-size&q=m")
    assert '<a href="/models/?q=m&amp;sort=-size"' in shown
    assert SavedView.objects.get().name == "Large ones"
    assert "Save view" not in page(admin_client, "/models/?q=m&sort=-size")
    assert 'aria-current="true"><bdi>Large ones</bdi>' in page(
        admin_client, "/models/?sort=-size&q=m&page=1"
    )


def test_views_are_personal_until_an_administrator_shares_them(
    admin_client: Client, reader_client: Client, admin_user: User, user: User
) -> None:
    mine = SavedView.objects.create(owner=user, name="mine", query="q=a")
    theirs = SavedView.objects.create(owner=admin_user, name="theirs", query="q=b")
    admin = Client()
    admin.force_login(admin_user)
    shown = page(reader_client, "/views/")
    assert ">mine<" in shown
    assert ">theirs<" not in shown
    assert reader_client.post(f"/views/{mine.pk}/", {"action": "share"}).status_code == 302
    assert not SavedView.objects.get(pk=mine.pk).shared
    admin.post(f"/views/{theirs.pk}/", {"action": "share"})
    shown = page(reader_client, "/views/")
    assert "Shared by admin" in shown
    assert ">mine<" not in page(admin, "/views/")


def test_nobody_changes_a_view_of_somebody_else(reader_client: Client, admin_user: User) -> None:
    view = SavedView.objects.create(owner=admin_user, name="theirs", shared=True)
    for action in ("rename", "delete", "unshare"):
        assert (
            reader_client.post(f"/views/{view.pk}/", {"action": action, "name": "x"}).status_code
            == 404
        )
    assert SavedView.objects.get().name == "theirs"


def test_a_view_is_renamed_replaced_and_deleted(reader_client: Client, user: User) -> None:
    view = SavedView.objects.create(owner=user, name="one", query="q=a")
    SavedView.objects.create(owner=user, name="two", query="q=b")
    reader_client.post(f"/views/{view.pk}/", {"action": "rename", "name": "two"})
    assert set(SavedView.objects.values_list("name", flat=True)) == {"one", "two"}
    reader_client.post(f"/views/{view.pk}/", {"action": "rename", "name": "three"})
    taken = reader_client.post("/views/", {"name": "three", "query": "q=c"})
    assert taken.status_code == 422
    assert "You have a view called three already" in page_text(taken)
    assert 'name="replace"' in page_text(taken)
    reader_client.post("/views/", {"name": "three", "query": "q=c", "replace": "1"})
    assert SavedView.objects.get(name="three").query == "q=c"
    reader_client.post(f"/views/{view.pk}/", {"action": "delete"})
    assert list(SavedView.objects.values_list("name", flat=True)) == ["two"]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"name": " \0 ", "query": "q=a"}, "Give the view a name"),
        ({"name": "x" * 81, "query": "q=a"}, "too long"),
        ({"name": "ok", "query": "&".join(f"tag=t{n}" for n in range(900))}, "filter is too long"),
        (
            {"name": "ok", "query": "q=a", "shared": "1"},
            "You need the permission “Can change saved view”",
        ),
    ],
)
def test_what_cannot_be_saved_is_said_beside_the_form(
    given: dict[str, str], why: str, reader_client: Client
) -> None:
    response = reader_client.post("/views/", given)
    assert response.status_code == 422
    assert why in page_text(response)
    assert not SavedView.objects.exists()


def test_hostile_names_are_shown_as_text(reader_client: Client, user: User) -> None:
    SavedView.objects.create(owner=user, name="<b>\u202eevil", query="q=%3Cscript%3E&x=%FF")
    shown = page(reader_client, "/views/")
    assert "&lt;b&gt;" in shown
    assert "<script>" not in shown
    assert page(reader_client, "/models/?q=%3Cscript%3E&x=%FF")


def test_a_star_marks_a_model_for_one_person(
    reader_client: Client, user: User, admin_user: User, make_model: Make
) -> None:
    model = make_model("m", visibility="PUBLIC")
    assert 'aria-pressed="false"' in page(reader_client, "/models/m/")
    response = reader_client.post("/models/m/favourite/", {"favourite": "1"}, headers={**HTMX})
    assert 'aria-pressed="true"' in page_text(response)
    assert "<html" not in page_text(response)
    reader_client.post("/models/m/favourite/", {"favourite": "1"}, headers=HTMX)
    assert list(model.favoured_by.all()) == [user]
    assert 'aria-pressed="true"' in page(reader_client, "/models/")
    assert '<a href="/models/?favourites=1" aria-current="true">' in page(
        reader_client, "/models/?favourites=1"
    )
    assert 'href="/models/m/"' in page(reader_client, "/models/?favourites=1")
    response = reader_client.post(
        "/models/m/favourite/",
        {"favourite": "0"},
        headers={"Referer": "http://testserver/models/?q=m"},
    )
    assert (response.status_code, response["Location"]) == (302, "http://testserver/models/?q=m")
    assert not model.favoured_by.exists()
    assert "?favourites=1" not in page(reader_client, "/models/")


def test_a_star_leads_nowhere_else_and_hidden_models_have_none(
    reader_client: Client, make_model: Make
) -> None:
    make_model("open", visibility="PUBLIC")
    make_model("hidden", visibility="ADMIN_ONLY")
    response = reader_client.post(
        "/models/open/favourite/",
        {"favourite": "1"},
        headers={"Referer": "https://elsewhere.example/"},
    )
    assert response["Location"] == "/models/open/"
    assert reader_client.post("/models/hidden/favourite/", {"favourite": "1"}).status_code == 404
    assert reader_client.get("/models/open/favourite/").status_code == 405


def test_stars_and_views_cost_two_queries_however_many(
    reader_client: Client, make_model: Make, user: User
) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            page(reader_client, "/models/")
        return len(queries)

    make_model("m0", visibility="PUBLIC")
    few = count()
    for n in range(1, 6):
        make_model(f"m{n}", visibility="PUBLIC").favoured_by.add(user)
        SavedView.objects.create(owner=user, name=f"v{n}", query=f"q=m{n}")
    assert count() == few
