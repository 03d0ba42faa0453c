"""The kinds of the field catalogue as fields of Django's forms, for pages and administration alike.

A form field refuses what it cannot read. What a model may not have is for ``services.metadata`` to
refuse, in the same words everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from django import forms

from discovery.engine.core.fields import Kind
from discovery.services.core import written
from discovery.site import Shown

_BREAKS = re.compile(r"\r\n?")


class Written(forms.CharField):
    """A value as people write it (``services.core.written``); ``None`` for nothing.

    ``separator`` stands between the entries of a list that is shown.
    """

    def __init__(self, kind: Kind, separator: str = ", ", **options: Any) -> None:
        super().__init__(required=False, **options)
        self.kind, self.separator = kind, separator

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, str):
            return _BREAKS.sub("\n", value)
        return written.text(self.kind, value, self.separator)

    def to_python(self, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return written.value(self.kind, _BREAKS.sub("\n", value))
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error

    def run_validators(self, value: Any) -> None:
        """The service has the last word."""

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.to_python(self.prepare_value(initial)) != self.to_python(data))
        except forms.ValidationError:
            return True


class Choice(forms.ChoiceField):
    """One word, whichever: the service says which there are."""

    def to_python(self, value: Any) -> Any:
        return value or None

    def validate(self, value: Any) -> None:
        """The service has the last word."""


class Words(forms.MultipleChoiceField):
    """Several words, whichever."""

    widget = forms.CheckboxSelectMultiple
    hidden_widget = Shown

    def prepare_value(self, value: Any) -> Any:
        return [str(each) for each in value] if isinstance(value, list | tuple) else []

    def clean(self, value: Any) -> Any:
        return [each for each in super().clean(value) if each] or None

    def validate(self, value: Any) -> None:
        """The service has the last word."""


def form_field(
    kind: Kind, choices: Sequence[tuple[str, str]] = (), *, separator: str = ", ", **options: Any
) -> forms.Field:
    """What a form has for a field of this kind."""
    if kind is Kind.CHOICE:
        return Choice(required=False, choices=[("", ""), *choices], **options)
    if kind is Kind.WORDS:
        return Words(required=False, choices=choices, **options)
    return Written(kind, separator, **options)
