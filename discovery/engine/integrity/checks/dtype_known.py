"""The number type of the weights is known."""

from __future__ import annotations

from discovery.engine.core.vocabulary import Outcome
from discovery.engine.integrity.check import Check, Facts, Result, by_problems


def judge(facts: Facts, name: str) -> Result:
    if not facts.found.variants:
        return Result(name, Outcome.SKIPPED, "there are no weights")
    first = facts.found.variants[0]
    kind = first.quantization or first.dtype
    if facts.problems(name):
        return by_problems(facts, name, "")
    if kind:
        return Result(name, Outcome.PASSED, f"the weights are {kind}")
    return Result(name, Outcome.SKIPPED, "the format does not tell the type of its weights")


CHECK = Check(
    name="dtype_known",
    label="Data type",
    description="The number type of the weights is known.",
    place=90,
    judge=judge,
    needs_reader=True,
    needs_content=True,
)
