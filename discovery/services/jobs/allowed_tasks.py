"""The only functions that task workers run.

A name in a queue or a schedule is otherwise as good as a shell.

django-q2 imports and calls whatever a row names. Here a task with another name is replaced by one
that fails with a message: when it is queued, and again when a cluster takes it from the queue,
whoever put it there. Nothing of it is imported.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from django_q import signals
from django_q.signing import SignedPackage

from discovery.services.jobs.registry import kinds

#: Those that run no job: schedules, and what older versions queued.
_OTHERS = frozenset(
    f"discovery.tasks.{name}"
    for name in ("scheduled_scan", "validate_models", "scheduled_validation", "recategorize")
)

#: What runs in the place of anything else.
REFUSE = "discovery.tasks.refuse"

#: What a task may not bring along: each names functions of its own.
_BESIDE = ("hook", "chain")


@cache
def functions() -> frozenset[str]:
    return _OTHERS | {kind.task for kind in kinds()}


def fault(task: dict[str, Any]) -> str:
    """Why this task is refused; empty for one that may run."""
    function = task.get("func")
    if not isinstance(function, str) or function not in functions():
        return f"{str(function)[:200]} is not a function that workers run"
    extra = next((name for name in _BESIDE if task.get(name)), None)
    return f"a task may not bring a {extra} along" if extra else ""


def close(task: dict[str, Any], **_: Any) -> None:
    """Leave a task on the list as it is; any other one will fail and say why."""
    if task.get("func") == REFUSE and not any(task.get(name) for name in _BESIDE):
        return
    if reason := fault(task):
        for name in _BESIDE:
            task.pop(name, None)
        task |= {"func": REFUSE, "args": (reason,), "kwargs": {}}


def guard() -> None:
    """Check tasks against the list; called once when the application is ready, in every process."""
    signals.pre_enqueue.connect(close, dispatch_uid="karen-closed-list")
    given = SignedPackage.loads
    if getattr(given, "is_closed", False):
        return

    def loads(package: Any) -> Any:
        task = given(package)
        if isinstance(task, dict) and "func" in task and "result" not in task:
            close(task)
        return task

    loads.is_closed = True  # type: ignore[attr-defined]
    SignedPackage.loads = staticmethod(loads)
