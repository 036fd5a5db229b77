"""How fast and how much an archive may be asked: pure budgets and breakers, and one pace.

The breakers are rows the caller stores, so that a restart does not hammer (reference wayback
§9.2.9); what was used is counted from the stored attempts, failed ones too. Nothing here waits
except `ReadPace`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Protocol

from archiver.archiving.answers import Trouble
from archiver.clock import Clock, from_stamp, to_stamp
from archiver.records import record

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
RESERVE = 0.2  # of the day, kept for on-demand and failing links (§9.2.5)
HOST_GAP = MINUTE  # §9.2.6
HOST_REFUSALS, HOST_PAUSE = 5, 7 * DAY
THROTTLE_PAUSES = (timedelta(seconds=20), timedelta(seconds=90), 5 * MINUTE)
THROTTLE_HOUR = HOUR
OUTAGE_COUNT, OUTAGE_WINDOW = 3, 10 * MINUTE
OUTAGE_PAUSE, OUTAGE_CAP = 15 * MINUTE, 6 * HOUR
REFUSED_PAUSE, REFUSED_CAP = HOUR, DAY
SLOT_PAUSE = timedelta(seconds=20)
RETRY_AFTER_CAP = HOUR

READS, SUBMITS = "reads", "submits"
# Why a submission waits for its turn when no other may begin before it either.
SLOTS, PER_MINUTE = "slots", "per-minute"


@record
class Breaker:
    """A pause of everything it covers, as stored: `until` None means until `mark` changes.

    `level` counts openings in a row, `strikes` the recent events that may open it. `mark` is
    the digest of the keys an archive refused.
    """

    name: str
    until: datetime | None = None
    level: int = 0
    reason: str = ""
    strikes: tuple[datetime, ...] = ()
    mark: str = ""

    @property
    def is_open_ended(self) -> bool:
        """Say whether only other keys end this pause."""
        return bool(self.mark) and self.until is None

    def to_json(self) -> str:
        """Write the breaker as one JSON object."""
        return json.dumps(
            {
                "name": self.name,
                "until": self.until and to_stamp(self.until),
                "level": self.level,
                "reason": self.reason,
                "strikes": [to_stamp(each) for each in self.strikes],
                "mark": self.mark,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Breaker:
        """Read a stored breaker back."""
        stored = json.loads(text)
        return cls(
            stored["name"],
            from_stamp(stored["until"]) if stored["until"] else None,
            stored["level"],
            stored["reason"],
            tuple(from_stamp(each) for each in stored["strikes"]),
            stored["mark"],
        )


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
    without a final answer, `host_last_at` the last one to the same host.
    `account` is what the archive itself last said, where it was asked.
    """

    today: int = 0
    recent: Sequence[datetime] = ()
    running: int = 0
    host_last_at: datetime | None = None
    account: Account | None = None


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


def next_day(now: datetime) -> datetime:
    """Return 00:00 UTC plus 5 to 30 minutes, the same all day (§9.2.5)."""
    midnight = (now.astimezone(UTC) + DAY).replace(hour=0, minute=0, second=0, microsecond=0)
    share = zlib.crc32(midnight.isoformat().encode()) / 0xFFFFFFFF
    return midnight + timedelta(seconds=300 + round(1500 * share))


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

    An empty `host` leaves the gap between two submissions of one host out: an archive that
    runs on this machine needs none.
    """
    keys = breakers.get(f"keys-{backend}")
    if keys is not None and keys.is_open_ended and keys.mark == (keys_mark or "none"):
        return WaitUntil(now + DAY, "keys-refused")
    names = ("refused", "throttle", SUBMITS, f"daily-{backend}", f"slots-{backend}", f"host-{host}")
    if waiting := _open(breakers, names, now):
        return waiting
    budget = day_budget(backend, limits, usage, now)
    if budget.left_for(reserved=reserved) <= 0:
        return WaitUntil(budget.renews_at, "daily-budget")
    slots = limits.slots if backend == "spn2" else 1
    if usage.running >= slots:
        return WaitUntil(now + SLOT_PAUSE, SLOTS, is_pace=True)
    per_minute = limits.submits_per_minute if backend == "spn2" else limits.anonymous_per_minute
    gap = _host_gap(usage, now) if host else None
    return _minute(usage, per_minute, now) or gap or Allowed()


def _open(breakers: Mapping[str, Breaker], names: Sequence[str], now: datetime) -> WaitUntil | None:
    """Return the longest of the pauses that cover a request, None when there is none."""
    found = [
        WaitUntil(breaker.until, breaker.reason or name)
        for name in names
        if (breaker := breakers.get(name)) and breaker.until is not None and now < breaker.until
    ]
    return max(found, key=lambda each: each.until, default=None)


def _minute(usage: Usage, per_minute: int, now: datetime) -> WaitUntil | None:
    """Spread a minute's share evenly: never a burst after a pause."""
    gap = MINUTE / max(1, per_minute)
    past = [each for each in usage.recent if each <= now]
    if not past or now - max(past) >= gap:
        return None
    return WaitUntil(max(past) + gap, PER_MINUTE, is_pace=True)


def _host_gap(usage: Usage, now: datetime) -> WaitUntil | None:
    last = usage.host_last_at
    if last is None or not last <= now < last + HOST_GAP:
        return None
    return WaitUntil(last + HOST_GAP, "host-gap", is_pace=True)


# ------------------------------------------------------------------- events


def note(
    breakers: Mapping[str, Breaker],
    trouble: Trouble,
    scope: str,
    now: datetime,
    *,
    backend: str = "",
    retry_after: int | None = None,
    keys_mark: str = "",
) -> list[Breaker]:
    """Return the breakers that an answer changes, to be stored.

    `scope` is `READS` or `SUBMITS`. `Trouble.NONE` is a proper answer, `retry_after` in seconds.
    No answer shortens a pause that has begun: it may have been on its way since before.
    """
    match trouble:
        case Trouble.NONE:
            return _recovered(breakers, scope, now)
        case Trouble.THROTTLED:
            return [_throttled(_named(breakers, "throttle"), now, retry_after)]
        case Trouble.REFUSED:
            breaker = _named(breakers, "refused")
            pause = min(REFUSED_PAUSE * 2 ** min(breaker.level, 10), REFUSED_CAP)
            return [_opened(breaker, now + pause, "connection-refused")]
        case Trouble.OUTAGE:
            return [_outage(_named(breakers, scope), now, retry_after)]
        case Trouble.KEYS:
            mark = keys_mark or "none"
            return [Breaker(f"keys-{backend}", None, 1, "keys-refused", (now,), mark)]
        case Trouble.SLOTS:
            breaker = _named(breakers, f"slots-{backend}")
            until = _no_sooner(breaker, now + _capped(retry_after, SLOT_PAUSE))
            return [replace(breaker, until=until, reason="slots")]
        case Trouble.DAILY:
            breaker = _named(breakers, f"daily-{backend}")
            until = _no_sooner(breaker, next_day(now))
            return [replace(breaker, until=until, reason="daily-limit")]


def note_host(
    breakers: Mapping[str, Breaker],
    host: str,
    now: datetime,
    *,
    refused: bool,
    pause: timedelta | None = None,
) -> Breaker | None:
    """Return a host's breaker after a submission to it: five refusals in a row rest it a week.

    `pause` is what the archive itself asks for (a host-wide refusal). None when nothing changes.
    """
    breaker = _named(breakers, f"host-{host}")
    if not refused:
        return replace(breaker, strikes=(), until=None, level=0) if breaker.strikes else None
    strikes = (*breaker.strikes, now)[-HOST_REFUSALS:]
    if len(strikes) >= HOST_REFUSALS:
        return Breaker(breaker.name, now + HOST_PAUSE, breaker.level + 1, "host-refuses")
    until = _no_sooner(breaker, now + pause) if pause else breaker.until
    return replace(breaker, strikes=strikes, until=until, reason="host-pause")


def mark_of(access: str, secret: str) -> str:
    """Return a short digest that tells one pair of keys from another, and nothing else."""
    return hashlib.sha256(f"archiver\0{access}\0{secret}".encode()).hexdigest()[:12]


def _named(breakers: Mapping[str, Breaker], name: str) -> Breaker:
    return breakers.get(name, Breaker(name))


def _opened(breaker: Breaker, until: datetime, reason: str) -> Breaker:
    return Breaker(breaker.name, _no_sooner(breaker, until), breaker.level + 1, reason)


def _no_sooner(breaker: Breaker, until: datetime) -> datetime:
    """Return when a pause ends that lasts until then, or as long as it was to last anyway."""
    return until if breaker.until is None else max(breaker.until, until)


def _recovered(breakers: Mapping[str, Breaker], scope: str, now: datetime) -> list[Breaker]:
    """Close what is over; an answer during a pause was on its way before, and proves nothing."""
    return [
        Breaker(name)
        for name in ("refused", scope)
        if (breaker := breakers.get(name)) and (breaker.strikes or breaker.level)
        if breaker.until is None or breaker.until <= now
    ]


def _throttled(breaker: Breaker, now: datetime, retry_after: int | None) -> Breaker:
    """20 s, 90 s, 5 min; the third within an hour rests everything for an hour."""
    strikes = (*(each for each in breaker.strikes if each > now - THROTTLE_HOUR), now)
    if len(strikes) >= 3:
        pause = THROTTLE_HOUR
    else:
        pause = THROTTLE_PAUSES[min(len(strikes), len(THROTTLE_PAUSES)) - 1]
    until = _no_sooner(breaker, now + max(pause, _capped(retry_after, timedelta(0))))
    return Breaker(breaker.name, until, len(strikes), "http-429", strikes[-3:])


def _outage(breaker: Breaker, now: datetime, retry_after: int | None) -> Breaker:
    """Three in a row within ten minutes rest this kind of request for 15 minutes, doubling."""
    strikes = (*(each for each in breaker.strikes if each > now - OUTAGE_WINDOW), now)
    if len(strikes) >= OUTAGE_COUNT:
        pause = min(OUTAGE_PAUSE * 2 ** min(breaker.level, 10), OUTAGE_CAP)
        return _opened(breaker, now + pause, "archive-outage")
    asked = _capped(retry_after, timedelta(0))
    until = _no_sooner(breaker, now + asked) if asked else breaker.until
    return replace(breaker, strikes=strikes, until=until, reason="archive-outage")


def _capped(seconds: int | None, default: timedelta) -> timedelta:
    return default if seconds is None else min(timedelta(seconds=seconds), RETRY_AFTER_CAP)


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
