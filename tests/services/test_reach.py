"""Asking what lies under the roots: nobody waits for a share that hangs, and its threads do not
pile up.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from discovery.models import LogEntry, Root
from discovery.services.machine import reach, root_probes, root_states
from discovery.services.machine.root_probes import RootSilent
from tests.hanging import hanging
from tests.support.patience import as_shipped
from tests.support.waiting import DEADLINE, until


@pytest.fixture
def make_root(db: None, tmp_path: Path) -> Callable[[str], Root]:
    def make(name: str) -> Root:
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("here")
        return Root.objects.create(path=str(tmp_path / name))

    return make


Make = Callable[[str], Root]

#: Questions to a root that is known to hang: if each waited for it, they would take minutes.
MANY = 300


def read(root: Root) -> Callable[[], str]:
    return lambda: Path(root.path, "file").read_text()


def heard(root: Root) -> str:
    try:
        return reach.within(root, "file", read(root))
    except RootSilent:
        return ""


def test_an_answer_and_an_error_come_through(make_root: Make) -> None:
    root = make_root("a")
    assert reach.within(root, "file", read(root)) == "here"
    Path(root.path, "file").unlink()
    with pytest.raises(FileNotFoundError):
        reach.within(root, "file", read(root))


def test_a_root_that_hangs_is_given_up_in_time_and_then_skipped_at_once(make_root: Make) -> None:
    root = make_root("a")
    with hanging(root.path) as held:
        started = time.monotonic()
        with pytest.raises(RootSilent, match=r"did not answer within 1 second\."):
            reach.within(root, "file", read(root))
        assert 1 <= time.monotonic() - started < DEADLINE
        asked, started = held.asked, time.monotonic()
        for key in range(MANY):
            with pytest.raises(RootSilent):
                reach.within(root, key, read(root))
        assert time.monotonic() - started < MANY * root_probes.PROBE / 2
        assert held.asked == asked


def test_what_hangs_is_remembered_for_other_processes_and_said_in_the_log(make_root: Make) -> None:
    root = make_root("a")
    with hanging(root.path):
        with pytest.raises(RootSilent):
            reach.within(root, "file", read(root))
        elsewhere = Root.objects.get()
        assert elsewhere.silent_since
        root_probes.forget()  # as another process, which has asked nothing yet
        begun: list[str] = []
        with pytest.raises(RootSilent):
            reach.within(elsewhere, "file", lambda: begun.append("file"))
        assert begun == [], "only a probe asks it"
    assert LogEntry.objects.filter(path=root.path, message__contains="does not answer").count() == 1


def test_a_root_that_answers_again_is_asked_again_by_whoever_comes_next(make_root: Make) -> None:
    root = make_root("a")
    with hanging(root.path) as held:
        with pytest.raises(RootSilent):
            reach.within(root, "file", read(root))
        held.let_go()
        assert until(lambda: heard(root)) == "here"
    assert Root.objects.get().silent_since is None
    assert LogEntry.objects.filter(path=root.path, message__contains="answers again").count() == 1


@pytest.mark.django_db(transaction=True)
def test_threads_of_a_root_that_hangs_are_bounded_and_few_wait_for_it(
    make_root: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits holds a thread of the web server."""
    root, wait_for, door, waiting, most = make_root("a"), reach.wait_for, threading.Lock(), 0, 0

    def counted(calls: Any, *, still: float, longest: float) -> Any:
        nonlocal waiting, most
        long = still > root_probes.EARLY
        with door:
            waiting += long
            most = max(most, waiting)
        try:
            return wait_for(calls, still=still, longest=longest)
        finally:
            with door:
                waiting -= long

    monkeypatch.setattr(reach, "wait_for", counted)
    with hanging(root.path) as held:

        def ask(number: int) -> None:
            try:
                with pytest.raises(RootSilent):
                    reach.within(Root.objects.get(), number, read(root))
            finally:
                connection.close()

        for _ in range(3):
            askers = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
            for asker in askers:
                asker.start()
            for asker in askers:
                asker.join(DEADLINE)
        assert held.most <= root_probes.MOST_STUCK + 1
        assert 0 < most <= root_probes.MOST_WAITING


def test_many_roots_that_hang_cost_no_more_time_than_one(make_root: Make) -> None:
    roots = [make_root(f"r{number}") for number in range(40)]
    healthy = make_root("healthy")
    with hanging(*(root.path for root in roots)) as held:
        started = time.monotonic()
        answers = reach.within_each({root: ("file", read(root)) for root in [*roots, healthy]})
        assert time.monotonic() - started < len(roots) * root_probes.LIMIT / 2
        assert answers[healthy] == "here"
        assert all(isinstance(answers[root], RootSilent) for root in roots)
        asked = held.asked
        states = root_states.roots()
        assert held.asked == asked
        assert {state.fault for state in states} == {"it does not answer", ""}
        assert held.most <= 2 * len(roots)


def test_a_single_file_that_hangs_leaves_the_rest_of_its_root_alone(make_root: Make) -> None:
    root = make_root("a")
    (Path(root.path) / "other").write_text("there")
    with hanging(f"{root.path}/file"):
        for _ in range(3):
            with pytest.raises(RootSilent):
                reach.within(root, "file", read(root))
        assert reach.within(root, "other", lambda: Path(root.path, "other").read_text()) == "there"
    assert Root.objects.get().silent_since is None


def test_a_slow_reading_that_goes_on_is_waited_for(make_root: Make) -> None:
    root = make_root("a")

    def slow() -> str:
        end, count = time.monotonic() + 1.6, 0
        while time.monotonic() < end:
            count += len(read(root)())
        return "done"

    with as_shipped():
        assert reach.within(root, "slow", slow) == "done"


def test_an_answer_that_came_late_is_there_for_whoever_asks_again(make_root: Make) -> None:
    root, gate, asked = make_root("a"), threading.Event(), []

    def late() -> str:
        asked.append(1)
        gate.wait()
        return "late"

    with as_shipped(), pytest.raises(RootSilent):
        reach.within(root, "late", late)
    gate.set()
    until(lambda: root_probes.calls_of(root.path).calls["late"].is_over)
    assert reach.within(root, "late", late) == "late"
    assert len(asked) == 1


def test_a_root_that_is_not_there_is_no_silent_one(make_root: Make) -> None:
    root = make_root("a")
    Path(root.path, "file").unlink()
    Path(root.path).rmdir()
    assert root_states.fault(root) == "the folder is not there"
    root_probes.require(root)
    assert Root.objects.get().silent_since is None
