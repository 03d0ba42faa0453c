"""The kinds of events that the activity list holds: where each is kept, who may know, what it says.

A new kind is a ``Source`` in ``SOURCES``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet
from django.urls import reverse

from discovery.engine.core.service_words import DownloadState, JobState
from discovery.engine.core.text import listed, plural
from discovery.models import (
    AccessChange,
    AccountChange,
    Download,
    MetadataChange,
    Recategorization,
    Right,
    ScanRun,
    SettingChange,
    Visibility,
)
from discovery.services.access import permissions, view_as
from discovery.services.access.redaction import Sight
from discovery.services.metadata import metadata
from discovery.services.settings import roots
from discovery.words import FIELD_LABELS

EDIT = "edit"

#: Fields of a batch of edits that are named; more are counted.
MAX_FIELDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One kind of event.

    ``rows`` are those that a person may see, ``None`` where the person may see none. ``at`` and
    ``by`` name the columns with the time and the user name.
    """

    kind: str
    label: str
    rows: Callable[[Sight], QuerySet[Any] | None]
    text: Callable[[Any], str]
    address: Callable[[Any], str]
    related: tuple[str, ...] = ()
    deferred: tuple[str, ...] = ()
    at: str = "at"
    by: str = "by__username"

    def author(self, row: Any) -> str:
        """The user name of who did it; empty where a scan or a command did."""
        value = row
        for name in self.by.split("__"):
            value = getattr(value, name, None)
        return value or ""


def _holding(right: str | Sequence[str], rows: Callable[[], QuerySet[Any]]) -> Any:
    rights = [right] if isinstance(right, str) else right

    def seen(sight: Sight) -> QuerySet[Any] | None:
        user = sight.user
        return rows() if user is None or permissions.may_all(user, rights) else None

    return seen


def _page(name: str) -> Callable[[Any], str]:
    return lambda _row: reverse(name)


def _settings(sight: Sight) -> QuerySet[Any] | None:
    user, rows = sight.user, SettingChange.objects.all()
    if user is not None and not permissions.may(user, Right.SETTINGS):
        return None
    if user is not None and not permissions.may_all(user, (Right.ROOTS, Right.VIEW_ALL)):
        return rows.exclude(key=roots.KEY)  # paths are not for everybody
    return rows


def _scans() -> QuerySet[Any]:
    """Scans that found something new, changed, moved or missing, and those that failed."""
    found = Q(new__gt=0) | Q(changed__gt=0) | Q(moved__gt=0) | Q(missing__gt=0)
    over = ScanRun.objects.exclude(state__in=ScanRun.ACTIVE).exclude(finished_at=None)
    return over.filter(found | Q(state=JobState.FAILED))


def _scan_text(row: ScanRun) -> str:
    told = [
        f"{getattr(row, name):,} {name}"
        for name in ("new", "changed", "moved", "missing")
        if getattr(row, name)
    ]
    ended = f"Scan {row.get_state_display().lower()}"
    return f"{ended}: {', '.join(told) or row.message or 'nothing was read'}"


def _edit_text(row: MetadataChange) -> str:
    return edited(row, {row.field: 1})


def edited(row: MetadataChange, counts: Mapping[str, int]) -> str:
    """What a batch of edits did that ends with ``row``; ``counts`` is {field: models}."""
    labels = [FIELD_LABELS.get(name, name).lower() for name in counts]
    what = listed(labels) if len(labels) <= MAX_FIELDS else f"{len(labels)} fields"
    models = max(counts.values())
    verb = "Undid a change of" if row.undoes else "Changed"
    return f"{verb} {what} of {row.model.title if models == 1 else plural(models, 'model')}"


def access_sentences(row: AccessChange) -> list[str]:
    """What a change of access was, a sentence each."""
    before, after = row.before or {}, row.after or {}
    told = ["Added."] if row.before is None else ["Deleted."] if row.after is None else []
    had, has = before.get("groups", []), after.get("groups", [])
    told += [f"Granted to {name}." for name in has if name not in had]
    told += [f"Taken from {name}." for name in had if name not in has]
    was, now = before.get("visibility") or "", after.get("visibility") or ""
    if was != now:
        words = dict(Visibility.choices)
        told.append(f"Visibility: {words.get(was, 'not set')} → {words.get(now, 'not set')}.")
    if row.before and row.after and before.get("names") != after.get("names"):
        told.append(f"Names: {before.get('names')} → {after.get('names')}.")
    return told or ["Other names."]


def _account_text(row: AccountChange) -> str:
    return row.text[:1].upper() + row.text[1:]


def _downloads() -> QuerySet[Any]:
    """Downloads that are over, one way or another."""
    over = (DownloadState.DONE, DownloadState.FAILED, DownloadState.CANCELLED)
    return Download.objects.filter(state__in=over).exclude(finished_at=None)


def _download_text(row: Download) -> str:
    return f"Download of {row.remote_id} from {row.registry}: {row.get_state_display().lower()}"


def _rules_text(row: Recategorization) -> str:
    return f"Applied the rules: {plural(row.changed, 'model')} re-categorized"


SOURCES: Mapping[str, Source] = {
    each.kind: each
    for each in (
        Source(
            kind=EDIT,
            label="Edits",
            rows=metadata.changes_told_to,
            text=_edit_text,
            address=lambda row: f"{reverse('history')}?batch={row.batch}",
            related=("model", "by"),
            deferred=("model__extracted", "model__evidence", "before", "after"),
        ),
        Source(
            kind="scan",
            label="Scans",
            rows=_holding(Right.VIEW_SCANS, _scans),
            text=_scan_text,
            address=ScanRun.address,
            related=("requested_by",),
            at="finished_at",
            by="requested_by__username",
        ),
        Source(
            kind="download",
            label="Downloads",
            rows=_holding((Right.DOWNLOAD, Right.VIEW_ALL), _downloads),
            text=_download_text,
            address=Download.address,
            related=("requested_by",),
            deferred=("files",),
            at="finished_at",
            by="requested_by__username",
        ),
        Source(
            kind="access",
            label="Access",
            rows=_holding(view_as.RIGHTS, AccessChange.objects.all),
            text=lambda row: f"{row.label}: {' '.join(access_sentences(row))}".rstrip("."),
            address=_page("access-changes"),
            related=("by",),
        ),
        Source(
            kind="user",
            label="Users and groups",
            rows=_holding(Right.VIEW_USERS, AccountChange.objects.all),
            text=_account_text,
            address=_page("account-changes"),
            by="by",
        ),
        Source(
            kind="setting",
            label="Settings",
            rows=_settings,
            text=lambda row: f"Changed {row.key} in {row.file}",
            address=_page("settings-history"),
            related=("by",),
        ),
        Source(
            kind="rules",
            label="Rules",
            rows=_holding(
                Right.RULES, lambda: Recategorization.objects.filter(state=JobState.DONE)
            ),
            text=_rules_text,
            address=Recategorization.address,
            related=("requested_by",),
            at="finished_at",
            by="requested_by__username",
        ),
    )
}
