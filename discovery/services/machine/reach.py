"""Reading below the roots with a time limit.

A share that hangs costs a request a second once, and then nothing (see ``root_probes``). Every
surface, command and task reads files through this module, or through a thread that somebody
watches (``watchdog``).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar

from discovery.engine.core.paths import to_native
from discovery.models import Root
from discovery.services.machine.root_probes import (
    EARLY,
    ELSEWHERE,
    LIMIT,
    RootSilent,
    calls_of,
    silent_among,
    unanswering,
    waiters,
)
from discovery.services.machine.watchdog import Call, wait_for

Answer = TypeVar("Answer")

#: Seconds that somebody waits for a reading that goes on, however slowly.
LONGEST = 5.0


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
    when it hangs; after ``longest`` when it makes progress but takes too long. The result is then
    kept for the next call with the same key, unless the reading is not to be kept: it ends with the
    current file.
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
    """Ask several roots at once, so that one that hangs does not delay the others.

    What a question raises stands in its place.
    """
    began, remembered = time.monotonic(), silent_among(questions)
    answers: dict[Root, Answer | BaseException] = {
        root: RootSilent(root.path) for root in remembered
    }
    calls: dict[Root, Call[Answer]] = {}
    for root, (key, question) in questions.items():
        if root not in remembered:
            try:
                calls[root] = calls_of(root.path).begin(key, question, began + LIMIT)
            except RootSilent as error:
                answers[root] = error
    waited = _wait(calls.values(), longest, lambda: _doubt(calls))
    doubted = [
        root for root, call in calls.items() if not call.is_over and call.still_for() >= LIMIT
    ]
    silent = unanswering(doubted)
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
        calls_of(root.path).delivered(questions[root][0], call)
        answers[root] = call.future.exception() or call.future.result()
    return answers


def _doubt(calls: Mapping[Root, Call[Any]]) -> None:
    """Start the probes of the roots of late calls.

    Whether these roots answer is then known when the time of the calls is up.
    """
    for root, call in calls.items():
        if not call.is_over:
            calls_of(root.path).probe()


def _wait(
    calls: Iterable[Call[Any]], longest: float, doubt: Callable[[], None] = lambda: None
) -> float:
    """Wait until all calls have finished, hang or take too long.

    Returns the seconds that one may take here and now.

    ``doubt`` is called when some are late and are waited for.
    """
    early = min(EARLY, longest)
    late = wait_for(list(calls), still=early, longest=early)
    if not late or longest <= early or not waiters.acquire(blocking=False):
        return early
    doubt()
    try:
        wait_for(late, still=LIMIT, longest=longest - early)
    finally:
        waiters.release()
    return longest


def elsewhere(
    key: Hashable, question: Callable[[], Answer], path: str, *, longest: float = LONGEST
) -> Answer:
    """The result of a question about ``path``, which is under no known root.

    Raises as ``within`` does.
    """
    home = calls_of(ELSEWHERE)
    try:
        call = home.begin(key, question, time.monotonic() + LIMIT)
    except RootSilent:
        raise RootSilent(path) from None
    waited = _wait([call], longest)
    if not call.is_over:
        raise RootSilent(path, LIMIT if call.still_for() >= LIMIT else waited)
    home.delivered(key, call)
    return call.future.result()


def places(roots: Iterable[Root]) -> dict[Root, str]:
    """Return the real folder of each root, with links resolved.

    A root that does not answer has its path as written.
    """
    rows = [root for root in roots if root.path != Root.REMOTE]
    answers = within_each({root: ("place", partial(_place, root.path)) for root in rows})
    return {
        root: answer if isinstance(answer, str) else os.path.join("/", root.path)
        for root, answer in answers.items()
    }


def _place(path: str) -> str:
    return os.path.realpath(to_native("/", path))
