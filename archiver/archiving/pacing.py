"""How fast and how much an archive may be asked: pure budgets beside the pauses, and one pace.

What was used is counted from the stored attempts, failed ones too. Nothing here waits except
`ReadPace`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Protocol

from archiver.archiving.breakers import (
    DAY,
    KEYS_REFUSED,
    MINUTE,
    READS,
    SLOT_PAUSE,
    SUBMITS,
    Breaker,
    end_of,
    keys_are_refused,
    next_day,
)
from archiver.clock import Clock
from archiver.records import record

RESERVE = 0.2  # of the day, kept for on-demand and failing links (§9.2.5)
HOST_GAP = MINUTE  # §9.2.6

# Why a submission waits for its turn when no other may begin before it either.
SLOTS, PER_MINUTE = "slots", "per-minute"
# Why one waits while others may go before it: one of its host is on its way (§9.2.6).
HOST_BUSY = "host-busy"


@record
class Allowed:
    """It may be sent now."""


@record
class WaitUntil:
    """Not before this moment; `is_pace` when only a per-minute pace says so (no budget)."""

    until: datetime
    reason: str
    is_pace: bool = False


Answer = Allowed | WaitUntil


class Limits(Protocol):
    """The part of the `[archive]` settings that limits submissions."""

    @property
    def submits_per_minute(self) -> int: ...
    @property
    def slots(self) -> int: ...
    @property
    def daily(self) -> int: ...
    @property
    def anonymous_per_minute(self) -> int: ...
    @property
    def anonymous_daily(self) -> int: ...


@record
class Account:
    """What the archive said of the account (reference wayback §1.7); every figure optional."""

    available: int | None = None
    processing: int | None = None
    daily_captures: int | None = None
    daily_limit: int | None = None


@record
class Usage:
    """What has been used, counted from the stored attempts of one backend.

    `today` since 00:00 UTC, `recent` the moments of the last minute, `running` submissions
    without a final answer, `host_running` those to the same host, `host_last_at` the last of them.
    `account` is what the archive itself last said, `room` how many submissions of ours at a time
    it then had slots for; None where it was not asked.
    """

    today: int = 0
    recent: Sequence[datetime] = ()
    running: int = 0
    host_running: int = 0
    host_last_at: datetime | None = None
    account: Account | None = None
    room: int | None = None


@record
class DayBudget:
    """One backend's day: `limit` the smaller of setting and account, `renews_at` when it ends."""

    limit: int
    used: int
    renews_at: datetime

    @property
    def left(self) -> int:
        """Return how many submissions are left."""
        return max(0, self.limit - self.used)

    def left_for(self, *, reserved: bool) -> int:
        """Return how many are left for this kind: a fifth is kept for on-demand and failing."""
        return self.left if reserved else max(0, self.left - int(self.limit * RESERVE))


def day_budget(backend: str, limits: Limits, usage: Usage, now: datetime) -> DayBudget:
    """Return the day's budget of `spn2` or `anonymous`."""
    limit = limits.daily if backend == "spn2" else limits.anonymous_daily
    used, account = usage.today, usage.account
    if backend == "spn2" and account and account.daily_limit is not None:
        others = max(0, (account.daily_captures or 0) - used)
        limit = max(0, min(limit, account.daily_limit - others))
    return DayBudget(limit, used, next_day(now))


def allow_read(breakers: Mapping[str, Breaker], now: datetime) -> Answer:
    """Say whether an index or a capture may be asked for now."""
    return _open(breakers, ("refused", "throttle", READS), now) or Allowed()


def allow_submit(
    breakers: Mapping[str, Breaker],
    usage: Usage,
    limits: Limits,
    now: datetime,
    *,
    backend: str,
    host: str,
    reserved: bool = False,
    keys_mark: str = "",
) -> Answer:
    """Say whether a submission to `host` may be sent now; `keys_mark` is `mark_of(keys)`.

    An empty `host` lets submissions of one host follow each other at once: an archive that runs
    on this machine needs no gap.
    """
    if waiting := pause_of(breakers, now, backend=backend, host=host, keys_mark=keys_mark):
        return waiting
    budget = day_budget(backend, limits, usage, now)
    if budget.left_for(reserved=reserved) <= 0:
        return WaitUntil(budget.renews_at, "daily-budget")
    slots = limits.slots if backend == "spn2" else 1
    if usage.running >= (slots if usage.room is None else min(slots, usage.room)):
        return WaitUntil(now + SLOT_PAUSE, SLOTS, is_pace=True)
    per_minute = limits.submits_per_minute if backend == "spn2" else limits.anonymous_per_minute
    host_waits = _host_waits(usage, now) if host else None
    return _minute(usage, per_minute, now) or host_waits or Allowed()


def pause_of(
    breakers: Mapping[str, Breaker],
    now: datetime,
    *,
    backend: str,
    host: str,
    keys_mark: str = "",
) -> WaitUntil | None:
    """Return the pause that covers a submission to `host`, None when there is none."""
    if keys_are_refused(breakers, backend, keys_mark):
        return WaitUntil(now + DAY, KEYS_REFUSED)
    names = ("refused", "throttle", SUBMITS, f"daily-{backend}", f"slots-{backend}", f"host-{host}")
    return _open(breakers, names, now)


def _open(breakers: Mapping[str, Breaker], names: Sequence[str], now: datetime) -> WaitUntil | None:
    """Return the longest of the pauses that cover a request, None when there is none."""
    found = [
        WaitUntil(until, breakers[name].reason or name)
        for name in names
        if name in breakers and (until := end_of(breakers[name], now))
    ]
    return max(found, key=lambda each: each.until, default=None)


def _minute(usage: Usage, per_minute: int, now: datetime) -> WaitUntil | None:
    """Spread a minute's share evenly: never a burst after a pause."""
    gap = MINUTE / max(1, per_minute)
    past = [each for each in usage.recent if each <= now]
    if not past or now - max(past) >= gap:
        return None
    return WaitUntil(max(past) + gap, PER_MINUTE, is_pace=True)


def _host_waits(usage: Usage, now: datetime) -> WaitUntil | None:
    """One submission of a host at a time, and a minute between two (§9.2.6)."""
    if usage.host_running:
        return WaitUntil(now + SLOT_PAUSE, HOST_BUSY, is_pace=True)
    last = usage.host_last_at
    if last is None or not last <= now < last + HOST_GAP:
        return None
    return WaitUntil(last + HOST_GAP, "host-gap", is_pace=True)


# Takes the next turn among all processes: given the gap, it says how long to wait for it.
TakeTurn = Callable[[timedelta], timedelta]


class ReadPace:
    """The one pace for look-ups and playbacks: one at a time, evenly spaced.

    Use it with `async with` around each request; `per_minute` is `archive.reads_per_minute`.
    """

    def __init__(self, clock: Clock, per_minute: int, take_turn: TakeTurn | None = None) -> None:
        """Let the first request through at once; `take_turn` heeds other processes, too."""
        self._clock = clock
        self._take_turn = take_turn
        self._gap = 60.0 / max(1, per_minute)
        self._lock = asyncio.Lock()
        self._next = float("-inf")

    async def __aenter__(self) -> None:
        await self._lock.acquire()
        try:
            while (wait := self._next - self._clock.monotonic()) > 0:
                await self._clock.sleep(wait)
            if self._take_turn is not None:
                others = self._take_turn(timedelta(seconds=self._gap))
                await self._clock.sleep(others.total_seconds())
            self._next = self._clock.monotonic() + self._gap
        except BaseException:
            self._lock.release()
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.release()
