"""Code that comes with a model and runs when a program is told to trust it: named by configs, or lying beside the weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from discovery.engine import chat_templates
from discovery.engine.folder import Folder
from discovery.engine.text import clean
from discovery.engine.types import Severity

MAX_REFERENCES = 10
#: Packages whose classes pipelines and Sentence Transformers modules may name: installed code, not the model's.
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


def note_config(folder: Folder, name: str, config: Mapping[str, Any]) -> None:
    """``auto_map`` and ``custom_pipelines`` of a config, tokenizer or processor file: classes to be run from Python files."""
    references = dict.fromkeys(_references(config))
    for reference in list(references)[:MAX_REFERENCES]:
        _complain(folder, name, reference)


def _references(config: Mapping[str, Any]) -> Iterator[str]:
    auto_map = config.get("auto_map")
    for value in auto_map.values() if isinstance(auto_map, Mapping) else ():
        yield from (
            item
            for item in (value if isinstance(value, list) else [value])
            if isinstance(item, str)
        )
    pipelines = config.get("custom_pipelines")
    for value in pipelines.values() if isinstance(pipelines, Mapping) else ():
        if isinstance(value, Mapping) and isinstance(value.get("impl"), str):
            yield value["impl"]


def _complain(folder: Folder, name: str, reference: str) -> None:
    """``modeling_x.Class``, or ``other/repository--modeling_x.Class`` for code that is fetched."""
    elsewhere, _, local = reference.rpartition("--")
    module, _, cls = local.rpartition(".")
    file = f"{module.replace('.', '/')}.py"
    if elsewhere:
        where = f"{clean(file, 80)} of {clean(elsewhere, 80)}, fetched when it is needed"
    elif file in folder:
        where = f"{clean(file, 80)}, which lies beside it"
    else:
        where = f"{clean(file, 80)}, which is not here"
    text = f"{name} names {clean(cls, 80)} from {where}: with trust_remote_code a program runs that code"
    folder.complain("remote_code", name, text, Severity.WARNING)


def note_pipeline(folder: Folder, pipeline: Mapping[str, Any]) -> None:
    """Parts of a Diffusers pipeline whose classes come from no installed library but from files of the pipeline."""
    own = pipeline.get("_class_name")
    if isinstance(own, list) and len(own) == 2 and all(isinstance(item, str) for item in own):
        _complain(folder, "model_index.json", f"{own[0]}.{own[1]}")
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
                _complain(folder, "model_index.json", f"{place.replace('/', '.')}.{cls}")


def note_modules(folder: Folder, modules: Any) -> None:
    """Steps of a Sentence Transformers model (``modules.json``) whose class is none of the library's."""
    for module in modules[:MAX_REFERENCES] if isinstance(modules, list) else ():
        kind = module.get("type") if isinstance(module, Mapping) else None
        if isinstance(kind, str) and kind.partition(".")[0] not in _INSTALLED:
            _complain(folder, "modules.json", kind if "." in kind else f"{kind}.{kind}")


def note_files(folder: Folder) -> None:
    """Python files that no config names: nothing runs them by itself."""
    named = {problem.message for problem in folder.problems if problem.code == "remote_code"}
    files = [
        name
        for name in folder.entries
        if name.endswith(".py") and not any(name in text for text in named)
    ]
    if files:
        shown = ", ".join(sorted(files)[:5]) + (
            f" and {len(files) - 5} more" if len(files) > 5 else ""
        )
        folder.complain(
            "remote_code",
            min(files),
            f"code lies beside the weights, and no config asks for it: {clean(shown, 400)}",
            Severity.INFO,
        )


def note_template(folder: Folder, name: str, template: Any) -> None:
    """A chat template as text, or several by name (``[{"name": ..., "template": ...}]``)."""
    texts = [template] if isinstance(template, str) else []
    texts += (
        [
            item["template"]
            for item in template
            if isinstance(item, Mapping) and isinstance(item.get("template"), str)
        ]
        if isinstance(template, list)
        else []
    )
    for text in texts[:MAX_REFERENCES]:
        for oddity in chat_templates.oddities(text):
            code = "unsafe_template" if oddity.severity is Severity.ERROR else "odd_template"
            folder.complain(
                code,
                name,
                f"the chat template in {name} is not like those of other models: {oddity.reason}",
                oddity.severity,
            )
