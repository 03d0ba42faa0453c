"""skops: scikit-learn's objects in a zip archive, described in ``schema.json`` and not pickled.

Loading creates objects of listed types only, unless the caller allows others.

Source: ``skops/io/_persist.py`` of https://github.com/skops-dev/skops.
"""

from __future__ import annotations

import json
import zlib
from typing import Any, BinaryIO

from discovery.engine.archives import decompression
from discovery.engine.archives.archives import Inspector
from discovery.engine.archives.torch_zip import LOCAL_MAGIC, Archive, Member
from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.format_registry import Format, Usage
from discovery.engine.core.types import Header
from discovery.engine.core.vocabulary import ModelType
from discovery.engine.pickles.pickle_owner import owner

NAME = "skops"

MAX_SCHEMA = 16 << 20
SCHEMA = "schema.json"


def read(stream: BinaryIO, size: int) -> Header:
    """Raises ``NotThisFormat`` or ``InvalidHeader``."""
    if stream.read(4) != LOCAL_MAGIC:
        raise NotThisFormat("it is not a zip archive")
    try:
        archive = Archive(stream, size)
    except InvalidHeader as error:
        raise NotThisFormat(f"it is an archive that cannot be read: {error}") from error
    schema = next((member for member in archive.members if member.name == SCHEMA), None)
    if schema is None:
        raise NotThisFormat("it is an archive without schema.json")
    if schema.size > MAX_SCHEMA:
        raise InvalidHeader(f"its description has {schema.size:,} bytes")
    told = _parse(archive.read(schema))
    inspector = Inspector()
    inspector.members(archive, (each for each in archive.members if not _is_plain(archive, each)))
    module, name = told.get("__module__"), told.get("__class__")
    found = owner(None, [str(module)])
    return Header(
        format=NAME,
        metadata={
            "class": f"{module}.{name}"[:200],
            "skops_version": str(told.get("_skops_version"))[:40],
            "protocol": told.get("protocol") if type(told.get("protocol")) is int else None,
        },
        imports=list(inspector.imports),
        problems=[*archive.problems, *inspector.problems],
        type=found.type if found else None,
        fields={"architecture": name[:120] if isinstance(name, str) else None},
    )


def _is_plain(archive: Archive, member: Member) -> bool:
    """Whether a member needs no inspection: the description, an empty one, or an array of numbers,
    which is read without unpickling.
    """
    if member.name == SCHEMA or not member.size:
        return True
    if not member.name.endswith(".npy"):
        return False
    head = archive.head(member, decompression.HEAD_BYTES)
    try:
        end = decompression.array_header(head) if head.startswith(decompression.NPY_MAGIC) else 0
    except InvalidHeader:
        return False
    return bool(end) and decompression.is_plain_array(head[:end])


def _parse(text: bytes | None) -> dict[str, Any]:
    try:
        told = json.loads(text or b"")
    except (ValueError, RecursionError, zlib.error) as error:
        raise InvalidHeader(f"its description is not JSON: {str(error)[:120]}") from error
    if not isinstance(told, dict) or "__class__" not in told or "__module__" not in told:
        raise NotThisFormat("its schema.json describes no object")
    return told


FORMAT = Format(
    name=NAME,
    label="skops",
    rank=36,
    type=ModelType.SKLEARN,
    suffixes=(".skops",),
    is_archive=True,
    read=read,
    usage=Usage(
        "skops",
        "pip install skops",
        "import skops.io\n\n"
        "print(skops.io.get_untrusted_types(file={path!r}))\n"
        "model = skops.io.load({path!r}, trusted=[])",
        (ModelType.SKLEARN, ModelType.XGBOOST, ModelType.LIGHTGBM, ModelType.CATBOOST),
    ),
)
