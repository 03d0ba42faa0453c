"""Sets members of a JSON object in its text and leaves the rest unchanged, byte for byte."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Set
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any, NamedTuple

_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()
_DEFAULT_INDENT = "  "


class _Member(NamedTuple):
    """A member of the outermost object: where its name begins, and where its value begins and
    ends.
    """

    name: str
    start: int
    value: int
    end: int


def updated(text: str, changes: Mapping[str, Any]) -> str:
    """``text``, a JSON object, with these members set: existing members in their place, new ones at
    the end, in the style of the rest.

    Raises ``ValueError`` or ``RecursionError`` when ``text`` is not a JSON object.
    """
    members, closing = _members(text)
    style = _Style.of(text, members)
    pieces, at = [], 0
    for member in members:
        if member.name in changes:
            single = "\n" not in text[member.value : member.end]
            pieces += [text[at : member.value], style.value(changes[member.name], single)]
            at = member.end
    known = {member.name for member in members}
    new = {name: value for name, value in changes.items() if name not in known}
    if not new:
        return "".join([*pieces, text[at:]])
    last = members[-1].end if members else text.index("{") + 1
    added = style.join.join(style.member(name, value) for name, value in new.items())
    lead = style.join if members else style.open
    tail = text[last:closing] if members else style.close
    return "".join([*pieces, text[at:last], lead, added, tail, text[closing:]])


def updated_in(text: str, section: str, changes: Mapping[str, Any], removed: Set[str]) -> str:
    """``text`` with members of the object ``section`` set, and others removed; the object is
    created if it does not exist.

    Raises ``ValueError`` or ``RecursionError`` as ``updated``, also for a section that is not an
    object.
    """
    members, _closing = _members(text)
    found = next((member for member in members if member.name == section), None)
    if found is None:
        return updated(text, {section: dict(changes)}) if changes else text
    inner, indent = text[found.value : found.end], _Style.of(text, members).indent
    # Inside a string there is no line break: what follows one is white space of the document.
    shifted = all(not line.strip() or line.startswith(indent) for line in inner.split("\n")[1:])
    step = f"\n{indent}" if indent and shifted else "\n"
    own = updated(without(inner.replace(step, "\n"), removed), changes)
    return text[: found.value] + own.replace("\n", step) + text[found.end :]


def without(text: str, names: Set[str]) -> str:
    """``text``, a JSON object, without these members."""
    members, closing = _members(text)
    kept = [member for member in members if member.name not in names]
    if len(kept) == len(members):
        return text
    if not kept:
        return text[: text.index("{") + 1] + text[closing:]
    pieces: list[str] = []
    for before, member in zip([None, *members], members, strict=False):
        if member.name not in names:
            joint = text[before.end : member.start] if before and pieces else ""
            pieces.append(joint + text[member.start : member.end])
    return text[: members[0].start] + "".join(pieces) + text[members[-1].end :]


class _Style(NamedTuple):
    """How the object is written: what parts its members, the step it is indented by, and whether
    other letters than ASCII are escaped.
    """

    join: str
    open: str
    close: str
    colon: str
    indent: str
    ascii: bool

    @classmethod
    def of(cls, text: str, members: list[_Member]) -> _Style:
        newline = "\r\n" if "\r\n" in text else "\n"
        escaped = "\\u" in text and text.isascii()
        if not members:
            return cls(
                f",{newline}{_DEFAULT_INDENT}",
                f"{newline}{_DEFAULT_INDENT}",
                newline,
                ": ",
                _DEFAULT_INDENT,
                escaped,
            )
        before = text[text.index("{") + 1 : members[0].start]
        colon = text[scanstring(text, members[0].start + 1, True)[1] : members[0].value]
        if "\n" not in before:
            spaced = len(members) < 2 or text[members[1].start - 1] == " "
            return cls(", " if spaced else ",", "", "", colon, "", escaped)
        indent = before.rpartition("\n")[2]
        return cls(f",{newline}{indent}", before, newline, colon, indent, escaped)

    def member(self, name: str, value: Any) -> str:
        return (
            json.dumps(name, ensure_ascii=self.ascii)
            + self.colon
            + self.value(value, single=not isinstance(value, dict))
        )

    def value(self, value: Any, single: bool) -> str:
        if single or not self.indent:
            tight = self.join == ","
            return json.dumps(
                value, ensure_ascii=self.ascii, separators=(",", ":") if tight else (", ", ": ")
            )
        newline = self.join[1:].removesuffix(self.indent)
        lines = json.dumps(value, ensure_ascii=self.ascii, indent=self.indent).split("\n")
        return (newline + self.indent).join(lines)


def _members(text: str) -> tuple[list[_Member], int]:
    """(the members in their order, position of the closing brace)."""
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        raise ValueError("it is not a JSON object")
    found = list(_walk(text, _skip(text, at + 1)))
    closing = _skip(text, found[-1].end if found else at + 1)
    if text[closing : closing + 1] != "}":
        raise ValueError(f"a comma or brace is missing at character {closing}")
    return found, closing


def _walk(text: str, at: int) -> Iterator[_Member]:
    if text[at : at + 1] == "}":
        return
    while True:
        if text[at : at + 1] != '"':
            raise ValueError(f"a name is missing at character {at}")
        name, end = scanstring(text, at + 1, True)
        colon = _skip(text, end)
        if text[colon : colon + 1] != ":":
            raise ValueError(f"a colon is missing at character {colon}")
        value = _skip(text, colon + 1)
        _, stop = _DECODER.raw_decode(text, value)
        yield _Member(name, at, value, stop)
        after = _skip(text, stop)
        if text[after : after + 1] != ",":
            return
        at = _skip(text, after + 1)


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None
    return match.end()
