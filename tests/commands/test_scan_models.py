"""``scan_models``: one JSON document, exit codes, sentences; and a scan that is killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command

from discovery.engine.core.errors import NotAModel
from discovery.engine.core.types import Candidate, Found, Problem
from discovery.models import RegisteredModel, Root
from discovery.services.scans import root_scan
from tests.support import builders
from tests.support.waiting import until

KEYS = {
    "scan_id",
    "status",
    "found",
    "new",
    "changed",
    "unchanged",
    "moved",
    "missing",
    "errors",
    "seconds",
}


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        call_command("scan_models", *arguments)
    out, err = capsys.readouterr()
    return int(stopped.value.code or 0), out, err


@pytest.mark.django_db
def test_json_is_one_document_with_the_fields_of_the_contract(
    models_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    builders.transformers(models_root / "m")
    code, out, err = run(capsys, str(models_root), "--json")
    report = json.loads(out)
    assert code == 0
    assert set(report) >= KEYS
    assert (report["status"], report["found"], report["new"]) == ("done", 1, 1)
    assert isinstance(report["scan_id"], int)
    assert err == ""


@pytest.mark.django_db
def test_problems_found_are_exit_code_one(
    models_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    builders.write_text(models_root / "m" / "config.json", '{"model_type": "bert",}')
    code, out, _ = run(capsys, str(models_root))
    assert code == 1
    assert "1 model found" in out
    assert "1 model or place has errors" in out


@pytest.mark.django_db
def test_cron_twice_over_one_broken_disk_is_the_same_exit_code_and_the_same_figures(
    models_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    builders.transformers(models_root / "whole")
    builders.write_text(models_root / "broken" / "config.json", '{"model_type": "bert",}')
    builders.write_text(models_root / "two" / "config.json", '{"model_type": "gpt2",}')
    told = [run(capsys, str(models_root), "--json", *more) for more in ((), (), ("--full",))]
    told.append(run(capsys, str(models_root / "broken"), "--json"))
    told.append(run(capsys, str(models_root), "--json", "--dry-run"))
    errors = [json.loads(out)["errors"] for _, out, _ in told]
    assert [code for code, _, _ in told] == [1] * 5
    assert errors == [2, 2, 2, 1, 2]
    builders.write_text(models_root / "broken" / "config.json", '{"model_type": "bert"}')
    (models_root / "two" / "config.json").unlink()
    code, out, _ = run(capsys, str(models_root), "--json")
    assert json.loads(out)["errors"] == (1 if code else 0)


@pytest.mark.django_db
def test_a_place_that_is_no_model_keeps_its_errors(
    models_root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    builders.transformers(models_root / "m")

    problem = Problem("folder_unreadable", "it cannot be read", "m/part")
    whole = root_scan.walk

    def walk(*arguments: Any, **options: Any) -> Iterator[Candidate | Problem]:
        for item in whole(*arguments, **options):
            yield item._replace(problems=(problem,)) if isinstance(item, Candidate) else item

    monkeypatch.setattr(root_scan, "walk", walk)
    monkeypatch.setattr(root_scan, "identify", not_a_model)
    told = [run(capsys, str(models_root), "--json") for _ in range(2)]
    assert [(code, json.loads(out)["errors"]) for code, out, _ in told] == [(1, 1), (1, 1)]


def not_a_model(*_: object) -> list[Found]:
    raise NotAModel("it only looks like one")


@pytest.mark.django_db
def test_a_new_root_is_told(models_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sentence = f"root {models_root}: later scans without PATH include it."
    assert f"The scan would add the {sentence}" in run(capsys, str(models_root), "--dry-run")[1]
    assert f"The scan added the {sentence}" in run(capsys, str(models_root))[1]
    assert "added" not in run(capsys, str(models_root))[1]
    assert json.loads(run(capsys, str(models_root), "--json")[1])["added_roots"] == []


@pytest.mark.django_db
def test_a_root_that_does_not_exist_is_exit_code_two_and_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, str(tmp_path / "nowhere"))
    assert (code, out) == (2, "")
    assert (
        err.strip()
        == f"{tmp_path / 'nowhere'} does not exist: give a folder of models, or one below it."
    )
    assert not Root.objects.exists()


@pytest.mark.django_db
def test_a_file_is_no_root(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    builders.write_text(tmp_path / "file", "x")
    assert run(capsys, str(tmp_path / "file"))[0] == 2


@pytest.mark.django_db
def test_a_new_path_becomes_a_root_and_a_folder_under_one_does_not(
    models_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    builders.transformers(models_root / "shelf" / "m")
    run(capsys, str(models_root))
    run(capsys, str(models_root / "shelf"))
    assert [root.path for root in Root.objects.all()] == [str(models_root)]


@pytest.mark.django_db
def test_a_dry_run_writes_nothing(models_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    builders.transformers(models_root / "m")
    code, out, _ = run(capsys, str(models_root), "--dry-run", "--json")
    assert (code, json.loads(out)["new"], json.loads(out)["scan_id"]) == (0, 1, None)
    assert not RegisteredModel.objects.exists()


@pytest.mark.django_db
def test_a_config_file_that_does_not_parse_is_said_and_the_scan_goes_on(
    models_root: Path, config_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    builders.transformers(models_root / "m")
    builders.write_text(config_dir / "model_discovery.json", "{")
    code, out, err = run(capsys, str(models_root), "--json")
    assert json.loads(out)["found"] == 1
    assert code == 0
    assert "model_discovery.json: it is not JSON" in err


@pytest.mark.slow
def test_a_killed_scan_is_finished_by_the_next_one(tmp_path: Path, migrated: Path) -> None:
    """In processes of their own, on SQLite: SIGKILL half-way, then a second scan."""
    root = tmp_path / "models"
    for number in range(40):
        builders.transformers(root / f"m{number:02d}", layers=1)
    for number in range(41, 400):
        shutil.copytree(root / "m00", root / f"m{number:03d}")
    places = {"KAREN_DATA_DIR": "data", "KAREN_LOGS_DIR": "logs", "KAREN_CONFIG_DIR": "config"}
    env = {
        **os.environ,
        **{name: str(tmp_path / place) for name, place in places.items()},
        "DJANGO_SETTINGS_MODULE": "karen_admin.settings",
    }
    env.pop("DATABASE_URL", None)
    # Its last models answer only once it is dead: it is killed in the middle on any machine.
    (tmp_path / "hanging").write_text("".join(f"{root}/m{n}\n" for n in range(300, 400)))
    stand_in = {
        "PYTHONPATH": str(settings.BASE_DIR / "tests/stand_in"),
        "KAREN_HANGING": str(tmp_path / "hanging"),
    }
    manage = [sys.executable, str(settings.BASE_DIR / "manage.py")]
    database = tmp_path / "data" / "karen.sqlite3"
    database.parent.mkdir()
    shutil.copy(migrated, database)
    victim = subprocess.Popen(
        [*manage, "scan_models", str(root), "--json"],
        env={**env, **stand_in},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until(lambda: _rows(database) or victim.poll() is not None)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    assert 0 < _rows(database) < 399
    done = subprocess.run(
        [*manage, "scan_models", str(root), "--json"],
        env=env,
        check=False,
        capture_output=True,
        text=True,
    )
    report = json.loads(done.stdout)
    assert (done.returncode, report["status"], report["found"]) == (0, "done", 399)
    with sqlite3.connect(database) as connection:
        states = [
            row[0] for row in connection.execute("select state from discovery_scanrun order by id")
        ]
        paths = connection.execute(
            "select count(*), count(distinct path) from discovery_registeredmodel"
        ).fetchone()
    connection.close()
    assert states == ["interrupted", "done"]
    assert paths == (399, 399)


def _rows(database: Path) -> int:
    if not database.exists():
        return 0
    connection = sqlite3.connect(database, timeout=5)
    try:
        return int(
            connection.execute("select count(*) from discovery_registeredmodel").fetchone()[0]
        )
    finally:
        connection.close()
