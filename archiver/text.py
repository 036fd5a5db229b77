"""Strings from outside, made fit to be shown to a person.

Event files, pages, headers and file names come from strangers. `shown` is the one gate
through which such a string passes before it meets a terminal, a log or a report; each
format then adds its own escaping.
"""

from __future__ import annotations

import unicodedata

SHOWN_LIMIT = 300

# Categories that can move the cursor, forge a line, or turn the reading direction:
# controls, formats (bidi overrides, zero-width), surrogates, private use, unassigned,
# and the line and paragraph separators.
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Zero-width joiners are part of correct writing in Persian, Hindi and of emoji.
_NEEDED_FORMATS = frozenset({"\u200c", "\u200d"})


def _safe(character: str) -> str:
    if character in _NEEDED_FORMATS or unicodedata.category(character) not in _UNSAFE_CATEGORIES:
        return character
    return "\ufffd"


def shown(value: object, limit: int = SHOWN_LIMIT) -> str:
    """Return `value` as one harmless line of at most `limit` characters.

    Control, bidi and line-break characters become U+FFFD (design §8); a cut is marked `…`.
    """
    text = value if isinstance(value, str) else str(value)
    cut = text[: limit + 1]
    if not cut.isascii() or not cut.isprintable():
        cut = "".join(_safe(character) for character in cut)
    return cut if len(cut) <= limit else cut[: limit - 1] + "…"


# (unit, its seconds, until how many seconds it is the one to say)
_UNITS = (("minute", 60, 5400), ("hour", 3600, 172_800), ("day", 86_400, float("inf")))


def span(seconds: float) -> str:
    """Say roughly how long something takes: `1 minute`, `90 minutes`, `2 hours`, `3 days`."""
    if seconds <= 0:
        return "no time"
    unit, length = next((unit, length) for unit, length, below in _UNITS if seconds < below)
    number = max(1, round(seconds / length))
    return f"{number:,} {unit}" if number == 1 else f"{number:,} {unit}s"
