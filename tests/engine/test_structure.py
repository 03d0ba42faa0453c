"""What a model is by its structure, in situations as people's shelves have them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from discovery.engine.classify.categorize import Categorizer
from discovery.engine.classify.describe import categorized
from discovery.engine.classify.rules import CategorizationFile
from discovery.engine.core.types import Found
from tests.engine import (
    situations_of_programs,
    situations_of_senses,
    situations_of_sidecars,
    situations_of_tensors,
)
from tests.engine.situations_of_tensors import ABSENT, Situation

Read = Callable[..., dict[str, Found]]

RULES = Path(__file__).parents[2] / "config" / "model_categorization.json"
SITUATIONS = [
    *situations_of_tensors.SITUATIONS,
    *situations_of_sidecars.SITUATIONS,
    *situations_of_programs.SITUATIONS,
    *situations_of_senses.SITUATIONS,
]


@pytest.fixture(scope="session")
def rules() -> Categorizer:
    shipped = CategorizationFile.model_validate(json.loads(RULES.read_text()))
    return Categorizer(shipped.categorization_rules)


def said(found: Found) -> dict[str, Any]:
    values = {name: value.value for name, value in found.values.items()}
    return {**values, "status": found.status.value, "variants": len(found.variants)}


@pytest.mark.parametrize("situation", SITUATIONS, ids=[each[0].__name__ for each in SITUATIONS])
def test_a_model_is_what_its_structure_says(
    situation: Situation, models_root: Path, read: Read, rules: Categorizer
) -> None:
    build, wanted = situation
    build(models_root)
    (found,) = read(models_root).values()
    got = said(categorized(found, rules))
    assert got["status"] == "READY"
    for field, value in wanted.items():
        allowed = value if isinstance(value, tuple) else (value,)
        assert got.get(field, ABSENT) in allowed, field
