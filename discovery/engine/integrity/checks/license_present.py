"""Something says under which license the model may be used."""

from __future__ import annotations

from discovery.engine.core.vocabulary import Outcome
from discovery.engine.integrity.check import Check, Facts, Result


def judge(facts: Facts, name: str) -> Result:
    if told := facts.value("license"):
        return Result(name, Outcome.PASSED, f"the license is {told}")
    return Result(
        name,
        Outcome.WARNING,
        "nothing says under which license it may be used: set the license, or add it to README.md"
        " or metadata.json",
    )


CHECK = Check(
    name="license_present",
    label="License is known",
    description="Something says under which license the model may be used.",
    place=150,
    judge=judge,
    of_remote_models=True,
)
