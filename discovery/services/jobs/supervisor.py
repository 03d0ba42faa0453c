"""Keep the processes of ``serve`` running.

A process that exits is restarted, with increasing delays; all of them end with ``serve``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType

import psutil

from discovery import startup
from discovery.engine.core.text import plural

#: Seconds until a process that died is started again: twice as long each time, up to the longest,
#: and from the first again after it has lived for ``HEALTHY`` seconds.
FIRST_WAIT, LONGEST_WAIT, HEALTHY = 1.0, 15.0, 60.0
#: So often in a row may a process fail that nothing works without, as long as it never lived for
#: ``SETTLED`` seconds.
START_TRIES, SETTLED = 3, 10.0
_POLL = 0.1


@dataclass
class Child:
    """``name`` is for people: "the web server".

    ``module`` is what ``python -m`` runs. If a ``vital`` child cannot start, everything ends.
    """

    name: str
    module: Sequence[str]
    vital: bool = False
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    due: float = 0.0
    failures: int = 0
    settled: bool = False

    def start(self, env: dict[str, str], folder: str) -> None:
        command = [sys.executable, "-m", "discovery.startup", str(os.getpid()), *self.module]
        # A session of its own: Ctrl-C reaches the supervisor alone, which then stops its children
        # in order.
        self.process = subprocess.Popen(
            command, env=env, cwd=folder, start_new_session=True, umask=startup.starters_umask()
        )
        self.started = time.monotonic()

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None


class Supervisor:
    """The processes that ``serve`` keeps running.

    ``say`` reports to the terminal what died and when it restarts.
    """

    def __init__(
        self,
        children: Sequence[Child],
        *,
        folder: str,
        say: Callable[[str], object],
        env: dict[str, str],
    ) -> None:
        self.children = list(children)
        self.folder = folder
        self.say = say
        self.env = {**env, "PYTHONUNBUFFERED": "1"}
        self._signals: list[int] = []

    def run(
        self, *, grace: float, while_stopping: Callable[[set[int]], object] = lambda _: None
    ) -> int:
        """Run until a signal comes or a vital child cannot be started.

        Then all are stopped, and what is left after ``grace`` seconds is killed.

        ``while_stopping`` is called a few times a second with the process ids of everything that
        was started. Returns the exit code.
        """
        previous = {number: signal.signal(number, self._stop) for number in _stopping()}
        try:
            for child in self.children:
                child.start(self.env, self.folder)
            while not self._signals:
                for child in self.children:
                    if self._hopeless(child):
                        return 2
                time.sleep(_POLL)
            return 0
        finally:
            self._end(grace, while_stopping)
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        self._signals.append(number)

    def _hopeless(self, child: Child) -> bool:
        """Check one child; return ``True`` when it is vital and does not start."""
        now = time.monotonic()
        if child.process is None:
            if now >= child.due:
                child.start(self.env, self.folder)
            return False
        code = child.process.poll()
        if code is None:
            child.settled = child.settled or now - child.started >= SETTLED
            return False
        _sweep(child.process.pid)
        child.process = None
        child.failures = 1 if now - child.started >= HEALTHY else child.failures + 1
        if (
            child.vital
            and not child.settled
            and not _from_outside(code)
            and child.failures >= START_TRIES
        ):
            self.say(
                f"{child.name} could not be started in {START_TRIES} tries (it {_ended(code)}):"
                " what it said is above. Stopping."
            )
            return True
        wait = min(FIRST_WAIT * 2.0 ** min(child.failures - 1, 10), LONGEST_WAIT)
        child.due = now + wait
        self.say(
            f"{child.name} {_ended(code)}. It is started again in {plural(round(wait), 'second')}."
        )
        return False

    def pids(self) -> set[int]:
        """Of everything that was started here and still runs, grandchildren too."""
        found: set[int] = set()
        for child in self.children:
            if child.process is not None and child.is_running():
                try:
                    found |= {
                        child.process.pid,
                        *(
                            process.pid
                            for process in psutil.Process(child.process.pid).children(
                                recursive=True
                            )
                        ),
                    }
                except psutil.NoSuchProcess:
                    continue
        return found

    def _end(self, grace: float, meanwhile: Callable[[set[int]], object]) -> None:
        pids = self.pids()
        running = [child.process for child in self.children if child.process is not None]
        for process in running:
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + grace
        while any(process.poll() is None for process in running) and time.monotonic() < deadline:
            pids |= self.pids()
            meanwhile(pids)
            time.sleep(_POLL)
        for process in running:
            _sweep(process.pid)
            process.wait()


def _stopping() -> list[int]:
    """The signals that stop everything.

    A terminal that closes sends one too, which ``nohup`` has us ignore.
    """
    numbers: list[int] = [signal.SIGINT, signal.SIGTERM]
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    return numbers


def _ended(code: int) -> str:
    """``ended with exit code 1``, ``was killed by SIGKILL``."""
    if code == 0:
        return "ended"
    return (
        f"ended with exit code {code}"
        if code >= 0
        else f"was killed by {signal.Signals(-code).name}"
    )


def _from_outside(code: int) -> bool:
    """Somebody killed it; it did not fail by itself."""
    return -code in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM))


def _sweep(group: int) -> None:
    """End what is left of a child's process group, including the child."""
    if sys.platform == "win32":
        return
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
