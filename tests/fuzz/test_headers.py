"""A short run of the fuzz harness in every suite; ``tests/fuzz/headers.py`` is for long ones."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from discovery.engine.core.errors import InvalidHeader
from tests.fuzz import headers
from tests.fuzz.targets import TARGETS, Target, seeds

INPUTS = 150


@pytest.mark.parametrize("name", TARGETS)
def test_no_reader_raises_what_it_may_not_or_takes_too_long(name: str, tmp_path: Path) -> None:
    begin = seeds(TARGETS[name], tmp_path / "seeds")
    count, found = headers.run(
        TARGETS[name], begin, Random(f"suite {name}"), lambda count: count >= INPUTS
    )
    assert count == INPUTS
    assert found == []


def _target(read: object) -> Target:
    return Target(
        read, lambda folder: (folder / "seed").write_bytes(b"GGUF and more"), (), (InvalidHeader,)
    )  # type: ignore[arg-type]


def _broken(data: bytes) -> None:
    if b"\xff" in data:
        raise KeyError("of all things")
    raise InvalidHeader("as it may")


def test_what_may_not_leave_a_reader_is_found_and_made_small(tmp_path: Path) -> None:
    target = _target(_broken)
    _, found = headers.run(
        target, seeds(target, tmp_path / "seeds"), Random(1), lambda count: count >= 3_000
    )
    assert [(finding.kind, finding.data) for finding in found] == [("KeyError", b"\xff")]


def test_an_input_that_takes_too_long_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headers, "SECONDS", 0.0001)
    finding = headers.complaint(_target(lambda data: sum(range(1_000_000))), b"x")
    assert finding is not None
    assert finding.kind == "time"


def test_an_input_that_takes_too_much_memory_is_found() -> None:
    assert headers.memory(_target(lambda data: bytes(headers.MEMORY_BYTES + 1)), b"x") is not None
    assert headers.memory(_target(lambda data: bytes(1_000)), b"x") is None
