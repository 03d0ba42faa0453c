"""Code that a configuration names: JSON, YAML and Keras's own, walked to the bottom, every object
judged by the same few rules.

A configuration is data, yet loaders import what it names: Transformers ``auto_map``, Hydra
``_target_``, Keras ``module``, PyYAML a tag. Sources:
https://huggingface.co/docs/transformers/custom_models,
https://hydra.cc/docs/advanced/instantiate_objects/overview/,
https://keras.io/guides/serialization_and_saving/, https://pyyaml.org/wiki/PyYAMLDocumentation,
https://github.com/speechbrain/HyperPyYAML, https://docs.monai.io/en/stable/config_syntax.html,
https://mlflow.org/docs/latest/models.html.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from discovery.engine.core.text import clean
from discovery.engine.core.types import Problem
from discovery.engine.core.vocabulary import Severity
from discovery.engine.pickles.pickle_imports import judge_name
from discovery.engine.sidecars import yaml_file
from discovery.engine.sidecars.yaml_file import Tagged
from discovery.engine.untrusted import keras_code

#: Objects, lists and texts of one document.
MAX_NODES = 1_000_000
#: Things told of one file.
MAX_SHOWN = 20

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
_CALLS = frozenset({"_target_", "class_path", "loader_module", "_class_path_"})
#: Keys that mean the same where their value looks like nothing but a dotted name.
_MAY_CALL = frozenset({
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
    """One thing that a configuration names.

    ``reason`` follows the name of its file: ``names x.Y …``.

    ``subject``: what is named, the same however the reason is worded. ``file``: the Python file
    that holds it, where the model brings it.
    """

    code: str
    severity: Severity
    reason: str
    subject: str
    file: str = ""


#: What a JSON text holds that names code or has a template: a letter spelled by its number could be
#: any of it. Looked for one by one, which is faster than all at once by a pattern.
_TELLING = (
    b"auto_map",
    b"custom_pipelines",
    b"trust_remote_code",
    b"parent_library",
    b"attn_implementation",
    b"kernel",
    b"class_name",
    b"imports",
    b"chat_template",
    b"\\u",
)
_TELLING_KEY = re.compile(rb'"(?:%s)"' % "|".join(sorted(_CALLS | _MAY_CALL)).encode())


def is_telling(raw: bytes) -> bool:
    """``False`` for JSON that cannot name anything: most configurations, which need not be parsed
    for that.
    """
    return (
        raw[:2] in (b"\xff\xfe", b"\xfe\xff")
        or b"\0" in raw
        or any(word in raw for word in _TELLING)
        or _TELLING_KEY.search(raw) is not None
    )


def namings(document: Any) -> Iterator[Naming]:
    """What loading by this configuration would import, call or fetch.

    Objects that occur twice are looked at once; nothing recurses.

    Raises ``ValueError`` for more nodes than ``MAX_NODES``.
    """
    objects: list[dict[str, Any]] = []
    for item in _nodes(document):
        if isinstance(item, Tagged):
            yield from _tagged(item)
        else:
            objects.append(item)
            for rule in _RULES:
                yield from rule(item)
    if any("_target_" in item or "imports" in item for item in objects):
        yield from _expressions(objects)


def distinct(documents: Iterable[Any]) -> list[Naming]:
    """All that some documents name, each thing once, what would run first.

    Raises ``ValueError`` as :func:`namings`.
    """
    found = dict.fromkeys(naming for document in documents for naming in namings(document))
    return sorted(found, key=lambda naming: naming.severity is not Severity.ERROR)


def problems(name: str, raw: bytes) -> list[Problem]:
    """The same as problems of a file called ``name``, JSON or YAML; each thing once.

    What cannot be parsed is one of its own.
    """
    try:
        documents = (
            yaml_file.documents(raw) if not name.lower().endswith(".json") else [json.loads(raw)]
        )
        found = distinct(documents)
    except (ValueError, RecursionError) as error:
        text = (
            f"{name} cannot be checked for code that it names:"
            f" {str(error)[:200] or 'it nests too deep'}"
        )
        return [Problem("config_unchecked", text, "", Severity.WARNING, key=name)]
    shown = found[:MAX_SHOWN]
    told = [
        Problem(each.code, f"{name} {each.reason}", "", each.severity, key=f"{name}:{each.subject}")
        for each in shown
    ]
    if len(found) > len(shown):
        more = f"{name} names {len(found) - len(shown):,} more such things"
        told.append(Problem("remote_code", more, "", Severity.WARNING, key=f"{name}:more"))
    return told


def reference(name: str) -> Severity | None:
    """How bad a dotted name is that is imported and called: ``None`` for a class of a known
    library.
    """
    severity = judge_name(name)
    is_class = name.rpartition(".")[2][:1].isupper()
    if severity is Severity.WARNING and is_class and name.partition(".")[0] in LIBRARIES:
        return None
    return severity


# -- rules: what one object names


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
        certain = key in _CALLS
        if (
            not (certain or key in _MAY_CALL)
            or not _DOTTED.fullmatch(value)
            or (not certain and _FILE.search(value))
        ):
            continue
        if key == "class_name" and "config" in item:
            continue  # Keras, which has rules of its own
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


_RULES: tuple[Callable[[Mapping[str, Any]], Iterator[Naming]], ...] = (
    _auto_map,
    _trusted,
    _parent_library,
    _kernels,
    _calls,
    _keras,
)


def templates(document: Any) -> Iterator[tuple[str, str]]:
    """(name, chat template), wherever they stand: as a text, by name in a list or an object, the
    usual one without a name.
    """
    for item in _nodes(document):
        for key, value in item.items() if isinstance(item, dict) else ():
            if isinstance(key, str) and key.startswith("chat_template"):
                for name, template in _named(value):
                    if isinstance(template, str):
                        yield clean(str(name), 60), template


def _named(value: Any) -> Iterator[tuple[Any, Any]]:
    """``[{"name": …, "template": …}]``, ``{name: template}``, or a template."""
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from (
            (each.get("name", ""), each.get("template")) if isinstance(each, dict) else ("", each)
            for each in value
        )
    else:
        yield "", value


# -- tags and expressions


def _tagged(item: Tagged) -> Iterator[Naming]:
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


def _nodes(document: Any) -> Iterator[dict[str, Any] | Tagged]:
    """Every object and every tagged text of a document, once each."""
    waiting, seen = [document], set[int]()
    while waiting:
        item = waiting.pop()
        if isinstance(item, Tagged):
            yield item
        elif isinstance(item, dict | list) and id(item) not in seen:
            seen.add(id(item))
            if len(seen) + len(waiting) > MAX_NODES:
                raise ValueError(f"it holds more than {MAX_NODES:,} objects")
            waiting += item
            if isinstance(item, dict):
                waiting += item.values()
                yield item


def _expressions(objects: Iterable[dict[str, Any]]) -> Iterator[Naming]:
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
