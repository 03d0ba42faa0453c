"""Load GGUF files with gguf-py's reader, which touches every page of every tensor.

Then llama.cpp loads them, where llama-cpp-python is installed.

``GGUFReader`` hangs on hostile arrays and overflows on nested ones: it only sees files whose header
the engine's reader accepted. Sources: https://github.com/ggml-org/llama.cpp/tree/master/gguf-py and
https://llama-cpp-python.readthedocs.io
"""

from __future__ import annotations

import io
import mmap
import re
import sys
from contextlib import redirect_stderr
from typing import Any

from discovery.engine.core.text import human_bytes, plural
from discovery.engine.core.types import Header
from discovery.loading import weights
from discovery.loading.errors import LoadFailed, Unsupported
from discovery.loading.job import Job
from discovery.loading.libraries import install_command, installed, library, version

NAME = "gguf"

PAGE = 4_096
#: Mapped pages are given back after so many bytes: whatever else runs here keeps its memory.
PIECE = 64 << 20
#: Tokens that llama.cpp makes room for: loading is tried, not a long conversation.
CONTEXT = 512
#: The start of a file of version 1, in either byte order: neither gguf-py nor llama.cpp reads it
#: any more.
_OLD = (b"GGUF\1\0\0\0", b"GGUF\0\0\0\1")
#: A line of llama.cpp's log that says what is wrong; others quote the file's own texts.
_FAULT = re.compile(r"(gguf|llama)\w*: (error|failed|tensor|invalid|key)\b", re.IGNORECASE)
#: Projectors are loaded beside a model, never alone.
_NOT_ALONE = frozenset({"clip"})


def load(job: Job) -> str:
    files = weights.each(job)
    gguf = library("gguf")
    count = size = 0
    for path, header in files:
        _expect_support(path, header)
        reader = gguf.GGUFReader(path)
        tensors = reader.tensors
        if len(tensors) != len(header.tensors):
            raise LoadFailed(
                f"gguf reads {plural(len(tensors), 'tensor')} where the header states"
                f" {len(header.tensors):,}."
            )
        for tensor in tensors:
            _touch(tensor.data, reader.data.base)
        count += len(tensors)
        size += sum(int(tensor.n_bytes) for tensor in tensors)
    told = (
        f"{version(gguf)} opened {plural(len(files), 'file')} and read all"
        f" {plural(count, 'tensor')} ({human_bytes(size)})."
    )
    if files[0][1].metadata.get("general.architecture") in _NOT_ALONE:
        return told
    if not installed("llama_cpp"):
        return f"{told} To load it with llama.cpp as well: {install_command('llama_cpp')}"
    return f"{told} {_llama(files[0][0])}"


def _expect_support(path: str, header: Header) -> None:
    """Raise ``Unsupported`` for valid files that the reader would refuse."""
    with open(path, "rb") as stream:
        if stream.read(8) in _OLD:
            raise Unsupported(
                "It is a GGUF file of version 1, which its libraries do not read any more: convert"
                " it again."
            )
    unknown = next((tensor for tensor in header.tensors if tensor.dtype.startswith("TYPE_")), None)
    if unknown:
        number = unknown.dtype.removeprefix("TYPE_")
        raise Unsupported(
            f"Its tensor {unknown.name[:80]} has the type {number}, which is newer than what is"
            " installed here."
        )


def _touch(data: Any, mapped: mmap.mmap) -> None:
    """Read all of ``data``, an array over the mapped file.

    One byte of each page is enough.
    """
    raw = data.ravel().view("uint8")
    for start in range(0, raw.size, PIECE):
        raw[start : start + PIECE : PAGE].max()
        if sys.platform == "linux":
            mapped.madvise(mmap.MADV_DONTNEED)


def _llama(path: str) -> str:
    """Load the first shard with llama.cpp and return what happened.

    llama.cpp finds the other shards by their names. Its log says why when it refuses.
    """
    llama_cpp = library("llama_cpp")
    log = io.StringIO()
    try:
        with redirect_stderr(log):
            model = llama_cpp.Llama(
                model_path=path,
                n_ctx=CONTEXT,
                n_batch=32,
                n_threads=1,
                n_gpu_layers=0,
                use_mmap=True,
                verbose=True,
            )
    except ValueError as error:
        faults = [line for line in log.getvalue().splitlines() if _FAULT.match(line)]
        raise LoadFailed(
            "llama.cpp refuses it:"
            f" {' '.join((faults[0] if faults else str(error)).split())[:500]}."
        ) from error
    return f"llama.cpp loaded it with a context of {model.n_ctx():,} tokens."
