"""Putting a Found together: values with their sources, variants, status, size, fingerprint."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from math import prod
from typing import Any

from discovery.engine import names
from discovery.engine.describe import family, license_name, relation
from discovery.engine.formats import UNSAFE_CODES
from discovery.engine.modality import detect
from discovery.engine.parameters import count_parameters
from discovery.engine.signals import Clues
from discovery.engine.text import storable
from discovery.engine.types import (
    Candidate,
    FileEntry,
    Found,
    ModelType,
    Problem,
    Severity,
    Status,
    Value,
    Variant,
)
from discovery.engine.weights import WeightFile, WeightSet

MAX_PROBLEMS = 40
#: More than this many problems of one kind are told as one.
MAX_ALIKE = 3

#: A file with one of these is damaged; one that is merely not there (pointer, missing shard) is not.
_DAMAGE = frozenset(
    {"truncated", "file_empty", "invalid_header", "not_this_format", "file_unreadable"}
)

_UNQUANTIZED = frozenset({"F64", "F32", "F16", "BF16"})
_PACKED = frozenset({"I32", "U32", "I8", "U8", "I4", "U4", "F4", "F8_E4M3", "F8_E5M2", "F8_E4M3FN"})


class Merge:
    """The fields of a document, first source wins. Empty values never take a place, but for lists that metadata.json says are empty."""

    def __init__(self) -> None:
        self.values: dict[str, Value] = {}
        self.clues = Clues()
        self._none: set[str] = set()

    def add(self, source: str, fields: Mapping[str, Any]) -> None:
        for name, value in fields.items():
            if value is None or value == "" or value == [] or value == {}:
                # An administrator's empty list is an answer: there are none, whatever other files say.
                self._none.update(
                    {name}
                    if source == "metadata.json" and value == [] and name not in self.values
                    else ()
                )
                continue
            if name == "custom" and name in self.values:
                first = self.values[name]
                self.values[name] = Value({**storable(value), **first.value}, first.source)
            elif name not in self.values and name not in self._none:
                self.values[name] = Value(storable(value), source)

    def drop(self, name: str) -> None:
        """Forgets what weights and configs say of a field; what an administrator wrote in metadata.json stays."""
        if name in self.values and self.values[name].source != "metadata.json":
            del self.values[name]

    def drop_denied(self) -> None:
        """Leaves out what a source denied: fields of ``custom`` that are ``null`` there."""
        if custom := self.values.pop("custom", None):
            self.add(
                custom.source,
                {
                    "custom": {
                        key: value for key, value in custom.value.items() if value is not None
                    }
                },
            )

    def get(self, name: str) -> Any:
        return self.values[name].value if name in self.values else None


def quantization_of(group: WeightSet, declared: str | None) -> str | None:
    """What the tensors bear out: a declared quantization that no tensor shows is a leftover of training."""
    for header in group.headers:
        if header.quantization:
            return None if header.quantization in _UNQUANTIZED else header.quantization
    if (
        declared
        and group.headers
        and not any(
            tensor.dtype in _PACKED for header in group.headers for tensor in header.tensors
        )
    ):
        return None
    return declared


def variant(
    group: WeightSet, name: str, path: str, declared: str | None = None, bits: int | None = None
) -> Variant:
    """``declared`` and ``bits`` are the config's quantization, believed where the tensors agree."""
    quantization = quantization_of(group, declared)
    parameters = parameter_count(group, bits)
    stored = sum(tensor.size for header in group.headers for tensor in header.tensors)
    dtype = next(
        (
            d
            for header in group.headers
            if (
                d := header.dtype
                or (header.quantization if header.quantization in _UNQUANTIZED else None)
            )
        ),
        None,
    )
    per_weight = round(stored * 8 / parameters, 2) if stored and parameters else None
    return Variant(
        name=name,
        path=path,
        format=group.format,
        status=group.status,
        size_bytes=group.size,
        quantization=quantization,
        bits_per_weight=next(
            (header.bits_per_weight for header in group.headers if header.bits_per_weight),
            per_weight,
        ),
        dtype=dtype,
        parameter_count=parameters,
        weights_bytes=stored or None,
        files=tuple(file.entry.path for file in group.files),
    )


def parameter_count(group: WeightSet, bits: int | None = None) -> int | None:
    """From the tensors of a whole set; ``None`` while a shard is missing or unreadable."""
    if not group.files or group.missing or any(file.header is None for file in group.files):
        return None
    total = 0
    seen: set[str] = set()
    for file in group.files:
        header = file.header
        assert header is not None
        if header.format == "safetensors":
            fresh = header.tensors
            if len(group.files) > 1:  # a tensor that stands in two shards is one tensor
                fresh = [tensor for tensor in fresh if tensor.name not in seen]
                seen.update(tensor.name for tensor in fresh)
            total += count_parameters(fresh, bits)
        elif header.parameter_count is not None:
            total += header.parameter_count
        elif header.tensors:
            total += sum(prod(tensor.shape) for tensor in header.tensors)
    return total or None


def build(
    candidate: Candidate,
    path: str,
    name: str,
    merge: Merge,
    variants: Sequence[Variant],
    weight_files: Sequence[WeightFile],
    files: Iterable[FileEntry],
    problems: Sequence[Problem],
    *,
    faulty_config: Status | None = None,
) -> Found:
    """``variants`` come in order of preference: the first speaks for the model."""
    own = tuple(dict.fromkeys(files))
    status = _status(variants, weight_files, faulty_config)
    if any(
        problem.code in UNSAFE_CODES and problem.severity is Severity.ERROR for problem in problems
    ):
        status = Status.UNSAFE
    merge.add(
        "folder name" if not path.endswith(tuple(names.WEIGHT_SUFFIXES)) else "file name",
        {"name": name},
    )
    _name_things(merge)
    inside = [entry.path.removeprefix(f"{candidate.place}/") for entry in own]
    merge.drop_denied()
    signals = merge.clues.finish(name, path, merge.get("description"), merge.get("tags"), inside)
    modalities = detect(signals)
    if modalities.evidence:
        source = modalities.evidence[0].where
        merge.add(
            source,
            {
                "modalities": modalities.all,
                "input_modalities": modalities.ordered(modalities.inputs),
            },
        )
        merge.add(source, {"output_modalities": modalities.ordered(modalities.outputs)})
    return Found(
        place=candidate.place,
        path=path,
        name=name,
        status=status,
        values=merge.values,
        variants=tuple(variants),
        files=own,
        size_bytes=sum({entry.inode: entry.size for entry in own}.values()),
        modified_ns=max((entry.mtime_ns for entry in own), default=0),
        fingerprint=_fingerprint(weight_files, own),
        signature=candidate.signature,
        evidence={"modalities": tuple(modalities.evidence)},
        signals=signals.to_json(),
        attention=merge.clues.attention(),
        problems=tidy(_softened(problems) if status is Status.READY else problems),
    )


def _name_things(merge: Merge) -> None:
    """The licence by its usual name (the card's words are kept), the family, and how the model relates to the base it names."""
    told = merge.values.get("license")
    if (
        told
        and told.source != "metadata.json"
        and (usual := license_name(str(told.value))) != told.value
    ):
        merge.values["license"] = Value(usual, told.source)
        merge.add(told.source, {"custom": {"license_text": told.value}})
    kinds = merge.clues.model_types or merge.clues.architectures
    merge.add("model type", {"model_family": family(next(iter(kinds), None))})
    if base := merge.values.get("base_model"):
        adapter = merge.get("type") == ModelType.PEFT
        bases = len(merge.clues.texts.get("base model", []))
        how = relation(bool(merge.get("quantization")), adapter, merge.clues.tags, bases)
        merge.add(base.source, {"base_model_relation": how})


def _status(
    variants: Sequence[Variant], files: Sequence[WeightFile], faulty_config: Status | None
) -> Status:
    states = {variants[0].status if variants else Status.INCOMPLETE}
    if faulty_config:
        states.add(faulty_config)
    for file in files:
        if file.status is Status.UNSAFE or any(
            problem.code in _DAMAGE for problem in file.problems
        ):
            states.add(file.status)
    return next(
        (
            status
            for status in (Status.UNSAFE, Status.CORRUPT, Status.INCOMPLETE)
            if status in states
        ),
        Status.READY,
    )


def _fingerprint(files: Sequence[WeightFile], own: Sequence[FileEntry]) -> str:
    stamps = sorted({file.stamp for file in files if file.stamp}) or [
        f"{entry.name}|{entry.size}" for entry in own
    ]
    return blake2b("\n".join(stamps).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def _softened(problems: Sequence[Problem]) -> list[Problem]:
    """What is absent from a model that is ready (another format's pointers, say) harms nobody: a warning."""
    return [
        replace(p, severity=Severity.WARNING) if p.code in ("lfs_pointer", "shards_missing") else p
        for p in problems
    ]


def tidy(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    """Errors first; a hundred problems alike (each shard of a clone without LFS) become one that counts the rest."""
    kept: list[Problem] = []
    alike: dict[str, int] = {}
    order = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}
    for problem in sorted(dict.fromkeys(problems), key=lambda problem: order[problem.severity]):
        alike[problem.code] = alike.get(problem.code, 0) + 1
        if alike[problem.code] <= MAX_ALIKE:
            kept.append(problem)
    for code, count in alike.items():
        if count > MAX_ALIKE:
            at = next(i for i, problem in enumerate(kept) if problem.code == code)
            first = kept[at]
            kept = [problem for problem in kept if problem.code != code]
            more = f"{first.message}; the same holds for {count - 1:,} more files"
            kept.insert(at, Problem(code, more, first.path, first.severity, first.offset))
    return tuple(kept[:MAX_PROBLEMS])
