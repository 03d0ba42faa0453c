"""Describe a change: the field, its values before and after, and added and removed list entries."""

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
class ValueView:
    """A value as text.

    ``whole`` is the full text where ``text`` is cut, ``faint`` marks a missing value.
    """

    text: str
    whole: str = ""
    faint: bool = False


@dataclass(frozen=True, slots=True)
class ChangeView:
    """A change in words.

    Lists tell what came and went, objects do so key by key in ``parts``, everything else by before
    and after.
    """

    label: str
    before: ValueView | None = None
    after: ValueView | None = None
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    more: int = 0
    parts: list[tuple[str, ValueView, ValueView]] = field(default_factory=list)


def label(name: str) -> str:
    return FIELD_LABELS.get(name) or name.replace("_", " ").capitalize()


def change_view(name: str, before: Any, after: Any, *, nothing: str = "automatic") -> ChangeView:
    """``nothing`` is what the absence of a value means."""
    if name == "finding" and isinstance(after, Mapping):
        return ChangeView(label(name), after=_finding(after))
    if nothing == "nothing" and isinstance(before or after, list):
        before, after = before or [], after or []
    if isinstance(before, list) and isinstance(after, list):
        return _list(name, before, after)
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
        parts = [
            (
                key,
                value_view(name, before.get(key), "nothing"),
                value_view(name, after.get(key), "nothing"),
            )
            for key in keys
        ]
        return ChangeView(
            label(name), parts=parts[:MAX_ENTRIES], more=max(len(parts) - MAX_ENTRIES, 0)
        )
    return ChangeView(
        label(name), value_view(name, before, nothing), value_view(name, after, nothing)
    )


def value_view(name: str, value: Any, nothing: str = "automatic") -> ValueView:
    if value is None:
        return ValueView(nothing, faint=True)
    text = _text(name, value)
    if not text:
        return ValueView("none" if isinstance(value, list) else "empty", faint=True)
    return (
        ValueView(f"{text[: MAX_SHOWN - 1].rstrip(' .,;:')}…", text[:4_000])
        if len(text) > MAX_SHOWN
        else ValueView(text)
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


def _list(name: str, before: Sequence[Any], after: Sequence[Any]) -> ChangeView:
    came, went = (
        [_text(name, [item]) for item in some if item not in other]
        for some, other in ((after, before), (before, after))
    )
    if not came and not went:  # only the order is another one
        return ChangeView(
            label(name), value_view(name, list(before)), value_view(name, list(after))
        )
    more = max(len(came) - MAX_ENTRIES, 0) + max(len(went) - MAX_ENTRIES, 0)
    return ChangeView(label(name), added=came[:MAX_ENTRIES], removed=went[:MAX_ENTRIES], more=more)


def _finding(decision: Mapping[str, Any]) -> ValueView:
    reason = f" ({decision['reason']})" if decision.get("reason") else ""
    return value_view("", f"{decision.get('decision', '')}: {decision.get('message', '')}{reason}")


def describe_operation(operation: Mapping[str, Any]) -> list[str]:
    """What a bulk edit was asked to do, a field each: ``Tags: add a and b``."""
    if operation["kind"] in ("validate", "undo"):
        return []
    texts: dict[str, list[str]] = {}
    for name, value in operation["values"].items():
        texts.setdefault(name, []).append(
            "back to automatic" if value is None else value_view(name, value).text
        )
    for verb in ("add", "remove"):
        for name, items in operation[verb].items():
            texts.setdefault(name, []).append(
                f"{verb} {listed([str(item)[:80] for item in items[:MAX_ENTRIES]])}"
            )
    return [f"{label(name)}: {', '.join(parts)}" for name, parts in texts.items()]
