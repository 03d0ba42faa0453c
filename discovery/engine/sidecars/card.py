"""Model cards: YAML front matter, title, the first paragraph of prose.

Source: https://huggingface.co/docs/hub/model-cards. All scalars are read as text, so ``language:
no`` stays Norwegian and ``version: 1.10`` keeps its zero; tags that ask for Python objects are
plain data to this loader.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from discovery.engine.core.text import clean
from discovery.engine.sidecars import card_fields

MAX_BYTES = 1 << 20
MAX_FRONT_MATTER = 256 << 10
MAX_DESCRIPTION = 600

#: Files that hold a card, best first; the case of their letters means nothing.
NAMES = ("README.md", "MODEL_CARD.md", "modelcard.md")

_FENCE = re.compile(r"^---[ \t]*$", re.MULTILINE)
_KEY_LINE = re.compile(r"^([A-Za-z_][\w-]*)[ \t]*:[ \t]*(.*)$")
_HEADING = re.compile(r"^#{1,3}\s+(\S.*)")
_IMAGE = re.compile(r"!\[[^\]\n]{0,300}\]\([^)\n]{0,1000}\)")
_LINK = re.compile(r"\[([^\]\n]{0,300})\]\([^)\n]{0,1000}\)")
_TAG = re.compile(r"<[^<>]{0,1000}>")
_SKIPPED_BLOCK = re.compile(r"<(svg|style|script|table|video)\b", re.IGNORECASE)
_BLOCK_END = {
    tag: re.compile(rf"</{tag}\s*>", re.IGNORECASE)
    for tag in ("svg", "style", "script", "table", "video")
}
_MARKS = re.compile(r"(\*\*|__|`|~~|(?<!\w)[*_]|[*_](?!\w))")
_NOT_PROSE = ("|", "#", "```", "~~~", "---", "===", "    ", "\t", "$$", ":::")
_BULLET = re.compile(r"^\s{0,3}(?:[-*+]|\d{1,2}[.)])\s+(.+)$")
_USES = re.compile(r"(?:intended|primary|direct) uses?|use[ -]cases?|applications", re.IGNORECASE)

_LOWER_NAMES = frozenset(name.lower() for name in NAMES)


@dataclass(frozen=True, slots=True)
class ModelCard:
    """``front`` is the front matter, ``fields`` what it and the prose say in the document's words,
    ``faults`` what was wrong with it.
    """

    front: dict[str, Any]
    fields: dict[str, Any]
    title: str | None = None
    faults: list[str] = field(default_factory=list)


def read(raw: bytes, truncated: bool = False) -> ModelCard:
    """Never raises.

    ``raw`` is at most ``MAX_BYTES`` of the file, ``truncated`` says that there was more.
    """
    faults = [f"only the first {MAX_BYTES >> 20} MB of the card are read"] if truncated else []
    text = decoded(raw).replace("\r\n", "\n")
    block, body = _split(text)
    front, fault = _front_matter(block) if block is not None else ({}, None)
    if fault:
        faults.append(fault)
    elif (
        block is None
        and text.lstrip().startswith("---\n")
        and _KEY_LINE.match(text.lstrip()[4:].split("\n", 1)[0])
    ):
        faults.append("the front matter is never closed with ---")
    title, description, uses = _prose(body)
    fields = card_fields.fields(front, faults)
    if description:
        fields["description"] = description
    if uses:
        fields["use_cases"] = uses
    return ModelCard(front, fields, title, faults)


def is_card(name: str) -> bool:
    return name.lower() in _LOWER_NAMES


def decoded(raw: bytes) -> str:
    """A card's text: UTF-8, or UTF-16 as editors on Windows save it."""
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", "replace")
    return raw.decode("utf-8-sig", "replace")


def has_front_matter(raw: bytes) -> bool:
    """Whether ``raw``, the start of a file, is that of a model card with front matter."""
    text = decoded(raw).replace("\r\n", "\n")
    opening = _FENCE.search(text)
    return (
        opening is not None
        and _KEY_LINE.match(text[opening.end() :].lstrip("\n").split("\n", 1)[0]) is not None
    )


def prose(raw: bytes) -> str:
    """The first words of the card's text, for looking keywords up: no front matter, markup, code or
    addresses.
    """
    text = _without_blocks(body(decoded(raw[:24_000])))
    return plain(" ".join(" ".join(block) for block in _blocks(text)))[:1_000]


def body(text: str) -> str:
    """The card without its front matter, as it is shown to people."""
    return _split(text.lstrip("\ufeff").replace("\r\n", "\n"))[1]


def _split(text: str) -> tuple[str | None, str]:
    """(front matter, rest).

    Blank lines, badges and a heading before the first ``---`` happen in the wild and are accepted.
    """
    opening = _FENCE.search(text, 0, 4_000)
    if opening is None or (opening.start() > 0 and text[: opening.start()].count("\n") > 20):
        return None, text
    closing = _FENCE.search(text, opening.end())
    if closing is None:
        return None, text
    block = text[opening.end() : closing.start()].strip("\n")
    first = block.split("\n", 1)[0]
    if opening.start() > 0 and text[: opening.start()].strip() and not _KEY_LINE.match(first):
        return None, text
    return block, text[: opening.start()] + text[closing.end() :].lstrip("\n")


def _front_matter(block: str) -> tuple[dict[str, Any], str | None]:
    if len(block) > MAX_FRONT_MATTER // 4:
        block = _without_results(block)
    if len(block) > MAX_FRONT_MATTER:
        return {}, f"the front matter has more than {MAX_FRONT_MATTER >> 10} kB and was not read"
    if _depth(block) > 100:
        return {}, "the front matter is nested too deep and was not read"
    try:
        # Builds texts, lists and mappings only.
        front = yaml.load(block, Loader=yaml.CBaseLoader)  # noqa: S506
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 2}" if mark is not None else ""
        return (
            _salvage(block),
            (
                f"the front matter is not valid YAML{where}:"
                f" {clean(str(getattr(error, 'problem', None) or 'unreadable'), 120)}"
            ),
        )
    if front is None or front == "":
        return {}, None
    if not isinstance(front, dict):
        return {}, "the front matter is not a mapping"
    fault = (
        "the front matter asks for a Python object; it is read as text"
        if "!!python/" in block
        else None
    )
    return {str(key): value for key, value in front.items()}, fault


def _without_results(block: str) -> str:
    """Drops ``model-index``, whose benchmark tables can outweigh the rest of a card a
    hundredfold.
    """
    kept, dropping = [], False
    for line in block.split("\n"):
        if line[:1] not in (" ", "-", "\t", "", "#"):
            dropping = line.startswith("model-index")
        if not dropping:
            kept.append(line)
    return "\n".join(kept)


def _depth(block: str) -> int:
    deepest = depth = 0
    for character in re.findall(r"[\[{\]}]", block):
        depth += 1 if character in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _salvage(block: str) -> dict[str, Any]:
    """Line by line: top-level ``key: value`` pairs and simple lists of a block that YAML
    refuses.
    """
    found: dict[str, Any] = {}
    key = None
    for line in block.split("\n")[:2_000]:
        if match := _KEY_LINE.match(line):
            key, value = match[1], match[2].strip().strip("\"'")
            found[key] = value if value else []
        elif key and (item := re.match(r"^\s*-\s+(.+)$", line)) and isinstance(found[key], list):
            found[key].append(item[1].strip().strip("\"'"))
    return found


def _prose(text: str) -> tuple[str | None, str | None, list[str]]:
    """(title, first paragraph, bullets under a heading about uses)."""
    title: str | None = None
    uses: list[str] = []
    description: str | None = None
    heading = ""
    for block in _blocks(_without_blocks(text[:65_536])):
        match = _HEADING.match(block[0])
        if match:
            heading = plain(match[1].rstrip().rstrip("#"))
            title = title or (clean(heading, 200) or None)
            block = block[1:]
        if _USES.search(heading) and len(uses) < 10:
            uses += [
                item
                for line in block
                if (found := _BULLET.match(line))
                and 2 < len(item := clean(plain(found[1]), 120)) < 120
            ]
        if (
            description is None
            and block
            and not block[0].startswith(_NOT_PROSE)
            and not _BULLET.match(block[0])
        ):
            line = " ".join(line.strip() for line in block)
            if _is_prose(plain(_LINK.sub("", _IMAGE.sub("", line[:20_000])))):
                description = _shorten(plain(line))
    return title, description, list(dict.fromkeys(uses))[:10]


def _without_blocks(text: str) -> str:
    """The text without pictures, tables and scripts.

    The end of each tag is searched once: a thousand unclosed tags cost no more than one.
    """
    kept: list[str] = []
    at, unclosed = 0, set()
    for opening in _SKIPPED_BLOCK.finditer(text):
        tag = opening[1].lower()
        if opening.start() < at or tag in unclosed:
            continue
        closing = _BLOCK_END[tag].search(text, opening.end())
        if closing is None:
            unclosed.add(tag)
        else:
            kept.append(text[at : opening.start()])
            at = closing.end()
    return "".join((*kept, text[at:]))


def _is_prose(words: str) -> bool:
    """At least four words, or eight characters of a script without spaces, that are not links,
    badges or symbols.
    """
    letters = sum(map(str.isalpha, words))
    wide = 0 if words.isascii() else sum(letter > "\u2e7f" and letter.isalpha() for letter in words)
    return letters > len(words) // 2 and (len(words.split()) >= 4 or wide >= 8)


def _blocks(text: str) -> Iterator[list[str]]:
    """Runs of non-blank lines; headings start a block of their own; fenced code is left out."""
    block: list[str] = []
    fenced = False
    for line in text.split("\n"):
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        if (
            fenced
            or not line.strip()
            or line.startswith("#")
            or line.lstrip().startswith(("```", "~~~"))
        ):
            if block:
                yield block
            block = [line] if line.startswith("#") and not fenced else []
        elif len(block) < 60:
            block.append(line)
    if block:
        yield block


def plain(text: str) -> str:
    """One line without images, tags, links' addresses and emphasis."""
    text = _LINK.sub(r"\1", _IMAGE.sub("", text[:20_000]))
    return " ".join(_MARKS.sub("", _TAG.sub(" ", text)).replace("[]", "").lstrip("> ").split())


def _shorten(words: str) -> str:
    words = clean(words, 4_000)
    if len(words) <= MAX_DESCRIPTION:
        return words
    cut = words.rfind(". ", 0, MAX_DESCRIPTION)
    return (
        words[: cut + 1]
        if cut > MAX_DESCRIPTION // 3
        else words[: MAX_DESCRIPTION - 1].rsplit(" ", 1)[0] + "…"
    )
