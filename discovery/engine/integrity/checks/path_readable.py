"""Every file of the model can be read."""

from __future__ import annotations

from discovery.engine.core.text import plural
from discovery.engine.integrity.check import Check, Facts, Result, by_problems


def judge(facts: Facts, name: str) -> Result:
    return by_problems(facts, name, f"{plural(len(facts.found.files), 'file')}, all readable")


CHECK = Check(
    name="path_readable",
    label="Files can be read",
    description="Every file of the model can be read.",
    place=10,
    judge=judge,
)
