"""The fields of the catalogue as pages enter them: with their choices as people say them."""

from __future__ import annotations

from dataclasses import dataclass

from discovery.engine.core import fields as catalogue
from discovery.engine.core.fields import HOW, Kind


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form.

    ``choices`` are (value, label): all possible values for ``choice`` and ``words``, suggestions
    for ``text``.
    """

    name: str
    label: str
    kind: Kind = Kind.TEXT
    help: str = ""
    choices: tuple[tuple[str, str], ...] = ()

    @property
    def how(self) -> str:
        """How its values are written."""
        return HOW.get(self.kind, "")

    @property
    def is_group(self) -> bool:
        """Several controls, which a legend names in place of a label."""
        return self.kind in (Kind.WORDS, Kind.OBJECT)


def _field(of: catalogue.Field) -> Field:
    choices = tuple((each.value, each.label) for each in of.words) or tuple(of.suggested.items())
    return Field(of.name, of.label, of.kind, of.help, choices)


FIELDS = {each.name: _field(each) for each in catalogue.FIELDS.values() if each.editable}


def _groups(*, hosted: bool) -> tuple[tuple[str, tuple[Field, ...]], ...]:
    among = {name: of for name, of in catalogue.FIELDS.items() if of.editable}
    return tuple(
        (group, tuple(FIELDS[each.name] for each in fields))
        for group, fields in catalogue.grouped(among).items()
        if fields[0].hosted == hosted
    )


#: (group, its fields), in the order of the Metadata tab.
GROUPS = _groups(hosted=False)

#: Shown for hosted models alone.
HOSTING = _groups(hosted=True)
