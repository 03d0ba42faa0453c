"""``serve``: starts everything, stops everything, and says in one line why it cannot."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import pytest
from django.conf import settings

from tests import builders


@pytest.fixture
def port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    places = {"KAREN_DATA_DIR": "data", "KAREN_LOGS_DIR": "logs", "KAREN_CONFIG_DIR": "config", "KAREN_MODELS_DIR": "models"}
    found = {**os.environ, **{name: str(tmp_path / place) for name, place in places.items()}, "DJANGO_SETTINGS_MODULE": "karen_admin.settings"}
    for name in ("DATABASE_URL", "REDIS_URL", "KAREN_ADMIN_PASSWORD"):
        found.pop(name, None)
    return found


def serve(env: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "serve", *arguments]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for(url: str, process: subprocess.Popen[str]) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                return str(response.read().decode())
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"{url} never answered: {process.communicate(timeout=10)[0] if process.poll() is not None else ''}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_everything_starts_scans_and_stops_without_a_trace(env: dict[str, str], port: int, tmp_path: Path, number: signal.Signals) -> None:
    for name in ("a", "b"):
        builders.transformers(tmp_path / "models" / name)
    process = serve(env, "--port", str(port))
    assert "Sign in" in wait_for(f"http://127.0.0.1:{port}/login/", process)
    family = [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
    assert len(family) >= 3, "web server, cluster and its workers"
    deadline = time.monotonic() + 60
    while _scalar(tmp_path, "select count(*) from discovery_registeredmodel") < 2 and time.monotonic() < deadline:
        time.sleep(0.2)
    started = time.monotonic()
    process.send_signal(number)
    output = process.communicate(timeout=30)[0]
    assert time.monotonic() - started < 10
    assert process.returncode == 0
    assert not [pid for pid in family if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]
    assert _scalar(tmp_path, "select count(*) from discovery_registeredmodel") == 2
    assert _scalar(tmp_path, "select count(*) from discovery_scanrun where state = 'running'") == 0
    assert f"http://127.0.0.1:{port}/" in output
    assert "Sign in as admin with the password" in output
    assert "Traceback" not in output


def test_a_port_in_use_is_one_line_and_exit_code_two(env: dict[str, str], port: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = serve(env, "--port", str(taken.getsockname()[1]))
        output = process.communicate(timeout=60)[0]
    assert process.returncode == 2
    assert len(output.strip().splitlines()) == 1
    assert "cannot be used" in output


def test_a_data_folder_that_cannot_be_written_is_one_line_and_exit_code_two(env: dict[str, str], port: int, tmp_path: Path) -> None:
    builders.write_text(tmp_path / "file", "in the way")
    process = serve({**env, "KAREN_DATA_DIR": str(tmp_path / "file" / "data")}, "--port", str(port))
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 2
    assert len(output.strip().splitlines()) == 1
    assert "KAREN_DATA_DIR" in output


def test_a_given_password_is_set_and_not_printed(env: dict[str, str], port: int) -> None:
    process = serve({**env, "KAREN_ADMIN_PASSWORD": "correct horse"}, "--port", str(port), "--no-cluster")
    wait_for(f"http://127.0.0.1:{port}/login/", process)
    process.terminate()
    output = process.communicate(timeout=30)[0]
    assert "correct horse" not in output
    assert "with the password" not in output


def _scalar(tmp_path: Path, query: str) -> int:
    connection = sqlite3.connect(tmp_path / "data" / "karen.sqlite3", timeout=10)
    try:
        return int(connection.execute(query).fetchone()[0])
    finally:
        connection.close()
