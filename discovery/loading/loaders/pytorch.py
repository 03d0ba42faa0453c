"""PyTorch checkpoints by ``torch.load(weights_only=True)``, which builds tensors and runs nothing.

Where the weights do not fit, the tensors are built on the meta device (shapes without data) and the
file is read on its own: torch maps files copy-on-write, and the limit on memory counts that.

Source: https://docs.pytorch.org/docs/stable/generated/torch.load.html
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from discovery.engine.core.text import human_bytes, plural
from discovery.loading import weights
from discovery.loading.errors import LoadFailed, LoadRefused
from discovery.loading.job import Job
from discovery.loading.libraries import library, version

NAME = "pytorch"

PAGE = 4_096
BLOCK = 8 << 20
MAX_DEPTH = 20
#: What torch itself takes before it has read anything.
TORCH_BYTES = 512 << 20


def load(job: Job) -> str:
    files = weights.each(job)
    torch = library("torch")
    count = size = 0
    for path, _ in files:
        found = load_file(torch, path, job)
        count, size = count + found[0], size + found[1]
    return (
        f"{version(torch)} opened {plural(len(files), 'file')} with weights_only and read all"
        f" {plural(count, 'tensor')} ({human_bytes(size)})."
    )


def fits(job: Job) -> bool:
    """Return whether all weights of the job and torch fit into memory at the same time."""
    return job.weights_bytes + TORCH_BYTES <= job.memory_bytes


def load_file(torch: Any, path: str, job: Job) -> tuple[int, int]:
    """(tensors, their bytes).

    Raises ``Refused`` when it holds more than tensors, ``LoadFailed`` when it holds none.
    """
    with open(path, "rb") as stream:
        zipped = stream.read(2) == b"PK"
        # The layout before torch 1.6 can be neither mapped nor left on disk.
        real = fits(job) or not zipped
        while not real and stream.read(BLOCK):
            continue
    try:
        content = torch.load(
            path, map_location="cpu" if real else "meta", weights_only=True, mmap=real and zipped
        )
    except pickle.UnpicklingError as error:
        raise LoadRefused(
            "torch loads it only by running code from the file (weights_only=False), which is"
            f" never done here: {_first(error)}"
        ) from error
    except RuntimeError as error:
        if "TorchScript" in str(error):
            raise LoadRefused(
                "It is a TorchScript program, not a checkpoint: its code is never compiled here."
            ) from error
        raise
    tensors = list(_tensors(torch, content))
    storages = {
        storage._cdata: storage
        for tensor in tensors
        if (storage := _storage(torch, tensor)) is not None
    }
    if not tensors:
        raise LoadFailed("The checkpoint holds no tensors.")
    if real:
        for storage in storages.values():
            torch.empty(0, dtype=torch.uint8).set_(storage)[::PAGE].sum()
    return len(tensors), sum(storage.nbytes() for storage in storages.values())


def _first(error: Exception) -> str:
    """Return the first lines of torch's long explanation, which name the import."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = next(
        (line for line in lines if "GLOBAL" in line or "Unsupported" in line),
        lines[0] if lines else "",
    )
    return telling[:300]


def _storage(torch: Any, tensor: Any) -> Any | None:
    return tensor.untyped_storage() if tensor.layout == torch.strided else None


def _tensors(torch: Any, value: Any, depth: int = 0) -> Iterator[Any]:
    if isinstance(value, torch.Tensor):
        yield value
    elif depth < MAX_DEPTH:
        items = (
            value.values()
            if isinstance(value, Mapping)
            else (
                value if isinstance(value, Sequence) and not isinstance(value, (str, bytes)) else ()
            )
        )
        for item in items:
            yield from _tensors(torch, item, depth + 1)
