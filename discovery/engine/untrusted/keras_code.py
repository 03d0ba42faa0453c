"""What a Keras configuration would import or run, one object at a time.

Source: ``keras.saving.deserialize_keras_object``, which imports ``module`` and takes ``class_name``
from it, or looks up ``registered_name``.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from discovery.engine.core.vocabulary import Severity

#: Problem code, severity, what it does, and to what or whom: ``module.name``, a layer.
Judgement = tuple[str, Severity, str, str]

#: Packages of Keras itself.
_PACKAGES = frozenset(
    {"keras", "tf_keras", "keras_core", "keras_hub", "keras_nlp", "keras_cv", "tensorflow"}
)
#: Their modules whose functions are made to be named in a configuration.
_FUNCTIONS = frozenset(
    {
        "activations",
        "losses",
        "metrics",
        "initializers",
        "regularizers",
        "constraints",
        "ops",
        "nn",
        "math",
    }
)
#: Where Keras keeps them in its own tree: ``keras.src.activations.activations``.
_INNER = frozenset({"src", "python", "keras", "_tf_keras", "api", "v1", "v2", "compat"})

#: Functions of Python's that do no harm.
_PLAIN = frozenset({
    "int", "float", "bool", "str", "list", "dict", "tuple", "set", "bytes", "complex", "slice",
    "abs", "max", "min", "sum", "pow", "round",
})  # fmt: skip

#: Classes that hold or fetch code.
_WRAPPERS = {
    "TorchModuleWrapper": (
        Severity.ERROR,
        "holds a pickled PyTorch module, which is unpickled when the model is loaded",
    ),
    "JaxLayer": (Severity.WARNING, "calls a function of its author's"),
    "FlaxLayer": (Severity.WARNING, "calls a module of its author's"),
    "TFSMLayer": (Severity.WARNING, "loads a further model from a place of its author's choice"),
    "KerasLayer": (Severity.WARNING, "loads a further model from a place of its author's choice"),
}
#: Settings of layers that are read from a file where they are a text.
_FILES = ("vocabulary", "filepath", "idf_weights", "handle")


def is_lambda(kind: str) -> bool:
    """``Lambda``, ``keras.layers.Lambda``, ``Custom>Lambda``, and the function that a Lambda layer
    holds.
    """
    return kind.rpartition(">")[2].rpartition(".")[2] in ("Lambda", "__lambda__")


def judged(item: Mapping[str, Any]) -> Iterator[Judgement]:
    """(problem code, severity, effect) of everything that loading this object would run; empty if
    it is not a Keras object.
    """
    kind = item.get("class_name")
    if not isinstance(kind, str):
        return
    registered = item.get("registered_name")
    if is_lambda(kind) or (isinstance(registered, str) and is_lambda(registered)):
        yield (
            "lambda_layer",
            Severity.ERROR,
            (
                "has a Lambda layer, which holds Python code that runs when the model is loaded:"
                " never load it"
            ),
            "Lambda",
        )
        return
    short = kind.rpartition(">")[2].rpartition(".")[2]
    if short in _WRAPPERS:
        severity, what = _WRAPPERS[short]
        yield (
            ("unsafe_config" if severity is Severity.ERROR else "remote_code"),
            severity,
            f"has the layer {short}, which {what}",
            short,
        )
    yield from _imported(item, kind)
    config = item.get("config")
    settings = config if isinstance(config, Mapping) else {}
    for key in _FILES:
        if isinstance(value := settings.get(key), str) and value:
            yield (
                "file_op",
                Severity.WARNING,
                (
                    f"has {short[:60]} read {key} from {value[:120]!r}, a file of the machine that"
                    " loads the model"
                ),
                f"{short}.{key}",
            )


def _imported(item: Mapping[str, Any], kind: str) -> Iterator[Judgement]:
    module, registered = item.get("module"), item.get("registered_name")
    name = (
        item.get("config") if kind == "function" and isinstance(item.get("config"), str) else kind
    )
    name = str(name).rpartition(">")[2]
    if isinstance(module, str) and module:
        yield from _from_module(module, name)
    package, _, _ = registered.rpartition(">") if isinstance(registered, str) else ("", "", "")
    if package and package.partition(".")[0] not in _PACKAGES:
        yield (
            "foreign_import",
            Severity.WARNING,
            f"needs {str(registered)[:120]}, a class that its author registers with Keras",
            str(registered),
        )


def _from_module(module: str, name: str) -> Iterator[Judgement]:
    root, *rest = module.split(".")
    shown = f"{module[:128]}.{name[:128]}"
    if root == "builtins":
        # Keras serializes its own plain functions under ``builtins``: only names that Python has
        # there are Python's.
        if callable(getattr(builtins, name, None)) and name not in _PLAIN:
            yield (
                "unsafe_import",
                Severity.ERROR,
                f"imports {shown}, which runs when the model is loaded: never load it",
                shown,
            )
    elif root not in _PACKAGES:
        if root in sys.stdlib_module_names:
            yield (
                "unsafe_import",
                Severity.ERROR,
                f"imports {shown}, which has no place in a model: never load it",
                shown,
            )
        else:
            yield (
                "foreign_import",
                Severity.WARNING,
                f"imports {shown}, which is not part of Keras: read it before you load the model",
                shown,
            )
    elif not name.rpartition(".")[2][:1].isupper() and name != "function":
        own = [part for part in rest if part not in _INNER]
        if own and own[0] not in _FUNCTIONS:
            yield (
                "unsafe_import",
                Severity.ERROR,
                (
                    f"calls {shown}, a function of Keras that no layer needs: it can fetch, read or"
                    " write files"
                ),
                shown,
            )
