"""Fuzzes what reads bytes: ``python tests/fuzz/headers.py [NAME ...] [--seconds 600] [--seed 0]
[--shared ../shared] [--keep FOLDER]``.

Each name of ``targets.TARGETS`` gets its time (default: all of them, 10 seconds each). Holds:
nothing but ``NotThisFormat`` and ``InvalidHeader`` leaves a header's reader, nothing at all the
others; no input takes a second of CPU time on the machine that ``tests/support/timing.py``
describes, nor 100 MB. What breaks that is made as small as it goes and written to ``--keep``: each
becomes a test in ``tests/engine/test_fuzz_findings.py``. Exits 1 when there was something.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import tracemalloc
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from random import Random

BASE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(BASE))

from tests.fuzz.mutators import mutated  # noqa: E402
from tests.fuzz.targets import TARGETS, Target, seeds  # noqa: E402
from tests.support.timing import slowness  # noqa: E402

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

SECONDS, MEMORY_BYTES = 1.0, 100 << 20
#: Inputs tried while one that breaks something is made smaller.
SHRINKING = 2_000


@dataclass(frozen=True, slots=True)
class Finding:
    """``kind`` is the exception's type, or the limit that was passed."""

    kind: str
    what: str
    data: bytes


def complaint(target: Target, data: bytes) -> Finding | None:
    """What is wrong with how the target takes ``data``: what it raises, and the time it takes."""
    started = time.process_time()
    try:
        target.read(data)
    except target.may_raise:
        pass
    except MemoryError as error:
        return Finding("MemoryError", repr(error), data)
    except Exception as error:
        return Finding(type(error).__name__, repr(error), data)
    taken = time.process_time() - started
    if taken > SECONDS and taken > SECONDS * slowness():
        return Finding("time", f"{taken:.2f} s of CPU time", data)
    return None


def memory(target: Target, data: bytes) -> Finding | None:
    """The same for memory, which is several times slower to measure."""
    tracemalloc.start()
    try:
        target.read(data)
    except Exception:
        pass  # what it raises is told without measuring
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return Finding("memory", f"{peak >> 20} MB", data) if peak > MEMORY_BYTES else None


def _most_used() -> int:
    """The most memory this process ever had, in bytes; 0 where the system does not tell."""
    return (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        * (1024 if sys.platform != "darwin" else 1)
        if resource
        else 0
    )


def run(
    target: Target, begin: list[bytes], random: Random, until: Callable[[int], bool]
) -> tuple[int, list[Finding]]:
    """(inputs, findings, one of each kind).

    Seeds come first; memory is measured for inputs that made the process grow.
    """
    found: dict[str, Finding] = {}
    count = 0
    most = _most_used()
    for data in _inputs(begin, random):
        if until(count):
            break
        count += 1
        wrong = complaint(target, data)
        if (now := _most_used()) > most + (MEMORY_BYTES >> 2):
            most = now
            wrong = wrong or memory(target, data)
        if wrong and wrong.kind not in found:
            found[wrong.kind] = shrunk(target, wrong)
    return count, list(found.values())


def _inputs(begin: list[bytes], random: Random) -> Iterator[bytes]:
    yield from begin
    while True:
        yield mutated(random, begin)


def shrunk(target: Target, finding: Finding) -> Finding:
    """As few bytes as still bring the same kind of trouble, found by leaving pieces out."""
    look = memory if finding.kind == "memory" else complaint
    tries, size = (
        SHRINKING if finding.kind not in ("time", "memory") else 40,
        len(finding.data) // 2,
    )
    while size and tries > 0:
        at = 0
        while at < len(finding.data) and tries > 0:
            tries -= 1
            smaller = look(target, finding.data[:at] + finding.data[at + size :])
            if smaller and smaller.kind == finding.kind:
                finding = smaller
            else:
                at += size
        size //= 2
    return finding


def main() -> int:
    parser = ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shared", type=Path, default=BASE.parent / "shared")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in TARGETS]
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}: choose from {', '.join(TARGETS)}")
    broken = 0
    with tempfile.TemporaryDirectory(prefix="karen-fuzz-") as folder:
        shared = _shared(options.shared, Path(folder) / "shared")
        for name in options.names or TARGETS:
            begin = seeds(TARGETS[name], Path(folder) / name, shared)
            end = time.monotonic() + options.seconds
            count, found = run(
                TARGETS[name],
                begin,
                Random(f"{options.seed} {name}"),
                lambda _, end=end: time.monotonic() > end,
            )  # type: ignore[misc]
            print(
                f"{name:<14} {len(begin):4} seeds {count:10,} inputs  {len(found)} found "
                f" {_most_used() >> 20} MB at the most",
                flush=True,
            )
            for finding in found:
                broken += 1
                print(
                    f"  {finding.kind}: {finding.what[:300]}\n  {len(finding.data)} bytes:"
                    f" {finding.data[:200]!r}"
                )
                _keep(options.keep, name, finding)
    return 1 if broken else 0


def _shared(folder: Path, made: Path) -> Path | None:
    """Sidecars of the corpus and generated hostile files, where this checkout has them."""
    if not (folder / "hostile" / "gen_hostile.py").is_file():
        return None
    made.mkdir()
    subprocess.run(
        [sys.executable, str(folder / "hostile" / "gen_hostile.py"), str(made / "hostile")],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    (made / "corpus").mkdir()
    for path in (folder / "corpus" / "models").rglob("*"):
        if path.suffix in (".json", ".md") and path.stat().st_size < 1 << 16:
            (made / "corpus" / sha256(str(path).encode()).hexdigest()[:12]).mkdir()
            (made / "corpus" / sha256(str(path).encode()).hexdigest()[:12] / path.name).write_bytes(
                path.read_bytes()
            )
    return made


def _keep(folder: Path | None, name: str, finding: Finding) -> None:
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}-{finding.kind}-{sha256(finding.data).hexdigest()[:8]}").write_bytes(
            finding.data
        )


if __name__ == "__main__":
    sys.exit(main())
