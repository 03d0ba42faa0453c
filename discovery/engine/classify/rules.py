"""The rules that decide categories, as ``model_categorization.json`` contains them.

The format is the guide's (``keywords``, ``file_patterns``, ``modalities``), extended with
``architectures``, ``model_types``, ``pipeline_tags``, ``tags``, ``signals`` and ``weight``; a
category may have one rule or a list of them.
"""

from __future__ import annotations

import re
from fnmatch import translate
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from discovery.engine.classify.signals import PLACES
from discovery.engine.core.vocabulary import CATEGORIES, MODALITIES, SECTIONS

MAX_RULES = 2_000


#: The lists of a rule that can match.
CONDITIONS = (
    "keywords", "file_patterns", "modalities", "outputs", "architectures", "model_types",
    "pipeline_tags", "tags", "signals",
)  # fmt: skip

Word = Annotated[str, Field(min_length=1, max_length=200)]


class Rule(BaseModel):
    """One rule. Every list that matches is evidence; ``weight`` multiplies all of it.

    ``keywords`` are whole words or phrases of names, tags and cards; ``tags`` whole tags;
    ``architectures``, ``model_types`` and ``file_patterns`` globs. One modality means "input or
    output"; several mean "all of these are inputs"; ``outputs`` are the outputs. ``places``
    restricts where keywords count (name, tags, title, folder, base model, description, card),
    because the prose of cards mentions licenses and caveats too. ``signals`` are facts of
    structure: ``chat_template``, ``sentence_transformers``, ``pooling``, ``lora`` …
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    keywords: tuple[Word, ...] = ()
    file_patterns: tuple[Word, ...] = ()
    modalities: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    architectures: tuple[Word, ...] = ()
    model_types: tuple[Word, ...] = ()
    pipeline_tags: tuple[Word, ...] = ()
    tags: tuple[Word, ...] = ()
    signals: tuple[Word, ...] = ()
    weight: Annotated[float, Field(gt=0, le=100)] = 1.0
    places: tuple[str, ...] = ()

    @field_validator("modalities", "outputs")
    @classmethod
    def _known_modalities(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        unknown = next((name for name in names if name not in MODALITIES), None)
        if unknown is not None:
            raise ValueError(f"{unknown!r} is not a modality; choose from {', '.join(MODALITIES)}")
        return names

    @field_validator("places")
    @classmethod
    def _known_places(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        unknown = next((name for name in names if name not in PLACES), None)
        if unknown is not None:
            raise ValueError(f"{unknown!r} is not a place; choose from {', '.join(PLACES)}")
        return names

    @field_validator("keywords", "tags", "pipeline_tags")
    @classmethod
    def _not_blank(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        if any(not re.search(r"\w", text) for text in texts):
            raise ValueError("a keyword without a letter or digit matches nothing; remove it")
        return texts

    @field_validator("file_patterns", "architectures", "model_types")
    @classmethod
    def _globs(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            if pattern.count("[") != pattern.count("]"):
                raise ValueError(f"{pattern!r} is not a valid pattern: a [ is never closed")
            re.compile(translate(pattern))
        return patterns

    @model_validator(mode="after")
    def _says_something(self) -> Rule:
        if not any(getattr(self, name) for name in CONDITIONS):
            raise ValueError(
                "the rule is empty: give it keywords, tags, architectures or another condition"
            )
        return self


Rules = tuple[Rule, ...]


def _as_rules(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


class CategorizationRules(BaseModel):
    """All rules, by axis and category, in the order of the file (which breaks ties)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    primary_category: dict[str, Rules] = {}
    secondary_category: dict[str, Rules] = {}
    specialization: dict[str, Rules] = {}

    @field_validator("primary_category", "secondary_category", "specialization", mode="before")
    @classmethod
    def _lists(cls, section: Any) -> Any:
        return (
            {name: _as_rules(value) for name, value in section.items()}
            if isinstance(section, dict)
            else section
        )

    @model_validator(mode="after")
    def _known_categories(self) -> CategorizationRules:
        total = 0
        for axis, section in SECTIONS.items():
            rules: dict[str, Rules] = getattr(self, section)
            unknown = next((name for name in rules if name not in CATEGORIES[axis]), None)
            if unknown is not None:
                raise ValueError(
                    f"{section}.{unknown}: there is no such category; choose from"
                    f" {', '.join(CATEGORIES[axis])}"
                )
            total += sum(len(items) for items in rules.values())
        if total > MAX_RULES:
            raise ValueError(f"there are {total:,} rules, at most {MAX_RULES:,} are evaluated")
        return self

    def section(self, axis: str) -> dict[str, Rules]:
        found: dict[str, Rules] = getattr(self, SECTIONS[axis])
        return found


class CategorizationFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    categorization_rules: CategorizationRules = CategorizationRules()
