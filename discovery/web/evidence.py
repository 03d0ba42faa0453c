"""Describe rules in plain words, and why a model has its categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from discovery.engine.classify.describe import RULES_SOURCE
from discovery.engine.classify.rules import Rule
from discovery.engine.core.text import listed, word
from discovery.engine.core.vocabulary import AXES
from discovery.models import RegisteredModel
from discovery.services.access.redaction import Sight
from discovery.web.shared.evidence_words import PLACES, evidence, flow, signal

#: Items of a list that are named before the rest is counted.
NAMED = 6


def rule_words(rule: Rule, limit: int = NAMED) -> str:
    """Describe what a rule matches.

    For example ``takes or gives text; or the words nlp, language model or text in names, tags and
    cards``.
    """

    def some(items: Sequence[str]) -> str:
        return listed(items, "or", limit)

    parts = [_flow_words(rule)] if rule.modalities or rule.outputs else []
    told = (
        (rule.architectures, "the class name ", "the class names "),
        (rule.model_types, "the model type ", "the model types "),
        (rule.pipeline_tags, "the task ", "the tasks "),
        (rule.tags, "the tag ", "the tags "),
        (rule.file_patterns, "a file named ", "a file named "),
    )
    parts += [
        f"{many if len(items) > 1 else one}{some(items)}" for items, one, many in told if items
    ]
    if rule.signals:
        parts.append(some([signal(name) for name in rule.signals]))
    if rule.keywords:
        parts.append(
            f"the {'words' if len(rule.keywords) > 1 else 'word'} {some(rule.keywords)}"
            f" {_where(rule)}"
        )
    return "; or ".join(parts)


def _where(rule: Rule) -> str:
    left_out = [words for place, words in PLACES.items() if place not in rule.places]
    if not rule.places or not left_out:
        return "in names, tags and cards"
    if len(left_out) < len(rule.places):
        return f"anywhere but {listed(left_out, 'or')}"
    return f"in {listed([PLACES[place] for place in rule.places])}"


def _flow_words(rule: Rule) -> str:
    takes, gives = (
        [name.lower() for name in rule.modalities],
        [name.lower() for name in rule.outputs],
    )
    words = (
        [f"takes {listed(takes)}" if len(takes) > 1 else f"takes or gives {takes[0]}"]
        if takes
        else []
    )
    return ", ".join([*words, *([f"gives {listed(gives)}"] if gives else [])])


@dataclass(frozen=True, slots=True)
class Line:
    """One reason for a category.

    ``text`` describes it, ``where`` names the file, ``weight`` is how much it counts (empty where
    nothing is added up).
    """

    text: str
    where: str = ""
    weight: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    axis: str
    value: str | None
    shown: str
    lines: tuple[Line, ...]

    @property
    def title(self) -> str:
        return {"primary": "category", "secondary": "use", "specialization": "domain"}.get(
            self.axis, self.axis
        )


def verdicts(record: RegisteredModel, sight: Sight) -> list[Verdict]:
    """Category, use, domain and modalities of a model, each with its reasons."""
    told = [
        Verdict(axis, value := record.value(axis), word(value), _lines(record, axis, sight))
        for axis in AXES
    ]
    shown = modalities(record)
    return [*told, Verdict("modalities", shown or None, shown, _lines(record, "modalities", sight))]


def modalities(record: RegisteredModel) -> str:
    """Return the modalities as ``text, image → text``; empty when unknown.

    It is the plain list where a person or a sidecar gave no more.
    """
    inputs, outputs = (
        record.value("input_modalities") or [],
        record.value("output_modalities") or [],
    )
    if "modalities" in record.curated and "input_modalities" not in record.curated:
        inputs = outputs = []
    return flow(inputs, outputs) or ", ".join(record.value("modalities") or []).lower()


def _lines(record: RegisteredModel, axis: str, sight: Sight) -> tuple[Line, ...]:
    if axis in record.curated:
        return _decided(record, axis, sight)
    entry = record.extracted.get(axis)
    items: Sequence[Mapping[str, Any]] = record.evidence.get(axis, ())
    if axis == "modalities":
        return tuple(Line(item["matched"], item["where"]) for item in items) or (
            (Line("stated", entry["source"]),) if entry else (_NOTHING,)
        )
    if entry and entry["source"] != RULES_SOURCE:
        return (Line("stated", entry["source"]),)
    if entry is None:
        return (Line("No rule found enough to say"),)
    return _summed(items) or (Line("no domain rule matched"),)


_NOTHING = Line("Nothing in the files says what goes in or out")


def _decided(record: RegisteredModel, axis: str, sight: Sight) -> tuple[Line, ...]:
    decided, read = record.curated[axis], record.extracted.get(axis)
    name = sight.person(decided["by"])
    lines = [Line(f"decided by {name}" if name else "decided by a person")]
    if read and read["value"] != decided["value"] and isinstance(read["value"], str):
        says = "the rules say" if read["source"] == RULES_SOURCE else f"{read['source']} says"
        lines.append(Line(f"{says} {word(read['value'])}"))
    return tuple(lines)


def _summed(items: Sequence[Mapping[str, Any]]) -> tuple[Line, ...]:
    """Combine rules that match the same thing into one reason with the sum of their weights."""
    weights: dict[tuple[str, str], float] = {}
    for item in items:
        where = item["where"] if item["rule"] == "signals" else ""
        told = (evidence(item["rule"], item["matched"], item["where"]), where)
        weights[told] = weights.get(told, 0.0) + item["weight"]
    return tuple(
        Line(text, where, f"{round(weight, 2):g}") for (text, where), weight in weights.items()
    )
