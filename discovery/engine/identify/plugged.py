"""A model that a format of paths reads (a plugin): its answer becomes values with their source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from discovery.engine.core.format_registry import Format
from discovery.engine.core.text import clean, strings
from discovery.engine.core.types import Candidate, Found, Layout, Problem, Variant
from discovery.engine.core.vocabulary import Modality, ModelType, Severity, Status
from discovery.engine.disk.folder import ModelFolder
from discovery.engine.identify import side_files
from discovery.engine.identify.found import Merge, build, is_unsafe
from discovery.engine.identify.sidecar_fields import (
    add_card,
    add_license,
    add_metadata_json,
    called,
)
from discovery.engine.sidecars import metadata_json

#: What an answer may hold.
_KEYS = frozenset({"metadata", "modalities", "collect_evidence", "check"})
_EVIDENCE = ("architectures", "model_types", "pipeline_tags", "tags")
#: Sentences of ``check`` that are kept of one model.
MAX_FINDINGS = 20


@dataclass(frozen=True, slots=True)
class Told:
    """A checked answer: ``complaints`` name what is not what it has to be, and is left out."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    modalities: tuple[str, ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)
    findings: tuple[str, ...] = ()
    complaints: tuple[str, ...] = ()


def checked(answer: Any) -> Told:
    """Whatever it is, what can be used of it."""
    if not isinstance(answer, Mapping) or not answer.keys() <= _KEYS:
        return Told(complaints=("its process answered nonsense",))
    complaints: list[str] = []
    metadata = answer.get("metadata")
    if metadata is not None and not isinstance(metadata, Mapping):
        complaints.append(
            f"extract_metadata must return ModelMetadata or None, not {_kind(metadata)}"
        )
        metadata = None
    fields, odd = metadata_json.fields(metadata or {})
    complaints += [f"extract_metadata: {text}" for text in odd]
    return Told(
        fields=fields,
        modalities=_modalities(answer.get("modalities"), complaints),
        evidence=_evidence(answer.get("collect_evidence"), complaints),
        findings=_findings(answer.get("check"), complaints),
        complaints=tuple(complaints),
    )


def _kind(value: Any) -> str:
    return {"str": "a text", "int": "a number", "float": "a number", "bool": "True or False"}.get(
        type(value).__name__, "a list"
    )


def _modalities(value: Any, complaints: list[str]) -> tuple[str, ...]:
    words = [each.upper() if isinstance(each, str) else each for each in _list(value)]
    if (value is not None and not isinstance(value, list)) or not set(words) <= set(Modality):
        told = ", ".join(Modality)
        complaints.append(f"detect_modalities must return a list of Modality ({told})")
        return ()
    return tuple(each for each in Modality if each in words)


def _list(value: Any) -> list[Any]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _evidence(value: Any, complaints: list[str]) -> dict[str, Any]:
    if value is None:
        return {}
    allowed = isinstance(value, Mapping) and value.keys() <= {*_EVIDENCE, "text"}
    if not allowed:
        told = ", ".join((*_EVIDENCE, "text"))
        complaints.append(f"collect_evidence must return a dict with some of {told}")
        return {}
    found: dict[str, Any] = {name: strings(value.get(name)) for name in _EVIDENCE}
    return {**found, "text": value.get("text")}


def _findings(value: Any, complaints: list[str]) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        complaints.append("check must return a list of sentences")
        return ()
    return tuple(strings(value)[:MAX_FINDINGS])


def found(root: str, candidate: Candidate, kind: Format, told: Told, *, home: bool) -> Found:
    """The model at a candidate that ``kind`` has read.

    ``home``: the folder around its file is the model's, with card, license and metadata.json.
    """
    main = candidate.files[0]
    is_folder = candidate.layout is Layout.FOLDER
    place = candidate.place if is_folder else main.path.rpartition("/")[0] or "."
    folder = ModelFolder(root, place, candidate.files)
    home = home or is_folder
    merge = Merge()
    if home:
        add_metadata_json(merge, folder)
    source = f"plugin {kind.label}"
    merge.add(source, {**told.fields, "modalities": list(told.modalities)})
    merge.add(source, {"type": kind.type or ModelType.PLUGIN, "format": kind.name})
    _add_evidence(merge, told.evidence, source)
    if home:
        add_card(merge, folder)
    add_license(merge, folder, home=home)
    side_files.look(folder, [*candidate.files, *candidate.beside])
    own = list(candidate.files)
    path = place if home else main.path
    named = main.name.rpartition(".")[0] or main.name
    own_name = place.rpartition("/")[2] if home and place != "." else named
    size = sum(entry.size for entry in own)
    variant = Variant(
        own_name if is_folder else named,
        candidate.place,
        kind.name,
        Status.READY,
        size,
        quantization=merge.get("quantization"),
        parameter_count=merge.get("parameter_count"),
        files=tuple(entry.path for entry in (own if is_folder else own[:1])),
    )
    problems = [*folder.problems, *candidate.problems, *_problems(kind, told, candidate.place)]
    made = build(
        candidate, path, called(own_name, path, folder), merge, [variant], [], own, problems
    )
    unsafe = Status.UNSAFE if is_unsafe(made.problems) else made.status
    return replace(made, pickled=folder.pickled, status=unsafe)


def _add_evidence(merge: Merge, evidence: Mapping[str, Any], source: str) -> None:
    clues = merge.clues
    for name in ("architectures", "model_types", "tags"):
        collected: dict[str, None] = getattr(clues, name)
        collected.update(dict.fromkeys(evidence.get(name) or ()))
    if tags := evidence.get("pipeline_tags"):
        clues.task = tags[0].lower()  # a card's own word outranks it
        clues.add_feature("header_task", source)
    clues.text("description", evidence.get("text"))


def _problems(kind: Format, told: Told, path: str) -> Iterator[Problem]:
    for text in told.complaints:
        yield Problem(
            "plugin_answer_invalid",
            f"the plugin {kind.label}: {clean(text, 300)}; that value is left out",
            path,
            Severity.WARNING,
            key=clean(text, 100),
        )
    for text in told.findings:
        yield Problem(
            "plugin_finding",
            f"the plugin {kind.label}: {clean(text, 300)}",
            path,
            Severity.WARNING,
            key=clean(text, 100),
        )
