"""The cluster of task workers and its guard, which replaces it when one of its processes is killed.

    guard ── sentinel ── workers, monitor, pusher      (django-q2's, tied together by shared locks)
          └─ housekeeper                               (looks after the jobs of all kinds)

The processes of a cluster wait for each other at locks in shared memory. One that is killed while
it holds a lock leaves it held: the others wait for ever, alive to all appearance. So the guard,
which shares no lock with any of them, ends what is left and starts another cluster.

The housekeeper has a process of its own: it is needed most when no worker is free.
"""

from __future__ import annotations

import logging
import os
import signal
import time
import uuid
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any

import psutil
from django import db
from django.conf import settings
from django.utils.module_loading import import_string
from django_q.cluster import Sentinel, get_mp_context
from django_q.conf import Conf
from django_q.worker import worker as run_worker

from discovery import startup
from discovery.services import jobs
from discovery.services.jobs import process_tree, task_queue

logger = logging.getLogger(__name__)

#: Exit code of a sentinel that has found one of its processes killed.
BROKEN = 75
#: Exit code of the command when the cluster must not start.
REFUSED = 2
#: Seconds between two looks of the guard, and of the housekeeper.
LOOK, HOUSEKEEPING = 0.25, 10.0
#: Seconds between two looks at all processes of the cluster: that reads a file of each process.
ROLL_CALL = 2.0
#: A sentinel that says nothing for so long beside a killed process waits at that one's lock, and
#: one that says nothing for much longer waits for something else that will not come.
STUCK, SILENT = 8.0, 300.0
#: Seconds in which a cluster that is told to stop has to be gone.
GRACE = 6.0
#: A cluster that dies younger than this is started again after a pause, twice as long each time.
YOUNG, FIRST_PAUSE, LONGEST_PAUSE = 20.0, 1.0, 15.0
#: A cluster that is not heard of for so long is dead, and its tasks are put back: where it only is
#: slow they are found begun when they come again.
FORGOTTEN = 8.0

REPLACED = "The workers were replaced while it ran"


class WatchedSentinel(Sentinel):  # type: ignore[misc]
    """Tells the guard that it is alive, and which of its processes was killed."""

    def __init__(self, parent: int, pulse: Any, killed: Any, *arguments: Any) -> None:
        startup.die_with_parent(parent)
        self.guard_pid, self.pulse, self.killed = parent, pulse, killed
        super().__init__(*arguments)

    def start(self) -> None:
        self.broker.holder = self.cluster_id.hex
        super().start()

    def status(self) -> Any:
        """Called in every round of each of its loops."""
        self.pulse.value = time.monotonic()
        if os.getppid() != self.guard_pid:
            os._exit(BROKEN)
        return super().status()

    def spawn_process(self, target: Callable[..., Any], *args: Any) -> BaseProcess:
        process: Any = get_mp_context().Process(
            target=_child, args=(os.getpid(), target, *args), name=f"Process-{uuid.uuid4().hex}"
        )
        process.daemon = True
        if target == run_worker:
            process.daemon = Conf.DAEMONIZE_WORKERS
            process.timer = args[2]
            self.pool.append(process)
        process.start()
        return process  # type: ignore[no-any-return]

    def reincarnate(self, process: Any) -> None:
        if process.exitcode is not None and process.exitcode < 0:
            self.killed.value = process.pid
            os._exit(BROKEN)  # orderly ways out wait at the locks
        super().reincarnate(process)


def _child(parent: int, target: Callable[..., Any], *args: Any) -> None:
    startup.die_with_parent(parent)
    target(*args)


@dataclass
class Cluster:
    """One sentinel with all that it has started."""

    identity: uuid.UUID = field(default_factory=uuid.uuid4)
    began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        context = get_mp_context()
        self.stopping, started = context.Event(), context.Event()
        # Without locks: the guard must never wait for one of them.
        self.pulse = context.RawValue("d", time.monotonic())
        self.killed = context.RawValue("i", 0)
        self.seen: dict[int, psutil.Process] = {}
        self._next_roll_call = 0.0
        db.connections.close_all()
        self.sentinel: Any = context.Process(
            target=WatchedSentinel,
            name=f"Process-{uuid.uuid4().hex}",
            args=(
                os.getpid(),
                self.pulse,
                self.killed,
                self.stopping,
                started,
                self.identity,
                None,
                None,
            ),
        )
        self.sentinel.start()

    @property
    def age(self) -> float:
        return time.monotonic() - self.began

    def look(self) -> str:
        """Why the cluster has to be replaced; empty when it is well."""
        code = self.sentinel.exitcode
        if code is not None:
            return self._ended(code)
        if time.monotonic() >= self._next_roll_call:
            self._call_the_roll()
        silence = time.monotonic() - self.pulse.value
        if silence > STUCK and (dead := self._zombies()):
            self.killed.value = dead[0]
            return f"process {dead[0]} was killed, and the others wait for it"
        return f"it has not been heard of for {silence:.0f} seconds" if silence > SILENT else ""

    def _call_the_roll(self) -> None:
        self._next_roll_call = time.monotonic() + ROLL_CALL
        self.seen |= {process.pid: process for process in process_tree.tree(self.sentinel.pid)}

    def _ended(self, code: int) -> str:
        if code == BROKEN:
            return f"process {self.killed.value} was killed"
        if code < 0:
            return f"its sentinel was killed by {signal.Signals(-code).name}"
        return f"its sentinel ended with status {code}"

    def _zombies(self) -> list[int]:
        found = []
        for process in self.seen.values():
            with suppress(psutil.Error):
                if process.status() == psutil.STATUS_ZOMBIE:
                    found.append(process.pid)
        return found

    def end(self) -> Collection[int]:
        """Kill every process of the cluster at once.

        Returns their ids, without that of a killed one.
        """
        self._call_the_roll()
        process_tree.kill(self.seen.values())
        self.sentinel.join(5)
        return set(self.seen) - {self.killed.value}


class Guard:
    """The process that runs a cluster until it is stopped, and replaces it when it breaks."""

    def __init__(self) -> None:
        self.told_to_stop = False
        self.name = task_queue.name_of()
        self.cluster: Cluster | None = None
        self.housekeeper: Any = None
        self.pause = FIRST_PAUSE

    def run(self, tell: Callable[[str], object]) -> int:
        """Run the guard and return the exit code; ``tell`` receives the sentence of a refusal."""
        previous = {number: signal.signal(number, self._stop) for number in _signals()}
        try:
            while not self.told_to_stop:
                if self.cluster is None and (refusal := self._admitted()):
                    tell(refusal)
                    return REFUSED
                self._watch()
            return 0
        finally:
            self._shut_down()
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self.told_to_stop = True

    def _admitted(self) -> str:
        """Wait for the queue to answer; return why the cluster must not work on it, if so."""
        said = False
        while not self.told_to_stop:
            try:
                if refusal := task_queue.refusal(self.name):
                    return refusal
                task_queue.release_unreadable()
                return ""
            except task_queue.Unreachable as error:
                if not said:
                    logger.warning("the workers wait for the task queue: %s", error)
                said = True
                self._sleep(2)
        return ""

    def _watch(self) -> None:
        if self.told_to_stop:
            return
        if self.housekeeper is None or not self.housekeeper.is_alive():
            self.housekeeper = _start(keep_house, self.name)
        if self.cluster is None:
            self.cluster = Cluster()
        if why := self.cluster.look():
            self._replace(self.cluster, why)
        self._sleep(LOOK)

    def _replace(self, cluster: Cluster, why: str) -> None:
        logger.warning("The task cluster is replaced: %s.", why)
        pids = cluster.end()
        self.cluster = None
        _hand_back(pids, cluster.identity.hex, REPLACED)
        self.pause = min(self.pause * 2, LONGEST_PAUSE) if cluster.age < YOUNG else FIRST_PAUSE
        if cluster.age < YOUNG:
            self._sleep(self.pause / 2)

    def _shut_down(self) -> None:
        """Stop the workers; their jobs end within a second and continue after the next start."""
        if self.housekeeper is not None:
            self.housekeeper.kill()
            self.housekeeper.join()
        if self.cluster is not None:
            cluster, deadline = self.cluster, time.monotonic() + GRACE
            cluster.stopping.set()
            while cluster.sentinel.is_alive() and time.monotonic() < deadline:
                cluster.look()
                _interrupt(set(cluster.seen), jobs.STOPPED_HERE)
                time.sleep(LOOK)
            _hand_back(cluster.end(), cluster.identity.hex, jobs.STOPPED_HERE)
        with suppress(task_queue.Unreachable):  # it ends by itself soon
            task_queue.leave(self.name)

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self.told_to_stop and time.monotonic() < until:
            time.sleep(min(LOOK, seconds))


def _signals() -> list[int]:
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    return [getattr(signal, name) for name in names if hasattr(signal, name)]


def _start(target: Callable[..., Any], *args: Any) -> Any:
    db.connections.close_all()
    process = get_mp_context().Process(target=target, args=(os.getpid(), *args))
    process.start()
    return process


def _interrupt(pids: Collection[int], why: str) -> None:
    try:
        jobs.interrupt_here(pids, why)
    except db.DatabaseError as error:
        logger.warning("jobs cannot be told to stop: %s", error)


def _hand_back(pids: Collection[int], holder: str, why: str) -> None:
    """Release the jobs and tasks of processes that are gone, so that they continue elsewhere.

    What cannot be released now is found by the housekeeper.
    """
    _interrupt(pids, why)
    try:
        jobs.reap_all()
        task_queue.release([holder])
    except (db.DatabaseError, task_queue.Unreachable) as error:
        logger.warning("tasks of dead workers are put back later: %s", error)


def keep_house(parent: int, name: str) -> None:
    """The housekeeper's process: looks after jobs and queue until ``parent`` is gone."""
    startup.die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        signal.signal(number, signal.SIG_DFL)
    house = House(name)
    while os.getppid() == parent:
        house.round()
        time.sleep(HOUSEKEEPING)


class House:
    """Rounds of the housekeeper, with what it has to remember between them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.missed: dict[str, float] = {}

    def round(self) -> None:
        """Run one round; a failure is logged and the next round tries again."""
        for step in (self._key, self._tasks, self._jobs, *map(import_string, settings.CHORES)):
            try:
                step()
            except (db.DatabaseError, task_queue.Unreachable) as error:
                logger.warning("housekeeping: %s", error)
            except Exception:
                logger.exception("housekeeping failed")
            finally:
                db.close_old_connections()

    def _key(self) -> None:
        if refusal := task_queue.refusal(self.name):
            logger.error(refusal)

    def _tasks(self) -> None:
        """Put back the tasks of clusters that have not reported for a while."""
        now, alive = time.monotonic(), task_queue.alive()
        dead = set(task_queue.holders()) - alive
        self.missed = {holder: self.missed.get(holder, now) for holder in dead}
        gone = [holder for holder, since in self.missed.items() if now - since >= FORGOTTEN]
        if count := task_queue.release(gone):
            logger.warning("%s of dead clusters put back into the queue", count)

    def _jobs(self) -> None:
        done = {what: count for what, count in jobs.housekeep().items() if count}
        if done:
            logger.info("housekeeping: %s", done)
