"""Undo a change of any setting, on whichever page it was made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from discovery.models import SettingChange
from discovery.services.settings import editing, registries, roots, watch

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def undo(change: SettingChange, *, by: User) -> None:
    """Restore what was before. Raises ``SettingsError`` where it has changed since."""
    if change.key == roots.KEY:
        roots.undo(change, by=by)
    elif registries.is_ours(change):
        registries.undo(change, by=by)
    else:
        editing.undo(change, by=by)
    watch.apply()
