"""Days in addresses."""

from __future__ import annotations

from datetime import date, datetime, time

from django.utils import timezone
from django.utils.dateparse import parse_date

_FIRST, _LAST = date(1970, 1, 1), date(9000, 1, 1)


def read_day(text: str) -> datetime:
    """Return the first moment of a day, in the person's time zone.

    Raises ``ValueError`` with a sentence that says how a day is written.
    """
    try:
        day = parse_date(text)
    except ValueError:
        day = None
    if day is None or not _FIRST <= day <= _LAST:
        raise ValueError(f"“{text[:40]}” is not a day: write it as {timezone.now():%Y-%m-%d}.")
    return timezone.make_aware(datetime.combine(day, time()))
