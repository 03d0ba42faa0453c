"""Finds code that comes with a model and runs in programs that trust remote code.

Configs name it, or it is next to the weights.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Any

from discovery.engine.core.text import clean
from discovery.engine.core.vocabulary import Severity
from discovery.engine.disk.folder import ModelFolder
from discovery.engine.sidecars import json_file, yaml_file
from discovery.engine.untrusted import chat_templates, config_code, config_rules

MAX_REFERENCES = 10
#: Of the configurations of one folder; real ones have a few, each of a few kilobytes.
MAX_FILES = 200
MAX_FILE_BYTES = 2 << 20
MAX_BYTES = 16 << 20
#: Files of data that only look like configurations: words and their numbers, names of tensors, the
#: course of a training.
_DATA = re.compile(
    r"(?:^|/)(?:tokenizer|vocab|added_tokens|trainer_state|all_results|train_results|eval_results|"
    r"encoder)\.json$|\.index\.json$"
)
_CONFIGS = (".json", ".yaml", ".yml")
_TEMPLATES = (".jinja", ".jinja2", ".j2")
#: Python files that programs run because they lie there, and which programs those are.
_RUN = (
    (re.compile(r"(?:^|/)handler\.py$"), "inference servers run it as their handler"),
    (
        re.compile(r"(?:^|/)custom_generate/[^/]+\.py$"),
        "Transformers runs it to generate when it is told to trust the model",
    ),
    (re.compile(r"(?:^|code/)inference\.py$"), "SageMaker's servers run it"),
    (
        re.compile(r"^pipeline\.py$"),
        "Diffusers runs it as the pipeline's own code when it is told to trust the model",
    ),
    (re.compile(r"(?:^|/)\d+/model\.py$"), "Triton's Python backend runs it"),
    (re.compile(r"^(?:predict|service|model_handler|custom_handler)\.py$"), "serving tools run it"),
)


def note_configs(folder: ModelFolder) -> None:
    """Notes what every configuration and template of the folder names or reaches for."""
    names = [
        name
        for name in sorted(folder.entries)
        if name.lower().endswith((*_CONFIGS, *_TEMPLATES)) or name.rpartition("/")[2] == "MLmodel"
    ]
    wanted = [name for name in names if not _DATA.search(name)]
    left = MAX_BYTES
    for name in wanted[:MAX_FILES]:
        size = folder.entries[name].size
        if size > min(MAX_FILE_BYTES, left):
            folder.complain(
                "config_unchecked",
                name,
                f"{name} is too large to be searched for code that it names",
                Severity.WARNING,
            )
            continue
        left -= size
        _note_config(folder, name)
    if len(wanted) > MAX_FILES:
        text = (
            f"of {len(wanted):,} configurations only the first {MAX_FILES} were searched for code"
            " that they name"
        )
        folder.complain("config_unchecked", wanted[MAX_FILES], text, Severity.WARNING)


def _note_config(folder: ModelFolder, name: str) -> None:
    if name.lower().endswith(_TEMPLATES):
        if raw := folder.read(name, MAX_FILE_BYTES):
            note_template(folder, name, raw.decode("utf-8", "replace"))
        return
    documents = _documents(folder, name)
    try:
        found = config_code.distinct(documents)
    except ValueError as error:
        folder.complain(
            "config_unchecked",
            name,
            f"{name} cannot be checked for code that it names: {error}",
            Severity.WARNING,
        )
        return
    for naming in found[:MAX_REFERENCES]:
        _complain(folder, name, naming)
    if len(found) > MAX_REFERENCES:
        text = f"{name} names {len(found) - MAX_REFERENCES:,} more such things"
        folder.complain("remote_code", name, text, Severity.WARNING, key="more")
    for document in documents:
        for label, template in config_code.templates(document):
            note_template(folder, name, template, label)


def _documents(folder: ModelFolder, name: str) -> list[Any]:
    """What can be read of it: a file that no loader could parse names nothing."""
    raw = folder.read(name, MAX_FILE_BYTES)
    if not raw:
        return []
    if name.lower().endswith(".json"):
        if not config_code.is_telling(raw):
            return []
        parsed = json_file.parse(raw)
        return [] if parsed.data is None else [parsed.data]
    try:
        return yaml_file.documents(raw)
    except ValueError:
        if _PYTHON.search(raw):
            text = (
                f"{name} is not valid YAML and has a tag for Python: it cannot be checked for what"
                " it runs"
            )
            folder.complain("config_unchecked", name, text, Severity.WARNING)
        return []


_PYTHON = re.compile(rb"python/\w+|!(?:new|apply|name|module):")


def _complain(folder: ModelFolder, name: str, naming: config_rules.Naming) -> None:
    reason = naming.reason
    if naming.file:
        local = posixpath.join(posixpath.dirname(name), naming.file)
        reason = reason.replace(
            " in its folder:",
            (
                ", which lies beside it:"
                if naming.file in folder or local in folder
                else ", which is not here:"
            ),
        )
    folder.complain(naming.code, name, f"{name} {reason}", naming.severity, key=naming.subject)


#: Packages whose classes pipelines and Sentence Transformers modules may name: installed code, not
#: the model's.
_INSTALLED = (
    "diffusers",
    "transformers",
    "sentence_transformers",
    "onnxruntime",
    "optimum",
    "peft",
    "torch",
    "stable_diffusion",
    "numpy",
    "k_diffusion",
)


def _name(folder: ModelFolder, name: str, reference: str) -> None:
    _complain(folder, name, config_rules.of_model(reference))


def note_pipeline(folder: ModelFolder, pipeline: Mapping[str, Any]) -> None:
    """Parts of a Diffusers pipeline whose classes come from no installed library but from files of
    the pipeline.
    """
    own = pipeline.get("_class_name")
    if isinstance(own, list) and len(own) == 2 and all(isinstance(item, str) for item in own):
        _name(folder, "model_index.json", f"{own[0]}.{own[1]}")
    for part, value in list(pipeline.items())[:100]:
        if (
            isinstance(value, list)
            and len(value) == 2
            and all(isinstance(item, str) for item in value)
        ):
            library, cls = value
            if library.partition(".")[0] not in _INSTALLED and (
                f"{part}/{library}.py" in folder or f"{library}.py" in folder
            ):
                place = f"{part}/{library}" if f"{part}/{library}.py" in folder else library
                _name(folder, "model_index.json", f"{place.replace('/', '.')}.{cls}")


def note_modules(folder: ModelFolder, modules: Any) -> None:
    """Notes steps of a Sentence Transformers model whose class is not the library's."""
    for module in modules[:MAX_REFERENCES] if isinstance(modules, list) else ():
        kind = module.get("type") if isinstance(module, Mapping) else None
        if isinstance(kind, str) and kind.partition(".")[0] not in _INSTALLED:
            _name(folder, "modules.json", kind if "." in kind else f"{kind}.{kind}")


def note_files(folder: ModelFolder) -> None:
    """Python files that programs run because of their place, and those that nothing runs by
    itself.
    """
    named = {problem.message for problem in folder.problems if problem.code == "remote_code"}
    files = sorted(
        name
        for name in folder.entries
        if name.endswith(".py") and not any(name in text for text in named)
    )
    for name in files:
        if by := next((by for place, by in _RUN if place.search(name)), None):
            folder.complain(
                "remote_code",
                name,
                f"{name} lies beside the weights, and {by}: read it before you serve the model",
                Severity.WARNING,
            )
    quiet = [name for name in files if not any(place.search(name) for place, _ in _RUN)]
    if quiet:
        shown = ", ".join(quiet[:5]) + (f" and {len(quiet) - 5} more" if len(quiet) > 5 else "")
        folder.complain(
            "remote_code",
            quiet[0],
            f"code lies beside the weights, and no config asks for it: {clean(shown, 400)}",
            Severity.INFO,
        )


def note_template(folder: ModelFolder, name: str, template: str, label: str = "") -> None:
    """``label``: what the template is called among several of one file."""
    for problem in chat_templates.problems(
        f"the chat template {label} in {name}".replace("  ", " "), template, label
    ):
        folder.complain(problem.code, name, problem.message, problem.severity, key=problem.key)
