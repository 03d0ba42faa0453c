"""Asking a plugin about paths during a scan, in its child process and within its limits."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils import timezone

from discovery.engine.core.heartbeat import beat
from discovery.engine.core.path_reader import PathFailed, PathSession
from discovery.engine.core.text import clean
from discovery.loading.plugin_host import PluginFailed, PluginProcess
from discovery.loading.plugin_messages import Source

#: Failures in a row after which a plugin is switched off.
MOST_FAILURES = 5
#: Seconds that a plugin may take of one scan of a root; the next scan goes on with the rest.
SCAN_SECONDS = 300.0
#: Failures of one scan that are told one by one.
MOST_KEPT = 100


@dataclass(frozen=True, slots=True)
class PluginReader:
    """What the engine asks: see ``engine.core.path_reader``."""

    key: str
    label: str
    source: Source
    suffixes: tuple[str, ...]
    digest: str

    def session(self, root: str) -> PathSession:
        return PluginSession(self, root)


@dataclass(frozen=True, slots=True)
class Failure:
    """``path`` is absolute. ``is_told``: a model that was read has it among its problems."""

    at: datetime
    path: str
    reason: str
    is_told: bool


@dataclass
class PluginSession:
    """The questions of one scan of ``root`` to one plugin.

    It never raises what a plugin does: failures are kept, and after ``MOST_FAILURES`` in a row the
    plugin is asked nothing more.
    """

    reader: PluginReader
    root: str
    failures: list[Failure] = field(default_factory=list)
    failed: int = 0
    #: Since the last good answer to the same question. A model that was read well is one to both.
    failed_claims: int = 0
    failed_reads: int = 0
    had_success: bool = False
    seconds: float = 0.0
    unasked: int = 0
    _process: PluginProcess | None = None

    @property
    def in_a_row(self) -> int:
        return max(self.failed_claims, self.failed_reads)

    @property
    def is_off(self) -> bool:
        return self.in_a_row >= MOST_FAILURES

    @property
    def is_over(self) -> bool:
        """Whether its time in this scan is used up."""
        return self.seconds >= SCAN_SECONDS

    def claims(self, paths: Sequence[str]) -> list[bool | None]:
        wanted = [path for path in paths if self._may_be(path)]
        answers = dict(zip(wanted, self._ask("claim", wanted), strict=True))
        given = (answers.get(path, False) for path in paths)
        return [None if isinstance(each, PathFailed) else each for each in given]

    def _may_be(self, path: str) -> bool:
        return not self.reader.suffixes or path.endswith(self.reader.suffixes)

    def read(self, paths: Sequence[str]) -> Iterator[Any | PathFailed]:
        return self._ask("read", paths)

    def object_to(self, path: str, reason: str) -> None:
        self.failed_reads += 1
        self._note(path, reason, is_told=True)

    def _note(self, path: str, reason: str, *, is_told: bool = False) -> None:
        self.failed += 1
        if len(self.failures) < MOST_KEPT:
            self.failures.append(Failure(timezone.now(), path, clean(reason, 500), is_told))

    def approve(self) -> None:
        self.failed_claims, self.failed_reads, self.had_success = 0, 0, True

    def rest(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.close()

    def _ask(self, about: str, paths: Sequence[str]) -> Iterator[Any]:
        """An answer for each path, or the ``PathFailed`` that says why there is none."""
        done = 0
        while done < len(paths):
            if self.is_off or self.is_over:
                self.unasked += len(paths) - done
                reason = "it failed too often" if self.is_off else "its time was used up"
                yield from (PathFailed(f"{reason}.", asked=False) for _ in paths[done:])
                return
            # What fails with the process gone is the path that was asked about last.
            for answer in self._answers(about, paths[done:]):
                done += 1
                yield answer
                if self.is_off or self.is_over:
                    break

    def _answers(self, about: str, paths: Sequence[str]) -> Iterator[Any]:
        """Until the process is gone, whose end is the answer about one path."""
        started, answered = time.monotonic(), 0
        try:
            if self._process is None:
                self._process = PluginProcess(
                    self.reader.source, [os.path.realpath(self.root), self.root], tick=beat
                )
                self._process.__enter__()
            for answer in self._process.ask(about, paths):
                self.seconds += time.monotonic() - started
                yield self._judged(about, paths[answered], answer)
                answered += 1
                started = time.monotonic()
        except (PluginFailed, OSError) as error:
            self.seconds += time.monotonic() - started
            self.rest()
            yield self._failed(about, paths[answered], str(error))

    def _judged(self, about: str, path: str, answer: dict[str, Any]) -> Any:
        if "error" in answer:
            return self._failed(about, path, str(answer["error"]))
        value = answer["value"]
        if about == "read":
            return value  # who reads it approves of it
        if value is not None and not isinstance(value, bool):
            return self._failed(about, path, "can_handle must return True or False.")
        self.failed_claims = 0
        return bool(value)

    def _failed(self, about: str, path: str, reason: str) -> PathFailed:
        self.failed_claims += about == "claim"
        self.failed_reads += about == "read"
        self._note(path, reason)
        return PathFailed(clean(reason, 500))
