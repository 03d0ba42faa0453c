"""All parts of weights in several files are there."""

from __future__ import annotations

from discovery.engine.core.vocabulary import Outcome
from discovery.engine.integrity.check import Check, Facts, Result, by_problems


def judge(facts: Facts, name: str) -> Result:
    most = max((len(variant.files) for variant in facts.found.variants), default=0)
    if most < 2 and not facts.problems(name):
        return Result(name, Outcome.SKIPPED, "the weights are in one file")
    return by_problems(facts, name, f"all {most:,} parts are there")


CHECK = Check(
    name="shards_complete",
    label="Shards",
    description="All parts of weights in several files are there.",
    place=50,
    judge=judge,
    needs_reader=True,
)
