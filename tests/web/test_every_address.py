"""Nonsense at every address of the dashboard: each page stays whole and says what is the matter,
and shows nobody what is not theirs.
"""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client

from discovery.models import RegisteredModel, Visibility
from tests.support.page_text import page_text
from tests.support.pages import addresses, every_address, furnish, shelve

HTMX = {"HX-Request": "true"}

HOSTILE = '"><script>alert(1)</script>‮gpj‬ 語語 ' + "n" * 440

NONSENSE = [
    {
        "page": "1000000000",
        "sort": "zzz",
        "q": "\0",
        "level": "fatal",
        "state": "x",
        "event": "x",
        "code": "x",
        "severity": "x",
        "kind": "x",
    },
    {
        "page": "-1",
        "q": '(((:::""" -- params:>zz size:<',
        "from": "zz",
        "to": "9" * 40,
        "since": "9999-99-99",
        "type": "NOTHING",
        "tag": "x" * 5_000,
    },
    {
        "page": "９",
        "q": "x" * 100_000,
        "file": "../../etc/passwd",
        "path": "\0",
        "id": "no-such-model",
        "context": "9" * 30,
        "format": "exe",
    },
    {
        "q": "\u202e<b>語",
        "columns": "nothing",
        "density": "7",
        "before": "zz",
        "latest": "",
        "days": "-1",
        "user": "0",
        "batch": "no-uuid",
    },
]


@pytest.fixture
def furnished(db: None, models_root: Path, admin_user: User, config_dir: Path) -> None:
    shelve(models_root)
    furnish(admin_user)


@pytest.mark.slow
@pytest.mark.parametrize("query", NONSENSE, ids=range(len(NONSENSE)))
def test_nonsense_in_the_address_breaks_no_page(
    query: dict[str, str], furnished: None, admin_client: Client
) -> None:
    for name, address in addresses(admin_client).items():
        response = admin_client.get(address, query)
        assert response.status_code in (200, 302, 400, 404, 422), f"{name}: {response.status_code}"
        if response.status_code in (200, 422):
            assert response.content.count(b"<h1") == 1, name
        part = admin_client.get(address, query, headers=HTMX)
        assert part.status_code in (
            200,
            204,
            286,
            302,
            400,
            404,
            422,
        ), f"{name}: {part.status_code}"
        assert b"<html" not in part.content, name


@pytest.mark.slow
def test_nonsense_in_a_form_breaks_nothing(furnished: None, admin_client: Client) -> None:
    sent = {
        "action": "\0",
        "name": "x" * 5_000,
        "value": "\0",
        "query": "q=(((",
        "kind": "nothing",
        "id": "nobody",
        "finding": "9" * 30,
        "root": "x",
    }
    for name, address in every_address():
        for body in ({}, sent):
            response = admin_client.post(address, body)
            assert response.status_code < 500, f"{name}: {response.status_code}"
    assert RegisteredModel.objects.count() == 3


@pytest.mark.slow
@pytest.mark.parametrize("files", [0, 20_000])
def test_a_model_with_a_hostile_name_and_any_number_of_files_breaks_no_page(
    files: int, furnished: None, admin_client: Client
) -> None:
    record = RegisteredModel.objects.get(model_id="llama-chat")
    record.name = record.display_name = HOSTILE[:500]
    record.license = record.architecture = HOSTILE[:200]
    record.files = [
        [f"llama-chat/{number}/{HOSTILE[:60]}.safetensors", number] for number in range(files)
    ]
    record.file_count, record.variants = files, [] if not files else record.variants
    record.problems = [
        {"code": "truncated", "severity": "error", "message": HOSTILE, "path": HOSTILE, "offset": 3}
    ]
    record.save()
    for name, address in addresses(admin_client).items():
        html = page_text(admin_client.get(address))
        assert "<script>alert" not in html, name
        assert len(html) < 3_000_000, name
    assert HOSTILE[:60] in unescape(page_text(admin_client.get("/models/llama-chat/")))


def test_nobody_is_shown_what_is_not_theirs(
    furnished: None, admin_client: Client, user: User
) -> None:
    RegisteredModel.objects.filter(model_id="bert-base").update(visibility=Visibility.PUBLIC)
    reader = Client()
    reader.force_login(user)
    seen = 0
    for name, address in every_address():
        response = reader.get(address)
        assert response.status_code in (200, 302, 403, 404, 405), f"{name}: {response.status_code}"
        content = b"".join(response) if response.streaming else response.content
        # An address that was asked for may be named again.
        assert not re.search(rb"llama-chat(?!/)|whisper-tiny", content), name
        seen += b"bert-base" in content
    assert seen >= 2
