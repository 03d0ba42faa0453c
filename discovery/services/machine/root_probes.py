"""Whether the roots answer.

A root that does not answer is remembered: in this process by the calls that still hang in it, and
for all others in ``Root.silent_since``, unless a page met it: reading writes nothing. While it is
remembered, nothing is read below it; one probe at a time runs in the background, and when it comes
back, the root is read again.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import wait
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from django.utils import timezone

from discovery.engine.core.paths import to_native, to_text
from discovery.engine.core.text import plural
from discovery.engine.core.vocabulary import Severity
from discovery.models import LogTopic, Root
from discovery.services.core import event_log
from discovery.services.core.reading import only_reads
from discovery.services.machine.watchdog import Call

Answer = TypeVar("Answer")

#: Seconds in one and the same operation after which a root is in doubt, and those that it then has
#: to answer a probe.
LIMIT = 1.0


PROBE = 0.3


#: Seconds that anybody waits. Those who wait longer hold threads of the web server: so many of them
#: at most, that others are answered.
EARLY = 0.3


MOST_WAITING = 2


#: Seconds that a disk has to wake up before a scan leaves it out.
WAKE_SECONDS = 10.0


#: A late answer is kept so long for whoever asks again.
KEPT_SECONDS = 60.0


#: Readings of one root that may hang in one process; more are not begun.
MOST_STUCK = 4


#: A probe that hangs is left after so long for another one, each time twice as long: a share may be
#: mounted anew beneath it.
RETRY_SECONDS = 60.0


MOST_PROBES = 3


#: What lies under no root: asked for by people who type paths.
ELSEWHERE = ""


@dataclass(frozen=True, slots=True)
class FileSystem:
    """One file system; ``device`` identifies it, and free bytes are those that a user may fill."""

    device: int
    total_bytes: int
    free_bytes: int


class ProbeResult(NamedTuple):
    """Why a root cannot be scanned (empty when it can), and its file system."""

    fault: str
    disk: FileSystem | None


SILENT = ProbeResult("it does not answer", None)


class RootSilent(Exception):
    """Nothing was heard of a folder in time.

    ``plain`` is the message without the path, for people who may not see it.

    ``hangs`` is false for a reading that makes progress and only takes longer than anybody waits.
    """

    def __init__(self, path: str, seconds: float = LIMIT, *, hangs: bool = True) -> None:
        shown = to_text(path)
        super().__init__(
            f"The folder {shown} did not answer within {_seconds(seconds)}. A network drive may be"
            " away or overloaded."
        )
        self.path, self.hangs = shown, hangs
        self.plain = (
            f"The folder that holds this did not answer within {_seconds(seconds)}. Try again in a"
            " moment."
        )


def _seconds(seconds: float) -> str:
    return plural(int(seconds), "second") if seconds == int(seconds) else f"{seconds:g} seconds"


class RootCalls:
    """What this process knows about one root.

    These are its running and cached readings, its probes, and whether it is remembered as silent.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.silent = False
        #: When it last answered a probe.
        self.answered_at: datetime | None = None
        self.calls: dict[Hashable, Call[Any]] = {}
        self.probes: list[Call[ProbeResult]] = []
        self.door = threading.Lock()
        self.slots = threading.BoundedSemaphore(MOST_STUCK)

    def begin(self, key: Hashable, question: Callable[[], Answer], until: float) -> Call[Answer]:
        """Askers of the same key share one call.

        Raises ``RootSilent`` where it hangs already, or too much else does.
        """
        known = self._known(key)
        if known is not None:
            return known
        if not self.slots.acquire(timeout=max(until - time.monotonic(), 0)):
            raise RootSilent(self.path)

        def asked() -> Answer:
            try:
                return question()
            finally:
                self.slots.release()

        call = Call(asked)
        with self.door:
            self.calls[key] = call
        return call

    def _known(self, key: Hashable) -> Call[Any] | None:
        """Return a call of this key that is running, or whose late result has not been used yet."""
        with self.door:
            ended = [
                other
                for other, call in self.calls.items()
                if call.ended and time.monotonic() - call.ended > KEPT_SECONDS
            ]
            for other in ended:
                del self.calls[other]
            known = self.calls.get(key)
            if known is None or (known.pulse.called_off and known.is_over):
                return None
            if not known.is_over and known.age > LIMIT and known.still_for() > LIMIT:
                raise RootSilent(self.path)
            return known

    def delivered(self, key: Hashable, call: Call[Any]) -> None:
        with self.door:
            if self.calls.get(key) is call:
                del self.calls[key]

    def probe(self) -> Call[ProbeResult]:
        """What will tell whether the root answers.

        While one hangs no other is started at once, but only after a while, and never more than a
        few.
        """
        with self.door:
            stuck = [probe for probe in self.probes if not probe.is_over]
            if stuck and (
                len(stuck) >= MOST_PROBES or stuck[-1].age < RETRY_SECONDS * 2 ** (len(stuck) - 1)
            ):
                return stuck[-1]
            probe = Call(partial(_probe, self.path))
            self.probes = [*stuck, probe]
            return probe


_homes: dict[str, RootCalls] = {}


waiters = threading.BoundedSemaphore(MOST_WAITING)


_door = threading.Lock()


def calls_of(path: str) -> RootCalls:
    with _door:
        return _homes.setdefault(path, RootCalls(path))


def forget() -> None:
    """What this process remembers of all roots."""
    with _door:
        _homes.clear()


def probe_roots(roots: Iterable[Root], seconds: float = LIMIT) -> dict[Root, ProbeResult]:
    """Why each root cannot be scanned now, and its disk; all are asked at once.

    Those that are remembered as silent cost no time.
    """
    rows = list(roots)
    probes = {root: calls_of(root.path).probe() for root in rows}
    young = [
        probe
        for root, probe in probes.items()
        if probe.age < (min(PROBE, seconds) if calls_of(root.path).silent else seconds)
    ]
    doubted = _wait_for_probes(young, seconds)
    _remember(
        [
            root
            for root, probe in probes.items()
            if not probe.is_over and (doubted or calls_of(root.path).silent)
        ]
    )
    _welcome([root for root, probe in probes.items() if probe.is_over])
    return {
        root: probe.future.result() if probe.is_over else SILENT for root, probe in probes.items()
    }


def _wait_for_probes(probes: Iterable[Call[ProbeResult]], seconds: float) -> bool:
    """Wait for the probes; return ``False`` where they had less time than they should.

    That happens where too many threads wait already.
    """
    futures = [probe.future for probe in probes]
    early = min(EARLY, seconds)
    if not wait(futures, timeout=early).not_done or seconds <= early:
        return True
    if not waiters.acquire(blocking=False):
        return False
    try:
        wait(futures, timeout=seconds - early)
    finally:
        waiters.release()
    return True


def wakes(root: Root) -> bool:
    """Whether a root that did not answer at once does after all: disks that slept take seconds.

    One that hangs for longer is not waited for.
    """
    probe = calls_of(root.path).probe()
    probe.is_over_within(WAKE_SECONDS - probe.age)
    return probe_roots([root], PROBE)[root] is not SILENT


def require(root: Root) -> None:
    """Raise ``RootSilent`` when the root does not answer now.

    A root that cannot be read is a different case.
    """
    if probe_roots([root])[root] is SILENT:
        raise RootSilent(root.path)


def silent_among(roots: Iterable[Root]) -> set[Root]:
    """Those that are remembered as silent and do not answer now.

    The next caller after a while starts the probe that finds out.
    """
    return unanswering(root for root in roots if is_remembered(root))


def is_remembered(root: Root) -> bool:
    """Return whether a root did not answer the last time, as far as this process knows.

    The database may be older than an answer that this process got. The root is not probed.
    """
    home, since = calls_of(root.path), root.silent_since
    return home.silent or (
        since is not None and not (home.answered_at is not None and home.answered_at > since)
    )


def remembered_here() -> list[str]:
    """Paths that did not answer this process when it last asked."""
    with _door:
        return [path for path, home in _homes.items() if home.silent and path != ELSEWHERE]


def unanswering(roots: Iterable[Root]) -> set[Root]:
    """Return the roots whose probe does not answer within ``PROBE`` seconds.

    They are remembered as silent from now on, and the others no longer are.
    """
    rows = list(roots)
    if not rows:
        return set()
    looked = probe_roots(rows, PROBE)
    return {root for root in rows if looked[root] is SILENT}


def _remember(roots: Iterable[Root]) -> None:
    for root in roots:
        calls_of(root.path).silent = True
        if root.pk is None or root.silent_since is not None or only_reads():
            continue
        root.silent_since = timezone.now()
        if Root.objects.filter(pk=root.pk, silent_since=None).update(
            silent_since=root.silent_since
        ):
            text = "the root does not answer: it is left alone until it does"
            event_log.record(LogTopic.DISCOVERY, Severity.WARNING, text, path=root.path)


def _welcome(roots: Iterable[Root]) -> None:
    """They answer, if only with an error."""
    for root in roots:
        home = calls_of(root.path)
        home.silent, home.answered_at = False, timezone.now()
        if root.silent_since is None or only_reads():
            continue
        root.silent_since = None
        if Root.objects.filter(pk=root.pk).exclude(silent_since=None).update(silent_since=None):
            event_log.record(
                LogTopic.DISCOVERY, Severity.INFO, "the root answers again", path=root.path
            )


def _probe(path: str) -> ProbeResult:
    folder = Path(to_native("/", path))
    try:
        os.scandir(folder).close()
        usage = shutil.disk_usage(folder)
        return ProbeResult("", FileSystem(folder.stat().st_dev, usage.total, usage.free))
    except FileNotFoundError:
        return ProbeResult("the folder is not there", None)
    except NotADirectoryError:
        return ProbeResult("it is not a folder", None)
    except OSError as error:
        return ProbeResult(f"it cannot be read: {error.strerror}", None)
