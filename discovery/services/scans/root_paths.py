"""Another path for a root: its folder was moved or is mounted elsewhere.

Every model keeps its id, and nothing is read again for it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from discovery.engine.core.paths import is_under, to_text
from discovery.engine.core.service_words import RuleKind
from discovery.engine.core.text import plural
from discovery.engine.core.vocabulary import Severity
from discovery.models import AccessTerm, LogTopic, RegisteredModel, Root, ScanRun
from discovery.services.access import audiences
from discovery.services.core import event_log
from discovery.services.machine import reach
from discovery.services.machine.root_probes import RootSilent
from discovery.services.scans.watch import device_of

#: Seconds that the new folder has to answer.
PATIENCE = 5.0
MAX_PATH = 1_000


class NotMoved(Exception):
    """The root keeps its path; the message is one sentence that says why, and what to do."""


def move(root: Root, path: str, *, channel: str, by: str = "") -> int:
    """Set ``path`` as the folder of ``root``.

    Returns how many models go with it. Raises ``NotMoved``.
    """
    new, device = _checked(root, path)
    was, places = root.path, _real_places(new)
    with transaction.atomic():
        _unless_taken(root, new, places)
        rows = Root.objects.filter(
            Q(claim=None) | ~Q(claim__state=ScanRun.State.RUNNING), pk=root.pk
        )
        free = Root.objects.filter(pk__in=list(rows.values_list("pk", flat=True)), path=was)
        try:
            # The reasons to freeze it, and the disk it was on, belonged to the old place.
            moved = free.update(
                path=new, frozen_reason="", missing_count=0, device=device, mounts={}
            )
        except IntegrityError:
            raise NotMoved(f"{new} is a root already.") from None
        if not moved:
            raise NotMoved(
                "A scan of this root is running: stop it, or try again when it has finished."
            )
        count = RegisteredModel.objects.filter(root=root).update(changed_at=timezone.now())
        if AccessTerm.objects.filter(kind=RuleKind.FOLDER, value__startswith="/").exists():
            audiences.refresh(
                RegisteredModel.objects.filter(root=root).values_list("pk", flat=True)
            )
        _follow_queued(was, new)
        who = f" by {by}" if by else ""
        text = (
            f"the path of a root was changed from {was}{who} ({channel}): {plural(count, 'model')}"
            " moved with it"
        )
        event_log.record(LogTopic.DISCOVERY, Severity.WARNING, text, path=new)
    root.refresh_from_db()
    return count


def _checked(root: Root, path: str) -> tuple[str, int]:
    """The new path as it is kept, and the device it is on."""
    if root.path == Root.REMOTE:
        raise NotMoved("Hosted models have no folder.")
    if not path.strip() or "\0" in path:
        raise NotMoved("Give the new path of the folder.")
    if not os.path.isabs(os.path.expanduser(path.strip())):
        raise NotMoved("Give an absolute path.")
    native = os.path.abspath(Path(path.strip()).expanduser())
    new = to_text(native)
    if len(new) > MAX_PATH:
        raise NotMoved(f"The path has {len(new):,} characters; at most {MAX_PATH:,} are possible.")
    if new == root.path:
        raise NotMoved(f"{new} is its path already.")
    try:
        found = reach.elsewhere(
            ("root path", native), partial(_look, native), native, longest=PATIENCE
        )
    except RootSilent:
        found = "does not answer"
    if isinstance(found, str):
        raise NotMoved(f"{new[:500]} {found}.")
    return new, found


def _look(native: str) -> int | str:
    """Return the device of the folder, or what is wrong with it."""
    if not os.path.isdir(native):
        return "is not a folder" if os.path.exists(native) else "does not exist"
    try:
        os.scandir(native).close()
        return device_of(native)
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _real_places(new: str) -> dict[str, str]:
    """Return {path: real path} of the new folder and of every root that answers.

    The disks are queried before anything is locked.
    """
    roots = {
        root.path: place
        for root, place in reach.places(Root.objects.exclude(path=Root.REMOTE)).items()
    }
    try:
        return {
            **roots,
            new: reach.elsewhere(("real path", new), partial(os.path.realpath, new), new),
        }
    except RootSilent:
        raise NotMoved(f"{new[:500]} does not answer.") from None


def _unless_taken(root: Root, new: str, real: Mapping[str, str]) -> None:
    """Refuse a new path that would take models away from another root.

    A model belongs to the innermost root.
    """
    others = list(Root.objects.exclude(pk=root.pk).exclude(path=Root.REMOTE))
    for other in others:
        if other.path == new or real.get(other.path) == real[new]:
            raise NotMoved(
                f"{new} is a root already. Scan both: models that moved from one to the other keep"
                " everything."
            )
        if is_under(new, other.path) and _holds(other, os.path.relpath(new, other.path)):
            raise NotMoved(
                f"{new} lies in the root {other.path}, which has models there. Scan both: models"
                " that moved keep everything."
            )
        if is_under(other.path, new) and _holds(root, os.path.relpath(other.path, new)):
            raise NotMoved(
                f"The root {other.path} lies in {new}, and models of this root would come to lie in"
                " it. Move that root first."
            )


def _holds(root: Root, folder: str) -> bool:
    """Return whether the registry has models of ``root`` in this folder."""
    below = folder.replace(os.sep, "/")
    return RegisteredModel.objects.filter(
        Q(path=below) | Q(path__startswith=f"{below}/"), root=root
    ).exists()


def _follow_queued(was: str, new: str) -> None:
    """A scan that waits scans the folder where it is now."""
    if not ScanRun.objects.filter(path=new, state__in=ScanRun.ACTIVE).exists():
        ScanRun.objects.filter(path=was, state=ScanRun.State.QUEUED).update(path=new)
