"""What the expressions of a chat template can be, reach for and call."""

from __future__ import annotations

from collections.abc import Callable

from jinja2 import nodes

from discovery.engine.core.vocabulary import Severity
from discovery.engine.untrusted import template_calls as known
from discovery.engine.untrusted.template_reach import TemplateReach, is_inside
from discovery.engine.untrusted.template_values import (
    DATA,
    MADE,
    NUMBER,
    Value,
    container,
    derived,
    text,
)

#: More rounds of a loop, and of the loops in it, than any conversation needs.
MAX_ROUNDS = 1_000_000


class Expressions(TemplateReach):
    """Values expressions by what variables can hold so far, and collects what is odd about them."""

    # -- expressions

    def value(self, node: nodes.Node) -> Value:
        handler = self._EXPRESSIONS.get(type(node))
        if handler is not None:
            return handler(self, node)
        parts = [self.value(child) for child in node.iter_child_nodes()]
        if isinstance(
            node,
            nodes.Compare
            | nodes.Not
            | nodes.Test
            | nodes.Sub
            | nodes.Div
            | nodes.FloorDiv
            | nodes.Neg
            | nodes.Pos,
        ):
            return NUMBER
        if isinstance(node, nodes.Or | nodes.And):
            return parts[0] | parts[1]
        return derived(*parts)

    def _const(self, node: nodes.Const) -> Value:
        return text(node.value) if isinstance(node.value, str) else NUMBER

    def _written(self, _node: nodes.TemplateData) -> Value:
        return MADE

    def _name(self, node: nodes.Name) -> Value:
        if node.name in self.variables:
            return self.variables[node.name]
        if node.name in known.GLOBALS or node.name in self.macros:
            return Value(inner=True)
        # Special tokens are written in the same file as the template.
        return MADE if node.name.endswith("_token") else DATA

    def _sequence(self, node: nodes.List | nodes.Tuple) -> Value:
        return self._held([self.value(item) for item in node.items])

    def _dict(self, node: nodes.Dict) -> Value:
        keys = [
            pair.key.value
            for pair in node.items
            if isinstance(pair.key, nodes.Const) and isinstance(pair.key.value, str)
        ]
        computed = [
            self.value(pair.key) for pair in node.items if not isinstance(pair.key, nodes.Const)
        ]
        return self._held([*(self.value(pair.value) for pair in node.items), *computed], keys)

    def _either(self, node: nodes.CondExpr) -> Value:
        self.value(node.test)
        other = self.value(node.expr2) if node.expr2 is not None else NUMBER
        return self.value(node.expr1) | other

    def _add(self, node: nodes.Add) -> Value:
        left, right = self.value(node.left), self.value(node.right)
        if left.number or right.number:
            return NUMBER
        return (
            left | right
            if left.items is not None or right.items is not None
            else derived(left, right)
        )

    def _multiply(self, node: nodes.Mul) -> Value:
        left, right = self.value(node.left), self.value(node.right)
        if not left.is_authors and not right.is_authors:
            return NUMBER
        if max(_number(node.left) or 0, _number(node.right) or 0) > MAX_ROUNDS:
            self._odd(
                "rounds",
                Severity.WARNING,
                "it repeats a text more than a million times, which can hold up a server",
            )
        return derived(left, right)

    def _remainder(self, node: nodes.Mod) -> Value:
        left, right = self.value(node.left), self.value(node.right)
        return derived(left, right) if left.is_authors or right.is_authors else NUMBER

    def _power(self, node: nodes.Pow) -> Value:
        self.value(node.left)
        self.value(node.right)
        self._odd(
            "rounds", Severity.WARNING, "it raises numbers to a power, which can hold up a server"
        )
        return NUMBER

    # -- reaching

    def _attribute(self, node: nodes.Getattr) -> Value:
        base = self.value(node.node)
        return self._reach(node.node, base, node.attr)

    def _subscript(self, node: nodes.Getitem) -> Value:
        base = self.value(node.node)
        if isinstance(node.arg, nodes.Slice):
            for part in node.arg.iter_child_nodes():
                self.value(part)
            return base if base.items is not None else derived(base)
        name = self.value(node.arg)
        if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
            return self._reach(node.node, base, node.arg.value)
        if name.number:
            return base.elements
        for literal in name.texts:
            if is_inside(literal):
                self._inside(literal)
        if not name.made and not name.inner:
            return (
                base.elements
                if not name.texts
                else base.elements | Value(inner=base.inner, reached=base.reached)
            )
        return self._computed(base)

    # -- calling

    def _call(self, node: nodes.Call) -> Value:
        given = [self.value(argument) for argument in node.args] + [
            self.value(pair.value) for pair in node.kwargs
        ]
        given += [self.value(each) for each in (node.dyn_args, node.dyn_kwargs) if each is not None]
        if isinstance(node.node, nodes.Name):
            return self._call_name(node, node.node.name, given)
        if isinstance(node.node, nodes.Getattr):
            return self._call_method(node, node.node, given)
        self.value(node.node)
        self._odd(
            "calls",
            Severity.ERROR,
            "it calls what it has found or put together, which no conversation needs",
        )
        return Value(inner=True, reached=True)

    def _call_name(self, node: nodes.Call, name: str, given: list[Value]) -> Value:
        if name in self.macros:
            self._bind(self.macros[name], node)
            return MADE
        if name == "range":
            if (count := largest_range(node)) is not None and count > MAX_ROUNDS:
                self._odd(
                    "rounds",
                    Severity.WARNING,
                    "it counts through more than a million rounds, which can hold up a server",
                )
            return container(NUMBER)
        if name in ("dict", "namespace"):
            return self._held(given, [pair.key for pair in node.kwargs])
        held = self.variables.get(name)
        if held is not None and not (held.inner and not held.reached):
            self._odd(
                "calls",
                Severity.ERROR,
                f"it calls what it keeps as {name[:60]}, which no conversation needs",
            )
            return Value(inner=True, reached=True)
        if held is None and name not in known.FUNCTIONS:
            self._odd(
                "calls",
                Severity.WARNING,
                f"it calls {name[:60]}, a function that programs do not give to chat templates",
            )
        return Value(inner=True) if name in known.MAKERS else derived(MADE, *given)

    def _bind(self, macro: nodes.Macro, call: nodes.Call) -> None:
        for argument, value in zip(macro.args, call.args, strict=False):
            self._let(argument.name, self.value(value))
        for pair in call.kwargs:
            self._let(pair.key, self.value(pair.value))

    def _call_method(self, node: nodes.Call, method: nodes.Getattr, given: list[Value]) -> Value:
        base, name = self.value(method.node), method.attr
        if is_inside(name):
            self._inside(name)
            return Value(inner=True, reached=True)
        owner = method.node.name if isinstance(method.node, nodes.Name) else ""
        if name in known.OF_OBJECTS.get(owner, ()) or (owner == "self" and not node.args):
            return derived(MADE, *given)
        if name not in known.METHODS or base.reached:
            bad = base.reached or base.inner
            self._odd(
                "calls",
                Severity.ERROR if bad else Severity.WARNING,
                f"it calls {name[:60]}, which no conversation needs",
            )
            return Value(inner=True, reached=True)
        if name in ("format", "format_map"):
            self._formats(base)
        if name in known.OF_CONTAINERS:
            if name in known.GIVE_LISTS:
                return base if name == "copy" else container(base.iterated.unpacked | base.iterated)
            return self._joined([base.elements, *given])
        return (
            Value(items=derived(base, *given))
            if name.startswith(("split", "rsplit"))
            else derived(base, *given)
        )

    # -- filters

    def _filter(self, node: nodes.Filter) -> Value:
        base = self.value(node.node) if node.node is not None else MADE
        arguments = list(node.args)
        given = [self.value(argument) for argument in arguments]
        named = {str(pair.key): self.value(pair.value) for pair in node.kwargs}
        spread = [self.value(each) for each in (node.dyn_args, node.dyn_kwargs) if each is not None]
        self._check_filter(node.name, given, named, spread)
        if node.name in known.COUNTING:
            return NUMBER
        if node.name in known.KEEPING:
            return base if base.items is not None and not base.keys else container(base.iterated)
        if node.name in known.TAKING:
            return base.iterated
        if node.name == "map":
            return container(derived(base.iterated, *given))
        if node.name in ("default", "d"):
            return self._joined([base, *given])
        return derived(base, *given, *named.values(), *spread)

    _EXPRESSIONS: dict[type[nodes.Node], Callable[..., Value]] = {
        nodes.Const: _const,
        nodes.TemplateData: _written,
        nodes.Name: _name,
        nodes.List: _sequence,
        nodes.Tuple: _sequence,
        nodes.Dict: _dict,
        nodes.CondExpr: _either,
        nodes.Add: _add,
        nodes.Mul: _multiply,
        nodes.Mod: _remainder,
        nodes.Pow: _power,
        nodes.Getattr: _attribute,
        nodes.Getitem: _subscript,
        nodes.Call: _call,
        nodes.Filter: _filter,
    }


def is_call(node: nodes.Node, name: str) -> bool:
    return (
        isinstance(node, nodes.Call)
        and isinstance(node.node, nodes.Name)
        and node.node.name == name
    )


def _number(node: nodes.Node) -> int | None:
    """An integer literal or a product of literals, computed up to ``MAX_ROUNDS``."""
    if isinstance(node, nodes.Const):
        return node.value if type(node.value) is int else None
    if isinstance(node, nodes.Mul | nodes.Add):
        left, right = _number(node.left), _number(node.right)
        if left is None or right is None:
            return None
        whole = left * right if isinstance(node, nodes.Mul) else left + right
        return min(whole, MAX_ROUNDS + 1)
    return None


def largest_range(node: nodes.Node) -> int | None:
    """The largest number in a call of ``range``; ``None`` if the node is another one or has no
    number.
    """
    if not is_call(node, "range"):
        return None
    assert isinstance(node, nodes.Call)
    numbers = [number for argument in node.args if (number := _number(argument)) is not None]
    return min(max(numbers), MAX_ROUNDS + 1) if numbers else None
