"""What ``torch.export.save`` and AOTInductor write: ``.pt2``, a zip archive with the graph as JSON.

Source: ``torch/_export/serde/serialize.py``, ``torch/export/pt2_archive/constants.py`` of
https://github.com/pytorch/pytorch.
"""

from __future__ import annotations

from typing import BinaryIO

from discovery.engine.archives.archives import Inspector
from discovery.engine.archives.torch_zip import LOCAL_MAGIC, Archive
from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.format_registry import Format, Usage
from discovery.engine.core.types import Header, Problem
from discovery.engine.core.vocabulary import ModelType, Severity
from discovery.engine.formats import pytorch

NAME = "torch_export"

#: Names, below a folder or not, of the graph; of native code.
_GRAPHS = ("serialized_exported_program.json", "archive_format")
_CODE = (".so", ".dll", ".dylib", ".pyd", ".cpp", ".cubin")
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
    return Header(
        format=NAME,
        metadata={"container": "pt2", "native_code": bool(code), "members": len(names)},
        imports=list(inspector.imports),
        problems=problems,
    )


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
