"""Ask things that may never answer: network drives, GPU drivers, a broker on another machine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future, wait
from typing import Any, TypeVar

Key = TypeVar("Key", bound=Hashable)
Answer = TypeVar("Answer")

_asked: dict[Hashable, Future[Any]] = {}
_door = threading.Lock()


def ask(questions: Mapping[Key, Callable[[], Answer]], seconds: float) -> dict[Key, Answer]:
    """Ask all questions at once, each in a thread, and return the answers within ``seconds``.

    What a question raises is raised here.

    A thread that hangs in the kernel cannot be ended. While one does, its question is not asked
    again: pages that ask every few seconds would pile up threads. Askers of the same key share one
    answer.
    """
    open_ones = {key: _begin(key, question) for key, question in questions.items()}
    done, _ = wait(open_ones.values(), timeout=seconds)
    with _door:
        for key, future in open_ones.items():
            if future in done and _asked.get(key) is future:
                del _asked[key]  # only what hangs has to be remembered
    return {key: future.result() for key, future in open_ones.items() if future in done}


def forget() -> None:
    """Make the next caller ask again even if an earlier question still hangs."""
    with _door:
        _asked.clear()


def _begin(key: Hashable, question: Callable[[], Any]) -> Future[Any]:
    with _door:
        earlier = _asked.get(key)
        if earlier is not None and not earlier.done():
            return earlier
        future = _asked[key] = Future()
    threading.Thread(target=_answer, args=(future, question), daemon=True).start()
    return future


def _answer(future: Future[Any], question: Callable[[], Any]) -> None:
    try:
        future.set_result(question())
    except BaseException as error:  # noqa: BLE001  (handed to whoever asked)
        future.set_exception(error)
