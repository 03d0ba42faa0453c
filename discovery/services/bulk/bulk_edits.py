"""Change many models at once: preview, run in batches, stop, resume and undo.

Few models are changed while the page waits; more are left to a worker. Each batch is a transaction
of its own that also advances ``done``, so that a killed worker leaves whole batches behind, and the
next one continues after them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from discovery.engine.core.text import plural
from discovery.models import BulkEdit, RegisteredModel
from discovery.services import jobs
from discovery.services.bulk.operations import Operation, summary
from discovery.services.bulk.selections import MAX_FAULTS, Selection, chunks, records_of
from discovery.services.health import validation
from discovery.services.jobs import Ending, heartbeat
from discovery.services.metadata import metadata, undo
from discovery.services.metadata.plans import FieldError, Plan

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: So many models are changed while somebody waits.
AT_ONCE = 200
#: Validating reads files: so many models between two checks for a stop request.
READ_BATCH = 10

State = BulkEdit.State


class EditRefused(Exception):
    """An all-or-nothing edit includes models that cannot be changed. Nothing was written."""

    def __init__(self, faults: Sequence[FieldError]) -> None:
        super().__init__(summary(faults))
        self.faults = list(faults)


class EmptySelection(Exception):
    """The selection holds no model."""


def request(
    operation: Operation,
    selection: Selection,
    *,
    by: User,
    channel: str = "page",
    atomic: bool = True,
) -> BulkEdit:
    """Change the models, or leave it to a worker when there are many.

    Raises ``EmptySelection``, ``Refused``.

    ``atomic``: when one model cannot be changed none is; otherwise it is left out and named in
    ``reasons``.
    """
    keys = selection.keys(by)
    if not keys:
        raise EmptySelection
    wanted = {**operation.as_json(), "atomic": atomic, "channel": channel}
    chosen = {"keys": keys} if selection.query is None else {"keys": keys, "query": selection.query}
    return _begin(wanted, chosen, by, at_once=operation.kind != "validate")


def undo_batch(batch: UUID, *, by: User, channel: str = "page") -> BulkEdit:
    """Undo all of a batch; later changes are kept and named in ``reasons``.

    Raises ``EmptySelection``, ``undo.NotUndoable``.
    """
    if BulkEdit.objects.filter(batch=batch, state__in=BulkEdit.ACTIVE).exists():
        raise undo.NotUndoable("It is still under way: stop it first.")
    keys = undo.models_of(batch)
    if not keys:
        raise EmptySelection
    # What is taken back is not gone on with after a restart.
    BulkEdit.objects.filter(batch=batch, state=State.INTERRUPTED).update(
        state=State.CANCELLED, goes_on=False
    )
    return _begin(
        {"kind": "undo", "undoes": str(batch), "atomic": False, "channel": channel},
        {"keys": keys},
        by,
        at_once=True,
    )


def _begin(
    operation: dict[str, Any], selection: dict[str, Any], by: User, *, at_once: bool
) -> BulkEdit:
    edit = BulkEdit(
        operation=operation,
        selection=selection,
        batch=uuid4(),
        total=len(selection["keys"]),
        requested_by=by,
    )
    if at_once and edit.total <= AT_ONCE:
        with transaction.atomic():
            edit.state = State.RUNNING
            for name, value in heartbeat.mine().items():
                setattr(edit, name, value)
            edit.save()
            _do(edit, lambda: None)
            KIND.finish(edit, Ending(State.DONE))
    else:
        edit.dispatched_at = timezone.now()
        edit.save()
        KIND.dispatch(edit)
    return edit


class BulkEdits(jobs.Kind[BulkEdit]):
    model = BulkEdit
    task = "discovery.tasks.run_bulk_edit"
    name = "bulk edit"
    related = ("requested_by",)
    heavy = ("selection", "reasons")
    goes_on = "what was done so far stands, and it goes on with the rest."
    given_up = "what was done so far stands: go on with the rest, or take it back."
    stopped = "Stopped. What was done so far stands; one click takes it back."
    broke = "It broke off ({error}); please report this. Whole batches stand."

    def run(self, job: BulkEdit, **_options: Any) -> Ending:
        try:
            _do(job, lambda: jobs.beat(job))
        except EditRefused as error:
            _roll_back(job)
            told = {"skipped": len(error.faults), "reasons": _told(error.faults)}
            return Ending(State.FAILED, f"Nothing was changed: {error}", told)
        return Ending(State.DONE)


KIND = BulkEdits()


def execute(edit: BulkEdit) -> BulkEdit:
    """Run a queued edit in this process, and return it in its final state.

    An edit that another process has started, or that was canceled, is returned unchanged.
    """
    return jobs.execute(edit)  # type: ignore[no-any-return]


def _do(edit: BulkEdit, tick: Callable[[], None]) -> None:
    """Continue from ``done``. Raises ``Refused`` before anything is written."""
    keys = edit.selection["keys"]
    if edit.operation["kind"] == "validate":
        for chunk in chunks(keys[edit.done :], READ_BATCH):
            tick()
            failed = validation.validate_many(chunk)
            _move_on(edit, chunk, changed=len(chunk), skipped=failed)
        return
    if edit.operation["atomic"] and not edit.done:
        faults: list[FieldError] = []
        for chunk in chunks(keys):
            tick()
            faults += _plan(edit, records_of(chunk)).faults
        if faults:
            raise EditRefused(faults)
    for chunk in chunks(keys[edit.done :]):
        tick()
        _change(edit, chunk)


def _change(edit: BulkEdit, chunk: Sequence[int]) -> None:
    """Write one batch completely or not at all.

    It takes a fixed number of queries. Raises ``Refused``.
    """
    by, channel = edit.requested_by, edit.operation["channel"]
    if by is None:
        raise RuntimeError("whoever asked for it has no account any more")
    with transaction.atomic():
        plan = _plan(edit, records_of(chunk, lock=True))
        if plan.faults and edit.operation["atomic"]:
            raise EditRefused(plan.faults)
        metadata.edit_many(
            plan.changes,
            by=by,
            channel=channel,
            batch=edit.batch,
            undoes=plan.undoes,
            origins=plan.origins,
        )
        edit.reasons = [*edit.reasons, *_told(plan.faults)][:MAX_FAULTS]
        _move_on(
            edit,
            chunk,
            changed=len(plan.changes),
            skipped=len({each.model_id for each in plan.faults}),
        )


def _move_on(edit: BulkEdit, chunk: Sequence[int], *, changed: int, skipped: int) -> None:
    edit.done += len(chunk)
    counts = {
        "done": edit.done,
        "changed": F("changed") + changed,
        "skipped": F("skipped") + skipped,
    }
    if not KIND.mine(edit).update(**counts, reasons=edit.reasons, heartbeat_at=timezone.now()):
        raise jobs.Lost


def _roll_back(edit: BulkEdit) -> None:
    """Undo the batches that an all-or-nothing edit has written.

    This happens when a model became read-only while the edit ran.
    """
    by, batch = edit.requested_by, uuid4()
    for chunk in chunks(edit.selection["keys"][: edit.done]):
        with transaction.atomic():
            plan = undo.plan(edit.batch, records_of(chunk, lock=True))
            assert by is not None
            metadata.edit_many(
                plan.changes,
                by=by,
                channel=edit.operation["channel"],
                batch=batch,
                undoes=edit.batch,
                origins=plan.origins,
            )


def _told(faults: Sequence[FieldError]) -> list[dict[str, str]]:
    return [each.as_json() for each in faults[:MAX_FAULTS]]


def _plan(edit: BulkEdit, records: Sequence[RegisteredModel]) -> Plan:
    if edit.operation["kind"] == "undo":
        return undo.plan(UUID(edit.operation["undoes"]), records)
    return Operation.from_json(edit.operation).plan(records)


def cancel(edit: BulkEdit) -> bool:
    """Cancel an edit; return ``False`` when it has already finished.

    A queued edit ends at once, a running one after its batch.
    """
    return KIND.cancel(edit)


def resume(edit: BulkEdit) -> bool:
    """Queue the rest of an edit that was stopped or interrupted.

    Returns ``False`` when nothing is left.
    """
    over = BulkEdit.objects.filter(
        pk=edit.pk, state__in=(State.CANCELLED, State.INTERRUPTED), done__lt=F("total")
    )
    again = {
        "state": State.QUEUED,
        "cancel_requested": False,
        "goes_on": False,
        "interruptions": 0,
        "dispatched_at": timezone.now(),
    }
    if not over.update(**again, finished_at=None, message="", created_at=timezone.now()):
        return False
    edit.refresh_from_db()
    KIND.dispatch(edit)
    return True


def in_words(edit: BulkEdit) -> str:
    """Return the result in words: ``4,998 models changed, 2 kept``."""
    kind, unchanged = edit.operation["kind"], edit.done - edit.changed - edit.skipped
    if kind == "validate":
        return f"{plural(edit.changed, 'model')} read again, {edit.skipped:,} with a failed check"
    said = [f"{plural(edit.changed, 'model')} {'restored' if kind == 'undo' else 'changed'}"]
    said += [f"{unchanged:,} had it already"] if unchanged > 0 and kind != "undo" else []
    said += [f"{edit.skipped:,} left as they are"] if edit.skipped else []
    return ", ".join(said)
