"""Paths as text: file names are bytes, databases and pages want Unicode.

A name that is not UTF-8 reaches Python with lone surrogates (PEP 383); it is kept and shown with
``\\xff`` in their place.
"""

from __future__ import annotations

import os
import re

_ESCAPED = re.compile(r"\\x([89a-f][0-9a-f])")


def to_text(path: str) -> str:
    """``path`` as any database stores it; the same string for every name that is UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace") if not path.isascii() else path


def to_native(root: str, text: str) -> str:
    """The absolute path for ``text``, which is relative to ``root``."""
    path = os.path.join(root, text)
    if "\\x" in text and not os.path.lexists(path):
        return os.path.join(root, _ESCAPED.sub(lambda match: chr(0xDC00 + int(match[1], 16)), text))
    return path


def is_under(path: str, top: str) -> bool:
    """Whether ``path`` is ``top`` or below it; both absolute and normalized."""
    return path == top or path.startswith(top.rstrip(os.sep) + os.sep)
