"""``manage.py``: what is wrong with the installation is one sentence and exit code 2, whatever the
command.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import subprocess
import sys
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import ManagementUtility
from django.db import DatabaseError

from discovery.management import database
from karen_admin import command_line
from karen_admin.log_files import EventFile
from tests.support import builders
from tests.support.waiting import DEADLINE


def manage(tmp_path: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    places = {
        f"KAREN_{name}_DIR": str(tmp_path / name.lower())
        for name in ("DATA", "LOGS", "CONFIG", "MODELS")
    }
    env = {"PATH": "/usr/bin:/bin", **places, **variables}
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=DEADLINE)


def sentence(ended: subprocess.CompletedProcess[str]) -> str:
    assert ended.returncode == 2, ended.stderr
    assert ended.stdout == ""
    (line,) = ended.stderr.strip().splitlines()
    return line


def foreign(tmp_path: Path) -> None:
    """A database that holds something else."""
    (tmp_path / "data").mkdir()
    with closing(sqlite3.connect(tmp_path / "data" / "karen.sqlite3")) as database:
        database.execute("CREATE TABLE of_another_program (id INTEGER)")


@pytest.mark.slow
@pytest.mark.parametrize("command", ["validate_models", "export_models"])
def test_a_database_that_is_not_set_up_is_told_with_what_sets_it_up(
    command: str, tmp_path: Path
) -> None:
    foreign(tmp_path)
    assert "is not set up for this version" in sentence(manage(tmp_path, command))


@pytest.mark.slow
def test_a_command_before_the_first_serve_sets_up_an_empty_database(tmp_path: Path) -> None:
    builders.transformers(tmp_path / "models" / "m")
    ended = manage(tmp_path, "scan_models", "--json", LANG="C")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert json.loads(ended.stdout)["found"] == 1


def test_commands_that_start_together_set_the_database_up_once(
    monkeypatch: pytest.MonkeyPatch, config_dir: Path
) -> None:
    tables: list[str] = []
    calls: list[str] = []
    monkeypatch.setattr(database, "_is_empty", lambda: not tables)
    monkeypatch.setattr(database, "call_command", lambda name, **_: calls.append(name))

    def meanwhile(_path: Path, _wait: object) -> AbstractContextManager[None]:
        tables.append("by another process")
        return nullcontext()

    monkeypatch.setattr(database, "host_lock", meanwhile)
    database.migrate(only_empty=True)
    assert calls == []
    database.migrate()
    assert calls == ["migrate"]


@pytest.mark.slow
def test_a_damaged_database_a_wrong_setting_and_a_folder_in_the_way_are_told(
    tmp_path: Path,
) -> None:
    builders.write_text(tmp_path / "data" / "karen.sqlite3", "not a database, " * 500)
    assert "is damaged, or is not a database" in sentence(manage(tmp_path, "scan_models"))
    assert "KAREN_API_PROXIES is 'x'" in sentence(
        manage(tmp_path, "scan_models", KAREN_API_PROXIES="x")
    )
    assert "KAREN_DEBUG is 'maybe'" in sentence(manage(tmp_path, "help", KAREN_DEBUG="maybe"))
    builders.write_text(tmp_path / "file", "in the way")
    # Django runs its checks in no fixed order: the cache may meet the folder before the database.
    told = sentence(manage(tmp_path, "migrate", KAREN_DATA_DIR=str(tmp_path / "file" / "data")))
    assert str(tmp_path / "file" / "data") in told
    assert "correct KAREN_DATA_DIR" in told


def test_the_traceback_is_there_for_who_asks_for_it(tmp_path: Path) -> None:
    foreign(tmp_path)
    ended = manage(tmp_path, "scan_models", "--traceback")
    assert ended.returncode == 1
    assert "Traceback" in ended.stderr


@pytest.mark.parametrize("error", [RuntimeError("a fault of ours"), DatabaseError("?")])
def test_faults_of_ours_keep_their_traceback(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr(ManagementUtility, "execute", fail)
    with pytest.raises(type(error)):
        command_line.run(["manage.py", "x"])


def test_ctrl_c_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ManagementUtility, "execute", interrupt)
    assert command_line.run(["manage.py", "x"]) == 130


def test_events_that_cannot_be_written_are_told_once_and_written_again_when_they_can(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "logs").write_text("in the way")
    handler = EventFile(str(tmp_path / "logs" / "x.log"), chmod=0o600)
    record = logging.makeLogRecord({"msg": "an event"})
    for _ in range(3):
        handler.handle(record)
    assert [told.message for told in caplog.records] == [
        f"{tmp_path / 'logs' / 'x.log'} cannot be written: Not a directory"
    ]
    (tmp_path / "logs").unlink()
    (tmp_path / "logs").mkdir()
    handler.handle(record)
    handler.close()
    assert (tmp_path / "logs" / "x.log").read_text() == "an event\n"
    assert (tmp_path / "logs" / "x.log").stat().st_mode & 0o777 == 0o600
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.slow
def test_the_shell_completion_of_the_docs_completes(tmp_path: Path) -> None:
    page = (settings.BASE_DIR / "docs" / "set-up.md").read_text("utf-8")
    script = page.partition("```bash\n_karen_admin")[2].partition("```")[0]
    (tmp_path / "completion.bash").write_text(f"_karen_admin{script}")
    ask = (
        f". {tmp_path}/completion.bash; cd {settings.BASE_DIR};"
        f" COMP_WORDS=({sys.executable} manage.py scan_models --f); COMP_CWORD=3;"
        ' _karen_admin; echo "${COMPREPLY[*]}"'
    )
    places = {"KAREN_DATA_DIR": str(tmp_path), "KAREN_LOGS_DIR": str(tmp_path)}
    env = {"PATH": "/usr/bin:/bin", **places}
    done = subprocess.run(["bash", "-c", ask], env=env, capture_output=True, text=True)
    assert "--full" in done.stdout.split(), done.stderr
