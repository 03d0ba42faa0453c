"""TorchServe: ``.mar``, a zip archive with a manifest, the weights, and the handler's code.

Source: ``model-archiver`` of https://github.com/pytorch/serve.
"""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any, BinaryIO

from discovery.engine.archives.archives import Inspector
from discovery.engine.archives.torch_zip import LOCAL_MAGIC, Archive
from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.format_registry import Format
from discovery.engine.core.types import Header, Problem
from discovery.engine.core.vocabulary import ModelType, Severity

NAME = "torchserve"

MANIFEST = "MAR-INF/MANIFEST.json"
MAX_MANIFEST = 1 << 20


def read(stream: BinaryIO, size: int) -> Header:
    """Raises ``NotThisFormat`` or ``InvalidHeader``."""
    if stream.read(4) != LOCAL_MAGIC:
        raise NotThisFormat("it is not a zip archive")
    try:
        archive = Archive(stream, size)
    except InvalidHeader as error:
        raise NotThisFormat(f"it is an archive that cannot be read: {error}") from error
    manifest = next((each for each in archive.members if each.name == MANIFEST), None)
    if manifest is None:
        raise NotThisFormat(f"it is an archive without {MANIFEST}")
    if manifest.size > MAX_MANIFEST:
        raise InvalidHeader(f"its manifest has {manifest.size:,} bytes")
    told = _model(archive.read(manifest))
    inspector = Inspector()
    inspector.members(archive, (each for each in archive.members if each.size))
    problems = [*archive.problems, *inspector.problems]
    names = {member.name for member in archive.members}
    if code := [name for name in sorted(names) if name.endswith((".py", ".whl", ".tar.gz"))]:
        text = (
            f"it brings code along ({', '.join(code[:3])[:120]}), which TorchServe runs when it"
            " loads the model"
        )
        problems.append(Problem("remote_code", text, "", Severity.WARNING, key="handler"))
    serialized = told.get("serializedFile")
    if isinstance(serialized, str) and serialized not in names:
        text = f"its manifest names {serialized[:120]!r}, which is not in the archive"
        problems.append(Problem("weights_missing", text, "", Severity.ERROR))
    fields = {
        "name": told.get("modelName"),
        "version": told.get("modelVersion"),
        "description": told.get("description"),
    }
    return Header(
        format=NAME,
        metadata={"container": "mar", "handler": str(told.get("handler"))[:120]},
        imports=list(inspector.imports),
        problems=problems,
        fields={name: text[:300] for name, text in fields.items() if isinstance(text, str)},
    )


def _model(text: bytes | None) -> dict[str, Any]:
    try:
        told = json.load(BytesIO(text or b""))
    except (ValueError, RecursionError) as error:
        raise InvalidHeader(f"its manifest is not JSON: {str(error)[:120]}") from error
    model = told.get("model") if isinstance(told, dict) else None
    if not isinstance(model, dict):
        raise InvalidHeader("its manifest names no model")
    return model


FORMAT = Format(
    name=NAME,
    label="TorchServe",
    rank=37,
    type=ModelType.PYTORCH,
    names=((".mar", r"(?P<stem>.*)\.mar"),),
    holds_pickles=True,
    is_archive=True,
    is_program=True,
    read=read,
)
