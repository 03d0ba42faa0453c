"""Which weight files of a folder are loaded together: shards by their index or numbers, exports by format and precision."""

from __future__ import annotations

from collections.abc import Collection

from discovery.engine import names, weights
from discovery.engine.folder import Folder
from discovery.engine.sidecars import weight_index
from discovery.engine.sidecars.weight_index import WeightIndex
from discovery.engine.types import FileEntry, Severity
from discovery.engine.weights import WeightFile, WeightSet

#: Formats that a suffix may hide besides the one it promises.
_DISGUISES = {
    "pytorch": {"pytorch", "ggml", "ctranslate2", "openvino"},
    "tensorflow": {"tensorflow", "keras"},
}

#: Folders below a model that hold pieces for it, but no weights of their own to count.
_NOT_VARIANTS = ("tokenizer", "scheduler", "assets", "figures", "images")


def weight_entries(folder: Folder, allowed: Collection[str]) -> tuple[list[FileEntry], set[str]]:
    """(weight files to read, formats left out because ``supported_formats`` does not name them)."""
    chosen: list[FileEntry] = []
    left_out: set[str] = set()
    for path, entry in folder.entries.items():
        promised = _promised(folder, path)
        if promised is None:
            continue
        if _DISGUISES.get(promised, {promised}).isdisjoint(allowed):
            left_out.add(promised)
        else:
            chosen.append(entry)
    return chosen, left_out


def _promised(folder: Folder, path: str) -> str | None:
    name = path.rpartition("/")[2]
    if name.endswith(".xml") and f"{path[:-4]}.bin" in folder:
        return "openvino"
    if name == "saved_model.pb":
        return "tensorflow"
    if (
        f"{folder.place}/{path}".rpartition("/")[0].endswith(".mlpackage")
        and name == "Manifest.json"
    ):
        return "coreml"
    if ".mlpackage/" in f"{folder.place}/{path}":
        return None
    if path.endswith("variables/variables.index"):
        return "tensorflow"
    if name.endswith(".bin") and f"{path[:-4]}.xml" in folder:
        return None
    return names.weight_format(name)


def weight_sets(folder: Folder, files: list[WeightFile], pipeline: bool = False) -> list[WeightSet]:
    """Sets of the files that are not GGUF, each complete or told what it misses. ``pipeline``: components load together."""
    indexes = _indexes(folder, pipeline)
    sets: dict[tuple[str, ...], WeightSet] = {}
    for file in files:
        path = file.entry.path if folder.place == "." else file.entry.path[len(folder.place) + 1 :]
        if file.format == "gguf" or _is_piece(path):
            continue
        key, label = _key(path, file.format, pipeline)
        group = sets.setdefault(key, WeightSet(file.format, [], label))
        group.files.append(file)
        index = indexes.get(_index_key(path))
        if index is not None and file.entry.name in index.shards:
            group.index = index
    used = {id(group.index) for group in sets.values()}
    for (_, stem, suffix), index in indexes.items():
        if id(index) not in used and not pipeline:
            format_name = names.WEIGHT_SUFFIXES.get(suffix, "pytorch")
            sets.setdefault((format_name, stem, "absent"), WeightSet(format_name, [], None, index))
    return _without_extras([weights.complete(group) for group in sets.values()], pipeline)


def _indexes(folder: Folder, pipeline: bool) -> dict[tuple[str, str, str], WeightIndex]:
    """Weight indexes by (sub-folder, stem, suffix) of the shards they speak for."""
    found: dict[tuple[str, str, str], WeightIndex] = {}
    for path in folder.entries:
        if not path.endswith(".index.json") or ("/" in path and not pipeline):
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
            text = f"{path} asks for {index.outside[0][:120]!r}, outside the model's folder; it is not followed"
            folder.complain("index_outside", path, text)
        if index.shards:
            found[_index_key(path.removesuffix(".index.json"))] = index
    return found


def _index_key(path: str) -> tuple[str, str, str]:
    directory, _, name = path.rpartition("/")
    dot = name.rfind(".")
    return directory, names.stem(name).lower().replace("_", "-"), name[dot:].lower()


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
    if format_name == "onnx":
        return (
            format_name,
            "" if names.is_standard(name) else names.base_stem(name),
            precision or "",
        ), precision
    part = names.shard(name)
    total = str(part.total or "") if part else ""
    label = precision or ("consolidated" if name.startswith("consolidated") else None)
    return (format_name, directory, names.base_stem(name), precision or "", total), label


def _is_piece(path: str) -> bool:
    top, slash, _ = path.partition("/")
    return bool(slash) and (top[:1].isdigit() or top.lower() in _NOT_VARIANTS)


def _without_extras(sets: list[WeightSet], pipeline: bool) -> list[WeightSet]:
    """Beside weights with a standard name, files of other names are accessories (a projector, an old copy), not the model."""
    standard = [
        group
        for group in sets
        if not group.files or any(names.is_standard(file.entry.name) for file in group.files)
    ]
    return sets if pipeline or not standard else standard
