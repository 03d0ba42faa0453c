"""Loading the model's pickles runs no code but that of known libraries."""

from __future__ import annotations

from discovery.engine.core.vocabulary import Outcome, Severity
from discovery.engine.integrity.check import Check, Facts, Result, by_problems


def judge(facts: Facts, name: str) -> Result:
    """Known dangers come first, then content that could not be inspected, then code of others."""
    told = facts.problems(name)
    if any(
        problem.severity is Severity.ERROR or problem.code == "unknown_import" for problem in told
    ):
        return by_problems(facts, name, "")
    if unseen := next(facts.having(lambda code: code.unseen), None):
        return Result(
            name,
            Outcome.SKIPPED,
            f"not everything could be looked into: {unseen.message}",
            unseen.path,
        )
    if told:
        return by_problems(facts, name, "")
    if not facts.found.pickled and not facts.has_format(lambda each: each.holds_pickles):
        return Result(name, Outcome.SKIPPED, "there are no pickles")
    return Result(name, Outcome.PASSED, "Pickles only use PyTorch's own code.")


CHECK = Check(
    name="pickle_safe",
    label="Pickles are safe",
    description="Loading the model's pickles runs no code but that of known libraries.",
    place=120,
    judge=judge,
)
