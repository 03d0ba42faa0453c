"""Models as JSON: the shape that the Model Zoo endpoint answers with and that folders hold.

``docs/registries.md`` describes it for those who write one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from discovery.engine.core.text import clean, positive, strings
from discovery.services.registries.answers import unreadable
from discovery.services.registries.protocol import MAX_CARD, MAX_FILES, RemoteFile, RemoteModel

#: Models of one registry that are looked at.
MAX_MODELS = 20_000


@dataclass(frozen=True, slots=True)
class Described:
    """A model and its card, as one entry of the JSON tells of them."""

    model: RemoteModel
    card: str


def models_of(document: Any) -> Iterator[Described]:
    """The models of a document: one, a list, or ``{"models": […]}``. Others are left out."""
    found = document
    if isinstance(document, dict):
        found = document.get("models", [document])
    if not isinstance(found, list):
        raise unreadable("It answers with JSON that is not a list of models.")
    for entry in found[:MAX_MODELS]:
        if isinstance(entry, dict) and (described := _described(entry)):
            yield described


def next_of(document: Any) -> str:
    """The address of the next page; empty on the last one."""
    following = document.get("next") if isinstance(document, dict) else None
    return following if isinstance(following, str) else ""


def _described(entry: dict[str, Any]) -> Described | None:
    remote_id = _text(entry, "id", 300) or _text(entry, "name", 300)
    if not remote_id:
        return None
    files = tuple(_files(entry.get("files")))
    model = RemoteModel(
        remote_id=remote_id,
        revision=_text(entry, "revision", 100) or _text(entry, "version", 100) or _digest(entry),
        name=_text(entry, "name", 300) or remote_id,
        author=_text(entry, "author", 200),
        description=_text(entry, "description", 4_000),
        license=_text(entry, "license", 200),
        tags=tuple(strings(entry.get("tags"))),
        languages=tuple(strings(entry.get("languages"))),
        base_model=_text(entry, "base_model", 300),
        task=_text(entry, "task", 100),
        library=_text(entry, "library", 100),
        downloads=_count(entry.get("downloads")),
        likes=_count(entry.get("likes")),
        updated_at=_time(entry.get("updated_at")),
        gated=_gated(entry.get("gated")),
        url=_text(entry, "url", 1_000),
        files=files,
    )
    return Described(model, _text(entry, "card", MAX_CARD))


def _files(value: Any) -> Iterator[RemoteFile]:
    for each in value[:MAX_FILES] if isinstance(value, list) else ():
        if isinstance(each, dict) and (path := _text(each, "path", 1_000)):
            digest = _text(each, "sha256", 64).lower()
            is_digest = len(digest) == 64 and all(letter in "0123456789abcdef" for letter in digest)
            yield RemoteFile(
                path,
                size=_count(each.get("size")),
                sha256=digest if is_digest else "",
                url=_text(each, "url", 1_000),
            )


def _text(entry: dict[str, Any], name: str, limit: int) -> str:
    value = entry.get(name)
    return clean(value, limit) if isinstance(value, str) else ""


def _count(value: Any) -> int | None:
    return 0 if value == 0 and value is not False else positive(value)


def _gated(value: Any) -> str:
    return value if value in ("auto", "manual") else "manual" if value is True else ""


def _time(value: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found and found.tzinfo else None


def _digest(entry: dict[str, Any]) -> str:
    """Stands in for a revision where none is said: it changes with the files and the card."""
    told = json.dumps([entry.get("files"), entry.get("card")], sort_keys=True, default=str)
    return sha256(told.encode()).hexdigest()[:40]
