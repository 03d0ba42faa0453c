"""Runs the stack machine of pickles on symbols instead of objects.

An import becomes a ``Global``, a call an ``Object`` that remembers it.

The machine continues wherever one of Python's unpicklers (the one in C, or the slow one that joblib
and pandas use) would, and stops only where both do. If a value is uncertain it is unknown, and the
walk continues: reporting more names than Python would import does no harm.

Source: CPython's ``Lib/pickletools.py``, which documents every opcode, ``Lib/pickle.py`` and
``Modules/_pickle.c``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from struct import unpack
from typing import Any

from discovery.engine.core.errors import InvalidHeader, UncheckedPickleError
from discovery.engine.pickles import pickle_joblib, pickle_text
from discovery.engine.pickles.opcode_stream import LineTooLong
from discovery.engine.pickles.pickle_state import MAX_KEPT, MAX_OPCODES, PickleState
from discovery.engine.pickles.pickle_values import UNKNOWN, Blob, Global, Object, Persistent

HIGHEST_PROTOCOL = 5
#: Python refuses frames that are longer than its largest index.
MAX_FRAME = (1 << 63) - 1

_STOP = 0x2E


class Machine(PickleState):
    """``run()`` reads one pickle from the tape.

    Imports, limits and ``notes`` are kept over all pickles of the file.
    """

    def run(self) -> Any:
        """The value of the pickle.

        Raises ``InvalidHeader`` when it is broken, ``UncheckedPickleError`` when it exceeds the
        limits.
        """
        self.stack, self.below, self.memo = [], [], {}
        return self.follow()

    def follow(self) -> Any:
        """Run from the current position to the end of the pickle."""
        next_byte, handlers, allowance = self.tape.byte, _HANDLERS, self.allowance
        try:
            while (code := next_byte()) != _STOP:
                handlers[code](self)
                allowance.opcodes -= 1
                if allowance.opcodes < 0:
                    raise UncheckedPickleError(
                        f"it has more than {MAX_OPCODES:,} instructions", self.tape.position
                    )
            self.tape.end()
            return self.stack.pop()
        except LineTooLong:
            raise UncheckedPickleError(
                "it has a line that does not seem to end", self.tape.position
            ) from None
        except (IndexError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise InvalidHeader(
                "an instruction of the pickle makes no sense", self.tape.position
            ) from error

    def fork(self) -> Machine:
        """A copy that continues from here, with the same allowance.

        Containers are shared: an item added by one is added for both.
        """
        other = Machine(self.tape.fork(), self.allowance)
        other.stack, other.below, other.memo = (
            list(self.stack),
            [list(each) for each in self.below],
            dict(self.memo),
        )
        other.imports = {reference: replace(found) for reference, found in self.imports.items()}
        other._globals = dict(self._globals)
        return other

    def may_go_on(self) -> bool:
        """Whether the next byte is an instruction."""
        return self.tape.peek() in INSTRUCTIONS

    # Each handler is one opcode, or several that differ in the width of their argument.

    def proto(self) -> None:
        version = self.tape.byte()
        if version > HIGHEST_PROTOCOL:
            raise InvalidHeader(f"there is no pickle protocol {version}", self.tape.position - 1)

    def frame(self) -> None:
        """Frames are for reading ahead: where one ends, and whether it is all there, is not asked
        by every unpickler.
        """
        length = self.tape.number(8)
        if length > MAX_FRAME:
            raise InvalidHeader("a frame is longer than any can be", self.tape.position)
        self.tape.begin_frame(length)

    def mark(self) -> None:
        self.below.append(self.stack)
        self.stack = []

    def pop(self) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.to_mark()

    def text(self, length: int, *, by_loader: bool = False) -> None:
        """``by_loader``: what letters the bytes are, or that they stay bytes, is the loader's
        choice.
        """
        if length > MAX_KEPT:
            return self.blob(length)
        self.keep(length)
        data = self.tape.take(length)
        return self.stack.append(
            data if by_loader and not data.isascii() else data.decode("utf-8", "replace")
        )

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

    def line_integer(self, long: bool) -> None:
        line = self.tape.line()
        self.keep(min(len(line), MAX_KEPT))
        self.stack.append(pickle_text.integer(line[:-1] if long and line.endswith(b"L") else line))

    def line_text(self, *, is_quoted: bool) -> None:
        position, line = self.tape.position, self.tape.line()
        if len(line) > MAX_KEPT:
            self.stack.append(Blob(position, len(line)))
            return
        self.keep(len(line))
        text = pickle_text.quoted(line) if is_quoted else line.decode("raw_unicode_escape")
        self.stack.append(text.decode() if isinstance(text, bytes) and text.isascii() else text)

    def line_get(self) -> None:
        if not self.memo:
            raise KeyError("nothing was kept")  # whatever the line says: it may be all the file
        self.get(pickle_text.memo_key(self.tape.line()))

    def line_put(self) -> None:
        if not self.stack:
            raise IndexError("there is nothing to keep")
        self.put(pickle_text.memo_key(self.tape.line()))

    def line_persistent(self) -> None:
        line = self.tape.line()
        line.decode("ascii")  # other bytes end every unpickler here
        self.container(Persistent(line[:MAX_KEPT]))

    def line_global(self) -> Global:
        module, name = self.tape.line(), self.tape.line()
        if len(module) + len(name) > MAX_KEPT:
            self.note("it imports something by a name of more than a line")
            return UNKNOWN
        return self.import_(module.decode("utf-8", "replace"), name.decode("utf-8", "replace"))

    def stack_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.stack.append(self.import_(module, name))

    def inst(self) -> None:
        function = self.line_global()
        self.call(function, tuple(self.to_mark()))

    def obj(self) -> None:
        function, *arguments = self.to_mark()
        self.call(function, tuple(arguments))

    def reduce(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        self.call(function, arguments)

    def new(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        self.use(function, arguments, called=False)
        self.container(Object(function, arguments))

    def new_with_keywords(self) -> None:
        keywords, arguments, function = self.stack.pop(), self.stack.pop(), self.stack.pop()
        self.use(function, arguments, called=False)
        self.container(Object(function, arguments, state=keywords))

    def extension(self, width: int) -> None:
        if not int.from_bytes(self.tape.take(width), "little", signed=width == 4) > 0:
            raise ValueError("there is no such number")
        self.note("it uses the extension registry, which hides what is imported")
        self.stack.append(UNKNOWN)

    def build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        self.change(target)
        if isinstance(target, Object):
            before, target.state = target.state, state
            if pickle_joblib.is_array(target):
                pickle_joblib.array(self, target, is_first=before is None)

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


def _push(value: Any) -> Callable[[Machine], None]:
    return lambda machine: machine.stack.append(value)


_HANDLERS: dict[int, Callable[[Machine], None]] = {
    ord(code): handler
    for code, handler in {
        "\x80": Machine.proto, "\x95": Machine.frame, "(": Machine.mark, "0": Machine.pop,
        "1": lambda m: m.to_mark() and None,
        "2": lambda m: m.stack.append(m.stack[-1]),
        "N": _push(None), "\x88": _push(True), "\x89": _push(False), ")": _push(()),
        "]": lambda m: m.container([]), "}": lambda m: m.container(Object()),
        "\x8f": lambda m: m.container([]),
        "J": lambda m: m.integer(4, True), "K": lambda m: m.stack.append(m.tape.byte()),
        "M": lambda m: m.integer(2),
        "\x8a": lambda m: m.integer(m.tape.byte(), True),
        "\x8b": lambda m: m.integer(m.tape.number(4), True),
        "I": lambda m: m.line_integer(False), "L": lambda m: m.line_integer(True),
        "F": lambda m: m.stack.append(pickle_text.real(m.tape.line())),
        "G": lambda m: m.stack.append(unpack(">d", m.tape.take(8))[0]),
        "S": lambda m: m.line_text(is_quoted=True), "V": lambda m: m.line_text(is_quoted=False),
        "X": lambda m: m.text(m.tape.number(4)), "\x8c": lambda m: m.text(m.tape.byte()),
        "\x8d": lambda m: m.text(m.tape.number(8)),
        "T": lambda m: m.text(m.tape.number(4), by_loader=True),
        "U": lambda m: m.text(m.tape.byte(), by_loader=True),
        "B": lambda m: m.bytes(m.tape.number(4)), "C": lambda m: m.bytes(m.tape.byte()),
        "\x8e": lambda m: m.bytes(m.tape.number(8)),
        "\x96": lambda m: m.bytes(m.tape.number(8)), "\x97": _push(Blob(0, 0)),
        "\x98": lambda m: m.stack[-1] and None,
        "t": lambda m: m.container(tuple(m.to_mark())), "l": lambda m: m.container(m.to_mark()),
        "d": Machine.dictionary,
        "\x91": lambda m: m.container(m.to_mark()), "\x85": lambda m: m.tuple(1),
        "\x86": lambda m: m.tuple(2), "\x87": lambda m: m.tuple(3),
        "a": Machine.pop_append, "e": lambda m: m.append(m.to_mark()),
        "\x90": lambda m: m.append(m.to_mark()),
        "s": Machine.set_item, "u": lambda m: m.set_items(m.to_mark()),
        "g": Machine.line_get,
        "h": lambda m: m.get(m.tape.byte()), "j": lambda m: m.get(m.tape.number(4)),
        "p": Machine.line_put,
        "q": lambda m: m.put(m.tape.byte()), "r": lambda m: m.put(m.tape.number(4)),
        "\x94": lambda m: m.put(len(m.memo)),
        "c": lambda m: m.stack.append(m.line_global()), "\x93": Machine.stack_global,
        "i": Machine.inst, "o": Machine.obj,
        "R": Machine.reduce, "\x81": Machine.new, "\x92": Machine.new_with_keywords,
        "b": Machine.build,
        "P": lambda m: m.line_persistent(),
        "Q": lambda m: m.container(Persistent(m.stack.pop())),
        "\x82": lambda m: m.extension(1), "\x83": lambda m: m.extension(2),
        "\x84": lambda m: m.extension(4),
    }.items()
}  # fmt: skip

#: The first bytes that a pickle can have.
INSTRUCTIONS = frozenset(_HANDLERS) | {_STOP}
