"""Small checkpoints as NumPy and gensim write them."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np

Shapes = Mapping[str, tuple[int, ...]]


def npz(path: Path, shapes: Shapes, **more: bytes) -> None:
    """Arrays of zeros; ``more`` are arrays of bytes, ``__`` standing for a colon in their names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    texts = {
        name.replace("__", ":", 1).replace("__", "."): np.frombuffer(text, np.int8)
        for name, text in more.items()
    }
    with path.open("wb") as file:
        np.savez(file, **arrays, **texts)


def gensim(path: Path, arrays: Sequence[str] = ("vectors",), rows: int = 20) -> None:
    """Word vectors whose pickle names ``arrays`` that are kept beside it, and those arrays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _class("gensim.models.keyedvectors", "KeyedVectors") as made:
        vectors = made()
        vectors.__dict__.update(
            {"vector_size": 4, "index_to_key": ["a"] * rows, "__numpys": list(arrays)}
        )
        path.write_bytes(pickle.dumps(vectors, 4))
    for name in arrays:
        np.save(path.with_name(f"{path.name}.{name}.npy"), np.zeros((rows, 4), np.float32))


@contextmanager
def _class(module: str, name: str) -> Iterator[type]:
    """A class that pickles call by the name of another library's."""
    parts = module.split(".")
    dotted = [".".join(parts[: number + 1]) for number in range(len(parts))]
    own = [each for each in dotted if each not in sys.modules]
    sys.modules.update({each: ModuleType(each) for each in own})
    made = type(name, (), {"__module__": module})
    setattr(sys.modules[module], name, made)
    try:
        yield made
    finally:
        for each in own:
            del sys.modules[each]
