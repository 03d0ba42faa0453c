"""What lies under the roots, asked with a time limit: a share that hangs costs a request a second
once, and then nothing.

A root that does not answer is remembered: in this process by the calls that still hang in it, and
for all others in ``Root.silent_since``, unless a page met it: reading writes nothing. While it is
remembered nobody asks it anything but one probe at a time, in the background; when that comes back,
the root is asked again.

Every surface, command and task reaches files through here, or through a thread that somebody
watches (``services.machine.watchdog``).
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
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
from discovery.models import Channel, Root
from discovery.services.core import event_log
from discovery.services.core.reading import only_reads
from discovery.services.machine.watchdog import Call, wait_for

Answer = TypeVar("Answer")

#: Seconds in one and the same operation after which a root is in doubt, and those that it then has
#: to answer a probe.
LIMIT = 1.0
PROBE = 0.3
#: Seconds that anybody waits. Those who wait longer hold threads of the web server: so many of them
#: at most, that others are answered.
EARLY = 0.3
MOST_WAITING = 2
#: Seconds that somebody waits for a reading that goes on, however slowly.
LONGEST = 5.0
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
    """``device`` tells one from another. Free bytes are those that a user may fill."""

    device: int
    total_bytes: int
    free_bytes: int


class Look(NamedTuple):
    """Why a root cannot be scanned, empty when it can, and the file system that it lies on."""

    fault: str
    disk: FileSystem | None


SILENT = Look("it does not answer", None)


class RootSilent(Exception):
    """Nothing was heard of a folder in time.

    ``plain`` says so without its path, for people who are not told it.

    ``hangs`` is false for a reading that goes on and only takes longer than anybody waits.
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


class _Home:
    """What this process knows of one root: the readings under way or kept, the probes, and whether
    it is remembered as silent.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.silent = False
        #: When it last answered a probe.
        self.answered_at: datetime | None = None
        self.calls: dict[Hashable, Call[Any]] = {}
        self.probes: list[Call[Look]] = []
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
        """A call of this key that is under way, or whose late answer nobody has had yet."""
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

    def probe(self) -> Call[Look]:
        """What will tell whether the root answers.

        While one hangs no other is begun, but after a while, and never more than a few.
        """
        with self.door:
            stuck = [probe for probe in self.probes if not probe.is_over]
            if stuck and (
                len(stuck) >= MOST_PROBES or stuck[-1].age < RETRY_SECONDS * 2 ** (len(stuck) - 1)
            ):
                return stuck[-1]
            probe = Call(partial(_look, self.path))
            self.probes = [*stuck, probe]
            return probe


_homes: dict[str, _Home] = {}
_waiting = threading.BoundedSemaphore(MOST_WAITING)
_door = threading.Lock()


def _home(path: str) -> _Home:
    with _door:
        return _homes.setdefault(path, _Home(path))


def forget() -> None:
    """What this process remembers of all roots."""
    with _door:
        _homes.clear()


def within(
    root: Root,
    key: Hashable,
    question: Callable[[], Answer],
    *,
    longest: float = LONGEST,
    keep: bool = True,
) -> Answer:
    """The answer of ``question``, which reads below ``root`` and touches no database.

    What it raises is raised here.

    Raises ``RootSilent`` at once for a root that is remembered as silent; after ``LIMIT`` seconds
    when it hangs; after ``longest`` when it goes on but takes too long. Then the answer is kept for
    whoever asks with the same key again, unless the reading is not to be kept: it ends with the
    file at hand.
    """
    answer = within_each({root: (key, question)}, longest=longest, keep=keep)[root]
    if isinstance(answer, BaseException):
        raise answer
    return answer


def within_each(
    questions: Mapping[Root, tuple[Hashable, Callable[[], Answer]]],
    *,
    longest: float = LONGEST,
    keep: bool = True,
) -> dict[Root, Answer | BaseException]:
    """The same of several roots, all asked at once: whoever hangs holds up no other.

    What a question raises stands in its place.
    """
    began, remembered = time.monotonic(), _silent(questions)
    answers: dict[Root, Answer | BaseException] = {
        root: RootSilent(root.path) for root in remembered
    }
    calls: dict[Root, Call[Answer]] = {}
    for root, (key, question) in questions.items():
        if root not in remembered:
            try:
                calls[root] = _home(root.path).begin(key, question, began + LIMIT)
            except RootSilent as error:
                answers[root] = error
    waited = _wait(calls.values(), longest, lambda: _doubt(calls))
    doubted = [
        root for root, call in calls.items() if not call.is_over and call.still_for() >= LIMIT
    ]
    silent = _unanswering(doubted)
    for root, call in calls.items():
        if not call.is_over:
            answers[root] = (
                RootSilent(root.path, LIMIT)
                if root in doubted
                else RootSilent(root.path, waited, hangs=False)
            )
            if root in silent or not keep:
                call.call_off()
            continue
        _home(root.path).delivered(questions[root][0], call)
        answers[root] = call.future.exception() or call.future.result()
    return answers


def _doubt(calls: Mapping[Root, Call[Any]]) -> None:
    """Begins the probes of those that are late: whether their roots answer is known when the time
    of the calls is up.
    """
    for root, call in calls.items():
        if not call.is_over:
            _home(root.path).probe()


def _wait(
    calls: Iterable[Call[Any]], longest: float, doubt: Callable[[], None] = lambda: None
) -> float:
    """Waits until all are over, or hang, or take too long; returns the seconds that one may take
    here and now.

    ``doubt`` is called when some are late and are waited for.
    """
    early = min(EARLY, longest)
    late = wait_for(list(calls), still=early, longest=early)
    if not late or longest <= early or not _waiting.acquire(blocking=False):
        return early
    doubt()
    try:
        wait_for(late, still=LIMIT, longest=longest - early)
    finally:
        _waiting.release()
    return longest


def elsewhere(
    key: Hashable, question: Callable[[], Answer], path: str, *, longest: float = LONGEST
) -> Answer:
    """The answer of a question about ``path``, which lies under no root as far as one knows.

    Raises as ``within`` does.
    """
    home = _home(ELSEWHERE)
    try:
        call = home.begin(key, question, time.monotonic() + LIMIT)
    except RootSilent:
        raise RootSilent(path) from None
    waited = _wait([call], longest)
    if not call.is_over:
        raise RootSilent(path, LIMIT if call.still_for() >= LIMIT else waited)
    home.delivered(key, call)
    return call.future.result()


def looks(roots: Iterable[Root], seconds: float = LIMIT) -> dict[Root, Look]:
    """Why each root cannot be scanned now, and its disk; all are asked at once.

    Those that are remembered as silent cost no time.
    """
    rows = list(roots)
    probes = {root: _home(root.path).probe() for root in rows}
    young = [
        probe
        for root, probe in probes.items()
        if probe.age < (min(PROBE, seconds) if _home(root.path).silent else seconds)
    ]
    doubted = _wait_for_probes(young, seconds)
    _remember(
        [
            root
            for root, probe in probes.items()
            if not probe.is_over and (doubted or _home(root.path).silent)
        ]
    )
    _welcome([root for root, probe in probes.items() if probe.is_over])
    return {
        root: probe.future.result() if probe.is_over else SILENT for root, probe in probes.items()
    }


def _wait_for_probes(probes: Iterable[Call[Look]], seconds: float) -> bool:
    """``False`` where too many wait already, so that these had less time than they ought to
    have.
    """
    futures = [probe.future for probe in probes]
    early = min(EARLY, seconds)
    if not wait(futures, timeout=early).not_done or seconds <= early:
        return True
    if not _waiting.acquire(blocking=False):
        return False
    try:
        wait(futures, timeout=seconds - early)
    finally:
        _waiting.release()
    return True


def wakes(root: Root) -> bool:
    """Whether a root that did not answer at once does after all: disks that slept take seconds.

    One that hangs for longer is not waited for.
    """
    probe = _home(root.path).probe()
    probe.is_over_within(WAKE_SECONDS - probe.age)
    return looks([root], PROBE)[root] is not SILENT


def places(roots: Iterable[Root]) -> dict[Root, str]:
    """The real folder of each root, links resolved; of one that does not answer its path as it is
    written.
    """
    rows = [root for root in roots if root.path != Root.REMOTE]
    answers = within_each({root: ("place", partial(_place, root.path)) for root in rows})
    return {
        root: answer if isinstance(answer, str) else os.path.join("/", root.path)
        for root, answer in answers.items()
    }


def _place(path: str) -> str:
    return os.path.realpath(to_native("/", path))


def require(root: Root) -> None:
    """Raises ``RootSilent`` when the root does not answer now; a root that cannot be read is
    another matter.
    """
    if looks([root])[root] is SILENT:
        raise RootSilent(root.path)


def _silent(roots: Iterable[Root]) -> set[Root]:
    """Those that are remembered as silent and do not answer now.

    Whoever comes after a while begins the probe that finds out.
    """
    return _unanswering(root for root in roots if is_remembered(root))


def is_remembered(root: Root) -> bool:
    """Whether a root did not answer when it was last asked, as far as this process knows: what the
    database remembers may be older than an answer that was had here. Asks nobody.
    """
    home, since = _home(root.path), root.silent_since
    return home.silent or (
        since is not None and not (home.answered_at is not None and home.answered_at > since)
    )


def remembered_here() -> list[str]:
    """Paths that did not answer this process when it last asked."""
    with _door:
        return [path for path, home in _homes.items() if home.silent and path != ELSEWHERE]


def _unanswering(roots: Iterable[Root]) -> set[Root]:
    """Those whose probe does not come back in ``PROBE`` seconds; remembered from now on, as the
    others are remembered no more.
    """
    rows = list(roots)
    if not rows:
        return set()
    looked = looks(rows, PROBE)
    return {root for root in rows if looked[root] is SILENT}


def _remember(roots: Iterable[Root]) -> None:
    for root in roots:
        _home(root.path).silent = True
        if root.pk is None or root.silent_since is not None or only_reads():
            continue
        root.silent_since = timezone.now()
        if Root.objects.filter(pk=root.pk, silent_since=None).update(
            silent_since=root.silent_since
        ):
            text = "the root does not answer: it is left alone until it does"
            event_log.record(Channel.DISCOVERY, Severity.WARNING, text, path=root.path)


def _welcome(roots: Iterable[Root]) -> None:
    """They answer, if only with an error."""
    for root in roots:
        home = _home(root.path)
        home.silent, home.answered_at = False, timezone.now()
        if root.silent_since is None or only_reads():
            continue
        root.silent_since = None
        if Root.objects.filter(pk=root.pk).exclude(silent_since=None).update(silent_since=None):
            event_log.record(
                Channel.DISCOVERY, Severity.INFO, "the root answers again", path=root.path
            )


def _look(path: str) -> Look:
    folder = Path(to_native("/", path))
    try:
        os.scandir(folder).close()
        usage = shutil.disk_usage(folder)
        return Look("", FileSystem(folder.stat().st_dev, usage.total, usage.free))
    except FileNotFoundError:
        return Look("the folder is not there", None)
    except NotADirectoryError:
        return Look("it is not a folder", None)
    except OSError as error:
        return Look(f"it cannot be read: {error.strerror}", None)
