"""``export_models`` and ``import_metadata`` at the command line: a round trip, what they print, how
they end.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from discovery.models import RegisteredModel

Make = Callable[..., RegisteredModel]


def run(name: str, *arguments: str) -> tuple[int, str, str]:
    out, err = StringIO(), StringIO()
    try:
        call_command(name, *arguments, stdout=out, stderr=err)
    except SystemExit as ended:
        return int(ended.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


@pytest.fixture
def shelf(make_model: Make) -> None:
    make_model("alpha", license="mit")
    make_model("beta")


def test_export_edit_import(shelf: None, tmp_path: Path) -> None:
    file = tmp_path / "models.csv"
    assert run("export_models", "--format", "csv", "--output", str(file))[0] == 0
    with file.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    at = rows[0].index("license")
    assert [row[at] for row in rows] == ["license", "mit", ""]
    rows[2][at] = "bsd-3-clause"
    with file.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)
    code, out, _ = run("import_metadata", str(file), "--dry-run")
    assert code == 0
    assert "row 3, beta, license: null → bsd-3-clause" in out
    assert RegisteredModel.objects.get(model_id="beta").license is None
    code, out, _ = run("import_metadata", str(file))
    assert code == 0
    assert "1 model in 1 field changed, 1 did not." in out
    assert RegisteredModel.objects.get(model_id="beta").license == "bsd-3-clause"
    assert "0 models in 0 fields changed" in run("import_metadata", str(file))[1]


def test_json_is_the_default_and_goes_to_standard_output(shelf: None) -> None:
    code, out, err = run("export_models")
    assert (code, err) == (0, "")
    assert [document["model_id"] for document in json.loads(out)] == ["alpha", "beta"]
    assert json.loads(out)[0]["sources"]["license"] == {"source": "config.json", "curated": False}


def test_an_empty_registry_exports_an_empty_list(db: None) -> None:
    assert json.loads(run("export_models")[1]) == []


def test_errors_end_with_1_and_say_row_and_field(shelf: None, tmp_path: Path, user: User) -> None:
    file = tmp_path / "models.csv"
    file.write_text("model_id,author,tags\nalpha,A,x\nnobody,B,y\n")
    code, out, _ = run("import_metadata", str(file))
    assert code == 1
    assert "row 3, nobody, model_id: there is no such model" in out
    assert "Nothing was imported" in out
    code, out, _ = run("import_metadata", str(file), "--skip-errors", "--json", "--by", "reader")
    document = json.loads(out)
    assert code == 1
    assert (document["changed"], document["wrong"], document["dry_run"]) == (1, 1, False)
    assert document["batch"]
    assert RegisteredModel.objects.get(model_id="alpha").curated["author"]["by"] == "reader"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "cannot be read: No such file"),
        (b"\xff\xff", "not UTF-8"),
        (b"model_id,colour\nalpha,red", "no field for the"),
    ],
)
def test_what_cannot_be_read_ends_with_2(
    content: bytes | None, why: str, shelf: None, tmp_path: Path
) -> None:
    file = tmp_path / "models.csv"
    if content is not None:
        file.write_bytes(content)
    code, _, err = run("import_metadata", str(file))
    assert code == 2
    assert why in err


def test_an_unknown_user_or_place_ends_with_2(shelf: None, tmp_path: Path) -> None:
    file = tmp_path / "models.json"
    file.write_text("[]")
    assert run("import_metadata", str(file), "--by", "nobody")[0] == 2
    code, _, err = run("export_models", "--output", str(tmp_path / "nowhere" / "models.json"))
    assert code == 2
    assert "cannot be written" in err


@pytest.mark.usefixtures("private_files", "shelf")
def test_an_exported_file_is_as_open_as_the_one_it_replaces_or_as_the_person_wants_files_to_be(
    tmp_path: Path,
) -> None:
    path = tmp_path / "models.json"
    run("export_models", "--output", str(path))
    assert path.stat().st_mode & 0o777 == 0o644
    path.chmod(0o600)
    run("export_models", "--output", str(path))
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_dash_is_standard_output_and_standard_input(
    shelf: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported = run("export_models", "--output", "-")[1]
    assert [each["model_id"] for each in json.loads(exported)] == ["alpha", "beta"]
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(b"model_id,author\nalpha,A\n")))
    code, out, _ = run("import_metadata", "-")
    assert (code, "1 model in 1 field changed" in out) == (0, True)
    assert RegisteredModel.objects.get(model_id="alpha").author == "A"
