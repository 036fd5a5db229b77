"""What an archive's answers close for a while: its pauses, our keys, hosts it does not capture.

Pure. The breakers are rows the caller stores, so that a restart does not hammer (reference
wayback §9.2.9).
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from archiver.archiving.answers import Trouble
from archiver.clock import from_stamp, to_stamp
from archiver.records import record

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
HOST_REFUSALS, HOST_PAUSE = 5, 7 * DAY
THROTTLE_PAUSES = (timedelta(seconds=20), timedelta(seconds=90), 5 * MINUTE)
THROTTLE_HOUR = HOUR
OUTAGE_COUNT, OUTAGE_WINDOW = 3, 10 * MINUTE
OUTAGE_PAUSE, OUTAGE_CAP = 15 * MINUTE, 6 * HOUR
REFUSED_PAUSE, REFUSED_CAP = HOUR, DAY
SLOT_PAUSE = timedelta(seconds=20)
RETRY_AFTER_CAP = HOUR

# What a pause holds back.
READS, SUBMITS = "reads", "submits"
KEYS_REFUSED = "keys-refused"


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


def next_day(now: datetime) -> datetime:
    """Return 00:00 UTC plus 5 to 30 minutes, the same all day (§9.2.5)."""
    midnight = (now.astimezone(UTC) + DAY).replace(hour=0, minute=0, second=0, microsecond=0)
    share = zlib.crc32(midnight.isoformat().encode()) / 0xFFFFFFFF
    return midnight + timedelta(seconds=300 + round(1500 * share))


def keys_are_refused(breakers: Mapping[str, Breaker], backend: str, keys_mark: str) -> bool:
    """Say whether an archive takes nothing from these keys any more, or from nobody without some.

    `keys_mark` is `mark_of(keys)`, empty without keys.
    """
    keys = breakers.get(f"keys-{backend}")
    return keys is not None and keys.is_open_ended and keys.mark == (keys_mark or "none")


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

    `scope` is `READS` or `SUBMITS`. `Trouble.NONE` is a proper answer and closes what outages
    or refused keys had opened; `retry_after` is in seconds. No answer shortens a pause that has
    begun: it may have been on its way since before.
    """
    match trouble:
        case Trouble.NONE:
            return _recovered(breakers, ("refused", scope, f"keys-{backend}"), now)
        case Trouble.THROTTLED:
            return [_throttled(_named(breakers, "throttle"), now, retry_after)]
        case Trouble.REFUSED:
            breaker = _named(breakers, "refused")
            pause = min(REFUSED_PAUSE * 2 ** min(breaker.level, 10), REFUSED_CAP)
            return [_opened(breaker, now + pause, "connection-refused", now)]
        case Trouble.OUTAGE:
            return [_outage(_named(breakers, scope), now, retry_after)]
        case Trouble.KEYS:
            mark = keys_mark or "none"
            return [Breaker(f"keys-{backend}", None, 1, KEYS_REFUSED, (now,), mark)]
        case Trouble.SLOTS:
            breaker = _named(breakers, f"slots-{backend}")
            until = _no_sooner(breaker, now + _capped(retry_after, SLOT_PAUSE), now)
            return [replace(breaker, until=until, reason="slots")]
        case Trouble.DAILY:
            breaker = _named(breakers, f"daily-{backend}")
            until = _no_sooner(breaker, next_day(now), now)
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
    until = _no_sooner(breaker, now + pause, now) if pause else breaker.until
    return replace(breaker, strikes=strikes, until=until, reason="host-pause")


def mark_of(access: str, secret: str) -> str:
    """Return a short digest that tells one pair of keys from another, and nothing else."""
    return hashlib.sha256(f"archiver\0{access}\0{secret}".encode()).hexdigest()[:12]


def _named(breakers: Mapping[str, Breaker], name: str) -> Breaker:
    return breakers.get(name, Breaker(name))


def _opened(breaker: Breaker, until: datetime, reason: str, now: datetime) -> Breaker:
    return Breaker(breaker.name, _no_sooner(breaker, until, now), breaker.level + 1, reason)


def end_of(breaker: Breaker, now: datetime) -> datetime | None:
    """Return when a pause ends that is under way, None when none is.

    None is longer than a host's: what ends later was noted by a clock that was ahead.
    """
    until = breaker.until
    return until if until is not None and now < until <= now + HOST_PAUSE else None


def _no_sooner(breaker: Breaker, until: datetime, now: datetime) -> datetime:
    """Return when a pause ends that lasts until then, or as long as it was to last anyway."""
    return max(end_of(breaker, now) or until, until)


def _recovered(
    breakers: Mapping[str, Breaker], names: Sequence[str], now: datetime
) -> list[Breaker]:
    """Close what is over; an answer during a pause was on its way before, and proves nothing."""
    return [
        Breaker(name)
        for name in names
        if (breaker := breakers.get(name)) and (breaker.strikes or breaker.level)
        if end_of(breaker, now) is None
    ]


def _lately(breaker: Breaker, now: datetime, window: timedelta) -> Iterator[datetime]:
    """Return the strikes within a window before now; those still to come a wrong clock noted."""
    return (each for each in breaker.strikes if now - window < each <= now)


def _throttled(breaker: Breaker, now: datetime, retry_after: int | None) -> Breaker:
    """20 s, 90 s, 5 min; the third within an hour rests everything for an hour."""
    strikes = (*_lately(breaker, now, THROTTLE_HOUR), now)
    if len(strikes) >= 3:
        pause = THROTTLE_HOUR
    else:
        pause = THROTTLE_PAUSES[min(len(strikes), len(THROTTLE_PAUSES)) - 1]
    until = _no_sooner(breaker, now + max(pause, _capped(retry_after, timedelta(0))), now)
    return Breaker(breaker.name, until, len(strikes), "http-429", strikes[-3:])


def _outage(breaker: Breaker, now: datetime, retry_after: int | None) -> Breaker:
    """Three in a row within ten minutes rest this kind of request for 15 minutes, doubling."""
    strikes = (*_lately(breaker, now, OUTAGE_WINDOW), now)
    if len(strikes) >= OUTAGE_COUNT:
        pause = min(OUTAGE_PAUSE * 2 ** min(breaker.level, 10), OUTAGE_CAP)
        return _opened(breaker, now + pause, "archive-outage", now)
    asked = _capped(retry_after, timedelta(0))
    until = _no_sooner(breaker, now + asked, now) if asked else breaker.until
    return replace(breaker, strikes=strikes, until=until, reason="archive-outage")


def _capped(seconds: int | None, default: timedelta) -> timedelta:
    return default if seconds is None else min(timedelta(seconds=seconds), RETRY_AFTER_CAP)
