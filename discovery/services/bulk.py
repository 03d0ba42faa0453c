"""Changing many models at once: looked at before, done in batches, stopped, gone on with, taken back.

Few models are changed while the page waits; more are left to a worker. Each batch is a transaction of its own that also moves
``done`` on, so that a worker that is killed leaves whole batches, and the next one goes on behind them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone
from django_q.tasks import async_task

from discovery.engine.text import clean, plural
from discovery.models import BulkEdit, RegisteredModel
from discovery.services import liveness, metadata, undo, validation
from discovery.services.operations import Fault, Operation, Plan, summary
from discovery.services.selections import MAX_FAULTS, Selection, chunks, records_of

if TYPE_CHECKING:
    from django.contrib.auth.models import User

logger = logging.getLogger(__name__)

#: So many models are changed while somebody waits.
AT_ONCE = 200
#: Validating reads files: so many models between two looks at the stop sign.
READ_BATCH = 10

State = BulkEdit.State


class Refused(Exception):
    """All or nothing was asked for, and some models cannot be changed. Nothing was written."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(summary(faults))
        self.faults = list(faults)


class NobodyChosen(Exception):
    """The selection holds no model."""


class _Stopped(Exception):
    """Somebody pressed Stop."""


class _Lost(Exception):
    """The edit was taken for dead and is no longer ours: another worker may go on with it."""


def request(
    operation: Operation,
    selection: Selection,
    *,
    by: User,
    through: str = "page",
    atomic: bool = True,
) -> BulkEdit:
    """Changes the models, or leaves it to a worker when there are many. Raises ``NobodyChosen``, ``Refused``.

    ``atomic``: when one model cannot be changed none is; otherwise it is left out and named in ``reasons``.
    """
    keys = selection.keys(by)
    if not keys:
        raise NobodyChosen
    wanted = {**operation.as_json(), "atomic": atomic, "through": through}
    chosen = {"keys": keys} if selection.query is None else {"keys": keys, "query": selection.query}
    return _begin(wanted, chosen, by, at_once=operation.kind != "validate")


def take_back(batch: UUID, *, by: User, through: str = "page") -> BulkEdit:
    """Undoes all of a batch; what was changed again since is kept and named in ``reasons``. Raises ``NobodyChosen``, ``undo.Kept``."""
    if BulkEdit.objects.filter(batch=batch, state__in=BulkEdit.ACTIVE).exists():
        raise undo.Kept("It is still under way: stop it first.")
    keys = undo.models_of(batch)
    if not keys:
        raise NobodyChosen
    # What is taken back is not gone on with after a restart.
    BulkEdit.objects.filter(batch=batch, state=State.INTERRUPTED).update(state=State.CANCELLED)
    return _begin(
        {"kind": "undo", "undoes": str(batch), "atomic": False, "through": through},
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
            for name, value in liveness.mine().items():
                setattr(edit, name, value)
            edit.save()
            _do(edit, lambda: None)
            _finish(edit, State.DONE, "")
        edit.refresh_from_db()
    else:
        edit.save()
        _queue(edit)
    return edit


def _queue(edit: BulkEdit) -> None:
    async_task("discovery.tasks.run_bulk_edit", edit.pk, task_name=f"bulk edit {edit.pk}")


def execute(edit: BulkEdit) -> BulkEdit:
    """Runs a queued edit in this process, and returns it as it ended; one that somebody else has begun, or cancelled, as it is."""
    begun = BulkEdit.objects.filter(pk=edit.pk, state=State.QUEUED).update(
        state=State.RUNNING, **liveness.mine()
    )
    edit = BulkEdit.objects.select_related("requested_by").get(pk=edit.pk)
    if not begun:
        return edit
    try:
        _do(edit, lambda: _beat(edit))
        _finish(edit, State.DONE, "")
    except _Stopped:
        _finish(
            edit, State.CANCELLED, "Stopped. What was done so far stands; one click takes it back."
        )
    except Refused as error:
        _roll_back(edit)
        _finish(
            edit,
            State.FAILED,
            f"Nothing was changed: {error}",
            skipped=len(error.faults),
            reasons=_told(error.faults),
        )
    except _Lost:
        logger.warning(
            "bulk edit %s was taken for dead, and is left to whoever goes on with it", edit.pk
        )
    except Exception as error:
        logger.exception("bulk edit %s failed", edit.pk)
        _finish(
            edit,
            State.FAILED,
            f"It broke off ({type(error).__name__}: {error}); please report this. Whole batches stand.",
        )
    edit.refresh_from_db()
    return edit


def _mine(edit: BulkEdit) -> QuerySet[BulkEdit]:
    """The row, as long as it is this run of it that goes on."""
    return BulkEdit.objects.filter(pk=edit.pk, state=State.RUNNING, started_at=edit.started_at)


def _beat(edit: BulkEdit) -> None:
    """Keeps the heartbeat, and carries the stop sign back."""
    if not _mine(edit).update(heartbeat_at=timezone.now()):
        raise _Lost
    if _mine(edit).filter(cancel_requested=True).exists():
        raise _Stopped


def _do(edit: BulkEdit, tick: Callable[[], None]) -> None:
    """Goes on from ``done``. Raises ``Refused`` before anything is written."""
    keys = edit.selection["keys"]
    if edit.operation["kind"] == "validate":
        for chunk in chunks(keys[edit.done :], READ_BATCH):
            tick()
            failed = validation.validate_many(chunk)
            _move_on(edit, chunk, changed=len(chunk), skipped=failed)
        return
    if edit.operation["atomic"] and not edit.done:
        faults: list[Fault] = []
        for chunk in chunks(keys):
            tick()
            faults += _plan(edit, records_of(chunk)).faults
        if faults:
            raise Refused(faults)
    for chunk in chunks(keys[edit.done :]):
        tick()
        _change(edit, chunk)


def _change(edit: BulkEdit, chunk: Sequence[int]) -> None:
    """One batch, whole or not at all, in a fixed number of queries. Raises ``Refused``."""
    by, through = edit.requested_by, edit.operation["through"]
    if by is None:
        raise RuntimeError("whoever asked for it has no account any more")
    with transaction.atomic():
        plan = _plan(edit, records_of(chunk, lock=True))
        if plan.faults and edit.operation["atomic"]:
            raise Refused(plan.faults)
        metadata.edit_many(
            plan.changes,
            by=by,
            through=through,
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
    if not _mine(edit).update(**counts, reasons=edit.reasons, heartbeat_at=timezone.now()):
        raise _Lost


def _roll_back(edit: BulkEdit) -> None:
    """All or nothing, and a model was put where it cannot be changed while the edit ran: the batches before it are taken back."""
    by, batch = edit.requested_by, uuid4()
    for chunk in chunks(edit.selection["keys"][: edit.done]):
        with transaction.atomic():
            plan = undo.plan(edit.batch, records_of(chunk, lock=True))
            assert by is not None
            metadata.edit_many(
                plan.changes,
                by=by,
                through=edit.operation["through"],
                batch=batch,
                undoes=edit.batch,
                origins=plan.origins,
            )


def _told(faults: Sequence[Fault]) -> list[dict[str, str]]:
    return [each.as_json() for each in faults[:MAX_FAULTS]]


def _plan(edit: BulkEdit, records: Sequence[RegisteredModel]) -> Plan:
    if edit.operation["kind"] == "undo":
        return undo.plan(UUID(edit.operation["undoes"]), records)
    return Operation.from_json(edit.operation).plan(records)


def cancel(edit: BulkEdit) -> bool:
    """A queued edit ends at once, a running one after its batch; ``False`` when it is over already."""
    queued = BulkEdit.objects.filter(pk=edit.pk, state=State.QUEUED)
    if queued.update(
        state=State.CANCELLED, finished_at=timezone.now(), message="Stopped before it began."
    ):
        return True
    return (
        BulkEdit.objects.filter(pk=edit.pk, state=State.RUNNING).update(cancel_requested=True) == 1
    )


def go_on(edit: BulkEdit) -> bool:
    """Queues what is left of an edit that was stopped or cut off; ``False`` when nothing is left."""
    over = BulkEdit.objects.filter(
        pk=edit.pk, state__in=(State.CANCELLED, State.INTERRUPTED), done__lt=F("total")
    )
    if not over.update(
        state=State.QUEUED,
        cancel_requested=False,
        finished_at=None,
        message="",
        created_at=timezone.now(),
    ):
        return False
    _queue(edit)
    return True


def reap() -> int:
    """Marks edits whose process is gone as interrupted; returns how many."""
    dead = [
        edit
        for edit in BulkEdit.objects.filter(state=State.RUNNING).defer("selection")
        if not liveness.is_alive(edit)
    ]
    for edit in dead:
        _finish(
            edit,
            State.INTERRUPTED,
            "The worker that did it is gone. What was done so far stands: go on with the rest, or take it back.",
        )
    return len(dead)


def dispatch_queued() -> int:
    """After a restart: puts edits that wait on the queue again, and goes on with those that were cut off. Each begins once, however often."""
    reap()
    edits = list(
        BulkEdit.objects.filter(state__in=(State.QUEUED, State.INTERRUPTED)).defer("selection")
    )
    for edit in edits:
        if edit.state == State.INTERRUPTED:
            go_on(edit)
        else:
            _queue(edit)
    return len(edits)


def _finish(edit: BulkEdit, state: BulkEdit.State, message: str, **columns: Any) -> bool:
    """``False`` when the edit is no longer running: somebody took it for dead."""
    return (
        _mine(edit).update(
            state=state, finished_at=timezone.now(), message=clean(message, 2000), **columns
        )
        == 1
    )


def in_words(edit: BulkEdit) -> str:
    """What came of it: ``4,998 models changed, 2 kept``."""
    kind, unchanged = edit.operation["kind"], edit.done - edit.changed - edit.skipped
    if kind == "validate":
        return f"{plural(edit.changed, 'model')} read again, {edit.skipped:,} with a failed check"
    said = [f"{plural(edit.changed, 'model')} {'restored' if kind == 'undo' else 'changed'}"]
    said += [f"{unchanged:,} had it already"] if unchanged > 0 and kind != "undo" else []
    said += [f"{edit.skipped:,} left as they are"] if edit.skipped else []
    return ", ".join(said)
