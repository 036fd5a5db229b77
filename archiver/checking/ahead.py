"""What a clock that was ahead counted is forgotten: it would stand until that time comes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from archiver.clock import CLOCK_TRUST
from archiver.model import Belief, Run

_RUNS = ("strong", "weak", "blocked", "other")
_MOMENTS = (
    *("first_bad_at", "last_bad_at", "waiting_since"),
    *("archive_answered_at", "archive_counted_at"),
)


def in_time(belief: Belief, now: datetime) -> Belief:
    """Return a belief without the counts and answers of a time that has not come.

    A run whose last look lies ahead is begun anew: no later look could be added to it.
    """
    ahead = now + CLOCK_TRUST
    untimely: dict[str, Any] = {
        name: Run() for name in _RUNS if (getattr(belief, name).last_at or now) > ahead
    }
    untimely |= {name: None for name in _MOMENTS if (getattr(belief, name) or now) > ahead}
    return replace(belief, **untimely) if untimely else belief
