"""Our walk of pickles against Python's own unpicklers: ``python tests/fuzz/pickles.py [--minutes
10] [--seed 0] [--keep FOLDER] [--torch]``.

Holds: whatever ``find_class`` is asked for, by the unpickler in C or by the slow one, our walk has
named, or it says that the file cannot be vouched for. Streams come from a grammar and from mutation
(``pickle_streams``); they are unpickled in a process of their own whose ``find_class`` imports
nothing. Each counterexample is made as small as it goes. Exits 1 when there was one. ``--torch``:
the same of whole checkpoints and ``torch.load(weights_only=False)``, where torch is installed.
"""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import time
import zipfile
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from random import Random

BASE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(BASE))

# Formats come before archives, which needs them.
from discovery.engine.formats import pytorch  # noqa: E402, I001
from discovery.engine.archives.archives import Inspector  # noqa: E402
from discovery.engine.core.errors import InvalidHeader, NotThisFormat  # noqa: E402
from discovery.engine.pickles.pickles import Scanner  # noqa: E402
from tests.fuzz import pickle_streams  # noqa: E402

CHILD = Path(__file__).with_name("unpickling_child.py")


@dataclass(frozen=True, slots=True)
class Counterexample:
    stream: bytes
    unnamed: list[tuple[str, str]]


class Python:
    """The other process; one that dies is replaced."""

    def __init__(self, *options: str) -> None:
        self._command = [sys.executable, "-I", str(CHILD), *options]
        self._process = self._start()
        self.deaths = 0

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    def asks_for(self, stream: bytes) -> set[tuple[str, str]]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(struct.pack("<I", len(stream)) + stream)
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = b""
        if not line:
            self.close()
            self._process = self._start()
            self.deaths += 1
            return set()
        return {(module, name) for module, name in json.loads(line)}

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def named(stream: bytes) -> set[tuple[str, str]] | None:
    """What our walk names; ``None`` when it vouches for nothing."""
    scanner = Scanner(io.BytesIO(stream), len(stream))
    try:
        while not scanner.at_end:
            scanner.load()
    except InvalidHeader:
        pass
    judged = [problem.message for problem in scanner.problems() if problem.code == "unsafe_pickle"]
    if not all(message.startswith("loading it would") for message in judged):
        return None
    return {(reference.module, reference.name) for reference in scanner.references}


def checkpoint(random: Random, stream: bytes) -> bytes:
    """The stream in an archive like those of ``torch.save``, or like others that ``torch.load``
    takes.
    """
    written = io.BytesIO()
    how = random.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    root = random.choice(("archive", "x", "ü"))
    with zipfile.ZipFile(written, "w", how) as archive:
        for name, data in {
            "data.pkl": stream,
            "byteorder": b"little",
            "data/0": bytes(16),
            "version": b"3\n",
        }.items():
            archive.writestr(zipfile.ZipInfo(f"{root}/{name}"), data, how)
    data = bytearray(written.getvalue())
    if random.random() < 0.2:
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    return bytes(data) if random.random() < 0.9 else stream


def named_in_checkpoint(data: bytes) -> set[tuple[str, str]] | None:
    """What we name in a whole file; ``None`` when it is not vouched for: unsafe, or broken before
    it does anything.
    """
    try:
        header = pytorch.read(io.BytesIO(data), len(data))
    except (InvalidHeader, NotThisFormat):
        return None
    if any(problem.code == "invalid_pickle" for problem in header.problems):
        return None
    inspector = Inspector()
    inspector.look(io.BytesIO(data), len(data), "x.pt")
    if any(
        not problem.message.partition("loading it would")[1]
        for problem in inspector.problems
        if problem.code != "known_import"
    ):
        return None
    return {(reference.module, reference.name) for reference in inspector.references}


def compare(
    python: Python, stream: bytes, ask: Callable[[bytes], set[tuple[str, str]] | None] = named
) -> Counterexample | None:
    ours = ask(stream)
    if ours is None:
        return None
    unnamed = sorted(python.asks_for(stream) - ours)
    return Counterexample(stream, unnamed) if unnamed else None


def shrunk(python: Python, found: Counterexample, tries: int = 2_000) -> Counterexample:
    """As few bytes as still show it."""
    size = len(found.stream) // 2
    while size and tries > 0:
        at = 0
        while at < len(found.stream) and tries > 0:
            tries -= 1
            smaller = compare(python, found.stream[:at] + found.stream[at + size :])
            if smaller:
                found = smaller
            else:
                at += size
        size //= 2
    return found


def main() -> int:
    parser = ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--torch", action="store_true")
    options = parser.parse_args()
    python, random, begin = (
        Python(*["--torch"] * options.torch),
        Random(options.seed),
        pickle_streams.seeds(),
    )
    end, count, asked, broken = time.monotonic() + 60 * options.minutes, 0, 0, 0
    while time.monotonic() < end and broken < 20:
        stream = pickle_streams.stream(random, begin)
        stream = checkpoint(random, stream) if options.torch else stream
        count += 1
        found = compare(python, stream, named_in_checkpoint if options.torch else named)
        if found is None:
            asked += b"posix" in stream
            continue
        broken += 1
        found = found if options.torch else shrunk(python, found)
        print(f"{found.unnamed} is asked for and not named by {found.stream[:300]!r}", flush=True)
        if options.keep:
            options.keep.mkdir(parents=True, exist_ok=True)
            (options.keep / sha256(found.stream).hexdigest()[:12]).write_bytes(found.stream)
    python.close()
    print(
        f"{count:,} streams, {asked:,} of them with a payload, {broken} counterexamples, the other"
        f" process died {python.deaths} times"
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
