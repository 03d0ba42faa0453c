"""Where plugins are: the plugins folder, ``model_discovery.json`` and installed packages.

Nothing is imported here: code of a plugin runs in its child process alone.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from importlib import metadata
from importlib.machinery import PathFinder
from pathlib import Path

from django.conf import settings

from discovery.engine.core.service_words import PluginSource
from discovery.loading.plugin_messages import Source
from discovery.services.core import config_files

GROUP = "karen_admin.plugins"
#: A plugin is a few hundred lines; more than this is not looked at.
MAX_BYTES, MAX_FILES = 4 << 20, 500


@dataclass(frozen=True, slots=True)
class PluginFile:
    """A module that holds plugins.

    ``class_name`` is the only one that is meant; empty: all in it. ``digest`` is that of its code.
    ``fault`` is a sentence that says why it is not loaded.
    """

    source: Source
    kind: PluginSource
    path: str
    digest: str = ""
    fault: str = ""

    @property
    def module(self) -> str:
        return self.source.module

    @property
    def class_name(self) -> str:
        return self.source.class_name


def folder() -> Path:
    return Path(settings.PLUGINS_DIR)


def find() -> list[PluginFile]:
    """All plugin files: those that the config names first, in its order, then the folder's by
    name, then those of packages.
    """
    here = {each.module: each for each in _of_folder()}
    found: dict[tuple[str, str], PluginFile] = {}
    for dotted in config_files.discovery().plugins:
        module, _, class_name = dotted.rpartition(".")
        own = here.get(module)
        source = (
            Source(module=module, class_name=class_name, file=own.source.file, paths=_paths())
            if own
            else None
        )
        found[module, class_name] = (
            PluginFile(source, PluginSource.FOLDER, own.path, own.digest, own.fault)
            if own and source
            else _installed(module, class_name, PluginSource.CONFIG)
        )
    for each in here.values():
        found.setdefault((each.module, ""), each)
    for point in sorted(metadata.entry_points(group=GROUP), key=lambda point: point.name):
        module, class_name = point.module, point.attr
        version = point.dist.version if point.dist else ""
        installed = _installed(module, class_name, PluginSource.ENTRY_POINT, salt=version)
        found.setdefault((module, class_name), installed)
    return list(found.values())


def named(dotted: str) -> PluginFile:
    """The file of one class, of the folder or of a module that Python finds."""
    module, _, class_name = dotted.rpartition(".")
    own = next((each for each in _of_folder() if each.module == module), None)
    if own is None:
        return _installed(module, class_name, PluginSource.CONFIG)
    source = Source(
        module=module, class_name=class_name, file=own.source.file, paths=own.source.paths
    )
    return PluginFile(source, PluginSource.FOLDER, own.path, own.digest, own.fault)


def faults() -> list[str]:
    """Sentences about the files that are not loaded as they are."""
    return [each.fault for each in find() if each.fault]


def _paths() -> tuple[str, ...]:
    return (str(folder()),)


def _of_folder() -> Iterator[PluginFile]:
    top = folder()
    try:
        names = sorted(path.name for path in top.iterdir())
    except FileNotFoundError:
        return
    except OSError as error:
        told = f"The plugins folder {top} cannot be read: {error.strerror}."
        yield PluginFile(Source(module="plugins"), PluginSource.FOLDER, str(top), fault=told)
        return
    helpers = [top / name for name in names if name.endswith(".py") and name.startswith("_")]
    for name in names:
        path = top / name
        if name.startswith(("_", ".", "test_")):
            continue
        if name.endswith(".py"):
            yield _file(path, path.stem, [path, *helpers], top)
        elif (path / "__init__.py").is_file():
            yield _file(path / "__init__.py", name, [*_code(path), *helpers], top)


def _file(path: Path, module: str, code: list[Path], top: Path) -> PluginFile:
    fault = "" if module.isidentifier() else f"{path} is not loaded: {module} is not a module name."
    fault = fault or untrusted([top, *code])
    return PluginFile(
        Source(module=module, file=str(path), paths=_paths()),
        PluginSource.FOLDER,
        str(path),
        "" if fault else _digest(code),
        fault,
    )


def _installed(module: str, class_name: str, kind: PluginSource, salt: str = "") -> PluginFile:
    """A module that Python finds. Its packages are looked for without importing them."""
    where: list[str] | None = [path for path in sys.path if path] + [os.getcwd()]
    name, paths = "", [*_paths()]
    spec = None
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        spec = PathFinder.find_spec(name, where)
        if spec is None:
            break
        where = list(spec.submodule_search_locations or [])
        if not paths[1:]:
            top = where[0] if where else spec.origin or ""
            paths.append(os.path.dirname(top))
    source = Source(module=module, class_name=class_name, paths=tuple(paths))
    if spec is None or not spec.origin:
        named = f"{module}.{class_name}" if class_name else module
        told = f"The plugin {named} is not loaded: there is no module {name}."
        return PluginFile(source, kind, "", fault=told)
    path = Path(spec.origin)
    code = _code(path.parent) if path.name == "__init__.py" else [path]
    fault = untrusted(code)
    digest = "" if fault else _digest(code, salt)
    return PluginFile(source, kind, str(path), digest, fault)


def _code(package: Path) -> list[Path]:
    return sorted(package.rglob("*.py"))[:MAX_FILES]


def _digest(code: Iterable[Path], salt: str = "") -> str:
    told = sha256(salt.encode())
    for path in code:
        try:
            told.update(str(path).encode("utf-8", "surrogateescape"))
            with path.open("rb") as file:
                told.update(file.read(MAX_BYTES))
        except OSError:
            continue  # the child says that it cannot be read
    return told.hexdigest()


def untrusted(code: Iterable[Path]) -> str:
    """Why code is not loaded, in a sentence; empty when it may be.

    It has to belong to this process's user or to root, and nobody else may change it.
    """
    if sys.platform == "win32":
        return ""
    for path in code:
        try:
            status = path.stat()
        except OSError as error:
            return f"{path} is not loaded: it cannot be read ({error.strerror})."
        if status.st_uid not in (0, os.geteuid()):
            return (
                f"{path} is not loaded: it belongs to another user. Run chown so that it belongs to"
                " the user that runs Karen Admin, or to root."
            )
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return (
                f"{path} is not loaded: other users may change it. Run chmod go-w on it, then"
                " reload."
            )
    return ""
