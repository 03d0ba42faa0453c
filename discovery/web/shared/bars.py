"""Rows of a bar chart that the server draws."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a chart.

    ``told`` is the text at its end, ``width`` is in percent of the whole picture; ``href`` is empty
    where it has no link.
    """

    label: str
    told: str
    width: int
    href: str = ""
    tone: str = ""


def percent(part: int, whole: int) -> int:
    """Whole percent, of something at least one."""
    return min(max(round(100 * part / whole), 1), 100) if whole and part else 0
