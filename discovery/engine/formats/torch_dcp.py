"""Checkpoints of ``torch.distributed.checkpoint``: ``.metadata``, a pickle that names every tensor,
and ``*.distcp`` files with the tensors.

Source: ``torch/distributed/checkpoint/metadata.py`` of https://github.com/pytorch/pytorch.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator
from math import prod
from typing import Any, BinaryIO

from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.format_registry import Format
from discovery.engine.core.parameters import DTYPE_BITS, count_parameters, main_dtype
from discovery.engine.core.types import Header, Tensor
from discovery.engine.core.vocabulary import ModelType
from discovery.engine.formats import torch_contents
from discovery.engine.pickles.pickle_values import Global, Object
from discovery.engine.pickles.pickles import Scanner

NAME = "torch_dcp"

LIST = ".metadata"
DATA = ".distcp"
_OURS = b"torch.distributed.checkpoint.metadata"
HEAD_BYTES = 4_096
MAX_TENSORS = 200_000
#: States of a training, by the first part of their names.
_TRAINING = ("optim", "lr_scheduler", "scheduler", "train_state", "dataloader", "rng_state")
DTYPES = {
    "float32": "F32", "float16": "F16", "bfloat16": "BF16", "float64": "F64", "int64": "I64",
    "int32": "I32", "int8": "I8", "uint8": "U8", "bool": "BOOL", "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
}  # fmt: skip


def read(stream: BinaryIO, size: int) -> Header:
    """Raises ``NotThisFormat`` or ``InvalidHeader``."""
    head = stream.read(HEAD_BYTES)
    stream.seek(0)
    if _OURS not in head:
        raise NotThisFormat("it does not list what a checkpoint of torch.distributed holds")
    scanner = Scanner(stream, size)
    contents = torch_contents.Contents()
    root = scanner.load()
    contents.add_scanned(scanner)
    state = _state(root)
    told = state.get("state_dict_metadata") if state else None
    if type(told) is not Object:
        raise InvalidHeader("it lists no tensors")
    tensors = [each for each in _tensors(told) if not each.name.startswith(_TRAINING)]
    return Header(
        format=NAME,
        tensors=tensors,
        metadata={"container": "pickle"},
        parameter_count=count_parameters(tensors) or None,
        dtype=main_dtype(tensors),
        imports=list(contents.imports),
        problems=contents.problems,
    )


def _state(made: Any) -> Object | None:
    state = made.state if type(made) is Object else None
    return state if type(state) is Object else None


def _tensors(told: Object) -> Iterator[Tensor]:
    for name, entry in (told.items or ())[:MAX_TENSORS]:
        state = _state(entry)
        shape = _shape(state.get("size")) if state else None
        if type(name) is not str or state is None or shape is None:
            continue
        dtype = _dtype(state.get("properties"))
        size = prod(shape) * DTYPE_BITS.get(dtype, 0) // 8
        yield Tensor(name[:512], dtype, shape, -1, size)


def _shape(size: Any) -> tuple[int, ...] | None:
    """``torch.Size`` is made of a tuple, or of a list."""
    sides: Any = size.arguments if type(size) is Object else size
    if type(sides) is tuple and len(sides) == 1 and type(sides[0]) in (tuple, list):
        sides = sides[0]
    if type(sides) not in (tuple, list) or len(sides) > 32:
        return None
    return tuple(sides) if all(type(n) is int and 0 <= n < 1 << 40 for n in sides) else None


def _dtype(properties: Any) -> str:
    """A name of torch's is among the first parts of a tensor's properties."""
    waiting = [properties]
    for _ in range(20):
        if not waiting:
            break
        value = waiting.pop(0)
        if type(value) is Global and value.module == "torch" and value.name in DTYPES:
            return DTYPES[value.name]
        if type(value) is Object:
            waiting += [value.state, value.arguments, *(pair[1] for pair in value.items or ())]
        elif type(value) in (tuple, list):
            waiting += value[:10]
    return "F32"


def _is_folder(_folder: str, files: Collection[str], _folders: Collection[str]) -> bool:
    return LIST in files and any(name.endswith(DATA) for name in files)


def _is_data(path: str, others: Container[str]) -> bool:
    place, slash, _ = path.rpartition("/")
    return path.endswith(DATA) and f"{place}{slash}{LIST}" in others


FORMAT = Format(
    name=NAME,
    label="PyTorch distributed checkpoint",
    rank=270,
    type=ModelType.PYTORCH,
    names=((LIST, r"\.metadata"),),
    holds_pickles=True,
    is_folder=_is_folder,
    is_data=_is_data,
    read=read,
)
