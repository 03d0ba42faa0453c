"""Checks for the file that tells a program how to build a model of this type."""

from __future__ import annotations

from discovery.engine.core.vocabulary import ModelType, Outcome
from discovery.engine.integrity.check import Check, Facts, Result

#: Which file tells a program how to build a model of this type.
_CONFIGS = {
    ModelType.TRANSFORMERS: ("config.json",),
    ModelType.SENTENCE_TRANSFORMERS: ("config.json", "modules.json"),
    ModelType.MLX: ("config.json",),
    ModelType.DIFFUSERS: ("model_index.json", "config.json"),
    ModelType.PEFT: ("adapter_config.json",),
}  # fmt: skip


def judge(facts: Facts, name: str) -> Result:
    wanted = _CONFIGS.get(facts.type)
    if wanted is None:
        return Result(
            name,
            Outcome.SKIPPED,
            "models of this kind carry their configuration in the weight file",
        )
    present = next((each for each in wanted if each in facts.names), None)
    if present:
        return Result(name, Outcome.PASSED, f"{present} is there")
    if facts.type in (ModelType.DIFFUSERS, ModelType.PEFT) and facts.found.variants:
        return Result(
            name,
            Outcome.WARNING,
            f"there is no {wanted[0]}: programs that load a single file can do without",
        )
    return Result(
        name,
        Outcome.FAILED,
        f"{wanted[0]} is missing: download it into the model's folder",
        facts.found.path,
    )


CHECK = Check(
    name="config_present",
    label="Configuration",
    description="The file is there that tells a program how to build a model of this type.",
    place=20,
    judge=judge,
)
