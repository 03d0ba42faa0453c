"""Forms that somebody else may overtake: what goes out with them, what comes back touched, and the
choice between theirs and mine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict

from discovery.services.core.form_stamps import stamp, touched


@dataclass(frozen=True, slots=True)
class Dispute:
    """A field that two people have changed: what stands now and what was entered here, in words;
    ``values`` are the latter as a form sends it.
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
    """The values of a field: as they stand in the form, or those that were entered before somebody
    else's came between.
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
    """``theirs`` as a ``Conflict`` tells it, ``given`` what was entered."""
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
    """What the form shows once more: what stands now, and what was entered where nobody disputes
    it.
    """
    return {
        **now,
        **{name: value for name, value in touched(given, seen).items() if name not in theirs},
    }
