"""The parent's side of a test load: starts the child, watches it, ends it, and believes little of what it says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

import psutil

from discovery.engine.text import clean, plural
from discovery.loading import choice, limits
from discovery.loading.job import MAX_ANSWER_BYTES, Job, Outcome, Result
from discovery.loading.memory_errors import speaks_of_memory

COMMAND = (sys.executable, "-P", "-m", "discovery.loading")
#: Seconds between looks at the child.
POLL = 0.2
#: Seconds that the child has between SIGTERM and SIGKILL.
GRACE = 2.0
MAX_STDERR_BYTES = 16 << 10
#: RLIMIT_DATA binds private memory on Linux alone: elsewhere what the child holds is looked at, and it is ended when that is too much.
LIMIT_BINDS = sys.platform == "linux"

#: Of the parent's environment; everything else (keys, passwords, proxies) is none of the child's business.
_PASSED_ON = (
    "PATH",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "SYSTEMROOT",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)
_PASSED_ON_PREFIXES = ("OPENBLAS_",)


def run(
    job: Job,
    *,
    wall_seconds: float,
    tick: Callable[[], None] = lambda: None,
    command: Sequence[str] = COMMAND,
) -> Outcome:
    """Lets a child try. ``tick`` is called a few times a second; what it raises ends the child and comes through. Raises ``OSError``
    when the child cannot be started."""
    with (
        tempfile.TemporaryDirectory(prefix="karen-load-") as scratch,
        tempfile.TemporaryFile() as request,
    ):
        request.write(job.to_json())
        request.seek(0)
        started = time.monotonic()
        child = subprocess.Popen(
            list(command), stdin=request, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=scratch, env=_environment(scratch),
            start_new_session=True,
        )  # fmt: skip
        assert child.stdout is not None
        assert child.stderr is not None
        answer, noise = (
            _Drain(child.stdout, MAX_ANSWER_BYTES, first=True),
            _Drain(child.stderr, MAX_STDERR_BYTES, first=False),
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
                )
        finally:
            _end(child)
            answer.close()
            noise.close()
    outcome = _failed(ended_for) if ended_for else _believed(child.returncode, answer, noise, job)
    return _completed(outcome, job, round(time.monotonic() - started, 3), peak)


def _environment(scratch: str) -> dict[str, str]:
    """Folders that libraries write to lie in ``scratch``; nothing is downloaded, nothing reported."""
    passed = {
        name: value
        for name, value in os.environ.items()
        if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)
    }
    places = dict.fromkeys(
        ("HOME", "TMPDIR", "TEMP", "TMP", "HF_HOME", "XDG_CACHE_HOME", "TORCH_HOME", "USERPROFILE"),
        scratch,
    )
    switches = {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    home = str(Path(__file__).resolve().parents[2])
    return {
        **passed,
        **places,
        **switches,
        **limits.THREADS,
        "PYTHONPATH": home,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUTF8": "1",
    }


class _Drain(threading.Thread):
    """Empties a pipe so that the child never waits, and keeps the first or the last ``limit`` bytes."""

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
        """Reads to the end, which comes with the child's. What holds the pipe a second later has left the child's group: nobody waits for it."""
        self.join(1)
        if not self.is_alive():
            self.pipe.close()


def _used(pid: int) -> int:
    try:
        process = psutil.Process(pid)
        return int(process.memory_info().rss if LIMIT_BINDS else process.memory_full_info().uss)
    except psutil.Error:
        return 0


def _over_limit(job: Job, wall_seconds: float, elapsed: float, used: int, answer: _Drain) -> str:
    """Why the child has to be ended; empty while it may go on."""
    if elapsed > wall_seconds:
        return f"It took longer than {plural(round(wall_seconds), 'second')} and was ended."
    if answer.total > MAX_ANSWER_BYTES:
        return "The test process wrote without end and was ended."
    if not LIMIT_BINDS and used > job.memory_bytes:
        return _too_little(job)
    return ""


def _end(child: subprocess.Popen[bytes]) -> None:
    """Ends the child and whatever it started in its process group. Nothing of it is left afterwards."""
    if child.poll() is None:
        _signal(child, signal.SIGTERM)
        try:
            child.wait(GRACE)
        except subprocess.TimeoutExpired:
            _signal(child, signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
            child.wait()
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


def _believed(code: int, answer: _Drain, noise: _Drain, job: Job) -> Outcome:
    if code == 0:
        try:
            return Outcome.from_json(answer.data)
        except ValueError:
            return _failed(f"The test process ended without a result.{_last_words(noise)}")
    if speaks_of_memory(noise.data.decode(errors="replace")):
        return _failed(_too_little(job))
    if code > 0:
        return _failed(f"The test process ended with status {code}.{_last_words(noise)}")
    if -code == getattr(signal, "SIGXCPU", None):
        return _failed(
            f"It computed for longer than {plural(job.cpu_seconds, 'second')} and was ended."
        )
    if -code == getattr(signal, "SIGKILL", None):
        return _failed(
            "The test process was killed from outside: the system may have run out of memory."
        )
    return _failed(f"The library crashed ({signal.Signals(-code).name}).{_last_words(noise)}")


def _too_little(job: Job) -> str:
    return f"It needs more memory than the {job.memory_bytes / (1 << 30):,.1f} GiB that the test may use."


def _last_words(noise: _Drain) -> str:
    lines = [line for line in noise.data.decode(errors="replace").splitlines() if line.strip()]
    return f" Its last words: {clean(lines[-1], 300)}" if lines else ""


def _failed(message: str) -> Outcome:
    return Outcome(result=Result.FAILED, message=message)


def _completed(outcome: Outcome, job: Job, elapsed: float, peak: int) -> Outcome:
    """With what the parent knows itself: the loader of a child that did not say, its time, its memory."""
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
