"""The halves of an ONNX export: encoder, decoder and joiner, each in a file of its own.

Exporters store them in several precisions, and not each half in each: what a precision lacks is
loaded from another one.
"""

from __future__ import annotations

import re

from discovery.engine.identify.weight_files import WeightFile, WeightSet

_HALF = re.compile(r"^(encoder|decoder(?![-_]?join)|(?:decoder[-_]?)?join(?:t|er))(?=[-_.])", re.I)


def half(name: str) -> str | None:
    """``encoder`` of ``encoder-epoch-99.int8.onnx``; ``joiner`` for what joins the two."""
    match = _HALF.match(name)
    if match is None:
        return None
    word = match[1].lower()
    return "joiner" if "join" in word else word


def completed(sets: list[WeightSet]) -> list[WeightSet]:
    """The sets, those of ONNX with the halves that only others of them hold."""
    exports = {id(group): _halves(group) for group in sets if group.format == "onnx"}
    every = dict.fromkeys(name for own in exports.values() for name in own)
    if len([own for own in exports.values() if own]) < 2:
        return sets
    # Unlabelled files are the plain ones: they stand in for what a precision lacks.
    order = sorted((g for g in sets if exports.get(id(g))), key=lambda group: group.label or "")
    lent = {name: exports[id(g)][name] for g in reversed(order) for name in exports[id(g)]}
    seen: set[frozenset[str]] = set()
    made: list[WeightSet] = []
    for group in sorted(sets, key=lambda group: -len(exports.get(id(group), ()))):
        own = exports.get(id(group))
        if own:
            for name in every:
                group.files += lent[name] if name not in own else []
        paths = frozenset(file.entry.path for file in group.files)
        if not own or paths not in seen:
            made.append(group)
        seen.add(paths)
    return made


def _halves(group: WeightSet) -> dict[str, list[WeightFile]]:
    found: dict[str, list[WeightFile]] = {}
    for file in group.files:
        if name := half(file.entry.name):
            found.setdefault(name, []).append(file)
    return found
