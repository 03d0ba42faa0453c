"""One pass of deep validation over a file against two programs: ``python
tests/benchmarks/checksums.py [BYTES]`` (default 1 GiB).

Ours reads the file once for SHA-256, BLAKE3 and samples of the weights; the peers are ``sha256sum``
and ``b3sum`` (Debian's packages coreutils and b3sum), run one after the other. Each measurement is
a process of its own, in turn on the same cached file; the best counts. Python's ``hashlib`` in
place of ``sha256sum``, faster where only OpenSSL knows the processor's SHA instructions, is shown
beside it.

* speed: at least 70 % of the peers' together;
* peak memory: within 64 MB between a file of 100 MB and the large one;
* the checksums are those of the peers.

Exits 1 when a limit is missed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

BASE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(BASE))

SPEED = 0.7
MEMORY_MB = 64
ROUNDS = 5
SMALL = 100_000_000

HASHLIB = (
    "import hashlib, sys; print(hashlib.file_digest(open(sys.argv[1], 'rb'), 'sha256').hexdigest())"
)
BLAKE3 = (
    "import blake3, sys;"
    " print(blake3.blake3(max_threads=blake3.blake3.AUTO).update_mmap(sys.argv[1]).hexdigest())"
)


def make_file(path: Path, size: int) -> None:
    """A safetensors file of BF16 matrices with random data, all of whose values are numbers."""
    from discovery.demo.writers.safetensors import write_safetensors

    rows = size // (200 * 4096 * 2)
    write_safetensors(
        path, [(f"layers.{number}.weight", "BF16", (rows, 4096)) for number in range(200)]
    )
    block = bytearray(os.urandom(8 << 20))
    # The largest exponent is never reached.
    block[1::2] = bytes(byte & 0xBF for byte in block[1::2])
    with path.open("r+b") as file:
        file.seek(8 + int.from_bytes(file.read(8), "little"))
        while (left := path.stat().st_size - file.tell()) > 0:
            file.write(block[:left])


def ours(path: Path) -> dict[str, Any]:
    """In the child: seconds of the reading, imports left out, and peak memory in MB."""
    import resource

    from discovery.engine.core.types import FileEntry
    from discovery.engine.integrity import checksums

    entry = FileEntry(path.name, path.stat().st_size, 0, 0)
    started = time.perf_counter()
    reading = checksums.read(str(path.parent), entry, lambda count: None)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1024 if sys.platform != "darwin" else 1 << 20
    )
    found = {
        "sha256": reading.sha256,
        "blake3": reading.blake3,
        "sampled": reading.sampled,
        "nonfinite": reading.nonfinite,
    }
    return {"seconds": seconds, "peak": peak, **found}


def child(path: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, __file__, "ours", str(path)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"reading failed:\n{done.stderr[-3000:]}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def timed(*command: str) -> tuple[float, str]:
    """(seconds, the digest that the program prints)."""
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return time.perf_counter() - started, done.stdout.split()[0]


def peers(path: Path) -> dict[str, list[str]]:
    programs = {"hashlib": [sys.executable, "-c", HASHLIB, str(path)]}
    if shutil.which("sha256sum"):
        programs["sha256sum"] = ["sha256sum", str(path)]
    if shutil.which("b3sum"):
        return {**programs, "b3sum": ["b3sum", str(path)]}
    print("b3sum is not installed: the blake3 package in a process of its own stands in for it")
    return {**programs, "blake3": [sys.executable, "-c", BLAKE3, str(path)]}


def main(size: int) -> int:
    with tempfile.TemporaryDirectory(prefix="karen-checksums-") as temporary:
        small, large = Path(temporary) / "small.safetensors", Path(temporary) / "large.safetensors"
        make_file(small, SMALL)
        make_file(large, size)
        programs = peers(large)
        mine: list[dict[str, Any]] = []
        seconds: dict[str, float] = {}
        digests: dict[str, str] = {}
        child(large)  # into the page cache
        for _ in range(ROUNDS):
            mine.append(child(large))
            for name, command in programs.items():
                taken, digests[name] = timed(*command)
                seconds[name] = min(taken, seconds.get(name, taken))
        bytes_read = large.stat().st_size
        growth = mine[0]["peak"] - child(small)["peak"]
    best = min(result["seconds"] for result in mine)
    sha, blake = (
        "sha256sum" if "sha256sum" in seconds else "hashlib",
        ("b3sum" if "b3sum" in seconds else "blake3"),
    )
    for name, taken in {"ours": best, **seconds}.items():
        print(f"{name:<10} {taken:7.3f} s  {bytes_read / taken / 1e9:6.2f} GB/s")
    speed = (seconds[sha] + seconds[blake]) / best
    print(f"{speed:.0%} of the speed of {sha} then {blake}   (at least {SPEED:.0%})")
    if sha != "hashlib":
        print(
            f"{(seconds['hashlib'] + seconds[blake]) / best:.0%} of the speed of hashlib then"
            f" {blake}"
        )
    print(
        f"peak memory {mine[0]['peak']:.1f} MB, {growth:+.1f} MB over a file of {SMALL / 1e6:.0f}"
        f" MB   (at most +{MEMORY_MB})"
    )
    print(f"{mine[0]['sampled']:,} weights sampled, {mine[0]['nonfinite']} of them no numbers")
    agree = (
        all(
            result["sha256"] == digests[sha] and result["blake3"] == digests[blake]
            for result in mine
        )
        and not mine[0]["nonfinite"]
    )
    if not agree:
        print("MISSED  the checksums are not those of the peers, or numbers were taken for none")
    return 0 if agree and speed >= SPEED and growth <= MEMORY_MB else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["ours"]:
        print(json.dumps(ours(Path(sys.argv[2]))))
    else:
        sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1 << 30))
