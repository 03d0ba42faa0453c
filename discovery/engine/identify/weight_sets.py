"""Which weight files of a folder are loaded together, by index, number, format and precision."""

from __future__ import annotations

import re
from collections.abc import Collection, Container, Iterator, Mapping
from functools import lru_cache

from discovery.engine.core import format_registry, names
from discovery.engine.core.types import FileEntry
from discovery.engine.core.vocabulary import Severity
from discovery.engine.disk.folder import ModelFolder
from discovery.engine.identify import halves, weights
from discovery.engine.identify.weight_files import WeightFile, WeightSet
from discovery.engine.sidecars import weight_index
from discovery.engine.sidecars.weight_index import WeightIndex

#: Folders below a model that hold pieces for it, but no weights of their own to count.
_NOT_VARIANTS = ("tokenizer", "scheduler", "assets", "figures", "images")


#: Optimum's levels of optimization and its quantizations for one machine's instructions.
_ONNX_LEVEL = re.compile(r"[-_.](o[1-4]|qu?int8(?:_[a-z0-9_]+)?|int4|fp4|nf4)$", re.IGNORECASE)


#: Formats of what a library of Python unpickles: a head on a network, not the network again.
_OBJECTS = frozenset({"joblib", "skops"})

#: What the names of more files in a folder promise is not remembered.
_REMEMBERED = 200


def weight_entries(
    folder: ModelFolder, allowed: Collection[str]
) -> tuple[list[FileEntry], set[str]]:
    """(weight files to read, formats left out because ``supported_formats`` does not name them)."""
    chosen: list[FileEntry] = []
    left_out: set[str] = set()
    home = folder.place if format_registry.is_in_a_file(folder.place) else ""
    look = _promises if len(folder.entries) <= _REMEMBERED else _promises.__wrapped__
    promises = look(tuple(folder.entries), home, format_registry.generation())
    for (path, entry), promised in zip(folder.entries.items(), promises, strict=True):
        if promised is None:
            continue
        if promised not in allowed and format_registry.perhaps(
            path[path.rfind(".") :].lower()
        ).isdisjoint(allowed):
            # A name that only may be one says nothing of what was left out.
            left_out.update({promised} if names.format_of_suffix(entry.name) == promised else ())
        else:
            chosen.append(entry)
    return chosen, left_out


def _is_companion(path: str) -> bool:
    return any(map(names.is_companion, path.split("/")[:-1]))


def _paths(folder: ModelFolder) -> frozenset[str]:
    """Of the folder's files, from the root and from the folder."""
    return frozenset((*folder.entries, *(f"{folder.place}/{path}" for path in folder.entries)))


@lru_cache(maxsize=500)
def _promises(paths: tuple[str, ...], home: str, _generation: int) -> tuple[str | None, ...]:
    """The weight format that each file's name suggests.

    Cached, since most folders contain files of the same names.
    """
    beside = frozenset((*paths, *(f"{home}/{path}" for path in paths)))
    return tuple(
        None if _is_companion(path) else _promised(f"{home}/{path}", beside) for path in paths
    )


def _promised(path: str, beside: Container[str]) -> str | None:
    if format_registry.is_data(path, beside):
        return None
    return format_registry.of_entry(path, beside) or names.weight_format(path.rpartition("/")[2])


def weight_sets(
    folder: ModelFolder,
    files: list[WeightFile],
    pipeline: bool = False,
    modules: Collection[str] = (),
    ranks: int | None = None,
) -> list[WeightSet]:
    """Sets of the files that are not GGUF, each complete or with its missing parts.

    ``pipeline``: components load together. ``modules`` are the folders of the model's modules: the
    weights may be in them instead, and load together too. ``ranks`` is how many processes load a
    file each.
    """
    start = 0 if folder.place == "." else len(folder.place) + 1
    apart = bool(modules) and all("/" in file.entry.path[start:] for file in files)
    together = pipeline or apart
    indexes = _indexes(folder, together)
    members = {
        f"{directory}/{shard}" if directory else shard: index
        for (directory, _), index in indexes.items()
        for shard in index.shards
    }
    sets: dict[tuple[str, ...], WeightSet] = {}
    for file in files:
        path = file.entry.path[start:]
        in_module = path.partition("/")[0] in modules
        if file.format == "gguf" or (not apart if in_module else _is_piece(path)):
            continue
        key, label = _key(path, file.format, together)
        index = members.get(path)
        if index is not None and not together:
            key = (file.format, "index", *index.shards[:1])
        group = sets.setdefault(key, WeightSet(file.format, [], label))
        group.files.append(file)
        group.index = group.index or index
    if together:
        return _with_data(
            folder, [_complete_parts(group, folder, indexes) for group in sets.values()]
        )
    made = [weights.complete(group, ranks) for group in halves.completed(list(sets.values()))]
    used = {id(group.index) for group in made}
    for (_, name), index in indexes.items():
        # An index that came along without its files says nothing where a whole set lies.
        if id(index) not in used and not any(map(_is_whole, made)):
            made.append(weights.complete(WeightSet(_suffix_format(name), [], None, index)))
    return _with_data(folder, _without_extras(made))


def _with_data(folder: ModelFolder, sets: list[WeightSet]) -> list[WeightSet]:
    """The sets, with what is loaded by way of their files, or that there is nothing to load."""
    for group in sets:
        weights.note_emptiness(group)
        found = [*_data(folder, group), *(entry for file in group.files for entry in file.data)]
        group.data = list({entry.path: entry for entry in found}.values())
    return sets


def _data(folder: ModelFolder, group: WeightSet) -> Iterator[FileEntry]:
    """Files that are loaded through the files of a set.

    The data that a graph names, or the rest of a folder that is loaded as a unit.
    """
    known = format_registry.get(group.format)
    named = {
        f"{file.entry.path.rpartition('/')[0]}/{each.location.removeprefix('./')}".lstrip("/")
        for file in group.files
        for each in (file.header.externals if file.header else ())
    }
    if known is None or not (named or known.is_data or known.is_whole):
        return
    own = {file.entry.path for file in group.files}
    stems = {names.base_stem(file.entry.name) for file in group.files}
    places = {path.rpartition("/")[0] for path in own}
    homes = tuple(f"{place}/" for place in places if format_registry.is_like_a_file(place))
    homes = homes if known.folder_suffixes else ("",)
    beside = _paths(folder)
    for entry in folder.entries.values():
        is_part = known.is_whole and entry.path.startswith(homes)
        is_data = (
            known.is_data is not None
            and not known.is_whole
            and names.base_stem(entry.name) in stems
            and known.is_data(entry.path, beside)
        )
        if entry.path not in own and (is_part or is_data or entry.path in named):
            yield entry


def _complete_parts(
    group: WeightSet, folder: ModelFolder, indexes: Mapping[tuple[str, str], WeightIndex]
) -> WeightSet:
    """Adds what each component of a pipeline is missing, by its own index or shard numbers."""
    start = 0 if folder.place == "." else len(folder.place) + 1
    components: dict[str, list[WeightFile]] = {}
    for file in group.files:
        components.setdefault(file.entry.path[start:].rpartition("/")[0], []).append(file)
    group.index = None
    for directory, files in components.items():
        present = {file.entry.name for file in files}
        index = next(
            (
                index
                for (where, _), index in indexes.items()
                if where == directory and not present.isdisjoint(index.shards)
            ),
            None,
        )
        part = weights.complete(WeightSet(group.format, files, None, index))
        group.missing += [f"{directory}/{name}" if directory else name for name in part.missing]
    return group


def _is_whole(group: WeightSet) -> bool:
    """Whether the weights of a model are all there, by their names."""
    return not group.missing and _is_named(group)


def _is_named(group: WeightSet) -> bool:
    """Whether the files have a library's standard weight name, or that of shards."""
    return any(
        names.is_standard(file.entry.name) or names.shard(file.entry.name) for file in group.files
    )


def _indexes(folder: ModelFolder, deep: bool) -> dict[tuple[str, str], WeightIndex]:
    """Weight indexes by (sub-folder, name without ``.index.json``) of their shards."""
    found: dict[tuple[str, str], WeightIndex] = {}
    for path in folder.entries:
        directory, _, name = path.rpartition("/")
        if not name.endswith(".index.json") or names.is_litter(name) or (directory and not deep):
            continue
        data = folder.json(path)
        index = weight_index.read(data) if data is not None else None
        if index is None:
            if data is not None:
                folder.complain(
                    "index_invalid", path, f"{path} names no weight files", Severity.WARNING
                )
            continue
        if index.outside:
            text = (
                f"{path} asks for {index.outside[0][:120]!r}, outside the model's folder; it is not"
                " followed"
            )
            folder.complain("index_outside", path, text)
        if index.shards:
            found[directory, name.removesuffix(".index.json")] = index
    return found


def _suffix_format(name: str) -> str:
    return format_registry.SUFFIXES.get(name[name.rfind(".") :].lower(), "pytorch")


def _key(path: str, format_name: str, pipeline: bool) -> tuple[tuple[str, ...], str | None]:
    directory, _, name = path.rpartition("/")
    precision = names.precision(name)
    if pipeline:
        single = "" if directory else names.base_stem(name)
        return (format_name, single, precision or ""), precision or (
            names.stem(name) if single else None
        )
    if format_name == "tensorflow" and name in ("saved_model.pb", "variables.index"):
        return (format_name, "", "saved_model"), None
    if format_registry.is_like_a_file(directory):
        return (format_name, directory[directory.rfind(".") :], "", ""), None
    if format_name == "onnx":
        level = _ONNX_LEVEL.search(names.stem(name))
        precision = precision or (level[1].lower() if level else None)
        return (
            format_name,
            "" if names.is_standard(name) else names.base_stem(name),
            precision or "",
        ), precision
    part = names.shard(name)
    total = str(part.total or "?") if part else ""
    label = precision or ("consolidated" if name.startswith("consolidated") else None)
    return (format_name, directory, names.base_stem(name), precision or "", total), label


def _is_piece(path: str) -> bool:
    top, slash, _ = path.partition("/")
    return bool(slash) and (top[:1].isdigit() or top.lower() in _NOT_VARIANTS)


def _without_extras(sets: list[WeightSet]) -> list[WeightSet]:
    """Drop files with other names next to standard weights: projectors, old copies."""
    standard = [group for group in sets if not group.files or group.index or _is_named(group)]
    kept = standard or sets
    networks = [group for group in kept if group.format not in _OBJECTS]
    has_tensors = any(header.tensors for group in networks for header in group.headers)
    return networks if has_tensors else kept
