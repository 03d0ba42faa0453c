"""Shards without their set: parts of it are missing, or the whole model is next to them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from discovery.engine.core import names
from discovery.engine.core.text import plural
from discovery.engine.sidecars import json_file, weight_index

Named = list[tuple[str, str]]


def lone_shards(folder: str, files: Sequence[str]) -> Iterator[tuple[Named, str]]:
    """((name, absolute path) of each shard, why it is alone) for each set among ``files``, the
    names in ``folder``.
    """
    sets: dict[tuple[str, int, str], list[str]] = defaultdict(list)
    for name in files:
        part = names.shard(name)
        if part and part.total and names.weight_format(name):
            sets[part.stem, part.total, part.suffix].append(name)
    if not sets:
        return
    known = frozenset(files)
    wanted = [
        shards
        for name in files
        if name.endswith(".index.json") and (shards := _asked_for(f"{folder}/{name}"))
    ]
    complete = [shards for shards in wanted if shards <= known]
    for (stem, total, suffix), members in sorted(sets.items()):
        if any(not shards.isdisjoint(members) for shards in complete):
            continue
        missing = total - len(members)
        # A whole set under another name may be another model, and one of the same name is an older
        # sharding of this one.
        others = [shards for shards in complete if _is_of(shards, suffix, "" if missing else stem)]
        if others:
            why = "the index of the folder names other files, and all of those are there"
        elif missing and f"{stem}{suffix}" in known:
            why = f"{stem}{suffix} beside it holds the whole model"
        elif missing:
            why = (
                f"{plural(missing, 'part')} of {total} {'is' if missing == 1 else 'are'} missing:"
                " finish the download, or remove the rest"
            )
        else:
            continue
        yield [(name, f"{folder}/{name}") for name in sorted(members)], why


def _is_of(shards: frozenset[str], suffix: str, stem: str) -> bool:
    """Whether an index that names ``shards`` is for weights of this suffix, and of this stem if one
    is given.
    """
    parts = [part for each in shards if (part := names.shard(each))]
    return any(each.endswith(suffix) for each in shards) and (
        not stem or any(part.stem == stem for part in parts)
    )


def named_below(folder: str, name: str) -> Iterator[str]:
    """The paths that an index in ``folder`` names in folders below it: a set may be in another
    folder than its index.
    """
    return (each for each in _asked_for(f"{folder}/{name}") if "/" in each)


def _asked_for(path: str) -> frozenset[str]:
    """The files that an index names; none where it cannot be read."""
    try:
        with open(path, "rb") as stream:
            parsed = json_file.parse_object(stream.read(json_file.MAX_BYTES + 1))
    except OSError:
        return frozenset()
    index = weight_index.read(parsed.data) if isinstance(parsed.data, dict) else None
    return frozenset(index.shards) if index else frozenset()
