"""Searching a registry for people and programs: one question, asked now."""

from __future__ import annotations

from typing import Any

from discovery.engine.core.text import clean
from discovery.models import RemoteMatch
from discovery.services.registries.configured import connect
from discovery.services.registries.protocol import RemoteModel
from discovery.services.registries.syncing import enabled

MAX_WORDS = 200


def search(name: str, text: str, limit: int) -> list[RemoteModel]:
    """What the registry has for these words and its patterns let through.

    Raises ``NotEnabled`` or ``RegistryError``.
    """
    registry = enabled(name)
    connection = connect(registry)
    try:
        found = connection.search(clean(text, MAX_WORDS), limit)
    finally:
        connection.close()
    return [model for model in found if registry.wants(model.remote_id)]


def linked(name: str, found: list[RemoteModel]) -> dict[str, RemoteMatch]:
    """{remote ID: its link} of those that are here."""
    rows = RemoteMatch.objects.filter(
        registry=name, state="accepted", entry__remote_id__in=[each.remote_id for each in found]
    )
    return {match.entry.remote_id: match for match in rows.select_related("entry", "model")}


def as_json(model: RemoteModel) -> dict[str, Any]:
    return {
        "remote_id": model.remote_id,
        "name": model.name or model.remote_id,
        "author": model.author or None,
        "description": model.description or None,
        "license": model.license or None,
        "tags": list(model.tags),
        "task": model.task or None,
        "downloads": model.downloads,
        "likes": model.likes,
        "revision": model.revision or None,
        "updated_at": model.updated_at,
        "gated": model.gated or None,
        "url": model.url or None,
    }
