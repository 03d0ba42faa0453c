"""Problems by program: lists, decisions that overwrite nobody's, and quarantine."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from discovery.engine.core.types import Problem
from discovery.engine.core.vocabulary import Severity
from discovery.models import Alias, Finding, MetadataChange, RegisteredModel, Right
from discovery.services.findings import findings
from discovery.services.metadata import metadata
from tests.api.test_access import assert_error
from tests.people import permit

Make = Callable[..., RegisteredModel]
LIST = "/api/problems"


@pytest.fixture
def broken(make_model: Make) -> list[RegisteredModel]:
    """Three models with an error each, the last one with a warning too."""
    records = [make_model(f"m{number}", content="c" * 32) for number in range(3)]
    for record in records:
        problems = [Problem("bit_rot", f"bytes of {record.name} changed", f"{record.name}/w.bin")]
        if record.name == "m2":
            problems.append(Problem("odd", "odd", "m2/x", severity=Severity.WARNING))
        findings.replace(record, "deep", problems)
    return records


def rows(client: Client, address: str = LIST, **query: Any) -> list[dict[str, Any]]:
    response = client.get(address, query)
    assert response.status_code == 200, response.content
    found: list[dict[str, Any]] = response.json()["results"]
    return found


def send(client: Client, address: str, body: Any, method: str = "POST", **more: Any) -> Any:
    return client.generic(method, address, json.dumps(body), "application/json", **more)


def test_all_problems_are_listed_with_what_a_script_needs(
    administrator: Client, broken: list[RegisteredModel]
) -> None:
    first = rows(administrator)[0]
    assert first["model_id"] == "m2"
    assert first["severity"] == "error"
    assert first["state"] == "open"
    assert first["path"] == "m2/w.bin"
    assert first["advice"]
    assert first["accepted"] is None
    assert {row["severity"] for row in rows(administrator, severity="warning")} == {"warning"}
    assert [row["code"] for row in rows(administrator, code="odd")] == ["odd"]
    assert [row["model_id"] for row in rows(administrator, search="m1 changed")] == ["m1"]
    assert rows(administrator, state="accepted") == []
    assert len(rows(administrator, "/api/models/m2/problems")) == 2


def test_a_model_is_named_by_a_former_id_too_and_an_unknown_one_is_said(
    administrator: Client, broken: list[RegisteredModel]
) -> None:
    Alias.objects.create(alias="before", model=broken[0], at=timezone.now())
    assert [row["model_id"] for row in rows(administrator, model_id="before")] == ["m0"]
    answer = administrator.get(LIST, {"model_id": ["nope", "m1"]}).json()
    assert answer["count"] == 1
    assert answer["unknown"] == {"model_id": ["nope"]}
    assert "unknown" not in administrator.get(LIST).json()


def test_a_cursor_meets_each_problem_once(
    administrator: Client, broken: list[RegisteredModel]
) -> None:
    answer = administrator.get(LIST, {"cursor": "", "page_size": 2}).json()
    met = [row["problem_id"] for row in answer["results"]]
    while answer["next"]:
        answer = administrator.get(answer["next"]).json()
        met += [row["problem_id"] for row in answer["results"]]
    assert met == sorted(Finding.objects.values_list("pk", flat=True))
    assert_error(administrator.get(LIST, {"cursor": "", "page": 2}), 422)


def test_lists_cost_the_same_queries_however_long_they_are(
    administrator: Client, make_model: Make
) -> None:
    costs = []
    rows(administrator)  # the first use of the token is noted
    for count in (2, 30):
        for number in range(count):
            findings.replace(make_model(f"q{count}-{number}"), "deep", [Problem("x", "y", "z")])
        for query in ({}, {"cursor": ""}):
            with CaptureQueriesContext(connection) as asked:
                rows(administrator, **query)
            costs.append(len(asked))
    assert costs[:2] == costs[2:]


def test_what_one_may_not_see_has_no_problems(
    caller: Callable[..., Client], user: User, broken: list[RegisteredModel]
) -> None:
    viewer = caller(permit(user, Right.VIEW_FINDINGS))
    RegisteredModel.objects.filter(model_id="m0").update(visibility="PUBLIC")
    assert {row["model_id"] for row in rows(viewer)} == {"m0"}
    assert rows(viewer, model_id="m1") == []
    assert_error(viewer.get("/api/models/m1/problems"), 404)


def test_problems_are_accepted_snoozed_and_reopened_with_history(
    administrator: Client, broken: list[RegisteredModel]
) -> None:
    keys = [row["problem_id"] for row in rows(administrator, severity="error")]
    answer = send(administrator, f"{LIST}/accept", {"problems": keys, "reason": "ours"}).json()
    assert answer["updated"] == 3
    assert {row["state"] for row in answer["results"]} == {"accepted"}
    assert answer["results"][0]["accepted"]["reason"] == "ours"
    assert answer["results"][0]["accepted"]["by"] == "admin"
    assert MetadataChange.objects.filter(field="finding", channel="api").count() == 3
    assert {row["state"] for row in rows(administrator, state="accepted")} == {"accepted"}
    again = send(administrator, f"{LIST}/reopen", {"problems": keys[:1]}).json()
    assert again["results"][0]["state"] == "open"
    later = send(administrator, f"{LIST}/snooze", {"problems": keys[:1], "days": 30}).json()
    assert later["results"][0]["state"] == "snoozed"
    assert later["results"][0]["snoozed_until"]


@pytest.mark.parametrize(
    ("action", "body", "place"),
    [
        ("accept", {"problems": [1]}, ["body", "reason"]),
        ("accept", {"problems": [1], "reason": ""}, ["body", "reason"]),
        ("accept", {"problems": [], "reason": "x"}, ["body", "problems"]),
        ("snooze", {"problems": [1], "days": 0}, ["body", "days"]),
        ("reopen", {"problems": [99_999]}, ["body", "problems", 0]),
        ("reopen", {"problems": ["x"]}, ["body", "problems", 0]),
        ("reopen", {"problems": [1], "why": "x"}, ["body", "why"]),
    ],
)
def test_wrong_decisions_are_one_error_with_its_place(
    administrator: Client, db: None, action: str, body: Any, place: list[Any]
) -> None:
    errors = assert_error(send(administrator, f"{LIST}/{action}", body), 422)["errors"]
    assert [error["loc"] for error in errors] == [place]


def test_nothing_is_decided_where_one_of_the_problems_is_not_there(
    administrator: Client, broken: list[RegisteredModel]
) -> None:
    key = rows(administrator)[0]["problem_id"]
    body = {"problems": [key, 99_999], "reason": "x"}
    assert_error(send(administrator, f"{LIST}/accept", body), 422)
    assert not Finding.objects.exclude(accepted_content="").exists()


def test_a_blank_reason_is_none(administrator: Client, broken: list[RegisteredModel]) -> None:
    key = rows(administrator)[0]["problem_id"]
    body = {"problems": [key], "reason": "  "}
    errors = assert_error(send(administrator, f"{LIST}/accept", body), 422)["errors"]
    assert errors[0]["loc"] == ["body", "reason"]


def test_a_decision_overwrites_no_other_that_was_made_meanwhile(
    administrator: Client, broken: list[RegisteredModel]
) -> None:
    row = rows(administrator)[0]
    seen = {str(row["problem_id"]): row["decision"]}
    body = {"problems": [row["problem_id"]], "seen": seen}
    assert send(administrator, f"{LIST}/accept", {**body, "reason": "first"}).status_code == 200
    body |= {"reason": "second"}
    told = assert_error(send(administrator, f"{LIST}/accept", body), 409)["errors"]
    assert told[0]["loc"] == ["body", "seen", str(row["problem_id"])]
    assert Finding.objects.get(pk=row["problem_id"]).accepted_reason == "first"


def test_a_model_is_put_into_quarantine_once_and_let_out_again(
    administrator: Client, make_model: Make
) -> None:
    make_model("m", visibility="PUBLIC")
    address = "/api/models/m/quarantine"
    answer = send(administrator, address, {}, "PUT").json()
    assert (answer["changed"], answer["visibility"]) == (True, "ADMIN_ONLY")
    assert answer["quarantined_at"]
    assert send(administrator, address, {}, "PUT").json()["changed"] is False
    answer = administrator.delete(address).json()
    assert (answer["changed"], answer["visibility"]) == (True, "PUBLIC")
    assert answer["quarantined_at"] is None
    assert administrator.delete(address).json()["changed"] is False


def test_quarantine_does_not_happen_to_what_has_changed(
    administrator: Client, admin_user: User, make_model: Make
) -> None:
    make_model("m", visibility="PUBLIC")
    tag = administrator.get("/api/models/m")["ETag"]
    metadata.edit(RegisteredModel.objects.get(), {"license": "mit"}, by=admin_user, channel="page")
    address = "/api/models/m/quarantine"
    assert_error(send(administrator, address, {}, "PUT", headers={"If-Match": tag}), 412)
    assert not RegisteredModel.objects.get().quarantined_at
