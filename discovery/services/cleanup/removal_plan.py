"""Plan what to remove, for people to review and to run themselves.

A plan is a shell script and a JSON document. Nothing is removed here.

A plan names every file. It is created from the current disk; the script checks each file again
before it removes it, and does a step completely or not at all.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from django.utils import timezone

from discovery.engine.core.paths import to_text
from discovery.engine.disk.disk_use import FOLDER
from discovery.services.cleanup import copies
from discovery.services.cleanup.copy_plan import copy_steps
from discovery.services.cleanup.format_plan import format_steps
from discovery.services.cleanup.orphan_plan import orphan_steps
from discovery.services.cleanup.removal import Plan, PlanError, Step

#: Things that one plan may remove.
MAX_CHOSEN = 500
#: What a plan is about: copies of models, second formats, and the kinds of leftovers.
COPIES, FORMATS = "copies", "formats"


def plan(kind: str, chosen: Sequence[str], *, by: str, confirmed: Collection[str] = ()) -> Plan:
    """Of what was ticked: primary keys of copies, or keys of leftovers and second formats.

    Raises ``PlanError``.

    ``confirmed`` are keys of differences that the person has seen and accepts to lose.
    """
    if not chosen:
        raise PlanError("Nothing is ticked, so there is nothing to plan.")
    if len(chosen) > MAX_CHOSEN:
        raise PlanError(
            f"One plan may remove at most {MAX_CHOSEN} things; {len(chosen):,} are ticked."
        )
    try:
        made = (
            copy_steps(chosen, frozenset(confirmed)) if kind == COPIES
            else format_steps(chosen, frozenset(confirmed)) if kind == FORMATS
            else orphan_steps(kind, chosen)
        )  # fmt: skip
    except copies.DiskTimeout as error:
        raise PlanError(str(error)) from error
    steps, roots = made
    _refuse_last_copies(steps)
    return Plan(kind, by, timezone.now(), tuple(sorted(roots)), tuple(steps))


def _refuse_last_copies(steps: Sequence[Step]) -> None:
    """Refuse a plan in which one step removes a file that another step keeps.

    Removing a folder that leads to the file counts too.

    Raises ``PlanError``.
    """
    going = {
        removal.absolute: step.title
        for step in steps
        for removal in step.removals
        if removal.piece.kind != FOLDER
    }
    for step in steps:
        for stays in (
            *(removal.same_as for removal in step.removals if removal.same_as),
            *(place for place, _ in step.needs),
        ):
            if stays in going:
                raise PlanError(
                    f"{to_text(stays)} would stay for {step.title}, but it goes with"
                    f" {going[stays]}: leave one of the two."
                )
