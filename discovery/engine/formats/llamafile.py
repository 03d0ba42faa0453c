"""llamafile: a program for several systems that carries a GGUF file in the zip archive at its end.

The model in it is what is read; its header is that of the GGUF file.

Source: https://github.com/Mozilla-Ocho/llamafile (technical details) and
https://justine.lol/ape.html.
"""

from __future__ import annotations

from dataclasses import replace
from typing import BinaryIO

from discovery.engine.archives import decompression
from discovery.engine.archives.torch_zip import Archive
from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.format_registry import Format
from discovery.engine.core.types import Header
from discovery.engine.core.vocabulary import ModelType
from discovery.engine.formats import gguf

NAME = "llamafile"

#: An αcτµαlly pδrταblε εxεcµταblε, as a DOS program or as a shell script; a plain ELF.
MAGICS = (b"MZqFpD=", b"jartsr=", b"APEDBG=")


def read(stream: BinaryIO, size: int) -> Header:
    """Raises ``NotThisFormat`` or ``InvalidHeader``."""
    if not stream.read(8).startswith(MAGICS):
        raise NotThisFormat("it is not a portable executable")
    try:
        archive = Archive(stream, size, is_behind=True)
    except InvalidHeader as error:
        raise InvalidHeader(
            f"it is a llamafile that was cut short: {error}", error.offset
        ) from error
    models = [member for member in archive.members if member.name.lower().endswith(".gguf")]
    if not models:
        raise NotThisFormat("it is a portable program without a model")
    main = max(models, key=lambda member: member.size)
    start = archive.start(main)
    if start is None:
        raise InvalidHeader("the model in it is packed, which llamafile does not read")
    header = gguf.read(decompression.window(stream, start, main.size), main.size)
    tensors = [tensor._replace(offset=start + tensor.offset) for tensor in header.tensors]
    end = header.expected_size
    return replace(
        header,
        tensors=tensors,
        metadata={**header.metadata, "container": NAME},
        expected_size=start + end if end is not None else None,
    )


FORMAT = Format(
    name=NAME,
    label="llamafile",
    rank=235,
    type=ModelType.LLAMA_CPP,
    suffixes=(".llamafile",),
    names=((".exe", r"(?P<stem>.*llamafile)\.exe"),),
    magic=lambda head, suffix: suffix == ".llamafile" and head.startswith(MAGICS),
    knows_its_size=True,
    read=read,
)
