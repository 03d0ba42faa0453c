"""Forms of the administration: what people may set.

Nothing is saved here: ``changes`` is what the service is asked to write.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, cast

from django import forms
from django.http import QueryDict
from django.utils.html import format_html
from django.utils.safestring import SafeString

from discovery.engine.core.fields import FIELDS, HOW, Kind, grouped
from discovery.engine.core.service_words import VisibilitySource
from discovery.field_forms import Written, form_field
from discovery.models import Collection, RegisteredModel, Root, Visibility
from discovery.services.core import written
from discovery.services.curation import collections
from discovery.services.metadata import metadata
from discovery.services.settings import roots
from discovery.services.settings.editing import SettingsError

PREFIX = "set_"
#: Before the name of a field: it goes back to what the files say.
AUTOMATIC = "automatic-"

#: Fields that can be set in the list, where they are shown as they count.
INLINE = ("license", "visibility")

#: Fields that people decide about, in the order of the Metadata tab.
CURATED = tuple(field.name for among in grouped().values() for field in among if field.editable)


_WIDE = {"class": "vTextField"}
_WIDGETS: dict[Kind, Callable[[], forms.Widget]] = {
    Kind.LONG: lambda: forms.Textarea(attrs={"rows": 4}),
    Kind.LIST: lambda: forms.Textarea(attrs={"rows": 2}),
    Kind.OBJECT: lambda: forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
    Kind.NUMBER: lambda: forms.TextInput(),
    Kind.FRACTION: lambda: forms.TextInput(),
}


def _field(name: str) -> forms.Field:
    """The field of Django's forms for one of the catalogue."""
    field = FIELDS[name]
    said = [(each.value, each.label) for each in field.words]
    if field.kind is Kind.CHOICE:
        choices = [("", "Automatic"), *said]
        return forms.ChoiceField(required=False, label=field.label, choices=choices)
    if field.kind is Kind.WORDS:
        return forms.MultipleChoiceField(
            required=False, label=field.label, choices=said, widget=forms.CheckboxSelectMultiple
        )
    widget = _WIDGETS.get(field.kind, lambda: forms.TextInput(attrs=_WIDE))()
    return form_field(field.kind, label=field.label, widget=widget)


def _automatic(name: str) -> SafeString:
    return format_html(
        '<label class="automatic"><input type="checkbox" name="{}{}"> Back to automatic</label>',
        AUTOMATIC,
        name,
    )


def _day(at: str) -> str:
    """The day of a decision, as ``curated`` keeps its time."""
    day = datetime.fromisoformat(at)
    return f"{day.day} {day:%b %Y}"


def _sentence(reason: str) -> str:
    return f"{reason[0].upper()}{reason[1:]}" + ("" if reason.endswith(".") else ".")


class RegisteredModelForm(forms.ModelForm):  # type: ignore[type-arg]
    """Access as it is, and people's decisions about the model as ``set_<field>``.

    An empty field means that the files decide; ``automatic-<field>`` empties it by one click.
    """

    class Meta:
        model = RegisteredModel
        fields = ("visibility", "groups", "collections")
        widgets = {
            "groups": forms.CheckboxSelectMultiple,
            "collections": forms.CheckboxSelectMultiple,
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "collections" in self.fields:
            cast(
                "forms.ModelMultipleChoiceField[Collection]", self.fields["collections"]
            ).queryset = Collection.objects.filter(query="")
        for name in CURATED:
            if FIELDS[name].hosted and not self.instance.is_hosted:
                del self.fields[PREFIX + name]
                continue
            field = self.fields[PREFIX + name]
            decided = self.instance.curated.get(name)
            field.initial = decided["value"] if decided else None
            field.help_text = format_html(
                "{}{}{}",
                " ".join(filter(None, (*self._told(name), self._read(name)))),
                f" Edited on {_day(decided['at'])}." if decided else "",
                _automatic(PREFIX + name) if decided else "",
            )
            if AUTOMATIC + PREFIX + name in self.data:
                self._empty(PREFIX + name)
        if "visibility" in self.fields:
            is_own = self.instance.visibility_source == VisibilitySource.PERSON
            self.fields["visibility"].help_text = format_html(
                "Decided by: {}.{}",
                VisibilitySource.label_of(self.instance.visibility_source),
                _automatic("visibility") if is_own else "",
            )

    def _empty(self, name: str) -> None:
        """Take the value of a field out of what was sent: nobody has decided it then."""
        sent = cast("QueryDict", self.data).copy()
        sent.setlist(self.add_prefix(name), [])
        self.data = sent

    def add_error(self, field: str | None, error: Any) -> None:
        if isinstance(self.fields.get(field or ""), Written) and hasattr(error, "message"):
            error = forms.ValidationError(_sentence(error.message))
        super().add_error(field, error)

    @staticmethod
    def _told(name: str) -> tuple[str, str]:
        return FIELDS[name].help, HOW.get(FIELDS[name].kind, "")

    def _read(self, name: str) -> str:
        """What the files say."""
        read = self.instance.extracted.get(name)
        shown = written.text(FIELDS[name].kind, read["value"])[:300] if read else ""
        if not read or not shown:
            return "No value detected."
        said = FIELDS[name].said(shown) if FIELDS[name].words else shown
        return _sentence(f"Detected in {read['source']}: {said}")

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
        changes = {name: self.cleaned_data[PREFIX + name] or None for name in changed}
        for name in metadata.LINKS & set(self.changed_data) & self.cleaned_data.keys():
            changes[name] = [each.name for each in self.cleaned_data[name]]
        if AUTOMATIC + "visibility" in self.data and "visibility" in self.fields:
            changes["visibility"] = None
        elif "visibility" in self.changed_data and "visibility" in self.cleaned_data:
            changes["visibility"] = self.cleaned_data["visibility"]
        return changes


for _name in CURATED:
    RegisteredModelForm.base_fields[PREFIX + _name] = _field(_name)
    RegisteredModelForm.declared_fields[PREFIX + _name] = RegisteredModelForm.base_fields[
        PREFIX + _name
    ]


class InlineForm(forms.ModelForm):  # type: ignore[type-arg]
    """A row of the list.

    Each field brings along what it showed, so that nobody overwrites a change that they have not
    seen.
    """

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
                    f"Somebody else has set it to “{now}” meanwhile. Check it, then change it.",
                )
        _blame(self, self.changes(), "")
        return cleaned

    def changes(self) -> dict[str, Any]:
        return {
            name: self.cleaned_data[name] or None
            for name in self.changed_data
            if name in self.cleaned_data
        }


class InlineFormWithoutAccess(InlineForm):
    """The inline form for people who may not set a model's access.

    Values are shown, and what is sent for them is not read.
    """

    visibility = forms.ChoiceField(choices=Visibility.choices, disabled=True)


def _blame(form: Any, changes: dict[str, Any], prefix: str) -> None:
    """Show an error at each field that the service would refuse."""
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
        form.add_error(field, _sentence(reason))


class CollectionForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Collection
        fields = ("name", "description", "query", "groups")
        widgets = {"groups": forms.CheckboxSelectMultiple}

    def clean_query(self) -> str:
        """Return the filter in normal form; it is empty for collections with selected models."""
        query: str = self.cleaned_data["query"]
        try:
            return collections.normal_query(query) if query.strip() else ""
        except collections.CollectionError as error:
            raise forms.ValidationError(str(error)) from error


class RootForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Root
        fields = ("path", "enabled", "deep_every_days")

    def clean_path(self) -> str:
        """The folder as the Roots page takes it."""
        try:
            return roots.checked(self.cleaned_data["path"])
        except SettingsError as error:
            raise forms.ValidationError(list(error.faults.values())) from error
