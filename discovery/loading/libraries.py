"""The libraries that loaders need.

They are imported on use; a missing one is reported with the extra that installs it.
"""

from __future__ import annotations

import re
import sys
from importlib import import_module, metadata
from importlib.util import find_spec
from typing import Any

from discovery.engine.core.text import clean
from discovery.loading.errors import LoadRefused, Unsupported
from discovery.loading.memory_errors import is_out_of_memory

#: Import name → the extra of this project that brings it; the others come with every installation.
EXTRAS = {
    "onnxruntime": "load",
    "onnx": "load",
    "torch": "torch",
    "transformers": "torch",
    "llama_cpp": "llama",
}

#: Older ones can be made to run code by files that they say they only read
#: (``torch.load(weights_only=True)``): nothing is given to them.
MINIMUM = {"torch": (2, 10)}
#: ``2.10.0+cpu`` → 2, 10 and the rest, where ``a0``, ``rc1`` and ``.dev2026`` are what came before
#: the release.
_VERSION = re.compile(r"v?(?:0!)?(\d+)(?:\.(\d+))?(?:\.\d+)*(.*)", re.DOTALL)
_BEFORE = re.compile(r"[-_.]?(a|alpha|b|beta|c|rc|pre|preview|dev)[-_.]?\d*", re.IGNORECASE)


def install_command(name: str) -> str:
    extra = EXTRAS.get(name)
    return f'pip install -e ".[{extra}]"' if extra else "pip install -e ."


def installed(name: str) -> bool:
    """Without importing it."""
    if name in sys.modules:
        return sys.modules[name] is not None
    return find_spec(name) is not None


def library(name: str) -> Any:
    """The module.

    Raises ``Unsupported``, ``LoadRefused`` for one that is too old to be given files, and
    ``MemoryError``.
    """
    if not installed(name):
        raise Unsupported(f"{name} is not installed here; it comes with {install_command(name)}")
    expect_current(name)
    try:
        module = import_module(name)
    except ImportError as error:
        if is_out_of_memory(error):
            raise MemoryError from error
        raise Unsupported(
            f"{name} is installed but cannot be imported: {error}. Install it again:"
            f" {install_command(name)}"
        ) from error
    _judge(name, getattr(module, "__version__", None) or _metadata(name))
    return module


def expect_current(name: str) -> None:
    """Check that the installed version is recent enough, without importing the library.

    Raises ``LoadRefused`` where it is known to be too old.
    """
    found = getattr(sys.modules.get(name), "__version__", None) or _metadata(name)
    if found is not None:
        _judge(name, found)


def _judge(name: str, found: object) -> None:
    """Raise ``LoadRefused`` for a version that is too old or unknown."""
    if name not in MINIMUM or (found is not None and _is_since(str(found), MINIMUM[name])):
        return
    wanted = ".".join(map(str, MINIMUM[name]))
    here = (
        f"{name} {clean(str(found), 40)} is installed here"
        if found is not None
        else f"The version of {name} that is installed here cannot be told"
    )
    raise LoadRefused(
        f"{here}, and a test load needs {name} {wanted} or newer, for older ones can run code from"
        f" a file. Update it: {install_command(name)}"
    )


def _is_since(found: str, minimum: tuple[int, int]) -> bool:
    match = _VERSION.fullmatch(found.strip())
    if match is None:
        return False
    release = int(match[1][:9]), int((match[2] or "0")[:9])
    return release > minimum or (release == minimum and not _BEFORE.match(match[3]))


def _metadata(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def version(module: Any) -> str:
    """``torch 2.13.0``; the name alone where the library does not tell its version."""
    found = _metadata(module.__name__)
    return f"{module.__name__} {found}" if found else str(module.__name__)
