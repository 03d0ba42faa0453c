"""Explain the state of a path, for each way in which the walk can end.

See ``services.scans.explain_missing``.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import psutil

from discovery.engine.core import format_registry, names
from discovery.engine.core.errors import NotAModel
from discovery.engine.core.paths import to_text
from discovery.engine.core.text import plural
from discovery.engine.core.types import Candidate, Found, Problem
from discovery.engine.core.vocabulary import Status
from discovery.engine.disk.trace import Trace, TraceOutcome
from discovery.engine.disk.walk import walk
from discovery.engine.identify.identify import identify
from discovery.models import RegisteredModel, RegisteredModelQuerySet, Root, SkippedPath, Visibility
from discovery.services.core import config_files
from discovery.services.machine import reach
from discovery.services.scans.root_scan import MAX_PATH
from discovery.services.scans.roots import others

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

logger = logging.getLogger(__name__)

#: Seconds that the disk has to answer each question.
PATIENCE = 4.0

#: Candidates and problems that are looked for below a folder, and models and problems that are
#: told.
MAX_BELOW = 300
MAX_TOLD = 10

CONFIG = config_files.DISCOVERY.name

Answered = TypeVar("Answered")


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is the matter with ``path``.

    ``tone`` is ok, warn or bad; ``advice`` says what to do, ``models`` what is registered there.

    ``scan`` says that a scan would help, ``may_register`` that a person may register it all the
    same.
    """

    path: str
    title: str
    tone: str = "warn"
    detail: str = ""
    advice: str = ""
    root: Root | None = None
    models: tuple[RegisteredModel, ...] = ()
    problems: tuple[str, ...] = ()
    scan: bool = False
    may_register: bool = False


def patiently(root: Root, what: str, path: str, question: Callable[[], Answered]) -> Answered:
    """Call a question and wait for it; raises ``RootSilent``."""
    return reach.within(root, (what, path), question, longest=PATIENCE)


@dataclass(frozen=True, slots=True)
class Case:
    """``path`` as text, ``home`` the root's real folder, ``below`` the path in it."""

    path: str
    root: Root
    home: str
    below: str
    traced: Trace
    person: AbstractBaseUser | AnonymousUser

    def answer(self, title: str, detail: str = "", advice: str = "", **more: Any) -> Explanation:
        through = [
            f"{link} is a link that the way leads through."
            for link in map(to_text, self.traced.through)
        ]
        return Explanation(
            self.path,
            title,
            detail=" ".join([detail, *through]).strip(),
            advice=advice,
            root=self.root,
            **more,
        )

    @property
    def records(self) -> RegisteredModelQuerySet:
        return RegisteredModel.objects.visible_to(self.person).filter(root=self.root)


def _model(case: Case) -> Explanation:
    """Explain a path that belongs to candidates.

    They are registered, skipped for a reason, or not read yet.
    """
    places = {to_text(each.place): each for each in case.traced.candidates[:MAX_BELOW]}
    records = _nearest(
        list(case.records.filter(place__in=places).order_by("path")), to_text(case.below)
    )
    if records:
        return _registered(case, records, places)
    if RegisteredModel.objects.filter(root=case.root, place__in=places).exists():
        return case.answer("Nothing that is shared with you lies there.")
    skipped = SkippedPath.objects.filter(root=case.root, place__in=places).first()
    if skipped is not None and places[skipped.place].signature == skipped.signature:
        return case.answer(
            "It looks like a model and is none.",
            f"{skipped.place}: {skipped.reason}.",
            _ADVICE_SKIPPED,
        )
    candidate = case.traced.candidates[0]
    if len(places) == 1 and len(next(iter(places))) > MAX_PATH:
        return case.answer(
            "Its path is too long.",
            f"A path below the root may have {MAX_PATH:,} characters.",
            "Move it nearer to the root.",
        )
    read = patiently(
        case.root,
        "identify",
        f"{case.home}/{candidate.place}",
        partial(_identified, case.home, candidate),
    )
    if isinstance(read, str):
        return case.answer(
            "It looks like a model and is none.",
            f"{to_text(candidate.place)}: {read}.",
            _ADVICE_SKIPPED,
            scan=True,
        )
    name = to_text(read[0].name)
    return case.answer(
        f"It is a model that no scan has seen yet: {name}.",
        "The next scan registers it.",
        "Scan now, or wait for the next scan.",
        scan=True,
    )


_ADVICE_SKIPPED = (
    "If files are missing, add them. If its format is left out, name it under “supported_formats”."
    " Then scan."
)


def _identified(home: str, candidate: Candidate) -> list[Found] | str:
    """The models that a scan would read there, or the reason why there are none."""
    try:
        return identify(home, candidate, config_files.discovery(), psutil.virtual_memory().total)
    except NotAModel as error:
        return error.reason
    except Exception as error:  # what we did not foresee is told in full in the log, as a scan does
        logger.exception("reading %r failed", candidate.place)
        return (
            f"reading it failed unexpectedly ({type(error).__name__}: {error}); please report this"
        )


def _nearest(records: list[RegisteredModel], below: str) -> list[RegisteredModel]:
    """Of several models in one place, return those that ``below`` belongs to.

    It is such a model, one of its files, or a folder around it.
    """
    own = [
        each
        for each in records
        if each.path == below
        or any(path == below or path.startswith(f"{below}/") for path, _ in each.files)
    ]
    return own or records


def _registered(
    case: Case, records: list[RegisteredModel], places: Mapping[str, Candidate]
) -> Explanation:
    first, more = records[0], {"tone": "ok", "models": tuple(records[:MAX_TOLD])}
    missing = [each for each in records if each.status == Status.MISSING]
    stale = [each for each in records if each.signature != places[each.place].signature]
    if missing:
        return case.answer(
            f"It is registered as {first.title}, and marked missing.",
            "It is here now.",
            "Scan: it comes back with all that was written about it.",
            **more | {"tone": "warn", "scan": True},
        )
    detail = (
        "Its files have changed since the last scan; the next one reads them again."
        if stale
        else ""
    )
    if len(records) > 1:
        title = f"{plural(len(records), 'model')} of it are registered."
    elif to_text(case.below) in (first.path, first.place):
        title = f"It is registered as {first.title}."
    else:
        title = f"It is part of the model {first.title}."
    hidden = "" if first.visibility != Visibility.ADMIN_ONLY else "Only administrators see it."
    return case.answer(title, f"{detail} {hidden}".strip(), "", **more, scan=bool(stale))


def _folder(case: Case) -> Explanation:
    """Explain a folder that the walk enters and that is not a model itself."""
    text = to_text(case.below)
    records = case.records if text == "." else case.records.filter(place__startswith=f"{text}/")
    count = records.count()
    if count:
        models = tuple(records.order_by("path")[:MAX_TOLD])
        return case.answer(
            f"It is a folder with {plural(count, 'registered model')} below it.",
            "Ask about a path inside it, if one of them does not appear.",
            tone="ok",
            models=models,
        )
    found = patiently(
        case.root,
        "below",
        f"{case.home}/{case.below}",
        partial(_below, case.home, case.below, others(case.root)),
    )
    candidates = sum(isinstance(each, Candidate) for each in found)
    problems = tuple(
        f"{to_text(each.path)}: {each.message}" for each in found if isinstance(each, Problem)
    )[:MAX_TOLD]
    if candidates:
        shown = (
            plural(candidates, "place")
            if len(found) < MAX_BELOW
            else f"at least {candidates:,} places"
        )
        return case.answer(
            f"Nothing below it is registered, and {shown} in it look like models.",
            "They were skipped, or not scanned yet: ask about one of them.",
            "Scan now, then ask again.",
            problems=problems,
            scan=True,
        )
    return case.answer(
        "Nothing in it looks like a model.",
        "No file in it promises weights, and none marks a model (config.json and the like).",
        "Check that the download is complete, and that its format is known.",
        problems=problems,
    )


def _below(home: str, below: str, skip: Sequence[str]) -> list[Candidate | Problem]:
    return list(islice(walk(home, config_files.discovery(), start=below, skip=skip), MAX_BELOW))


def _no_weights(case: Case) -> Explanation:
    name = os.path.basename(case.below)
    endings = ", ".join(format_registry.SUFFIXES)
    if name in names.SIDECARS:
        return case.answer(
            "It describes a model, and there are no weights beside it.",
            f"{to_text(name)} alone is not a model.",
            "Put the weights into the same folder, then scan.",
        )
    return case.answer(
        "Its name does not promise weights.",
        f"Files that end with {endings} are looked at; others only belong to a model beside them.",
        "If it holds weights, give it the ending of its format, then scan.",
    )


def _excluded(case: Case) -> Explanation:
    at = to_text(case.traced.at)
    return case.answer(
        "It is excluded by a pattern.",
        f"{at} matches “{case.traced.why}” of “exclude_patterns” in {CONFIG}.",
        "Take the pattern out of the file, or rename; then scan.",
    )


def _never(case: Case) -> Explanation:
    detail = (
        f"{to_text(case.traced.at)} is a folder that programs keep for themselves: version control,"
        " caches, environments, training checkpoints."
    )
    return case.answer(
        "Folders of this name are never models.",
        detail,
        "If it is a model all the same, rename the folder, then scan.",
    )


def _too_deep(case: Case) -> Explanation:
    limit = case.traced.why
    detail = (
        f"Folders below {_place(case.traced.at)} are more than {limit} deep, and “max_scan_depth”"
        f" in {CONFIG} is {limit}."
    )
    if not config_files.discovery().scan_subdirectories:
        detail = (
            "Only the first folders below a root are looked into: “scan_subdirectories” in"
            f" {CONFIG} is off."
        )
    return case.answer(
        "It lies too deep.", detail, "Raise the limit, or move the model up; then scan."
    )


def _not_there(case: Case) -> Explanation:
    at, why = to_text(case.traced.at), to_text(case.traced.why)
    in_a_file = case.traced.end is TraceOutcome.IN_A_FILE
    record = case.records.filter(path=to_text(case.below)).first()
    if record is not None:
        since = (
            f"since {record.missing_since:%-d %b %Y}"
            if record.missing_since
            else "until the next scan says so"
        )
        return case.answer(
            f"It is registered as {record.title}, and its files are gone.",
            f"Missing {since}.",
            "Put the files back and scan, or forget the model.",
            models=(record,),
        )
    if in_a_file:
        return case.answer("There is nothing at this path.", f"{at} is a file, not a folder.")
    hint = (
        f"Did you mean “{why}”?"
        if why
        else "Capitals count. Look at the spelling, or at what the server sees there."
    )
    return case.answer("There is nothing at this path.", f"{at} does not exist.", hint)


def _left_out(case: Case) -> Explanation:
    detail = f"{_place(case.traced.at)}: {case.traced.why}."
    return case.answer(
        "It cannot be looked into.",
        detail,
        "Give the user that runs Karen Admin the right to read it, or put real files below the root"
        " in place of the link; then scan.",
        tone="bad",
    )


def _not_models(case: Case) -> Explanation:
    return case.answer(
        "It belongs to a data set, a space or a store, and to no model.",
        f"{_place(case.traced.at)} is kept by the tool that made it.",
    )


def _place(path: str) -> str:
    return "the root" if path == "." else to_text(path)


VERDICTS: dict[TraceOutcome, Callable[[Case], Explanation]] = {
    TraceOutcome.MODEL: _model,
    TraceOutcome.FOLDER: _folder,
    TraceOutcome.NO_WEIGHTS: _no_weights,
    TraceOutcome.EXCLUDED: _excluded,
    TraceOutcome.NEVER: _never,
    TraceOutcome.TOO_DEEP: _too_deep,
    TraceOutcome.NOT_THERE: _not_there,
    TraceOutcome.IN_A_FILE: _not_there,
    TraceOutcome.LEFT_OUT: _left_out,
    TraceOutcome.NOT_MODELS: _not_models,
}
