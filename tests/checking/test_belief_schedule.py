"""When to look again, and how long to leave a host alone (reference checking §7.2)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archiver.checking.policy import DAY, HOUR, Policy
from archiver.checking.schedule import (
    blocked_interval,
    failing_interval,
    good_interval,
    host_pause,
    next_look,
    parse_retry_after,
)
from archiver.model import Observation

NOW = datetime(2026, 10, 21, 7, 28, 0, tzinfo=UTC)
POLICY = Policy()

VALUES = [
    ("120", 120),
    (" 120 ", 120),
    ("1.5", 2),
    ("1m30s", 90),
    ("90s", 90),
    ("1h", 3600),
    ("Wed, 21 Oct 2026 07:29:00 GMT", 60),
    ("Wednesday, 21-Oct-26 07:29:00 GMT", 60),
    ("Wed Oct 21 07:29:00 2026", 60),
    ("999999999", 999999999),
    ("-5", None),
    ("0", None),
    ("soon", None),
    ("", None),
    ("Wed, 21 Oct 2015 07:28:00 GMT", None),
    ("Wed, 99 Oct 2026 07:28:00 GMT", None),
    ("12345678901", None),
    ("1e5", None),
    ("٣", None),
]


@pytest.mark.parametrize(("value", "seconds"), VALUES)
def test_retry_after_in_all_its_forms(value, seconds):
    assert parse_retry_after({"retry-after": value}, NOW) == seconds


def test_a_wrong_clock_of_the_server_is_taken_into_account():
    date = "Wed, 21 Oct 2026 05:28:00 GMT"
    until = "Wed, 21 Oct 2026 05:30:00 GMT"
    assert parse_retry_after({"retry-after": until, "date": date}, NOW) == 120
    nearly = "Wed, 21 Oct 2026 07:27:00 GMT"
    later = "Wed, 21 Oct 2026 07:30:00 GMT"
    assert parse_retry_after({"retry-after": later, "date": nearly}, NOW) == 120


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "30"}, 30),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW.timestamp()) + 50)}, 50),
        ({"x-ratelimit-remaining": "5", "x-ratelimit-reset": "30"}, None),
        ({"x-ratelimit-remaining": "0"}, None),
        ({"ratelimit": '"default";r=0;t=17'}, 17),
        ({"ratelimit": '"default";r=3;t=17'}, None),
        ({}, None),
    ],
)
def test_an_exhausted_rate_limit_is_a_retry_after(headers, seconds):
    assert parse_retry_after(headers, NOW) == seconds


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(("retry-after", "date", "ratelimit")), st.text(max_size=40)))
def test_reading_retry_after_is_total(headers):
    seconds = parse_retry_after(headers, NOW)
    assert seconds is None or seconds > 0


def answer(status: int | None, retry_after: int | None = None) -> Observation:
    return Observation("https://a.example/", NOW, status, retry_after=retry_after)


def test_only_429_and_503_pause_a_host():
    assert host_pause(answer(200, 60), 0, NOW, POLICY) is None
    assert host_pause(answer(403), 0, NOW, POLICY) is None
    assert host_pause(answer(None), 0, NOW, POLICY) is None
    assert host_pause(answer(503), 0, NOW, POLICY) is None
    assert host_pause(answer(503, 5), 0, NOW, POLICY) == NOW + timedelta(seconds=60)
    assert host_pause(answer(429, 7200), 0, NOW, POLICY) == NOW + 2 * HOUR


def test_429_without_a_time_doubles_from_a_minute_to_an_hour():
    pauses = [host_pause(answer(429), count, NOW, POLICY) for count in (0, 1, 2, 6, 500)]
    assert [(pause - NOW) / timedelta(minutes=1) for pause in pauses if pause] == [1, 2, 4, 60, 60]


def test_intervals_are_those_of_the_design():
    assert [failing_interval(n, POLICY) for n in (1, 2, 3, 4, 9)] == [
        *(6 * HOUR, DAY, 2 * DAY, 3 * DAY, 3 * DAY)
    ]
    assert [blocked_interval(n, POLICY) / DAY for n in (1, 2, 3, 4, 9)] == [1, 3, 7, 14, 14]
    assert [good_interval(n * DAY, POLICY)[0] / DAY for n in (0, 20, 21, 84, 336, 3000)] == [
        *(7, 7, 14, 28, 30, 30)
    ]


@settings(max_examples=300, deadline=None)
@given(
    st.text(max_size=30),
    st.integers(0, 50),
    st.integers(1, 60 * 86400),
    st.none() | st.integers(-5, 10**12),
)
def test_the_next_look_keeps_its_bounds(url, attempt, base_seconds, retry_after):
    base = timedelta(seconds=base_seconds)
    when = next_look(NOW, base, POLICY, url=url, attempt=attempt, retry_after=retry_after)
    again = next_look(NOW, base, POLICY, url=url, attempt=attempt, retry_after=retry_after)
    assert when == again
    assert when - NOW >= max(0.9 * base, POLICY.retry_floor)
    longest = max(1.1 * base, POLICY.retry_floor)
    if retry_after:
        longest = max(longest, 30 * DAY)
        assert when - NOW >= min(timedelta(seconds=min(max(retry_after, 0), 10**9)), 30 * DAY)
    assert when - NOW <= longest + timedelta(seconds=1)
    assert when.microsecond == 0


def test_the_jitter_spreads_urls():
    base = 10 * DAY
    waits = {
        next_look(NOW, base, POLICY, url=f"https://a.example/{n}", attempt=0) for n in range(200)
    }
    assert len(waits) > 190
    assert max(waits) - min(waits) > 1.5 * DAY


def test_the_policy_takes_over_the_settings():
    check = SimpleNamespace(
        interval_ok=DAY,
        interval_ok_max=4 * DAY,
        intervals_failing=[HOUR],
        interval_blocked=2 * DAY,
        interval_dead=5 * DAY,
        strong_looks=4,
        strong_days=2,
        weak_looks=6,
        weak_days=10,
        title_match=80,
    )
    policy = Policy.from_settings(check)
    assert (policy.strong_looks, policy.strong_span) == (4, 2 * DAY)
    assert (policy.weak_looks, policy.weak_span) == (6, 10 * DAY)
    assert policy.intervals_failing == (HOUR,)
    assert good_interval(100 * DAY, policy)[0] == 4 * DAY
    assert blocked_interval(9, policy) == 2 * DAY


def test_the_defaults_of_the_policy_are_those_of_the_configuration():
    from archiver.config import CheckSettings

    assert Policy.from_settings(CheckSettings()) == Policy()
