"""What people send is refused with a reason where what files hold would quietly be cut: nothing that somebody wrote is lost unsaid."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from discovery.engine.describe import CAPABILITIES
from discovery.engine.document import LISTS, OBJECTS
from discovery.engine.text import MAX_DEPTH, MAX_INTEGER, MAX_ITEM_TEXT, MAX_ITEMS, MAX_TEXT
from discovery.engine.types import ModelType
from discovery.models import Visibility

#: Fields whose value is one of a few words of the contract.
CHOICES: dict[str, tuple[str, ...]] = {
    "type": tuple(ModelType),
    "primary": ("LANGUAGE", "VISION", "AUDIO", "MULTIMODAL"),
    "secondary": ("CHAT", "CODE", "REASONING", "CREATIVE", "ANALYSIS"),
    "specialization": ("MEDICAL", "LEGAL", "TECHNICAL", "SCIENTIFIC", "GENERAL"),
    "visibility": tuple(Visibility.values),
}

MODALITIES = ("TEXT", "IMAGE", "VIDEO", "AUDIO")

MAX_ADDRESS = 1_000

#: List fields whose entries are words of the contract.
_WORDS = {
    "modalities": MODALITIES,
    "input_modalities": MODALITIES,
    "output_modalities": MODALITIES,
    "capabilities": CAPABILITIES,
}

#: Variables of the environment that may hold the key of a server begin with this: no other one ever leaves the house.
KEY_PREFIX = "KAREN_ENDPOINT_KEY"

#: What no database stores, or no page shows as it was meant.
_UNSTORABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def fault(name: str, value: Any) -> str | None:
    """What is wrong with ``value`` for the field ``name``, starting with where inside it; ``None`` when it can be kept whole."""
    if name in LISTS and isinstance(value, list):
        return _list_fault(name, value)
    if name in OBJECTS and not isinstance(value, dict):
        return "must be an object"
    if isinstance(value, str) and _UNSTORABLE.search(value):
        return "has characters that cannot be stored (control characters, or halves of a character)"
    if isinstance(value, dict):
        return next(_object_faults(value, "", 1), None)
    return None


def endpoint_fault(address: str) -> str | None:
    """What is wrong with the base address of a server; ``None`` for an http or https address without a key in it."""
    if _UNSTORABLE.search(address) or any(letter.isspace() for letter in address):
        return "has characters that no address has"
    if len(address) > MAX_ADDRESS:
        return f"has {len(address):,} characters, at most {MAX_ADDRESS:,} are kept"
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError as error:
        return f"is no address: {error}"
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname or port == 0:
        return "must be an http:// or https:// address with a host"
    if "@" in parts.netloc or parts.query or parts.fragment:
        return "must hold neither a name nor a key: only scheme, host and path"
    return None


def key_fault(name: str) -> str | None:
    """What is wrong with the name of the variable that holds a server's key."""
    if re.fullmatch(rf"{KEY_PREFIX}[A-Z0-9_]{{0,60}}", name):
        return None
    return f"must be the name of an environment variable that begins with {KEY_PREFIX}, in capitals: the key itself is never stored"


def _list_fault(name: str, items: list[Any]) -> str | None:
    if len(items) > MAX_ITEMS:
        return f"has {len(items):,} entries, at most {MAX_ITEMS} are kept"
    words = _WORDS.get(name)
    for number, item in enumerate(items, 1):
        if not isinstance(item, str):
            return f"entry {number} is no text"
        if len(item) > MAX_ITEM_TEXT:
            return f"entry {number} has {len(item):,} characters, at most {MAX_ITEM_TEXT} are kept"
        if _UNSTORABLE.search(item):
            return f"entry {number} has characters that cannot be stored"
        if not item.strip():
            return f"entry {number} is empty"
        if words and item.upper() not in words:
            return f"entry {number}, {item[:40]!r}, is none of {', '.join(words)}"
    return None


def _object_faults(value: Mapping[str, Any] | list[Any], where: str, depth: int) -> Iterator[str]:
    if depth > MAX_DEPTH:
        yield f"{where} is nested more than {MAX_DEPTH} deep"
        return
    if len(value) > MAX_ITEMS:
        yield f"{where or 'it'} has {len(value):,} entries, at most {MAX_ITEMS} are kept"
        return
    for key, item in value.items() if isinstance(value, Mapping) else enumerate(value):
        inside = f"{where}.{str(key)[:40]}" if where else str(key)[:40]
        if isinstance(key, str) and (
            _UNSTORABLE.search(key) or not key.strip() or len(key) > MAX_ITEM_TEXT
        ):
            yield f"{inside!r} is no name for a value"
        elif isinstance(item, Mapping | list):
            yield from _object_faults(item, inside, depth + 1)
        elif reason := _scalar_fault(item):
            yield f"{inside} {reason}"


def _scalar_fault(item: Any) -> str | None:
    if isinstance(item, str):
        if len(item) > MAX_TEXT:
            return f"has {len(item):,} characters, at most {MAX_TEXT:,} are kept"
        return "has characters that cannot be stored" if _UNSTORABLE.search(item) else None
    if isinstance(item, bool) or item is None:
        return None
    if isinstance(item, int):
        return None if -MAX_INTEGER <= item <= MAX_INTEGER else "is a number beyond 64 bits"
    if isinstance(item, float):
        return None if math.isfinite(item) else "is no finite number"
    return "is neither text, number, list nor object"
