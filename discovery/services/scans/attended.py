"""Read the disk for a background job in watched threads.

A share that hangs is abandoned, and the job continues.

Meanwhile the job reports that it is alive, and learns when it is to stop, however long one file
takes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, TypeVar, cast

from discovery.engine.core.heartbeat import beat
from discovery.models import Root
from discovery.services.machine import root_probes
from discovery.services.machine.root_probes import RootSilent
from discovery.services.machine.watchdog import Call

T = TypeVar("T")

#: Seconds without a folder listed or a file opened after which a root is in doubt: disks that slept
#: and tapes take their time.
STALL = 30.0
#: Seconds between questions to a root that is in doubt.
DOUBT = 5.0
#: Seconds between ticks while nothing comes.
TICK = 0.3

_END = object()


def attended(items: Iterator[T], root: Root, tick: Callable[[], None]) -> Iterator[T]:
    """Yield ``items``, each fetched in a thread; call ``tick`` while waiting for one.

    The items read below ``root`` and do not use the database.

    Raises ``RootSilent``, and whatever ``tick`` or the items raise. The generator is then abandoned
    where it hangs.
    """
    while (
        item := patiently(root, cast("Callable[[], Any]", partial(next, items, _END)), tick)
    ) is not _END:
        yield item


def patiently(
    root: Root, question: Callable[[], T], tick: Callable[[], None], errands: Errands | None = None
) -> T:
    """The answer to one question of that kind.

    What it has to tell the database on its way, it has done here by ``errands``.
    """
    errands = errands or Errands()
    call = Call(question)
    call.future.add_done_callback(lambda _: errands.over())
    try:
        _attend(call, root, tick, errands)
    except BaseException:
        call.call_off()
        raise
    return call.future.result()


class Errands:
    """Calls from the thread that reads to the one that waits for it.

    The waiting thread owns the connection to the database.
    """

    def __init__(self) -> None:
        self._queue: SimpleQueue[tuple[Callable[[], None], Future[None]] | None] = SimpleQueue()

    def run(self, errand: Callable[[], None]) -> None:
        """Called by the thread that reads. What the errand raises is raised here."""
        beat()
        done: Future[None] = Future()
        self._queue.put((errand, done))
        done.result()

    def over(self) -> None:
        self._queue.put(None)

    def do_one(self, seconds: float) -> bool:
        """Run the next errand, if there is one in time; called by the waiting thread.

        ``False`` when none came.
        """
        try:
            asked = self._queue.get(timeout=seconds)
        except Empty:
            return False
        if asked is not None:
            errand, done = asked
            try:
                errand()
            except BaseException as error:  # noqa: BLE001  (raised where it was asked for)
                done.set_exception(error)
            else:
                done.set_result(None)
        return True


def _attend(call: Call[Any], root: Root, tick: Callable[[], None], errands: Errands) -> None:
    asked = 0.0
    while not call.is_over:
        if errands.do_one(TICK):
            call.stir()
            continue
        tick()
        still = call.still_for()
        if call.quiet_for() < STALL:
            continue
        if still >= STALL:
            raise RootSilent(root.path, STALL)
        if time.monotonic() - asked >= DOUBT:
            if root.pk is not None and root_probes.probe_roots([root])[root] is root_probes.SILENT:
                raise RootSilent(root.path, STALL)
            asked = time.monotonic()
