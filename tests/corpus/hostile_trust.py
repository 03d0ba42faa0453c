"""Hostile inputs through validation, deep validation and test loads: run by ``hostile.py``, once
its scan has registered them.

Holds: every verdict is the manifest's; every model that is not READY fails a check that says why;
what is to be rejected never loads, what is unsafe is not even tried; each deep validation ends,
that of terabytes when it is told to; no child process outlives its test load; an endless loop, a
tensor of 50 GB and a zip bomb stay inside their limits; this process stays under 256 MB.
"""

from __future__ import annotations

import json
import resource
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from discovery.models import DeepValidation, RegisteredModel

#: Memory of this process, of a test load, and seconds that one may take.
MEMORY_MB, LOAD_BYTES, LOAD_SECONDS = 256, 2 << 30, 60.0
#: Files larger than this are not read to their end: the deep validation is stopped instead.
ENDLESS = 1 << 31
#: Seconds after which it is stopped, and until it must have stopped.
STOP_AFTER, STOPPED_WITHIN = 1.0, 4.0

#: Checks of taste: their warnings are no verdict on hostile content.
TASTE = frozenset({"license_present", "naming_convention", "tokenizer_present", "checksum"})

#: Names in the manifest whose verdict here is another, each with why that is right.
OTHERWISE = {
    "gguf/chat_template_ssti.gguf": "it can be read, and its template reaches for Python: unsafe",
}


def case_of(
    record: RegisteredModel, manifest: dict[str, dict[str, str]]
) -> tuple[str, dict[str, str]] | None:
    """(name, case) of what the model was made for: its own path, or a file in its folder."""
    path = record.path.removeprefix("hostile/")
    if path in manifest:
        return path, manifest[path]
    return next(
        ((name, case) for name, case in manifest.items() if name.rpartition("/")[0] == path), None
    )


def verdict(name: str, case: dict[str, str], report: Any) -> str | None:
    """What is wrong with the report of a hostile model; ``None`` when it is as the manifest
    says.
    """
    failed = {check["name"] for check in report.checks if check["status"] == "failed"}
    told = failed | {
        check["name"]
        for check in report.checks
        if check["status"] == "warning" and check["name"] not in TASTE
    }
    expect = case["expect"]
    if expect == "reject" and report.valid:
        return "is to be rejected and is valid"
    if expect == "flag" and not told:
        return "is to be flagged and nothing is said"
    # A folder with nothing but a configuration is read, and has no weights.
    if expect == "accept" and failed - {"weights_present"} and name not in OTHERWISE:
        return f"is to be accepted and fails {', '.join(sorted(failed))}"
    return "is to be skipped and is registered" if expect == "skip" else None


def validated(record: RegisteredModel, manifest: dict[str, dict[str, str]]) -> list[str]:
    from discovery.services.health import validation
    from tests.corpus.hostile import UNSAID

    report = validation.validate(record)
    record.refresh_from_db()
    complaints = []
    if report.valid != (record.status == "READY"):
        complaints.append(
            f"{record.path} is {record.status}, and its checks say"
            f" {'valid' if report.valid else 'not valid'}"
        )
    found = case_of(record, manifest)
    if found and found[0] not in UNSAID and (wrong := verdict(*found, report)):
        complaints.append(f"{found[0]} ({found[1]['what']}) {wrong}")
    return complaints


def read_deeply(record: RegisteredModel) -> list[str]:
    from discovery.services.health import deep_validation

    run, _ = deep_validation.start_now(record)
    endless = record.size_bytes > ENDLESS
    stop = threading.Timer(STOP_AFTER, _stop, [run])
    if endless:
        stop.start()
    started = time.monotonic()
    run = deep_validation.execute(run)
    took = time.monotonic() - started
    wanted = "cancelled" if endless else "done"
    complaints = (
        []
        if run.state == wanted
        else [f"the deep validation of {record.path} is {run.state}, not {wanted}: {run.message}"]
    )
    if endless and took > STOP_AFTER + STOPPED_WITHIN:
        complaints.append(f"the deep validation of {record.path} stopped after {took:.1f} s")
    return complaints


def _stop(run: DeepValidation) -> None:
    from django.db import connection

    from discovery.services.health import deep_validation

    deep_validation.cancel(run)
    connection.close()


def loaded(record: RegisteredModel, manifest: dict[str, dict[str, str]]) -> tuple[str, list[str]]:
    """(result, complaints)."""
    from discovery.services.health import test_loads

    test = test_loads.execute(
        test_loads.request(record)[0], wall_seconds=LOAD_SECONDS, memory_bytes=LOAD_BYTES
    )
    complaints = (
        []
        if test.state == "done" and test.message
        else [f"the test load of {record.path} is {test.state}: {test.message}"]
    )
    found = case_of(record, manifest)
    if record.status == "UNSAFE" and test.result != "refused":
        complaints.append(f"{record.path} is unsafe, and its test load was {test.result}")
    if found and found[1]["expect"] == "reject" and test.result == "passed":
        complaints.append(f"{record.path} is to be rejected, and loads")
    if "good-" in record.path and test.result != "passed":
        complaints.append(f"the good model {record.path} does not load: {test.message}")
    if psutil.Process().children(recursive=True):
        complaints.append(f"the test load of {record.path} left a process behind")
    return test.result, complaints


def limits(root: Path) -> list[str]:
    """A tensor of 50 GB, declared and there as a hole, is turned down before anything is tried; a
    loader that never ends is ended.
    """
    from discovery.loading import supervise
    from discovery.loading.job import Result
    from discovery.models import RegisteredModel
    from discovery.services.health import test_loads
    from tests.loading.jobs import job, loading

    complaints = []
    huge = RegisteredModel.objects.get(path="limits/tensor_50gb.safetensors")
    test = test_loads.execute(
        test_loads.request(huge)[0], wall_seconds=LOAD_SECONDS, memory_bytes=LOAD_BYTES
    )
    if (test.result, "only 2.0 GiB available" in test.message) != ("refused", True):
        complaints.append(f"50 GB were tried in 2 GiB: {test.result} {test.message}")
    for what, body, said in (
        ("an endless loop", "while True: pass", "longer than"),
        ("an endless sleep", "time.sleep(1e6)", "longer than"),
        ("50 GB of memory", "bytearray(50_000_000_000)", "more memory"),
    ):
        started = time.monotonic()
        outcome = supervise.run(
            job(root, "good-0/model.safetensors", memory_bytes=1 << 30),
            wall_seconds=3,
            command=loading(body),
        )
        if (
            outcome.result is not Result.FAILED
            or said not in outcome.message
            or time.monotonic() - started > 20
        ):
            complaints.append(
                f"{what} was {outcome.result} after {time.monotonic() - started:.1f} s:"
                f" {outcome.message}"
            )
    return complaints


def main(root: Path) -> int:
    import django

    django.setup()
    from discovery.models import RegisteredModel

    manifest = json.loads((root / "hostile" / "manifest.json").read_text())
    complaints: list[str] = []
    results: dict[str, int] = {}
    started = time.monotonic()
    records = list(RegisteredModel.objects.select_related("root").order_by("path"))
    for record in records:
        if record.path.startswith("limits/"):
            continue
        complaints += validated(record, manifest)
        complaints += read_deeply(record)
        result, wrong = loaded(record, manifest)
        results[result] = results.get(result, 0) + 1
        complaints += wrong
    complaints += limits(root)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if peak > MEMORY_MB:
        complaints.append(f"peak memory {peak:.0f} MB is over {MEMORY_MB}")
    told = ", ".join(f"{count} {result}" for result, count in sorted(results.items()))
    print(
        f"{len(records)} models validated, read deeply and tried in"
        f" {time.monotonic() - started:.0f} s: {told}; peak memory {peak:.0f} MB"
    )
    for line in complaints:
        print(line)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    sys.exit(main(Path(sys.argv[1])))
