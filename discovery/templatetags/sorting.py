"""The header of a column that a list can be sorted by."""

from __future__ import annotations

from django import template

register = template.Library()


@register.simple_tag
def sort_link(current: str, column: str) -> str:
    """The sort that a click on ``column`` asks for: texts begin at A, numbers with the largest."""
    first = column if column == "name" else f"-{column}"
    return (
        first
        if current.removeprefix("-") != column
        else (column if current.startswith("-") else f"-{column}")
    )


@register.simple_tag
def sort_order(current: str, column: str) -> str:
    """What ``aria-sort`` says of ``column``; empty when the list is sorted by another one."""
    return {column: "ascending", f"-{column}": "descending"}.get(current, "")
