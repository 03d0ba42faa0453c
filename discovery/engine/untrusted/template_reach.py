"""What a chat template reaches for: attributes, filters and names that are ways into Python."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from jinja2 import nodes

from discovery.engine.core.vocabulary import Severity
from discovery.engine.untrusted import template_calls as known
from discovery.engine.untrusted.template_values import NUMBER, Value, container

_INSIDE = re.compile(
    r"(?:\.\s*|\[\s*['\"]|attr\s*\(\s*['\"])(__\w+__|" + "|".join(sorted(known.INSIDES)) + r")\b"
)


class Oddity(NamedTuple):
    """Something odd about a template.

    An ``ERROR`` can run code where the template is rendered without a sandbox.
    """

    severity: Severity
    reason: str
    kind: str


def reaches_inside(template: str) -> str | None:
    """The first access to Python internals in a template that cannot be parsed."""
    found = _INSIDE.search(template)
    return found[1] if found else None


def is_inside(name: str) -> bool:
    return name.startswith("_") or name in known.INSIDES


class TemplateReach:
    """What a template reaches for, and what is odd about that."""

    def __init__(self) -> None:
        self.variables: dict[str, Value] = {}
        self.macros: dict[str, nodes.Macro] = {}
        self.found: dict[str, Oddity] = {}
        self.rounds = 1
        self.changed = False

    def _odd(self, kind: str, severity: Severity, reason: str) -> None:
        if kind not in self.found or (
            severity is Severity.ERROR and self.found[kind].severity is not Severity.ERROR
        ):
            self.found[kind] = Oddity(severity, reason, kind)

    def _let(self, name: str, value: Value) -> None:
        before = self.variables.get(name)
        after = value if before is None else before | value
        if after != before:
            self.variables[name], self.changed = after, True

    def _held(self, values: list[Value], keys: Iterable[str] = ()) -> Value:
        return container(self._joined(values) if values else NUMBER, frozenset(keys))

    def _reach(self, owner: nodes.Node, base: Value, name: str) -> Value:
        if is_inside(name):
            self._inside(name)
            return Value(inner=True, reached=True)
        if isinstance(owner, nodes.Name):
            kept = self.variables.get(f"{owner.name}.{name}")
            if kept is not None:
                return kept
            if owner.name == "loop" and name in known.COUNTERS:
                return NUMBER
        if base.items is not None:
            return base.elements
        return Value(inner=base.inner, reached=base.reached)

    def _computed(self, base: Value) -> Value:
        severity = Severity.ERROR if base.reached or base.inner else Severity.WARNING
        self._odd(
            "computed",
            severity,
            "it puts together the name of what it reaches for, as code does that hides it",
        )
        return Value(inner=True, reached=True)

    def _inside(self, name: str) -> None:
        self._odd(
            "insides", Severity.ERROR, f"it reaches for {name[:60]}, a way into Python itself"
        )

    def _formats(self, base: Value) -> None:
        """``'{0.__class__}'.format(x)`` reaches attributes by a text of its own."""
        if base.made or any(re.search(r"\{[^{}]*[.\[]", literal) for literal in base.texts):
            self._odd(
                "format", Severity.ERROR, "it fills in a text that can reach for attributes itself"
            )

    def _joined(self, values: list[Value]) -> Value:
        whole = values[0]
        for value in values[1:]:
            whole |= value
        return whole

    def _check_filter(
        self, name: str, given: list[Value], named: dict[str, Value], spread: list[Value]
    ) -> None:
        """Filters that reach for attributes by a name they are given."""
        if name == "attr":
            self._odd(
                "attr",
                Severity.ERROR,
                "it gets at attributes by the filter attr, which real templates have no use for",
            )
            return
        place = known.ATTRIBUTE_PLACES.get(name)
        if place is not None and spread:
            self._odd(
                "attribute",
                Severity.ERROR,
                f"it gives the filter {name} names that stand elsewhere",
            )
        if place is not None and place < len(given):
            self._named_attribute(name, given[place])
        if "attribute" in named:
            self._named_attribute(name, named["attribute"])
        if name == "map" and given:
            self._mapped(given, named)

    def _mapped(self, given: list[Value], named: dict[str, Value]) -> None:
        inner = given[0]
        if inner.made or inner.inner or not inner.texts:
            self._odd("attr", Severity.ERROR, "it puts together the name of a filter")
        for name in sorted(inner.texts):
            self._check_filter(name, given[1:], named, [])

    def _named_attribute(self, name: str, attribute: Value) -> None:
        for part in (part for literal in attribute.texts for part in literal.split(".")):
            if is_inside(part):
                self._inside(part)
        if attribute.made or attribute.inner:
            self._odd(
                "attribute",
                Severity.ERROR,
                f"it puts together the name of what the filter {name} reaches for",
            )
        elif any("." in literal for literal in attribute.texts):
            self._odd(
                "attribute",
                Severity.WARNING,
                f"it has the filter {name} reach through one attribute for another",
            )
        elif not attribute.texts and not attribute.number:
            self._odd(
                "attribute",
                Severity.WARNING,
                f"it has the filter {name} reach for an attribute that the conversation names",
            )
