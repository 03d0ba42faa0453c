"""The oddities of a chat template, found by Jinja's own parser."""

from __future__ import annotations

from functools import lru_cache
from itertools import islice

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser

from discovery.engine.core.text import plural
from discovery.engine.core.vocabulary import Severity
from discovery.engine.untrusted.template_reach import Oddity, reaches_inside
from discovery.engine.untrusted.template_reader import TemplateReader

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


def read(template: str, limit: int) -> list[Oddity]:
    """Each kind of oddity once, the worst first; empty for the templates of real models.

    Templates of more than ``limit`` characters are not parsed.
    """
    if len(template) > limit:
        text = (
            f"it has {plural(len(template), 'character')}, more than the {limit:,} that are"
            " looked at"
        )
        return [Oddity(Severity.WARNING, text, "length")]
    return list(_remembered(template) if len(template) < REMEMBERED else _oddities(template))


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
