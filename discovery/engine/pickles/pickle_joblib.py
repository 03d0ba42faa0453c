"""Arrays that joblib puts between the instructions of a pickle, where its own unpickler finds them
and others do not.

joblib's reads the bytes that follow the description of an array as the array; any other unpickler
takes them for instructions. Both readings are followed. Source: ``joblib/numpy_pickle.py``
(``NumpyArrayWrapper``, ``NumpyUnpickler.load_build``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING, Any

from discovery.engine.core.errors import InvalidHeader, UncheckedPickleError
from discovery.engine.pickles.pickle_values import Global, Object, children

if TYPE_CHECKING:
    from discovery.engine.pickles.pickle_machine import Machine

_ARRAY = Global("joblib.numpy_pickle", "NumpyArrayWrapper")
_TYPE = re.compile(r"[<>=|]?([biufcmMSVU])(\d{1,9})")
_MAX_DIMENSIONS = 64
_MAX_PARTS = 1_000


def is_array(target: Object) -> bool:
    return _ARRAY in (target.function, _rebuilt(target))


def _rebuilt(target: Object) -> Any:
    """The class of an object that was made as protocols 0 and 1 make them."""
    is_rebuilt = isinstance(target.function, Global) and target.function.name == "_reconstructor"
    return (
        target.arguments[0]
        if is_rebuilt and type(target.arguments) is tuple and target.arguments
        else None
    )


def array(machine: Machine, target: Object, *, is_first: bool) -> None:
    """Follows what other unpicklers make of the array, then passes over it: padding (since joblib
    1.1), then numbers, or a pickle.

    Raises ``UncheckedPickleError`` where it is described in another way than joblib does.
    """
    _plain_reading(machine)
    state = target.state
    plain = (
        is_first
        and isinstance(state, Object)
        and (_rebuilt(target) is not None or target.arguments == ())
    )
    shape, dtype = (state.get("shape"), state.get("dtype")) if plain else (None, None)
    is_shape = (
        isinstance(shape, tuple)
        and len(shape) <= _MAX_DIMENSIONS
        and all(type(n) is int and n >= 0 for n in shape)
    )
    if not (
        isinstance(shape, tuple) and is_shape and isinstance(dtype, Object) and _is_type(dtype)
    ):
        raise UncheckedPickleError(
            "it keeps an array of joblib's that cannot be followed", machine.tape.position
        )
    if _holds_objects(dtype):
        stack, below, memo = machine.stack, machine.below, machine.memo
        machine.run()
        machine.stack, machine.below, machine.memo = stack, below, memo
        return
    known = _TYPE.fullmatch(dtype.arguments[0])
    if known is None:
        raise UncheckedPickleError(
            "it keeps an array of joblib's of an unknown type", machine.tape.position
        )
    if state.get("numpy_array_alignment_bytes") is not None:
        machine.tape.skip(machine.tape.byte())
    machine.tape.skip(prod(shape) * int(known[2]) * (4 if known[1] == "U" else 1))


def _plain_reading(machine: Machine) -> None:
    """What is imported and used before the array's bytes make no sense as instructions."""
    if not machine.may_go_on():
        return
    other = machine.fork()
    try:
        other.follow()
    except InvalidHeader:
        pass
    except UncheckedPickleError as error:
        raise UncheckedPickleError(
            f"it hides instructions in an array of joblib's ({error.reason})", error.offset
        ) from error
    if other.acts:
        machine.acts = True
        machine.notes += other.notes
        for reference, found in other.imports.items():
            machine.imports.setdefault(reference, found).merge(found)


def _is_type(dtype: Any) -> bool:
    return (
        isinstance(dtype, Object)
        and type(dtype.arguments) is tuple
        and bool(dtype.arguments)
        and type(dtype.arguments[0]) is str
    )


def _holds_objects(dtype: Object) -> bool:
    """Whether the type is of objects, or one of its fields is: such arrays are a pickle of their
    own.
    """
    return any(
        _is_type(part) and part.arguments[0].lstrip("|<>=").startswith("O")
        for part in _parts(dtype)
    )


def _parts(dtype: Object) -> Iterator[Any]:
    waiting: list[Any] = [dtype]
    seen: set[int] = set()
    while waiting and len(seen) < _MAX_PARTS:
        part = waiting.pop()
        if id(part) not in seen:
            seen.add(id(part))
            yield part
            waiting += children(part)
