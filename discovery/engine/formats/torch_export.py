"""What ``torch.export.save`` and AOTInductor write: ``.pt2``, a zip archive with the graph as JSON.

Source: ``torch/_export/serde/serialize.py``, ``torch/export/pt2_archive/constants.py`` of
https://github.com/pytorch/pytorch.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import prod
from typing import Any, BinaryIO

from discovery.engine.archives.archives import Inspector
from discovery.engine.archives.torch_zip import LOCAL_MAGIC, Archive
from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.format_registry import Format, Usage
from discovery.engine.core.parameters import DTYPE_BITS, count_parameters, main_dtype
from discovery.engine.core.types import Header, Problem, Tensor
from discovery.engine.core.vocabulary import ModelType, Severity
from discovery.engine.formats import pytorch

NAME = "torch_export"

#: Names, below a folder or not, of the graph; of native code.
_GRAPHS = ("serialized_exported_program.json", "archive_format")
_CODE = (".so", ".dll", ".dylib", ".pyd", ".cpp", ".cubin")
#: The list of weights of a model in the archive, and their types (``ScalarType`` of the schema).
_WEIGHTS = "_weights_config.json"
MAX_CONFIG = 16 << 20
MAX_TENSORS = 100_000
DTYPES = {
    "1": "U8", "2": "I8", "3": "I16", "4": "I32", "5": "I64", "6": "F16", "7": "F32", "8": "F64",
    "12": "BOOL", "13": "BF16", "28": "U16", "29": "F8_E4M3", "30": "F8_E5M2",
}  # fmt: skip
_PARTS = ("models/", "data/aotinductor/", "data/weights/")


def read(stream: BinaryIO, size: int) -> Header:
    """Raises ``NotThisFormat`` or ``InvalidHeader``."""
    head = stream.read(512)
    if head[:4] != LOCAL_MAGIC:
        raise NotThisFormat("it is not a zip archive")
    ours = any(name.encode() in head for name in _GRAPHS)
    try:
        archive = Archive(stream, size)
    except InvalidHeader as error:
        if ours:
            raise
        raise NotThisFormat(f"it is an archive that cannot be read: {error}") from error
    names = [member.name for member in archive.members]
    if not any(name.rpartition("/")[2] in _GRAPHS for name in names):
        stream.seek(0)
        return pytorch.read(stream, size)
    inspector = Inspector()
    inspector.members(archive, (member for member in archive.members if member.size))
    problems = [*archive.problems, *inspector.problems]
    code = [name for name in names if name.endswith(_CODE)]
    if code:
        text = f"it brings native code along ({code[0][:120]}): loading it runs that"
        problems.append(Problem("remote_code", text, "", Severity.WARNING, key="native"))
    whole = any(part in name for name in names for part in _PARTS) or any(
        name.rpartition("/")[2] in ("serialized_state_dict.pt", "serialized_state_dict.json")
        for name in names
    )
    if not whole:
        text = "the archive has a format and no weights"
        problems.append(Problem("weights_missing", text, "", Severity.ERROR))
    tensors = list(_tensors(archive))
    return Header(
        format=NAME,
        tensors=tensors,
        metadata={"container": "pt2", "native_code": bool(code), "members": len(names)},
        parameter_count=count_parameters(tensors) or None,
        dtype=main_dtype(tensors),
        imports=list(inspector.imports),
        problems=problems,
    )


def _tensors(archive: Archive) -> Iterator[Tensor]:
    """What the list of weights says of them; nothing where there is none that can be read."""
    for member in archive.members:
        if not member.name.endswith(_WEIGHTS) or member.size > MAX_CONFIG:
            continue
        try:
            told = json.loads(archive.read(member) or b"{}")
        except (ValueError, RecursionError):
            continue
        config = told.get("config") if isinstance(told, dict) else None
        for name, weight in list(config.items())[:MAX_TENSORS] if isinstance(config, dict) else ():
            meta = weight.get("tensor_meta") if isinstance(weight, dict) else None
            if isinstance(meta, dict) and (tensor := _tensor(name, meta)):
                yield tensor


def _tensor(name: str, meta: dict[str, Any]) -> Tensor | None:
    told, dtype = meta.get("sizes"), DTYPES.get(str(meta.get("dtype")))
    if not isinstance(told, list) or len(told) > 32 or dtype is None:
        return None
    sizes = [side.get("as_int") if isinstance(side, dict) else None for side in told]
    shape = tuple(side for side in sizes if type(side) is int and 0 <= side < 1 << 40)
    if len(shape) < len(sizes):
        return None
    return Tensor(name[:512], dtype, shape, -1, prod(shape) * DTYPE_BITS[dtype] // 8)


FORMAT = Format(
    name=NAME,
    label="torch.export",
    rank=34,
    type=ModelType.PYTORCH,
    suffixes=(".pt2",),
    holds_pickles=True,
    is_archive=True,
    is_program=True,
    read=read,
    usage=Usage(
        "PyTorch",
        "pip install torch",
        "import torch\n\nprogram = torch.export.load({path!r})\nprint(program.graph_signature)",
    ),
)
