"""Add formats that scans have met and ``supported_formats`` leaves out."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from discovery.models import Root
from discovery.services.scans import ledgers
from discovery.services.settings import editing

if TYPE_CHECKING:
    from django.contrib.auth.models import User

KEY = "discovery.supported_formats"


def left_out() -> set[str]:
    """The formats that are under the roots and left out."""
    roots = Root.objects.filter(enabled=True)
    return {name for told in ledgers.formats_left_out(roots) for name in told.split()}


def support(formats: Collection[str], *, by: User) -> None:
    """Add ``formats`` to ``supported_formats``; the next scan reads what it left out.

    Raises ``SettingsError``: nothing has changed then.
    """
    editing.rewrite(
        KEY,
        lambda named: [*named, *(each for each in sorted(formats) if each not in named)],
        by=by,
    )
