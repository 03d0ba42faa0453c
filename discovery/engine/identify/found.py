"""Putting a Found together: values with their sources, variants, status, size, fingerprint."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as Collection
from dataclasses import replace
from hashlib import blake2b
from math import prod
from operator import attrgetter
from typing import Any

from discovery.engine.classify.describe import family, license_name, relation
from discovery.engine.classify.modality import detect
from discovery.engine.classify.signals import SignalCollector
from discovery.engine.core import format_registry, names, packings
from discovery.engine.core.packings import Declared
from discovery.engine.core.parameters import count_parameters
from discovery.engine.core.problem_codes import UNSAFE_CODES
from discovery.engine.core.text import storable
from discovery.engine.core.types import (
    Candidate,
    FileEntry,
    Found,
    Header,
    Problem,
    Tensor,
    Value,
    Variant,
)
from discovery.engine.core.vocabulary import ModelType, Severity, Status
from discovery.engine.formats.gguf import FOREIGN
from discovery.engine.identify.weight_files import WeightFile, WeightSet
from discovery.engine.sidecars import metadata_json

MAX_PROBLEMS = 40
#: More than this many problems of one kind are told as one.
MAX_ALIKE = 3

#: What keeps a file from being loaded, and harms nothing but that file.
_OF_ONE_FILE = frozenset(
    {
        "truncated", "file_empty", "invalid_header", "not_this_format", "file_unreadable",
        "lfs_pointer", "shards_missing", "external_data_missing", "blob_missing",
    }
)  # fmt: skip

_UNQUANTIZED = frozenset({"F64", "F32", "F16", "BF16"})
#: Types that plain weights and the counters among them are stored in.
_PLAIN = frozenset({*_UNQUANTIZED, "I64", "BOOL", "C64"})


class Merge:
    """The fields of a document, first source wins.

    Empty values never take a place, but for lists that metadata.json says are empty.
    """

    def __init__(self) -> None:
        self.values: dict[str, Value] = {}
        self.clues = SignalCollector()
        self._none: set[str] = set()

    def add(self, source: str, fields: Mapping[str, Any]) -> None:
        for name, value in fields.items():
            if value is None or value == "" or value == [] or value == {}:
                # An administrator's empty list is an answer: there are none, whatever other files
                # say.
                self._none.update(
                    {name}
                    if source == metadata_json.NAME and value == [] and name not in self.values
                    else ()
                )
                continue
            if name == "custom" and name in self.values:
                first = self.values[name]
                self.values[name] = Value({**storable(value), **first.value}, first.source)
            elif name not in self.values and name not in self._none:
                self.values[name] = Value(storable(value), source)

    def drop(self, name: str) -> None:
        """Removes what weights and configs say of a field, but keeps ``metadata.json``'s value."""
        if name in self.values and self.values[name].source != metadata_json.NAME:
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


def quantization_of(group: WeightSet, declared: Declared) -> str | None:
    """The quantization that the tensors confirm.

    A declared quantization that no tensor shows is left over from training; an undeclared one shows
    in how the tensors are packed.
    """
    for header in group.headers:
        if header.quantization:
            foreign = header.quantization.startswith(FOREIGN)
            # The file's name knows what its fork calls the type.
            named = names.quantization(group.files[0].entry.name) if foreign else None
            stored = named or header.quantization
            return None if stored in _UNQUANTIZED else stored
    if declared.method:
        is_plain = all(tensor.dtype in _PLAIN for tensor in _tensors(group))
        return None if group.headers and is_plain else declared.label
    return next(
        (
            told
            for header in group.headers
            if header.format == "safetensors"
            and (told := packings.method(header.tensors) or _eight_bits(header))
        ),
        None,
    )


def _eight_bits(header: Header) -> str | None:
    return "fp8" if (header.dtype or "").startswith("F8_") else None


_size_of = attrgetter("size")


def _tensors(group: WeightSet) -> Iterator[Tensor]:
    return (tensor for header in group.headers for tensor in header.tensors)


def variant(
    group: WeightSet, name: str, path: str, declared: Declared = packings.NOTHING
) -> Variant:
    """``declared`` is the config's quantization, believed where the tensors agree."""
    quantization = quantization_of(group, declared)
    parameters = parameter_count(group, declared)
    stored = sum(sum(map(_size_of, header.tensors)) for header in group.headers)
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


def distinct(variants: Sequence[Variant]) -> list[Variant]:
    """Distinguish two exports of the same kind by their paths."""
    seen: dict[str, int] = {}
    for item in variants:
        seen[item.name] = seen.get(item.name, 0) + 1
    return [
        (
            item
            if seen[item.name] == 1
            else replace(item, name=f"{item.name} {item.path.rpartition('/')[2]}")
        )
        for item in variants
    ]


def parameter_count(group: WeightSet, declared: Declared = packings.NOTHING) -> int | None:
    """From the tensors of a whole set; ``None`` while a shard is missing or unreadable."""
    if not group.files or group.missing or any(file.header is None for file in group.files):
        return None
    total = 0
    shards: dict[str, list[Header]] = {}
    for file in group.loaded:
        header = file.header
        assert header is not None
        if header.format == "safetensors":
            shard = names.shard(file.entry.name)
            # Ranks hold slices of the same tensors, by the same names.
            apart = shard is not None and shard.is_ranked
            key = file.entry.path if apart else file.entry.path.rpartition("/")[0]
            shards.setdefault(key, []).append(header)
        elif header.parameter_count is not None:
            total += header.parameter_count
        elif header.tensors:
            total += sum(prod(tensor.shape) for tensor in header.tensors)
    total += sum(count_parameters(_joined(headers), declared) for headers in shards.values())
    return total or None


def _joined(shards: Sequence[Header]) -> Sequence[Tensor]:
    """Join the tensors of all shards: a tensor in two shards counts once, and its scales may be in
    a third.
    """
    if len(shards) == 1:
        return shards[0].tensors
    return [*{tensor.name: tensor for header in shards for tensor in header.tensors}.values()]


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
    besides: Iterable[Status] = (),
) -> Found:
    """Builds the model from its variants, which come in order of preference.

    The first variant represents the model; ``besides`` is what every variant needs.
    """
    own = tuple(dict.fromkeys(files))
    status = worst({variants[0].status if variants else Status.INCOMPLETE, *besides})
    if is_unsafe(problems):
        status = Status.UNSAFE
    merge.add(
        "folder name" if not path.endswith(tuple(format_registry.SUFFIXES)) else "file name",
        {"name": name},
    )
    _normalize(merge)
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
        memory_shape=merge.clues.memory_shape(),
        problems=collapse_repeats(_downgraded(problems) if status is Status.READY else problems),
    )


def is_unsafe(problems: Iterable[Problem]) -> bool:
    return any(
        problem.code in UNSAFE_CODES and problem.severity is Severity.ERROR for problem in problems
    )


def _normalize(merge: Merge) -> None:
    """Replace the license by its usual name (the card's words are kept); add the family, and the
    model's relation to its base.
    """
    told = merge.values.get("license")
    if (
        told
        and told.source != metadata_json.NAME
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


def worst(states: Collection[Status]) -> Status:
    """The status of things that are loaded together."""
    if not states <= {Status.READY}:
        for status in (Status.UNSAFE, Status.CORRUPT, Status.INCOMPLETE, Status.REMOTE):
            if status in states:
                return status
    return Status.READY


def _fingerprint(files: Sequence[WeightFile], own: Sequence[FileEntry]) -> str:
    stamps = sorted({file.stamp for file in files if file.stamp}) or [
        f"{entry.name}|{entry.size}" for entry in own
    ]
    return blake2b("\n".join(stamps).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def _downgraded(problems: Sequence[Problem]) -> list[Problem]:
    """Turn errors of a single file into warnings if the model is ready: another variant can be
    loaded, or no index names the file.
    """
    return [
        replace(p, severity=Severity.WARNING)
        if p.code in _OF_ONE_FILE and p.severity is Severity.ERROR
        else p
        for p in problems
    ]


def collapse_repeats(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    """Sort problems, errors first, and replace many similar ones (each shard of a clone without
    LFS) by one that counts the others.

    Problems that make files unsafe are reported for each file, as far as there is room.
    """
    kept: list[Problem] = []
    alike: dict[str, int] = {}
    told: set[tuple[str, str]] = set()
    order = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}
    for problem in sorted(dict.fromkeys(problems), key=lambda problem: order[problem.severity]):
        if _is_of_file(problem) and (problem.code, problem.path) not in told:
            told.add((problem.code, problem.path))
            kept.append(problem)
            continue
        alike[problem.code] = alike.get(problem.code, 0) + 1
        if alike[problem.code] <= MAX_ALIKE:
            kept.append(problem)
    for code, count in alike.items():
        if count > MAX_ALIKE:
            alikes = [
                problem for problem in kept if problem.code == code and not _is_first(problem, kept)
            ]
            first = alikes[0]
            at = kept.index(first)
            kept = [problem for problem in kept if problem not in alikes]
            more = f"{first.message}; the same holds for {count - 1:,} more files"
            kept.insert(at, replace(first, message=more))
    return tuple(kept[:MAX_PROBLEMS])


def _is_of_file(problem: Problem) -> bool:
    return (
        problem.code in UNSAFE_CODES and problem.severity is Severity.ERROR and bool(problem.path)
    )


def _is_first(problem: Problem, kept: Sequence[Problem]) -> bool:
    """Whether the variant represents its file."""
    if not _is_of_file(problem):
        return False
    return (
        next(each for each in kept if (each.code, each.path) == (problem.code, problem.path))
        is problem
    )
