"""A model's family: a small graph of its ancestors and descendants, and the same as lists."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from django.urls import reverse

from discovery.engine.core.vocabulary import Relation
from discovery.models import RegisteredModel
from discovery.services.insight.lineage import Family, Relative
from discovery.templatetags.karen import parameters, size, type_name
from discovery.web.shared import treemap

#: Units of the picture: CSS pixels at its own width.
WIDTH, BOX_WIDTH, BOX_HEIGHT, GAP = 760, 208, 44, 12
#: Width of a character in the two lines of a box.
LARGE, SMALL = 7.8, 5.8
#: Boxes of a column; the rest is counted in one more.
MAX_BOXES = 9


@dataclass(frozen=True, slots=True)
class Node:
    """One box.

    ``href`` is empty for what is named but not here; ``tone`` is a class: ``here``, ``own`` or
    ``away``.
    """

    label: str
    under: str
    title: str
    href: str
    tone: str
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Graph:
    """Ancestors on the left, the model in the middle, what comes from it on the right.

    ``edges`` are paths between them.
    """

    width: int
    height: int
    nodes: tuple[Node, ...]
    edges: tuple[str, ...]


def groups(relatives: Family) -> list[tuple[str, str, tuple[Relative, ...]]]:
    """(title, what it means, members) of each kind that has any."""
    told = (
        ("Comes from", "named as its base", relatives.ancestors),
        ("Made from it", "these name it as their base", relatives.children),
        ("Same model, other formats", "by its name", relatives.formats),
        ("Same base", "siblings", relatives.siblings),
    )
    return [each for each in told if each[2]]


def brief(record: RegisteredModel, relatives: Family) -> list[tuple[Relative, str]]:
    """The nearest few, each with how it is related, for the panel of the overview."""
    near = [*relatives.ancestors[:2], *relatives.formats[:3], *relatives.children[:4]] or list(
        relatives.siblings[:3]
    )
    return [
        (each, relation(each, ancestor=each in relatives.ancestors))
        for each in near
        if each.record is None or each.record.pk != record.pk
    ][:6]


def relation(relative: Relative, *, ancestor: bool = False) -> str:
    if ancestor:
        return "base"
    if relative.relation == "format":
        return "other format"
    return Relation.label_of(relative.relation).lower()


def graph(record: RegisteredModel, relatives: Family) -> Graph | None:
    """Return the graph, or ``None`` where the model has no relatives."""
    left = list(reversed(relatives.ancestors))
    right = [*relatives.children, *relatives.formats]
    if not left and not right:
        return None
    shown = right if len(right) <= MAX_BOXES else right[: MAX_BOXES - 1]
    rows = max(len(left), len(shown) + (len(shown) < len(right)), 1)
    height = rows * (BOX_HEIGHT + GAP) - GAP + 2
    columns = [1, (WIDTH - BOX_WIDTH) // 2, WIDTH - BOX_WIDTH - 1]
    middle = (height - BOX_HEIGHT) // 2
    own = Node(
        _fitting(record.title),
        treemap.fitting(_facts(record), BOX_WIDTH - 20, SMALL),
        record.title,
        "",
        "own",
        columns[1],
        middle,
    )
    bases = [
        _node(each, columns[0], y, ancestor=True)
        for each, y in zip(left, _rows(len(left), height), strict=True)
    ]
    heights = _rows(len(shown) + (len(shown) < len(right)), height)
    others = [_node(each, columns[2], y) for each, y in zip(shown, heights, strict=False)]
    if len(shown) < len(right):
        count = len(right) - len(shown)
        others.append(
            Node(
                f"and {count:,} more",
                "listed below",
                f"{count:,} more",
                "#relatives",
                "away",
                columns[2],
                heights[-1],
            )
        )
    chain = [
        f"M{node.x + BOX_WIDTH // 2},{node.y + BOX_HEIGHT} V{after.y}"
        for node, after in pairwise(bases)
    ]
    edges = [
        *chain,
        *(_line(node, own) for node in bases[-1:]),
        *(_line(own, node) for node in others),
    ]
    return Graph(WIDTH, height, (*bases, own, *others), tuple(edges))


def _rows(count: int, height: int) -> list[int]:
    """Return the positions of ``count`` boxes, spread around the middle."""
    top = (height - count * (BOX_HEIGHT + GAP) + GAP) // 2
    return [top + index * (BOX_HEIGHT + GAP) for index in range(count)]


def _line(before: Node, after: Node) -> str:
    x, y, to_x, to_y = (
        before.x + BOX_WIDTH,
        before.y + BOX_HEIGHT // 2,
        after.x,
        after.y + BOX_HEIGHT // 2,
    )
    bend = (x + to_x) // 2
    return f"M{x},{y} C{bend},{y} {bend},{to_y} {to_x},{to_y}"


def _node(relative: Relative, x: int, y: int, *, ancestor: bool = False) -> Node:
    how = relation(relative, ancestor=ancestor)
    if relative.record is None:
        return Node(
            _fitting(relative.name),
            f"{how}, not here" if how else "not here",
            relative.name,
            "",
            "away",
            x,
            y,
        )
    href = reverse("model", args=[relative.record.model_id])
    under = " · ".join(part for part in (how, _facts(relative.record)) if part)
    return Node(
        _fitting(relative.name),
        treemap.fitting(under, BOX_WIDTH - 20, SMALL),
        relative.name,
        href,
        "here",
        x,
        y,
    )


def _facts(record: RegisteredModel) -> str:
    precision = record.quantization or record.dtype or type_name(record.type)
    count = parameters(record.parameter_count) if record.parameter_count else ""
    return " · ".join(part for part in (precision, count, size(record.size_bytes)) if part)


def _fitting(text: str) -> str:
    return treemap.fitting(text, BOX_WIDTH - 20, LARGE)
