"""Kinds of values that several calls take."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from discovery.engine.core.text import MAX_INTEGER
from discovery.services.core.endpoint_addresses import UNSTORABLE
from discovery.services.search.model_filters import MAX_TEXT as MAX_SEARCH


def _storable(text: str) -> str:
    if UNSTORABLE.search(text):
        raise ValueError(
            "it has characters that cannot be stored (control characters, or halves of a character)"
        )
    return text


def _is_iso(value: Any) -> Any:
    """Numbers would be taken for seconds since 1970."""
    if not isinstance(value, str) or value.strip().lstrip("+-").replace(".", "", 1).isdigit():
        raise ValueError("write the time as ISO 8601, like 2026-11-25T18:00:00Z")
    return value


def _in_utc(moment: datetime) -> datetime:
    """A time without a zone is UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


#: On a text that any database is to store; it stands after what limits its length.
STORABLE = AfterValidator(_storable)
#: A text that any database stores; it says nothing of its length.
Storable = Annotated[str, AfterValidator(_storable)]
#: The id of a model, a user name, the name of a tag, a group or a collection.
Name = Annotated[str, StringConstraints(min_length=1, max_length=200), STORABLE]
#: Words that a list is searched for.
SearchText = Annotated[str, StringConstraints(max_length=MAX_SEARCH), STORABLE]
Moment = Annotated[datetime, BeforeValidator(_is_iso), AfterValidator(_in_utc)]
#: The key of a row.
Key = Annotated[int, Field(ge=1, le=MAX_INTEGER)]
