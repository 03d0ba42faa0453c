"""``auto_download``: newer revisions of linked models, placed beside what is there."""

from __future__ import annotations

import time
from collections.abc import Collection

from discovery.engine.core.service_words import MatchState
from discovery.engine.core.vocabulary import Status
from discovery.models import Download, RegisteredModel, RemoteMatch
from discovery.services.downloads.job import KIND
from discovery.services.registries.configured import Configured, configured

#: Automatic downloads that wait or run at a time.
MAX_OPEN = 10
#: Seconds between looks for newer revisions.
LOOKS = 60.0

_next_look = 0.0


def request_due() -> None:
    """A chore: look once in a while."""
    global _next_look
    if time.monotonic() >= _next_look:
        _next_look = time.monotonic() + LOOKS
        queue_newer()


def queue_newer() -> None:
    """Queue what is newer. It asks no registry; the downloads do."""
    wanted = {
        name: each
        for name, each in configured().items()
        if each.settings.enabled and each.settings.auto_download
    }
    if not wanted:
        return
    rows = RemoteMatch.objects.filter(
        registry__in=wanted, state=MatchState.ACCEPTED, has_update=True, entry__gated=""
    )
    rows = rows.exclude(model__status__in=(Status.MISSING, Status.REMOTE))
    room = MAX_OPEN - Download.objects.filter(is_automatic=True, state__in=Download.OPEN).count()
    tried = set(
        Download.objects.filter(registry__in=wanted).values_list(
            "registry", "remote_id", "revision"
        )
    )
    heavy = ("entry__card", "entry__files", "base_files", "model__extracted")
    for match in rows.select_related("model__root", "entry").defer(*heavy).order_by("pk"):
        if room <= 0:
            return
        room -= _request(match, wanted[match.registry], tried)


def _request(
    match: RemoteMatch, registry: Configured, tried: Collection[tuple[str, str, str]]
) -> bool:
    """One that was tried before, however that ended, is for people."""
    update, record = match.update or {}, match.model
    revision = str(update.get("to") or "")
    root = record.root
    if (
        not revision
        or update.get("license")
        or not registry.wants(match.entry.remote_id)
        or not (root.enabled and not root.read_only and is_folder(record))
    ):
        return False
    named = {"registry": match.registry, "remote_id": match.entry.remote_id, "revision": revision}
    if tuple(named.values()) in tried:
        return False
    folder = f"{record.path}-{revision[:7]}"
    _, created = KIND.request(
        {"root": root, "folder": folder},
        **named,
        license=match.entry.license,
        updates=record,
        is_automatic=True,
    )
    return created


def is_folder(record: RegisteredModel) -> bool:
    """Whether all files of the model lie in a folder of its own."""
    inside = f"{record.path}/"
    return record.path != "." and all(path.startswith(inside) for path, _ in record.files)
