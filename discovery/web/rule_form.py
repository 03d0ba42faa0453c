"""The rules of one category as a form.

Fieldsets are created from the JSON of the rules file, and JSON from the submitted form.

It works on the parsed document, not on rules, so that everything else in the file stays unchanged.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict

from discovery.engine.classify.signals import PLACES
from discovery.engine.core.vocabulary import MODALITIES, SECTIONS

#: More rules than this in one category are edited as JSON: Django reads at most 1,000 fields of a
#: form, and nobody reads as many.
MAX_FIELDSETS = 32

#: Lists that are written as text → label and help.
TEXTS = {
    "keywords": ("Words", "Whole words or phrases of names, tags and cards"),
    "tags": ("Tags", "Whole tags"),
    "architectures": ("Class names", "As in config.json; * stands for anything"),
    "model_types": ("Model types", "As in config.json; * stands for anything"),
    "pipeline_tags": ("Tasks", "pipeline_tag of the card, such as text-to-image"),
    "file_patterns": ("File names", "* stands for anything"),
    "signals": ("Facts of structure", "Such as chat_template, pooling, lora, diffusers"),
}
#: Lists that are ticked → label, help, choices.
CHOICES: dict[str, tuple[str, str, Sequence[str]]] = {
    "modalities": ("Takes", "One: it goes in or comes out. Several: all of them go in", MODALITIES),
    "outputs": ("Gives", "All of these come out", MODALITIES),
    "places": ("Where the words stand", "None ticked: anywhere", tuple(PLACES)),
}
NAMES = (*TEXTS, *CHOICES, "weight")


@dataclass(slots=True)
class Field:
    """One condition of a rule.

    ``text`` is as typed, or ``ticked`` is set; ``errors`` are shown next to it.
    """

    name: str
    id: str
    label: str
    help: str
    text: str = ""
    choices: Sequence[str] = ()
    ticked: tuple[str, ...] = ()
    errors: list[str] = field(default_factory=list)

    @property
    def used(self) -> bool:
        return bool(self.text.strip() or self.ticked or self.errors)

    @property
    def rows(self) -> int:
        return min(
            max(1 + len(self.text) // (100 if self.long else 48), 1 + self.text.count("\n"), 2), 8
        )

    @property
    def long(self) -> bool:
        return len(self.text) > 90


@dataclass(slots=True)
class Fieldset:
    """One rule. ``new`` ones that stay empty are left out."""

    number: int
    new: bool = False
    removed: bool = False
    texts: list[Field] = field(default_factory=list)
    ticks: list[Field] = field(default_factory=list)
    weight: Field = field(default_factory=lambda: Field("weight", "", "", ""))
    errors: list[str] = field(default_factory=list)

    @property
    def prefix(self) -> str:
        return f"r{self.number}"

    @property
    def fields(self) -> list[Field]:
        return [*self.texts, *self.ticks, self.weight]

    @property
    def shown(self) -> list[Field]:
        """Conditions that the rule has; a new rule begins with words."""
        words = self.new or any(
            each.text.strip() or each.errors for each in self.texts if each.name == "keywords"
        )
        return [
            each
            for each in (*self.texts, *self.ticks)
            if each.used or (words and each.name in ("keywords", "places"))
        ]

    @property
    def folded(self) -> list[Field]:
        return [each for each in (*self.texts, *self.ticks) if each not in self.shown]

    @property
    def faulty(self) -> bool:
        return bool(self.errors) or any(each.errors for each in self.fields)


def blank(number: int, *, new: bool = False) -> Fieldset:
    made = Fieldset(number, new)
    made.texts = [
        Field(name, f"r{number}-{name}", label, hint) for name, (label, hint) in TEXTS.items()
    ]
    made.ticks = [
        Field(name, f"r{number}-{name}", label, hint, choices=choices)
        for name, (label, hint, choices) in CHOICES.items()
    ]
    made.weight = Field(
        "weight", f"r{number}-weight", "Weight", "Multiplies all that matches; 1 when left empty"
    )
    return made


def stored(document: Mapping[str, Any], axis: str, category: str) -> list[dict[str, Any]]:
    """Return the rules of a category as they are in the file.

    A single rule without brackets counts as a list of one.
    """
    found = document.get("categorization_rules", {}).get(SECTIONS[axis], {}).get(category, [])
    return list(found) if isinstance(found, list) else [found]


def of_rules(rules: Iterable[Mapping[str, Any]]) -> list[Fieldset]:
    return [_of_rule(number, rule) for number, rule in enumerate(rules)]


def _of_rule(number: int, rule: Mapping[str, Any]) -> Fieldset:
    made = blank(number)
    for each in made.texts:
        each.text = _join(rule.get(each.name, ()))
    for each in made.ticks:
        each.ticked = tuple(rule.get(each.name, ()))
    made.weight.text = f"{rule['weight']}" if "weight" in rule else ""
    return made


def sent(data: QueryDict) -> list[Fieldset]:
    """Read a submitted form; numbers that our forms do not have are left out."""
    numbers = [
        int(text)
        for text in data.getlist("rule")[:MAX_FIELDSETS]
        if re.fullmatch(r"[0-9]{1,4}", text)
    ]
    return [_sent(number, data) for number in dict.fromkeys(numbers)]


def _sent(number: int, data: QueryDict) -> Fieldset:
    made = blank(number, new=f"r{number}-new" in data)
    made.removed = f"r{number}-remove" in data
    for each in [*made.texts, made.weight]:
        each.text = data.get(each.id, "").replace("\r\n", "\n")
    for each in made.ticks:
        each.ticked = tuple(data.getlist(each.id))
    return made


def as_rules(
    fieldsets: Iterable[Fieldset], before: Sequence[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], list[Fieldset]]:
    """Return (rules, the fieldset of each), without removed and new empty ones.

    Keys keep the order that they had in the file.
    """
    rules, placed = [], []
    for each in fieldsets:
        rule = _as_rule(each)
        if each.removed or (each.new and not rule):
            continue
        order = before[each.number] if each.number < len(before) else {}
        rules.append({**{name: rule[name] for name in order if name in rule}, **rule})
        placed.append(each)
    return rules, placed


def _as_rule(fieldset: Fieldset) -> dict[str, Any]:
    rule: dict[str, Any] = {
        each.name: items for each in fieldset.texts if (items := _split(each.text))
    }
    rule |= {each.name: list(each.ticked) for each in fieldset.ticks if each.ticked}
    if weight := fieldset.weight.text.strip():
        rule["weight"] = _number(weight)
    return rule


def replaced(
    document: Mapping[str, Any], axis: str, category: str, rules: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return the document with other rules for one category, and everything else unchanged."""
    section, inner = SECTIONS[axis], dict(document.get("categorization_rules", {}))
    categories = dict(inner.get(section, {}))
    single = not isinstance(categories.get(category, []), list) and len(rules) == 1
    categories[category] = rules[0] if single else rules
    return {**document, "categorization_rules": {**inner, section: categories}}


def place_faults(
    reasons: Iterable[str], axis: str, category: str, placed: Sequence[Fieldset]
) -> list[str]:
    """Assign each error to the field whose path it begins with; return the others."""
    path = re.compile(
        rf"categorization_rules\.{SECTIONS[axis]}\.{category}\.(\d+)(?:\.(\w+))?(?:\.(\d+))?[\w.]*:"
        r" (.*)",
        re.DOTALL,
    )
    others = []
    for reason in reasons:
        match = path.fullmatch(reason)
        if match is None or int(match[1]) >= len(placed):
            others.append(reason)
            continue
        fieldset = placed[int(match[1])]
        owner = next((each for each in fieldset.fields if each.name == match[2]), None)
        (owner.errors if owner else fieldset.errors).append(_said(match[4], owner, match[3]))
    return others


def _said(message: str, owner: Field | None, index: str | None) -> str:
    """Return the item of the list that an error is about, as a prefix of the message."""
    if owner is not None and index is not None:
        items = _split(owner.text)
        item = items[int(index)] if int(index) < len(items) else ""
        message = (
            f"“{item[:60]}”: {message}"
            if item
            else f"entry {int(index) + 1} is empty: remove it or one of the commas around it"
        )
    return f"{message[:1].upper()}{message[1:]}."


def _join(items: Iterable[Any]) -> str:
    """``a, b, "c, with a comma"``."""
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow([f"{item}" for item in items])
    return re.sub(r',(?=(?:[^"]*"[^"]*")*[^"]*$)', ", ", out.getvalue())


def _split(text: str) -> list[str]:
    """Items between commas and line ends.

    An empty one between two commas stays, so that it can be refused.
    """
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), skipinitialspace=True))
    except csv.Error:  # a field past the module's limit: refused later for its length
        return [text]
    items: list[str] = []
    for row in rows:
        found = [item.strip() for item in row]
        while found and not found[-1]:
            found.pop()
        items += found
    return items


def _number(text: str) -> int | float | str:
    """Return the number, or the text unchanged for the rules to refuse."""
    try:
        return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else float(text.replace(",", "."))
    except ValueError:
        return text
