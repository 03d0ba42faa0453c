"""``qcluster``: replaced when one of its processes is killed, gone with its guard, refused with
another key.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from django.conf import settings

from tests.support import builders
from tests.support.waiting import DEADLINE, until

#: Processes of a cluster: the sentinel with its workers, monitor and pusher, and the housekeeper.
WHOLE = int(settings.Q_CLUSTER["workers"]) + 4

_ASK = """
from discovery.models import ScanRun
from discovery.services import scans
print(scans.request(ScanRun.Trigger.PAGE)[0].pk)
"""


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> dict[str, str]:
    """One installation for all tests here."""
    tmp_path = tmp_path_factory.mktemp("qcluster")
    places = {"DATA": "data", "LOGS": "logs", "CONFIG": "config", "MODELS": "models"}
    here = {f"KAREN_{name}_DIR": str(tmp_path / place) for name, place in places.items()}
    found = {**os.environ, **here, "DJANGO_SETTINGS_MODULE": "karen_admin.settings"}
    for name in ("DATABASE_URL", "REDIS_URL"):
        found.pop(name, None)
    builders.transformers(tmp_path / "models" / "a")
    (tmp_path / "data").mkdir(mode=0o700)
    shutil.copy(migrated, tmp_path / "data" / "karen.sqlite3")
    return found


def manage(env: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), *arguments]
    ended = subprocess.run(command, env=env, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def start(env: dict[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "qcluster"]
    return subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def guard(env: dict[str, str]) -> Iterator[psutil.Process]:
    process = start(env)
    whole = psutil.Process(process.pid)
    try:
        until(lambda: len(alive(whole)) == WHOLE)
        yield whole
    finally:
        left = alive(whole)
        process.terminate()
        process.communicate(timeout=DEADLINE)
        assert not [each for each in left if _runs(each)], "all of it is gone with it"


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def alive(top: psutil.Process) -> list[psutil.Process]:
    """The sentinel with workers, monitor and pusher, and the housekeeper."""
    try:
        return [each for each in top.children(recursive=True) if _runs(each)]
    except psutil.NoSuchProcess:
        return []


def parts(guard: psutil.Process) -> dict[str, list[psutil.Process]]:
    """{role: processes}: the sentinel has children, which it starts in a known order."""
    sentinel = next(each for each in guard.children() if each.children())
    *workers, monitor, pusher = sorted(sentinel.children(), key=lambda each: each.pid)
    house = [each for each in guard.children() if each.pid != sentinel.pid]
    return {
        "workers": workers[:2], "monitor": [monitor], "pusher": [pusher],
        "sentinel": [sentinel], "housekeeper": house,
    }  # fmt: skip


def ask_for_a_scan(env: dict[str, str]) -> int:
    return int(manage(env, "shell", "-v0", "-c", _ASK))


def state(env: dict[str, str], scan: int) -> str:
    connection = sqlite3.connect(Path(env["KAREN_DATA_DIR"]) / "karen.sqlite3", timeout=10)
    try:
        query = "select state from discovery_scanrun where id = ?"
        return str(connection.execute(query, (scan,)).fetchone()[0])
    finally:
        connection.close()


@pytest.mark.slow
def test_work_goes_on_whichever_process_is_killed_while_it_waits(
    env: dict[str, str], guard: psutil.Process
) -> None:
    """One of the workers waits for a task with the queue's lock in its hands."""
    for role in ("workers", "monitor", "pusher", "sentinel", "housekeeper"):
        before = {each.pid for each in alive(guard)}
        killed = parts(guard)[role]
        for each in killed:
            each.kill()
        scan = ask_for_a_scan(env)
        until(lambda scan=scan: state(env, scan) == "done")  # type: ignore[misc]
        until(lambda: len(alive(guard)) == WHOLE)
        kept = before & {each.pid for each in alive(guard)}
        assert len(kept) == (WHOLE - 1 if role == "housekeeper" else 1), role


@pytest.mark.slow
def test_nothing_of_it_is_left_when_its_guard_is_killed(env: dict[str, str]) -> None:
    process = start(env)
    whole = psutil.Process(process.pid)
    until(lambda: len(alive(whole)) == WHOLE)
    left = alive(whole)
    process.kill()
    process.communicate(timeout=DEADLINE)
    until(lambda: not any(map(_runs, left)))


@pytest.mark.slow
def test_one_with_another_key_is_refused_with_a_sentence_and_takes_no_task(
    env: dict[str, str], guard: psutil.Process
) -> None:
    guard.send_signal(signal.SIGSTOP)  # the first one is busy
    sentinel = parts(guard)["sentinel"][0]
    for each in sentinel.children():
        each.send_signal(signal.SIGSTOP)
    try:
        scan = ask_for_a_scan(env)
        other = start({**env, "KAREN_SECRET_KEY": "another key" * 6})
        told = other.communicate(timeout=DEADLINE)[1]
        assert other.returncode == 2
        assert len(told.strip().splitlines()) == 1
        assert "with another secret key" in told
        assert state(env, scan) == "queued"
    finally:
        for each in sentinel.children():
            each.send_signal(signal.SIGCONT)
        guard.send_signal(signal.SIGCONT)
    until(lambda: state(env, scan) == "done")
