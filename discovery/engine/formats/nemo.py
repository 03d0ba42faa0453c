"""NVIDIA NeMo: ``.nemo``, a tar archive with ``model_config.yaml`` and a PyTorch checkpoint.

Source: NeMo's ``SaveRestoreConnector``. The checkpoint in it is a pickle: see
``discovery.engine.archives.archives``.
"""

from __future__ import annotations

import re
import zlib
from io import BytesIO
from typing import Any, BinaryIO

from discovery.engine.archives import tar
from discovery.engine.archives.archives import Inspector
from discovery.engine.archives.tar import RECORD
from discovery.engine.core.binary import Reader
from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.format_registry import Format
from discovery.engine.core.types import Header, Problem
from discovery.engine.core.vocabulary import ModelType, Severity
from discovery.engine.untrusted import config_code

NAME = "nemo"

MAX_MEMBERS = 1_000
MAX_CONFIG_BYTES = 1 << 20
#: Of a compressed archive: the configuration comes first, the weights need not be unpacked to know
#: them.
MAX_UNPACKED = 4 << 20
MAX_KEYS = 200
GZIP_MAGIC = b"\x1f\x8b"

_TOP_LEVEL = re.compile(r"^([A-Za-z_][\w.]{0,63}):[ \t]+([^\s#{\[|>&*][^\n]{0,255})$", re.MULTILINE)
_CONFIGS = (".yaml", ".yml", ".json")
_FILES = frozenset({"0", "\0", "7"})


def read(stream: BinaryIO, size: int) -> Header:
    """Members, and the plain values of the configuration's top level.

    Raises ``NotThisFormat`` or ``InvalidHeader``.
    """
    start = stream.read(2)
    stream.seek(0)
    compressed = start == GZIP_MAGIC
    if compressed:
        data, complete = _unpack(stream)
        reader = Reader(BytesIO(data), len(data))
    else:
        reader, complete = Reader(stream, size), True
    archive = _Archive(reader, complete)
    if archive.config is None:
        raise NotThisFormat("it is an archive without model_config.yaml")
    weights = [
        (name, length)
        for name, length in archive.members
        if name.endswith((".ckpt", ".pt", ".safetensors")) or "model_weights/" in name
    ]
    inspector = Inspector()
    inspector.look(stream, size, "model.nemo")
    problems = [*inspector.problems, *archive.problems]
    if complete and not weights:
        problems.append(
            Problem("weights_missing", "the archive has no model weights", "", Severity.ERROR)
        )
    metadata = {
        "container": "nemo",
        "members": [name for name, _ in archive.members],
        "config": archive.config,
        "compressed": compressed,
        "weights_size": sum(length for _, length in weights) if weights else None,
    }
    expected = None if compressed else archive.end
    return Header(
        format=NAME,
        metadata=metadata,
        expected_size=expected,
        imports=list(inspector.imports),
        problems=problems,
    )


def _unpack(stream: BinaryIO) -> tuple[bytes, bool]:
    """The first bytes inside, and whether they are all."""
    inflater = zlib.decompressobj(wbits=31)
    data = bytearray()
    try:
        while len(data) < MAX_UNPACKED and not inflater.eof:
            block = inflater.unconsumed_tail or stream.read(1 << 16)
            if not block:
                raise InvalidHeader("the compressed archive ends early")
            data += inflater.decompress(block, MAX_UNPACKED - len(data))
    except zlib.error as error:
        raise InvalidHeader(f"the compressed archive is broken: {error}") from error
    return bytes(data), inflater.eof


class _Archive:
    """Names and lengths of the members, and ``config`` if it was found.

    ``end`` is the end of the last member, including padding.
    """

    def __init__(self, reader: Reader, complete: bool) -> None:
        self.members: list[tuple[str, int]] = []
        self.config: dict[str, Any] | None = None
        self.problems: list[Problem] = []
        self.end = 0
        self._walk(reader, complete)

    def _walk(self, reader: Reader, complete: bool) -> None:
        records = 0
        while True:
            if reader.left < RECORD:
                if not complete:
                    return
                if not self.members:
                    raise NotThisFormat("it is not a tar archive")
                raise InvalidHeader(
                    "the archive has no end, as after an interrupted download", reader.position
                )
            record = reader.exact(RECORD, "a tar header")
            if not record.strip(b"\0"):
                self.end = reader.position + RECORD  # an archive ends in two empty records
                return
            records += 1
            if records > MAX_MEMBERS:
                raise InvalidHeader(
                    f"the archive has more than {MAX_MEMBERS:,} members", reader.position
                )
            found = _member(record, reader.position, first=not self.members)
            if found.kind in _FILES:
                self.members.append((found.name, found.size))
            if (
                found.kind in _FILES
                and found.name.lower().endswith(_CONFIGS)
                and found.size <= max(reader.left, 0)
            ):
                self._config(reader, found)
            if found.following > reader.size:
                self.end = found.following + RECORD
                return
            reader.seek(found.following)

    def _config(self, reader: Reader, found: tar.TarMember) -> None:
        """Check what a configuration names; ``model_config.yaml`` also describes the model."""
        main = self.config is None and found.name.rpartition("/")[2] == "model_config.yaml"
        if found.size > MAX_CONFIG_BYTES:
            text = (
                f"{found.name[:120]} has more than {MAX_CONFIG_BYTES:,} bytes: nobody has looked at"
                " what it names"
            )
            self.problems.append(Problem("config_unchecked", text, "", Severity.WARNING))
            return
        raw = reader.exact(found.size, found.name)
        if main:
            self.config = _top_level(raw)
        self.problems += config_code.problems(found.name[:120], raw)


def _member(record: bytes, start: int, *, first: bool) -> tar.TarMember:
    try:
        return tar.member(record, start)
    except InvalidHeader as error:
        raise (NotThisFormat if first else InvalidHeader)(error.reason) from error


def _top_level(text: bytes) -> dict[str, str]:
    """``key: value`` lines that are not indented: a YAML parser is not needed for sample_rate and
    target.
    """
    pairs = _TOP_LEVEL.findall(text.decode("utf-8", "replace"))[:MAX_KEYS]
    return {key: value.strip().strip("'\"") for key, value in pairs}


FORMAT = Format(
    name=NAME,
    label="NeMo",
    rank=120,
    type=ModelType.PYTORCH,
    suffixes=(".nemo",),
    holds_pickles=True,
    is_archive=True,
    read=read,
)
