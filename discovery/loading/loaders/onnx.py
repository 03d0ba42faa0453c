"""Load ONNX graphs with ``onnx.checker``, then onnxruntime on the CPU.

The session runs once on inputs generated from the graph's own ports.

Sources: https://onnx.ai/onnx/api/checker.html and
https://onnxruntime.ai/docs/api/python/api_summary.html
"""

from __future__ import annotations

import os
from typing import Any

from discovery.engine.core.text import plural
from discovery.loading import weights
from discovery.loading.errors import LoadFailed, Unsupported
from discovery.loading.job import Job
from discovery.loading.libraries import install_command, installed, library, version

NAME = "onnx"

#: Numbers tried for dimensions that the graph leaves open, until a run succeeds: 1 fits most,
#: images want more.
SIZES = (1, 8, 64, 224)
#: Inputs of more values than this are not made up.
MAX_VALUES = 1 << 28

_NUMPY = {
    "float": "float32", "double": "float64", "float16": "float16", "int8": "int8", "int16": "int16",
    "int32": "int32", "int64": "int64",
    "uint8": "uint8", "uint16": "uint16", "uint32": "uint32", "uint64": "uint64", "bool": "bool",
}  # fmt: skip


#: How the run-time says that an operator comes from a library that it does not have.
_FOREIGN = ("not a registered function/op", "No Op registered for", "No opset import for domain")


class _CannotMakeUp(Exception):
    """An input of a kind that no value can be made up for."""


def load(job: Job) -> str:
    paths = [path for path, _ in weights.each(job)]
    faults = [fault for path in paths if (fault := _fault(path))] if installed("onnx") else []
    if not installed("onnxruntime"):
        if faults:
            raise LoadFailed(faults[0])
        raise Unsupported(
            f"onnxruntime is not installed here; it comes with {install_command('onnxruntime')}"
        )
    runtime = library("onnxruntime")
    told = "; ".join(_run(runtime, path) for path in paths)
    # The run-time has the last word: the checker holds exporters to the letter of the
    # specification.
    return " ".join([f"{version(runtime)}: {told}.", *faults])


def _fault(path: str) -> str | None:
    """What ``onnx.checker`` objects to; ``None`` for nothing."""
    onnx = library("onnx")
    try:
        onnx.checker.check_model(path)
    except onnx.checker.ValidationError as error:
        return f"onnx.checker objects to {os.path.basename(path)}: {_line(error)}"
    return None


def _run(runtime: Any, path: str) -> str:
    name = os.path.basename(path)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        if any(words in str(error) for words in _FOREIGN):
            raise Unsupported(
                f"{name} uses operators of a library of its own, which is never loaded here:"
                f" {_line(error)}"
            ) from error
        raise
    nodes = (
        f"{name} loaded with {plural(len(session.get_inputs()), 'input')} and"
        f" {plural(len(session.get_outputs()), 'output')}"
    )
    opened = any(not isinstance(size, int) for port in session.get_inputs() for size in port.shape)
    fault = ""
    for size in SIZES if opened else SIZES[:1]:
        try:
            session.run(None, {port.name: _value(port, size) for port in session.get_inputs()})
        except _CannotMakeUp as error:
            return f"{nodes}, not run: {error}"
        # The run-time's own exceptions have no common base.
        except Exception as error:  # noqa: BLE001
            fault = fault or _line(error)
        else:
            return f"{nodes} and run once on made-up values"
    if opened:
        return (
            f"{nodes}; no run succeeded, for the sizes it leaves open had to be guessed ({fault})"
        )
    raise LoadFailed(f"{name} loads, but running it on made-up values fails: {fault}")


def _value(port: Any, size: int) -> Any:
    numpy = library("numpy")
    kind = port.type.removeprefix("tensor(").removesuffix(")")
    shape = [length if isinstance(length, int) else size for length in port.shape]
    values = 1
    for length in shape:
        values *= length
    if kind == "string":
        return numpy.full(shape, "", dtype=object)
    if kind not in _NUMPY:
        raise _CannotMakeUp(f"its input {port.name[:80]!r} is of the type {port.type[:80]}")
    if values > MAX_VALUES:
        raise _CannotMakeUp(f"its input {port.name[:80]!r} has {values:,} values")
    return numpy.zeros(shape, dtype=_NUMPY[kind])


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
