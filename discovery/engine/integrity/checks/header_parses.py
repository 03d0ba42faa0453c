"""The headers of the weight files are valid."""

from __future__ import annotations

from discovery.engine.core.vocabulary import Outcome
from discovery.engine.integrity.check import Check, Facts, Result, by_problems


def judge(facts: Facts, name: str) -> Result:
    if not facts.found.variants:
        return Result(name, Outcome.SKIPPED, "there is no weight file to read")
    return by_problems(facts, name, f"the headers are valid ({', '.join(sorted(facts.formats))})")


CHECK = Check(
    name="header_parses",
    label="Headers are valid",
    description="The headers of the weight files are valid.",
    place=60,
    judge=judge,
    needs_content=True,
)
