"""What a test load may read.

Python with its packages and libraries and, of the model, the job's own files and those that its
loader opens in the same folders. Links are resolved to their targets inside the root.
"""

from __future__ import annotations

import os
import ssl
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from itertools import islice
from pathlib import Path

from discovery.engine.identify import weights as engine_weights
from discovery.loading import choice, weights
from discovery.loading.errors import LoadFailed, LoadRefused
from discovery.loading.job import Job
from discovery.loading.loaders import diffusers, transformers

#: Of a folder beside the weights: more are no model's.
MAX_FILES = 1_000

#: Of this project: what the child imports. Its settings, data and configuration lie elsewhere.
_OWN = ("__init__.py", "startup.py", "engine", "loading")
_SYSTEM = (
    "/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib",
    "/nix/store", "/gnu/store",
    "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives",
    "/sys/devices/system/cpu", "/sys/devices/system/node",
)  # fmt: skip
_CERTIFICATES = (
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted",
    "/usr/share/ca-certificates",
)
#: Folders inside that of a Transformers model that its loader reads as well.
_INNER = ("additional_chat_templates",)


def home() -> Path:
    """The folder that holds this package."""
    return Path(__file__).resolve().parents[2]


@cache
def of_python() -> tuple[str, ...]:
    """Files and folders without which Python and its packages do not run; each is there.

    Links among them are kept as they are.
    """
    own = [str(home() / "discovery" / name) for name in _OWN]
    prefixes = {
        sys.prefix,
        sys.exec_prefix,
        sys.base_prefix,
        sys.base_exec_prefix,
        _home_of_executable(),
    }
    python = [
        os.path.join(prefix, part)
        for prefix in sorted(prefixes)
        for part in ("bin", "lib", "lib64", "pyvenv.cfg")
    ]
    paths = sysconfig.get_paths()
    packages = [
        *(paths[kind] for kind in ("stdlib", "platstdlib", "purelib", "platlib")),
        *(path for path in sys.path if path.endswith(("site-packages", "dist-packages"))),
    ]
    linked = [
        path
        for path in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)
        if os.path.isabs(path) and not _holds_more(path)
    ]
    named = [*_SYSTEM, *python, *packages, *linked, *own]
    return tuple(
        dict.fromkeys(
            path
            for name in named
            for path in (name, os.path.realpath(name))
            if os.path.exists(path)
        )
    )


def _home_of_executable() -> str:
    return os.path.dirname(os.path.dirname(os.path.realpath(sys.executable)))


def _holds_more(path: str) -> bool:
    """Return whether the folder holds more than libraries.

    It may hold this project with its data, or all of the system.
    """
    return os.path.realpath(path) in {str(folder) for folder in (home(), *home().parents)}


def of_servers() -> tuple[str, ...]:
    """The certificates by which servers are known."""
    defaults = ssl.get_default_verify_paths()
    named = (*_CERTIFICATES, *filter(None, (defaults.cafile, defaults.capath)))
    return tuple(
        dict.fromkeys(
            path
            for name in named
            for path in (name, os.path.realpath(name))
            if os.path.exists(path)
        )
    )


def of_job(job: Job) -> tuple[dict[str, str], list[str]]:
    """({path as it is named: the file that it leads to}, folders that may be listed).

    Raises ``LoadRefused`` when a weight file lies outside.
    """
    if job.endpoint:
        return {}, []
    files: dict[str, str] = {}
    for path in job.files:
        with suppress(LoadFailed):  # the child says so
            _add(files, job, path)
    folders: list[str] = []
    for path in islice(_beside(job, folders), MAX_FILES):
        with suppress(LoadFailed, LoadRefused):
            _add(files, job, path)
    return files, folders


def _add(files: dict[str, str], job: Job, path: str) -> None:
    entry = weights.inside(job, path)
    files[os.path.normpath(os.path.join(job.root, path))] = os.path.join(
        os.path.realpath(job.root), entry.link or path
    )


def _beside(job: Job, folders: list[str]) -> Iterator[str]:
    """Yield the files that the job's loader opens in addition to the weights.

    The paths are relative to the root; the folders that the loader lists are added to ``folders``.
    """
    loader = choice.loader_for(job)
    if loader is transformers and (folder := weights.home(job, transformers.CONFIG)):
        for place in (folder, *(os.path.join(folder, name) for name in _INNER)):
            yield from _files(job, place, folders)
    elif loader is diffusers and (folder := weights.home(job, diffusers.INDEX)):
        for place, _, _ in os.walk(folder):
            yield from _files(job, place, folders)
    elif job.format == "onnx":
        for path in job.files:
            folders.append(os.path.dirname(os.path.join(job.root, path)))
            yield from _external(job, path)


def _files(job: Job, folder: str, folders: list[str]) -> Iterator[str]:
    if os.path.isdir(folder):
        folders.append(folder)
        yield from (
            os.path.relpath(entry.path, job.root) for entry in os.scandir(folder) if entry.is_file()
        )


def _external(job: Job, path: str) -> Iterator[str]:
    """The files that hold the tensors of an ONNX graph."""
    with suppress(LoadFailed, LoadRefused):
        header = engine_weights.read(os.path.realpath(job.root), weights.inside(job, path)).header
        for name in (
            dict.fromkeys(external.location for external in header.externals) if header else ()
        ):
            yield os.path.join(os.path.dirname(path), name)
