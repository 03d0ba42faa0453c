"""Administrators' decisions: accept or snooze a finding, or quarantine a model.

An acceptance has a reason. Each decision is in the history.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from django.db import transaction
from django.utils import timezone

from discovery.engine.core.text import clean, plural
from discovery.engine.core.vocabulary import Severity
from discovery.models import Finding, LogTopic, MetadataChange, RegisteredModel, Visibility
from discovery.services.access import audiences
from discovery.services.core import event_log
from discovery.services.core.form_stamps import stamp
from discovery.services.findings import findings

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MAX_REASON = 1_000


class Decided(Exception):
    """Somebody else has decided about some findings since they were shown; the message says what.

    Nothing was written.
    """


def state(row: Finding) -> str:
    """Return a stamp of the current decision about a finding, which forms send."""
    return stamp(
        [
            row.accepted_content,
            row.accepted_reason,
            row.accepted_by_id,
            *(str(each) for each in (row.accepted_at, row.snoozed_until)),
        ]
    )


class ReasonRequired(Exception):
    """Accepting a finding needs a reason that others can read later."""


def compare(rows: Sequence[Finding], seen: Mapping[int, str]) -> None:
    """``seen`` maps keys of findings to the :func:`state` that was shown. Raises ``Decided``."""
    others = [row for row in rows if row.pk in seen and seen[row.pk] != state(row)]
    if others:
        more = (
            f", and {plural(len(others) - 1, 'other problem')} changed too"
            if len(others) > 1
            else ""
        )
        raise Decided(
            f"Since you opened the page “{others[0].message}” was {_decision(others[0])}{more}."
            " Nothing was changed: decide again."
        )


def _decision(row: Finding) -> str:
    if row.accepted_at:
        return (
            f"accepted{f' by {row.accepted_by.get_username()}' if row.accepted_by else ''}"
            f" (“{row.accepted_reason}”)"
        )
    return f"snoozed until {row.snoozed_until:%Y-%m-%d}" if row.snoozed_until else "reopened"


def accept(rows: Sequence[Finding], *, by: User, reason: str, channel: str = "page") -> int:
    """Accept findings for the current content; once it changes, the acceptance no longer holds.

    Raises ``ReasonRequired``.
    """
    reason = clean(reason, MAX_REASON)
    if not reason:
        raise ReasonRequired("Enter a reason.")
    now = timezone.now()
    for row in rows:
        row.accepted_content, row.accepted_reason, row.accepted_by, row.accepted_at = (
            row.model.content,
            reason,
            by,
            now,
        )
        row.snoozed_until = None
    _save(
        rows,
        ["accepted_content", "accepted_reason", "accepted_by", "accepted_at", "snoozed_until"],
        "accepted",
        by,
        channel,
        reason=reason,
    )
    return len(rows)


def reopen(rows: Sequence[Finding], *, by: User, channel: str = "page") -> int:
    """Undo acceptances and postponements."""
    for row in rows:
        row.accepted_content = row.accepted_reason = ""
        row.accepted_by = row.accepted_at = row.snoozed_until = None
    _save(
        rows,
        ["accepted_content", "accepted_reason", "accepted_by", "accepted_at", "snoozed_until"],
        "reopened",
        by,
        channel,
    )
    return len(rows)


def snooze(rows: Sequence[Finding], until: datetime, *, by: User, channel: str = "page") -> int:
    """Snooze findings: they are open again after ``until``."""
    for row in rows:
        row.snoozed_until = until
    _save(rows, ["snoozed_until"], f"snoozed until {until:%Y-%m-%d}", by, channel)
    return len(rows)


def _save(
    rows: Sequence[Finding], fields: list[str], what: str, by: User, channel: str, **more: str
) -> None:
    now, batch = timezone.now(), uuid4()
    with transaction.atomic():
        Finding.objects.bulk_update(rows, fields, batch_size=100)
        MetadataChange.objects.bulk_create(
            MetadataChange(
                model=row.model,
                field="finding",
                before=None,
                after=_told(row, what, more),
                by=by,
                at=now,
                channel=channel,
                batch=batch,
            )
            for row in rows
        )
        findings.settle(list({row.model_id: row.model for row in rows}.values()))
    log = event_log.Journal()
    for row in rows:
        log.add(
            LogTopic.VALIDATION,
            Severity.INFO,
            f"{by.get_username()} {what}: {row.message}",
            model_id=row.model.model_id,
            path=row.path,
        )
    log.write()


def _told(row: Finding, what: str, more: dict[str, str]) -> dict[str, Any]:
    return {"decision": what, "code": row.code, "path": row.path, "message": row.message, **more}


def quarantine(model: RegisteredModel, *, by: User, channel: str = "page") -> bool:
    """Hide the model from all but administrators until the quarantine is lifted.

    Its files stay where they are. Returns ``False`` when it is already in quarantine.
    """
    if model.quarantined_at:
        return False
    before, now = model.visibility, timezone.now()
    model.visibility, model.quarantined_at, model.changed_at = Visibility.ADMIN_ONLY, now, now
    _record(model, before, Visibility.ADMIN_ONLY, "quarantined", by, channel)
    return True


def lift_quarantine(model: RegisteredModel, *, by: User, channel: str = "page") -> bool:
    """Restore the visibility from before the quarantine. ``False`` when the model is not in it."""
    if not model.quarantined_at:
        return False
    change = MetadataChange.objects.filter(
        model=model, field="quarantine", after=Visibility.ADMIN_ONLY
    ).first()
    before = (
        change.before if change and change.before in Visibility.values else Visibility.RESTRICTED
    )
    model.visibility, model.quarantined_at, model.changed_at = before, None, timezone.now()
    _record(model, Visibility.ADMIN_ONLY, before, "taken out of quarantine", by, channel)
    if audiences.refresh([model.pk]):  # access rules may have changed meanwhile
        model.refresh_from_db(fields=["visibility", "visibility_source"])
    return True


def _record(
    model: RegisteredModel, before: str, after: str, what: str, by: User, channel: str
) -> None:
    with transaction.atomic():
        model.save(update_fields=["visibility", "quarantined_at", "changed_at"])
        MetadataChange.objects.create(
            model=model,
            field="quarantine",
            before=before,
            after=after,
            by=by,
            at=timezone.now(),
            channel=channel,
            batch=uuid4(),
        )
    event_log.record(
        LogTopic.VALIDATION,
        Severity.WARNING,
        f"{by.get_username()}: {what}",
        model_id=model.model_id,
        path=model.path,
    )


def summary(count: int, verb: str) -> str:
    """``3 findings accepted.``"""
    return f"{plural(count, 'finding')} {verb}."
