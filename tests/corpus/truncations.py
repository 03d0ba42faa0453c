"""Downloads that broke off: ``python tests/corpus/truncations.py ../shared``.

Cuts each weight file of 20 corpus models at 10 places. Holds: the quick check finds every cut (the
model is not READY, a check failed), and reads no more of the file than headers: at most ``MOST``
bytes of each weight file, tensor data never. Exits 1 when one is missed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

BASE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(BASE))

from discovery.engine.core.config import Discovery  # noqa: E402
from discovery.engine.core.errors import NotAModel  # noqa: E402
from discovery.engine.core.files import open_file  # noqa: E402
from discovery.engine.core.types import Candidate, FileEntry, Found  # noqa: E402
from discovery.engine.core.vocabulary import Status  # noqa: E402
from discovery.engine.disk.walk import walk  # noqa: E402
from discovery.engine.identify import weights  # noqa: E402
from discovery.engine.identify.identify import identify  # noqa: E402
from discovery.engine.integrity import validate  # noqa: E402

MODELS, PLACES = 20, 10
#: Headers of large models take a few megabytes.
MOST = 16 << 20

#: Formats whose header says how long the file must be.
FORMATS = ("safetensors", "gguf", "ggml", "onnx", "pytorch")


class Counted:
    """A stream that counts the bytes taken from it."""

    def __init__(self, stream: BinaryIO, counts: dict[str, int], path: str) -> None:
        self.stream, self.counts, self.path = stream, counts, path

    def read(self, size: int = -1) -> bytes:
        data = self.stream.read(size)
        self.counts[self.path] = self.counts.get(self.path, 0) + len(data)
        return data

    def readinto(self, buffer: bytearray) -> int:
        taken = self.stream.readinto(buffer)  # type: ignore[attr-defined]
        self.counts[self.path] = self.counts.get(self.path, 0) + taken
        return int(taken)

    def __getattr__(self, name: str) -> object:
        return getattr(self.stream, name)


def candidates(root: Path) -> Iterator[tuple[Candidate, Found]]:
    """Whole models with weights of a format that knows its length, those with the fewest files
    first.
    """
    whole = []
    for item in walk(str(root), Discovery()):
        if not isinstance(item, Candidate) or item.problems:
            continue
        try:
            found = identify(str(root), item, Discovery())
        except NotAModel:
            continue
        if (
            len(found) == 1
            and found[0].status is Status.READY
            and any(v.format in FORMATS for v in found[0].variants)
        ):
            whole.append((item, found[0]))
    whole.sort(key=lambda pair: len(pair[0].files))
    return iter(whole[:MODELS])


def cuts(size: int) -> list[int]:
    """Lengths to cut a file to, longest first: the last byte, shares of the whole, the first
    bytes.
    """
    lengths = {
        size - 1,
        size - 4096,
        *(size * tenth // 10 for tenth in (9, 7, 5, 3, 1)),
        size // 1000,
        100,
        8,
    }
    return sorted((length for length in lengths if 0 < length < size), reverse=True)[:PLACES]


@contextmanager
def counting(counts: dict[str, int]) -> Iterator[None]:
    """Every weight file opened meanwhile is counted."""

    @contextmanager
    def opened(root: str, entry: FileEntry) -> Iterator[BinaryIO]:
        with open_file(root, entry) as stream:
            yield Counted(stream, counts, entry.path)  # type: ignore[misc]

    weights.open_file = opened  # type: ignore[assignment]
    try:
        yield
    finally:
        weights.open_file = open_file


def check(
    root: Path, candidate: Candidate, path: str, counts: dict[str, int]
) -> tuple[Status, bool]:
    """(status, whether no check failed) as the disk is now."""
    status = os.stat(root / path)
    now = {"size": status.st_size, "mtime_ns": status.st_mtime_ns}
    files, shared = (
        tuple(e._replace(**now) if e.path == path else e for e in entries)
        for entries in (candidate.files, candidate.shared)
    )
    with counting(counts):
        (found,) = identify(str(root), candidate._replace(files=files, shared=shared), Discovery())
    return found.status, validate.is_valid(validate.as_json(validate.checks(found)))


def main(shared: Path) -> int:
    corpus, missed, tried, models = shared / "corpus", [], 0, 0
    with tempfile.TemporaryDirectory(prefix="karen-truncations-") as folder:
        subprocess.run(
            [sys.executable, str(corpus / "materialise.py"), str(corpus), folder],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        root = Path(folder) / "models"
        for candidate, found in candidates(root):
            models += 1
            for path in sorted(
                {path for v in found.variants if v.format in FORMATS for path in v.files}
            ):
                size, whole = (root / path).stat().st_size, Path(folder) / "whole"
                subprocess.run(["cp", "--sparse=always", str(root / path), str(whole)], check=True)
                for length in cuts(size):
                    os.truncate(root / path, length)
                    counts: dict[str, int] = {}
                    status, valid = check(root, candidate, path, counts)
                    tried += 1
                    if status is Status.READY or valid:
                        missed.append(
                            f"{path} cut from {size:,} to {length:,} bytes passes: {status}"
                        )
                    if counts.get(path, 0) > MOST:
                        missed.append(f"{counts[path]:,} bytes of {path} were read")
                whole.replace(root / path)
    for line in missed:
        print(line)
    print(f"{models} models, {tried} cuts, {len(missed)} missed")
    return 1 if missed or models < MODELS else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
