"""Everything that a parsed chat template accesses, calls and counts, derived from its tree."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from jinja2 import nodes

from discovery.engine.core.vocabulary import Severity
from discovery.engine.untrusted.template_expressions import (
    MAX_ROUNDS,
    Expressions,
    is_call,
    largest_range,
)
from discovery.engine.untrusted.template_reach import Oddity, is_inside
from discovery.engine.untrusted.template_values import DATA, MADE, Value

#: A template whose variables go round in longer circles is not followed to its end.
MAX_PASSES = 40


class TemplateReader(Expressions):
    """Follows the possible values of variables until nothing new is found, then reports oddities.

    Each name has one set of values, wherever it is assigned: scopes cannot hide anything.
    """

    def read(self, tree: nodes.Template) -> list[Oddity]:
        """Raises ``RecursionError`` for what nests too deep."""
        for macro in tree.find_all(nodes.Macro):
            self.macros[macro.name] = macro
        for _ in range(MAX_PASSES):
            self.changed, self.found = False, {}
            self._all(tree.body)
            if not self.changed:
                break
        else:
            self._odd(
                "tangled",
                Severity.WARNING,
                "its variables depend on each other in longer circles than can be followed",
            )
        return sorted(self.found.values(), key=lambda oddity: oddity.severity is not Severity.ERROR)

    # -- statements

    def _all(self, statements: Iterable[nodes.Node]) -> None:
        for statement in statements:
            handler = self._STATEMENTS.get(type(statement))
            if handler:
                handler(self, statement)
            else:
                self._any(statement)

    def _any(self, statement: nodes.Node) -> None:
        """A statement with nothing of its own to it: its expressions are valued, its bodies
        read.
        """
        if isinstance(statement, nodes.Import | nodes.FromImport | nodes.Include | nodes.Extends):
            self._odd(
                "files",
                Severity.WARNING,
                "it asks for another template, which chat templates cannot have",
            )
        for child in statement.iter_child_nodes():
            if isinstance(child, nodes.Expr):
                self.value(child)
            else:
                self._all([child])

    def _assign(self, statement: nodes.Assign) -> None:
        self._set(statement.target, self.value(statement.node))
        if isinstance(statement.target, nodes.Name) and is_call(statement.node, "namespace"):
            assert isinstance(statement.node, nodes.Call)
            for pair in statement.node.kwargs:
                self._let(f"{statement.target.name}.{pair.key}", self.value(pair.value))

    def _assign_block(self, statement: nodes.AssignBlock) -> None:
        self._all(statement.body)
        if statement.filter is not None:
            self.value(statement.filter)
        written = any(
            isinstance(each, nodes.TemplateData) and each.data.strip()
            for each in _within(statement.body)
        )
        self._set(statement.target, MADE if written or self._writes_own(statement.body) else DATA)

    def _writes_own(self, body: Sequence[nodes.Node]) -> bool:
        outputs = (
            node
            for output in _within(body)
            if isinstance(output, nodes.Output)
            for node in output.nodes
        )
        return any(
            self.value(node).is_authors
            for node in outputs
            if not isinstance(node, nodes.TemplateData)
        )

    def _for(self, statement: nodes.For) -> None:
        outer = self.rounds
        self._set(statement.target, self.value(statement.iter).iterated)
        if (count := largest_range(statement.iter)) is not None:
            self.rounds *= max(count, 1)
            if self.rounds > MAX_ROUNDS:
                self._odd(
                    "rounds",
                    Severity.WARNING,
                    "it counts through more than a million rounds, which can hold up a server",
                )
        if statement.test is not None:
            self.value(statement.test)
        self._all(statement.body)
        self.rounds = outer
        self._all(statement.else_)

    def _macro(self, statement: nodes.Macro) -> None:
        for argument, default in zip(
            reversed(statement.args), reversed(statement.defaults), strict=False
        ):
            self._let(argument.name, self.value(default))
        self._all(statement.body)

    def _with(self, statement: nodes.With) -> None:
        for target, value in zip(statement.targets, statement.values, strict=True):
            self._set(target, self.value(value))
        self._all(statement.body)

    def _set(self, target: nodes.Node, value: Value) -> None:
        if isinstance(target, nodes.Tuple):
            for each in target.items:
                self._set(each, value.unpacked)
        elif isinstance(target, nodes.NSRef):
            if is_inside(target.attr):
                self._inside(target.attr)
            self._let(f"{target.name}.{target.attr}", value)
        elif isinstance(target, nodes.Name):
            self._let(target.name, value)
        else:
            self._any(target)

    _STATEMENTS: dict[type[nodes.Node], Callable[..., None]] = {
        nodes.Assign: _assign,
        nodes.AssignBlock: _assign_block,
        nodes.For: _for,
        nodes.Macro: _macro,
        nodes.With: _with,
    }


def _within(body: Sequence[nodes.Node]) -> Iterator[nodes.Node]:
    for node in body:
        yield node
        yield from _within(list(node.iter_child_nodes()))
