"""Keras: the ``.keras`` archive of Keras 3, and HDF5 files of any Keras, of which only the configuration in text is looked at.

Sources: https://keras.io/api/models/model_saving_apis/ and the HDF5 file format specification, section II.A (superblock).
"""

from __future__ import annotations

import json
import re
import sys
import zipfile
import zlib
from dataclasses import replace
from typing import Any, BinaryIO

from discovery.engine.archives import Inspector
from discovery.engine.errors import InvalidHeader, NotThisFormat
from discovery.engine.formats.torch_zip import Archive
from discovery.engine.types import Header, Problem, Severity

NAME = "keras"

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
MAX_DIRECTORY_BYTES = 4 << 20
MAX_JSON_BYTES = 3 << 20
MAX_COMMENT = 65_535
#: Keras writes the configuration of a model into its HDF5 file before the weights.
CONFIG_WITHIN = 2 << 20
_LAMBDA = re.compile(rb'"class_name"\s*:\s*"(?:Lambda|__lambda__)"')
_MEMBERS = ("metadata.json", "config.json", "model.weights.h5")
#: Keras serializes plain functions such as ``relu`` under ``builtins``.
_OWN_MODULES = ("keras", "tf_keras", "tensorflow", "builtins")


def read(stream: BinaryIO, size: int) -> Header:
    """Raises ``NotThisFormat`` or ``InvalidHeader``. A ``Lambda`` layer is a problem: it holds Python code."""
    head = stream.read(64)
    if head.startswith(HDF5_MAGIC):
        header = _read_hdf5(head)
        return (
            replace(header, problems=[lambda_problem()])
            if holds_lambda(head + stream.read(CONFIG_WITHIN))
            else header
        )
    if head[:4] != b"PK\x03\x04":
        raise NotThisFormat("it is neither a .keras archive nor HDF5")
    return _read_archive(stream, size, head)


def _read_hdf5(head: bytes) -> Header:
    version = head[8] if len(head) > 8 else -1
    if version not in (0, 1, 2, 3):
        raise InvalidHeader(f"HDF5 has no superblock version {version}", 8)
    width_at, addresses_at = (13, 28 if version else 24) if version < 2 else (9, 12)
    width = head[width_at] if len(head) > width_at else 0
    if width not in (4, 8):
        raise InvalidHeader(f"the superblock has offsets of {width} bytes", width_at)
    end_at = addresses_at + 2 * width  # after the base address and one other
    if len(head) < end_at + width:
        raise InvalidHeader("the file ends inside the superblock", len(head))
    expected = int.from_bytes(head[end_at : end_at + width], "little")
    return Header(
        format=NAME,
        metadata={"container": "hdf5", "superblock_version": version},
        expected_size=expected,
    )


def holds_lambda(text: bytes) -> bool:
    """Whether the configuration of a Keras model, as JSON somewhere in ``text``, has a layer that is Python code."""
    return _LAMBDA.search(text) is not None


def lambda_problem() -> Problem:
    return Problem(
        "lambda_layer",
        "a Lambda layer holds Python code that runs when the model is loaded: never load it",
        "",
        Severity.ERROR,
    )


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
    found = _Config(config)
    if "model.weights.h5" not in sizes and not found.problems:
        found.problems.append(
            Problem("weights_missing", "the archive has no model.weights.h5", "", Severity.ERROR)
        )
    described = {
        "container": "keras",
        "keras_version": _string(metadata.get("keras_version")),
        "date_saved": _string(metadata.get("date_saved")),
        "class_name": _string(config.get("class_name")),
        "name": found.name,
        "layer_count": found.layers,
        "weights_size": sizes.get("model.weights.h5"),
    }
    # Keras's own members are JSON and HDF5, read by parsers that run nothing; weights that are mostly zeros shrink as much as a bomb does.
    inspector, parts = Inspector(), Archive(stream, size)
    inspector.members(
        parts, (member for member in parts.members if member.size and member.name not in _MEMBERS)
    )
    return Header(
        format=NAME,
        metadata=described,
        imports=[*found.imports, *inspector.imports],
        problems=[*found.problems, *inspector.problems],
    )


def _check_directory(stream: BinaryIO, size: int) -> None:
    """Looks at the end record first: ``zipfile`` reads a directory of any size into memory."""
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


class _Config:
    """What config.json says about layers, and what loading it would run. Walked with a stack of our own: no recursion on input."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.problems: list[Problem] = []
        self.imports: list[str] = []
        body = config.get("config")
        body = body if isinstance(body, dict) else {}
        layers = body.get("layers")
        self.layers = len(layers) if isinstance(layers, list) else None
        self.name = _string(body.get("name"))
        waiting: list[Any] = [config]
        while waiting:
            item = waiting.pop()
            if isinstance(item, dict):
                self._object(item)
                waiting += item.values()
            elif isinstance(item, list):
                waiting += item

    def _object(self, item: dict[str, Any]) -> None:
        kind, module = item.get("class_name"), item.get("module")
        if kind in ("Lambda", "__lambda__") and not any(
            problem.code == "lambda_layer" for problem in self.problems
        ):
            self.problems.append(lambda_problem())
        if (
            not isinstance(module, str)
            or not isinstance(kind, str)
            or module.split(".")[0].startswith(_OWN_MODULES)
        ):
            return
        reference = f"{module[:128]}.{kind[:128]}"
        if reference not in self.imports and len(self.imports) < 100:
            self.imports.append(reference)
            message = f"loading the model imports {reference}, which is no part of Keras"
            dangerous = module.split(".")[0] in sys.stdlib_module_names
            severity = Severity.ERROR if dangerous else Severity.WARNING
            self.problems.append(
                Problem("unsafe_import" if dangerous else "foreign_import", message, "", severity)
            )
