"""Which folders are scanned: the config's roots, else ``models/``; more by command."""

from __future__ import annotations

import os
from pathlib import Path

from django.conf import settings

from discovery.engine.paths import is_under, to_text
from discovery.models import Root
from discovery.services import configs


class NoSuchFolder(Exception):
    """The path asked for cannot be scanned; the message is one sentence for the person who asked."""


def sync_roots() -> None:
    """Registers the roots that the configuration names. Roots that it no longer names are kept: their models are."""
    configured = [
        str((Path(settings.BASE_DIR) / path).expanduser()) for path in configs.discovery().roots
    ]
    if not configured and not Root.objects.exclude(path=Root.REMOTE).exists():
        configured = [str(settings.MODELS_DIR)]
    known = set(Root.objects.values_list("path", flat=True))
    for path in configured:
        if (text := to_text(os.path.abspath(path))) not in known:
            Root.objects.get_or_create(path=text)


def locate(path: str, *, add: bool) -> tuple[Root, str]:
    """(root, folder below it) for an absolute or relative path; a path under no root becomes a new one where ``add`` allows.

    Raises ``NoSuchFolder``.
    """
    absolute = os.path.abspath(Path(path).expanduser())
    if not os.path.isdir(absolute):
        what = "is not a folder" if os.path.exists(absolute) else "does not exist"
        raise NoSuchFolder(
            f"{to_text(absolute)[:500]} {what}: give a folder of models, or one below it."
        )
    try:
        os.scandir(absolute).close()
    except OSError as error:
        raise NoSuchFolder(f"{to_text(absolute)} cannot be read: {error.strerror}.") from error
    text = to_text(absolute)
    homes = [root for root in Root.objects.all() if is_under(text, root.path)]
    if homes:
        root = max(homes, key=lambda home: len(home.path))
        return root, os.path.relpath(text, root.path).replace(os.sep, "/")
    if not add:
        return Root(path=text), "."
    return Root.objects.get_or_create(path=text)[0], "."


def others(root: Root) -> list[str]:
    """Real paths of the roots that lie inside ``root``: each model belongs to the innermost one."""
    paths = Root.objects.exclude(pk=root.pk).values_list("path", flat=True)
    return [os.path.realpath(path) for path in paths if is_under(path, root.path)]
