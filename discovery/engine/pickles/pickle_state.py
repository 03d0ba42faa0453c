"""What a pickle has built so far: values, imports, notes, and what is left of the limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from discovery.engine.core.errors import UncheckedPickleError
from discovery.engine.pickles.opcode_stream import Tape
from discovery.engine.pickles.pickle_values import UNKNOWN, Blob, Global, Import, Object, Persistent

#: Of all pickles of a file. A tensor in a state dict takes some fifty.
MAX_OPCODES = 1_500_000


MAX_CONTAINERS = 1_000_000


MAX_MEMO = 1_000_000


MAX_IMPORTS = 2_000


MAX_NOTES = 10


#: Text and numbers longer than this are not kept (a tensor's name is shorter), and no more than
#: this in all.
MAX_KEPT = 1_000


MAX_KEPT_IN_ALL = 32 << 20


_OBJECTS = (Global("builtins", "object"), Global("__builtin__", "object"))


#: Harmless functions that call what they are given: the place of it among their arguments, and
#: those it is called with.
_CALLERS: dict[tuple[str, str], tuple[int, Callable[[Any], Any]]] = {
    ("torch._tensor", "_rebuild_from_type_v2"): (
        0,
        lambda given: given[2] if len(given) > 2 else (),
    ),
    ("copyreg", "_reconstructor"): (1, lambda given: given[2:3]),
    ("copy_reg", "_reconstructor"): (1, lambda given: given[2:3]),
    ("numpy.random._pickle", "__randomstate_ctor"): (1, lambda given: given[:1]),
    ("numpy.random._pickle", "__generator_ctor"): (1, lambda given: given[:1]),
    ("numpy.random._pickle", "__bit_generator_ctor"): (0, lambda _: ()),
}


@dataclass(slots=True)
class Allowance:
    """What is left of the limits.

    Pickles of one archive share one: a thousand members are allowed no more than one file.
    """

    opcodes: int = MAX_OPCODES
    containers: int = MAX_CONTAINERS
    kept: int = MAX_KEPT_IN_ALL


class PickleState:
    """The state of a pickle while it is read: its values, its imports, and the limits left."""

    def __init__(self, tape: Tape, allowance: Allowance | None = None) -> None:
        self.tape = tape
        self.allowance = allowance or Allowance()
        self.stack: list[Any] = []
        #: The stacks below the marks; as in Python, nothing reaches below the last one.
        self.below: list[list[Any]] = []
        self.memo: dict[Any, Any] = {}
        self.imports: dict[Global, Import] = {}
        #: What is suspicious but no import: (sentence, offset).
        self.notes: list[tuple[str, int]] = []
        #: Whether anything that was imported is called or made, or may be.
        self.acts = False
        self._globals: dict[tuple[str, str], Global] = {}

    def keep(self, size: int) -> None:
        self.allowance.kept -= size + 56
        if self.allowance.kept < 0:
            raise UncheckedPickleError(
                f"its text is longer than {MAX_KEPT_IN_ALL:,} bytes in all", self.tape.position
            )

    def container(self, value: Any) -> None:
        self.allowance.containers -= 1
        if self.allowance.containers < 0:
            raise UncheckedPickleError(
                f"it makes more than {MAX_CONTAINERS:,} lists and objects", self.tape.position
            )
        self.stack.append(value)

    def to_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.below.pop()
        return items

    def get(self, key: Any) -> None:
        self.stack.append(self.memo[key])

    def put(self, key: Any) -> None:
        if type(key) is int and key >= MAX_MEMO and key not in self.memo:
            self.note(f"it asks for a memo of {key:,} entries, which takes gigabytes to load")
        if len(self.memo) >= MAX_MEMO:
            raise UncheckedPickleError(
                f"it keeps more than {MAX_MEMO:,} values in its memo", self.tape.position
            )
        self.memo[key] = self.stack[-1]

    def note(self, text: str) -> None:
        if len(self.notes) < MAX_NOTES:
            self.notes.append((text, self.tape.position))

    def import_(self, module: Any, name: Any) -> Global:
        """Record the import and return its symbol.

        Symbols are shared: a checkpoint imports the same few names thousands of times.
        """
        if type(module) is not str or type(name) is not str:
            if any(
                type(part) not in (str, bytes, Object, Blob, Global, Persistent)
                for part in (module, name)
            ):
                raise TypeError("names are text")
            self.acts = True
            self.note("it imports something whose name it works out")
            return UNKNOWN
        known = self._globals.get((module, name))
        if known is None:
            if len(self.imports) >= MAX_IMPORTS:
                raise UncheckedPickleError(
                    f"it has more than {MAX_IMPORTS:,} imports", self.tape.position
                )
            known = self._globals[module, name] = Global(module, name)
            self.imports.setdefault(known, Import(self.tape.position))
        return known

    def call(self, function: Any, arguments: Any) -> None:
        self.use(function, arguments, called=True)
        self.container(Object(function, arguments))

    def use(self, function: Any, arguments: Any, *, called: bool) -> None:
        """Notes that ``function`` is called, or an object of it made."""
        if type(function) is not Global:
            if type(function) not in (Object, Persistent, Blob) or (
                type(function) is Object and function.function is None
            ):
                raise TypeError("it is nothing that can be called")
            self.acts = True
            self.note("it calls what another call gives it")
            return
        self.acts = True
        found = self.imports.get(function)
        if found is None:
            return  # it stands for what could not be named, and is told of already
        if not called:
            found.made = True
            return
        found.called = True
        found.by_value = found.by_value and _is_value(arguments)
        if (caller := _CALLERS.get(function)) is not None:
            self.use_argument(arguments, *caller)

    def use_argument(self, arguments: Any, place: int, handed_on: Callable[[Any], Any]) -> None:
        if type(arguments) not in (tuple, list):
            self.note("it hands on arguments that it works out")
        elif place < len(arguments):
            given = arguments[place]
            if given in _OBJECTS:
                return  # of a class without a base of its own, nothing is called
            if type(given) is Global:
                self.use(given, handed_on(tuple(arguments)), called=True)
            elif type(given) in (Object, Persistent, Blob):
                self.note("it hands on a function that it works out")

    def change(self, target: Any) -> None:
        if type(target) is Global:
            self.acts = True
            self.note(
                f"it changes {str(target)[:80]!a} itself, for everything that runs in the same"
                " program"
            )

    def append(self, values: list[Any]) -> None:
        target = self.stack[-1]
        self.change(target)
        if type(target) is list:
            target.extend(values)
        elif isinstance(target, Object):
            target.items = target.items or []
            target.items.extend(enumerate(values, len(target.items)))

    def set_items(self, values: list[Any]) -> None:
        target = self.stack[-1]
        self.change(target)
        pairs = list(zip(values[::2], values[1::2], strict=True))
        if isinstance(target, Object):
            target.items = target.items or []
            target.items.extend(pairs)


def _is_value(arguments: Any) -> bool:
    """Whether these are the arguments of an enumeration lookup: one plain value."""
    return (
        type(arguments) is tuple
        and len(arguments) == 1
        and type(arguments[0]) in (str, int, float, bool)
    )
