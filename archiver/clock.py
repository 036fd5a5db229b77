"""Time as a parameter: the wall clock for everything stored, the monotonic clock for waiting.

Stored times and every "due" use the wall clock (UTC); delays inside a process use the
monotonic clock (contract §1, "Time"). Nothing here knows about links or archives.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol

# What is noted further ahead of now was noted by a clock that was wrong: the clocks of machines
# that keep time differ by less, and so do looks that are stored out of order.
CLOCK_TRUST = timedelta(days=1)

_STAMP_LENGTH = len("2026-11-24T12:00:00Z")


# A look's moment is written into half a dozen columns, and many looks end in the same second.
@lru_cache(maxsize=1024)
def to_stamp(moment: datetime) -> str:
    """Write a moment as `YYYY-MM-DDTHH:MM:SSZ`, the one form that is ever stored."""
    inside = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return inside.isoformat()[:19] + "Z"


def from_stamp(text: str) -> datetime:
    """Read a stored moment back as an aware UTC datetime; raise ValueError if it is none."""
    if len(text) != _STAMP_LENGTH or not text.endswith("Z"):
        raise ValueError(f"not a stored moment: {text!r}")
    return datetime.fromisoformat(text)


class Clock(Protocol):
    """What a part of the program may know about time."""

    def now(self) -> datetime:
        """Return the wall-clock time, aware, in UTC."""

    def monotonic(self) -> float:
        """Return seconds that never go backwards."""

    async def sleep(self, seconds: float) -> None:
        """Wait that many seconds of this clock."""


class SystemClock:
    """The real clocks of this machine."""

    def now(self) -> datetime:
        """Return the wall-clock time, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return the machine's monotonic seconds."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait that many real seconds."""
        await asyncio.sleep(max(0.0, seconds))


class RehearsalClock:
    """A clock that runs `speed` times too fast and can jump: for rehearsals and tests.

    One real second is `speed` seconds here, on both clocks; `jump` moves the wall clock alone,
    as a machine waking from sleep would see it.
    """

    def __init__(self, start: datetime, speed: float = 1.0) -> None:
        """Begin at `start`, running `speed` times as fast as the real clock."""
        self._start = start
        self._speed = speed
        self._zero = time.monotonic()
        self._jumped = timedelta(0)

    def now(self) -> datetime:
        """Return the simulated wall-clock time, whole seconds, in UTC."""
        elapsed = timedelta(seconds=self.monotonic())
        return (self._start + elapsed + self._jumped).replace(microsecond=0)

    def monotonic(self) -> float:
        """Return simulated seconds since the rehearsal began."""
        return (time.monotonic() - self._zero) * self._speed

    async def sleep(self, seconds: float) -> None:
        """Wait that many simulated seconds."""
        await asyncio.sleep(max(0.0, seconds) / self._speed)

    def jump(self, by: timedelta) -> None:
        """Move the wall clock forward (or, for a test of hostility, back)."""
        self._jumped += by
