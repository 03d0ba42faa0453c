"""A column that holds a word of a closed list."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from django.db import models

if TYPE_CHECKING:
    _CharField = models.CharField[str, str]
else:
    _CharField = models.CharField


class WordField(_CharField):
    """Text whose ``choices`` are not part of the schema: a new word needs no migration.

    Forms, the admin and ``get_…_display`` know them as they know those of any column.
    """

    def deconstruct(self) -> tuple[str, str, Any, dict[str, Any]]:
        name, _, positional, named = super().deconstruct()
        named.pop("choices", None)
        if isinstance(named.get("default"), Enum):
            named["default"] = named["default"].value
        return name, "django.db.models.CharField", positional, named
