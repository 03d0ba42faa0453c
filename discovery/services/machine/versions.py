"""What is installed, as its metadata says.

Nothing is imported to find out: torch alone takes seconds and 200 MB.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib import metadata

from django.conf import settings
from django.db import connection


@dataclass(frozen=True, slots=True)
class Program:
    """``version`` is ``None`` where the package is not installed."""

    name: str
    version: str | None


@dataclass(frozen=True, slots=True)
class Extra:
    """A package that is there for one purpose, and the extra of this project that installs it."""

    distribution: str
    purpose: str
    extra: str

    @property
    def version(self) -> str | None:
        return _installed(self.distribution)


EXTRAS = (
    Extra("onnxruntime", "test loads of ONNX models", "load"),
    Extra("torch", "test loads of Transformers models, with their weights", "torch"),
    Extra("transformers", "test loads of Transformers models", "torch"),
    Extra("llama-cpp-python", "test loads of GGUF models", "llama"),
    Extra("nvidia-ml-py", "memory of NVIDIA GPUs", "nvidia"),
    Extra("django-allauth", "sign-in through an OpenID Connect provider", "oidc"),
)


def programs() -> list[Program]:
    """What Karen Admin itself runs on."""
    return [
        Program("Karen Admin", own()),
        Program("Python", platform.python_version()),
        Program("Django", _installed("django")),
        Program(connection.display_name, ".".join(map(str, connection.get_database_version()))),
        Program(
            f"django-q2, on {'Redis' if settings.REDIS_URL else 'the database'}",
            _installed("django-q2"),
        ),
    ]


def own() -> str | None:
    """The version of Karen Admin; ``None`` in a checkout that nobody installed."""
    return _installed("karen-admin")


def _installed(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
