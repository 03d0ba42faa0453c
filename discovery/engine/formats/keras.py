"""Keras: the ``.keras`` archive of Keras 3, and HDF5 files of any Keras.

Of the latter only the configuration in text is read.

Sources: https://keras.io/api/models/model_saving_apis/ and the HDF5 file format specification,
section II.A (superblock).
"""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from typing import Any, BinaryIO

from discovery.engine.archives.archives import Inspector
from discovery.engine.archives.torch_zip import Archive
from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.format_registry import Format, Usage
from discovery.engine.core.types import Header, Problem
from discovery.engine.core.vocabulary import ModelType, Severity
from discovery.engine.formats import hdf5
from discovery.engine.untrusted import config_code

NAME = "keras"

MAX_DIRECTORY_BYTES = 4 << 20
MAX_JSON_BYTES = 3 << 20
MAX_COMMENT = 65_535
#: Keras writes the configuration of a model into its HDF5 file before the weights.
CONFIG_WITHIN = 2 << 20
_CONFIG = re.compile(r'\{\s*"(?:class_name|module|config|name|registered_name|build_config)"')
MAX_CONFIGS = 100
_IMPORTS = ("unsafe_import", "foreign_import")
MAX_PROBLEMS = 50
_MEMBERS = ("metadata.json", "config.json", "model.weights.h5")


def read(stream: BinaryIO, size: int) -> Header:
    """Raises ``NotThisFormat`` or ``InvalidHeader``.

    Code that the configuration names is a problem.
    """
    head = stream.read(128)
    if head.startswith(hdf5.MAGIC):
        return _read_hdf5(stream, size, head)
    if head[:4] != b"PK\x03\x04":
        raise NotThisFormat("it is neither a .keras archive nor HDF5")
    return _read_archive(stream, size, head)


def _read_hdf5(stream: BinaryIO, size: int, head: bytes) -> Header:
    block = hdf5.superblock(head)
    found = hdf5.attributes(stream, block, size)
    configs = [config for _, text in found.texts if (config := _object(text))]
    stream.seek(0)
    configs += _configs_within(stream.read(CONFIG_WITHIN))
    named = _Code()
    for config in configs:
        named.walk(config)
    if not found.complete:
        text = (
            "not all attributes of the file can be read: its configuration cannot be checked for"
            " code that it names"
        )
        named.problems.append(Problem("config_unchecked", text, "", Severity.WARNING))
    metadata = {
        "container": "hdf5",
        "superblock_version": block.version,
        **_described(next((each for each in configs if "class_name" in each), {})),
    }
    return Header(
        format=NAME,
        metadata=metadata,
        expected_size=block.end,
        imports=named.imports,
        problems=named.problems,
    )


def _object(text: bytes) -> dict[str, Any] | None:
    """A JSON object, or nothing: attributes hold other texts too."""
    if len(text) > MAX_JSON_BYTES or not text.lstrip().startswith(b"{"):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _configs_within(data: bytes) -> list[dict[str, Any]]:
    """Configurations found by searching the raw bytes, wherever the file's own addresses lead."""
    found: list[dict[str, Any]] = []
    text, at = data.decode("latin-1"), 0
    for _ in range(MAX_CONFIGS):
        match = _CONFIG.search(text, at)
        if match is None:
            break
        try:
            value, at = json.JSONDecoder().raw_decode(text, match.start())
        except (ValueError, RecursionError):
            at = match.end()
            continue
        found += [value] if isinstance(value, dict) else []
    return found


def _read_archive(stream: BinaryIO, size: int, head: bytes) -> Header:
    ours = any(head[30:].startswith(name.encode()) for name in _MEMBERS)
    try:
        _check_directory(stream, size)
        archive = zipfile.ZipFile(stream)
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        failure = InvalidHeader if ours else NotThisFormat
        raise failure(f"the archive's directory cannot be read: {error}") from error
    with archive:
        sizes = {member.filename: member.file_size for member in archive.infolist()}
        if "config.json" not in sizes or not (
            "metadata.json" in sizes or "model.weights.h5" in sizes
        ):
            raise NotThisFormat("it is an archive without Keras's config.json")
        config, metadata = (
            _json(archive, "config.json", sizes),
            _json(archive, "metadata.json", sizes),
        )
    named = _Code()
    for each in (config, metadata):
        named.walk(each)
    if "model.weights.h5" not in sizes and not named.problems:
        named.problems.append(
            Problem("weights_missing", "the archive has no model.weights.h5", "", Severity.ERROR)
        )
    described = {
        "container": "keras",
        "keras_version": _string(metadata.get("keras_version")),
        "date_saved": _string(metadata.get("date_saved")),
        **_described(config),
        "weights_size": sizes.get("model.weights.h5"),
    }
    # Keras's own members are JSON and HDF5, read by parsers that run nothing; weights that are
    # mostly zeros shrink as much as a bomb does.
    inspector, parts = Inspector(), Archive(stream, size)
    inspector.members(
        parts, (member for member in parts.members if member.size and member.name not in _MEMBERS)
    )
    return Header(
        format=NAME,
        metadata=described,
        imports=[*named.imports, *inspector.imports],
        problems=[*named.problems, *inspector.problems],
    )


def _check_directory(stream: BinaryIO, size: int) -> None:
    """Check the end record first: ``zipfile`` reads a directory of any size into memory."""
    start = max(size - MAX_COMMENT - 22, 0)
    stream.seek(start)
    tail = stream.read(size - start)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + 22 > len(tail):
        raise ValueError("it has no end, as after an interrupted download")
    length, offset = (
        int.from_bytes(tail[at + begin : at + begin + 4], "little") for begin in (12, 16)
    )
    locator = tail.rfind(b"PK\x06\x07", 0, at)
    if locator >= 0:
        stream.seek(min(int.from_bytes(tail[locator + 8 : locator + 16], "little"), size))
        record = stream.read(56)
        length = max(
            int.from_bytes(record[40:48], "little"), 0 if length == 0xFFFF_FFFF else length
        )
    elif offset + length > start + at:
        raise ValueError("it reaches past the end of the file")
    if length > MAX_DIRECTORY_BYTES:
        raise ValueError(f"it claims {length:,} bytes, more than {MAX_DIRECTORY_BYTES:,}")
    stream.seek(0)


def _json(archive: zipfile.ZipFile, name: str, sizes: dict[str, int]) -> dict[str, Any]:
    if name not in sizes:
        return {}
    try:
        with archive.open(name) as member:
            text = member.read(MAX_JSON_BYTES + 1)
        if len(text) > MAX_JSON_BYTES:
            raise InvalidHeader(f"{name} is longer than {MAX_JSON_BYTES:,} bytes")
        document = json.loads(text)
    except (
        ValueError,
        RecursionError,
        zipfile.BadZipFile,
        OSError,
        RuntimeError,
        EOFError,
        zlib.error,
    ) as error:
        raise InvalidHeader(f"{name} cannot be read: {str(error)[:120]}") from error
    if not isinstance(document, dict):
        raise InvalidHeader(f"{name} is not a JSON object")
    return document


def _string(value: Any) -> str | None:
    return value[:256] if isinstance(value, str) else None


def _described(config: dict[str, Any]) -> dict[str, Any]:
    body = config.get("config")
    body = body if isinstance(body, dict) else {}
    layers = body.get("layers")
    return {
        "class_name": _string(config.get("class_name")),
        "name": _string(body.get("name")),
        "layer_count": len(layers) if isinstance(layers, list) else None,
    }


class _Code:
    """The code that loading a configuration would run, without repetitions."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.imports: list[str] = []

    def walk(self, config: dict[str, Any]) -> None:
        for found in config_code.namings(config):
            problem = Problem(
                found.code,
                f"the configuration {found.reason}",
                "",
                found.severity,
                key=found.subject,
            )
            if len(self.problems) < MAX_PROBLEMS and problem not in self.problems:
                self.problems.append(problem)
                self.imports += [found.subject] if found.code in _IMPORTS else []


FORMAT = Format(
    name=NAME,
    label="Keras",
    rank=90,
    type=ModelType.TENSORFLOW,
    suffixes=(".keras",),
    tried_for=(".h5",),
    magic=lambda head, _suffix: head[:8] == b"\x89HDF\r\n\x1a\n",
    is_archive=True,
    read=read,
    usage=Usage(
        "Keras",
        "pip install keras tensorflow",
        "import keras\n\nmodel = keras.saving.load_model({path!r}, safe_mode=True)\n"
        "model.summary()",
    ),
)
