"""JSON next to the weights: parsed leniently, reported strictly.

The readable part of a broken file is still used; the ``Problem`` says that a loader would refuse
it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from discovery.engine.core.text import is_web_page

#: A config with 200,000 labels has 8 MB, an index of 200,000 tensors 12.
MAX_BYTES = 16 << 20

LFS_MAGIC = b"version https://git-lfs.github.com/spec/v1"


@dataclass(frozen=True, slots=True)
class JsonFile:
    """A parsed file.

    ``data`` is the readable content (``None``: nothing); ``fault`` is the reason why a loader would
    refuse the file.

    ``absence`` is the replacement of a file that was never downloaded: ``lfs_pointer`` or
    ``web_page``.
    """

    data: Any
    fault: str | None = None
    offset: int | None = None
    absence: str = ""


def parse(raw: bytes) -> JsonFile:
    """Never raises.

    A byte-order mark is accepted, as are NaN and duplicate keys; all else outside the standard is a
    fault.
    """
    if len(raw) > MAX_BYTES:
        return JsonFile(None, f"the file has more than {MAX_BYTES >> 20} MB")
    if not raw.strip():
        return JsonFile(None, "the file is empty", 0)
    if raw.startswith(LFS_MAGIC):
        return JsonFile(
            None,
            "it is a git-lfs pointer: the real file was never downloaded (git lfs pull)",
            absence="lfs_pointer",
        )
    if is_web_page(raw):
        text = "it is a web page: the download was refused or redirected"
        return JsonFile(None, text, 0, "web_page")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return JsonFile(
                _salvage(raw.decode("utf-16", "replace")), "it is UTF-16, loaders expect UTF-8", 0
            )
        return JsonFile(_salvage(raw.decode("latin-1")), "it is not UTF-8", error.start)
    return _decode(text)


def parse_object(raw: bytes) -> JsonFile:
    """Like :func:`parse` for files whose top level must be an object."""
    parsed = parse(raw)
    if parsed.data is None and parsed.fault:
        return parsed
    if not isinstance(parsed.data, dict):
        return JsonFile(None, f"the top level is {_kind(parsed.data)}, not an object")
    return parsed


def _decode(text: str) -> JsonFile:
    start = len(text) - len(text.lstrip())
    try:
        data, end = json.JSONDecoder().raw_decode(text, start)
    except json.JSONDecodeError as error:
        return JsonFile(
            None,
            f"it is not JSON: {error.msg} in line {error.lineno}, column {error.colno}",
            error.pos,
        )
    except RecursionError:
        return JsonFile(None, "it is nested too deep")
    except ValueError as error:
        return JsonFile(None, f"it is not usable JSON: {error}")
    rest = text[end:].strip()
    if rest:
        return JsonFile(
            data, "text follows the JSON, so loaders refuse the file", len(text[:end].encode())
        )
    return JsonFile(data)


def _salvage(text: str) -> Any:
    return _decode(text.lstrip("\ufeff")).data


def _kind(data: Any) -> str:
    return {list: "an array", str: "a string", type(None): "null"}.get(type(data), "a number")
