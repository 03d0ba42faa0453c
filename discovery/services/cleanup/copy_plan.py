"""Steps that remove copies of models."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from hashlib import blake2b

from discovery.engine.core.paths import to_native, to_text
from discovery.engine.core.text import plural
from discovery.engine.disk.disk_use import FILE, DiskEntry
from discovery.models import RegisteredModel
from discovery.services.cleanup import duplicates
from discovery.services.cleanup.copies import Copy
from discovery.services.cleanup.plan_questions import (
    Made,
    ask_disks,
    own_folders,
    removal_of,
    users_of,
)
from discovery.services.cleanup.removal import Choice, PlanError, Step, Unconfirmed
from discovery.services.cleanup.same_files import (
    Content,
    Difference,
    agreement,
    counterpart,
    differences,
    is_reference,
)
from discovery.services.cleanup.still_needed import Needed


def copy_steps(chosen: Sequence[str], confirmed: frozenset[str]) -> Made:
    keys = {int(key) for key in chosen if key.isascii() and key.isdigit() and len(key) < 19}
    fingerprints = (
        RegisteredModel.objects.filter(pk__in=keys)
        .order_by("fingerprint")
        .values_list("fingerprint", flat=True)
        .distinct()
    )
    pairs: list[tuple[Copy, Copy, str]] = []
    for likeness in duplicates.likenesses(list(fingerprints)):
        certainty = {
            copy.record.pk: group.certainty for group in likeness.groups for copy in group.copies
        }
        group_of = {
            copy.record.pk: number
            for number, group in enumerate(likeness.groups)
            for copy in group.copies
        }
        copies = [copy for group in likeness.groups for copy in group.copies]
        staying = [copy for copy in copies if copy.record.pk not in keys]
        for copy in copies:
            if copy.record.pk not in keys:
                continue
            if not staying:
                raise PlanError(
                    f"Every copy of {copy.record.title} is selected. Leave out the one to keep."
                )
            alike = [
                other for other in staying if group_of[other.record.pk] == group_of[copy.record.pk]
            ]
            kept = ask_disks(partial(_best, copy, alike, staying))
            pairs.append((copy, kept, _WHY[certainty[copy.record.pk]]))
    if keys - {copy.record.pk for copy, _, _ in pairs} or len(keys) != len(set(chosen)):
        raise PlanError(
            "One of the ticked models is no longer a copy of another. Open the list again."
        )
    choices = ask_disks(
        lambda: {copy.record.pk: choices_between(copy, kept) for copy, kept, _ in pairs}
    )
    if unseen := [
        choice for each in choices.values() for choice in each if choice.key not in confirmed
    ]:
        raise Unconfirmed(unseen)
    users = users_of(
        [(copy.record.title, copy.home, piece) for copy, _, _ in pairs for piece in copy.pieces],
        keys,
    )
    steps = ask_disks(
        lambda: [
            _copy(copy, kept, why, [choice.difference for choice in choices[copy.record.pk]], users)
            for copy, kept, why in pairs
        ]
    )
    return steps, {copy.home for copy, _, _ in pairs}


_WHY = {
    duplicates.Certainty.LINKED: (
        "both names lead to the same weights on the disk, and all other files agree"
    ),
    duplicates.Certainty.CHECKSUM: (
        "the checksums of all their weights agree, and so do all other files"
    ),
    duplicates.Certainty.ALIKE: (
        "sizes and first bytes of their weights agree; the script compares all bytes before it"
        " removes any"
    ),
}


def choices_between(copy: Copy, kept: Copy) -> list[Choice]:
    made = []
    for each in differences(copy.files, kept.files):
        state = [
            (content.size, content.mtime_ns, content.identity)
            for files in (copy.files, kept.files)
            for content in files.by_name.get(each.key, ())
        ]
        text = f"{copy.record.pk}\0{kept.record.pk}\0{each.key}\0{each.how}\0{state}"
        key = blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
        made.append(Choice(copy.record.title, copy.location, kept.location, each, key))
    return made


def _best(copy: Copy, alike: Sequence[Copy], staying: Sequence[Copy]) -> Copy:
    """Return the copy that stays in place of another.

    It is the surest of those whose files all agree, else the one with the fewest differences.
    """
    if alike:
        return max(alike, key=lambda other: agreement(copy.files, other.files))
    return min(staying, key=lambda other: len(differences(copy.files, other.files)))


def _copy(copy: Copy, kept: Copy, why: str, accepted: Sequence[Difference], users: Needed) -> Step:
    staying = {content.path for contents in kept.files.by_name.values() for content in contents}
    entries: list[tuple[DiskEntry, str, str]] = []
    for each in copy.pieces:
        native = to_native(copy.home, each.path)
        if os.path.realpath(native) in (users.shared if each.kind == FILE else ()):
            continue  # another model has it as well
        if each.kind == FILE and os.path.realpath(native) in staying:
            continue
        if is_reference(copy.record, each.path):
            entries.append((each, "", _text_of(native)))
            continue
        content = copy.contents.get(each.path)
        match = matching_file(copy, content, kept) if content else None
        if match is None and not (content and _is_accepted(copy, content, accepted)):
            raise PlanError(
                f"{each.path} of {copy.record.title} has no counterpart in {kept.record.title}:"
                " they are not copies of each other."
            )
        if (
            match
            and content
            and each.kind == FILE
            and match.identity == content.identity
            and each.names < 2
        ):
            raise PlanError(
                f"{copy.location} and {kept.location} are the same files, reached by two paths:"
                " removing one would remove both."
            )
        entries.append((each, match.path if match else "", ""))
    removals = [removal_of(copy.home, each, same_as, holds) for each, same_as, holds in entries]
    removals += [
        removal_of(copy.home, each)
        for each in own_folders(copy.home, copy.record, [each for each, _, _ in entries])
    ]
    if not removals:
        raise PlanError(f"All files of {copy.record.title} belong to the copy that stays as well.")
    if accepted:
        were = "was" if len(accepted) == 1 else "were"
        told = f"{plural(len(accepted), 'difference')} in other files {were} confirmed"
        why = f"the weights look the same, and the script compares all their bytes; {told}"
    return Step(
        copy.record.title,
        why,
        tuple(removals),
        kept.location,
        copy.record.model_id,
        differences=tuple(accepted),
    )


def matching_file(copy: Copy, content: Content, kept: Copy) -> Content | None:
    """Return the file of ``kept`` with the same content as ``content``.

    A file of the same name is preferred; an older revision may have it under another one.
    """
    for name in copy.files.of(content.identity):
        found = counterpart(content, kept.files.by_name.get(name, ()))[1]
        if found:
            return found
    return (
        counterpart(
            content, [each for contents in kept.files.by_name.values() for each in contents]
        )[1]
        if content.size
        else None
    )


def _is_accepted(copy: Copy, content: Content, accepted: Sequence[Difference]) -> bool:
    names = set(copy.files.of(content.identity))
    return any(each.key in names for each in accepted)


def _text_of(native: str) -> str:
    """The few bytes of a branch or tag. Raises ``PlanError`` where they are many, or none."""
    try:
        with open(native, encoding="ascii") as stream:
            text = stream.read(200)
    except (OSError, ValueError) as error:
        raise PlanError(
            f"{to_text(native)} cannot be read, so nobody knows what would go with it."
        ) from error
    if not text or len(text) >= 200:
        raise PlanError(
            f"{to_text(native)} is not the name of a commit, so nobody knows what would go with it."
        )
    return text
