"""Kaldi's acoustic models, and the folders of Vosk that contain one: ``final.mdl`` next to a graph.

Source: ``KaldiObjectHolder`` and ``TransitionModel::Write`` of https://github.com/kaldi-asr/kaldi,
https://alphacephei.com/vosk/models (layout).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import BinaryIO

from discovery.engine.core.errors import NotThisFormat
from discovery.engine.core.format_registry import Format, Usage
from discovery.engine.core.types import Header
from discovery.engine.core.vocabulary import ModelType

NAME = "kaldi"

HEAD_BYTES = 4_096
#: Binary files start with a zero byte and B; text has the tags alone.
_TAG = re.compile(rb"(?:\0B)?<(TransitionModel|Nnet3|Nnet|ContextDependency|DIAGGMM)> ")
_ENTRY = ("/am/final.mdl", "/final.mdl")


def read(stream: BinaryIO, size: int) -> Header:
    """Raises ``NotThisFormat``."""
    head = stream.read(HEAD_BYTES)
    tag = _TAG.match(head)
    if tag is None or size <= tag.end():
        raise NotThisFormat("it does not start with one of the tags of Kaldi's models")
    return Header(
        format=NAME,
        metadata={"container": "binary" if head[:2] == b"\0B" else "text", "kind": tag[1].decode()},
        fields={"architecture": "Kaldi acoustic model"},
        task="automatic-speech-recognition",
    )


def _is_folder(_folder: str, files: Collection[str], folders: Collection[str]) -> bool:
    """Vosk's folders, new ones and flat old ones."""
    return {"am", "graph"} <= set(folders) or ("final.mdl" in files and "HCLG.fst" in files)


FORMAT = Format(
    name=NAME,
    label="Kaldi",
    rank=210,
    type=ModelType.KALDI,
    names=((".mdl", r"(?:final|[\w.-]*acoustic[\w.-]*)\.mdl"),),
    is_folder=_is_folder,
    is_whole=True,
    is_entry=lambda path, _others: path.endswith(_ENTRY),
    read=read,
    usage=Usage(
        "Vosk",
        "pip install vosk",
        "import os\nfrom vosk import Model\n\n"
        "folder = os.path.dirname({path!r})\n"
        'model = Model(os.path.dirname(folder) if folder.endswith("am") else folder)',
    ),
)
