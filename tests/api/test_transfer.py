"""Metadata out into a file and back in, the rules of categories, and clean-up, by program."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from discovery.models import DeepValidation, MetadataImport, RegisteredModel, Root, ScanRun
from discovery.services import scans
from discovery.services.cleanup import orphans
from discovery.services.core import config_files
from discovery.services.transfer.export_formats import FORMATS
from tests.api.test_access import assert_error
from tests.support import builders

Make = Callable[..., RegisteredModel]
IMPORTS, RULES = "/api/imports", "/api/rules"


def send(client: Client, address: str, body: Any = None, method: str = "POST", **more: Any) -> Any:
    data = "" if body is None else json.dumps(body)
    return client.generic(method, address, data, "application/json", **more)


# -- export and import


def test_a_filter_is_exported_in_either_format_and_only_what_one_sees(
    administrator: Client, reader: Client, make_model: Make
) -> None:
    make_model("a", license="mit", visibility="PUBLIC"), make_model("b", license="gpl")
    whole = json.loads(b"".join(administrator.get("/api/export").streaming_content))
    assert [row["model_id"] for row in whole] == ["a", "b"]
    table = administrator.get("/api/export?file=csv&license=gpl")
    assert table["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(b"".join(table.streaming_content).decode("utf-8-sig"))))
    assert [row["model_id"] for row in rows] == ["b"]
    seen = json.loads(b"".join(reader.get("/api/export").streaming_content))
    assert [row["model_id"] for row in seen] == ["a"]
    assert_error(administrator.get("/api/export?file=xml"), 422)
    assert_error(administrator.get("/api/export?format=GGUF"), 422)


def test_an_edited_export_is_checked_applied_and_told(
    administrator: Client, make_model: Make
) -> None:
    make_model("a")
    body = {"name": "edited.csv", "content": "model_id,license\na,mit\nnope,mit\n"}
    made = send(administrator, IMPORTS, body)
    assert made.status_code == 201, made.content
    report = made.json()["report"]
    assert (report["changed"], report["wrong"]) == (1, 1)
    assert report["effects"][0]["changes"][0]["after"] == "mit"
    assert RegisteredModel.objects.get().license is None, "nothing is written before it is applied"
    applied = send(administrator, f"{made['Location']}/apply", {"skip_errors": True})
    assert (applied.status_code, applied.json()["stage"]) == (200, "apply")
    assert RegisteredModel.objects.get().license == "mit"
    assert_error(send(administrator, f"{made['Location']}/apply", {}), 409)
    assert [row["name"] for row in administrator.get(IMPORTS).json()["results"]] == ["edited.csv"]
    batch = applied.json()["batch"]
    assert send(administrator, f"/api/changes/batches/{batch}/undo").status_code in (201, 202)
    assert RegisteredModel.objects.get().license is None


def test_a_file_is_discarded(administrator: Client, make_model: Make) -> None:
    make_model("a")
    made = send(administrator, IMPORTS, {"name": "x.csv", "content": "model_id,license\na,mit\n"})
    assert administrator.delete(made["Location"]).status_code == 204
    assert_error(administrator.get(made["Location"]), 404)
    assert not MetadataImport.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x.csv", "content": "not a table"},
        {"name": "x.csv", "content": ""},
        {"content": "model_id\n"},
        {"name": "x.csv", "content": "model_id,licence\na,mit\n"},
    ],
)
def test_a_file_that_cannot_be_read_is_refused(administrator: Client, body: Any) -> None:
    assert_error(send(administrator, IMPORTS, body), 422)
    assert not MetadataImport.objects.exists()


def test_imports_take_every_right_over_metadata(reader: Client, db: None) -> None:
    assert_error(reader.get(IMPORTS), 403)
    assert_error(send(reader, IMPORTS, {"name": "x", "content": "x"}), 403)


# -- rules

OWN = {"categorization_rules": {"secondary_category": {"CODE": {"keywords": ["zebra"]}}}}


def test_rules_are_read_tried_saved_and_undone(
    administrator: Client, make_model: Make, config_dir: Path, task_queue: Any
) -> None:
    make_model("zebra-7b")
    read = administrator.get(RULES)
    trial = send(administrator, f"{RULES}/try", {"rules": OWN}).json()
    assert trial["models"] == 1
    before = config_files.RULES.path.exists()
    saved = send(administrator, RULES, {"rules": OWN}, "PUT", headers={"If-Match": read["ETag"]})
    assert saved.status_code == 200, saved.content
    assert saved.json()["rules"] == OWN
    assert saved.json()["can_undo"] is True
    assert config_files.RULES.path.exists() >= before
    stale = send(administrator, RULES, {"rules": OWN}, "PUT", headers={"If-Match": read["ETag"]})
    assert_error(stale, 412)
    undone = send(administrator, f"{RULES}/undo")
    assert undone.json()["rules"] == read.json()["rules"]


@pytest.mark.parametrize(
    "rules", [{"categorization_rules": 5}, {"categorization_rules": {"mood": {}}}]
)
def test_what_is_no_set_of_rules_is_refused_with_its_place(
    administrator: Client, config_dir: Path, rules: Any
) -> None:
    for address, method in ((f"{RULES}/try", "POST"), (RULES, "PUT")):
        [error] = assert_error(send(administrator, address, {"rules": rules}, method), 422)[
            "errors"
        ]
        assert error["loc"] == ["body", "rules"]
        assert "categorization_rules" in error["msg"]


def test_without_an_earlier_version_there_is_nothing_to_undo(
    administrator: Client, config_dir: Path
) -> None:
    assert_error(send(administrator, f"{RULES}/undo"), 409)


# -- clean-up


@pytest.fixture
def copied(models_root: Path, task_queue: Any, db: None) -> Path:
    """A model, and a copy of all its files."""
    builders.transformers(models_root / "bert")
    shutil.copytree(models_root / "bert", models_root / "copy")
    (models_root / "empty").mkdir()
    os.utime(models_root / "empty", (0, 0))
    Root.objects.create(path=str(models_root))
    scans.execute(scans.start_now(ScanRun.Trigger.COMMAND)[0])
    orphans.forget()
    return models_root


def test_copies_are_listed_planned_and_never_removed(copied: Path, administrator: Client) -> None:
    told = administrator.get("/api/clean-up/items/copies").json()
    assert told["count"] == 1
    first, second = told["results"]
    assert (first["keeps"], second["keeps"]) == (None, first["path"])
    assert second["frees_bytes"] > 0
    body = {"kind": "copies", "remove": [second["key"]]}
    plan = send(administrator, "/api/clean-up/plan", body)
    assert plan.status_code == 200, plan.content
    assert [step["keeps"] for step in plan.json()["steps"]]
    assert plan.json()["frees_bytes"] == second["frees_bytes"]
    script = send(administrator, "/api/clean-up/plan?form=sh", body)
    assert script["Content-Type"] == "application/x-sh"
    assert script.content.startswith(b"#!/bin/sh")
    assert Path(second["path"]).is_dir()


def test_what_would_be_lost_has_to_be_confirmed(copied: Path, administrator: Client) -> None:
    second = administrator.get("/api/clean-up/items/copies").json()["results"][1]
    (Path(second["path"]) / "config.json").write_text('{"model_type": "bert", "note": 1}')
    body = {"kind": "copies", "remove": [second["key"]]}
    refused = assert_error(send(administrator, "/api/clean-up/plan", body), 409)
    assert "config.json" in refused["errors"][0]["msg"]
    confirmed = [error["msg"].split(": ")[0] for error in refused["errors"]]
    plan = send(administrator, "/api/clean-up/plan", {**body, "confirmed": confirmed})
    assert plan.status_code == 200, plan.content


def test_copies_are_read_in_full_when_asked_for(copied: Path, administrator: Client) -> None:
    group = administrator.get("/api/clean-up/items/copies").json()["results"][0]["group"]
    asked = send(administrator, "/api/clean-up/compare", {"group": group})
    assert asked.status_code == 202
    assert len(asked.json()["validations"]) == DeepValidation.objects.count() == 2
    assert_error(send(administrator, "/api/clean-up/compare", {"group": "x"}), 422)


def test_leftovers_are_listed_once_the_disks_are_looked_through(
    copied: Path, administrator: Client
) -> None:
    assert send(administrator, "/api/clean-up/look").status_code == 204
    told = administrator.get("/api/clean-up/items/empty").json()
    assert told["waiting"] or [row["path"] for row in told["results"]] == [str(copied / "empty")]
    assert administrator.get("/api/clean-up/items/formats").json()["results"] == []
    assert_error(administrator.get("/api/clean-up/items/junk"), 422)


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "copies", "remove": []},
        {"kind": "copies", "remove": ["999999"]},
        {"kind": "junk", "remove": ["1"]},
    ],
)
def test_a_plan_of_nothing_is_refused(administrator: Client, body: Any, db: None) -> None:
    assert_error(send(administrator, "/api/clean-up/plan", body), 422)


def test_clean_up_is_for_administrators(reader: Client, admin_user: User) -> None:
    assert_error(reader.get("/api/clean-up/items/copies"), 403)


def test_models_are_exported_for_other_programs_by_filter_and_by_id(
    administrator: Client, make_model: Make
) -> None:
    for name in ("one", "two", "three"):
        make_model(name)
    whole = administrator.get("/api/export?file=cyclonedx&model_id=one&model_id=two&model_id=none")
    assert whole["Content-Type"] == "application/vnd.cyclonedx+json; version=1.6"
    bill = json.loads(b"".join(whole.streaming_content))
    assert {each["bom-ref"] for each in bill["components"]} == {"one", "two"}
    for form in FORMATS:
        answer = administrator.get(f"/api/export?file={form}")
        assert (answer.status_code, answer["Content-Type"]) == (200, FORMATS[form].content_type)
