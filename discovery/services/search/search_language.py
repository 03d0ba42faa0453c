"""The search syntax: ``params:>7b context:>=32k license:apache-2.0 -tag:old "exact words"``.

The input becomes terms that must all match. Input that cannot be parsed becomes a fault with the
reason: nothing is dropped silently.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from discovery.engine.core.text import MAX_INTEGER, nearest
from discovery.services.search.filters import FILTERS, NONE, NUMBERS

MAX_TERMS = 20

#: What may stand before a colon → the field it means.
NAMES = {typed: each.name for each in FILTERS.values() for typed in (each.name, *each.shorthands)}

_TERM = re.compile(
    r'(?P<not>-?)(?:(?P<name>[A-Za-z]+):)?(?:"(?P<quoted>[^"]*)(?P<end>"?)|(?P<plain>\S*))'
)
_COMPARED = re.compile(r"(>=|<=|>|<|=|)(.*)", re.DOTALL)
_NUMBER = re.compile(r"(\d{1,15})(?:\.(\d{1,6}))?([a-z]*)")
_SQUEEZED = re.compile(r"[^a-z0-9]")


@dataclass(frozen=True, slots=True)
class Phrase:
    """These words are somewhere in the text, next to each other; case is ignored."""

    text: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Named:
    """A field has this value, ignoring case; ``*`` at either end matches anything.

    ``NONE``: it has no value.
    """

    field: str
    value: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Range:
    """A range of numbers, both ends included."""

    field: str
    at_least: int | None = None
    at_most: int | None = None
    negated: bool = False


Term = Phrase | Named | Range


@dataclass(frozen=True, slots=True)
class SearchError:
    """What was typed, and why it says nothing."""

    term: str
    reason: str


@lru_cache(maxsize=500)
def parse(text: str) -> tuple[tuple[Term, ...], tuple[SearchError, ...]]:
    """Return the terms of a search, and the parts that could not be parsed."""
    terms: list[Term] = []
    faults: list[SearchError] = []
    for found in _TERM.finditer(text):
        typed = found[0].strip()
        if not typed:
            continue
        try:
            term = _term(found)
        except ValueError as error:
            faults.append(SearchError(typed, str(error)))
            continue
        if term not in terms:
            terms.append(term)
    if len(terms) > MAX_TERMS:
        faults.append(
            SearchError(text[-40:], f"this is more than {MAX_TERMS} terms: leave some out")
        )
    return tuple(terms), tuple(faults)


def _term(found: re.Match[str]) -> Term:
    """Parse one term; raises ``ValueError`` with what is wrong."""
    negated, name, quoted = bool(found["not"]), (found["name"] or "").lower(), found["quoted"]
    if quoted is not None and not found["end"]:
        raise ValueError("the quotation mark is never closed")
    value = (quoted if quoted is not None else found["plain"]).strip()
    if not name:
        if not value:
            raise ValueError(
                "there is nothing after the minus"
                if negated
                else "there is nothing between the quotation marks"
            )
        return Phrase(value.casefold(), negated)
    if name in NUMBERS:
        if not value:
            raise ValueError(f"it needs a number: {NUMBERS[name].example}")
        return numbers(name, value, negated)
    if name not in NAMES:
        meant = nearest(name, NAMES)
        hint = f"Did you mean “{meant}”? " if meant else ""
        raise ValueError(
            f"there is no field “{name}”. {hint}To search for the words themselves, put them in"
            f' quotation marks: "{found[0].lstrip("-")}"'
        )
    if not value:
        raise ValueError(f"it needs a value: {name}:…, or {name}:{NONE} for what has none")
    return Named(NAMES[name], _known(NAMES[name], value), negated)


def _known(field: str, value: str) -> str:
    """The word of the vocabulary that was meant.

    Raises ``ValueError`` for none of them; other fields take any text.
    """
    if value.casefold() == NONE:
        return NONE
    values = FILTERS[field].values
    if not values:
        return value
    meant = next(
        (
            word
            for word in values
            if _SQUEEZED.sub("", word.lower()) == _SQUEEZED.sub("", value.lower())
        ),
        None,
    )
    if meant is None:
        raise ValueError(
            f"“{value}” is not one of {', '.join(word.lower() for word in values)}, {NONE}"
        )
    return str(meant)


def numbers(name: str, value: str, negated: bool = False) -> Range:
    """``>7b``, ``7b..13b``, ``7b`` (about seven billion). Raises ``ValueError``."""
    if ".." in value:
        low, high = value.split("..", 1)
        return Range(
            name,
            _bounds(name, low)[0] if low else None,
            _bounds(name, high)[1] if high else None,
            negated,
        )
    compared = _COMPARED.fullmatch(value)
    if compared is None or not compared[2].strip():
        raise ValueError(f"it needs a number: {NUMBERS[name].example}")
    least, most = _bounds(name, compared[2], about=compared[1] in ("", "="))
    if compared[1] == ">":
        return Range(name, at_least=most + 1, negated=negated)
    if compared[1] == "<":
        return Range(name, at_most=least - 1, negated=negated)
    if compared[1]:
        return Range(
            name,
            least if compared[1] != "<=" else None,
            most if compared[1] != ">=" else None,
            negated,
        )
    return Range(name, least, most, negated)


def _bounds(name: str, text: str, *, about: bool = False) -> tuple[int, int]:
    """The smallest and the largest number that is meant: ``32k`` is 32,000 to 32,768.

    ``about`` adds what rounding took away.
    """
    units = NUMBERS[name].units
    found = _NUMBER.fullmatch(text.strip().lower())
    if found is None or (found[3] and found[3] not in units):
        raise ValueError(
            f"“{text.strip()}” is not a number with one of the units {', '.join(units)}:"
            f" {NUMBERS[name].example}"
        )
    whole, decimals, unit = int(found[1]), found[2] or "", found[3]
    if not unit and (decimals or whole < 1_000):
        raise ValueError(
            f"“{text.strip()}” needs a unit, one of {', '.join(units)}: {NUMBERS[name].example}"
        )
    digits, parts = int(f"{whole}{decimals}"), 10 ** len(decimals)
    low, high = units.get(unit, (1, 1))
    half = 1 if about and unit and low > 1 else 0
    least, most = (
        (2 * digits - half) * low // (2 * parts),
        (2 * digits + half) * high // (2 * parts),
    )
    return min(max(least, 0), MAX_INTEGER - 1), min(
        most - (1 if half and most > least else 0), MAX_INTEGER - 1
    )
