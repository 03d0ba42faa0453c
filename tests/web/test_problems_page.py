"""The Problems page and the Health tab: what is wrong, in one list; and what administrators decide
about it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from discovery.engine.core.types import Problem
from discovery.models import DeepValidation, Finding, LoadTest, RegisteredModel
from discovery.services.findings import findings
from tests.support import builders
from tests.support.page_text import page_text

Make = Callable[..., RegisteredModel]
Register = Callable[[str], RegisteredModel]
HTMX = {"HX-Request": "true"}


@pytest.fixture
def unsafe(make_model: Make) -> RegisteredModel:
    record = make_model("evil-model", status="UNSAFE", scanned_status="UNSAFE", content="c" * 32)
    record.problems = [
        {
            "code": "unsafe_pickle",
            "message": "loading it would call os.system",
            "path": "evil-model/w.bin",
            "severity": "error",
            "offset": 12,
        }
    ]
    record.save()
    findings.after_scan([record])
    return record


def html(client: Client, path: str, **query: str) -> str:
    response = client.get(path, query)
    assert response.status_code == 200
    return page_text(response)


def test_open_problems_are_listed_with_model_file_place_and_advice(
    admin_client: Client, unsafe: RegisteredModel
) -> None:
    page = html(admin_client, "/problems/")
    for text in (
        "loading it would call os.system",
        "evil-model/w.bin",
        "at byte 12",
        "Do not load this file.",
        "/models/evil-model/health/",
    ):
        assert text in page
    assert '<span class="count">1</span>' in page


def test_without_problems_the_page_says_that_nothing_is_wrong(admin_client: Client) -> None:
    assert "Nothing is wrong" in html(admin_client, "/problems/")
    for state in ("snoozed", "accepted", "resolved"):
        assert "Nothing" in html(admin_client, "/problems/", state=state)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"q": "system"}, True),
        ({"q": "evil w.bin"}, True),
        ({"q": "nothing"}, False),
        ({"severity": "error"}, True),
        ({"severity": "warning"}, False),
        ({"severity": "nonsense"}, True),
        ({"state": "nonsense"}, True),
        ({"code": "unsafe_pickle"}, True),
        ({"code": "nonsense"}, True),
        ({"page": "1000000000"}, True),
        ({"state": "resolved"}, False),
    ],
)
def test_the_list_is_narrowed_and_nonsense_narrows_nothing(
    query: dict[str, str], found: bool, admin_client: Client, unsafe: RegisteredModel
) -> None:
    assert ("would call os.system" in html(admin_client, "/problems/", **query)) == found


def test_readers_see_no_list_and_decide_nothing(
    reader_client: Client, unsafe: RegisteredModel
) -> None:
    assert reader_client.get("/problems/").status_code == 403
    assert (
        reader_client.post(
            "/problems/decide/", {"action": "accept", "finding": "1", "reason": "x"}
        ).status_code
        == 403
    )
    assert reader_client.post(
        "/models/evil-model/health/act/", {"action": "quarantine"}
    ).status_code in (403, 404)
    assert 'href="/problems/"' not in html(reader_client, "/models/")


def test_accepting_needs_a_reason_and_moves_the_problem(
    admin_client: Client, unsafe: RegisteredModel
) -> None:
    key = Finding.objects.get().pk
    response = admin_client.post(
        "/problems/decide/", {"action": "accept", "finding": key, "reason": ""}, follow=True
    )
    assert "Enter a reason." in page_text(response)
    response = admin_client.post(
        "/problems/decide/", {"action": "accept", "finding": key, "reason": "ours"}, follow=True
    )
    assert "1 finding accepted." in page_text(response)
    assert "would call" not in html(admin_client, "/problems/")
    assert "“ours”" in html(admin_client, "/problems/", state="accepted")
    unsafe.refresh_from_db()
    assert unsafe.status == "READY"
    admin_client.post("/problems/decide/", {"action": "reopen", "finding": key})
    unsafe.refresh_from_db()
    assert unsafe.status == "UNSAFE"


def test_putting_off_hides_a_problem_for_as_long_as_was_said(
    admin_client: Client, unsafe: RegisteredModel
) -> None:
    admin_client.post(
        "/problems/decide/", {"action": "snooze", "finding": Finding.objects.get().pk, "days": "30"}
    )
    until = Finding.objects.get().snoozed_until
    assert until is not None
    assert timedelta(days=29) < until - timezone.now() < timedelta(days=31)
    assert "Snoozed until" in html(admin_client, "/problems/", state="snoozed")


@pytest.mark.parametrize(
    "sent",
    [
        {"action": "accept"},
        {"action": "accept", "finding": ["x", "-1", "99999999999999999999"]},
        {},
    ],
)
def test_choosing_nothing_says_so(
    sent: dict[str, object], admin_client: Client, unsafe: RegisteredModel
) -> None:
    assert "Choose at least one problem first." in page_text(
        admin_client.post("/problems/decide/", sent, follow=True)
    )


def test_an_action_that_does_not_exist_says_so(
    admin_client: Client, unsafe: RegisteredModel
) -> None:
    sent = {"action": "explode", "finding": Finding.objects.get().pk}
    assert "not something that can be done" in page_text(
        admin_client.post("/problems/decide/", sent, follow=True)
    )


def test_the_way_back_never_leads_elsewhere(admin_client: Client, unsafe: RegisteredModel) -> None:
    response = admin_client.post(
        "/problems/decide/", {"next": "https://evil.example/", "action": "accept"}
    )
    assert response["Location"] == "/problems/"


def test_checking_again_is_put_on_the_queue(
    admin_client: Client, unsafe: RegisteredModel, task_queue: object
) -> None:
    response = admin_client.post(
        "/problems/decide/", {"action": "rescan", "finding": Finding.objects.get().pk}, follow=True
    )
    assert "1 model is being read again" in page_text(response)
    assert task_queue.queue_size() == 1  # type: ignore[attr-defined]


def test_the_list_costs_the_same_queries_however_long_it_is(
    admin_client: Client, make_model: Make
) -> None:
    costs = []
    for count in (2, 30):
        for number in range(count):
            record = make_model(f"m-{count}-{number}")
            findings.replace(record, "deep", [Problem("bit_rot", f"bytes {number}", "x")])
        with CaptureQueriesContext(connection) as queries:
            html(admin_client, "/problems/")
        costs.append(len(queries))
    assert costs[0] == costs[1]


def test_the_list_is_refreshed_without_its_frame(
    admin_client: Client, unsafe: RegisteredModel
) -> None:
    fragment = page_text(admin_client.get("/problems/", headers=HTMX))
    assert fragment.lstrip().startswith('<div id="results"')
    assert "<html" not in fragment


# -- Health tab


def test_health_tells_every_check_in_words(
    admin_client: Client, models_root: Path, register: Register
) -> None:
    builders.transformers(models_root / "tiny-llama")
    os.truncate(models_root / "tiny-llama/model.safetensors", 5_000)
    register("tiny-llama")
    page = html(admin_client, "/models/tiny-llama/health/")
    for text in (
        "File size",
        "model.safetensors is cut short",
        "Failed",
        "Findings",
        "Deep validation",
        "Nobody has tried",
    ):
        assert text in page


def test_buttons_are_for_administrators(reader_client: Client, make_model: Make) -> None:
    make_model(visibility="PUBLIC")
    page = html(reader_client, "/models/tiny-model/health/")
    assert "/health/act/" not in page
    assert "/problems/decide/" not in page


def test_each_button_does_what_it_says(
    admin_client: Client, models_root: Path, register: Register, task_queue: object
) -> None:
    builders.transformers(models_root / "tiny-llama")
    record = register("tiny-llama")

    def press(action: str, **sent: str) -> str:
        return page_text(
            admin_client.post(
                f"/models/{record.model_id}/health/act/", {"action": action, **sent}, follow=True
            )
        )

    assert "Read again: no check failed." in press("validate")
    assert "All bytes of the model will be read" in press("deep")
    assert "under way already" in press("deep")
    assert DeepValidation.objects.get().state == "queued"
    assert "It stops." in press("stop-deep")
    assert "already finished" in press("stop-deep")
    assert "Test load started." in press("load")
    test = LoadTest.objects.get()
    assert "The test load stops." in press("stop-load", test=str(test.pk))
    assert "only administrators see the model now" in press("quarantine")
    assert "In quarantine since" in html(admin_client, f"/models/{record.model_id}/")
    assert "The quarantine is lifted" in press("lift-quarantine")
    assert "not something that can be done" in press("explode")


@pytest.mark.parametrize(
    ("every", "days_ago", "said"),
    [
        (30, 10, "in 19 days"),
        (30, None, "Validated automatically every 30 days"),
        (30, 40, "Validated automatically every"),
        (0, 10, "on demand only"),
    ],
)
def test_the_tab_says_when_all_bytes_are_read_again(
    every: int, days_ago: int | None, said: str, admin_client: Client, make_model: Make
) -> None:
    record = make_model(
        deep_validated_at=None if days_ago is None else timezone.now() - timedelta(days=days_ago)
    )
    record.root.deep_every_days = every
    record.root.save()
    assert said in html(admin_client, "/models/tiny-model/health/")


def test_the_tab_polls_while_something_is_under_way_and_stops_with_it(
    admin_client: Client, make_model: Make
) -> None:
    record = make_model()
    run = DeepValidation.objects.create(model=record)
    assert 'hx-trigger="every 1s"' in html(admin_client, "/models/tiny-model/health/")
    live = admin_client.get("/models/tiny-model/health/live/", headers=HTMX)
    assert live.status_code == 200
    DeepValidation.objects.filter(pk=run.pk).update(state="done", finished_at=timezone.now())
    live = admin_client.get("/models/tiny-model/health/live/", headers=HTMX)
    assert live.status_code == 286
    assert "every 1s" not in page_text(live)
    assert admin_client.get("/models/tiny-model/health/live/").status_code == 302


def test_a_quarantined_model_is_marked_in_lists_for_the_administrators_who_see_it(
    admin_client: Client, user: User, make_model: Make
) -> None:
    record = make_model(visibility="PUBLIC")
    assert "Quarantine</span>" not in html(admin_client, "/models/")
    admin_client.post(f"/models/{record.model_id}/health/act/", {"action": "quarantine"})
    assert "Quarantine</span>" in html(admin_client, "/models/")
    admin_client.force_login(user)
    assert "tiny-model" not in html(admin_client, "/models/")


def test_an_unsafe_model_warns_on_every_tab(admin_client: Client, unsafe: RegisteredModel) -> None:
    for tab in ("", "files/", "tensors/"):
        assert "Do not load this model." in html(admin_client, f"/models/evil-model/{tab}")


def test_what_one_may_not_see_is_not_there(client: Client, make_model: Make) -> None:
    make_model(visibility="ADMIN_ONLY")
    client.force_login(User.objects.create_user("bob"))
    assert client.get("/models/tiny-model/health/").status_code == 404
    assert client.post("/models/tiny-model/health/act/", {"action": "validate"}).status_code in (
        403,
        404,
    )
