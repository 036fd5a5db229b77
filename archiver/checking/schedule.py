"""When to look again, and how long to leave a host alone: pure arithmetic on times.

Sources: design §5 ("When to look again", "Manners"), reference checking §7.2, RFC 9110 §5.6.7
and §10.2.3 (Retry-After), RFC 6585 §4 (429).
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from archiver.checking.policy import Policy
from archiver.model import Observation

_SECONDS = re.compile(r"[0-9]{1,10}")
_FRACTION = re.compile(r"[0-9]{1,10}\.[0-9]{1,9}")
# `1m30s`, `90s`: seen in the wild (reference checking §7.2).
_UNITS = re.compile(r"(?:([0-9]{1,5})h)?\s*(?:([0-9]{1,5})m)?\s*(?:([0-9]{1,7})s)?", re.IGNORECASE)
# A server's clock this far from ours is the better measure of its own HTTP dates.
_CLOCK_TRUST = timedelta(minutes=5)
# `X-RateLimit-Reset` is seconds below this and a Unix time above it.
_EPOCH_FROM = 10**7
# The header fields in which a server asks for patience.
_ASKING = frozenset(
    {
        *("retry-after", "ratelimit", "x-ratelimit-remaining", "x-ratelimit-reset"),
        *("ratelimit-remaining", "ratelimit-reset"),
    }
)
_LIMIT_STRUCTURED = re.compile(r"\br=([0-9]+).*?\bt=([0-9]{1,10})\b")


def parse_retry_after(headers: Mapping[str, str], now: datetime) -> int | None:
    """Return the seconds a server asks us to wait, or None when it asks nothing usable.

    `headers` has lower-case names. Reads Retry-After (seconds, a fraction, `1m30s`, or an HTTP
    date, measured by the server's own Date when that is more than five minutes off), and else
    an exhausted `RateLimit` or `X-RateLimit-*`. Negative, past, zero and garbage are None. The
    caps are the caller's (`host_pause`, `next_look`).
    """
    if _ASKING.isdisjoint(headers):
        return None
    value = headers.get("retry-after", "").strip()
    seconds = _parse_duration(value)
    if seconds is None and value:
        seconds = _parse_date(value, headers.get("date", ""), now)
    if seconds is None:
        seconds = _parse_rate_limit(headers, now)
    return seconds if seconds is not None and seconds > 0 else None


def _parse_duration(value: str) -> int | None:
    if _SECONDS.fullmatch(value):
        return int(value)
    if _FRACTION.fullmatch(value):
        return math.ceil(float(value))
    match = _UNITS.fullmatch(value)
    if value and match and any(match.groups()):
        hours, minutes, seconds = (int(part or 0) for part in match.groups())
        return hours * 3600 + minutes * 60 + seconds
    return None


def _parse_http_date(value: str) -> datetime | None:
    try:
        moment: datetime = parsedate_to_datetime(value)
        aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return datetime.fromtimestamp(aware.timestamp(), UTC)
    except (ValueError, TypeError, IndexError, OverflowError, OSError):
        return None


def _parse_date(value: str, date_header: str, now: datetime) -> int | None:
    until = _parse_http_date(value) if value[:1].isalpha() else None
    if until is None:
        return None
    theirs = _parse_http_date(date_header) if date_header else None
    start = theirs if theirs and abs(theirs - now) > _CLOCK_TRUST else now
    return math.ceil((until - start).total_seconds())


def _parse_rate_limit(headers: Mapping[str, str], now: datetime) -> int | None:
    structured = _LIMIT_STRUCTURED.search(headers.get("ratelimit", "").replace(" ", ""))
    if structured:
        return int(structured[2]) if int(structured[1]) == 0 else None
    for prefix in ("x-ratelimit-", "ratelimit-"):
        remaining = headers.get(prefix + "remaining", "").strip()
        reset = _parse_duration(headers.get(prefix + "reset", "").strip())
        if remaining in ("0", "0.0") and reset is not None:
            return reset if reset < _EPOCH_FROM else reset - int(now.timestamp())
    return None


def host_pause(
    observation: Observation, consecutive: int, now: datetime, policy: Policy
) -> datetime | None:
    """Return until when the host of this answer is to be left alone, or None for no pause.

    Retry-After on 429 and 503 shuts the host's lane for 60 s to 24 h; a 429 that names no time
    shuts it for 60 s, doubling to 1 h with the number of `consecutive` pauses before this one.
    """
    if observation.status not in (429, 503):
        return None
    if observation.retry_after is not None and observation.retry_after > 0:
        wait = _seconds(observation.retry_after, policy.retry_cap_host)
        return now + max(policy.retry_floor, wait)
    if observation.status == 503:
        return None
    doubled = policy.pause_first * (1 << min(max(consecutive, 0), 20))
    return now + min(doubled, policy.pause_longest)


def _seconds(count: int, cap: timedelta) -> timedelta:
    return min(timedelta(seconds=min(count, 10**9)), cap)


def next_look(
    now: datetime,
    base: timedelta,
    policy: Policy,
    *,
    url: str,
    attempt: int,
    retry_after: int | None = None,
) -> datetime:
    """Return when to look again: `base` jittered by the URL, never before Retry-After allows.

    The jitter is a hash of the URL and the attempt, so a fold over stored looks replays it.
    Whole seconds; at least a minute ahead; at most 1.1 times `base` or 30 days, the longer.
    """
    digest = hashlib.sha256(f"{url}\n{attempt}".encode("utf-8", "surrogatepass")).digest()
    share = int.from_bytes(digest[:8], "big") / 2**64
    wait = base * (1 - policy.jitter + 2 * policy.jitter * share)
    if retry_after is not None and retry_after > 0:
        wait = max(wait, _seconds(retry_after, policy.retry_cap_link))
    wait = max(wait, policy.retry_floor)
    return now + timedelta(seconds=math.ceil(wait.total_seconds()))


def good_interval(streak: timedelta, policy: Policy) -> tuple[timedelta, int]:
    """Return the interval of a link good for `streak`, and how often it was doubled.

    7 → 14 → 28 → 30 d at ages of 21, 84 and 336 days, in the proportions of the defaults.
    """
    doublings = 0
    interval = policy.interval_ok
    threshold = 3 * policy.interval_ok
    while streak >= threshold and interval < policy.interval_ok_max:
        interval = min(2 * interval, policy.interval_ok_max)
        threshold *= 4
        doublings += 1
    return interval, doublings


def failing_interval(attempt: int, policy: Policy) -> timedelta:
    """Return how long to wait after the `attempt`-th bad look in a row (from 1)."""
    steps = policy.intervals_failing
    return steps[min(max(attempt, 1), len(steps)) - 1]


def blocked_interval(attempt: int, policy: Policy) -> timedelta:
    """Return how long to wait after the `attempt`-th refusal in a row (from 1)."""
    steps = (*policy.intervals_first_blocks, policy.interval_blocked)
    return min(steps[min(max(attempt, 1), len(steps)) - 1], policy.interval_blocked)
