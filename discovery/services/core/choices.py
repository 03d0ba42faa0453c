"""Fields whose value is one of a few words of the contract."""

from __future__ import annotations

from discovery.engine.core.fields import FIELDS, Kind, names
from discovery.engine.core.vocabulary import Visibility

#: Fields whose value is one of a few words of the contract.
CHOICES: dict[str, tuple[str, ...]] = {
    **{name: tuple(each.value for each in FIELDS[name].words) for name in names(Kind.CHOICE)},
    "visibility": Visibility.values,
}
