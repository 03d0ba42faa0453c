"""Chat templates, looked at and never rendered: Jinja that reaches for Python's insides has no business in a conversation.

Programs render the template that comes with a model for every message. In a sandbox the tricks below fail; not everybody has one.
Source of the syntax: https://jinja.palletsprojects.com/en/stable/templates/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from discovery.engine.types import Severity

#: Longer templates are looked at to here; real ones have a few kilobytes.
MAX_TEMPLATE = 256 << 10
#: More rounds of one loop than any conversation needs.
MAX_ROUNDS = 1_000_000

_OPENING = re.compile(r"\{[{%#]")
_RAW = re.compile(r"[-+]?\s*raw\s*[-+]?", re.ASCII)
_END_OF_RAW = re.compile(r"\{%[-+]?\s*endraw\s*[-+]?%\}")
#: A text that never ends is taken to the end, so that nothing is looked at twice.
_TEXT = re.compile(r"'(?:[^'\\]|\\.)*(?:'|\\?\Z)|\"(?:[^\"\\]|\\.)*(?:\"|\\?\Z)", re.DOTALL)
_TOKEN = re.compile(_TEXT.pattern + r"|%\}|\}\}|[()\[\]{}]", re.DOTALL)

#: Reaching an attribute by its name, or by a text that spells one.
_INSIDES = re.compile(
    r"(?:\.\s*|\[\s*['\"]|\|\s*attr\s*\(\s*['\"])"
    r"(__\w+__|mro|func_globals|func_code|gi_frame|gi_code|cr_frame|cr_code|f_globals|f_locals|f_builtins|ag_frame|tb_frame)\b"
)
_BY_FILTER = re.compile(r"\|\s*attr\s*\(")
_SPELLED = re.compile(r"\\x5f|\\u005f|\\137|\[\s*['\"]_+['\"]\s*~|\\N\{LOW LINE\}", re.IGNORECASE)
_WAY_OUT = re.compile(r"(?<![\w.])(lipsum|cycler|joiner|self|namespace)\s*[.\[]\s*['\"]?_")
_OTHER_FILES = re.compile(r"[-+]?\s*(import|include|extends|from)\b")
_ROUNDS = re.compile(r"\brange\s*\(([\d_,\s*]+)\)")


class Oddity(NamedTuple):
    """What is odd about a template, and how bad it is: an ``ERROR`` can run code where the template is rendered without a sandbox."""

    severity: Severity
    reason: str


def oddities(template: str) -> list[Oddity]:
    """Each kind of oddity once; nothing for the templates that real models have."""
    found: dict[str, Oddity] = {}
    for kind, oddity in _oddities(template[:MAX_TEMPLATE]):
        found.setdefault(kind, oddity)
    if len(template) > MAX_TEMPLATE:
        found["length"] = Oddity(
            Severity.WARNING,
            f"it has {len(template):,} characters, of which the first {MAX_TEMPLATE:,} were looked at",
        )
    return list(found.values())


def _oddities(template: str) -> Iterator[tuple[str, Oddity]]:
    for code in _tags(template):
        bare = _TEXT.sub(
            "''", code
        )  # what stands in quotes is said, not done; but for names of attributes
        if (hit := _INSIDES.search(code)) and (hit[0].lstrip()[0] != "." or _INSIDES.search(bare)):
            yield (
                "insides",
                Oddity(Severity.ERROR, f"it reaches for {hit[1]}, a way into Python itself"),
            )
        if _BY_FILTER.search(bare):
            yield (
                "attr",
                Oddity(
                    Severity.ERROR,
                    "it gets at attributes by the filter attr, which real templates have no use for",
                ),
            )
        if _SPELLED.search(code):
            yield (
                "spelled",
                Oddity(
                    Severity.ERROR,
                    "it spells out underscores, as code does that hides what it reaches for",
                ),
            )
        if hit := _WAY_OUT.search(bare):
            yield (
                "way out",
                Oddity(Severity.ERROR, f"it reaches through {hit[1]} into Python itself"),
            )
        if hit := _OTHER_FILES.match(code):
            yield (
                "files",
                Oddity(
                    Severity.WARNING,
                    f"it asks for another template ({hit[1]}), which chat templates cannot have",
                ),
            )
        if (hit := _ROUNDS.search(bare)) and _rounds(hit[1]) > MAX_ROUNDS:
            yield (
                "rounds",
                Oddity(
                    Severity.WARNING,
                    "it counts through more than a million rounds, which can hold up a server",
                ),
            )


def _tags(template: str) -> Iterator[str]:
    """What stands in ``{{ }}`` and ``{% %}``, found as Jinja's lexer finds it: texts and brackets may hold what looks like the end of a tag,
    comments what looks like the start of one. Each character is looked at once.
    """
    at = 0
    while opening := _OPENING.search(template, at):
        if opening[0] == "{#":
            end = template.find("#}", opening.end())
            at = end + 2 if end >= 0 else len(template)
            continue
        end = _end(template, opening.end(), "}}" if opening[0] == "{{" else "%}")
        code, at = template[opening.end() : end], end + 2
        if _RAW.fullmatch(code) and opening[0] == "{%":
            after = _END_OF_RAW.search(template, at)
            at = after.end() if after else len(template)
        else:
            yield code


def _end(template: str, at: int, closing: str) -> int:
    depth = 0
    while token := _TOKEN.search(template, at):
        at = token.end()
        if token[0] == closing and not depth:
            return token.start()
        if token[0] in ("%}", "}}"):
            at -= 1  # not the end: its second character is one of its own
        if token[0] in "([{":
            depth += 1
        elif token[0] in (")", "]", "}", "}}"):
            depth = max(depth - 1, 0)
    return len(template)


def _rounds(arguments: str) -> int:
    """The largest product among the arguments of ``range``; 0 where they are no plain numbers."""
    largest = 0
    for argument in arguments.split(","):
        product = 1
        for factor in argument.split("*"):
            digits = factor.strip().replace("_", "")
            product *= int(digits[:12]) if digits.isdecimal() else 0
            if product > MAX_ROUNDS:
                break  # a later 0 would make it none, and nobody writes that
        largest = max(largest, product)
    return largest
