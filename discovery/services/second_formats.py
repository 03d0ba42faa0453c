"""The same model in several formats: a variant beside the one that speaks for the model, or a record of its own under the same name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b

from discovery.engine.disk_use import FILE, Piece, freed
from discovery.engine.leftover_stores import Store
from discovery.engine.types import Status
from discovery.models import RegisteredModel
from discovery.services import browse, duplicates
from discovery.services.duplicates import COLUMNS, NoAnswer, inside, own_files
from discovery.services.family import same_model
from discovery.services.patience import ask

#: The largest models are looked through.
LARGEST = 5_000
#: Records whose files the disks are asked about.
MAX_RECORDS = 1_000


@dataclass(frozen=True, slots=True)
class SecondFormat:
    """What holds a model once more. ``kept`` names another format of it; ``members`` are all records of a model that has several."""

    record: RegisteredModel
    home: str
    name: str
    format: str
    kept: str
    pieces: tuple[Piece, ...]
    members: frozenset[int] = frozenset()

    @property
    def key(self) -> str:
        """Names it in forms."""
        return f"{self.record.pk}:{blake2b(self.name.encode('utf-8', 'surrogateescape'), digest_size=8).hexdigest()}"

    @property
    def is_whole(self) -> bool:
        """Whether it is a record of its own, all of which would go."""
        return bool(self.members)

    @property
    def freed(self) -> int:
        return freed(self.pieces)


def found() -> list[SecondFormat]:
    """Among the ``LARGEST`` models that are ready, what gives back most first. Raises ``NoAnswer``."""
    ready = RegisteredModel.objects.filter(status=Status.READY).order_by("-size_bytes", "-pk")
    rows = list(ready.values_list("pk", "name", "format", "variants")[:LARGEST])
    several = [pk for pk, _, _, variants in rows if len({item["format"] for item in variants}) > 1]
    groups = _groups(rows)
    chosen = list(dict.fromkeys([*several, *groups]))[:MAX_RECORDS]
    records = list(
        RegisteredModel.objects.filter(pk__in=chosen)
        .select_related("root")
        .only(*COLUMNS, "format", "root__path")
        .order_by("pk")
    )
    key = ("second formats", tuple(chosen))
    answer = (
        ask({key: partial(_look, records, groups)}, duplicates.PATIENCE) if records else {key: []}
    )
    if key not in answer:
        raise NoAnswer(
            f"The disks did not answer within {duplicates.PATIENCE:g} seconds. Try again in a moment."
        )
    return answer[key]


def spare(found: Sequence[SecondFormat]) -> int:
    """Bytes that can be had back at most: of a model in several records one stays, the largest at the least."""
    whole: dict[frozenset[int], list[int]] = defaultdict(list)
    for each in found:
        if each.is_whole:
            whole[each.members].append(each.freed)
    return sum(each.freed for each in found if not each.is_whole) + sum(
        sum(sizes) - max(sizes) for sizes in whole.values()
    )


def _groups(rows: Sequence[tuple[int, str, str | None, object]]) -> dict[int, frozenset[int]]:
    """Record → all records that are called the same but for words for formats, where those are several."""
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
    records: Sequence[RegisteredModel], groups: Mapping[int, frozenset[int]]
) -> list[SecondFormat]:
    by_key, stores = {record.pk: record for record in records}, dict[str, Store]()
    made: list[SecondFormat] = []
    for record in records:
        home = browse.home_of(record)
        made += _variants(record, home)
        others = [
            by_key[pk]
            for pk in sorted(groups.get(record.pk, ()))
            if pk in by_key and by_key[pk].format != record.format
        ]
        if others:
            pieces = tuple(
                each for path in own_files(record, home, stores) if (each := inside(home, path))
            )
            kept = f"{others[0].format} in {others[0].title}"
            made.append(
                SecondFormat(record, home, "", str(record.format), kept, pieces, groups[record.pk])
            )
    with_files = [each for each in made if any(piece.kind == FILE for piece in each.pieces)]
    return sorted(with_files, key=lambda each: (-each.freed, each.record.pk, each.name))


def _variants(record: RegisteredModel, home: str) -> list[SecondFormat]:
    made = []
    for variant in record.variants[1:]:
        if variant["format"] == record.variants[0]["format"]:
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
        made.append(
            SecondFormat(
                record,
                home,
                variant["name"],
                variant["format"],
                record.variants[0]["format"],
                pieces,
            )
        )
    return made


def _files_of(record: RegisteredModel, variant: Mapping[str, object]) -> list[str]:
    """Its weight files, with the data that an ONNX file keeps beside itself."""
    listed = variant.get("files")
    paths = [str(path) for path in listed] if isinstance(listed, list) else []
    beside = [
        path
        for path, _ in record.files
        for each in paths
        if each.endswith(".onnx") and path in (f"{each}_data", f"{each}.data")
    ]
    return [*paths, *beside]
