"""What a check is, what it asks of a model, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from discovery.engine.core import format_registry
from discovery.engine.core.format_registry import Format
from discovery.engine.core.problem_codes import PROBLEM_CODES, ProblemCode
from discovery.engine.core.text import plural
from discovery.engine.core.types import Found, Problem
from discovery.engine.core.vocabulary import Outcome, Severity

#: Tells of errors that no other check is about.
_OTHERWISE = "header_parses"


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a check.

    ``path`` is relative to the root; empty if the result is not about a single file.
    """

    name: str
    status: Outcome
    message: str
    path: str = ""


class Facts:
    """What the checks ask of a model."""

    def __init__(self, found: Found, tokenizer_size: int | None) -> None:
        self.found = found
        self.tokenizer_size = tokenizer_size
        self.names = {entry.name for entry in found.files}
        self.type = self.value("type")
        self.formats = {variant.format for variant in found.variants}

    def value(self, name: str) -> Any:
        return self.found.values[name].value if name in self.found.values else None

    def has_format(self, holds: Callable[[Format], bool]) -> bool:
        """Whether one of the model's own formats has some property."""
        # Its one or two formats are asked: all of them, for each model, was a tenth of the checks.
        known = map(format_registry.get, self.formats)
        return any(each is not None and holds(each) for each in known)

    def problems(self, check: str) -> list[Problem]:
        """Those that a check is about. Errors that no check is about are the header's."""
        return [each for each in self.found.problems if _check_of(each) == check]

    def having(self, holds: Callable[[ProblemCode], bool]) -> Iterator[Problem]:
        """Problems whose kind has some property."""
        return (
            each
            for each in self.found.problems
            if each.code in PROBLEM_CODES and holds(PROBLEM_CODES[each.code])
        )

    @property
    def absent(self) -> str:
        """Why some of the weights could not be read; empty when all of them were there."""
        told = next(self.having(lambda code: code.absent), None)
        return f"not all weights are there to be read: {told.message}" if told else ""

    @property
    def is_unread(self) -> bool:
        """Whether there is no weight file, or one whose header could not be read."""
        return not self.found.variants or any(
            problem.severity is Severity.ERROR for problem in self.problems("header_parses")
        )


def _check_of(problem: Problem) -> str:
    code = PROBLEM_CODES.get(problem.code)
    if code is not None and code.check:
        return code.check
    return _OTHERWISE if problem.severity is Severity.ERROR else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check.

    ``name`` is the identifier of the contract, ``label`` the name on the screen, ``description`` a
    sentence for help. Checks are sorted by their ``place``. ``judge(facts, name)`` returns the
    result. A check that ``needs_reader`` skips files whose format no reader knows; one that
    ``needs_content`` never passes files without content. ``of_remote_models``: it also applies to
    models that another server runs.
    """

    name: str
    label: str
    description: str
    place: int
    judge: Callable[[Facts, str], Result]
    needs_reader: bool = False
    needs_content: bool = False
    of_remote_models: bool = False

    @property
    def codes(self) -> tuple[str, ...]:
        """The problem codes that it is about."""
        return tuple(code for code, each in PROBLEM_CODES.items() if each.check == self.name)


def skipped(name: str, reason: str) -> Result:
    return Result(name, Outcome.SKIPPED, reason)


def by_problems(facts: Facts, name: str, passed: str) -> Result:
    """The result of the first problem, errors before warnings; without a problem the check has
    passed.
    """
    told = sorted(facts.problems(name), key=lambda problem: problem.severity is not Severity.ERROR)
    if not told:
        return Result(name, Outcome.PASSED, passed)
    first = told[0]
    more = (
        f" ({plural(len(told) - 1, 'more problem', 'more problems')} of this kind)"
        if len(told) > 1
        else ""
    )
    outcome = Outcome.FAILED if first.severity is Severity.ERROR else Outcome.WARNING
    return Result(name, outcome, first.message + more, first.path)
