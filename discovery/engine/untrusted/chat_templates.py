"""Chat templates, parsed and never rendered: Jinja that reaches for Python's insides has no
business in a conversation.

Programs render the template that comes with a model for every message. In a sandbox the tricks
below fail; not everybody has one. Jinja's own parser says what a template does. What may be called
is a closed list, and a name that a template puts together from pieces is one that its author did
not want to be read.

Source of the syntax: https://jinja.palletsprojects.com/en/stable/templates/, with the tag
``generation`` of Transformers.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import islice

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser

from discovery.engine.core.text import plural
from discovery.engine.core.types import Problem
from discovery.engine.core.vocabulary import Severity
from discovery.engine.untrusted.template_reach import Oddity, reaches_inside
from discovery.engine.untrusted.template_reader import TemplateReader

#: Longer templates are not looked at; real ones have a few kilobytes.
MAX_TEMPLATE = 1 << 20
#: Words of code in a template, of which real ones have some thousands: Jinja parses half a million
#: a second.
MAX_WORDS = 100_000
#: What was said of shorter ones is remembered.
REMEMBERED = 32 << 10


class _Generation(Extension):
    """``{% generation %}`` … ``{% endgeneration %}``: Transformers marks what an assistant
    wrote.
    """

    tags = {"generation"}

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        return nodes.Scope(
            parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line
        )


_JINJA = Environment(  # noqa: S701 - nothing is rendered
    extensions=["jinja2.ext.loopcontrols", "jinja2.ext.do", _Generation]
)


def oddities(template: str) -> list[Oddity]:
    """Each kind of oddity once, the worst first; nothing for the templates that real models
    have.
    """
    if len(template) > MAX_TEMPLATE:
        text = (
            f"it has {plural(len(template), 'character')}, more than the {MAX_TEMPLATE:,} that are"
            " looked at"
        )
        return [Oddity(Severity.WARNING, text, "length")]
    return list(_remembered(template) if len(template) < REMEMBERED else _oddities(template))


def problems(named: str, template: str, key: str = "") -> list[Problem]:
    """What is odd, as problems that begin with what the template is called: ``the chat template in
    x.json``.

    ``key`` tells it from other templates of the same file.
    """
    codes = {Severity.ERROR: "unsafe_template", Severity.WARNING: "odd_template"}
    return [
        Problem(
            codes[odd.severity],
            f"{named} is not like those of other models: {odd.reason}",
            "",
            odd.severity,
            key=f"{key}:{odd.kind}",
        )
        for odd in oddities(template)
    ]


@lru_cache(maxsize=256)
def _remembered(template: str) -> tuple[Oddity, ...]:
    """Thousands of fine-tunes share one template."""
    return _oddities(template)


def _oddities(template: str) -> tuple[Oddity, ...]:
    try:
        if len(template) > REMEMBERED and next(islice(_JINJA.lex(template), MAX_WORDS, None), None):
            raise ValueError(f"it has more than {MAX_WORDS:,} words of code")
        tree = _JINJA.parse(template)
        return tuple(TemplateReader().read(tree))
    except TemplateSyntaxError as error:
        reason = f"Jinja cannot parse it (line {error.lineno}: {str(error.message)[:200]})"
    except RecursionError:
        reason = "its expressions nest too deep to be looked into"
    except (ValueError, OverflowError) as error:  # too many words, a number of five thousand digits
        reason = f"Jinja cannot parse it ({str(error)[:200]})"
    if name := reaches_inside(template):
        return (
            Oddity(
                Severity.ERROR,
                f"it reaches for {name}, a way into Python itself, and {reason}",
                "insides",
            ),
        )
    return (Oddity(Severity.WARNING, f"{reason}, so what it does cannot be checked", "syntax"),)
