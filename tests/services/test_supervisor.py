"""The supervisor: what dies is started again, later each time; what cannot be started is said;
nothing is left at the end.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from django.conf import settings

from discovery.services.jobs import supervisor
from discovery.services.jobs.supervisor import Child, Supervisor
from tests.support.waiting import until

LIVES = "import os, pathlib, sys, time\nopen('lives', 'a').write(f'{os.getpid()}\\n')\n"

Make = Callable[..., Supervisor]


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def make(tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch) -> Make:
    monkeypatch.setattr(supervisor, "FIRST_WAIT", 0.1)
    monkeypatch.setattr(supervisor, "LONGEST_WAIT", 0.2)
    # Seconds that Python takes to start on a busy machine are no healthy life.
    monkeypatch.setattr(supervisor, "SETTLED", 300.0)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(settings.BASE_DIR), str(tmp_path)])}

    def build(source: str, *, vital: bool = True) -> Supervisor:
        (tmp_path / "kid.py").write_text(LIVES + source)
        return Supervisor(
            [Child("The web server", ["kid"], vital=vital)],
            folder=str(tmp_path),
            say=said.append,
            env=env,
        )

    return build


def lives(tmp_path: Path) -> list[int]:
    path = tmp_path / "lives"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def meanwhile(act: Callable[[], object]) -> threading.Thread:
    """Acts beside the supervisor, then stops it as Ctrl-C would."""

    def work() -> None:
        try:
            act()
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_what_is_killed_is_started_again_and_said(
    make: Make, said: list[str], tmp_path: Path
) -> None:
    kept = make("time.sleep(300)")

    def kill_four_times() -> None:
        for number in range(1, 5):
            until(lambda number=number: len(lives(tmp_path)) == number)  # type: ignore[misc]
            os.kill(lives(tmp_path)[-1], signal.SIGKILL)
        until(lambda: len(lives(tmp_path)) == 5)

    thread = meanwhile(kill_four_times)
    assert kept.run(grace=5) == 0
    thread.join()
    assert said == ["The web server was killed by SIGKILL. It is started again in 0 seconds."] * 4
    assert not any(psutil.pid_exists(pid) for pid in lives(tmp_path))


def test_a_vital_child_that_fails_at_once_again_and_again_ends_it(
    make: Make, said: list[str], tmp_path: Path
) -> None:
    assert make("sys.exit(3)").run(grace=5) == 2
    assert len(lives(tmp_path)) == 3
    assert "could not be started in 3 tries (it ended with exit code 3)" in said[-1]


def test_another_child_that_fails_is_tried_for_ever(make: Make, tmp_path: Path) -> None:
    thread = meanwhile(lambda: until(lambda: len(lives(tmp_path)) >= 5))
    assert make("sys.exit(0)", vital=False).run(grace=5) == 0
    thread.join()


def test_waits_grow_to_a_bound_and_begin_anew_after_a_healthy_minute(
    make: Make, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    watched = make("", vital=False)
    monkeypatch.undo()
    child = watched.children[0]
    now = 1_000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)

    class Ended:
        pid = 1 << 22

        def poll(self) -> int:
            return 1

    waits = []
    for lived in (0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, supervisor.HEALTHY + 1, 0.1):
        child.process, child.started = Ended(), now - lived  # type: ignore[assignment]
        watched._hopeless(child)
        waits.append(child.due - now)
    assert waits == [1, 2, 4, 8, 15, 15, 15, 1, 2]


def test_what_does_not_listen_is_killed_when_its_time_is_up(make: Make, tmp_path: Path) -> None:
    deaf = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    stubborn = make(deaf + "if os.fork():\n    open('ready', 'w')\ntime.sleep(300)")
    seen: list[set[int]] = []
    thread = meanwhile(lambda: until((tmp_path / "ready").exists))
    assert stubborn.run(grace=1, while_stopping=lambda pids: seen.append(set(pids))) == 0
    thread.join()
    assert len(seen[-1]) == 2
    until(lambda: not any(psutil.pid_exists(pid) for pid in seen[-1]))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_usual_signals_stop_it(make: Make, tmp_path: Path, number: int) -> None:
    def stop() -> None:
        until(lambda: lives(tmp_path))
        os.kill(os.getpid(), number)

    # Whoever runs the tests under nohup has them ignore what a closed terminal sends.
    before = signal.signal(number, signal.SIG_DFL)
    try:
        thread = threading.Thread(target=stop)
        thread.start()
        assert make("time.sleep(300)").run(grace=5) == 0
        thread.join()
    finally:
        signal.signal(number, before)


def test_under_nohup_a_closed_terminal_stops_nothing(make: Make, tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:

        def hang_up() -> None:
            until(lambda: lives(tmp_path))
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(0.3)
            assert psutil.pid_exists(lives(tmp_path)[0])

        thread = meanwhile(hang_up)
        assert make("time.sleep(300)").run(grace=5) == 0
        thread.join()
        assert len(lives(tmp_path)) == 1
    finally:
        signal.signal(signal.SIGHUP, before)
