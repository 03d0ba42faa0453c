"""Programs that hold an id from before two records became one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from discovery.models import RegisteredModel
from discovery.services.registry import aliases

Make = Callable[..., RegisteredModel]

pytestmark = pytest.mark.django_db

#: Calls that need more than the model itself.
_BODIES = {"metadata": {"license": "mit"}, "category": {"primary": "VISION"}}


@pytest.fixture
def model(make_model: Make) -> RegisteredModel:
    record = make_model("now", visibility="PUBLIC")
    aliases.add({"before": record})
    return record


def test_every_reading_call_answers_an_alias_and_says_where_the_model_is(
    model: RegisteredModel, administrator: Client
) -> None:
    calls = administrator.get("/api/openapi.json").json()["paths"]
    reads = [
        path
        for path, item in calls.items()
        if "get" in item and re.findall(r"{(\w+)}", path) == ["model_id"]
    ]
    assert len(reads) > 5
    for path in reads:
        own, old = (path.replace("{model_id}", each) for each in ("now", "before"))
        expected, answer = administrator.get(own), administrator.get(old)
        assert (path, answer.status_code, expected.status_code) == (path, 200, 200)
        assert answer.json() == expected.json()
        assert answer["Content-Location"] == own
        assert "Content-Location" not in expected


def test_asking_by_the_own_id_costs_no_query_for_aliases(
    model: RegisteredModel, anybody: Client, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(3):
        assert anybody.get("/api/models/now").status_code == 200
    with django_assert_num_queries(4):
        assert anybody.get("/api/models/before").status_code == 200


@pytest.mark.parametrize("part", sorted(_BODIES))
def test_changes_by_an_alias_change_the_model(
    model: RegisteredModel, administrator: Client, part: str
) -> None:
    answer = administrator.put(
        f"/api/models/before/{part}", _BODIES[part], content_type="application/json"
    )
    assert (answer.status_code, answer.json()["model_id"]) == (200, "now")
    assert answer["Content-Location"] == f"/api/models/now/{part}"
    model.refresh_from_db()
    assert model.changes.count() == 1


def test_work_that_an_alias_asks_for_is_told_with_the_models_own_id(
    model: RegisteredModel, administrator: Client, task_queue: Any
) -> None:
    answer = administrator.post("/api/models/before/test-load")
    assert (answer.status_code, answer.json()["model_id"]) == (202, "now")
    assert answer["Location"].startswith("http://testserver/api/models/now/test-load/")
    assert administrator.get(answer["Location"]).status_code == 202
    answer = administrator.post("/api/models/before/validate?deep=true")
    key = answer.json()["validation_id"]
    place = f"http://testserver/api/models/now/validations/{key}"
    assert answer.json()["location"] == place


def test_a_model_is_forgotten_by_its_own_id_only(
    model: RegisteredModel, administrator: Client
) -> None:
    answer = administrator.delete("/api/models/before")
    assert answer.status_code == 409
    assert "before is an alias of now" in answer.json()["detail"]
    assert administrator.delete("/api/models/now").status_code == 204
    assert administrator.get("/api/models/before").status_code == 404


def test_a_batch_takes_aliases_and_tells_both_ids(
    model: RegisteredModel, administrator: Client
) -> None:
    updates = [
        {"model_id": "before", "metadata": {"license": "mit"}},
        {"model_id": "now", "metadata": {"author": "a"}},
        {"model_id": "nobody", "metadata": {}},
    ]
    answer = administrator.post(
        "/api/models/metadata/bulk-update", {"updates": updates}, content_type="application/json"
    ).json()
    told = [(row["model_id"], row.get("alias"), row["status"]) for row in answer["results"]]
    assert told == [
        ("now", "before", "updated"),
        ("now", None, "error"),
        ("nobody", None, "error"),
    ]


def test_the_log_of_an_alias_is_that_of_the_model(
    model: RegisteredModel, administrator: Client
) -> None:
    administrator.put(
        "/api/models/now/metadata", {"license": "mit"}, content_type="application/json"
    )
    told = administrator.get("/api/models/discovery/logs?model_id=before").json()["results"]
    assert [row["model_id"] for row in told] == ["now"]


def test_openai_clients_find_the_model_and_see_its_own_id_in_the_list(
    model: RegisteredModel, anybody: Client
) -> None:
    answer = anybody.get("/v1/models/before")
    assert answer.json()["id"] == "now"
    assert answer["Content-Location"] == reverse("openai-model", args=["now"])
    assert [row["id"] for row in anybody.get("/v1/models").json()["data"]] == ["now"]


def test_an_alias_of_a_hidden_model_is_not_there(
    model: RegisteredModel, reader: Client, anybody: Client
) -> None:
    RegisteredModel.objects.update(visibility="ADMIN_ONLY")
    for client in (reader, anybody):
        for alias, unknown in (
            ("/api/models/before", "/api/models/nobody"),
            ("/v1/models/before", "/v1/models/nobody"),
        ):
            answer, other = client.get(alias), client.get(unknown)
            assert (answer.status_code, other.status_code) == (404, 404)
            assert answer.json()["detail"].replace("before", "nobody") == other.json()["detail"]
