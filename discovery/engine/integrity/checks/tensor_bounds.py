"""Every tensor is inside its file."""

from __future__ import annotations

from discovery.engine.core.vocabulary import Outcome
from discovery.engine.integrity.check import Check, Facts, Result, by_problems


def judge(facts: Facts, name: str) -> Result:
    if facts.problems(name):
        return by_problems(facts, name, "")
    if facts.is_unread:
        return Result(name, Outcome.SKIPPED, "there is no header to follow")
    cut = facts.problems("size_matches_header")
    if cut:
        return Result(
            name,
            Outcome.FAILED,
            f"tensors lie beyond the end of the file: {cut[0].message}",
            cut[0].path,
        )
    if not facts.has_format(lambda each: each.knows_its_size):
        return Result(name, Outcome.SKIPPED, "the format keeps no places of tensors")
    return Result(name, Outcome.PASSED, "every tensor lies inside its file")


CHECK = Check(
    name="tensor_bounds",
    label="Tensor bounds",
    description="Every tensor lies inside its file.",
    place=80,
    judge=judge,
    needs_reader=True,
    needs_content=True,
)
