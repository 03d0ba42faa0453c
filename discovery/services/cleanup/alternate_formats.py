"""Find the same weights in several formats.

They are a second variant of one model, or a record of its own under the same name.

Weights are the same when they have as many parameters in the same precision, are not quantized, and
have the same tensor names where headers of both give names. Where the number of one is unknown, it
counts when one is declared as converted from the other. A quantization is never the same weights.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from hashlib import blake2b
from typing import Any

from discovery.engine.core import names
from discovery.engine.core.types import FileEntry
from discovery.engine.core.vocabulary import Status
from discovery.engine.disk.disk_use import FILE, DiskEntry, freed
from discovery.engine.disk.leftover_stores import Store
from discovery.engine.identify import weights
from discovery.models import RegisteredModel, Root
from discovery.services.cleanup import copies
from discovery.services.cleanup.copies import COLUMNS, DiskTimeout, inside, own_files
from discovery.services.insight.lineage import named_alike, same_model
from discovery.services.machine import reach
from discovery.services.machine.root_probes import RootSilent
from discovery.services.registry import model_files

#: The largest models are looked through.
LARGEST = 5_000
#: Records whose files the disks are asked about.
MAX_RECORDS = 1_000
#: Formats in which one library writes the tensors of a model under the same names.
_SAME_NAMES = frozenset(("safetensors", "pytorch"))
#: What a model that names its base may be to it besides a model of its own.
_CONVERTED = frozenset(("conversion", "converted", "format"))

Tensors = dict[str, tuple[str, tuple[int, ...]]]


@dataclass(frozen=True, slots=True)
class KeptModel:
    """The model with the same weights that would stay.

    ``weights`` are its current files (real path, size).
    """

    record: RegisteredModel
    name: str
    weights: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class SecondFormat:
    """A second copy of the weights in another format.

    ``others`` hold them too, ``members`` are all records of a model that has several.

    ``alike`` says in which respect they are the same.
    """

    record: RegisteredModel
    home: str
    name: str
    format: str
    others: tuple[KeptModel, ...]
    alike: str
    pieces: tuple[DiskEntry, ...]
    members: frozenset[int] = frozenset()

    @property
    def kept(self) -> str:
        return self.others[0].name

    @property
    def key(self) -> str:
        """Names it in forms."""
        name = self.name.encode("utf-8", "surrogateescape")
        return f"{self.record.pk}:{blake2b(name, digest_size=8).hexdigest()}"

    @property
    def is_whole(self) -> bool:
        """Whether it is a record of its own, which would be removed completely."""
        return bool(self.members)

    @property
    def freed(self) -> int:
        return freed(self.pieces)


def found() -> list[SecondFormat]:
    """Return the duplicate formats among the ``LARGEST`` ready models, the largest savings first.

    Raises ``DiskTimeout``.
    """
    made, silent = look()
    if silent:
        raise DiskTimeout(str(silent[0]))
    return made


def look() -> tuple[list[SecondFormat], list[RootSilent]]:
    """Return the duplicate formats on the roots that answer, and the roots that do not."""
    ready = RegisteredModel.objects.filter(status=Status.READY).order_by("-size_bytes", "-pk")
    rows = list(ready.values_list("pk", "name", "format", "variants")[:LARGEST])
    several = [pk for pk, _, _, variants in rows if len({item["format"] for item in variants}) > 1]
    groups = _groups(rows)
    chosen = list(dict.fromkeys([*several, *groups]))[:MAX_RECORDS]
    columns = (
        *COLUMNS,
        "format",
        "type",
        "base_model",
        "base_model_relation",
        "extracted",
        "curated",
        "root__path",
    )
    records = list(
        RegisteredModel.objects.filter(pk__in=chosen)
        .select_related("root")
        .only(*columns)
        .order_by("pk")
    )
    by_root: dict[Root, list[RegisteredModel]] = defaultdict(list)
    for record in records:
        by_root[record.root].append(record)
    by_key = {record.pk: record for record in records}
    questions = {
        root: ("second formats", partial(_look, mine, by_key, groups))
        for root, mine in by_root.items()
    }
    made: list[SecondFormat] = []
    silent: list[RootSilent] = []
    for answer in reach.within_each(questions, longest=copies.TIMEOUT).values():
        if isinstance(answer, RootSilent):
            silent.append(answer)
        elif isinstance(answer, BaseException):
            raise answer
        else:
            made += answer
    return sorted(made, key=lambda each: (-each.freed, each.record.pk, each.name)), silent


def spare(found: Sequence[SecondFormat]) -> int:
    """Return the bytes that can be freed at most.

    Of a model in several records one stays, at least the largest.
    """
    whole: dict[frozenset[int], list[int]] = defaultdict(list)
    for each in found:
        if each.is_whole:
            whole[each.members].append(each.freed)
    return sum(each.freed for each in found if not each.is_whole) + sum(
        sum(sizes) - max(sizes) for sizes in whole.values()
    )


def _groups(rows: Sequence[tuple[int, str, str | None, object]]) -> dict[int, frozenset[int]]:
    """Map each record to all records with the same name apart from words for formats.

    Names that only one record has are left out.
    """
    named: dict[str, dict[int, str]] = defaultdict(dict)
    for pk, name, form, _ in rows:
        if form and (key := same_model(name)):
            named[key][pk] = form
    return {
        pk: frozenset(forms)
        for forms in named.values()
        if len(set(forms.values())) > 1
        for pk in forms
    }


def _look(
    records: Sequence[RegisteredModel],
    by_key: Mapping[int, RegisteredModel],
    groups: Mapping[int, frozenset[int]],
) -> list[SecondFormat]:
    stores = dict[str, Store]()
    made: list[SecondFormat] = []
    for record in records:
        home = model_files.home_of(record)
        made += _variants(record, home)
        others = [
            by_key[pk]
            for pk in sorted(groups.get(record.pk, ()))
            if pk in by_key and by_key[pk].format != record.format
        ]
        alike = {other.pk: told for other in others if (told := _same_records(record, other))}
        if alike:
            pieces = tuple(
                each for path in own_files(record, home, stores) if (each := inside(home, path))
            )
            kept = tuple(
                stays
                for other in others
                if other.pk in alike
                and (stays := _kept(other, other.variants[0], f" in {other.title}"))
            )
            members = frozenset((record.pk, *(other.record.pk for other in kept)))
            if kept:
                made.append(
                    SecondFormat(
                        record,
                        home,
                        "",
                        str(record.format),
                        kept,
                        alike[kept[0].record.pk],
                        pieces,
                        members,
                    )
                )
    return [each for each in made if any(piece.kind == FILE for piece in each.pieces)]


def _variants(record: RegisteredModel, home: str) -> list[SecondFormat]:
    made = []
    for number, variant in enumerate(record.variants):
        for earlier in record.variants[:number]:
            told = _same_variants(
                record, variant, record, earlier, called=_called(variant) == _called(earlier)
            )
            if not told or variant["status"] != Status.READY:
                continue
            taken = {
                path
                for other in record.variants
                if other is not variant
                for path in _files_of(record, other)
            }
            pieces = tuple(
                each
                for path in _files_of(record, variant)
                if path not in taken and (each := inside(home, path))
            )
            if kept := _kept(record, earlier):
                made.append(
                    SecondFormat(
                        record, home, variant["name"], variant["format"], (kept,), told, pieces
                    )
                )
            break
    return made


def _kept(record: RegisteredModel, variant: Mapping[str, Any], where: str = "") -> KeptModel | None:
    """The variant as what stays; ``None`` when its files are not there."""
    home, files = model_files.home_of(record), []
    for path in _files_of(record, variant):
        try:
            entry = model_files.entry_of(home, path)
        except model_files.Gone:
            return None
        files.append((f"{home}/{entry.link}", entry.size))
    return KeptModel(record, f"{variant['format']}{where}", tuple(files)) if files else None


def _called(variant: Mapping[str, Any]) -> set[str]:
    """Return what the names of a variant's files add to the standard names of weights.

    An average (EMA), for example, is not the model itself.
    """
    files = [str(path).rpartition("/")[2] for path in variant.get("files") or ()]
    return {names.beyond_standard(name) for name in files} | {
        word for name in files for word in names.flavour(name)
    }


def _same_records(one: RegisteredModel, other: RegisteredModel) -> str:
    if (
        not one.variants
        or not other.variants
        or (one.type != other.type and "PEFT" in (one.type, other.type))
    ):
        return ""
    flavours = [
        {
            word
            for path in (record.name, *model_files.weight_files(record))
            for word in names.flavour(path)
        }
        for record in (one, other)
    ]
    return _same_variants(
        one, one.variants[0], other, other.variants[0], called=flavours[0] == flavours[1]
    )


def _same_variants(
    one: RegisteredModel,
    first: Mapping[str, Any],
    other: RegisteredModel,
    second: Mapping[str, Any],
    *,
    called: bool,
) -> str:
    """Return how the weights are the same; empty where they differ or it is unknown."""
    if (
        not called
        or first["format"] == second["format"]
        or first.get("quantization")
        or second.get("quantization")
    ):
        return ""
    counts = (first.get("parameter_count"), second.get("parameter_count"))
    types = (first.get("dtype"), second.get("dtype"))
    if None not in counts and None not in types:
        if (
            counts[0] != counts[1]
            or types[0] != types[1]
            or not _same_tensors(one, first, other, second)
        ):
            return ""
        return f"with the same {counts[0]:,} parameters in {types[0]}"
    if not (_declared(one, other) or _declared(other, one)):
        return ""
    differ = any(None not in pair and pair[0] != pair[1] for pair in (counts, types))
    return "" if differ else "which is declared as a conversion"


def _declared(one: RegisteredModel, other: RegisteredModel) -> bool:
    """Return whether ``one`` is declared as converted from ``other``."""
    custom = one.value("custom")
    source = custom.get("converted_from") if isinstance(custom, dict) else None
    if not source and str(one.base_model_relation or "").lower() in _CONVERTED:
        source = one.base_model
    return one.pk != other.pk and isinstance(source, str) and named_alike(source, other.name)


def _same_tensors(
    one: RegisteredModel,
    first: Mapping[str, Any],
    other: RegisteredModel,
    second: Mapping[str, Any],
) -> bool:
    """Whether the headers give the same tensors, in formats that call them the same.

    Others are believed by their number.
    """
    if not {first["format"], second["format"]} <= _SAME_NAMES:
        return True
    try:
        mine, theirs = _tensors(one, first), _tensors(other, second)
    except (model_files.Gone, OSError):
        return False
    return mine == theirs


def _tensors(record: RegisteredModel, variant: Mapping[str, Any]) -> Tensors:
    """Name → type and shape. Raises ``Gone`` or ``OSError``."""
    home, found = model_files.home_of(record), Tensors()
    for path in _files_of(record, variant):
        entry = model_files.entry_of(home, path)
        found |= _header(home, entry)
    return found


@lru_cache(2_000)
def _header(home: str, entry: FileEntry) -> Tensors:
    header = weights.read(home, entry, (entry,)).header
    return (
        {tensor.name: (tensor.dtype, tensor.shape) for tensor in header.tensors} if header else {}
    )


def _files_of(record: RegisteredModel, variant: Mapping[str, Any]) -> list[str]:
    """Return the weight files of a variant, with the external data of an ONNX file."""
    paths = [str(path) for path in variant.get("files") or ()]
    beside = [
        path
        for path, _ in record.files
        for each in paths
        if each.endswith(".onnx") and path in (f"{each}_data", f"{each}.data")
    ]
    return [*paths, *beside]
