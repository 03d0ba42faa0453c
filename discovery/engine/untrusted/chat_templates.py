"""Parses chat templates, without rendering them, and reports ways into Python's internals.

Programs render the template that comes with a model for every message. In a sandbox the tricks
below fail; not everybody has one. Jinja's own parser says what a template does. What may be called
is a closed list, and a name that a template puts together from pieces is one that its author did
not want to be read.

Source of the syntax: https://jinja.palletsprojects.com/en/stable/templates/, with the tag
``generation`` of Transformers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from discovery.engine.core.types import Problem
from discovery.engine.core.vocabulary import Severity

if TYPE_CHECKING:
    from discovery.engine.untrusted.template_reach import Oddity

#: Longer templates are not looked at; real ones have a few kilobytes.
MAX_TEMPLATE = 1 << 20


def oddities(template: str) -> list[Oddity]:
    """Each kind of oddity once, the worst first; nothing for the templates that real models
    have.
    """
    # Jinja is loaded with the first template: most scans meet none.
    from discovery.engine.untrusted import template_oddities

    return template_oddities.read(template, MAX_TEMPLATE)


def problems(named: str, template: str, key: str = "") -> list[Problem]:
    """The oddities of a template as problems; each begins with the template's name: ``the chat
    template in x.json``.

    ``key`` distinguishes it from other templates of the same file.
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
