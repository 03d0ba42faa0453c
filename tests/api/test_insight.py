"""What is worked out from models, by program: completeness, family, memory, comparison, disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from discovery.models import RegisteredModel, Right, Root, ScanRun
from discovery.services import scans
from tests.api.test_access import assert_error
from tests.people import permit
from tests.support import builders

Make = Callable[..., RegisteredModel]


@pytest.fixture
def scanned(models_root: Path, db: None) -> None:
    """Two models with real files."""
    for name, hidden in (("bert", 64), ("llama", 72)):
        builders.transformers(models_root / name, hidden=hidden)
    Root.objects.create(path=str(models_root))
    scans.execute(scans.start_now(ScanRun.Trigger.COMMAND)[0])


def answer(client: Client, address: str, **query: Any) -> Any:
    response = client.get(address, query)
    assert response.status_code == 200, response.content
    return response.json()


def test_the_report_has_the_worst_first_and_sums(scanned: None, administrator: Client) -> None:
    told = answer(administrator, "/api/completeness")
    assert told["models"] == told["count"] == 2
    assert told["results"][0]["missing"]
    lacking = next(name for name, models in told["lacking"].items() if models == 2)
    assert answer(administrator, "/api/completeness", lacking=lacking)["count"] == 2
    assert_error(administrator.get("/api/completeness?lacking=nothing"), 422)
    with CaptureQueriesContext(connection) as few:
        answer(administrator, "/api/completeness", page_size=1)
    with CaptureQueriesContext(connection) as more:
        answer(administrator, "/api/completeness")
    assert len(few) == len(more)


def test_the_report_is_for_those_who_may_fill_it_in(
    user: User, caller: Callable[..., Client], reader: Client, make_model: Make
) -> None:
    make_model("m", visibility="ADMIN_ONLY")
    assert_error(reader.get("/api/completeness"), 403)
    editor = caller(permit(user, Right.EDIT))
    assert answer(editor, "/api/completeness")["count"] == 0


def test_a_family_names_what_is_registered_and_what_is_not(
    administrator: Client, make_model: Make
) -> None:
    make_model("llama-base")
    make_model("llama-tuned", base_model="meta/llama-base", base_model_relation="finetune")
    make_model("odd", base_model="meta/somewhere-else")
    told = answer(administrator, "/api/models/llama-tuned/family")
    assert [row["model_id"] for row in told["ancestors"]] == ["llama-base"]
    children = answer(administrator, "/api/models/llama-base/family")["children"]
    assert [row["model_id"] for row in children] == ["llama-tuned"]
    [lost] = answer(administrator, "/api/models/odd/family")["ancestors"]
    assert (lost["name"], lost["model_id"]) == ("meta/somewhere-else", None)


def test_memory_is_told_for_the_context_and_cache_of_ones_choice(
    scanned: None, administrator: Client
) -> None:
    address = "/api/models/bert/memory"
    told = answer(administrator, address)
    assert told["weights_bytes"] > 0
    assert told["machines"]
    short = answer(administrator, address, context=8)
    assert short["context_length"] == 8
    for query, place in (
        ("variant=x", "variant"),
        ("kv_type=x", "kv_type"),
        ("context=0", "context"),
    ):
        [error] = assert_error(administrator.get(f"{address}?{query}"), 422)["errors"]
        assert error["loc"] == ["query", place]


def test_models_are_compared_field_by_field(administrator: Client, make_model: Make) -> None:
    make_model("a", license="mit", author="x"), make_model("b", license="gpl", author="x")
    told = answer(administrator, "/api/compare", model_id=["a", "b"])
    rows = {row["field"]: row for row in told["results"]}
    assert told["models"] == ["a", "b"]
    assert (rows["license"]["differs"], rows["license"]["values"]) == (True, ["mit", "gpl"])
    assert rows["author"]["differs"] is False
    only = answer(administrator, "/api/compare", model_id=["a", "b"], differences="true")
    assert "author" not in {row["field"] for row in only["results"]}


def test_an_unknown_model_makes_an_empty_comparison_that_says_so(
    administrator: Client, make_model: Make
) -> None:
    make_model("a")
    told = answer(administrator, "/api/compare", model_id=["a", "nope"])
    assert (told["results"], told["unknown"]) == ([], {"model_id": ["nope"]})
    assert_error(administrator.get("/api/compare?model_id=a"), 422)


def test_tensors_of_one_architecture_are_compared(scanned: None, administrator: Client) -> None:
    told = answer(administrator, "/api/compare", model_id=["bert", "llama"], tensors="true")
    assert told["tensors"]["differing"] > 0
    assert told["tensors"]["results"][0]["kinds"][0]["shape"]


def test_the_disk_is_told_by_category_as_far_as_one_sees_it(
    administrator: Client, reader: Client, make_model: Make
) -> None:
    make_model("a", primary="LANGUAGE", size_bytes=10, visibility="PUBLIC")
    make_model("b", primary="VISION", size_bytes=30, visibility="ADMIN_ONLY")
    told = answer(administrator, "/api/disk-map", largest=1)
    assert (told["count"], told["size_bytes"]) == (2, 40)
    assert told["largest"] == [{"model_id": "b", "size_bytes": 30}]
    assert told["unrecognized"] == {"files": 0, "bytes": 0}
    seen = answer(reader, "/api/disk-map")
    assert seen["results"] == [{"value": "LANGUAGE", "count": 1, "size_bytes": 10}]
    assert seen["unrecognized"] is None
    assert answer(reader, "/api/disk-map", by="root")["results"][0]["value"] == "models"
