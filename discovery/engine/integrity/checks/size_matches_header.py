"""The weight files are as long as their headers say."""

from __future__ import annotations

from discovery.engine.core.vocabulary import Outcome
from discovery.engine.integrity.check import Check, Facts, Result, by_problems


def judge(facts: Facts, name: str) -> Result:
    if facts.problems(name):
        return by_problems(facts, name, "")
    if not facts.has_format(lambda each: each.knows_its_size):
        return Result(name, Outcome.SKIPPED, "the format does not say how long a file should be")
    if facts.is_unread:
        return Result(name, Outcome.SKIPPED, "the header could not be read")
    return Result(name, Outcome.PASSED, "File sizes match their headers.")


CHECK = Check(
    name="size_matches_header",
    label="File size",
    description="The weight files are as long as their headers say.",
    place=70,
    judge=judge,
    needs_reader=True,
    needs_content=True,
)
