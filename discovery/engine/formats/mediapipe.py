"""MediaPipe: ``.task``, a zip archive of TensorFlow Lite models, and LiteRT-LM's ``.litertlm``.

Source: https://ai.google.dev/edge/mediapipe/solutions/model_maker (bundles) and
``schema/core/litertlm_header.h`` of https://github.com/google-ai-edge/LiteRT-LM.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from struct import unpack
from typing import BinaryIO

from discovery.engine.archives import decompression
from discovery.engine.archives.archives import Inspector
from discovery.engine.archives.torch_zip import Archive, Member
from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.format_registry import Format, Usage
from discovery.engine.core.types import Header
from discovery.engine.core.vocabulary import ModelType
from discovery.engine.formats import tflite

NAME = "mediapipe"

LITERTLM = b"LITERTLM"
#: The magic, a version in three parts, padding, and where the header ends.
LITERTLM_BYTES = 32
#: The parts of a bundle with a language model.
#: Models of one bundle that are looked at, and how deep bundles lie in bundles.
MAX_MODELS = 32
MAX_DEPTH = 2
_LANGUAGE = ("TF_LITE_PREFILL_DECODE", "TOKENIZER_MODEL")


def read(stream: BinaryIO, size: int) -> Header:
    """Raises ``NotThisFormat`` or ``InvalidHeader``."""
    head = stream.read(LITERTLM_BYTES)
    if head.startswith(LITERTLM):
        return _litertlm(head, size)
    if head[:2] != b"PK":
        raise NotThisFormat("it is neither a bundle of MediaPipe's nor one of LiteRT-LM's")
    try:
        archive = Archive(stream, size, is_behind=True)
    except InvalidHeader as error:
        raise NotThisFormat(f"it is an archive that cannot be read: {error}") from error
    members = [member for member in archive.members if member.size]
    if min((member.offset for member in archive.members), default=0):
        # The end of a bundle in it was taken for its own.
        raise InvalidHeader("it ends behind a part of it: the rest is missing", size)
    parts = [member.name for member in members]
    language = any(name in parts for name in _LANGUAGE)
    if not language and not any(name.endswith((".tflite", ".task")) for name in parts):
        raise NotThisFormat("it is an archive without a TensorFlow Lite model")
    inspector = Inspector()
    inside = _inside(stream, archive, members)
    # Those of the models that are no pickles are read by no unpickler.
    inspector.members(archive, (each for each in members if not _is_model(archive, each)))
    return Header(
        format=NAME,
        tensors=[tensor for header in inside for tensor in header.tensors],
        metadata={
            "container": "task",
            "members": parts[:200],
            "inputs": inside[0].metadata.get("inputs", []) if inside else [],
        },
        parameter_count=sum(header.parameter_count or 0 for header in inside) or None,
        dtype=inside[0].dtype if inside else None,
        quantization=inside[0].quantization if inside else None,
        imports=list(inspector.imports),
        problems=[*archive.problems, *inspector.problems],
        task="text-generation" if language else None,
    )


def _inside(
    stream: BinaryIO, archive: Archive, members: Sequence[Member], *, depth: int = 0
) -> list[Header]:
    """The headers of the models in a bundle and in its nested bundles.

    Compressed and malformed members are skipped: MediaPipe maps members as they are.
    """
    found: list[Header] = []
    for member in members[:MAX_MODELS]:
        name = member.name.lower()
        start = archive.start(member) if name.endswith((".tflite", ".task")) else None
        if start is None:
            continue
        part = decompression.window(stream, start, member.size)
        try:
            if name.endswith(".tflite"):
                headers = [tflite.read(part, member.size)]
            elif depth < MAX_DEPTH:
                inner = Archive(part, member.size, is_behind=True)
                held = [each for each in inner.members if each.size]
                headers = _inside(part, inner, held, depth=depth + 1)
            else:
                continue
        except (InvalidHeader, NotThisFormat):
            continue
        for header in headers:
            moved = [each._replace(offset=start + each.offset) for each in header.tensors]
            found.append(replace(header, tensors=moved))
    return found


def _is_model(archive: Archive, member: Member) -> bool:
    return archive.head(member, 8)[4:8] == b"TFL3"


def _litertlm(head: bytes, size: int) -> Header:
    if len(head) < LITERTLM_BYTES:
        raise InvalidHeader("the file ends inside its header", len(head))
    major, minor, patch = unpack("<3I", head[8:20])
    end = int.from_bytes(head[24:32], "little")
    if not LITERTLM_BYTES <= end <= 64 << 20:
        raise InvalidHeader(f"its header claims to end at byte {end:,}", 24)
    return Header(
        format=NAME,
        metadata={"container": "litertlm", "version": f"{major}.{minor}.{patch}"},
        expected_size=end if size < end else None,
        task="text-generation",
    )


FORMAT = Format(
    name=NAME,
    label="MediaPipe",
    rank=230,
    type=ModelType.TFLITE,
    suffixes=(".litertlm",),
    names=((".task", r"(?P<stem>.*)\.task"),),
    magic=lambda head, _suffix: head.startswith(LITERTLM),
    is_archive=True,
    read=read,
    usage=Usage(
        "MediaPipe",
        "pip install mediapipe",
        "from mediapipe.tasks.python import BaseOptions\n\n"
        "options = BaseOptions(model_asset_path={path!r})",
    ),
)
