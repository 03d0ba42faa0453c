"""The libraries that loaders need: imported when they are, and named with the extra that installs them when they are missing."""

from __future__ import annotations

import sys
from importlib import import_module, metadata
from importlib.util import find_spec
from typing import Any

from discovery.loading.errors import Unsupported
from discovery.loading.memory_errors import is_out_of_memory

#: Import name → the extra of this project that brings it; the others come with every installation.
EXTRAS = {
    "onnxruntime": "load",
    "onnx": "load",
    "torch": "torch",
    "transformers": "torch",
    "llama_cpp": "llama",
}


def install_command(name: str) -> str:
    extra = EXTRAS.get(name)
    return f'pip install -e ".[{extra}]"' if extra else "pip install -e ."


def installed(name: str) -> bool:
    """Without importing it."""
    if name in sys.modules:
        return sys.modules[name] is not None
    return find_spec(name) is not None


def library(name: str) -> Any:
    """The module. Raises ``Unsupported``, ``MemoryError``."""
    if not installed(name):
        raise Unsupported(f"{name} is not installed here; it comes with {install_command(name)}")
    try:
        return import_module(name)
    except ImportError as error:
        if is_out_of_memory(error):
            raise MemoryError from error
        raise Unsupported(
            f"{name} is installed but cannot be imported: {error}. Install it again: {install_command(name)}"
        ) from error


def version(module: Any) -> str:
    """``torch 2.13.0``; the name alone where the library does not tell its version."""
    try:
        return f"{module.__name__} {metadata.version(module.__name__)}"
    except metadata.PackageNotFoundError:
        return str(module.__name__)
