"""Shards without the set they belong to: parts of it are missing, or the whole model lies beside them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from discovery.engine import names
from discovery.engine.sidecars import json_file, weight_index
from discovery.engine.text import plural

Named = list[tuple[str, str]]


def lone_shards(folder: str, files: Sequence[str]) -> Iterator[tuple[Named, str]]:
    """((name, absolute path) of each shard, why it is alone) for each set among ``files``, the names in ``folder``."""
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
        others = [shards for shards in complete if any(each.endswith(suffix) for each in shards)]
        missing = total - len(members)
        if others:
            why = "the index of the folder names other files, and all of those are there"
        elif missing and f"{stem}{suffix}" in known:
            why = f"{stem}{suffix} beside it holds the whole model"
        elif missing:
            why = f"{plural(missing, 'part')} of {total} {'is' if missing == 1 else 'are'} missing: finish the download, or remove the rest"
        else:
            continue
        yield [(name, f"{folder}/{name}") for name in sorted(members)], why


def _asked_for(path: str) -> frozenset[str]:
    """The files that an index names; none where it cannot be read."""
    try:
        with open(path, "rb") as stream:
            parsed = json_file.parse_object(stream.read(json_file.MAX_BYTES + 1))
    except OSError:
        return frozenset()
    index = weight_index.read(parsed.data) if isinstance(parsed.data, dict) else None
    return frozenset(index.shards) if index else frozenset()
