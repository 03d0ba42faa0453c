"""Steps that remove the further formats of models."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial

from discovery.engine.core.paths import to_native
from discovery.services.cleanup import alternate_formats, copies
from discovery.services.cleanup.alternate_formats import KeptModel, SecondFormat
from discovery.services.cleanup.copies import Copy
from discovery.services.cleanup.copy_plan import choices_between, matching_file
from discovery.services.cleanup.plan_questions import (
    Made,
    ask_disks,
    own_folders,
    removal_of,
    users_of,
)
from discovery.services.cleanup.removal import Choice, PlanError, Step, Unconfirmed
from discovery.services.cleanup.same_files import How
from discovery.services.cleanup.still_needed import Needed


def format_steps(chosen: Sequence[str], confirmed: frozenset[str]) -> Made:
    found = {each.key: each for each in alternate_formats.found()}
    if any(key not in found for key in chosen):
        raise PlanError("One of the ticked things is not there any more. Open the list again.")
    ticked = [found[key] for key in dict.fromkeys(chosen)]
    going = {each.record.pk for each in ticked if each.is_whole}
    users = users_of(
        [(each.record.title, each.home, piece) for each in ticked for piece in each.pieces],
        {each.record.pk for each in ticked},
    )
    steps, unseen, roots = list[Step](), list[Choice](), set[str]()
    for each in ticked:
        kept = next(
            (other for other in each.others if other.record.pk not in going or not each.is_whole),
            None,
        )
        if kept is None:
            raise PlanError(
                f"Every format of {each.record.title} is selected. Leave out the one to keep."
            )
        weighed = copies.weigh([each.record, kept.record]) if each.is_whole else {}
        step, choices = ask_disks(partial(_format, each, kept, weighed, users))
        unseen += [choice for choice in choices if choice.key not in confirmed]
        steps.append(step)
        roots.add(each.home)
    if unseen:
        raise Unconfirmed(unseen)
    return steps, roots


def _format(
    each: SecondFormat, kept: KeptModel, weighed: Mapping[int, Copy], users: Needed
) -> tuple[Step, list[Choice]]:
    """Plan one duplicate format; it reads the disks and not the database."""
    pieces = [
        piece
        for piece in each.pieces
        if os.path.realpath(to_native(each.home, piece.path)) not in users.shared
    ]
    choices, pairs = _beside(each, kept, weighed) if each.is_whole else ([], {})
    why = (
        f"the model is there as {kept.name} as well, {each.alike}; a program that wants"
        f" {each.format} would miss it"
    )
    entries = [*pieces, *(own_folders(each.home, each.record, pieces) if each.is_whole else ())]
    removals = tuple(removal_of(each.home, entry, pairs.get(entry.path, "")) for entry in entries)
    title = ", ".join(part for part in (each.record.title, each.name) if part)
    told = tuple(choice.difference for choice in choices)
    return (
        Step(title, why, removals, kept.name, each.record.model_id, kept.weights, differences=told),
        choices,
    )


def _beside(
    each: SecondFormat, kept: KeptModel, copies: Mapping[int, Copy]
) -> tuple[list[Choice], dict[str, str]]:
    """Compare the files other than the weights.

    Returns those that the model of the other format lacks or has differently, and those that it has
    too.
    """
    if len(copies) < 2:
        raise PlanError("One of the ticked things is not there any more. Open the list again.")
    mine, other = copies[each.record.pk], copies[kept.record.pk]
    weights = {
        name
        for copy in (mine, other)
        for content in copy.weights.values()
        for name in copy.files.of(content.identity)
    }
    choices = [
        choice
        for choice in choices_between(mine, other)
        if choice.difference.key not in weights and choice.difference.how != How.ONLY_THERE
    ]
    pairs = {
        path: match.path
        for path, content in mine.contents.items()
        if path not in mine.weights and (match := matching_file(mine, content, other))
    }
    return choices, pairs
