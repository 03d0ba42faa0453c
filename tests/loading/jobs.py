"""Jobs for files in a folder, and children whose loader is a few lines of Python."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import Any

from discovery.loading.job import Job

GIB = 1 << 30


def job(root: Path, *files: str, **fields: Any) -> Job:
    """``job(root, "model.safetensors")``; type and memory as most tests want them."""
    size = sum((root / name).stat().st_size for name in files if (root / name).is_file())
    defaults = {
        "type": "PYTORCH",
        "format": "safetensors",
        "weights_bytes": size,
        "memory_bytes": 4 * GIB,
        "cpu_seconds": 600,
    }
    return Job(root=str(root), files=files, **{**defaults, **fields})


def loading(body: str) -> list[str]:
    """The command of a child that is real in all but its loader: that one runs ``body``, which may
    ``return`` a sentence.
    """
    loader = (
        "class Loader:\n    NAME = 'made up'\n    @staticmethod\n    def load(job):\n"
        + textwrap.indent(textwrap.dedent(body), " " * 8)
    )
    start = (
        "import ctypes, json, os, resource, socket, subprocess, sys, time\nfrom discovery.loading"
        " import __main__ as child, choice\n"
    )
    return python(f"{start}{loader}\nchoice.loader_for = lambda job: Loader\nchild.main()\n")


def python(code: str) -> list[str]:
    """The command of a child that sets itself no limits and answers what it likes."""
    return [sys.executable, "-P", "-c", textwrap.dedent(code)]
