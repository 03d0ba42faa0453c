"""Processes end with their parents, down to the last grandchild, and what they write is their
owner's unless it is the person's.
"""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from django.conf import settings

from discovery import startup
from tests.support.waiting import DEADLINE, until

#: Runs a module as ``serve`` does, and is killed by the test.
PARENT = """
import os, subprocess, sys, time
command = [sys.executable, "-m", "discovery.startup", str(os.getpid()), "family"]
subprocess.Popen(command, start_new_session=True)
time.sleep(300)
"""
#: A child with a child of its own, which has one too: forked, as django-q's and granian's workers
#: are.
FAMILY = """
import multiprocessing, pathlib, os, time
def live(depth):
    pathlib.Path(f"{depth}.pid").write_text(str(os.getpid()))
    if depth:
        multiprocessing.get_context(METHOD).Process(target=live, args=(depth - 1,)).start()
    time.sleep(300)
if __name__ == "__main__":
    live(2)
"""


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    os.umask(before)
    known = startup._umask
    yield
    os.umask(before)
    startup._umask = known


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str, str], subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []

    def begin(family: str, parent: str = PARENT) -> subprocess.Popen[bytes]:
        (tmp_path / "family.py").write_text(family)
        path = os.pathsep.join([str(settings.BASE_DIR), str(tmp_path)])
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", parent], cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}
            )
        )
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.wait()


def _number(path: Path) -> int:
    until(lambda: path.exists() and path.read_text(), told=f"{path.name} was never written")
    return int(path.read_text())


def _is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP, signal.SIGTERM])
def test_children_and_forked_grandchildren_end_with_their_parent(
    start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path, number: int
) -> None:
    parent = start(FAMILY.replace("METHOD", "'fork'"))
    pids = [_number(tmp_path / f"{depth}.pid") for depth in (2, 1, 0)]
    parent.send_signal(number)
    parent.wait(DEADLINE)
    until(lambda: all(_is_gone(pid) for pid in pids))


def test_a_grandchild_ends_with_the_child_between_them_while_the_first_lives_on(
    start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    parent = start(FAMILY.replace("METHOD", "'fork'"))
    eldest, middle, youngest = (_number(tmp_path / f"{depth}.pid") for depth in (2, 1, 0))
    os.kill(middle, signal.SIGKILL)
    until(lambda: _is_gone(youngest))
    assert psutil.pid_exists(eldest)
    assert parent.poll() is None


def test_a_spawned_worker_ends_with_the_process_that_started_it(
    start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    asks = (
        "def live(depth):\n    from discovery import startup\n    startup.die_with_worker_parent()"
    )
    start(
        FAMILY.replace("METHOD", "'spawn'").replace("def live(depth):", asks),
        "import family; family.live(2)",
    )
    eldest, middle, youngest = (_number(tmp_path / f"{depth}.pid") for depth in (2, 1, 0))
    os.kill(middle, signal.SIGKILL)
    until(lambda: _is_gone(youngest))
    assert psutil.pid_exists(eldest)


def test_without_signals_of_the_system_the_parent_is_watched(
    start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    watching = (
        "import os\nfrom discovery import startup\nstartup._libc, startup._POLL = None,"
        " 0.1\nstartup.die_with_parent(os.getppid())\n"
    )
    parent = start(
        watching + FAMILY.replace("METHOD", "'fork'"),
        PARENT.replace('"-m", "discovery.startup", str(os.getpid()), "family"', '"family.py"'),
    )
    eldest = _number(tmp_path / "2.pid")
    parent.kill()
    until(lambda: _is_gone(eldest))


def test_a_parent_that_is_gone_already_ends_the_child_at_once(tmp_path: Path) -> None:
    code = (
        f"from discovery import startup; startup.die_with_parent({os.getpid()});"
        " startup.die_with_parent(1 << 22); print('lived on')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        cwd=settings.BASE_DIR,
    )
    assert (ended.returncode, ended.stdout) == (1, "")


def test_nothing_happens_in_a_process_that_is_no_worker() -> None:
    startup.die_with_worker_parent()


def test_private_files_are_for_their_owner_and_public_ones_as_the_starter_wants_them(
    umask: None, tmp_path: Path
) -> None:
    startup._umask = None
    os.umask(0o027)
    startup.keep_files_private()
    startup.keep_files_private()
    (tmp_path / "own").write_text("")
    assert stat.S_IMODE((tmp_path / "own").stat().st_mode) == 0o600
    assert startup.starters_umask() == 0o027
    assert startup.public_mode(tmp_path / "new") == 0o640
    (tmp_path / "own").chmod(0o664)
    assert startup.public_mode(tmp_path / "own") == 0o664
