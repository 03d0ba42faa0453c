"""A word of a closed list: what is stored, what people call it and the tone it is shown in."""

from __future__ import annotations

from enum import EnumType, StrEnum


class _Words(EnumType):
    """The values and choices of a list of words, under the names that Django's own enums use."""

    #: Templates take a class for something to be called.
    do_not_call_in_templates = True

    @property
    def values(cls) -> tuple[str, ...]:
        return tuple(str(each.value) for each in cls)  # type: ignore[var-annotated]

    @property
    def choices(cls) -> list[tuple[str, str]]:
        return [(each.value, each.label) for each in cls]  # type: ignore[var-annotated]


class Word(StrEnum, metaclass=_Words):
    """A word of a closed list.

    ``label`` is what people call it, ``tone`` one of plain, accent, ok, warn and bad, ``hint`` what
    to know before choosing it.
    """

    _value_: str
    label: str
    tone: str
    hint: str

    def __new__(cls, value: str, label: str = "", tone: str = "plain", hint: str = "") -> Word:
        self = str.__new__(cls, value)
        self._value_ = value
        self.label = label or value.replace("_", " ").capitalize()
        self.tone, self.hint = tone, hint
        return self

    @classmethod
    def label_of(cls, value: str) -> str:
        """What people call a value; one that is not of this list is called as it is written."""
        known = cls._value2member_map_.get(value)
        return known.label if isinstance(known, Word) else value

    @classmethod
    def tone_of(cls, value: str) -> str:
        known = cls._value2member_map_.get(value)
        return known.tone if isinstance(known, Word) else "plain"
