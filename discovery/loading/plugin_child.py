"""The child process of a plugin: questions on stdin, answers on stdout, a line each.

``python -m discovery.loading.plugin_child``. The limits come before the plugin's code.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import ModuleType
from typing import Any

import msgspec

from discovery.loading import light_engine  # noqa: F401  (before all that imports the engine)

# isort: split
from discovery.loading import confine, guard, landlock, limits, seccomp
from discovery.loading.memory_errors import is_out_of_memory
from discovery.loading.plugin_messages import Description, Setup, Source, encode
from discovery.plugins import ModelDiscoveryPlugin, ModelMetadata, ModelRegistryPlugin

METHODS = ("can_handle", "extract_metadata", "detect_modalities")
#: Of what an exception says.
MAX_REASON = 300
#: What ``inspect.getdoc`` would import a lot for.
_MAX_SUMMARY = 300

Send = Callable[[Any], None]


def main() -> None:
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the plugin prints is no answer
    questions = os.fdopen(os.dup(0), "rb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)

    def send(message: Any) -> None:
        answer.write(encode(message))
        answer.flush()

    setup = msgspec.convert(json.loads(questions.readline()), Setup)
    limits.hold(setup.parent, setup.memory_bytes, setup.cpu_seconds)
    _confine(setup)
    guard.install(os.getcwd(), server=None, where="a plugin")
    _serve(setup, questions, send)
    os._exit(0)


def _confine(setup: Setup) -> None:
    """Take from this process what the system lets it give up, for good.

    The plugin keeps its user, so that it may read what the scan may read.
    """
    if sys.platform != "linux":
        return
    with suppress(OSError):  # an old kernel; the filter and the guard are left
        landlock.restrict(
            [
                *((path, landlock.READ) for path in (*confine.LOOKED_AT, *setup.readable)),
                (os.devnull, landlock.USE),
                (os.getcwd(), landlock.CHANGE),
            ]
        )
    with suppress(OSError):  # another machine than the filter knows; the guard is left
        seccomp.install()


def _serve(setup: Setup, questions: io.BufferedReader, send: Send) -> None:
    try:
        classes = _classes(setup.source)
        plugin = classes[setup.source.class_name]() if setup.source.class_name else None
    except KeyError:
        send({"error": f"It has no class {setup.source.class_name}."})
        return
    # A module that is imported may raise what it likes.
    except BaseException as error:  # noqa: BLE001
        send({"error": _reason(error, setup)})
        return
    send({"classes": [_described(name, each) for name, each in classes.items()]})
    for line in questions:
        question = json.loads(line)
        for path in question["paths"]:
            try:
                value = {"value": _ask(plugin, question["about"], path)}
            except BaseException as error:  # noqa: BLE001
                value = {"error": _reason(error, setup)}
            send(value)


def _ask(plugin: Any, about: str, path: str) -> Any:
    if about == "claim":
        return _plain(plugin.can_handle(path))
    if about == "models":
        return _plain(plugin.read_models(path))
    told = {"metadata": _metadata(plugin.extract_metadata(path))}
    told["modalities"] = _plain(plugin.detect_modalities(path))
    for name in ("collect_evidence", "check"):
        method = getattr(plugin, name, None)
        told[name] = _plain(method(path)) if callable(method) else None
    return told


def _metadata(value: Any) -> Any:
    if isinstance(value, ModelMetadata):
        value = value.as_dict()
    return _plain(value)


def _plain(value: Any, depth: int = 0) -> Any:
    """``value`` as JSON. Raises ``TypeError`` for what cannot be said in it."""
    if isinstance(value, bool | int | float) or value is None:
        return value
    if isinstance(value, str):
        return str(value)
    if depth < 8 and isinstance(value, dict):
        return {str(key): _plain(item, depth + 1) for key, item in value.items()}
    if depth < 8 and isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, depth + 1) for item in value]
    raise TypeError(f"It returned {type(value).__name__}, which is not data.")


def _classes(source: Source) -> dict[str, type]:
    module = _module(source)
    found = {
        name: each
        for name, each in vars(module).items()
        if isinstance(each, type)
        and each is not ModelDiscoveryPlugin
        and (each.__module__ == module.__name__ or name == source.class_name)
        and (issubclass(each, ModelDiscoveryPlugin) or all(hasattr(each, n) for n in METHODS))
    }
    registries = {
        name: each
        for name, each in vars(module).items()
        if isinstance(each, type)
        and issubclass(each, ModelRegistryPlugin)
        and each is not ModelRegistryPlugin
    }
    if source.class_name in registries:
        return {source.class_name: registries[source.class_name]}
    if not found and not registries:
        raise LookupError("It has no class with can_handle, extract_metadata, detect_modalities.")
    return found


def _module(source: Source) -> ModuleType:
    sys.path[:0] = source.paths
    if not source.file:
        return importlib.import_module(source.module)
    spec = importlib.util.spec_from_file_location(source.module, source.file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{source.file} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[source.module] = module
    spec.loader.exec_module(module)
    return module


def _described(name: str, each: type) -> Description:
    suffixes = getattr(each, "suffixes", ())
    told = suffixes if isinstance(suffixes, tuple | list) else ()
    return Description(
        class_name=name,
        version=str(getattr(each, "version", "") or "")[:60],
        label=str(getattr(each, "label", "") or "")[:60],
        summary=next(_lines(each), "")[:_MAX_SUMMARY],
        suffixes=tuple(str(suffix)[:60] for suffix in told[:50]),
    )


def _lines(each: type) -> Iterator[str]:
    return (line.strip() for line in (each.__doc__ or "").splitlines() if line.strip())


def _reason(error: BaseException, setup: Setup) -> str:
    if is_out_of_memory(error):
        return (
            f"It needs more memory than the {setup.memory_bytes / (1 << 30):,.1f} GiB it may use."
        )
    words = " ".join(str(error).split())[:MAX_REASON]
    if isinstance(error, SyntaxError):
        return f"Line {error.lineno} has a syntax error: {error.msg}."
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


if __name__ == "__main__":
    main()
