"""spaCy: the ``meta.json`` of a pipeline, with ``config.cfg`` and a folder for each component.

Source: https://spacy.io/api/data-formats#meta and ``Language.to_disk`` of
https://github.com/explosion/spaCy.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Container
from typing import Any, BinaryIO

from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.format_registry import Format, Usage
from discovery.engine.core.types import Header
from discovery.engine.core.vocabulary import ModelType

NAME = "spacy"

MAX_BYTES = 4 << 20


def read(stream: BinaryIO, size: int) -> Header:
    """Raises ``NotThisFormat`` or ``InvalidHeader``."""
    head = stream.read(1)
    if head != b"{" or size > MAX_BYTES:
        raise NotThisFormat("it describes no pipeline of spaCy's")
    text = head + stream.read(size)
    if b'"spacy_version"' not in text:
        raise NotThisFormat("it describes no pipeline of spaCy's")
    try:
        meta = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidHeader(f"its description is not JSON: {str(error)[:120]}") from error
    pipeline = _texts(meta.get("pipeline"))
    vectors = meta.get("vectors")
    width = vectors.get("width") if isinstance(vectors, dict) else None
    language, name = _text(meta, "lang"), _text(meta, "name")
    fields = {
        "name": f"{language}_{name}" if language and name else None,
        "description": _text(meta, "description"),
        "version": _text(meta, "version"),
        "license": _text(meta, "license"),
        "author": _text(meta, "author"),
        "language_support": [language] if language else None,
        "architecture": "spaCy pipeline",
    }
    return Header(
        format=NAME,
        metadata={
            "spacy_version": _text(meta, "spacy_version"),
            "pipeline": pipeline,
            "vector_width": width if type(width) is int else None,
        },
        fields=fields,
        task=_task(pipeline),
    )


def _task(pipeline: list[str]) -> str:
    if any(name.startswith(("ner", "tagger", "parser", "morph")) for name in pipeline):
        return "token-classification"
    if any(name.startswith("textcat") for name in pipeline):
        return "text-classification"
    return "feature-extraction"


def _text(meta: dict[str, Any], key: str) -> str | None:
    return value[:600] if isinstance(value := meta.get(key), str) and value else None


def _texts(value: object) -> list[str]:
    return [str(each)[:80] for each in value[:100]] if isinstance(value, list) else []


def _is_home(files: Container[str], folders: Collection[str]) -> bool:
    """What version 3 or version 2 saves."""
    return "meta.json" in files and (
        "config.cfg" in files or ("vocab" in folders and "tokenizer" in files)
    )


def _homes(path: str, others: Container[str]) -> str | None:
    """The folder of the pipeline that contains ``path``."""
    place = path
    while "/" in place:
        place = place.rpartition("/")[0]
        if f"{place}/meta.json" in others and (
            f"{place}/config.cfg" in others or f"{place}/vocab/strings.json" in others
        ):
            return place
    return None


FORMAT = Format(
    name=NAME,
    label="spaCy",
    rank=15,
    type=ModelType.SPACY,
    tried_for=(".json",),
    is_folder=lambda _folder, files, folders: _is_home(files, folders),
    is_whole=True,
    is_entry=lambda path, others: (
        path.endswith("/meta.json") and _homes(path, others) == path.removesuffix("/meta.json")
    ),
    is_data=lambda path, others: (
        not path.endswith("/meta.json") and _homes(path, others) is not None
    ),
    read=read,
    usage=Usage(
        "spaCy",
        "pip install spacy",
        "import os\nimport spacy\n\n"
        "nlp = spacy.load(os.path.dirname({path!r}))\n"
        'print([(token.text, token.pos_) for token in nlp("Some text.")])',
    ),
)
