"""Read in a watched thread of its own.

A thread that hangs in the kernel cannot be ended, but it can be abandoned.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from typing import Any, Generic, TypeVar

from discovery.engine.core.heartbeat import CalledOff, Pulse, felt

Answer = TypeVar("Answer")

#: Seconds between looks at a thread that has not answered.
LOOK = 0.05


class Call(Generic[Answer]):
    """A running question; ``future`` holds the result, or what the question raised.

    The question must not touch the database: its thread would open a connection that nobody closes.
    """

    def __init__(self, question: Callable[[], Answer]) -> None:
        self.future: Future[Answer] = Future()
        self.begun = time.monotonic()
        self.ended: float | None = None
        self.pulse = Pulse()
        self._sign = (0, 0, 0)
        self._moved = self._heard = self.begun
        self._thread = threading.Thread(target=self._ask, args=(question,), daemon=True)
        self._thread.start()

    def _ask(self, question: Callable[[], Answer]) -> None:
        try:
            with felt(self.pulse):
                answer = question()
        except CalledOff as error:
            self._end()
            self.future.set_exception(TimeoutError(str(error)))
        except BaseException as error:  # noqa: BLE001  (handed to whoever asked)
            self._end()
            self.future.set_exception(error)
        else:
            self._end()
            self.future.set_result(answer)

    def _end(self) -> None:
        self.ended = time.monotonic()

    @property
    def is_over(self) -> bool:
        return self.future.done()

    @property
    def age(self) -> float:
        return time.monotonic() - self.begun

    def is_over_within(self, seconds: float) -> bool:
        """Wait at most so long until the call has finished."""
        try:
            self.future.exception(max(seconds, 0))
        except NotYet:
            return self.future.done()
        return True

    def call_off(self) -> None:
        """End the reading at the next folder or file, once the current one answers."""
        self.pulse.called_off = True

    def still_for(self) -> float:
        """Return the seconds for which every look has found the call in the same operation.

        It is called often while somebody waits.
        """
        sign, now = self._look(), time.monotonic()
        if sign[0] != self._sign[0]:
            self._heard = now
        if sign != self._sign:
            self._sign, self._moved = sign, now
        return now - self._moved

    def stir(self) -> None:
        """Something was heard of it."""
        self._moved = self._heard = time.monotonic()

    def quiet_for(self) -> float:
        """Return the seconds since the call last showed progress.

        Progress is another folder that was listed or another file that was opened, as one of the
        looks of ``still_for`` found.
        """
        return time.monotonic() - self._heard

    def _look(self) -> tuple[int, int, int]:
        """Return a value that changes with what the thread does.

        It counts the opened files and tells the current place in the code.
        """
        frame = sys._current_frames().get(self._thread.ident or 0)
        return (
            (self.pulse.beats, id(frame.f_code), frame.f_lasti)
            if frame
            else (self.pulse.beats, 0, 0)
        )


def wait_for(calls: Collection[Call[Any]], *, still: float, longest: float) -> list[Call[Any]]:
    """Wait for all calls as long as they make progress.

    Returns those that are not over: in one operation for ``still`` seconds, or too long.
    """
    until, waiting, late = time.monotonic() + longest, list(calls), list[Call[Any]]()
    while waiting:
        waiting[0].is_over_within(min(LOOK, until - time.monotonic()))
        waiting = [call for call in waiting if not call.is_over]
        given_up = [
            call for call in waiting if call.still_for() >= still or time.monotonic() >= until
        ]
        late += given_up
        waiting = [call for call in waiting if call not in given_up]
    return late
