"""The stack machine of pickles, run on symbols: an import becomes a ``Global``, a call an ``Object`` that remembers it.

Source: CPython's ``Lib/pickletools.py``, which documents every opcode, and ``joblib/numpy_pickle.py`` for arrays between opcodes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from struct import unpack
from typing import Any

from discovery.engine.errors import InvalidHeader
from discovery.engine.pickle_tape import Tape
from discovery.engine.pickle_values import Blob, Global, Object, Persistent

#: Of all pickles of a file. A tensor in a state dict takes some fifty.
MAX_OPCODES = 1_500_000
MAX_CONTAINERS = 1_000_000
MAX_MEMO = 1_000_000
MAX_IMPORTS = 2_000
MAX_NOTES = 10
#: Text and numbers longer than this are not kept (a tensor's name is shorter), and no more than this in all.
MAX_KEPT = 1_000
MAX_KEPT_IN_ALL = 32 << 20
HIGHEST_PROTOCOL = 5

_STOP = 0x2E
_JOBLIB = "joblib.numpy_pickle.NumpyArrayWrapper"
_NUMPY_TYPE = re.compile(r"[<>=|]?([biufcmMSVU])(\d{1,9})")
_MAX_DIMENSIONS = 64


@dataclass(slots=True)
class Allowance:
    """What is left of the limits. Pickles of one archive share one: a thousand members are allowed no more than one file."""

    opcodes: int = MAX_OPCODES
    containers: int = MAX_CONTAINERS
    kept: int = MAX_KEPT_IN_ALL


class UncheckedPickleError(Exception):
    """Reading stopped before the end: the pickle is made to exhaust its reader, or of a kind that cannot be followed."""

    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.offset = offset


class Machine:
    """``run()`` reads one pickle from the tape. Imports, limits and ``notes`` are kept over all pickles of the file."""

    def __init__(self, tape: Tape, allowance: Allowance | None = None) -> None:
        self.tape = tape
        self.allowance = allowance or Allowance()
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.imports: dict[str, int] = {}
        #: What is suspicious but no import: (sentence, offset).
        self.notes: list[tuple[str, int]] = []
        self._globals: dict[tuple[Any, Any], Global] = {}

    def run(self) -> Any:
        """The value the pickle stands for. Raises ``InvalidHeader`` when it is broken, ``UncheckedPickleError`` when it goes too far."""
        self.stack, self.marks, self.memo = [], [], {}
        next_byte, handlers, allowance = self.tape.byte, _HANDLERS, self.allowance
        try:
            while (code := next_byte()) != _STOP:
                handlers[code](self)
                allowance.opcodes -= 1
                if allowance.opcodes < 0:
                    raise UncheckedPickleError(
                        f"it has more than {MAX_OPCODES:,} instructions", self.tape.position
                    )
            return self.stack.pop()
        except (IndexError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise InvalidHeader(
                "an instruction of the pickle makes no sense", self.tape.position
            ) from error

    # Each handler is one opcode, or several that differ in the width of their argument.

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
        at = self.marks.pop()
        items = self.stack[at:]
        del self.stack[at:]
        return items

    def proto(self) -> None:
        version = self.tape.byte()
        if version > HIGHEST_PROTOCOL:
            raise InvalidHeader(f"there is no pickle protocol {version}", self.tape.position - 1)

    def frame(self) -> None:
        self.tape.check(self.tape.number(8))

    def mark(self) -> None:
        self.marks.append(len(self.stack))

    def pop(self) -> None:
        if self.marks and self.marks[-1] == len(self.stack):
            self.marks.pop()
        else:
            self.stack.pop()

    def text(self, length: int) -> None:
        if length > MAX_KEPT:
            self.blob(length)
        else:
            self.keep(length)
            self.stack.append(self.tape.take(length).decode("utf-8", "replace"))

    def blob(self, length: int) -> None:
        self.stack.append(Blob(self.tape.position, length))
        self.tape.skip(length)

    def bytes(self, length: int) -> None:
        if length > MAX_KEPT:
            self.blob(length)
        else:
            self.keep(length)
            self.stack.append(self.tape.take(length))

    def integer(self, width: int, signed: bool = False) -> None:
        if width > MAX_KEPT:
            return self.blob(width)
        if width > 8:
            self.keep(width)
        return self.stack.append(int.from_bytes(self.tape.take(width), "little", signed=signed))

    def line_integer(self) -> None:
        """Anything that is no decimal number counts as 0: C's unpickler reads more notations, and what follows must still be seen."""
        line = self.tape.line().rstrip(b"L")
        self.keep(len(line))
        self.stack.append(int(line) if len(line) < MAX_KEPT and line.lstrip(b"-").isdigit() else 0)

    def line_text(self, encoding: str) -> None:
        position, line = self.tape.position, self.tape.line()
        if len(line) > MAX_KEPT:
            self.stack.append(Blob(position, len(line)))
        else:
            self.keep(len(line))
            self.stack.append(
                (line if encoding != "ascii" else line.strip(b"'\"")).decode(encoding, "replace")
            )

    def get(self, key: int) -> None:
        self.stack.append(self.memo[key])

    def put(self, key: int) -> None:
        if key >= MAX_MEMO:
            raise UncheckedPickleError(
                f"it asks for a memo of {key:,} entries, which takes gigabytes to load",
                self.tape.position,
            )
        self.memo[key] = self.stack[-1]

    def note(self, text: str) -> None:
        if len(self.notes) >= MAX_NOTES:
            raise UncheckedPickleError(text, self.tape.position)
        self.notes.append((text, self.tape.position))

    def import_(self, module: Any, name: Any) -> Global:
        """Notes the import; a value that stands for it. Shared: a checkpoint names the same few thousands of times."""
        known = (
            self._globals.get((module, name)) if type(module) is str and type(name) is str else None
        )
        if known is None:
            if type(module) is not str or type(name) is not str:
                self.note("it imports something whose name it works out")
                return Global("?", "?")
            if len(self.imports) >= MAX_IMPORTS:
                raise UncheckedPickleError(
                    f"it has more than {MAX_IMPORTS:,} imports", self.tape.position
                )
            known = self._globals[module, name] = Global(module, name)
            self.imports.setdefault(str(known), self.tape.position)
        return known

    def line_global(self) -> Global:
        module, name = self.tape.line(), self.tape.line()
        if len(module) + len(name) > MAX_KEPT:
            self.note("it imports something by a name of more than a line")
            return Global("?", "?")
        return self.import_(module.decode("utf-8", "replace"), name.decode("utf-8", "replace"))

    def stack_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.stack.append(self.import_(module, name))

    def inst(self) -> None:
        function = self.line_global()
        self.container(Object(function, tuple(self.to_mark())))

    def obj(self) -> None:
        function, *arguments = self.to_mark()
        self.container(Object(function, tuple(arguments)))

    def call(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        self.container(Object(function, arguments))

    def new_object_ex(self) -> None:
        keywords, arguments, function = self.stack.pop(), self.stack.pop(), self.stack.pop()
        self.container(Object(function, arguments, state=keywords))

    def extension(self, width: int) -> None:
        self.note("it uses the extension registry, which hides what is imported")
        self.tape.take(width)
        self.stack.append(Global("?", "?"))

    def build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, Object):
            target.state = state
            if _class_name(target) == _JOBLIB:
                self.joblib_array(state)

    def joblib_array(self, state: Any) -> None:
        """joblib puts the array's bytes right here: one byte that says how much padding follows, the padding, the data.

        That byte is below 0x20 and so no opcode: whoever reads the file as a plain pickle stops at it, and nothing can hide behind.
        """
        if not isinstance(state, Object):
            raise TypeError("the state of an array is a dict")
        shape, dtype = state.get("shape"), state.get("dtype")
        code = dtype.arguments[0] if isinstance(dtype, Object) and dtype.arguments else None
        known = _NUMPY_TYPE.fullmatch(code) if isinstance(code, str) else None
        if (
            not known
            or not state.get("numpy_array_alignment_bytes")
            or len(shape) > _MAX_DIMENSIONS
            or any(type(n) is not int for n in shape)
        ):
            raise UncheckedPickleError(
                "it keeps an array of joblib's that cannot be followed", self.tape.position
            )
        padding = self.tape.byte()
        if padding >= 0x20:
            raise UncheckedPickleError(
                "an array of joblib's does not start as it should", self.tape.position
            )
        self.tape.skip(padding)
        self.tape.skip(prod(shape) * int(known[2]) * (4 if known[1] == "U" else 1))

    def append(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is list:
            target.extend(values)
        elif isinstance(target, Object):
            target.items = target.items or []
            target.items.extend(enumerate(values, len(target.items)))

    def set_items(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, Object):
            target.items = target.items or []
            target.items.extend(zip(values[::2], values[1::2], strict=True))

    def pop_append(self) -> None:
        value = self.stack.pop()
        self.append([value])

    def set_item(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.set_items([key, value])

    def tuple(self, count: int) -> None:
        values = self.stack[-count:]
        del self.stack[-count:]
        if len(values) != count:
            raise IndexError
        self.container((*values,))

    def dictionary(self) -> None:
        values = self.to_mark()
        self.container(Object())
        self.set_items(values)


def _class_name(target: Object) -> str:
    function = target.function
    if (
        isinstance(function, Global)
        and function.name == "_reconstructor"
        and type(target.arguments) is tuple
        and target.arguments
    ):
        function = target.arguments[0]
    return str(function) if isinstance(function, Global) else ""


def _push(value: Any) -> Callable[[Machine], None]:
    return lambda machine: machine.stack.append(value)


_HANDLERS: dict[int, Callable[[Machine], None]] = {
    ord(code): handler
    for code, handler in {
        "\x80": Machine.proto, "\x95": Machine.frame, "(": Machine.mark, "0": Machine.pop, "1": lambda m: m.to_mark() and None,
        "2": lambda m: m.stack.append(m.stack[-1]),
        "N": _push(None), "\x88": _push(True), "\x89": _push(False), ")": _push(()),
        "]": lambda m: m.container([]), "}": lambda m: m.container(Object()), "\x8f": lambda m: m.container([]),
        "J": lambda m: m.integer(4, True), "K": lambda m: m.stack.append(m.tape.byte()), "M": lambda m: m.integer(2),
        "\x8a": lambda m: m.integer(m.tape.byte(), True), "\x8b": lambda m: m.integer(m.tape.number(4), True),
        "I": Machine.line_integer, "L": Machine.line_integer,
        "F": lambda m: m.stack.append(float(m.tape.line())), "G": lambda m: m.stack.append(unpack(">d", m.tape.take(8))[0]),
        "S": lambda m: m.line_text("ascii"), "V": lambda m: m.line_text("raw_unicode_escape"),
        "X": lambda m: m.text(m.tape.number(4)), "\x8c": lambda m: m.text(m.tape.byte()), "\x8d": lambda m: m.text(m.tape.number(8)),
        "T": lambda m: m.text(m.tape.number(4)), "U": lambda m: m.text(m.tape.byte()),
        "B": lambda m: m.bytes(m.tape.number(4)), "C": lambda m: m.bytes(m.tape.byte()), "\x8e": lambda m: m.bytes(m.tape.number(8)),
        "\x96": lambda m: m.bytes(m.tape.number(8)), "\x97": _push(None), "\x98": lambda _: None,
        "t": lambda m: m.container(tuple(m.to_mark())), "l": lambda m: m.container(m.to_mark()), "d": Machine.dictionary,
        "\x91": lambda m: m.container(m.to_mark()), "\x85": lambda m: m.tuple(1), "\x86": lambda m: m.tuple(2), "\x87": lambda m: m.tuple(3),
        "a": Machine.pop_append, "e": lambda m: m.append(m.to_mark()), "\x90": lambda m: m.append(m.to_mark()),
        "s": Machine.set_item, "u": lambda m: m.set_items(m.to_mark()),
        "g": lambda m: m.get(int(m.tape.line())), "h": lambda m: m.get(m.tape.byte()), "j": lambda m: m.get(m.tape.number(4)),
        "p": lambda m: m.put(int(m.tape.line())), "q": lambda m: m.put(m.tape.byte()), "r": lambda m: m.put(m.tape.number(4)),
        "\x94": lambda m: m.put(len(m.memo)),
        "c": lambda m: m.stack.append(m.line_global()), "\x93": Machine.stack_global, "i": Machine.inst, "o": Machine.obj,
        "R": Machine.call, "\x81": Machine.call, "\x92": Machine.new_object_ex, "b": Machine.build,
        "P": lambda m: m.container(Persistent(m.tape.line()[:MAX_KEPT])), "Q": lambda m: m.container(Persistent(m.stack.pop())),
        "\x82": lambda m: m.extension(1), "\x83": lambda m: m.extension(2), "\x84": lambda m: m.extension(4),
    }.items()
}  # fmt: skip
