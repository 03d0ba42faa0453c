"""The folders for data and logs: closed to others where they are ours, left alone where they are
not, and told when they cannot be written.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections import namedtuple
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from discovery.services.core import private_files
from tests.support.page_text import page_text


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def places(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Data and logs as an earlier version under an open umask left them."""
    before = os.umask(0)
    settings.DATA_DIR, settings.LOGS_DIR = tmp_path / "data", tmp_path / "logs"
    settings.MODELS_DIR, settings.CONFIG_DIR = tmp_path / "models", tmp_path / "config"
    monkeypatch.setattr(
        private_files, "_sqlite_file", lambda: str(tmp_path / "data" / "karen.sqlite3")
    )
    for name in ("data/clusters", "data/config", "logs", "models", "config"):
        (tmp_path / name).mkdir(parents=True)
    for name in (
        "data/karen.sqlite3", "data/karen.sqlite3-wal", "data/secret_key", "data/serve.lock",
        "data/clusters/a.djcache", "data/config/b.json",
        "logs/model_discovery.log", "logs/model_discovery.log.1", "logs/.__model_discovery.lock",
        "models/weights", "config/c.json",
    ):  # fmt: skip
        (tmp_path / name).write_text("x")
    yield tmp_path
    os.umask(before)


def test_what_is_ours_is_closed_and_what_is_not_is_left(places: Path) -> None:
    private_files.tighten()
    ours = [
        path for name in ("data", "logs") for path in (places / name, *(places / name).rglob("*"))
    ]
    assert len(ours) == 13
    assert {oct(mode(path)) for path in ours if path.is_dir()} == {"0o700"}
    assert {oct(mode(path)) for path in ours if path.is_file()} == {"0o600"}
    assert {oct(mode(places / name)) for name in ("models", "config")} == {"0o777"}
    assert {oct(mode(places / name)) for name in ("models/weights", "config/c.json")} == {"0o666"}
    assert private_files.faults() == []


def test_rights_that_were_taken_from_the_owner_are_not_given_again(places: Path) -> None:
    (places / "data/secret_key").chmod(0o444)
    private_files.tighten()
    assert mode(places / "data/secret_key") == 0o400


def test_a_folder_with_folders_of_others_in_it_is_left_and_told_and_our_files_in_it_are_closed(
    places: Path,
) -> None:
    (places / "data/models/llama").mkdir(parents=True)
    (places / "data/notes.txt").write_text("of the person")
    private_files.tighten()
    assert mode(places / "data") == mode(places / "data/models/llama") == 0o777
    assert mode(places / "data/notes.txt") == 0o666
    assert mode(places / "data/karen.sqlite3") == 0o600
    (told,) = private_files.open_folders()
    assert (
        f"{places / 'data'}, which is left as it is because other folders are in it, such as models"
        in told
    )


def test_a_folder_that_many_share_or_another_owns_is_left_and_told(
    places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (places / "logs").chmod(0o1777)
    private_files.tighten()
    assert stat.S_IMODE((places / "logs").stat().st_mode) == 0o1777
    assert "many users share it" in private_files.open_folders()[0]
    (places / "logs").chmod(0o755)
    (places / "logs/model_discovery.log").chmod(0o666)
    real = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: real + 1)
    private_files.tighten()
    assert mode(places / "logs") == 0o755
    assert mode(places / "logs/model_discovery.log") == 0o666
    assert any("it belongs to another user" in told for told in private_files.open_folders())


def test_links_are_not_followed(places: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/kept").write_text("x")
    shutil.rmtree(places / "data/config")
    (places / "data/config").symlink_to(tmp_path / "elsewhere")
    (places / "data/other.lock").symlink_to(tmp_path / "elsewhere/kept")
    private_files.tighten()
    assert (mode(tmp_path / "elsewhere"), mode(tmp_path / "elsewhere/kept")) == (0o777, 0o666)


def test_logs_that_cannot_be_written_are_told_by_check_and_the_page_and_not_once_they_can(
    tmp_path: Path, settings: Any, db: None, admin_client: Any
) -> None:
    settings.LOGS_DIR = tmp_path / "file" / "logs"
    (tmp_path / "file").write_text("in the way")
    assert "Not a directory" in private_files.log_fault()
    output = StringIO()
    call_command("check", stderr=output)
    assert "(discovery.W003) Log files cannot be written" in output.getvalue()
    assert "Log files cannot be written" in page_text(admin_client.get("/system/"))
    (tmp_path / "file").unlink()
    assert private_files.log_fault() == ""
    assert "Log files cannot be written" not in page_text(admin_client.get("/system/"))


def test_a_log_file_that_cannot_be_written_in_a_folder_that_can_is_told(
    tmp_path: Path, settings: Any
) -> None:
    settings.LOGS_DIR = tmp_path
    (tmp_path / "model_validation.log").mkdir()
    assert "Is a directory" in private_files.log_fault()


def test_logs_on_a_full_disk_are_told(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.LOGS_DIR = tmp_path
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(100, 100, 0))
    assert "No space left on device" in private_files.log_fault()


def test_a_data_folder_that_is_full_is_told(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DATA_DIR = tmp_path
    assert private_files.data_fault() == ""

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert "No space left on device" in private_files.data_fault()
