"""Forms whose values somebody else may change while they are open.

Functions give what a form sends, what it changed, and the choice between the two values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict

from discovery.services.core.form_stamps import stamp, touched


@dataclass(frozen=True, slots=True)
class Dispute:
    """A field that two people have changed.

    It has the current value and the entered one, in words; ``values`` are the entered ones as a
    form sends them.
    """

    name: str
    label: str
    theirs: str
    mine: str
    values: tuple[str, ...]


def stamps(now: Mapping[str, Any]) -> dict[str, str]:
    """What a form sends along as ``seen-<field>``."""
    return {name: stamp(value) for name, value in now.items()}


def seen(data: QueryDict, names: Mapping[str, Any]) -> dict[str, str]:
    """The stamps that came back."""
    return {name: data.getlist(f"seen-{name}")[-1] for name in names if f"seen-{name}" in data}


def sent(data: QueryDict, name: str) -> list[str]:
    """Return the values of a field from a form.

    After a conflict they may be the values that were entered before somebody else's change.
    """
    return (
        data.getlist(f"mine-{name}") if data.get(f"choose-{name}") == "mine" else data.getlist(name)
    )


def disputes(
    theirs: Mapping[str, Any],
    given: Mapping[str, Any],
    labels: Mapping[str, str],
    words: Callable[[str, Any], str] = lambda _, value: str(value),
) -> list[Dispute]:
    """Return the disputes: ``theirs`` comes from a ``Conflict``, ``given`` is what was entered."""
    return [
        Dispute(
            name,
            labels[name],
            words(name, now),
            words(name, given[name]),
            tuple(map(str, mine if isinstance(mine, list) else [mine])),
        )
        for name, now in theirs.items()
        for mine in [given[name]]
    ]


def again(
    given: Mapping[str, Any],
    now: Mapping[str, Any],
    seen: Mapping[str, str],
    theirs: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the values for showing a form again.

    They are the current ones, or those entered where there is no conflict.
    """
    return {
        **now,
        **{name: value for name, value in touched(given, seen).items() if name not in theirs},
    }
