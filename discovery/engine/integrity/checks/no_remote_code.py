"""Loading the model runs no code that comes with it."""

from __future__ import annotations

from discovery.engine.integrity.check import Check, Facts, Result, by_problems


def judge(facts: Facts, name: str) -> Result:
    return by_problems(facts, name, "loading it runs no code of its own")


CHECK = Check(
    name="no_remote_code",
    label="Custom code",
    description="Loading the model runs no code that comes with it.",
    place=130,
    judge=judge,
    needs_content=True,
)
