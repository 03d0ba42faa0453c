"""Changing many models in the same way."""

from __future__ import annotations

from pydantic import Field

from discovery.api.changes_schemas import BulkEditDocument
from discovery.api.paging import Listed


class BulkEdits(Listed):
    results: list[BulkEditDocument] = Field(description="The newest first.")


class Stopped(BulkEditDocument):
    """The edit, and whether the call changed how it stands."""

    accepted: bool = Field(
        description="False when there was nothing to stop, or to resume.", examples=[True]
    )
