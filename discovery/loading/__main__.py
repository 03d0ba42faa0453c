"""The child: one ``Job`` on stdin, one ``Outcome`` on stdout. See ``discovery.loading``."""

from __future__ import annotations

import io
import os
import sys
import time

from discovery.engine.core.paths import to_text
from discovery.engine.core.text import clean
from discovery.loading import choice, confine, guard, limits
from discovery.loading.errors import LoadFailed, LoadRefused, Unsupported
from discovery.loading.job import MAX_MESSAGE, Job, Outcome, Result
from discovery.loading.memory_errors import is_out_of_memory

#: What a library says when it gives up may be a page long: people get its start.
MAX_REASON = 600


def main() -> None:
    answer = _private_stdout()
    job = Job.from_json(sys.stdin.buffer.read())
    limits.apply(job)
    confine.apply(job)
    guard.install(os.getcwd(), server=guard.server(job))
    answer.write(attempt(job).to_json())
    answer.flush()
    sys.stderr.flush()
    # Not by way of the interpreter's end, where libraries with threads and destructors of their own
    # sometimes crash.
    os._exit(0)


def _private_stdout() -> io.BufferedWriter:
    """Keep the pipe to the parent for the result; what libraries print goes to stderr."""
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answer


def attempt(job: Job) -> Outcome:
    """Try the loader that fits. Never raises."""
    loader = choice.loader_for(job)
    if loader is None:
        what = (
            f"files of the format {job.format}" if job.format else f"models of the type {job.type}"
        )
        return Outcome(result=Result.UNSUPPORTED, message=f"There is no test loader for {what}.")
    started = time.monotonic()
    try:
        result, message = Result.PASSED, loader.load(job)
    except LoadFailed as error:
        result, message = Result.FAILED, str(error)
    except Unsupported as error:
        result, message = Result.UNSUPPORTED, str(error)
    except LoadRefused as error:
        result, message = Result.REFUSED, str(error)
    # Libraries raise what they like; Rust panics are no Exception.
    except BaseException as error:  # noqa: BLE001
        result, message = Result.FAILED, _reason(error, job)
    seconds = round(time.monotonic() - started, 3)
    peak = limits.peak_memory()
    told = clean(to_text(message.replace(os.path.join(job.root, ""), "")), MAX_MESSAGE)
    return Outcome(
        result=result, loader=loader.NAME, message=told, seconds=seconds, peak_memory_bytes=peak
    )


def _reason(error: BaseException, job: Job) -> str:
    if is_out_of_memory(error):
        return (
            f"It needs more memory than the {job.memory_bytes / (1 << 30):,.1f} GiB that the test"
            " may use."
        )
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words[:MAX_REASON]}" if words else type(error).__name__


if __name__ == "__main__":
    main()
