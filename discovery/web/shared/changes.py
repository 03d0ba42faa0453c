"""How a change reads: fields in words, values before and after, entries of lists that came and
went.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from discovery.engine.core.fields import FIELDS
from discovery.engine.core.text import listed
from discovery.models import Visibility
from discovery.web.shared import field_values
from discovery.words import FIELD_LABELS

#: Kind of a bulk edit → what it is called.
KINDS = {
    "metadata": "Metadata", "tags": "Tags", "category": "Category", "visibility": "Visibility",
    "collection": "Collections",
    "validate": "Validation", "undo": "Undo",
}  # fmt: skip

MAX_SHOWN = 160
MAX_ENTRIES = 12


@dataclass(frozen=True, slots=True)
class Said:
    """A value as text; ``whole`` is all of it where ``text`` is cut, ``faint`` marks the absence of
    one.
    """

    text: str
    whole: str = ""
    faint: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """A change in words.

    Lists tell what came and went, objects do so key by key in ``parts``, everything else by before
    and after.
    """

    label: str
    before: Said | None = None
    after: Said | None = None
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    more: int = 0
    parts: list[tuple[str, Said, Said]] = field(default_factory=list)


def label(name: str) -> str:
    return FIELD_LABELS.get(name) or name.replace("_", " ").capitalize()


def told(name: str, before: Any, after: Any, *, nothing: str = "automatic") -> Told:
    """``nothing`` is what the absence of a value means."""
    if name == "finding" and isinstance(after, Mapping):
        return Told(label(name), after=_finding(after))
    if nothing == "nothing" and isinstance(before or after, list):
        before, after = before or [], after or []
    if isinstance(before, list) and isinstance(after, list):
        return _list(name, before, after)
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
        parts = [
            (key, said(name, before.get(key), "nothing"), said(name, after.get(key), "nothing"))
            for key in keys
        ]
        return Told(label(name), parts=parts[:MAX_ENTRIES], more=max(len(parts) - MAX_ENTRIES, 0))
    return Told(label(name), said(name, before, nothing), said(name, after, nothing))


def said(name: str, value: Any, nothing: str = "automatic") -> Said:
    if value is None:
        return Said(nothing, faint=True)
    text = _text(name, value)
    if not text:
        return Said("none" if isinstance(value, list) else "empty", faint=True)
    return (
        Said(f"{text[: MAX_SHOWN - 1].rstrip(' .,;:')}…", text[:4_000])
        if len(text) > MAX_SHOWN
        else Said(text)
    )


def _text(name: str, value: Any) -> str:
    of = FIELDS.get(name)
    if of and of.words and isinstance(value, list):
        return ", ".join(of.said(str(item)) for item in value)
    if isinstance(value, str):
        if of and of.words:
            return of.said(value)
        if name in ("visibility", "quarantine") and value in Visibility.values:
            return str(Visibility(value).label)
    return field_values.plain(value)


def _list(name: str, before: Sequence[Any], after: Sequence[Any]) -> Told:
    came, went = (
        [_text(name, [item]) for item in some if item not in other]
        for some, other in ((after, before), (before, after))
    )
    if not came and not went:  # only the order is another one
        return Told(label(name), said(name, list(before)), said(name, list(after)))
    more = max(len(came) - MAX_ENTRIES, 0) + max(len(went) - MAX_ENTRIES, 0)
    return Told(label(name), added=came[:MAX_ENTRIES], removed=went[:MAX_ENTRIES], more=more)


def _finding(decision: Mapping[str, Any]) -> Said:
    reason = f" ({decision['reason']})" if decision.get("reason") else ""
    return said("", f"{decision.get('decision', '')}: {decision.get('message', '')}{reason}")


def wishes(operation: Mapping[str, Any]) -> list[str]:
    """What a bulk edit was asked to do, a field each: ``Tags: add a and b``."""
    if operation["kind"] in ("validate", "undo"):
        return []
    texts: dict[str, list[str]] = {}
    for name, value in operation["values"].items():
        texts.setdefault(name, []).append(
            "back to automatic" if value is None else said(name, value).text
        )
    for verb in ("add", "remove"):
        for name, items in operation[verb].items():
            texts.setdefault(name, []).append(
                f"{verb} {listed([str(item)[:80] for item in items[:MAX_ENTRIES]])}"
            )
    return [f"{label(name)}: {', '.join(parts)}" for name, parts in texts.items()]
