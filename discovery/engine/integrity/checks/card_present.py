"""A model card says what the model is for."""

from __future__ import annotations

from discovery.engine.core.vocabulary import Outcome
from discovery.engine.integrity.check import Check, Facts, Result, by_problems
from discovery.engine.sidecars import card


def judge(facts: Facts, name: str) -> Result:
    if any(card.is_card(entry) for entry in facts.names):
        return by_problems(facts, name, "README.md found.")
    return Result(
        name,
        Outcome.WARNING,
        "No README.md.",
        facts.found.path,
    )


CHECK = Check(
    name="card_present",
    label="Model card",
    description="A model card says what the model is for.",
    place=170,
    judge=judge,
)
