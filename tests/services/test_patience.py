"""Asking what may never answer: nobody waits longer than they said, and nothing piles up."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from discovery.services.core import timeouts
from discovery.services.core.timeouts import ask
from tests.support.waiting import until


def test_answers_come_back_under_their_keys() -> None:
    assert ask({"one": lambda: 1, "two": lambda: 2}, 10) == {"one": 1, "two": 2}


def test_nothing_asked_is_nothing_answered() -> None:
    assert ask({}, 10) == {}


def test_what_hangs_is_left_out_and_holds_up_nobody_else() -> None:
    gate = threading.Event()
    try:
        assert ask({"hangs": gate.wait, "works": lambda: "here"}, 0.5) == {"works": "here"}
    finally:
        gate.set()


def test_while_a_question_hangs_it_is_not_asked_again() -> None:
    gate, asked = threading.Event(), []

    def question() -> str:
        asked.append(1)
        gate.wait()
        return "late"

    for _ in range(20):
        assert ask({"drive": question}, 0.01) == {}
    assert len(asked) == 1
    gate.set()
    until(lambda: ask({"drive": question}, 1))
    assert ask({"drive": question}, 30) == {"drive": "late"}


def test_two_who_ask_at_once_share_one_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    gate, asked, answers, begun = threading.Event(), [], [], []
    begin = timeouts._begin

    def counted(*each: Any) -> Any:
        future = begin(*each)
        begun.append(future)
        return future

    monkeypatch.setattr(timeouts, "_begin", counted)

    def question() -> int:
        asked.append(1)
        gate.wait()
        return 7

    askers = [
        threading.Thread(target=lambda: answers.append(ask({"shared": question}, 30)))
        for _ in range(2)
    ]
    for asker in askers:
        asker.start()
    until(lambda: len(begun) == 2)
    gate.set()
    for asker in askers:
        asker.join()
    assert answers == [{"shared": 7}, {"shared": 7}]
    assert len(asked) == 1


def test_what_a_question_raises_is_raised_to_whoever_asks() -> None:
    def question() -> None:
        raise OSError("the drive is gone")

    with pytest.raises(OSError, match="the drive is gone"):
        ask({"drive": question}, 30)
