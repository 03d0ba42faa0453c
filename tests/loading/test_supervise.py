"""The parent's side: it reads what any child may say or do, and nothing of the child is left
afterwards.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.loading import supervise
from discovery.loading.job import Cell, Job, Outcome, Result
from tests.loading.jobs import job, loading, python
from tests.support.waiting import until


def run(code: str, tmp_path: Path, *, wall_seconds: float = 120) -> Outcome:
    """In no cell: the child may do what it likes."""
    return supervise.run(
        job(tmp_path), wall_seconds=wall_seconds, command=python(code), held=Cell()
    )


@pytest.mark.parametrize(
    "said",
    [
        "",
        "Loading weights: 100%",
        "[]",
        '{"result": "passed"}',
        '{"result": "splendid", "message": "ok"}',
        '{"result": "passed", "message": 7}',
        '{"result": "passed", "message": "ok", "seconds": -1}',
        '{"result": "passed", "message": "ok", "seconds": NaN}',
        '{"result": "passed", "message": "ok", "peak_memory_bytes": 1.5}',
        '{"result": "passed", "message": "ok"} and more',
        json.dumps({"result": "passed", "message": "x" * 3_000}),
        json.dumps({"result": "passed", "message": "ok", "loader": "x" * 100}),
    ],
)
def test_an_answer_that_is_no_outcome_is_a_failure(tmp_path: Path, said: str) -> None:
    outcome = run(
        f"import sys; sys.stdout.write({said!r}); sys.stderr.write('one\\ntwo\\n')", tmp_path
    )
    assert (outcome.result, outcome.message) == (
        Result.FAILED,
        "The test process ended without a result. Its last words: two",
    )


@given(
    raw=st.binary(max_size=300)
    | st.recursive(st.none() | st.text() | st.floats(), st.lists).map(
        lambda value: json.dumps(value).encode()
    )
)
def test_reading_an_answer_raises_nothing_but_value_errors(raw: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        Outcome.from_json(raw)


def test_a_job_keeps_file_names_that_are_not_utf8() -> None:
    task = Job(
        root="/srv",
        files=(os.fsdecode(b"bad\xff.gguf"),),
        type="LLAMA_CPP",
        memory_bytes=1,
        cpu_seconds=1,
    )
    assert Job.from_json(task.to_json()) == task


def test_what_a_child_claims_is_held_against_what_the_parent_saw(tmp_path: Path) -> None:
    claim = {
        "result": "passed",
        "message": "fine\x00\u202e",
        "loader": "mine",
        "seconds": 9999.0,
        "peak_memory_bytes": 1 << 62,
    }
    outcome = run(f"print({json.dumps(claim)!r})", tmp_path)
    assert (outcome.result, outcome.message, outcome.loader) == (Result.PASSED, "fine", "mine")
    assert outcome.seconds is not None
    assert outcome.seconds < 120
    assert outcome.peak_memory_bytes == psutil.virtual_memory().total


def test_a_child_that_writes_without_end_is_ended(tmp_path: Path) -> None:
    outcome = run("import sys\nwhile True: sys.stdout.write('x' * 1_000_000)", tmp_path)
    assert (outcome.result, outcome.message) == (
        Result.FAILED,
        "The test process wrote without end and was ended.",
    )


def test_a_hundred_megabytes_of_warnings_do_no_harm(tmp_path: Path) -> None:
    answer = '{"result": "passed", "message": "ok"}'
    before = psutil.Process().memory_info().rss
    outcome = run(
        "import sys\nfor _ in range(100): sys.stderr.write('warning ' *"
        f" 125_000)\nprint({answer!r})",
        tmp_path,
    )
    assert outcome.message == "ok"
    assert psutil.Process().memory_info().rss - before < 50 << 20


def test_what_libraries_print_is_not_taken_for_the_answer(tmp_path: Path) -> None:
    noisy = loading("print('hello'); os.write(1, b'{}' * 100_000); return 'loaded'")
    outcome = supervise.run(job(tmp_path), wall_seconds=120, command=noisy)
    assert (outcome.result, outcome.message, outcome.loader) == (Result.PASSED, "loaded", "made up")


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
@pytest.mark.parametrize(
    ("end", "message"),
    [
        (
            "os.kill(os.getpid(), signal.SIGSEGV)",
            "The library crashed (SIGSEGV). Its last words: here",
        ),
        (
            "os.kill(os.getpid(), signal.SIGKILL)",
            "The test process was killed from outside: the system may have run out of memory.",
        ),
        ("sys.exit(3)", "The test process ended with status 3. Its last words: here"),
        (
            "print('terminate called: std::bad_alloc', file=sys.stderr, flush=True); os.abort()",
            "It needs more memory than the 4.0 GiB that the test may use.",
        ),
    ],
)
def test_a_child_that_dies_is_a_failure_with_a_reason(
    tmp_path: Path, end: str, message: str
) -> None:
    limits = "import os, resource, signal, sys; resource.setrlimit(resource.RLIMIT_CORE, (0, 0))"
    outcome = run(f"{limits}\nprint('here', file=sys.stderr, flush=True)\n{end}", tmp_path)
    assert (outcome.result, outcome.message, outcome.loader) == (
        Result.FAILED,
        message,
        "safetensors",
    )


def test_a_panic_that_is_no_exception_is_a_failure_with_its_words(tmp_path: Path) -> None:
    panic = loading("raise type('PanicException', (BaseException,), {})('index out of bounds')")
    outcome = supervise.run(job(tmp_path), wall_seconds=120, command=panic)
    assert (outcome.result, outcome.message) == (
        Result.FAILED,
        "PanicException: index out of bounds",
    )


@pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX's")
def test_nothing_is_left_of_a_child_that_ignores_the_signal_and_has_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervise, "GRACE", 0.3)
    place = tmp_path / "pids"
    code = f"""
        import os, pathlib, signal, subprocess, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        other = subprocess.Popen(["sleep", "3600"])
        pathlib.Path({str(place)!r}).write_text(f"{{os.getpid()}} {{other.pid}}")
        time.sleep(3600)
    """
    seen: list[int] = []

    def tick() -> None:
        if place.exists() and place.read_text():
            seen.extend(map(int, place.read_text().split()))
            raise InterruptedError("enough")

    with pytest.raises(InterruptedError):
        supervise.run(job(tmp_path), wall_seconds=120, tick=tick, command=python(code), held=Cell())
    assert len(seen) == 2
    until(lambda: not any(_running(pid) for pid in seen))


def _running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_where_the_system_bounds_no_memory_the_parent_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervise, "LIMIT_BINDS", False)
    greedy = python("import time; held = bytearray(b'x') * (300 << 20); time.sleep(3600)")
    outcome = supervise.run(
        job(tmp_path, memory_bytes=100 << 20), wall_seconds=120, command=greedy, held=Cell()
    )
    assert (outcome.result, outcome.message) == (
        Result.FAILED,
        "It needs more memory than the 0.1 GiB that the test may use.",
    )
    assert outcome.peak_memory_bytes is not None
    assert outcome.peak_memory_bytes > 100 << 20
