"""``serve``: starts everything, stops everything, and says in one line why it cannot."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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
    for name in ("DATABASE_URL", "REDIS_URL", "KAREN_ADMIN_PASSWORD"):
        found.pop(name, None)
    return found


def serve(env: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "serve", *arguments]
    return subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def wait_for(url: str, process: subprocess.Popen[str]) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                return str(response.read().decode())
        except OSError:
            time.sleep(0.2)
    raise AssertionError(
        f"{url} never answered: {process.communicate(timeout=10)[0] if process.poll() is not None else ''}"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_everything_starts_scans_and_stops_without_a_trace(
    env: dict[str, str], port: int, tmp_path: Path, number: signal.Signals
) -> None:
    for name in ("a", "b"):
        builders.transformers(tmp_path / "models" / name)
    process = serve(env, "--port", str(port))
    assert "Sign in" in wait_for(f"http://127.0.0.1:{port}/login/", process)
    family = [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
    assert len(family) >= 3, "web server, cluster and its workers"
    deadline = time.monotonic() + 60
    while (
        _scalar(tmp_path, "select count(*) from discovery_registeredmodel") < 2
        and time.monotonic() < deadline
    ):
        time.sleep(0.2)
    started = time.monotonic()
    process.send_signal(number)
    output = process.communicate(timeout=30)[0]
    assert time.monotonic() - started < 10
    assert process.returncode == 0
    assert not [
        pid
        for pid in family
        if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    ]
    assert _scalar(tmp_path, "select count(*) from discovery_registeredmodel") == 2
    assert _scalar(tmp_path, "select count(*) from discovery_scanrun where state = 'running'") == 0
    assert f"http://127.0.0.1:{port}/" in output
    assert "Sign in as admin with the password" in output
    assert "Traceback" not in output


class _Slow(BaseHTTPRequestHandler):
    """Answers a byte at a time, so that a test load of the model behind it goes on."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        with suppress(OSError):
            while True:
                self.wfile.write(b" ")
                self.wfile.flush()
                time.sleep(0.2)

    def log_message(self, *_arguments: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def slow_server() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Slow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


#: Asks for a deep validation of a terabyte and a test load of a slow server.
_ASK = """
from django.contrib.auth.models import User
from discovery.models import RegisteredModel
from discovery.services import deep_validation, load_tests, registration
hosted = {"name": "slow", "type": "OPENAI", "endpoint": "%s"}
load_tests.request(registration.register(hosted, by=User.objects.get(), through="api"))
deep_validation.request(RegisteredModel.objects.get(path="endless.gguf"))
"""


def test_a_deep_validation_and_a_test_load_under_way_stop_with_it_and_the_validation_goes_on_next_time(
    env: dict[str, str], port: int, tmp_path: Path, slow_server: str
) -> None:
    builders.gguf(
        tmp_path / "models" / "endless.gguf",
        {"general.architecture": "llama"},
        [("w", "F32", (1 << 20, 1 << 18))],
    )
    process = serve(env, "--port", str(port))
    wait_for(f"http://127.0.0.1:{port}/login/", process)
    _until(tmp_path, "select count(*) from discovery_registeredmodel", 1)
    subprocess.run(
        [
            sys.executable,
            str(settings.BASE_DIR / "manage.py"),
            "shell",
            "-v0",
            "-c",
            _ASK % slow_server,
        ],
        env=env,
        check=True,
    )
    for table in ("deepvalidation", "loadtest"):
        _until(
            tmp_path,
            f"select count(*) from discovery_{table} where state = 'running' and started_at is not null",
            1,
        )
    family = psutil.Process(process.pid).children(recursive=True)
    deadline = time.monotonic() + 30
    while (
        not any("discovery.loading" in child.cmdline() for child in family)
        and time.monotonic() < deadline
    ):
        time.sleep(0.1)
        family = psutil.Process(process.pid).children(recursive=True)
    assert any("discovery.loading" in child.cmdline() for child in family), (
        "the child of the test load"
    )
    started = time.monotonic()
    process.terminate()
    output = process.communicate(timeout=30)[0]
    assert time.monotonic() - started < 10
    assert process.returncode == 0
    assert "Traceback" not in output
    assert not [
        child for child in family if child.is_running() and child.status() != psutil.STATUS_ZOMBIE
    ]
    for table in ("deepvalidation", "loadtest"):
        assert (
            _scalar(
                tmp_path,
                f"select count(*) from discovery_{table} where state in ('running', 'queued')",
            )
            == 0
        )
        assert (
            _scalar(
                tmp_path,
                f"select count(*) from discovery_{table} where message like 'Karen Admin was stopped while it ran;%'",
            )
            == 1
        )
    again = serve(env, "--port", str(port))
    try:
        _until(tmp_path, "select count(*) from discovery_deepvalidation where state = 'running'", 1)
    finally:
        again.terminate()
        again.communicate(timeout=30)


def test_a_port_in_use_is_one_line_and_exit_code_two(env: dict[str, str], port: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = serve(env, "--port", str(taken.getsockname()[1]))
        output = process.communicate(timeout=60)[0]
    assert process.returncode == 2
    assert len(output.strip().splitlines()) == 1
    assert "cannot be used" in output


def test_a_data_folder_that_cannot_be_written_is_one_line_and_exit_code_two(
    env: dict[str, str], port: int, tmp_path: Path
) -> None:
    builders.write_text(tmp_path / "file", "in the way")
    process = serve({**env, "KAREN_DATA_DIR": str(tmp_path / "file" / "data")}, "--port", str(port))
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 2
    assert len(output.strip().splitlines()) == 1
    assert "KAREN_DATA_DIR" in output


def test_a_given_password_is_set_and_not_printed(env: dict[str, str], port: int) -> None:
    process = serve(
        {**env, "KAREN_ADMIN_PASSWORD": "correct horse"}, "--port", str(port), "--no-cluster"
    )
    wait_for(f"http://127.0.0.1:{port}/login/", process)
    process.terminate()
    output = process.communicate(timeout=30)[0]
    assert "correct horse" not in output
    assert "with the password" not in output


def _until(tmp_path: Path, query: str, wanted: int) -> None:
    deadline = time.monotonic() + 60
    while (found := _scalar(tmp_path, query)) != wanted:
        assert time.monotonic() < deadline, f"{query}: {found}"
        time.sleep(0.1)


def _scalar(tmp_path: Path, query: str) -> int:
    connection = sqlite3.connect(tmp_path / "data" / "karen.sqlite3", timeout=10)
    try:
        return int(connection.execute(query).fetchone()[0])
    finally:
        connection.close()
