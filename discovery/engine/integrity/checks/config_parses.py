"""The configuration files are valid."""

from __future__ import annotations

from discovery.engine.core.vocabulary import Outcome
from discovery.engine.integrity.check import Check, Facts, Result, by_problems


def judge(facts: Facts, name: str) -> Result:
    if not any(entry.endswith(".json") for entry in facts.names):
        return Result(name, Outcome.SKIPPED, "there is no configuration file")
    return by_problems(facts, name, "the configuration files are valid")


CHECK = Check(
    name="config_parses",
    label="Configuration is valid",
    description="The configuration files are valid.",
    place=30,
    judge=judge,
)
