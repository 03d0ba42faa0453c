"""Explain why a model does not appear.

The answer says what scans do with one path on the disk, and what the registry knows about it.

It comes from the walk itself (``engine.disk.trace``), so that it is what a scan would do and not a
guess.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from discovery.engine.core.config import Discovery
from discovery.engine.core.paths import is_under, to_native, to_text
from discovery.engine.disk.trace import Trace, TraceOutcome, trace
from discovery.models import Root
from discovery.services.machine import reach, root_states
from discovery.services.machine.root_probes import RootSilent
from discovery.services.scans.explain_verdicts import (
    CONFIG,
    MAX_TOLD,
    PATIENCE,
    VERDICTS,
    Case,
    Explanation,
    patiently,
)
from discovery.services.scans.roots import settings_of

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

    Person = AbstractBaseUser | AnonymousUser

__all__ = ["Explanation", "NotAPath", "explain"]

#: A path longer than this is none on any system.
LONGEST = 4_096


class NotAPath(Exception):
    """What was typed cannot be a path; the message says why."""


def explain(text: str, person: Person) -> Explanation:
    """Explain why the path ``text`` is or is not in the registry. Raises ``NotAPath``."""
    path = _absolute(_typed(text))
    try:
        return _explain(path, person)
    except RootSilent as error:
        advice = (
            "A network drive may be away, or very slow. Look at the mount, then ask again; the"
            " models registered there stay as they are."
        )
        return Explanation(to_text(path), "The disk does not answer.", "bad", str(error), advice)


def _typed(text: str) -> str:
    text = text.strip().strip("'\"").removeprefix("file://").strip()
    if not text:
        raise NotAPath("Type or paste a path: of a folder or a file, as the server sees it.")
    if "\0" in text:
        raise NotAPath("No path holds a NUL character.")
    try:
        os.fsencode(text)
    except UnicodeEncodeError as error:
        raise NotAPath("No path holds such characters.") from error
    if len(text) > LONGEST:
        raise NotAPath(f"This has {len(text):,} characters; no path has more than {LONGEST:,}.")
    return text


def _absolute(text: str) -> str:
    """Return an absolute path; a relative one is looked for below the roots.

    The first root that has it counts, else the first root.
    """
    if os.path.isabs(text):
        return os.path.normpath(text)
    paths = {root: os.path.normpath(os.path.join("/", root.path, text)) for root in _roots()}
    there = reach.within_each(
        {root: (("lies", path), partial(os.path.lexists, path)) for root, path in paths.items()},
        longest=PATIENCE,
    )
    return next(
        (path for root, path in paths.items() if there[root] is True),
        next(iter(paths.values()), os.path.abspath(text)),
    )


def _roots() -> list[Root]:
    return list(Root.objects.exclude(path=Root.REMOTE).order_by("path"))


def _explain(path: str, person: Person) -> Explanation:
    home = _home_of(path)
    if home is None:
        return _outside(path)
    root, below = home
    fault = root_states.fault(root)
    if fault:
        detail = f"The root {root.path} cannot be scanned: {fault}."
        return Explanation(
            to_text(path),
            "Its root is out of reach.",
            "bad",
            detail,
            "Bring the disk back, then scan. Its models stay registered.",
            root,
        )
    real, below, traced = patiently(
        root, "trace", path, partial(_traced, root.path, below, settings_of(root))
    )
    case = Case(to_text(path), root, real, below, traced, person)
    answer = _registered_manually(case) or VERDICTS[traced.end](case)
    return _with_state_of_root(
        replace(
            answer, may_register=traced.end in _PASSED_BY and not answer.models and not answer.scan
        ),
        root,
    )


#: Ways to end at something that a person may know to be a model.
_PASSED_BY = (
    TraceOutcome.MODEL,
    TraceOutcome.FOLDER,
    TraceOutcome.NO_WEIGHTS,
    TraceOutcome.EXCLUDED,
    TraceOutcome.NEVER,
    TraceOutcome.TOO_DEEP,
)


def _registered_manually(case: Case) -> Explanation | None:
    """For what the walk does not come by; the rest has its own verdict."""
    if case.traced.end is TraceOutcome.MODEL or case.traced.end not in _PASSED_BY:
        return None
    record = case.records.filter(
        path=to_text(case.below), registered_manually=True, missing_since=None
    ).first()
    if record is None:
        return None
    return case.answer(
        f"It is registered as {record.title}, by hand.",
        "Every scan looks after it, wherever it lies.",
        tone="ok",
        models=(record,),
    )


def _home_of(path: str) -> tuple[Root, str] | None:
    """Return the innermost root that holds ``path``, and the path below it.

    Links on the way to either are resolved.
    """
    roots = _roots()
    if (home := _innermost([(root, root.path) for root in roots], to_text(path))) is None:
        path = reach.elsewhere(
            ("real path", path), partial(os.path.realpath, path), path, longest=PATIENCE
        )
        home = _innermost(list(reach.places(roots).items()), to_text(path))
    return home


def _innermost(homes: Sequence[tuple[Root, str]], path: str) -> tuple[Root, str] | None:
    around = [(root, place) for root, place in homes if is_under(path, place)]
    if not around:
        return None
    root, place = max(around, key=lambda each: len(each[1]))
    return root, os.path.relpath(path, place).replace(os.sep, "/")


def _traced(root: str, below: str, settings: Discovery) -> tuple[str, str, Trace]:
    """Return (the root's real folder, ``below`` as the disk spells it, the result of the walk)."""
    real = os.path.realpath(to_native("/", root))
    native = os.path.relpath(to_native(real, below), real).replace(os.sep, "/")
    return real, native, trace(real, settings, native)


def _outside(path: str) -> Explanation:
    roots = [root.path for root in _roots()]
    detail = (
        f"Only what lies in these folders is scanned: {', '.join(roots[:MAX_TOLD])}."
        if roots
        else "No root is known yet."
    )
    advice = (
        f"Move it into one of them, or make its folder a root: name it under “roots” in {CONFIG},"
        " or run “python manage.py scan_models FOLDER”."
    )
    return Explanation(to_text(path), "It lies under no root.", "warn", detail, advice)


def _with_state_of_root(answer: Explanation, root: Root) -> Explanation:
    """Add the reason that keeps the whole root from being scanned.

    It is frozen, disabled, or was never scanned.
    """
    notes = []
    if root.frozen_reason:
        notes.append(f"The root is frozen: {root.frozen_reason} Decide about it on the Scans page.")
    if not root.enabled:
        notes.append(
            "The root is switched off, so scans pass it by. Switch it on in the administration."
        )
    if root.last_scan_at is None and not answer.models:
        notes.append("The root was never scanned to its end.")
    return replace(answer, root=root, problems=(*answer.problems, *notes))
