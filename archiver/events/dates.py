"""Dates as event files have them: whole or partial, kept as written."""

from __future__ import annotations

import re
from datetime import date, datetime

_PARTIAL = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2})(?:[T ].{1,40})?)?)?")
# A day may lack its zeros, and stand before a time of day that no standard has (" 10:00 UTC").
_DAY = re.compile(
    r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})(?:[T ](?:[01]?[0-9]|2[0-4]):[0-9]{2}.{0,30})?"
)
# Spellings whose order cannot be mistaken; 03/04/2016 is deliberately not among them.
_UNMISTAKABLE = (
    *(("%B %d, %Y", "%Y-%m-%d"), ("%b %d, %Y", "%Y-%m-%d"), ("%B %d %Y", "%Y-%m-%d")),
    *(("%d %B %Y", "%Y-%m-%d"), ("%d %b %Y", "%Y-%m-%d"), ("%Y/%m/%d", "%Y-%m-%d")),
    *(("%Y.%m.%d", "%Y-%m-%d"), ("%Y%m%d", "%Y-%m-%d"), ("%B %Y", "%Y-%m"), ("%b %Y", "%Y-%m")),
)


def is_date(text: str) -> bool:
    """Say whether a text is `YYYY`, `YYYY-MM`, `YYYY-MM-DD` or that with a time, and exists."""
    match = _PARTIAL.fullmatch(text)
    if match is None:
        return False
    try:
        date(int(match[1]), int(match[2] or 1), int(match[3] or 1))
        if len(text) > 10:
            datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def proposed_date(text: str) -> str | None:
    """Return the date a text means when it can mean only one, as it should be written."""
    if match := _DAY.fullmatch(text):
        padded = f"{match[1]}-{int(match[2]):02}-{int(match[3]):02}"
        return padded if is_date(padded) else None
    if len(text) > 40:
        return None
    for spelling, wanted in _UNMISTAKABLE:
        try:
            return datetime.strptime(text, spelling).strftime(wanted)
        except ValueError:
            continue
    return None
