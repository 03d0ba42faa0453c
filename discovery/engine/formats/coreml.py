"""Core ML: a ``.mlmodel`` (protobuf), the ``Manifest.json`` of a ``.mlpackage``, or the description
of a compiled ``.mlmodelc`` in ``metadata.json``, ``model.mil`` or ``model.espresso.net``.

Weights are not read.

Source: Model.proto and FeatureTypes.proto of https://github.com/apple/coremltools; the packages'
manifest as coremltools writes it; folders that ``coremlcompiler`` wrote.
"""

from __future__ import annotations

import json
import re
from collections.abc import Container
from typing import Any, BinaryIO

from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.format_registry import Format, Usage
from discovery.engine.core.types import Header, Problem
from discovery.engine.core.vocabulary import ModelType, Severity
from discovery.engine.formats.protobuf_fields import Field, ProtobufReader, signed

NAME = "coreml"

MAX_MANIFEST_BYTES = 1 << 20
MAX_PORTS = 200

#: The message that holds the model itself: which one is there tells what kind it is.
KINDS = {
    200: "pipeline classifier", 201: "pipeline regressor", 202: "pipeline", 300: "GLM regressor",
    301: "support vector regressor",
    302: "tree ensemble regressor", 303: "neural network regressor",
    304: "Bayesian probit regressor", 400: "GLM classifier",
    401: "support vector classifier", 402: "tree ensemble classifier",
    403: "neural network classifier", 404: "nearest neighbours classifier",
    500: "neural network", 501: "item similarity recommender", 502: "ML program",
    555: "custom model", 556: "linked model",
    2000: "text classifier", 2001: "word tagger", 2002: "vision feature print",
    2003: "sound analysis preprocessing", 2004: "gazetteer",
    2005: "word embedding", 2006: "audio feature print", 3000: "serialized model",
}  # fmt: skip
#: A version, then a description that starts with an input, an output, a predicted name, functions
#: or metadata: ONNX and others differ here.
_MODEL = re.compile(rb"\x08[\x01-\x7f]\x12[\x80-\xff]{0,4}[\x01-\x7f][\x0a\x52\x5a\xa2]")
_DESCRIPTION = {1: "description", 2: "version", 3: "author", 4: "license"}
_SIMPLE_TYPES = {
    1: "I64",
    2: "F64",
    3: "STRING",
    4: "IMAGE",
    6: "DICTIONARY",
    7: "SEQUENCE",
    8: "STATE",
}
_PRECISIONS = {"Float16": "F16", "Float32": "F32"}
_PROGRAM = re.compile(rb"program\s*\(\s*\d")
_ARRAY_TYPES = {65_568: "F32", 65_552: "F16", 65_600: "F64", 131_104: "I32", 131_080: "I8"}


def read(stream: BinaryIO, size: int) -> Header:
    """Raises ``NotThisFormat`` or ``InvalidHeader``."""
    first = stream.read(1)
    if first == b"[":
        return _read_compiled(stream, size)
    if first == b"p":
        return _read_program(stream)
    if first == b"{":
        return _read_manifest(stream, size)
    if not _MODEL.match(first + stream.read(15)):
        raise NotThisFormat("it is neither a Core ML model nor the manifest of a package")
    return _read_model(ProtobufReader(stream, size))


def _read_model(reader: ProtobufReader) -> Header:
    metadata: dict[str, Any] = {"inputs": [], "outputs": []}
    for field in reader.fields(0, reader.size):
        if field.number == 1:
            metadata["specification_version"] = field.value
        elif field.number == 2:
            _description(reader, field, metadata)
        elif field.number in KINDS:
            metadata["kind"] = KINDS[field.number]
    if "kind" not in metadata:
        raise NotThisFormat("it holds no Core ML model")
    return Header(format=NAME, metadata=metadata)


def _description(reader: ProtobufReader, description: Field, metadata: dict[str, Any]) -> None:
    for field in reader.inside(description):
        if field.number in (1, 10):
            metadata["inputs" if field.number == 1 else "outputs"].append(_feature(reader, field))
        elif field.number == 100:
            for item in reader.inside(field):
                if item.number in _DESCRIPTION:
                    metadata[_DESCRIPTION[item.number]] = reader.text(item)


def _feature(reader: ProtobufReader, feature: Field) -> dict[str, Any]:
    found: dict[str, Any] = {"name": "", "dtype": None, "shape": None}
    for field in reader.inside(feature):
        if field.number == 1:
            found["name"] = reader.text(field, 1_024)
        elif field.number == 3:
            for kind in reader.inside(field):
                if kind.number == 5:
                    found |= _array(reader, kind)
                elif kind.number in _SIMPLE_TYPES:
                    found["dtype"] = _SIMPLE_TYPES[kind.number]
    return found


def _array(reader: ProtobufReader, array: Field) -> dict[str, Any]:
    shape: list[int] = []
    dtype = None
    for field in reader.inside(array):
        if field.number == 1 and field.wire == 2:
            reader.seek(field.start)
            while reader.position < field.end and len(shape) < 64:
                shape.append(signed(reader.varint()))
        elif field.number == 1:
            shape.append(signed(field.value))
        elif field.number == 2:
            dtype = _ARRAY_TYPES.get(field.value)
    return {"dtype": dtype, "shape": shape}


def _read_compiled(stream: BinaryIO, size: int) -> Header:
    """``metadata.json`` of a compiled model: a list with one description."""
    if size > MAX_MANIFEST_BYTES:
        raise NotThisFormat("a description of a compiled Core ML model is shorter")
    text = b"[" + stream.read(size)
    if b'"metadataOutputVersion"' not in text:
        raise NotThisFormat("it describes no compiled Core ML model")
    try:
        told = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidHeader(f"the description is not JSON: {str(error)[:120]}") from error
    if not told or not isinstance(told[0], dict):
        raise InvalidHeader("the description of the compiled model is empty")
    model = told[0]
    kind = model.get("modelType")
    metadata: dict[str, Any] = {
        "compiled": True,
        "kind": _name(kind.get("name") if isinstance(kind, dict) else None),
        "specification_version": model.get("specificationVersion"),
        "inputs": _ports(model.get("inputSchema")),
        "outputs": _ports(model.get("outputSchema")),
    }
    # A mixed one lists several.
    precision = _PRECISIONS.get(str(model.get("storagePrecision"))[:40])
    fields = {
        "author": _name(model.get("author")),
        "license": _name(model.get("license")),
        "version": _name(model.get("version")),
        "description": _name(model.get("shortDescription")),
    }
    return Header(format=NAME, metadata=metadata, dtype=precision, fields=fields)


def _read_program(stream: BinaryIO) -> Header:
    """``model.mil``: the program as text."""
    if not _PROGRAM.match(b"p" + stream.read(40)):
        raise NotThisFormat("it is not a Core ML program")
    return Header(format=NAME, metadata={"compiled": True, "kind": "ML program"})


def _ports(schema: object) -> list[dict[str, Any]]:
    ports = []
    for item in schema[:MAX_PORTS] if isinstance(schema, list) else []:
        if isinstance(item, dict):
            shape = re.findall(r"\d{1,9}", str(item.get("shape", ""))[:200])
            port = {"name": _name(item.get("name")) or "", "shape": [int(n) for n in shape]}
            ports.append({**port, "dtype": _name(item.get("dataType") or item.get("type"))})
    return ports


def _name(value: object) -> str | None:
    return value[:300] if isinstance(value, str) and value else None


def _read_manifest(stream: BinaryIO, size: int) -> Header:
    if size > MAX_MANIFEST_BYTES:
        raise NotThisFormat(f"a Core ML manifest has less than {MAX_MANIFEST_BYTES:,} bytes")
    text = b"{" + stream.read(size)
    if b'"format_version"' in text and b'"storage"' in text and b'"layers"' in text:
        return Header(format=NAME, metadata={"compiled": True, "kind": "neural network"})
    if b'"itemInfoEntries"' not in text:
        raise NotThisFormat("it is not a Core ML manifest")
    try:
        manifest = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidHeader(f"the manifest is not JSON: {str(error)[:120]}") from error
    entries = manifest.get("itemInfoEntries")
    if not isinstance(entries, dict) or "fileFormatVersion" not in manifest:
        raise InvalidHeader("the manifest lists no items or no format version")
    paths = {
        key: entry["path"]
        for key, entry in entries.items()
        if isinstance(entry, dict) and isinstance(entry.get("path"), str)
    }
    root = manifest.get("rootModelIdentifier")
    problems = [
        Problem(
            "external_data_outside",
            f"the manifest names {path[:120]!r}, which lies outside the package",
            "",
            Severity.ERROR,
        )
        for path in paths.values()
        if path.startswith("/") or ".." in path.split("/")
    ]
    if not isinstance(root, str) or root not in paths:
        problems.append(
            Problem(
                "root_model_missing",
                "the manifest does not say which of its items is the model",
                "",
                Severity.ERROR,
            )
        )
    metadata = {
        "package": True,
        "format_version": str(manifest["fileFormatVersion"])[:80],
        "items": [f"Data/{path}" for path in paths.values()],
        "model": f"Data/{paths[root]}" if isinstance(root, str) and root in paths else None,
    }
    return Header(format=NAME, metadata=metadata, problems=problems)


#: What is read of a compiled model, best first.
_COMPILED = ("metadata.json", "model.mil", "model.espresso.net")


def _is_inside(path: str) -> bool:
    return ".mlpackage/" in path or ".mlmodelc/" in path


def _is_entry(path: str, others: Container[str]) -> bool:
    place, _, name = path.rpartition("/")
    if place.endswith(".mlpackage"):
        return name == "Manifest.json"
    if place.endswith(".mlmodelc") and not _is_inside(place):
        first = next((each for each in _COMPILED if f"{place}/{each}" in others), None)
        return name == first
    return False


FORMAT = Format(
    name=NAME,
    label="Core ML",
    rank=70,
    type=ModelType.COREML,
    suffixes=(".mlmodel",),
    tried_for=(".json", ".mil", ".net"),
    folder_suffixes=(".mlpackage", ".mlmodelc"),
    is_folder=lambda folder, _files, _folders: folder.endswith((".mlpackage", ".mlmodelc")),
    is_whole=True,
    is_entry=_is_entry,
    is_data=lambda path, others: _is_inside(path) and not _is_entry(path, others),
    read=read,
    usage=Usage(
        "Core ML",
        "pip install coremltools",
        "import coremltools\n\nmodel = coremltools.models.MLModel({path!r})\n"
        "print(model.get_spec().description)",
    ),
)
