"""Choose the loader for a job.

The model's type, its variant's format and the installed libraries decide.
"""

from __future__ import annotations

from importlib import import_module
from typing import Protocol

from discovery.engine.core import format_registry
from discovery.engine.core.vocabulary import ModelType
from discovery.loading.job import TRANSFORMERS_TYPES, Job
from discovery.loading.libraries import installed
from discovery.loading.loaders import (
    diffusers,
    endpoint,
    transformers,
)
from discovery.loading.weights import home


class Loader(Protocol):
    """What each module of ``discovery.loading.loaders`` is.

    ``load`` says in a sentence what it did.

    It raises ``LoadFailed``, ``Unsupported``, ``LoadRefused``, or whatever the library raises.
    Libraries are imported when it is called and never before: the limits come first.
    """

    @property
    def NAME(self) -> str: ...  # noqa: N802

    def load(self, job: Job) -> str: ...


def loader_for(job: Job) -> Loader | None:
    """``None``: nothing here can load it."""
    if job.type == ModelType.OPENAI:
        return endpoint
    if job.format in ("safetensors", "pytorch"):
        if job.type == ModelType.DIFFUSERS and home(job, diffusers.INDEX):
            return diffusers
        if (
            job.type in TRANSFORMERS_TYPES
            and home(job, transformers.CONFIG)
            and installed("transformers")
        ):
            return transformers
    known = format_registry.get(job.format)
    if known is None or not known.loader:
        return None
    loader: Loader = import_module(known.loader)
    return loader
