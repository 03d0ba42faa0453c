"""Python's own unpicklers, asked what they would import: run as a process of its own, with
``find_class`` hooked. Nothing is imported.

Reads streams from standard input (four bytes of length, then the stream) and writes a line of JSON
for each: the names that were asked for. Standard library only; with ``--torch``, what is asked is
``torch.load``, and a stream is a whole checkpoint.
"""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import struct
import sys
from types import SimpleNamespace
from typing import Any

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

MEMORY_BYTES = 2 << 30
#: Pickles that follow each other in one stream.
MAX_LOADS = 20


class _Meta(type):
    def __getattr__(cls, name: str) -> Any:
        raise AttributeError(name)

    def append(cls, *_given: Any) -> None: ...

    def __setitem__(cls, _key: Any, _value: Any) -> None: ...


class Anything(metaclass=_Meta):
    """Stands for whatever a pickle asks for: it can be called, filled and given a state."""

    def __new__(cls, *_given: Any, **_named: Any) -> Anything:
        return object.__new__(cls)

    def __init__(self, *_given: Any, **_named: Any) -> None: ...

    def __call__(self, *_given: Any, **_named: Any) -> Anything:
        return Anything()

    def __setitem__(self, _key: Any, _value: Any) -> None: ...

    def append(self, *_given: Any) -> None: ...

    extend = add = update = append

    def __setstate__(self, _state: Any = None) -> None: ...


def _hooked(base: type[Any], asked: list[tuple[str, str]]) -> type[Any]:
    class Hooked(base):  # type: ignore[misc]
        def find_class(self, module: Any, name: Any) -> Any:
            asked.append((str(module), str(name)))
            return type("Asked", (Anything,), {})

        def persistent_load(self, _key: Any) -> Any:
            return Anything()

    return Hooked


def asked(stream: bytes) -> list[tuple[str, str]]:
    """What both unpicklers ask for, as loaders set them up."""
    names: list[tuple[str, str]] = []
    for base in (pickle.Unpickler, pickle._Unpickler):  # type: ignore[attr-defined]
        for options in (
            {},
            {"encoding": "utf-8"},
            {"encoding": "bytes"},
            {"encoding": "latin1", "buffers": [b"x"] * 20},
        ):
            # The one in C reads ahead where a stream can be peeked into, as files can.
            peeked = isinstance(options.get("buffers"), list)
            unpickler, source = (
                _hooked(base, names),
                io.BufferedReader(io.BytesIO(stream)) if peeked else io.BytesIO(stream),
            )  # type: ignore[arg-type]
            for _ in range(MAX_LOADS):
                try:
                    unpickler(source, **options).load()
                except Exception:
                    break  # whatever it is, the unpickler has stopped
    return list(dict.fromkeys(names))


def asked_by_torch(checkpoint: bytes) -> list[tuple[str, str]]:
    """What ``torch.load`` asks for when it trusts its file."""
    import torch

    names: list[tuple[str, str]] = []
    hooked = _hooked(pickle.Unpickler, names)
    module = SimpleNamespace(
        __name__="hooked",
        Unpickler=hooked,
        load=lambda file, **options: hooked(file, **options).load(),
    )
    with contextlib.suppress(Exception):
        torch.load(
            io.BytesIO(checkpoint), map_location="cpu", pickle_module=module, weights_only=False
        )
    return list(dict.fromkeys(names))


def main() -> None:
    ask = asked_by_torch if "--torch" in sys.argv else asked
    if resource and ask is asked:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    sys.setrecursionlimit(10_000)
    while len(length := sys.stdin.buffer.read(4)) == 4:
        stream = sys.stdin.buffer.read(struct.unpack("<I", length)[0])
        try:
            told = ask(stream)
        except MemoryError:
            told = []
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
