"""The parent's side of a test load.

It starts, watches and ends the child, and trusts little of what the child reports.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import IO

import msgspec
import psutil

from discovery.engine.core.text import clean, plural
from discovery.loading import cell, choice
from discovery.loading.errors import LoadRefused
from discovery.loading.job import MAX_ANSWER_BYTES, Cell, Job, Mechanism, Outcome, Result
from discovery.loading.memory_errors import speaks_of_memory

COMMAND = (sys.executable, "-P", "-m", "discovery.loading")
#: Seconds between looks at the child.
POLL = 0.2
#: Seconds that the child has between SIGTERM and SIGKILL.
GRACE = 2.0
MAX_STDERR_BYTES = 16 << 10
#: RLIMIT_DATA binds private memory on Linux alone: elsewhere what the child holds is looked at, and
#: it is ended when that is too much.
LIMIT_BINDS = sys.platform == "linux"


def run(
    job: Job,
    *,
    wall_seconds: float,
    tick: Callable[[], None] = lambda: None,
    command: Sequence[str] = COMMAND,
    held: Cell | None = None,
) -> Outcome:
    """Run the job in a child, in the strongest cell that works here.

    ``held`` selects another cell.

    ``tick`` is called a few times a second; what it raises ends the child and comes through. Raises
    ``OSError`` when the child cannot be started.
    """
    job = msgspec.structs.replace(job, cell=held or cell.here().cell)
    with (
        tempfile.TemporaryDirectory(prefix="karen-load-") as scratch,
        tempfile.TemporaryFile() as request,
    ):
        try:
            job, prepared = cell.prepared(job, command, scratch)
        except LoadRefused as error:
            return _completed(Outcome(result=Result.REFUSED, message=str(error)), job, 0.0, 0)
        request.write(job.to_json())
        request.seek(0)
        started = time.monotonic()
        child = subprocess.Popen(
            prepared, stdin=request, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=scratch,
            env=cell.environment(scratch),
            start_new_session=True,
        )  # fmt: skip
        assert child.stdout is not None
        assert child.stderr is not None
        answer, noise = (
            Drain(child.stdout, MAX_ANSWER_BYTES, first=True),
            Drain(child.stderr, MAX_STDERR_BYTES, first=False),
        )
        peak, ended_for = 0, ""
        try:
            while not ended_for:
                try:
                    child.wait(POLL)
                    break
                except subprocess.TimeoutExpired:
                    tick()
                now_used = _used(child.pid)
                peak = max(peak, now_used)
                ended_for = _over_limit(
                    job, wall_seconds, time.monotonic() - started, now_used, answer
                ) or over_disk(scratch)
        finally:
            end(child)
            answer.close()
            noise.close()
    outcome = _failed(ended_for) if ended_for else _believed(_code(child, job), answer, noise, job)
    return _completed(outcome, job, round(time.monotonic() - started, 3), peak)


class Drain(threading.Thread):
    """A pipe reader that keeps the first or the last ``limit`` bytes.

    It empties the pipe so that the child never waits.
    """

    def __init__(self, pipe: IO[bytes], limit: int, *, first: bool) -> None:
        super().__init__(daemon=True)
        self.pipe, self.limit, self.first = pipe, limit, first
        self.data, self.total = b"", 0
        self.start()

    def run(self) -> None:
        while chunk := os.read(self.pipe.fileno(), 1 << 16):
            self.total += len(chunk)
            if not self.first:
                self.data = (self.data + chunk)[-self.limit :]
            elif len(self.data) < self.limit:
                self.data = (self.data + chunk)[: self.limit]

    def close(self) -> None:
        """Read to the end, which comes when the child ends.

        What holds the pipe a second later has left the child's group: nobody waits for it.
        """
        self.join(1)
        if not self.is_alive():
            self.pipe.close()


def _used(pid: int) -> int:
    """Memory of the child, which bubblewrap starts as a process below its own."""
    used = 0
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        for each in (process, *process.children(recursive=True)):
            with suppress(psutil.Error):
                used += int(each.memory_info().rss if LIMIT_BINDS else each.memory_full_info().uss)
    return used


def over_disk(scratch: str) -> str:
    """Return why the child has to be ended for its disk use, or an empty string.

    In bubblewrap it is always empty, because the scratch folder lies in memory and cannot grow.
    """
    total = 0
    for folder, _, names in os.walk(scratch):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_size
    return (
        f"It wrote more than {cell.SCRATCH_BYTES >> 20} MiB of its own files and was ended."
        if total > cell.SCRATCH_BYTES
        else ""
    )


def _code(child: subprocess.Popen[bytes], job: Job) -> int:
    """Return the exit code, negative for a signal; bubblewrap reports its child's like a shell."""
    code = int(child.returncode)
    return (
        128 - code
        if job.cell.mechanism is Mechanism.BUBBLEWRAP and 128 < code < 128 + signal.NSIG
        else code
    )


def _over_limit(job: Job, wall_seconds: float, elapsed: float, used: int, answer: Drain) -> str:
    """Return why the child has to be ended, or an empty string while it may continue."""
    if elapsed > wall_seconds:
        return f"It took longer than {plural(round(wall_seconds), 'second')} and was ended."
    if answer.total > MAX_ANSWER_BYTES:
        return "The test process wrote without end and was ended."
    if not LIMIT_BINDS and used > job.memory_bytes:
        return _too_little(job)
    return ""


def end(child: subprocess.Popen[bytes]) -> None:
    """End the child and everything that it started in its process group.

    Nothing of it is left afterwards but what the kernel holds.
    """
    if child.poll() is None:
        _signal(child, signal.SIGTERM)
        try:
            child.wait(GRACE)
        except subprocess.TimeoutExpired:
            _signal(child, signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
            # What hangs in the kernel, on a share that went away, dies when the kernel lets it go:
            # nobody waits for that.
            with suppress(subprocess.TimeoutExpired):
                child.wait(GRACE)
    if sys.platform != "win32":
        _signal(child, signal.SIGKILL)


def _signal(child: subprocess.Popen[bytes], number: int) -> None:
    try:
        if sys.platform == "win32":
            child.kill()
        else:
            os.killpg(child.pid, number)
    except (ProcessLookupError, PermissionError):
        return  # gone already; on macOS a group of zombies is not to be signalled


def _believed(code: int, answer: Drain, noise: Drain, job: Job) -> Outcome:
    if code == 0:
        try:
            return Outcome.from_json(answer.data)
        except ValueError:
            return _failed(f"The test process ended without a result.{last_words(noise)}")
    if speaks_of_memory(noise.data.decode(errors="replace")):
        return _failed(_too_little(job))
    if code > 0:
        return _failed(f"The test process ended with status {code}.{last_words(noise)}")
    if -code == getattr(signal, "SIGXCPU", None):
        return _failed(
            f"It computed for longer than {plural(job.cpu_seconds, 'second')} and was ended."
        )
    if -code == getattr(signal, "SIGKILL", None):
        return _failed(
            "The test process was killed from outside: the system may have run out of memory."
        )
    return _failed(f"The library crashed ({signal.Signals(-code).name}).{last_words(noise)}")


def ending(code: int | None, noise: Drain) -> str:
    """Why a process that was to answer is gone, in a sentence or two."""
    if speaks_of_memory(noise.data.decode(errors="replace")):
        return f"It ran out of memory.{last_words(noise)}"
    if code is not None and code < 0:
        return f"Its process was ended by {signal.Signals(-code).name}.{last_words(noise)}"
    return f"Its process ended with status {code}.{last_words(noise)}"


def _too_little(job: Job) -> str:
    return (
        f"It needs more memory than the {job.memory_bytes / (1 << 30):,.1f} GiB that the test may"
        " use."
    )


def last_words(noise: Drain) -> str:
    lines = [line for line in noise.data.decode(errors="replace").splitlines() if line.strip()]
    return f" Its last words: {clean(lines[-1], 300)}" if lines else ""


def _failed(message: str) -> Outcome:
    return Outcome(result=Result.FAILED, message=message)


def _completed(outcome: Outcome, job: Job, elapsed: float, peak: int) -> Outcome:
    """Complete an outcome with what the parent knows itself.

    These are the loader of a child that did not report one, the time and the memory.
    """
    chosen = choice.loader_for(job)
    return Outcome(
        result=outcome.result,
        loader=clean(outcome.loader) or (chosen.NAME if chosen else ""),
        message=clean(outcome.message),
        seconds=min(elapsed if outcome.seconds is None else outcome.seconds, elapsed),
        peak_memory_bytes=max(
            peak, min(outcome.peak_memory_bytes or 0, psutil.virtual_memory().total)
        )
        or None,
    )
