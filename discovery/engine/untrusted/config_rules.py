"""What single objects and texts of a configuration name: code to import, call or fetch."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from discovery.engine.core.text import clean
from discovery.engine.core.vocabulary import Severity
from discovery.engine.pickles.pickle_imports import judge_name
from discovery.engine.sidecars.yaml_file import Tagged
from discovery.engine.untrusted import keras_code

#: Libraries whose own classes configurations name: installed code, not the model's.
LIBRARIES = frozenset({
    "accelerate", "apex", "asteroid", "asteroid_filterbanks", "audiocraft", "bitsandbytes",
    "detectron2", "diffusers", "einops", "espnet", "espnet2",
    "fairseq", "keras", "kornia", "k_diffusion", "ldm", "lightning", "lightning_fabric", "megatron",
    "mlflow", "monai", "nemo", "numpy", "omegaconf",
    "onnxruntime", "optimum", "peft", "pyannote", "pytorch_lightning", "sentence_transformers",
    "sgm", "sklearn", "speechbrain", "stable_diffusion",
    "tensorflow", "tf_keras", "timm", "torch", "torchaudio", "torchmetrics", "torchvision",
    "transformers", "xformers",
})  # fmt: skip


#: Keys whose value is imported and called, in Hydra's configurations and those in its manner.
CALLS = frozenset({"_target_", "class_path", "loader_module", "_class_path_"})


#: Modules of MLflow's that load what lies beside the file: they bring no code of the model's along.
_LOADERS = re.compile(r"mlflow(?:\.[a-z_]\w*)+")


#: Keys that mean the same where their value looks like nothing but a dotted name.
MAY_CALL = frozenset({
    "target", "callable", "func", "function", "factory", "entry_point", "entrypoint", "constructor",
    "import_path", "python_class", "py_class",
    "class_name", "class", "init_fn", "loader", "callback", "hook",
})  # fmt: skip


_DOTTED = re.compile(r"[A-Za-z_]\w*(?:[.:][A-Za-z_]\w*)+")


_FILE = re.compile(
    r"\.(?:json|jsonl|txt|ya?ml|toml|cfg|ini|csv|tsv|py|pt|pth|bin|onnx|gz|zip|tar|md|html?|png|"
    r"jpe?g|wav|model|vocab)$"
)


#: PyYAML's tags for Python that make nothing but plain values.
_PLAIN_TAGS = frozenset(
    {
        "none",
        "bool",
        "str",
        "unicode",
        "bytes",
        "int",
        "long",
        "float",
        "complex",
        "list",
        "tuple",
        "dict",
    }
)


_PYTHON_TAG = re.compile(r"(?:tag:yaml\.org,2002:|!!?)python/(\w+)(?:/(\w+))?:?(.*)", re.DOTALL)


_HYPER_TAG = re.compile(r"!(new|name|apply|module):(.+)", re.DOTALL)


_EXPRESSION = re.compile(
    r"\b(?:__\w+__|eval|exec|open|compile|getattr|os|sys|subprocess|shutil|importlib|socket|pickle|"
    r"ctypes)\b"
)


class Naming(NamedTuple):
    """Something that a configuration names.

    ``reason`` continues a sentence that begins with the file's name: ``names x.Y …``.

    ``subject``: what is named, independent of the wording of the reason. ``file``: the Python file
    that contains it, if the model includes it.
    """

    code: str
    severity: Severity
    reason: str
    subject: str
    file: str = ""


def reference(name: str) -> Severity | None:
    """How bad a dotted name is that is imported and called: ``None`` for a class of a known
    library.
    """
    severity = judge_name(name)
    is_class = name.rpartition(".")[2][:1].isupper()
    if severity is Severity.WARNING and is_class and name.partition(".")[0] in LIBRARIES:
        return None
    return severity


def _auto_map(item: Mapping[str, Any]) -> Iterator[Naming]:
    value = item.get("auto_map")
    found = list(value.values()) if isinstance(value, dict) else []
    pipelines = item.get("custom_pipelines")
    for each in pipelines.values() if isinstance(pipelines, dict) else ():
        found += [each.get("impl")] if isinstance(each, dict) else []
    for entry in found:
        for name in entry if isinstance(entry, list) else [entry]:
            if isinstance(name, str):
                yield of_model(name)


def of_model(name: str) -> Naming:
    """``modeling_x.Class``, or ``other/repository--modeling_x.Class`` for code that is fetched."""
    elsewhere, _, local = name.rpartition("--")
    module, _, cls = local.rpartition(".")
    file = f"{module.replace('.', '/')}.py"
    where = (
        f"{clean(file, 80)} of {clean(elsewhere, 80)}, fetched when it is needed"
        if elsewhere
        else f"{clean(file, 80)} in its folder"
    )
    text = f"names {clean(cls, 80)} from {where}: with trust_remote_code a program runs that code"
    return Naming("remote_code", Severity.WARNING, text, name, "" if elsewhere else file)


def _trusted(item: Mapping[str, Any]) -> Iterator[Naming]:
    if item.get("trust_remote_code") in (True, "true", "True", "yes", "on"):
        text = "sets trust_remote_code: programs that follow it run code that comes with models"
        yield Naming("remote_code", Severity.WARNING, text, "trust_remote_code")


def _parent_library(item: Mapping[str, Any]) -> Iterator[Naming]:
    library = item.get("parent_library")
    if isinstance(library, str) and library.partition(".")[0] not in LIBRARIES:
        text = (
            f"has the library of adapters import {clean(library, 120)}: read that module before you"
            " load it"
        )
        yield Naming("remote_code", Severity.WARNING, text, library)


def _kernels(item: Mapping[str, Any]) -> Iterator[Naming]:
    for key in (
        "_attn_implementation",
        "attn_implementation",
        "_attn_implementation_internal",
        "use_kernels",
        "kernel_config",
    ):
        value = item.get(key)
        for name in value.values() if isinstance(value, dict) else [value]:
            if isinstance(name, str) and "/" in name:
                text = (
                    f"has {clean(name, 120)} fetched as {key}: compiled code that runs where the"
                    " model does"
                )
                yield Naming("remote_code", Severity.WARNING, text, name)


def _calls(item: Mapping[str, Any]) -> Iterator[Naming]:
    for key, value in item.items():
        if not isinstance(value, str) or not isinstance(key, str) or isinstance(value, Tagged):
            continue
        certain = key in CALLS
        if (
            not (certain or key in MAY_CALL)
            or not _DOTTED.fullmatch(value)
            or (not certain and _FILE.search(value))
        ):
            continue
        if key == "class_name" and "config" in item:
            continue  # Keras, which has rules of its own
        if key == "loader_module" and _LOADERS.fullmatch(value):
            continue
        name = value.replace(":", ".")
        severity = reference(name)
        if severity is Severity.ERROR:
            yield Naming(
                "unsafe_config",
                severity,
                f"names {clean(name, 120)} ({key}): a program that follows it calls that, never"
                " load it",
                name,
            )
        elif severity and (certain or "params" in item or "init_args" in item):
            text = (
                f"names {clean(name, 120)} ({key}), code of no library that is known: read it"
                " before you load the model"
            )
            yield Naming("remote_code", severity, text, name)


def _keras(item: Mapping[str, Any]) -> Iterator[Naming]:
    for found in keras_code.judged(item):
        yield Naming(*found)


RULES: tuple[Callable[[Mapping[str, Any]], Iterator[Naming]], ...] = (
    _auto_map,
    _trusted,
    _parent_library,
    _kernels,
    _calls,
    _keras,
)


def tagged_naming(item: Tagged) -> Iterator[Naming]:
    if python := _PYTHON_TAG.fullmatch(item.tag):
        kind, more, name = (
            python[1],
            python[2] or "",
            python[3] or (str(item) if python[1] in ("name", "module") else ""),
        )
        if kind in _PLAIN_TAGS:
            return
        severity = (
            (reference(name) if "." in name else judge_name(f"{name}.{name}"))
            if name
            else Severity.WARNING
        )
        if severity is None:
            return
        what = f"python/{kind}{'/' + more if more else ''}:{name}"
    elif hyper := _HYPER_TAG.fullmatch(item.tag):
        name, what = hyper[2], item.tag[1:]
        severity = reference(name)
        if severity is None:
            return
    else:
        return
    code = "unsafe_config" if severity is Severity.ERROR else "remote_code"
    yield Naming(
        code,
        severity,
        f"has the tag {clean(what, 120)}: a program that reads it with Python's full loader runs"
        " that",
        what,
    )


def expressions(objects: Iterable[dict[str, Any]]) -> Iterator[Naming]:
    """MONAI evaluates texts that begin with a dollar sign."""
    texts = (
        value
        for item in objects
        for each in item.values()
        for value in (each if isinstance(each, list) else [each])
    )
    found = [
        value
        for value in texts
        if isinstance(value, str) and value.startswith("$") and not value.startswith(("${", "$@"))
    ]
    if not found:
        return
    worst = next((value for value in found if _EXPRESSION.search(value)), None)
    shown = clean(worst or found[0], 80)
    if worst:
        yield Naming(
            "unsafe_config",
            Severity.ERROR,
            f"holds the Python expression {shown}, which MONAI evaluates: never load it",
            "expression",
        )
    else:
        yield Naming(
            "remote_code",
            Severity.WARNING,
            f"holds Python expressions ({shown}) that MONAI evaluates: read them before you load"
            " the model",
            "expression",
        )
