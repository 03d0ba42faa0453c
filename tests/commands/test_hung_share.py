"""``serve`` and the commands beside a share that hangs, in processes of their own: see
``tests/stand_in``.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from django.conf import settings

from tests.browser import Browser
from tests.support import builders
from tests.support.ports import free_port
from tests.support.waiting import DEADLINE, until

MANAGE = [sys.executable, str(settings.BASE_DIR / "manage.py")]


@pytest.fixture
def env(tmp_path: Path, migrated: Path) -> dict[str, str]:
    places = {
        "KAREN_DATA_DIR": "data",
        "KAREN_LOGS_DIR": "logs",
        "KAREN_CONFIG_DIR": "config",
        "KAREN_MODELS_DIR": "models",
    }
    found = {
        **os.environ,
        **{name: str(tmp_path / place) for name, place in places.items()},
        "DJANGO_SETTINGS_MODULE": "karen_admin.settings",
    }
    for name in ("DATABASE_URL", "REDIS_URL"):
        found.pop(name, None)
    (tmp_path / "data").mkdir(mode=0o700)
    shutil.copy(migrated, tmp_path / "data" / "karen.sqlite3")
    stand_in = str(settings.BASE_DIR / "tests/stand_in")
    return {
        **found,
        "PYTHONPATH": stand_in,
        "KAREN_HANGING": str(tmp_path / "hanging"),
        "KAREN_ADMIN_PASSWORD": "correct horse battery",
    }


@pytest.fixture
def shares(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("nas", "local"):
        for number in range(3):
            builders.transformers(tmp_path / name / f"{name}{number}", hidden=64 + 8 * number)
            (tmp_path / name / f"{name}{number}/README.md").write_text("# Card")
    (tmp_path / "config").mkdir()
    return tmp_path / "nas", tmp_path / "local"


def hang(tmp_path: Path, *paths: Path) -> None:
    (tmp_path / "hanging").write_text("".join(f"{path}\n" for path in paths))


def manage(env: dict[str, str], *arguments: str) -> tuple[int, str]:
    """The exit code and the output of a command that ends while the share still hangs."""
    command = [*MANAGE, *arguments]
    done = subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=2 * DEADLINE, check=False
    )
    return done.returncode, done.stdout + done.stderr


def scalar(tmp_path: Path, query: str) -> int:
    with closing(sqlite3.connect(tmp_path / "data/karen.sqlite3", timeout=10)) as connection:
        return int(connection.execute(query).fetchone()[0])


@pytest.mark.slow
def test_scan_models_on_a_share_that_hangs_ends_with_a_sentence(
    env: dict[str, str], tmp_path: Path, shares: tuple[Path, Path]
) -> None:
    nas, local = shares
    assert manage(env, "scan_models", str(nas), str(local))[0] == 0
    hang(tmp_path, nas)
    code, output = manage(env, "scan_models", str(nas / "nas0"))
    assert (code, "Traceback" in output) == (2, False)
    assert f"The folder {nas} did not answer" in output
    code, output = manage(env, "scan_models")
    assert (code, f"{nas} does not answer and was left out" in output) == (1, True)
    assert (
        scalar(tmp_path, "select count(*) from discovery_registeredmodel where status = 'READY'")
        == 6
    )
    code, output = manage(env, "validate_models", "nas0", "local0")
    assert (code, "nas0 was not checked." in output, "local0: valid" in output) == (1, True, True)


@pytest.mark.slow
def test_serve_starts_and_answers_and_scans_the_other_roots(
    env: dict[str, str], tmp_path: Path, shares: tuple[Path, Path]
) -> None:
    nas, local = shares
    port = free_port()
    assert manage(env, "scan_models", str(nas))[0] == 0
    hang(tmp_path, nas)
    server = subprocess.Popen(
        [*MANAGE, "serve", "--port", str(port), "--models", str(local), "--models", str(nas)],
        env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        until(lambda: _answers(port))
        browser = Browser(port)
        until(
            lambda: (
                scalar(
                    tmp_path,
                    "select count(*) from discovery_registeredmodel where path like 'local%'",
                )
                == 3
            ),
        )
        assert (
            scalar(
                tmp_path,
                "select count(*) from discovery_registeredmodel where path like 'nas%' and status ="
                " 'READY'",
            )
            == 3
        )
        with ThreadPoolExecutor(12) as readers:
            pages = [
                f"/models/nas{number % 3}/{tab}" for number in range(8) for tab in ("", "tensors/")
            ][:8]
            asked = [readers.submit(browser.get, page) for page in pages]
            asked += [
                readers.submit(browser.get, path) for path in ("/healthz", "/static/css/base.css")
            ]
            assert {each.result()[0] for each in asked} == {200}
        for page in (
            "/",
            "/system/",
            "/scans/",
            "/models/nas1/",
            "/duplicates/?kind=empty",
            "/api/system/resources",
        ):
            assert browser.get(page)[0] == 200, page
        assert "it does not answer" in browser.get("/scans/")[1]
        hang(tmp_path)
        until(lambda: "it does not answer" not in browser.get("/scans/")[1])
        assert "did not answer" not in browser.get("/models/nas0/")[1]
    finally:
        family = psutil.Process(server.pid).children(recursive=True)
        server.send_signal(signal.SIGTERM)
        output = server.communicate(timeout=DEADLINE)[0]
    assert (server.returncode, "Traceback" in output) == (0, False)
    assert "(it does not answer: the site starts without it" in output
    assert not [
        child for child in family if child.is_running() and child.status() != psutil.STATUS_ZOMBIE
    ]


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{port}/healthz", timeout=DEADLINE
        ) as response:
            return bool(response.status == 200)
    except OSError:
        return False
