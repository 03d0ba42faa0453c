"""TensorFlow.js: ``model.json`` or ``…weights_manifest.json``, with the weights in shards.

Source: ``ModelJSON`` and ``WeightsManifestConfig`` of https://github.com/tensorflow/tfjs
(tfjs-core/src/io/types.ts).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Container
from math import prod
from typing import Any, BinaryIO

from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.format_registry import Format, Usage
from discovery.engine.core.parameters import DTYPE_BITS, main_dtype
from discovery.engine.core.types import External, Header, Tensor
from discovery.engine.core.vocabulary import ModelType

NAME = "tfjs"

MAX_BYTES = 32 << 20
MAX_TENSORS = 100_000
MAX_SHARDS = 10_000
#: What stands at the start, or nothing in it is for tfjs.
HEAD_BYTES = 4_096
DTYPES = {
    "float32": "F32", "float16": "F16", "int32": "I32", "uint8": "U8", "uint16": "U16",
    "bool": "BOOL", "complex64": "C64", "int8": "I8",
}  # fmt: skip


def read(stream: BinaryIO, size: int) -> Header:
    """Raises ``NotThisFormat`` or ``InvalidHeader``. Shards are the header's external data."""
    head = stream.read(HEAD_BYTES)
    listed = head.lstrip()[:1] == b"["
    if head.lstrip()[:1] not in (b"[", b"{") or size > MAX_BYTES:
        raise NotThisFormat("it is not a TensorFlow.js manifest")
    if not listed and not any(
        key in head
        for key in (b'"modelTopology"', b'"weightsManifest"', b'"graph-model"', b'"layers-model"')
    ):
        raise NotThisFormat("it names no topology and no weights of TensorFlow.js")
    text = head + stream.read(size)
    if b'"weights"' not in text or b'"paths"' not in text:
        raise NotThisFormat("it lists no weights of TensorFlow.js")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidHeader(f"the manifest is not JSON: {str(error)[:120]}") from error
    groups = document if isinstance(document, list) else document.get("weightsManifest")
    if not isinstance(groups, list) or not all(isinstance(group, dict) for group in groups):
        raise InvalidHeader("the manifest lists no groups of weights")
    return _header(document if isinstance(document, dict) else {}, groups)


def _header(document: dict[str, Any], groups: list[dict[str, Any]]) -> Header:
    tensors: list[Tensor] = []
    externals: list[External] = []
    packed = False
    for group in groups:
        held = 0
        for weight in _list(group, "weights", MAX_TENSORS):
            tensor = _tensor(weight)
            packed = packed or isinstance(weight.get("quantization"), dict)
            tensors.append(tensor)
            held += tensor.size
        paths = [path for path in _list(group, "paths", MAX_SHARDS) if isinstance(path, str)]
        # Only of a single shard is it known how long it must be.
        externals += [External(path, held if len(paths) == 1 else 1) for path in paths]
    if not tensors:
        raise InvalidHeader("the manifest lists no weights")
    if len(tensors) > MAX_TENSORS or len(externals) > MAX_SHARDS:
        raise InvalidHeader("the manifest lists too many weights")
    metadata = {
        key: str(document[name])[:120]
        for key, name in (
            ("container", "format"),
            ("generated_by", "generatedBy"),
            ("converted_by", "convertedBy"),
        )
        if isinstance(document.get(name), str)
    }
    return Header(
        format=NAME,
        tensors=tensors,
        metadata={**metadata, "inputs": _inputs(document)},
        parameter_count=sum(prod(tensor.shape) for tensor in tensors),
        dtype=None if packed else main_dtype(tensors),
        quantization="INT8" if packed else None,
        externals=externals,
    )


def _list(owner: dict[str, Any], key: str, limit: int) -> list[Any]:
    value = owner.get(key)
    if not isinstance(value, list) or len(value) > limit:
        raise InvalidHeader(f"a group has no list of {key}, or too long a one")
    if key == "weights" and not all(isinstance(each, dict) for each in value):
        raise InvalidHeader("a weight is described by no object")
    return value


def _tensor(weight: dict[str, Any]) -> Tensor:
    name, shape, kind = weight.get("name"), weight.get("shape"), weight.get("dtype")
    quantization = weight.get("quantization")
    if isinstance(quantization, dict):
        kind = quantization.get("dtype", kind)
    if not (
        isinstance(name, str)
        and isinstance(kind, str)
        and isinstance(shape, list)
        and len(shape) <= 32
        and all(type(side) is int and 0 <= side < 1 << 40 for side in shape)
    ):
        raise InvalidHeader("a weight has no name, shape or type that make sense")
    dtype = DTYPES.get(kind, kind.upper()[:40])
    bits = DTYPE_BITS.get(dtype, 0)
    return Tensor(name[:512], dtype, tuple(shape), -1, prod(shape) * bits // 8)


def _inputs(document: dict[str, Any]) -> list[dict[str, Any]]:
    signature = document.get("signature")
    inputs = signature.get("inputs") if isinstance(signature, dict) else None
    found = []
    for name, told in list(inputs.items())[:100] if isinstance(inputs, dict) else []:
        shape = told.get("tensorShape") if isinstance(told, dict) else None
        sides = shape.get("dim") if isinstance(shape, dict) else None
        known = [
            int(side["size"])
            for side in (sides[:32] if isinstance(sides, list) else [])
            if isinstance(side, dict)
            and str(side.get("size")).lstrip("-").isdecimal()
            and len(str(side.get("size"))) < 12
        ]
        found.append({"name": str(name)[:120], "shape": known})
    return found


def _is_folder(_folder: str, files: Collection[str], _folders: Collection[str]) -> bool:
    return "model.json" in files and any(
        "-shard" in name or name == "weights.bin" for name in files
    )


def _is_data(path: str, others: Container[str]) -> bool:
    place, slash, name = path.rpartition("/")
    if "-shard" in name and not name.endswith(".json"):
        return True
    stem = name[:-4]
    return name.endswith(".bin") and (
        f"{place}{slash}{stem}-weights_manifest.json" in others
        or (name == "weights.bin" and f"{place}{slash}model.json" in others)
    )


FORMAT = Format(
    name=NAME,
    label="TensorFlow.js",
    rank=205,
    type=ModelType.TFJS,
    tried_for=(".json",),
    names=(
        (".json", r"(?P<stem>.+?)[-_.]weights_manifest\.json"),
        ("", r"(?P<stem>.+?)-shard\d+(?:of\d+)?"),
        (".bin", r"(?P<stem>.+?)-shard\d+(?:of\d+)?\.bin"),
    ),
    is_folder=_is_folder,
    is_data=_is_data,
    read=read,
    usage=Usage(
        "TensorFlow.js",
        "pip install tfjs-graph-converter",
        "from tfjs_graph_converter.api import load_graph_model\n\n"
        "graph = load_graph_model({path!r})\nprint(graph.get_operations()[:5])",
    ),
)
