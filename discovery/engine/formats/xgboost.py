"""XGBoost: ``.json`` and ``.ubj`` (either is also written to ``.model``), and the binary format
used before version 3.1.

Only the start and the end of a document are read: the trees are between them.

Source: https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html and
``src/common/json.cc`` of https://github.com/dmlc/xgboost (keys in alphabetical order).
"""

from __future__ import annotations

import re
from typing import Any, BinaryIO

from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.format_registry import Format, Usage
from discovery.engine.core.types import Header
from discovery.engine.core.vocabulary import ModelType

NAME = "xgboost"

#: Of the start and of the end.
PART_BYTES = 64 << 10
END_BYTES = 200
_BINARY = b"binf"
_UBJ_KEY = b"{L" + (7).to_bytes(8, "big") + b"learner"
_UBJ = re.compile(rb"\{L\0{7}\x07(?:learner|version)")
_JSON = re.compile(rb'\s*\{\s*"(?:learner|version)"\s*:\s*[\[{]')
#: Keys are followed by a colon in JSON, by nothing in UBJSON; numbers of settings are texts.
_NAME = re.compile(
    rb'(?:"objective"\s*:\s*\{\s*"name"\s*:\s*"|objective\{L\0{7}\x04nameSL\0{7}.)([a-z:_]{1,60})'
)
_NUMBER = rb'(?:"%s"\s*:\s*"|%sSL\0{7}.)(\d{1,9})'
_NUMBERS = {
    name: re.compile(_NUMBER % (key, key))
    for name, key in (
        ("features", b"num_feature"),
        ("classes", b"num_class"),
        ("trees", b"num_trees"),
        ("targets", b"num_target"),
    )
}
_VERSION = re.compile(
    rb'"version"\s*:\s*\[\s*(\d{1,4})\s*,\s*(\d{1,4})\s*,\s*(\d{1,4})\s*\]'
    rb"|version\[#L\0{7}\x03[iU](.)[iU](.)[iU](.)",
    re.DOTALL,
)


def read(stream: BinaryIO, size: int) -> Header:
    """Raises ``NotThisFormat`` or ``InvalidHeader``."""
    head = stream.read(PART_BYTES)
    if head.startswith(_BINARY):
        if size < 140:
            raise InvalidHeader("the file ends inside its parameters", size)
        return Header(format=NAME, metadata={"container": "binary"})
    container = "ubj" if _UBJ.match(head) else "json" if _JSON.match(head) else None
    if container is None or not _is_booster(head):
        raise NotThisFormat("it holds no booster of XGBoost's")
    tail = head
    if size > len(head):
        stream.seek(max(size - PART_BYTES, 0))
        tail = stream.read(PART_BYTES)
    # The version is the last of the keys.
    if not (tail.rstrip(b" \t\r\n\0").endswith(b"}") and _VERSION.search(tail[-END_BYTES:])):
        raise InvalidHeader("the model has no end, as after an interrupted download", size)
    return _told(container, head, tail)


def _is_booster(head: bytes) -> bool:
    return b"gradient_booster" in head or b"feature_names" in head or b"learner_model_param" in head


def _told(container: str, head: bytes, tail: bytes) -> Header:
    metadata: dict[str, Any] = {"container": container}
    for part in (tail, head):
        for name, expression in _NUMBERS.items():
            if name not in metadata and (found := expression.search(part)):
                metadata[name] = int(found[1])
        if "objective" not in metadata and (found := _NAME.search(part)):
            metadata["objective"] = found[1].decode()
        if "version" not in metadata and (found := _VERSION.search(part)):
            metadata["version"] = _version(found)
    return Header(
        format=NAME,
        metadata=metadata,
        fields={"architecture": "gradient-boosted trees"},
    )


def _version(found: re.Match[bytes]) -> str:
    texts = [part.decode() for part in found.groups()[:3] if part]
    return ".".join(texts or [str(part[0]) for part in found.groups()[3:]])


FORMAT = Format(
    name=NAME,
    label="XGBoost",
    rank=180,
    type=ModelType.XGBOOST,
    suffixes=(".ubj", ".xgb"),
    tried_for=(".json", ".model", ".bin"),
    names=(
        (
            ".json",
            r"(?!.*index\.json)(?P<stem>.*(?:xgb|booster|model|classifier|regressor|ranker).*)\.json",
        ),
        (".model", r"(?!.*(?:tokenizer|spiece|sentencepiece|bpe))(?P<stem>.*)\.model"),
    ),
    magic=lambda head, _suffix: head.startswith((_UBJ_KEY, _BINARY)),
    read=read,
    usage=Usage(
        "XGBoost",
        "pip install xgboost",
        "import xgboost\n\nmodel = xgboost.Booster(model_file={path!r})\n"
        "print(model.num_features(), model.feature_names)",
    ),
)
