"""The Import page: a file is looked at row by row before anything is written, then applied, thrown
away, or taken back.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from django_q.brokers import Broker

from discovery import tasks
from discovery.models import MetadataChange, MetadataImport, RegisteredModel
from discovery.services import jobs
from discovery.services.transfer import import_jobs
from tests.support.page_text import page_text

Make = Callable[..., RegisteredModel]
HTMX = {"HX-Request": "true"}


@pytest.fixture
def shelf(make_model: Make) -> None:
    make_model("alpha", license="mit")
    make_model("beta")


def send(client: Client, content: bytes, name: str = "models.csv") -> Any:
    return client.post("/import/", {"file": SimpleUploadedFile(name, content)})


def uploaded(client: Client, content: bytes) -> MetadataImport:
    response = send(client, content)
    assert response.status_code == 302, page_text(response)
    return MetadataImport.objects.get(pk=int(response["Location"].split("/")[-2]))


def html(client: Client, run: MetadataImport) -> str:
    response = client.get(f"/import/{run.pk}/")
    assert response.status_code == 200
    return page_text(response)


def test_a_file_is_shown_row_by_row_and_nothing_is_written(
    shelf: None, admin_client: Client
) -> None:
    run = uploaded(admin_client, b"model_id,license,tags\nalpha,gpl-3.0,a;b\nbeta,,\n")
    page = html(admin_client, run)
    for text in (
        "models.csv",
        "<bdi>mit</bdi>",
        "<bdi>gpl-3.0</bdi>",
        "<bdi>a, b</bdi>",
        "Import 1 model",
        "Discard",
    ):
        assert text in page
    assert RegisteredModel.objects.get(model_id="alpha").curated == {}
    assert "Waits for you" in page_text(admin_client.get("/import/"))


def test_it_is_applied_in_the_persons_name_and_taken_back_with_one_click(
    shelf: None, admin_client: Client, admin_user: User
) -> None:
    run = uploaded(admin_client, b"model_id,license\nalpha,gpl-3.0\n")
    admin_client.post(f"/import/{run.pk}/act/", {"action": "apply"})
    run.refresh_from_db()
    change = MetadataChange.objects.get(batch=run.batch)
    assert (change.by, change.channel, change.after) == (admin_user, "import", "gpl-3.0")
    assert bytes(run.content) == b""
    page = html(admin_client, run)
    assert "Take it back" in page
    assert "Imported." in page
    admin_client.post(f"/import/{run.pk}/act/", {"action": "undo"})
    assert RegisteredModel.objects.get(model_id="alpha").license == "mit"
    assert "was undone" in html(admin_client, run)
    admin_client.post(f"/import/{run.pk}/act/", {"action": "apply"})
    assert RegisteredModel.objects.get(model_id="alpha").license == "mit"


def test_wrong_rows_are_named_and_left_out_only_when_that_is_chosen(
    shelf: None, admin_client: Client
) -> None:
    run = uploaded(admin_client, b"model_id,license\nalpha,gpl-3.0\nnobody,mit\n")
    page = html(admin_client, run)
    assert "there is no such model" in page
    assert 'value="apply"' not in page
    assert "Import 1 model, leave out 1 wrong row" in page
    admin_client.post(f"/import/{run.pk}/act/", {"action": "skip"})
    assert RegisteredModel.objects.get(model_id="alpha").license == "gpl-3.0"
    assert "1 row was left out" in html(admin_client, run)


def test_a_discarded_file_is_gone(shelf: None, admin_client: Client) -> None:
    run = uploaded(admin_client, b"model_id,license\nalpha,gpl-3.0\n")
    response = admin_client.post(f"/import/{run.pk}/act/", {"action": "discard"})
    assert response["Location"] == "/import/"
    assert not MetadataImport.objects.exists()
    assert admin_client.get(f"/import/{run.pk}/").status_code == 404


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"\xff\xfem\0", "UTF-16"),
        ("model_id,license\nalpha,größe".encode("latin-1"), "not UTF-8"),
        (b"model_id,licence\nalpha,mit", "Did you mean license"),
        (b'[{"model_id": "alpha", "custom": ' + b"[" * 2_000, "nested too deep"),
        (b'[{"model_id": "al', "not complete JSON"),
    ],
)
def test_what_cannot_be_read_is_said_beside_the_field(
    content: bytes, why: str, shelf: None, admin_client: Client
) -> None:
    response = send(admin_client, content)
    assert response.status_code == 422
    assert why in page_text(response)
    assert not MetadataImport.objects.exists()


def test_a_form_without_a_file_and_a_file_that_is_too_long_are_refused(
    shelf: None, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert admin_client.post("/import/").status_code == 422
    monkeypatch.setattr(import_jobs, "MAX_BYTES", 1 << 20)
    response = send(admin_client, b"model_id\n" + b"x" * (1 << 20))
    assert response.status_code == 422
    assert "import_metadata FILE" in page_text(response)


def test_only_administrators_import(shelf: None, reader_client: Client) -> None:
    assert reader_client.get("/import/").status_code == 403
    assert send(reader_client, b"model_id\nalpha\n").status_code == 403
    run = MetadataImport.objects.create(
        name="x", content=b"", batch="00000000-0000-4000-8000-000000000000"
    )
    assert reader_client.get(f"/import/{run.pk}/").status_code == 403
    assert reader_client.post(f"/import/{run.pk}/act/", {"action": "apply"}).status_code == 403


def test_long_files_are_left_to_a_worker_with_progress(
    shelf: None, admin_client: Client, monkeypatch: pytest.MonkeyPatch, task_queue: Broker
) -> None:
    monkeypatch.setattr(import_jobs, "AT_ONCE_BYTES", 10)
    run = uploaded(admin_client, b"model_id,license\nalpha,gpl-3.0\n")
    assert task_queue.queue_size() == 1
    page = html(admin_client, run)
    assert 'hx-trigger="every 1s"' in page
    assert "Waiting for a worker" in page
    assert tasks.run_import(run.pk) == "done"
    response = admin_client.get(f"/import/{run.pk}/", headers=HTMX)
    assert response.status_code == 286
    assert "Import 1 model" in page_text(response)
    admin_client.post(f"/import/{run.pk}/act/", {"action": "apply"})
    assert task_queue.queue_size() == 2
    assert tasks.run_import(run.pk) == "done"
    assert tasks.run_import(run.pk) == "done"
    assert RegisteredModel.objects.get(model_id="alpha").license == "gpl-3.0"
    assert MetadataChange.objects.count() == 1
    assert tasks.run_import(run.pk + 1) == "forgotten"


def test_rows_that_became_wrong_since_the_check_take_all_back_and_it_says_so(
    shelf: None, admin_client: Client
) -> None:
    run = uploaded(admin_client, b"model_id,license\nalpha,gpl-3.0\nbeta,mit\n")
    RegisteredModel.objects.get(model_id="beta").delete()
    admin_client.post(f"/import/{run.pk}/act/", {"action": "apply"})
    page = html(admin_client, run)
    assert "Nothing was imported: rows became wrong since the check." in page
    assert RegisteredModel.objects.get(model_id="alpha").license == "mit"
    admin_client.post(f"/import/{run.pk}/act/", {"action": "skip"})
    assert RegisteredModel.objects.get(model_id="alpha").license == "gpl-3.0"


def test_an_import_whose_process_is_gone_is_told_and_can_be_begun_again(
    shelf: None, admin_client: Client
) -> None:
    run = uploaded(admin_client, b"model_id,license\nalpha,gpl-3.0\n")
    silent = timezone.now() - timedelta(hours=1)
    MetadataImport.objects.filter(pk=run.pk).update(
        stage="apply", state="running", heartbeat_at=silent, host="elsewhere", pid=1
    )
    jobs.reap_all()
    assert "The process that ran it is gone" in html(admin_client, run)
    admin_client.post(f"/import/{run.pk}/act/", {"action": "apply"})
    assert RegisteredModel.objects.get(model_id="alpha").license == "gpl-3.0"


def test_hostile_values_are_shown_as_text(make_model: Make, admin_client: Client) -> None:
    make_model("x", description="<script>alert(1)</script>")
    run = uploaded(
        admin_client,
        '[{"model_id": "x", "description": "<img src=x>\u0645"}, {"model_id": "<b>", "<i>": 1}, '
        "5]".encode(),
    )
    page = html(admin_client, run)
    assert "<script>alert" not in page
    assert "<img src=x>" not in page
    assert "&lt;i&gt;" in page
