"""Show tensors by module, one level of the tree at a time.

Five thousand tensors are then as quick to browse as fifty.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from discovery.services.insight.model_contents import TensorInFile
from discovery.web.model_memory import Part, stack

#: A level with no more modules than this shows what is in them at once,
FEW = 3
#: so many levels deep.
DEEP = 3
#: and open, unless there is more in them.
FOLDED = 24
#: Rows of one level; a module that holds more tensors directly is looked through with the search.
MAX_ROWS = 500
#: Colours of the bar of types; the last is for all the others.
TONES = ("weights", "cache", "overhead", "projector", "other")


@dataclass(slots=True)
class Module:
    """One module: the count and the bytes of all tensors below ``path``.

    ``inside`` is its next level where that is shown at once.
    """

    path: str
    label: str
    tensors: int = 0
    size: int = 0
    types: Counter[str] = field(default_factory=Counter)
    inside: Level | None = None

    @property
    def is_open(self) -> bool:
        return (
            self.inside is not None and len(self.inside.modules) + len(self.inside.rows) <= FOLDED
        )

    @property
    def told_types(self) -> str:
        """``BF16``, or ``BF16, F32`` with most of the bytes first."""
        ordered = [name for name, _ in self.types.most_common(3)]
        return ", ".join(ordered[:2]) + (" …" if len(ordered) > 2 else "")

    def add(self, row: TensorInFile) -> None:
        self.tensors += 1
        self.size += row.tensor.size
        self.types[row.tensor.dtype] += row.tensor.size


@dataclass(frozen=True, slots=True)
class Level:
    """The modules and tensors directly below one module.

    A module of one tensor is shown as that tensor.

    ``cut`` counts tensors that are not shown.
    """

    modules: tuple[Module, ...] = ()
    rows: tuple[tuple[str, TensorInFile], ...] = ()
    cut: int = 0


def separator(rows: Sequence[TensorInFile]) -> str:
    """Return the separator of names: a dot, or a slash where a library writes paths."""
    sample = rows[:: max(len(rows) // 200, 1)]
    return "/" if sum("/" in row.tensor.name for row in sample) * 2 > len(sample) else "."


def level(rows: Sequence[TensorInFile], at: str = "", deep: int = DEEP) -> Level:
    """Return the level directly below the module ``at``; empty where it has none."""
    mark = separator(rows)
    prefix = f"{at}{mark}" if at else ""
    below = [row for row in rows if row.tensor.name.startswith(prefix)] if at else rows
    return _level(below, prefix, mark, deep)


def _level(rows: Sequence[TensorInFile], prefix: str, mark: str, deep: int) -> Level:
    modules: dict[str, Module] = {}
    inside: dict[str, list[TensorInFile]] = {}
    own: list[tuple[str, TensorInFile]] = []
    for row in rows:
        head, found, _ = row.tensor.name[len(prefix) :].partition(mark)
        if not found:
            own.append((head, row))
            continue
        if head not in modules:
            modules[head], inside[head] = Module(f"{prefix}{head}", head), []
        modules[head].add(row)
        inside[head].append(row)
    for single in [head for head, module in modules.items() if module.tensors == 1]:
        own += [(row.tensor.name[len(prefix) :], row) for row in inside.pop(single)]
        del modules[single]
    made = tuple(modules.values())
    for module in made:
        _shorten(module, inside[module.label], mark)
    if deep and len(made) <= FEW:
        for module in made:
            members = [row for row in rows if row.tensor.name.startswith(f"{module.path}{mark}")]
            module.inside = _level(members, f"{module.path}{mark}", mark, deep - 1)
    return Level(made, tuple(own[:MAX_ROWS]), max(len(own) - MAX_ROWS, 0))


def _shorten(module: Module, rows: Sequence[TensorInFile], mark: str) -> None:
    """Join modules that hold only one module each into one name: ``model.decoder``."""
    while only := _only_head(rows, f"{module.path}{mark}", mark):
        module.path, module.label = f"{module.path}{mark}{only}", f"{module.label}{mark}{only}"


def _only_head(rows: Sequence[TensorInFile], prefix: str, mark: str) -> str:
    """Return the only module that contains all ``rows``.

    It is empty when there are several, or tensors outside it.
    """
    first = ""
    for row in rows:
        head, found, _ = row.tensor.name[len(prefix) :].partition(mark)
        if not found or not head or (first and head != first):
            return ""
        first = head
    return first


def type_bar(rows: Iterable[TensorInFile]) -> tuple[Part, ...]:
    """Bytes by type of number, the largest first."""
    sizes: Counter[str] = Counter()
    for row in rows:
        sizes[row.tensor.dtype] += row.tensor.size
    ordered = sizes.most_common()
    shown = ordered[: len(TONES) - 1]
    rest = sum(size for _, size in ordered[len(shown) :])
    terms = [(name, tone, size) for (name, size), tone in zip(shown, TONES, strict=False)]
    return stack([*terms, ("others", TONES[-1], rest)], sum(sizes.values()))
