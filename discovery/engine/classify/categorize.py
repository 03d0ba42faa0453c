"""Rules and signals → categories, each with its evidence.

Every rule that matches yields evidence (rule, what it matched, where, weight); the highest sum
wins, ties go to the earlier category of the file; without evidence there is no verdict (``None``;
``GENERAL`` for specialization).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from functools import lru_cache
from typing import Any

from discovery.engine.classify.rules import CategorizationRules, Rule
from discovery.engine.classify.signals import PLACES, Signals
from discovery.engine.core.types import Evidence
from discovery.engine.core.vocabulary import AXES

#: What a match counts before the rule's own weight. Structure outranks words by far.
STRUCTURE = {
    "architectures": 10.0,
    "model_types": 10.0,
    "pipeline_tags": 8.0,
    "modalities": 10.0,
    "outputs": 10.0,
    "signals": 5.0,
    "tags": 3.0,
    "file_patterns": 1.0,
}

#: Less than this is an echo of a word, not a verdict.
THRESHOLD = 1.0
#: Words of a card's prose add up to this much at most, however many there are.
MAX_CARD = 2.0


#: Names whose globs are remembered.
MAX_KNOWN = 20_000

_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Verdict:
    value: str | None
    evidence: tuple[Evidence, ...] = ()


@dataclass(slots=True)
class _Scores:
    totals: dict[int, float] = field(default_factory=dict)
    evidence: dict[int, list[Evidence]] = field(default_factory=dict)
    card: dict[int, float] = field(default_factory=dict)

    def add(self, category: int, rule: str, matched: str, where: str, weight: float) -> None:
        if where == "card":
            room = MAX_CARD - self.card.get(category, 0.0)
            if room <= 0:
                return
            weight = min(weight, room)
            self.card[category] = self.card.get(category, 0.0) + weight
        self.totals[category] = self.totals.get(category, 0.0) + weight
        self.evidence.setdefault(category, []).append(
            Evidence(rule, matched, where, round(weight, 2))
        )


class Categorizer:
    """The compiled rules: words and tags are looked up in tables.

    200 rules cost little more than 20.
    """

    def __init__(self, rules: CategorizationRules) -> None:
        self.categories: list[tuple[str, str]] = []
        self.words: dict[str, list[tuple[int, Rule, str]]] = {}
        self.phrases: dict[str, list[tuple[str, int, Rule, str]]] = {}  # by their first word
        self.exact: dict[tuple[str, str], list[tuple[int, Rule]]] = {}
        self.globs: dict[str, list[tuple[re.Pattern[str], str, int, Rule]]] = {
            "architectures": [],
            "model_types": [],
            "file_patterns": [],
        }
        self.matching = lru_cache(MAX_KNOWN)(self._matching)
        self.modal: list[tuple[int, Rule]] = []
        for axis in AXES:
            for name, items in rules.section(axis).items():
                self.categories.append((axis, name))
                for rule in items:
                    self._compile(len(self.categories) - 1, rule)

    def _compile(self, category: int, rule: Rule) -> None:
        for keyword in rule.keywords:
            plain = " ".join(re.findall(r"[^\W_]+(?:\.\d+)?", keyword.lower()))
            if " " in plain:
                self.phrases.setdefault(plain.partition(" ")[0], []).append(
                    (plain, category, rule, keyword)
                )
            elif plain:
                self.words.setdefault(plain, []).append((category, rule, keyword))
        for kind in ("pipeline_tags", "tags", "signals"):
            for item in getattr(rule, kind):
                self.exact.setdefault((kind, item.lower()), []).append((category, rule))
        for kind, globs in self.globs.items():
            for pattern in getattr(rule, kind):
                if re.search(r"[*?\[]", pattern):
                    globs.append((re.compile(translate(pattern)), pattern, category, rule))
                else:
                    self.exact.setdefault((kind, pattern), []).append((category, rule))
        if rule.modalities or rule.outputs:
            self.modal.append((category, rule))

    def _matching(self, kind: str, item: str) -> list[tuple[str, int, Rule]]:
        """(glob, category, rule) of the globs that match; asked once a name, since thousands of
        models share their class and file names.
        """
        return [
            (glob, category, rule)
            for pattern, glob, category, rule in self.globs[kind]
            if pattern.match(item)
        ]

    def verdicts(
        self, signals: Signals, inputs: Iterable[str], outputs: Iterable[str]
    ) -> dict[str, Verdict]:
        """One verdict an axis."""
        scores = _Scores()
        self._structure(scores, signals)
        self._modalities(scores, set(inputs), set(outputs))
        self._keywords(scores, signals)
        return {axis: self._verdict(scores, axis) for axis in AXES}

    def _structure(self, scores: _Scores, signals: Signals) -> None:
        listed: dict[str, Sequence[str]] = {
            "architectures": signals.architectures,
            "model_types": signals.model_types,
            "pipeline_tags": signals.pipeline_tags,
            "tags": signals.tags,
            "signals": sorted(signals.features),  # databases keep no order of keys
            "file_patterns": signals.files,
        }
        for kind, items in listed.items():
            for item in items:
                for category, rule in self.exact.get((kind, item), ()):
                    scores.add(
                        category,
                        kind,
                        item,
                        _where(kind, item, signals),
                        STRUCTURE[kind] * rule.weight,
                    )
        for kind in self.globs:
            told: set[tuple[int, str]] = set()  # a glob counts once, for the first name it matches
            for item in listed[kind]:
                for glob, category, rule in self.matching(kind, item):
                    if (id(rule), glob) not in told:
                        told.add((id(rule), glob))
                        scores.add(
                            category,
                            f"{kind} {glob}",
                            item,
                            _where(kind, item, signals),
                            STRUCTURE[kind] * rule.weight,
                        )

    def _modalities(self, scores: _Scores, inputs: set[str], outputs: set[str]) -> None:
        shown = (
            f"{', '.join(sorted(inputs)).lower() or '–'} →"
            f" {', '.join(sorted(outputs)).lower() or 'vectors or labels'}"
        )
        for category, rule in self.modal:
            wanted = set(rule.modalities)
            takes = wanted <= inputs if len(wanted) > 1 else wanted <= inputs | outputs
            if takes and set(rule.outputs) <= outputs and inputs | outputs:
                scores.add(
                    category,
                    "modalities",
                    shown,
                    "what goes in and out",
                    STRUCTURE["modalities"] * rule.weight,
                )

    def _keywords(self, scores: _Scores, signals: Signals) -> None:
        """Each keyword counts once, where it counts most."""
        told: set[tuple[int, str]] = set()
        # In order: a set has another in each process.
        whole_tags = dict.fromkeys(" ".join(_WORD.findall(tag)) for tag in signals.tags)
        tag_words = {tag.partition(" ")[0] for tag in whole_tags}

        def tell(category: int, rule: Rule, keyword: str, place: str) -> None:
            if (category, keyword) in told or (rule.places and place not in rule.places):
                return
            told.add((category, keyword))
            scores.add(category, "keywords", keyword, place, PLACES[place] * rule.weight)

        for place in PLACES:
            for word in whole_tags if place == "tags" else signals.words.get(place, ()):
                for category, rule, keyword in self.words.get(word, ()):
                    tell(category, rule, keyword, place)
            text = signals.phrases.get(place, "")
            for first in sorted(
                self.phrases.keys() & (tag_words if place == "tags" else text.split())
            ):
                for phrase, category, rule, keyword in self.phrases[first]:
                    if phrase in whole_tags if place == "tags" else f" {phrase} " in text:
                        tell(category, rule, keyword, place)

    def _verdict(self, scores: _Scores, axis: str) -> Verdict:
        best, best_total = None, 0.0
        for number, (own_axis, _) in enumerate(self.categories):
            total = scores.totals.get(number, 0.0)
            if own_axis == axis and total >= THRESHOLD and total > best_total:
                best, best_total = number, total
        if best is None:
            return Verdict("GENERAL" if axis == "specialization" else None)
        ordered = sorted(
            scores.evidence[best],
            key=lambda each: (-each.weight, each.rule, each.matched, each.where),
        )
        return Verdict(self.categories[best][1], tuple(ordered[:6]))


def _where(kind: str, item: str, signals: Signals) -> str:
    if kind == "signals":
        return signals.features.get(item, "files")
    return {
        "architectures": "class name",
        "model_types": "model type",
        "pipeline_tags": "pipeline_tag",
        "tags": "tags",
        "file_patterns": "file name",
    }[kind]


def as_json(evidence: Mapping[str, Sequence[Evidence]]) -> dict[str, list[dict[str, Any]]]:
    return {
        axis: [
            {"rule": e.rule, "matched": e.matched, "where": e.where, "weight": e.weight}
            for e in items
        ]
        for axis, items in evidence.items()
    }
