"""The model's name follows the convention."""

from __future__ import annotations

from discovery.engine.core.completeness import model_name, naming
from discovery.engine.core.vocabulary import Outcome
from discovery.engine.integrity.check import Check, Facts, Result


def judge(facts: Facts, name: str) -> Result:
    own = model_name(facts.found.path) if facts.found.path != "." else facts.found.name
    if own is None:
        return Result(name, Outcome.SKIPPED, "its name is given by the store that it lies in")
    advice = naming(own, facts.value("parameter_count"))
    if advice is None:
        return Result(name, Outcome.PASSED, f"{own} follows the convention")
    better = f": {advice.better} would" if advice.better else ""
    return Result(name, Outcome.WARNING, f"{advice.reason}{better or ': add it'}", facts.found.path)


CHECK = Check(
    name="naming_convention",
    label="Name follows the convention",
    description="The model's name follows the convention.",
    place=160,
    judge=judge,
)
