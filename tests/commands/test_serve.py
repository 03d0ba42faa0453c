"""``serve``: starts everything, stops everything, and says in one line why it cannot."""

from __future__ import annotations

import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError

from discovery.management.commands.serve import _first_administrator
from tests.support import builders
from tests.support.ports import free_port
from tests.support.waiting import DEADLINE, until


@pytest.fixture
def port() -> int:
    return free_port()


_started: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """What a test has started ends with it, also when it fails."""
    yield
    while _started:
        process = _started.pop()
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=DEADLINE)


def serve(env: dict[str, str], *arguments: str, umask: int = 0o022) -> subprocess.Popen[str]:
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "serve", *arguments]
    _started.append(
        subprocess.Popen(
            command,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            umask=umask,
        )
    )
    return _started[-1]


def wait_for(url: str, process: subprocess.Popen[str]) -> str:
    def answer() -> str:
        assert process.poll() is None, process.communicate()[0]
        try:
            with urllib.request.urlopen(url, timeout=DEADLINE) as response:
                return str(response.read().decode())
        except OSError:
            return ""

    return until(answer, told=f"{url} never answered")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("installed")
def test_everything_starts_scans_and_stops_without_a_trace(
    env: dict[str, str], port: int, tmp_path: Path, number: signal.Signals
) -> None:
    for name in ("a", "b"):
        builders.transformers(tmp_path / "models" / name)
    process = serve(env, "--port", str(port))
    assert "Sign in" in wait_for(f"http://127.0.0.1:{port}/login/", process)
    family = [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
    assert len(family) >= 3, "web server, cluster and its workers"
    _until(tmp_path, "select count(*) from discovery_registeredmodel", 2)
    process.send_signal(number)
    output = process.communicate(timeout=DEADLINE)[0]
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
from discovery.services.health import deep_validation, test_loads
from discovery.services.scans import registration
hosted = {"name": "slow", "type": "OPENAI", "endpoint": "%s"}
test_loads.request(registration.register(hosted, by=User.objects.get(), channel="api"))
deep_validation.request(RegisteredModel.objects.get(path="endless.gguf"))
"""


@pytest.mark.slow
@pytest.mark.usefixtures("installed")
def test_a_deep_validation_and_a_test_load_stop_with_it_and_the_validation_goes_on_next_time(
    env: dict[str, str], port: int, tmp_path: Path, slow_server: str
) -> None:
    builders.gguf(
        tmp_path / "models" / "endless.gguf",
        {"general.architecture": "llama"},
        [("w", "F32", (1 << 20, 1 << 18))],
    )
    env["KAREN_ENDPOINT_PRIVATE"] = "127.0.0.1"
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
            f"select count(*) from discovery_{table} where state = 'running' and started_at is not"
            " null",
            1,
        )
    _wait(lambda: any("discovery.loading" in _command(child) for child in _family(process)))
    family = _family(process)
    process.terminate()
    output = process.communicate(timeout=DEADLINE)[0]
    assert process.returncode == 0
    assert "Traceback" not in output
    assert not [child for child in family if child.is_running() and _alive(child.pid)]
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
                f"select count(*) from discovery_{table} where message like 'Karen Admin was"
                " stopped while it ran;%'",
            )
            == 1
        )
    again = serve(env, "--port", str(port))
    try:
        _until(tmp_path, "select count(*) from discovery_deepvalidation where state = 'running'", 1)
    finally:
        again.terminate()
        again.communicate(timeout=DEADLINE)


@pytest.mark.slow
def test_a_port_in_use_is_one_line_and_exit_code_two(env: dict[str, str], port: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = serve(env, "--port", str(taken.getsockname()[1]))
        output = process.communicate(timeout=DEADLINE)[0]
    assert process.returncode == 2
    assert len(output.strip().splitlines()) == 1
    assert "cannot be used" in output


@pytest.mark.slow
def test_a_data_folder_that_cannot_be_written_is_one_line_and_exit_code_two(
    env: dict[str, str], port: int, tmp_path: Path
) -> None:
    builders.write_text(tmp_path / "file", "in the way")
    process = serve({**env, "KAREN_DATA_DIR": str(tmp_path / "file" / "data")}, "--port", str(port))
    output = process.communicate(timeout=DEADLINE)[0]
    assert process.returncode == 2
    assert len(output.strip().splitlines()) == 1
    assert "KAREN_DATA_DIR" in output


@pytest.mark.slow
@pytest.mark.usefixtures("installed")
def test_a_given_password_is_set_and_not_printed(env: dict[str, str], port: int) -> None:
    process = serve(
        {**env, "KAREN_ADMIN_PASSWORD": "correct horse"}, "--port", str(port), "--no-cluster"
    )
    wait_for(f"http://127.0.0.1:{port}/login/", process)
    process.terminate()
    output = process.communicate(timeout=DEADLINE)[0]
    assert "correct horse" not in output
    assert "with the password" not in output


@pytest.mark.slow
def test_a_fresh_start_is_private_alone_on_its_folder_and_starts_again_what_is_killed(
    env: dict[str, str], port: int, tmp_path: Path
) -> None:
    """One serve for many questions: starting it costs seconds.

    Its umask is open, its log folder cannot be written.
    """
    (tmp_path / "logs").write_text("in the way")
    process = serve(env, "--port", str(port), umask=0)
    address = f"http://127.0.0.1:{port}/"
    wait_for(f"{address}login/", process)

    second = serve(env, "--port", str(free_port()), "--no-cluster")
    said = second.communicate(timeout=DEADLINE)[0]
    assert second.returncode == 2
    assert said.startswith(
        f"Another serve (process {process.pid}, {address}) uses the data folder"
        f" {tmp_path / 'data'}: "
    )

    for name in ("granian", "qcluster"):
        killed = _child(process, name)
        older = [grandchild.pid for grandchild in killed.children(recursive=True)]
        killed.kill()
        _wait(lambda older=older: not any(_alive(pid) for pid in older))  # type: ignore[misc]
        _wait(
            lambda name=name, killed=killed: (  # type: ignore[misc]
                _child(process, name).pid != killed.pid
            )
        )
    assert "Sign in" in wait_for(f"{address}login/", process)
    _wait(lambda: len(_child(process, "granian").children()) == 1)
    (worker,) = _child(process, "granian").children()
    worker.kill()
    _wait(lambda: not _alive(worker.pid))
    assert "Sign in" in wait_for(f"{address}login/", process)
    _wait(
        lambda: (
            len(_child(process, "qcluster").children(recursive=True))
            == settings.Q_CLUSTER["workers"] + 4
        )
    )

    made = [tmp_path / "data", *(tmp_path / "data").rglob("*")]
    assert {"karen.sqlite3", "karen.sqlite3-wal", "secret_key", "serve.lock", "clusters"} <= {
        path.name for path in made
    }
    assert {oct(path.stat().st_mode & 0o777) for path in made if path.is_dir()} == {"0o700"}
    assert {oct(path.stat().st_mode & 0o777) for path in made if path.is_file()} == {"0o600"}

    family = _family(process)
    process.send_signal(signal.SIGHUP)  # the terminal is closed
    output = process.communicate(timeout=DEADLINE)[0]
    assert process.returncode == 0
    assert not any(_alive(child.pid) for child in family)
    assert "Traceback" not in output
    assert output.count("cannot be written") == output.count("Log files cannot be written") == 1
    assert "The web server was killed by SIGKILL. It is started again in 1 second." in output
    assert "The task cluster was killed by SIGKILL. It is started again in 1 second." in output


@pytest.mark.slow
@pytest.mark.usefixtures("installed")
def test_nothing_is_left_of_it_when_it_is_killed_in_the_middle_of_work(
    env: dict[str, str], port: int, tmp_path: Path, slow_server: str
) -> None:
    builders.gguf(
        tmp_path / "models" / "endless.gguf",
        {"general.architecture": "llama"},
        [("w", "F32", (1 << 20, 1 << 18))],
    )
    (tmp_path / "logs").mkdir(mode=0o755)
    env["KAREN_ENDPOINT_PRIVATE"] = "127.0.0.1"
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
    _wait(lambda: any("discovery.loading" in _command(child) for child in _family(process)))
    family = _family(process)
    process.kill()
    process.wait(DEADLINE)
    _wait(lambda: not any(_alive(child.pid) for child in family))
    assert (tmp_path / "logs").stat().st_mode & 0o777 == 0o700
    assert {oct(path.stat().st_mode & 0o777) for path in (tmp_path / "logs").iterdir()} == {"0o600"}
    # The lock that the dead one left is nobody's.
    again = serve(env, "--port", str(port), "--no-cluster")
    wait_for(f"http://127.0.0.1:{port}/login/", again)


def _damaged(tmp_path: Path) -> dict[str, str]:
    builders.write_text(tmp_path / "data" / "karen.sqlite3", "not a database, " * 500)
    return {}


def _unreadable_secret(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "data" / "secret_key").mkdir(parents=True)
    return {}


def _newer(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "data").mkdir()
    with sqlite3.connect(tmp_path / "data" / "karen.sqlite3") as database:
        database.execute(
            "create table django_migrations (id integer primary key, app text, name text, applied"
            " text)"
        )
        database.execute(
            "insert into django_migrations values (1, 'discovery', '9999_from_the_future',"
            " '2030-01-01')"
        )
    database.close()
    return {}


def _given(name: str, value: str) -> Callable[[Path], dict[str, str]]:
    return lambda _: {name: value}


CANNOT_START = {
    "a damaged database": (_damaged, "is not a database"),
    "a database of a later version": (_newer, "9999_from_the_future"),
    "a secret key that cannot be read": (_unreadable_secret, "secret_key cannot be read"),
    "a folder where no database can be": (
        _given("DATABASE_URL", "sqlite:////nowhere/at/all.sqlite3"),
        "unable to open database file",
    ),
    "a scheme of its own": (
        _given("DATABASE_URL", "foo://u:secret@host/x"),
        "DATABASE_URL cannot be used",
    ),
    "a setting that does not parse": (_given("KAREN_DEBUG", "maybe"), "KAREN_DEBUG is 'maybe'"),
    "a password that is too weak": (
        _given("KAREN_ADMIN_PASSWORD", "123456"),
        "KAREN_ADMIN_PASSWORD cannot be used: This password is too short",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CANNOT_START)
def test_what_keeps_it_from_starting_is_one_line_and_exit_code_two(
    name: str, env: dict[str, str], port: int, tmp_path: Path
) -> None:
    prepare, said = CANNOT_START[name]
    process = serve({**env, **prepare(tmp_path)}, "--port", str(port))
    output = process.communicate(timeout=DEADLINE)[0]
    assert process.returncode == 2, output
    assert len(output.strip().splitlines()) == 1, output
    assert said in output
    assert "secret@" not in output


@pytest.mark.slow
def test_a_database_server_that_is_not_there_is_one_line_and_exit_code_two(
    env: dict[str, str], port: int
) -> None:
    pytest.importorskip("psycopg", reason="the PostgreSQL driver is an extra")
    process = serve(
        {**env, "DATABASE_URL": f"postgres://u:secret@127.0.0.1:{port}/x"}, "--port", str(port)
    )
    output = process.communicate(timeout=DEADLINE)[0]
    assert process.returncode == 2
    assert len(output.strip().splitlines()) == 1
    assert "The database cannot be reached" in output
    assert "secret" not in output


@pytest.mark.slow
def test_a_redis_that_is_not_there_is_one_line_and_exit_code_two(
    env: dict[str, str], port: int
) -> None:
    pytest.importorskip("redis", reason="the Redis library is an extra")
    process = serve({**env, "REDIS_URL": f"redis://127.0.0.1:{port}/0"}, "--port", str(port))
    output = process.communicate(timeout=DEADLINE)[0]
    assert process.returncode == 2
    assert len(output.strip().splitlines()) == 1
    assert "Redis cannot be asked" in output


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_exit_code_two(
    env: dict[str, str], port: int, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k,mode=0700", "tmpfs", str(tmp_path / "data")],
        capture_output=True,
    ).returncode:
        pytest.skip(
            "only root may mount a file system to fill; tests/services/test_failures.py has the"
            " same with SQLite's own bound"
        )
    try:
        process = serve(env, "--port", str(port))
        output = process.communicate(timeout=DEADLINE)[0]
        assert process.returncode == 2
        assert len(output.strip().splitlines()) == 1
        assert output.startswith("The disk of the server is full: nothing can be written")
    finally:
        subprocess.run(["umount", str(tmp_path / "data")], check=True)


@pytest.mark.django_db
def test_a_password_that_the_rules_refuse_makes_no_account_except_for_a_demo(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KAREN_ADMIN_PASSWORD", "admin")
    with pytest.raises(ValidationError):
        _first_administrator(lenient=False)
    assert not User.objects.exists()
    assert _first_administrator(lenient=True) is None
    assert User.objects.get().check_password("admin")
    assert _first_administrator(lenient=False) is None, "there is an account already"


@pytest.mark.django_db
def test_an_empty_password_is_none_and_one_is_made_and_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KAREN_ADMIN_PASSWORD", "")
    password = _first_administrator(lenient=False)
    assert password
    assert User.objects.get().check_password(password)


@pytest.mark.slow
def test_a_demo_runs_in_folders_of_its_own_which_go_with_it(
    env: dict[str, str], port: int, tmp_path: Path
) -> None:
    process = serve(
        {**env, "TMPDIR": str(tmp_path), "KAREN_ADMIN_PASSWORD": "demo"},
        "--port",
        str(port),
        "--demo",
        "--no-cluster",
    )
    wait_for(f"http://127.0.0.1:{port}/login/", process)
    (folder,) = tmp_path.glob("karen-demo-*")
    assert (folder / "var" / "karen.sqlite3").exists()
    process.terminate()
    output = process.communicate(timeout=DEADLINE)[0]
    assert process.returncode == 0
    assert "Traceback" not in output
    assert not folder.exists()


def _family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def _child(process: subprocess.Popen[str], name: str) -> psutil.Process:
    """The child that runs ``name``; while there is none, the parent itself."""
    here = psutil.Process(process.pid)
    return next((child for child in here.children() if name in _command(child)), here)


def _command(child: psutil.Process) -> list[str]:
    """Empty for one that has just ended."""
    try:
        return child.cmdline()
    except psutil.Error:
        return []


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _wait(condition: Callable[[], object]) -> None:
    def holds() -> object:
        with suppress(psutil.NoSuchProcess):
            return condition()
        return False

    until(holds)


def _until(tmp_path: Path, query: str, wanted: int) -> None:
    until(lambda: _scalar(tmp_path, query) == wanted, told=query)


def _scalar(tmp_path: Path, query: str) -> int:
    connection = sqlite3.connect(tmp_path / "data" / "karen.sqlite3", timeout=10)
    try:
        return int(connection.execute(query).fetchone()[0])
    finally:
        connection.close()
