"""The weight files are there."""

from __future__ import annotations

from discovery.engine.core.text import human_bytes, plural
from discovery.engine.core.vocabulary import Outcome
from discovery.engine.integrity.check import Check, Facts, Result, by_problems


def judge(facts: Facts, name: str) -> Result:
    if not facts.found.variants and not facts.problems(name):
        return Result(
            name,
            Outcome.FAILED,
            "there are no weight files: download them into the model's folder",
            facts.found.path,
        )
    count = sum(len(variant.files) for variant in facts.found.variants)
    return by_problems(
        facts, name, f"{plural(count, 'weight file')}, {human_bytes(facts.found.size_bytes)}"
    )


CHECK = Check(
    name="weights_present",
    label="Weights",
    description="The weight files are there.",
    place=40,
    judge=judge,
)
