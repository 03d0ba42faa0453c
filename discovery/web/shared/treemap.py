"""The disk as a treemap.

Rectangles have areas in proportion to sizes, laid out by squarify, each with a link and a title.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import squarify

from discovery.templatetags.karen import size as human_size

#: Width of a character, and the height of a line, in units of the picture (CSS pixels at its own
#: width).
CHARACTER = 7.2
LINE = 14.0
PADDING = 7.0
#: Height of the strip that names a group; a group that is smaller goes without.
STRIP = 20.0
MIN_STRIP_WIDTH = 60.0
MIN_STRIP_HEIGHT = 48.0
#: What is smaller than this share of the picture could be neither seen nor hit.
SMALLEST = 0.0015
#: Steps of a category's colour, so that neighbours are told apart.
SHADES = 4


@dataclass(frozen=True, slots=True)
class Item:
    """Something that takes ``size`` bytes.

    ``tone`` is a class that sets its colour, ``href`` where a click leads.
    """

    label: str
    size: int
    href: str
    tone: str = ""
    note: str = ""

    @property
    def title(self) -> str:
        return f"{self.label}, {human_size(self.size)}{', ' if self.note else ''}{self.note}"


@dataclass(frozen=True, slots=True)
class Group:
    """Items under one heading, which is a link of its own.

    ``whole`` is the size of all of it, including items without a name.
    """

    heading: Item
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Box:
    """One rectangle.

    ``lines`` are the texts that it has room for; ``strip`` says that it is a group's heading.
    """

    item: Item
    x: float
    y: float
    width: float
    height: float
    shade: int
    lines: tuple[str, ...] = ()
    strip: bool = False

    @property
    def text_x(self) -> float:
        return self.x + PADDING

    @property
    def baselines(self) -> list[tuple[float, str]]:
        first = self.y + (STRIP - 6 if self.strip else LINE + 3)
        return [(first + LINE * index, line) for index, line in enumerate(self.lines)]


@dataclass(frozen=True, slots=True)
class Map:
    """A picture of ``width`` by ``height``.

    The same items get another layout for each shape of screen.
    """

    width: int
    height: int
    boxes: tuple[Box, ...]


Frame = tuple[float, float, float, float]


def flat(items: Iterable[Item], width: int, height: int) -> Map:
    """Items side by side."""
    return Map(width, height, tuple(_boxes(_seen(list(items)), (0, 0, width, height))))


def grouped(groups: Iterable[Group], width: int, height: int) -> Map:
    """Lay out groups side by side, with the items of each inside it.

    A group too small for a heading only shows its items.
    """
    chosen = sorted(
        (group for group in groups if group.heading.size > 0), key=lambda group: -group.heading.size
    )
    whole = sum(group.heading.size for group in chosen)
    chosen = [group for group in chosen if group.heading.size >= whole * SMALLEST]
    boxes: list[Box] = []
    for group, frame in zip(
        chosen,
        _frames([group.heading.size for group in chosen], (0, 0, width, height)),
        strict=True,
    ):
        boxes += _group(group, frame, width * height)
    return Map(width, height, tuple(boxes))


def _group(group: Group, frame: Frame, area: float) -> list[Box]:
    x, y, width, height = frame
    boxes: list[Box] = []
    if width >= MIN_STRIP_WIDTH and height >= MIN_STRIP_HEIGHT:
        text = f"{group.heading.label} · {human_size(group.heading.size)}"
        label = (
            text
            if _width(text) <= width - 2 * PADDING
            else fitting(group.heading.label, width - 2 * PADDING)
        )
        boxes.append(Box(group.heading, x, y, width, STRIP, 0, (label,), strip=True))
        y, height = y + STRIP, height - STRIP
    items = _seen(
        list(group.items), group.heading.size * max(1.0, SMALLEST * area / (width * height))
    )
    return boxes + _boxes(items or [group.heading], (x, y, width, height))


def _seen(items: Sequence[Item], whole: float = 0) -> list[Item]:
    whole = whole or sum(item.size for item in items)
    return [
        item
        for item in sorted(items, key=lambda item: -item.size)
        if item.size > 0 and item.size >= whole * SMALLEST
    ]


def _boxes(items: Sequence[Item], frame: Frame) -> list[Box]:
    frames = _frames([item.size for item in items], frame)
    return [
        Box(item, *place, index % SHADES, _lines(item, place[2], place[3]))
        for index, (item, place) in enumerate(zip(items, frames, strict=True))
    ]


def _frames(sizes: Sequence[int], frame: Frame) -> list[Frame]:
    """Where each size goes; sizes come in descending order."""
    x, y, width, height = frame
    if not sizes:
        return []
    made = squarify.squarify(squarify.normalize_sizes(sizes, width, height), x, y, width, height)
    return [
        (round(each["x"], 1), round(each["y"], 1), round(each["dx"], 1), round(each["dy"], 1))
        for each in made
    ]


def _lines(item: Item, width: float, height: float) -> tuple[str, ...]:
    room = width - 2 * PADDING
    label = fitting(item.label, room) if height >= LINE + 8 else ""
    if not label:
        return ()
    told = human_size(item.size)
    return (label, told) if height >= 2 * LINE + 8 and _width(told) <= room else (label,)


def fitting(text: str, room: float, character: float = CHARACTER) -> str:
    """``text``, cut so that it fits; nothing where not even a few characters would.

    ``character`` is the width of a usual one.
    """
    if _width(text, character) <= room:
        return text
    kept, width = "", character  # of the ellipsis
    for each in text:
        width += _width(each, character)
        if width > room:
            break
        kept += each
    return f"{kept.rstrip()}…" if len(kept) > 2 else ""


def _width(text: str, character: float = CHARACTER) -> float:
    return sum(
        character * (2 if unicodedata.east_asian_width(each) in "WF" else 1) for each in text
    )
