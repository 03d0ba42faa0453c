"""Commands that are given an id from before two records became one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from discovery.models import RegisteredModel
from discovery.services.registry import aliases
from tests.commands.test_export_import import run

Make = Callable[..., RegisteredModel]

pytestmark = pytest.mark.django_db


@pytest.fixture
def model(make_model: Make) -> RegisteredModel:
    record = make_model("now")
    aliases.add({"before": record})
    return record


def test_commands_name_the_model_by_its_own_id(model: RegisteredModel) -> None:
    _, out, _ = run("validate_models", "before", "now", "--json")
    assert [report["model_id"] for report in json.loads(out)] == ["now"]
    _, out, _ = run("write_metadata", "before", "now", "--dry-run", "--json")
    assert [result["model_id"] for result in json.loads(out)["results"]] == ["now"]
    code, _, err = run("write_metadata", "nobody")
    assert (code, "There is no model nobody" in err) == (2, True)


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_rows_that_name_an_alias_change_the_model(
    model: RegisteredModel, tmp_path: Path, suffix: str
) -> None:
    file = tmp_path / f"models.{suffix}"
    row = {"model_id": "before", "license": "mit"}
    file.write_text("model_id,license\nbefore,mit\n" if suffix == "csv" else json.dumps([row]))
    code, out, _ = run("import_metadata", str(file))
    assert (code, "1 model in 1 field changed" in out) == (0, True)
    model.refresh_from_db()
    assert model.license == "mit"


def test_a_file_that_has_the_model_and_its_alias_says_which_rows_are_one(
    model: RegisteredModel, tmp_path: Path
) -> None:
    file = tmp_path / "models.csv"
    file.write_text("model_id,license\nnow,mit\nbefore,apache-2.0\n")
    code, out, err = run("import_metadata", str(file))
    assert code == 1
    assert "before is an alias of now, which stands in row 2 already" in out + err
    model.refresh_from_db()
    assert model.license is None
