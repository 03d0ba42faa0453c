"""What people call the fields of a model."""

from __future__ import annotations

from discovery.engine.core import vocabulary
from discovery.engine.core.fields import FIELDS

#: What is changed or judged beside metadata → what people call it.
_OTHER_LABELS = {
    "visibility": "Visibility", "collections": "Collections", "groups": "Groups",
    "quarantine": "Quarantine", "finding": "Finding", "moved": "Place",
}  # fmt: skip

#: Field → what people call it, wherever it is shown, in the order of a model's page.
FIELD_LABELS = {**{name: field.label for name, field in FIELDS.items()}, **_OTHER_LABELS}

AXES = {name: FIELD_LABELS[name] for name in vocabulary.AXES}
