"""Groups the GGUF files of one place into models.

Quantizations of one model together, unrelated files apart, projectors with their model.

The headers decide: architecture, shape and name; file names only break ties.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from discovery.engine.core import names
from discovery.engine.core.parameters import active_parameters
from discovery.engine.core.types import Header, Problem, Tensor, Variant
from discovery.engine.core.vocabulary import Status
from discovery.engine.identify.found import distinct, variant
from discovery.engine.identify.weight_files import WeightFile, WeightSet
from discovery.engine.identify.weights import complete

#: Names that tell nothing: a file so called is told by its header alone.
_GENERIC = frozenset(
    {
        "",
        "model",
        "ggmlmodel",
        "gguf",
        "ggml",
        "unsloth",
        "llama",
        "weights",
        "converted",
        "output",
        "merged",
        "models",
        "llamav2",
    }
)

#: Quantizations of one model have the same tensors, but for a copied embedding or two.
MIN_ALIKE = 0.8


#: Usable variants come first; what is still coming before what is broken.
_ORDER = {Status.INCOMPLETE: 1, Status.CORRUPT: 2}


@dataclass(slots=True)
class GGUFModel:
    """Variants of one model, with its projector for images or audio."""

    sets: list[WeightSet] = field(default_factory=list)
    projectors: list[WeightFile] = field(default_factory=list)

    @property
    def metadata(self) -> dict[str, Any]:
        """Of the first readable header; a set's first shard carries it."""
        return next((dict(header.metadata) for group in self.sets for header in group.headers), {})

    @property
    def tensors(self) -> list[Tensor]:
        """Of the first set, all its shards."""
        return [tensor for header in self.sets[0].headers for tensor in header.tensors]

    @property
    def is_whole(self) -> bool:
        """Whether every shard of the first set is there and was read."""
        return bool(self.sets) and _is_whole(self.sets[0])


def group(files: Sequence[WeightFile]) -> list[GGUFModel]:
    """Models in the order of their first file.

    A projector without a model becomes its own model.
    """
    models: list[GGUFModel] = []
    projectors = [file for file in files if _is_projector(file)]
    for weights in _sets(
        [file for file in files if not _is_projector(file) and not _is_calibration(file)]
    ):
        home = next((model for model in models if _same_model(model.sets[0], weights)), None)
        if home is None:
            models.append(home := GGUFModel())
        home.sets.append(weights)
    for projector in projectors:
        home = _home(projector, models)
        if home is None:
            models.append(
                GGUFModel(
                    [WeightSet("gguf", [projector], names.quantization(projector.entry.name))]
                )
            )
        else:
            home.projectors.append(projector)
    return models


def variants(model: GGUFModel, memory_bytes: int | None) -> list[Variant]:
    """Variants with the best first: usable before broken, then the largest that fits the machine.

    The others follow from small to large.
    """
    made = []
    for group in model.sets:
        first = group.files[0].entry
        name = group.label or names.stem(first.name)
        made.append(variant(group, name, first.path))
    limit = memory_bytes or 1 << 62
    return sorted(
        distinct(made),
        key=lambda v: (
            _ORDER.get(v.status, 0),
            v.size_bytes > limit,
            -v.size_bytes if v.size_bytes <= limit else v.size_bytes,
            v.path,
        ),
    )


def architecture(metadata: dict[str, Any]) -> str | None:
    value = metadata.get("general.architecture")
    return value if isinstance(value, str) and value else None


def length(metadata: dict[str, Any], key: str) -> int | None:
    """``<architecture>.<key>`` when it is a whole number."""
    value = metadata.get(f"{architecture(metadata)}.{key}")
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def active(model: GGUFModel, total: int | None) -> int | None:
    """Parameters that one token meets, for a mixture of experts."""
    experts, used = (
        length(model.metadata, "expert_count"),
        length(model.metadata, "expert_used_count"),
    )
    if not total or not experts or not used:
        return None
    return active_parameters(model.tensors, total, experts, used)


def _sets(files: Sequence[WeightFile]) -> list[WeightSet]:
    sets: dict[str, WeightSet] = {}
    for file in files:
        name = file.entry.name
        folder = file.entry.path.rpartition("/")[0]
        parts, number = _split(file)
        if names.shard(name):
            key = f"{folder}/{names.stem(name)}"
        elif parts > 1:
            # Renamed: what all shards of a set have in common stands in their headers.
            tensors = file.header.metadata.get("split.tensors.count") if file.header else None
            key = f"{folder}/ {parts} {tensors}"
            taken = sets[key].files if key in sets else ()
            if any(_split(other)[1] == number for other in taken):
                key = file.entry.path
        else:
            key = file.entry.path
        label = names.quantization(name) or (file.header.quantization if file.header else None)
        sets.setdefault(key, WeightSet("gguf", [], label)).files.append(file)
    return [_with_weights(_complete(weights)) for weights in sets.values()]


def _split(file: WeightFile) -> tuple[int, int]:
    """(shards of the set that the file is of, its number among them from 0), by its header."""
    metadata = file.header.metadata if file.header else {}
    count, number = metadata.get("split.count"), metadata.get("split.no")
    known = isinstance(count, int) and isinstance(number, int) and 1 < count <= 10_000
    return (int(count), int(number)) if known and count and number is not None else (0, 0)


def _complete(weights: WeightSet) -> WeightSet:
    """What is missing of the set: by the names of its shards, else by their headers."""
    count = max(_split(file)[0] for file in weights.files)
    if not count or all(names.shard(file.entry.name) for file in weights.files):
        return complete(weights)
    stem = names.stem(weights.files[0].entry.name)
    have = {_split(file)[1] for file in weights.files}
    weights.missing = [
        f"{stem}-{number + 1:05d}-of-{count:05d}.gguf"
        for number in range(count)
        if number not in have
    ]
    return weights


def _with_weights(weights: WeightSet) -> WeightSet:
    """A header without a single tensor in any shard holds a vocabulary, and nothing to run."""
    if _is_whole(weights) and not any(header.tensors for header in weights.headers):
        first = weights.files[0]
        first.status = Status.INCOMPLETE
        text = f"{first.entry.name} holds a vocabulary and no weights: there is nothing to load"
        first.problems.append(Problem("weights_missing", text, first.entry.path))
    return weights


def _is_whole(weights: WeightSet) -> bool:
    parts = max(_count(header.metadata.get("split.count")) for header in weights.headers or [_NONE])
    return (
        not weights.missing
        and all(file.header for file in weights.files)
        and len(weights.files) >= parts
    )


_NONE = Header("gguf")


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _metadata(weights: WeightSet) -> dict[str, Any]:
    return next((dict(header.metadata) for header in weights.headers), {})


def _same_model(one: WeightSet, other: WeightSet) -> bool:
    first, second = _metadata(one), _metadata(other)
    stems = (
        _squash(names.base_stem(one.files[0].entry.name)),
        _squash(names.base_stem(other.files[0].entry.name)),
    )
    if not first or not second:  # a broken file joins the model it is named after
        return stems[0] == stems[1]
    if architecture(first) != architecture(second) or any(
        length(first, key) != length(second, key)
        for key in ("embedding_length", "block_count", "expert_count", "feed_forward_length")
    ):
        return False
    if _is_whole(one) and _is_whole(other) and not _alike(one, other):
        return False
    named = [_squash(str(metadata.get("general.name") or "")) for metadata in (first, second)]
    known = [name for name in named if name not in _GENERIC]
    if stems[0] == stems[1]:
        return len(known) < 2 or known[0] == known[1]
    generic = any(stem in _GENERIC for stem in stems)
    return (
        len(known) == 2
        and known[0] == known[1]
        and (generic or all(known[0] in stem or stem in known[0] for stem in stems))
    )


def _alike(one: WeightSet, other: WeightSet) -> bool:
    """Whether both files have about the same number of tensors.

    A draft head has the architecture and shape of its model, but only a few of its layers.
    """
    counts = [sum(len(header.tensors) for header in each.headers) for each in (one, other)]
    return min(counts) >= MIN_ALIKE * max(counts)


def _squash(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.lower())


def _is_projector(file: WeightFile) -> bool:
    if file.header is None:
        return names.is_projector(file.entry.name)
    metadata = file.header.metadata
    return (
        metadata.get("general.architecture") == "clip" or metadata.get("general.type") == "mmproj"
    )


def _is_calibration(file: WeightFile) -> bool:
    return file.header is not None and file.header.metadata.get("general.type") == "imatrix"


def _home(projector: WeightFile, models: Sequence[GGUFModel]) -> GGUFModel | None:
    """The model whose embedding length matches the projector's output.

    Among equals, the one whose name has most in common with it.
    """
    widths = _output_widths(projector)
    fitting = [
        model
        for model in models
        if not widths or length(model.metadata, "embedding_length") in (*widths, None)
    ]
    stem = _squash(names.base_stem(projector.entry.name).replace("mmproj", ""))
    return max(
        fitting,
        key=lambda model: _common(
            stem, _squash(names.base_stem(model.sets[0].files[0].entry.name))
        ),
        default=None,
    )


def _output_widths(projector: WeightFile) -> set[int]:
    """Lengths that the projector may output.

    Taken from its tensors (old files keep CLIP's width under ``projection_dim``), else as declared.
    """
    if projector.header is None:
        return set()
    shapes = [
        tensor.shape
        for tensor in projector.header.tensors
        if tensor.name.startswith(("mm.", "resampler.", "model.mm")) and tensor.shape
    ]
    declared = (
        projector.header.metadata.get(f"clip.{part}projection_dim")
        for part in ("vision.", "audio.", "")
    )
    return {shape[0] for shape in shapes} or {width for width in declared if isinstance(width, int)}


def _common(one: str, other: str) -> int:
    return next(
        (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
        min(len(one), len(other)),
    )
