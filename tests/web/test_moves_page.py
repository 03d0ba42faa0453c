"""The Moves pages: what is offered, joining by hand, rejecting, and another path for a root.

For administrators.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from discovery.models import ProposedJoin, RegisteredModel, RejectedMove, Root, ScanRun
from discovery.services import scans
from discovery.services.metadata import metadata
from tests.support.page_text import page_text
from tests.support.twins import make_twins

Make = Callable[..., RegisteredModel]

HTMX = {"HX-Request": "true"}


@pytest.fixture
def twins(models_root: Path, admin_user: User) -> None:
    make_twins(models_root, admin_user, "Ours <b>")


def test_the_scans_page_leads_to_open_moves(twins: None, admin_client: Client) -> None:
    html = page_text(admin_client.get("/scans/"))
    assert "1 missing model may have moved." in html
    html = page_text(admin_client.get("/scans/moves/"))
    assert "1 edited value" in html
    assert html.count('value="reject"') == 2
    part = page_text(admin_client.get("/scans/moves/", headers=HTMX))
    assert "<html" not in part
    assert 'value="reject"' in part


def test_nothing_to_review_says_so(db: None, admin_client: Client) -> None:
    assert "No moves to review" in page_text(admin_client.get("/scans/moves/"))
    assert "may have moved" not in page_text(admin_client.get("/scans/"))


def test_both_sides_are_shown_before_they_are_joined(twins: None, admin_client: Client) -> None:
    html = page_text(admin_client.get("/scans/moves/join/", {"old": "x", "new": "p"}))
    assert "Ours &lt;b&gt;" in html
    assert "from the missing model" in html
    response = admin_client.post(
        "/scans/moves/join/", {"old": "x", "new": "p", "action": "join"}, follow=True
    )
    assert "is in its new place" in page_text(response)
    record = RegisteredModel.objects.get(model_id="x")
    assert (record.path, record.description) == ("p", "Ours <b>")
    history = page_text(admin_client.get("/models/x/history/"))
    assert "Place" in history


def test_a_part_is_shown_with_what_both_decided_and_joined_into_the_whole(
    make_model: Make, admin_user: User, admin_client: Client
) -> None:
    old = make_model("part", status="MISSING", missing_since=timezone.now(), fingerprint="1" * 32)
    new = make_model("whole", fingerprint="2" * 32, type="LLAMA_CPP")
    for record in (old, new):
        metadata.edit(
            record, {"description": f"Of the {record.name}"}, by=admin_user, channel="page"
        )
    ProposedJoin.objects.create(old=old, new=new, at=timezone.now())
    html = page_text(admin_client.get("/scans/moves/"))
    assert "Its files are part of this model now" in html
    pair = {"old": "part", "new": "whole"}
    html = page_text(admin_client.get("/scans/moves/join/", pair))
    assert "Is <bdi>part</bdi> part of <bdi>whole</bdi>?" in html
    assert "<code>whole</code> stays; <code>part</code> becomes an alias" in html
    assert "Of the part" in html
    response = admin_client.post("/scans/moves/join/", {**pair, "action": "join"}, follow=True)
    assert response.redirect_chain[-1][0] == "/models/whole/"
    assert "whole has everything that was decided about part, too." in page_text(response)
    assert RegisteredModel.objects.get().description == "Of the whole"
    assert admin_client.get("/models/part/history/")["Location"] == "/models/whole/history/"


def test_a_pair_can_be_rejected(twins: None, admin_client: Client) -> None:
    response = admin_client.post(
        "/scans/moves/join/", {"old": "x", "new": "p", "action": "reject"}, follow=True
    )
    assert "stay two models" in page_text(response)
    assert RejectedMove.objects.count() == 1
    assert response.content.decode().count('value="reject"') == 1


def test_what_cannot_be_joined_says_why(twins: None, admin_client: Client) -> None:
    response = admin_client.post("/scans/moves/join/", {"old": "u", "new": "p", "action": "join"})
    assert response.status_code == 422
    assert "The files of u are where they were" in page_text(response)
    assert RegisteredModel.objects.filter(model_id="u").exists()


def test_another_place_is_searched_for(twins: None, admin_client: Client) -> None:
    html = page_text(admin_client.get("/scans/moves/join/", {"old": "x"}))
    assert "Same weights" in html
    html = page_text(admin_client.get("/scans/moves/join/", {"old": "x", "q": "u"}, headers=HTMX))
    assert "?old=x&amp;new=u" in html
    assert "No model of this type" in page_text(
        admin_client.get("/scans/moves/join/", {"old": "x", "q": "nothing"})
    )


@pytest.mark.parametrize(
    "sent",
    [
        {"old": "nobody", "new": "p"},
        {"old": "x", "new": "nobody"},
        {"old": "x"},
        {"old": "\0", "new": "\0"},
    ],
)
def test_models_that_are_not_there_are_not_found(
    twins: None, admin_client: Client, sent: dict[str, str]
) -> None:
    assert admin_client.post("/scans/moves/join/", {**sent, "action": "join"}).status_code == 404


def test_the_path_of_a_root_is_changed(
    twins: None, admin_client: Client, models_root: Path, tmp_path: Path
) -> None:
    root = Root.objects.get()
    address = f"/scans/roots/{root.pk}/"
    assert address in page_text(admin_client.get("/scans/"))
    response = admin_client.post(address, {"path": str(tmp_path / "nowhere")})
    assert response.status_code == 422
    assert "does not exist" in page_text(response)
    models_root.rename(tmp_path / "moved")
    response = admin_client.post(address, {"path": str(tmp_path / "moved")}, follow=True)
    assert f"The root is {tmp_path / 'moved'} now; 6 models went with it." in page_text(response)
    run = scans.execute(ScanRun.objects.get(path=str(tmp_path / "moved"), state="queued"))
    assert (run.unchanged, run.new, run.moved, run.missing) == (5, 0, 0, 0)


@pytest.mark.parametrize(
    "address", ["/scans/moves/", "/scans/moves/join/?old=x", "/scans/roots/1/"]
)
def test_only_administrators_review_moves(
    twins: None, client: Client, user: User, address: str
) -> None:
    assert client.get(address).status_code == 302
    client.force_login(user)
    for response in (
        client.get(address),
        client.post(address, {"old": "x", "new": "p", "action": "join", "path": "/"}),
    ):
        assert response.status_code in (403, 405)
    assert RegisteredModel.objects.filter(path="p").exists()


def test_the_missing_model_leads_to_its_new_place(twins: None, admin_client: Client) -> None:
    assert "/scans/moves/join/?old=x" in page_text(admin_client.get("/models/x/"))
