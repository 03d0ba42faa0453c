"""A check is one module in one package, and a problem code one line in one module: what somebody
adds there is told wherever checks and problems are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support import made_up

pytestmark = pytest.mark.slow

pytestmark = pytest.mark.slow

BEADS = """
from discovery.engine.core.vocabulary import Outcome
from discovery.engine.integrity.check import Check, Facts, Result, by_problems


def judge(facts: Facts, name: str) -> Result:
    if facts.problems(name):
        return by_problems(facts, name, "")
    return Result(name, Outcome.FAILED, "there are no beads: add some", facts.found.path)


CHECK = Check(
    name="beads_counted", label="Beads are counted", description="There are beads.", place=55,
    judge=judge,
)
"""
LOST = """
    "beads_lost": ProblemCode("Look under the table.", check="beads_counted", unsafe=True),
"""
SCRIPT = """
import os
import dataclasses
from discovery.demo.writers.gguf_folders import gguf_folder
from discovery.models import RegisteredModel
from pathlib import Path

folder = Path(os.environ["TMPDIR"]) / "models"
gguf_folder(folder / "tiny", quantizations=("Q4_0",))
command("scan_models", str(folder))
record = RegisteredModel.objects.get()
result["stored"] = [check["name"] for check in record.checks]
result["tab"] = client.get(f"/models/{record.model_id}/health/").text
result["api"] = client.get(f"/api/models/{record.model_id}/validate").json()
result["openapi"] = client.get("/api/openapi.json").json()["components"]["schemas"]["Check"]
result["help"] = client.get("/help/loading/").text
result["command"] = command("validate_models", "--json")

from discovery.engine.core.config import Discovery
from discovery.engine.core.types import Problem, Status
from discovery.engine.disk.walk import walk
from discovery.engine.identify.found import is_unsafe
from discovery.engine.identify.identify import identify
from discovery.engine.integrity import validate
from discovery.services.findings import findings

(candidate,) = walk(str(folder), Discovery())
found = identify(str(folder), candidate, Discovery(), 1 << 34)[0]
lost = Problem("beads_lost", "three beads are lost", "tiny/model.gguf")
told = validate.as_json(validate.checks(dataclasses.replace(found, problems=(lost,))))
result["lost"] = {check["name"]: check["message"] for check in told}
result["unsafe"] = is_unsafe([lost])
findings.replace(record, "scan", [lost])
result["problems"] = client.get("/problems/").text
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("check")
    files = {"discovery.engine.integrity.checks": {"beads_counted": BEADS}}
    lines = {
        "discovery.engine.core.problem_codes": [("}\n\n#: Problems that make a model", LOST)],
    }
    return made_up.run(SCRIPT, folder, migrated, lines, files)


def test_a_scan_asks_it_in_its_place(seen: dict[str, Any]) -> None:
    at = seen["stored"].index("beads_counted")
    assert seen["stored"][at - 1 : at + 2] == ["shards_complete", "beads_counted", "header_parses"]


def test_the_health_tab_the_api_and_the_command_tell_what_came_of_it(seen: dict[str, Any]) -> None:
    assert "Beads are counted" in seen["tab"]
    assert "there are no beads: add some" in seen["tab"]
    assert seen["api"]["valid"] is False
    assert [c["message"] for c in seen["api"]["checks"] if c["name"] == "beads_counted"] == [
        "there are no beads: add some"
    ]
    assert "beads_counted" in seen["command"]


def test_help_and_the_api_document_tell_of_it(seen: dict[str, Any]) -> None:
    assert "beads_counted" in seen["openapi"]["properties"]["name"]["description"]
    assert "Beads are counted" in seen["help"]


def test_a_problem_code_is_told_by_its_check_and_counts_as_it_says(seen: dict[str, Any]) -> None:
    assert seen["lost"]["beads_counted"] == "three beads are lost"
    assert "beads" not in seen["lost"]["header_parses"]
    assert seen["unsafe"] is True


def test_the_problems_page_gives_its_advice(seen: dict[str, Any]) -> None:
    assert "three beads are lost" in seen["problems"]
    assert "Look under the table." in seen["problems"]
