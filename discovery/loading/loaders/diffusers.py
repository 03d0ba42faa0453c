"""Load Diffusers pipelines by their index.

Every component that model_index.json names is present, and all weights can be read.

Source: https://huggingface.co/docs/diffusers/using-diffusers/loading (``model_index.json``)
"""

from __future__ import annotations

import os
from typing import Any

from discovery.engine.core import names
from discovery.engine.core.text import human_bytes, plural
from discovery.engine.sidecars import json_file
from discovery.loading import weights
from discovery.loading.errors import LoadFailed
from discovery.loading.job import Job
from discovery.loading.libraries import library
from discovery.loading.loaders import pytorch, safetensors

NAME = "diffusers"
INDEX = "model_index.json"

#: Components that are settings and vocabularies, by the end of their class name.
_WEIGHTLESS = (
    "Tokenizer",
    "TokenizerFast",
    "Scheduler",
    "FeatureExtractor",
    "Processor",
    "ImageProcessorFast",
)


def load(job: Job) -> str:
    folder = weights.home(job, INDEX)
    assert folder is not None  # what chose this loader
    index = _index(job, folder)
    components = _components(index)
    missing = [
        problem
        for name, source in components.items()
        if (problem := _missing(folder, name, source))
    ]
    if missing:
        raise LoadFailed(f"{INDEX} names components that are not whole: {'; '.join(missing[:5])}.")
    count = size = 0
    for path in job.files:
        found = _read(job, path)
        count, size = count + found[0], size + found[1]
    pipeline = str(index.get("_class_name", "The pipeline"))[:80]
    return (
        f"{pipeline}: all {plural(len(components), 'component')} are there; all"
        f" {plural(count, 'tensor')} ({human_bytes(size)}) were read."
    )


def _index(job: Job, folder: str) -> dict[str, Any]:
    path = os.path.join(folder, INDEX)
    weights.inside(job, os.path.relpath(path, job.root))
    with open(path, "rb") as stream:
        parsed = json_file.parse_object(stream.read(json_file.MAX_BYTES + 1))
    if not isinstance(parsed.data, dict):
        raise LoadFailed(f"{INDEX} cannot be read: {parsed.fault}.")
    return parsed.data


def _components(index: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Return {name: (library, class)} of the components.

    Those that the pipeline does without are ``[null, null]``.
    """
    pairs = {
        name: source
        for name, source in index.items()
        if not name.startswith("_") and isinstance(source, list) and len(source) == 2
    }
    chosen = {
        name: (source[0], source[1])
        for name, source in pairs.items()
        if isinstance(source[0], str) and isinstance(source[1], str)
    }
    if not chosen:
        raise LoadFailed(f"{INDEX} names no components.")
    return chosen


def _missing(folder: str, name: str, source: tuple[str, str]) -> str | None:
    """Return what the component lacks; ``None`` when it is complete."""
    if os.path.basename(name) != name or name in ("", ".", ".."):
        return f"{name[:80]!r} is not a folder name"
    try:
        files = [entry.name for entry in os.scandir(os.path.join(folder, name))]
    except OSError:
        return f"there is no folder {name}"
    weightless = source[1].endswith(_WEIGHTLESS) or source[0] not in ("diffusers", "transformers")
    if not weightless and not any(names.weight_format(file) for file in files):
        return f"{name} ({source[1][:80]}) has no weights"
    if not files:
        return f"the folder {name} is empty"
    return None


def _read(job: Job, path: str) -> tuple[int, int]:
    """(tensors, their bytes) of one weight file."""
    real, header = weights.check(job, path)
    if header.format == "pytorch":
        return pytorch.load_file(library("torch"), real, job)
    safetensors.touch(real, header)
    return len(header.tensors), sum(tensor.size for tensor in header.tensors)
