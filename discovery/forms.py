"""Forms of the administration: what people may set. Nothing is saved here: ``changes`` is what the service is asked to write."""

from __future__ import annotations

import os
from typing import Any, cast

from django import forms
from django.utils.html import escape

from discovery.engine.paths import to_text
from discovery.engine.types import ModelType
from discovery.models import Collection, RegisteredModel, Root, Visibility
from discovery.services import collections, metadata, scans
from discovery.words import TYPES

PREFIX = "set_"

TEXTS = (
    "display_name",
    "license",
    "author",
    "version",
    "architecture",
    "model_family",
    "base_model",
    "quantization",
)
NUMBERS = ("parameter_count", "active_parameter_count", "context_length")
LISTS = ("tags", "language_support", "use_cases", "specialized_domains")
#: Fields that can be set in the list, where they are shown as they count.
INLINE = ("license", "visibility")
CURATED = ("display_name", "description", "type", *TEXTS[1:], *NUMBERS, *LISTS)


def _field(name: str) -> forms.Field:
    label = name.replace("_", " ").capitalize()
    if name == "type":
        names = [("", "As the files say"), *((kind.value, TYPES[kind.value]) for kind in ModelType)]
        return forms.ChoiceField(required=False, label="Runs with", choices=names)
    if name == "description":
        return forms.CharField(
            required=False, label=label, widget=forms.Textarea(attrs={"rows": 4})
        )
    if name in NUMBERS:
        return forms.IntegerField(required=False, label=label, min_value=1)
    return forms.CharField(
        required=False, label=label, widget=forms.TextInput(attrs={"class": "vTextField"})
    )


class RegisteredModelForm(forms.ModelForm):  # type: ignore[type-arg]
    """Access as it is; what people decide about the model as ``set_<field>``: empty means that the files decide."""

    class Meta:
        model = RegisteredModel
        fields = ("visibility", "groups", "collections")
        widgets = {
            "groups": forms.CheckboxSelectMultiple,
            "collections": forms.CheckboxSelectMultiple,
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        cast(
            "forms.ModelMultipleChoiceField[Collection]", self.fields["collections"]
        ).queryset = Collection.objects.filter(query="")
        for name in CURATED:
            field = self.fields[PREFIX + name]
            field.initial = self._text(self.instance.curated.get(name))
            read = self.instance.extracted.get(name)
            shown = self._text(read)[:300] if read else ""
            shown = TYPES.get(shown, shown) if name == "type" else shown
            hint = (
                f"Read in {read['source']}: {shown}"
                if read and shown
                else "The files say nothing about it."
            )
            # Django puts help texts into the page as they are.
            field.help_text = escape(f"Separated by commas. {hint}" if name in LISTS else hint)

    @staticmethod
    def _text(entry: dict[str, Any] | None) -> str:
        value = entry["value"] if entry else None
        return (
            ", ".join(str(item) for item in value)
            if isinstance(value, list)
            else ""
            if value is None
            else str(value)
        )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        _blame(self, self.changes(), PREFIX)
        return cleaned

    def changes(self) -> dict[str, Any]:
        """{field: new value} of what was changed; ``None`` gives a field back to the files."""
        changed = [
            name
            for name in CURATED
            if PREFIX + name in self.changed_data and PREFIX + name in self.cleaned_data
        ]
        changes = {name: self._value(name, self.cleaned_data[PREFIX + name]) for name in changed}
        for name in metadata.LINKS & set(self.changed_data) & self.cleaned_data.keys():
            changes[name] = [each.name for each in self.cleaned_data[name]]
        if "visibility" in self.changed_data and "visibility" in self.cleaned_data:
            changes["visibility"] = self.cleaned_data["visibility"]
        return changes

    @staticmethod
    def _value(name: str, given: Any) -> Any:
        if name in LISTS:
            return [item.strip() for item in given.split(",") if item.strip()] or None
        return given or None


for _name in CURATED:
    RegisteredModelForm.base_fields[PREFIX + _name] = _field(_name)
    RegisteredModelForm.declared_fields[PREFIX + _name] = RegisteredModelForm.base_fields[
        PREFIX + _name
    ]


class InlineForm(forms.ModelForm):  # type: ignore[type-arg]
    """A row of the list. Each field brings along what it showed, so that nobody overwrites a change that they have not seen."""

    license = forms.CharField(
        required=False, show_hidden_initial=True, widget=forms.TextInput(attrs={"size": 14})
    )
    visibility = forms.ChoiceField(choices=Visibility.choices, show_hidden_initial=True)

    class Meta:
        model = RegisteredModel
        fields = INLINE

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        for name in self.changed_data:
            shown, now = self.data.get(self[name].html_initial_name), self.initial.get(name) or ""
            if shown is not None and shown != now and cleaned.get(name) != now:
                self.add_error(
                    name,
                    f"Somebody else has set it to “{now}” meanwhile. Look at it again, then change it.",
                )
        _blame(self, self.changes(), "")
        return cleaned

    def changes(self) -> dict[str, Any]:
        return {
            name: self.cleaned_data[name] or None
            for name in self.changed_data
            if name in self.cleaned_data
        }


def _blame(form: Any, changes: dict[str, Any], prefix: str) -> None:
    """Puts what the service would refuse beside the fields."""
    if not changes:
        return
    errors: dict[str, str] = {}
    try:
        errors = metadata.refusals(
            RegisteredModel.objects.get(pk=form.instance.pk), metadata.clean(changes)
        )
    except metadata.InvalidMetadata as error:
        errors = error.errors
    for name, reason in errors.items():
        field = name if name in form.fields else prefix + name
        form.add_error(field, f"{reason[0].upper()}{reason[1:]}.")


class CollectionForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Collection
        fields = ("name", "description", "query", "groups")
        widgets = {"groups": forms.CheckboxSelectMultiple}

    def clean_query(self) -> str:
        """The filter as collections follow it; empty for choice by hand."""
        query: str = self.cleaned_data["query"]
        try:
            return collections.normal_query(query) if query.strip() else ""
        except collections.NotDone as error:
            raise forms.ValidationError(str(error)) from error


class RootForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Root
        fields = ("path", "enabled", "deep_every_days")

    def clean_path(self) -> str:
        """The folder as scans will find it. A folder below a root is part of that root already."""
        path: str = self.cleaned_data["path"]
        if not os.path.isabs(path):
            raise forms.ValidationError("Give an absolute path.")
        try:
            root, below = scans.locate(path, add=False)
        except scans.NoSuchFolder as error:
            raise forms.ValidationError(str(error)) from error
        if root.pk and below == "." and root.pk != self.instance.pk:
            raise forms.ValidationError("This folder is a root already.")
        return to_text(os.path.abspath(path))
