"""The model refers to no file outside its folder."""

from __future__ import annotations

from discovery.engine.core.vocabulary import Outcome
from discovery.engine.integrity.check import Check, Facts, Result, by_problems


def judge(facts: Facts, name: str) -> Result:
    if "onnx" not in facts.formats and not facts.problems(name):
        return Result(name, Outcome.SKIPPED, "it refers to no other files")
    return by_problems(facts, name, "it refers to no file outside its folder")


CHECK = Check(
    name="external_data_inside",
    label="External data",
    description="The model refers to no file outside its folder.",
    place=140,
    judge=judge,
    needs_reader=True,
    needs_content=True,
)
