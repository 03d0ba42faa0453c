"""A clean-up plan as data, and as a shell script."""

from __future__ import annotations

from typing import Any

from discovery.engine.core.paths import to_text
from discovery.engine.core.text import human_bytes, plural
from discovery.engine.disk.disk_use import FILE
from discovery.services.cleanup.removal import Plan, Step
from discovery.services.core.shell import Command, Work, script_of


def as_json(made: Plan) -> dict[str, Any]:
    """The plan as data.

    Names that are not UTF-8 have ``\\xff`` in place of their bytes, as everywhere.
    """
    return {
        "made_at": made.made_at.isoformat(),
        "by": made.by,
        "kind": made.kind,
        "roots": [to_text(root) for root in made.roots],
        "frees_bytes": made.freed,
        "steps": [_step_json(step) for step in made.steps],
    }


def _step_json(step: Step) -> dict[str, Any]:
    entries = [
        {
            "path": each.text,
            "type": each.piece.kind,
            "size": each.piece.size,
            "same_as": to_text(each.same_as) or None,
        }
        for each in step.removals
    ]
    told = {
        "title": step.title, "why": step.why, "model_id": step.model_id or None,
        "keeps": step.keeps or None,
        "differences": [{"name": each.name, "how": each.how.value, "size": each.size,
                "kept_size": each.other_size} for each in step.differences],
    }  # fmt: skip
    return {**told, "frees_bytes": step.freed, "remove": entries}


def as_script(made: Plan) -> bytes:
    """Return the plan as a POSIX shell script, with file names as their exact bytes."""
    heading = [
        f"Clean-up plan of Karen Admin, made {made.made_at:%Y-%m-%d %H:%M} UTC by {made.by}.",
        (
            f"{plural(len(made.steps), 'step')}, {plural(made.entries, 'entry', 'entries')},"
            f" {human_bytes(made.freed)} can be freed."
        ),
        "Nothing outside these folders is touched:",
        *(f"  {to_text(root)}" for root in made.roots),
    ]
    steps = []
    for step in made.steps:
        commands = [
            Command(
                r.absolute,
                r.piece.kind,
                r.piece.size if r.piece.kind == FILE else 0,
                r.same_as,
                r.holds,
            )
            for r in step.removals
        ]
        told = [
            f"{step.title}: {human_bytes(step.freed)}",
            f"why: {step.why}",
            *([f"stays: {step.keeps}"] if step.keeps else []),
        ]
        told += [f"confirmed: {each.text}" for each in step.differences]
        steps.append(Work(told, commands, step.needs, step.watched))
    return script_of(heading, steps, made.roots, made.made_at)
