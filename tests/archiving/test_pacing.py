"""Budgets and breakers as values, and the process's one pace."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.archiving.answers import Trouble
from archiver.archiving.breakers import (
    READS,
    SUBMITS,
    Breaker,
    mark_of,
    next_day,
    note,
    note_host,
)
from archiver.archiving.pacing import (
    Account,
    Allowed,
    Answer,
    ReadPace,
    Usage,
    WaitUntil,
    allow_read,
    allow_submit,
    day_budget,
)
from archiver.clock import RehearsalClock
from archiver.config import ArchiveSettings

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
LIMITS = ArchiveSettings()
SECOND, MINUTE, HOUR, DAY = (
    timedelta(seconds=1),
    timedelta(minutes=1),
    timedelta(hours=1),
    timedelta(days=1),
)
Breakers = dict[str, Breaker]


def after(
    breakers: Breakers, trouble: Trouble, now: datetime, scope: str = READS, **more: object
) -> Breakers:
    changed = note(breakers, trouble, scope, now, **more)  # type: ignore[arg-type]
    stored = [Breaker.from_json(each.to_json()) for each in changed]
    assert stored == changed
    return breakers | {each.name: each for each in stored}


def submit(
    usage: Usage | None = None,
    breakers: Breakers | None = None,
    *,
    now: datetime = NOW,
    backend: str = "spn2",
    **more: object,
) -> Answer:
    return allow_submit(
        breakers or {},
        usage or Usage(),
        LIMITS,
        now,
        backend=backend,
        host="a.example",
        **more,  # type: ignore[arg-type]
    )


def waits(answer: Answer) -> str | None:
    return answer.reason if isinstance(answer, WaitUntil) else None


# ------------------------------------------------------------------- budgets


def test_an_unused_budget_allows() -> None:
    assert submit() == Allowed()
    assert submit(backend="anonymous") == Allowed()


@pytest.mark.parametrize(("backend", "daily"), [("spn2", 500), ("anonymous", 50)])
def test_a_fifth_of_the_day_is_kept_back(backend: str, daily: int) -> None:
    kept = Usage(today=int(daily * 0.8))
    assert waits(submit(kept, backend=backend)) == "daily-budget"
    assert submit(kept, backend=backend, reserved=True) == Allowed()
    assert waits(submit(Usage(today=daily), backend=backend, reserved=True)) == "daily-budget"
    assert submit(Usage(today=int(daily * 0.8) - 1), backend=backend) == Allowed()


def test_the_day_renews_soon_after_midnight_utc() -> None:
    answer = submit(Usage(today=500), now=NOW)
    assert isinstance(answer, WaitUntil)
    midnight = datetime(2026, 6, 2, tzinfo=UTC)
    assert midnight + 5 * MINUTE <= answer.until <= midnight + 30 * MINUTE
    assert next_day(midnight - SECOND) == next_day(NOW)
    assert next_day(midnight) > midnight + DAY


@pytest.mark.parametrize(
    ("account", "limit"),
    [
        (None, 500),
        (Account(), 500),
        (Account(daily_captures=0, daily_limit=30_000), 500),
        (Account(daily_captures=100, daily_limit=200), 110),  # 90 of the 100 were others'
        (Account(daily_captures=200, daily_limit=200), 10),
    ],
)
def test_the_accounts_own_figures_lower_the_day(account: Account | None, limit: int) -> None:
    budget = day_budget("spn2", LIMITS, Usage(today=10, account=account), NOW)
    assert budget.limit == limit
    assert budget.left == limit - 10


def test_a_minutes_share_is_spread_and_only_a_pace() -> None:
    just_now = Usage(recent=[NOW - 5 * SECOND])
    answer = submit(just_now)
    assert answer == WaitUntil(NOW + 7 * SECOND, "per-minute", is_pace=True)
    assert submit(replace(just_now, recent=[NOW - 12 * SECOND])) == Allowed()
    anonymous = submit(just_now, backend="anonymous")
    assert anonymous == WaitUntil(NOW + 55 * SECOND, "per-minute", is_pace=True)


def test_a_wall_clock_that_went_back_does_not_stop_the_pace() -> None:
    assert submit(Usage(recent=[NOW + DAY], host_last_at=NOW + DAY)) == Allowed()


def test_slots_and_the_gap_of_a_host() -> None:
    assert waits(submit(Usage(running=2))) == "slots"
    assert waits(submit(Usage(running=1), backend="anonymous")) == "slots"
    assert waits(submit(Usage(host_last_at=NOW - 30 * SECOND))) == "host-gap"
    assert submit(Usage(host_last_at=NOW - MINUTE)) == Allowed()


def test_one_submission_of_a_host_is_on_its_way_at_a_time() -> None:
    busy = Usage(running=1, host_running=1, host_last_at=NOW - 10 * MINUTE)
    assert submit(busy) == WaitUntil(NOW + 20 * SECOND, "host-busy", is_pace=True)
    assert submit(replace(busy, host_running=0)) == Allowed()


@pytest.mark.parametrize(("room", "running"), [(0, 0), (1, 1), (3, 2)])
def test_no_more_slots_are_taken_than_the_account_has_or_the_settings_allow(
    room: int, running: int
) -> None:
    assert waits(submit(Usage(room=room, running=running))) == "slots"
    assert submit(Usage(room=room + 1, running=min(room, 1))) == Allowed()


# ------------------------------------------------------------------ breakers


def test_a_pause_noted_by_a_clock_that_was_ahead_is_none() -> None:
    ahead = NOW + timedelta(days=4000)
    [breaker] = note({}, Trouble.REFUSED, READS, ahead)
    assert isinstance(allow_read({breaker.name: breaker}, ahead), WaitUntil)
    assert not isinstance(allow_read({breaker.name: breaker}, NOW), WaitUntil)


def test_a_429_moves_a_clock_for_everything() -> None:
    breakers = after({}, Trouble.THROTTLED, NOW)
    assert allow_read(breakers, NOW) == WaitUntil(NOW + 20 * SECOND, "http-429")
    assert waits(submit(breakers=breakers)) == "http-429"
    assert allow_read(breakers, NOW + 20 * SECOND) == Allowed()


def test_429s_in_a_row_wait_longer_and_the_third_within_an_hour_an_hour() -> None:
    breakers = after({}, Trouble.THROTTLED, NOW)
    breakers = after(breakers, Trouble.THROTTLED, NOW + MINUTE)
    assert breakers["throttle"].until == NOW + MINUTE + 90 * SECOND
    breakers = after(breakers, Trouble.THROTTLED, NOW + 5 * MINUTE)
    assert breakers["throttle"].until == NOW + 5 * MINUTE + HOUR
    late = after(breakers, Trouble.THROTTLED, NOW + 5 * HOUR)
    assert late["throttle"].until == NOW + 5 * HOUR + 20 * SECOND


def test_retry_after_is_honoured_up_to_an_hour() -> None:
    assert after({}, Trouble.THROTTLED, NOW, retry_after=300)["throttle"].until == NOW + 5 * MINUTE
    assert after({}, Trouble.THROTTLED, NOW, retry_after=10**8)["throttle"].until == NOW + HOUR


@pytest.mark.parametrize(
    ("trouble", "later", "seconds"),
    [
        (Trouble.THROTTLED, Trouble.THROTTLED, None),
        (Trouble.OUTAGE, Trouble.OUTAGE, 5),
        (Trouble.SLOTS, Trouble.SLOTS, None),
        (Trouble.OUTAGE, Trouble.NONE, None),
    ],
)
def test_an_answer_that_was_on_its_way_shortens_no_pause(
    trouble: Trouble, later: Trouble, seconds: int | None
) -> None:
    breakers = after({}, trouble, NOW, SUBMITS, backend="spn2", retry_after=3600)
    for second in range(1, 3):
        breakers = after(
            breakers, later, NOW + second * SECOND, SUBMITS, backend="spn2", retry_after=seconds
        )
    waiting = submit(breakers=breakers, now=NOW + 59 * MINUTE)
    assert isinstance(waiting, WaitUntil)
    assert waiting.until >= NOW + HOUR


def test_a_host_that_asked_for_a_day_is_not_asked_after_ten_minutes() -> None:
    breakers: Breakers = {}
    for pause in (DAY, 10 * MINUTE):
        breaker = note_host(breakers, "a.example", NOW, refused=True, pause=pause)
        assert breaker is not None
        breakers[breaker.name] = breaker
    assert waits(submit(breakers=breakers, now=NOW + 23 * HOUR)) == "host-pause"


def test_a_refused_connection_rests_everything_for_an_hour_doubling() -> None:
    breakers: Breakers = {}
    for hours in (1, 2, 4, 8, 16, 24, 24):
        breakers = after(breakers, Trouble.REFUSED, NOW)
        assert breakers["refused"].until == NOW + hours * HOUR
    assert waits(allow_read(breakers, NOW)) == "connection-refused"
    assert waits(submit(breakers=breakers)) == "connection-refused"
    breakers = after(breakers, Trouble.NONE, NOW + 2 * DAY)
    assert after(breakers, Trouble.REFUSED, NOW)["refused"].until == NOW + HOUR


def test_three_outages_within_ten_minutes_rest_that_kind_only() -> None:
    breakers: Breakers = {}
    for minute in (0, 4, 8):
        assert allow_read(breakers, NOW + minute * MINUTE) == Allowed()
        breakers = after(breakers, Trouble.OUTAGE, NOW + minute * MINUTE)
    assert breakers[READS].until == NOW + 23 * MINUTE
    assert submit(breakers=breakers, now=NOW + 9 * MINUTE) == Allowed()


def test_outages_far_apart_or_with_an_answer_between_do_not_open() -> None:
    breakers: Breakers = {}
    for minute in (0, 11, 22, 33):
        breakers = after(breakers, Trouble.OUTAGE, NOW + minute * MINUTE)
    assert allow_read(breakers, NOW + 33 * MINUTE) == Allowed()
    for _ in range(4):
        breakers = after(breakers, Trouble.OUTAGE, NOW)
        breakers = after(breakers, Trouble.NONE, NOW)
    assert allow_read(breakers, NOW) == Allowed()


def test_an_answer_to_a_submission_shows_that_the_keys_are_good() -> None:
    refused = after({}, Trouble.KEYS, NOW, SUBMITS, backend="spn2", keys_mark="old")
    assert refused["keys-spn2"].is_open_ended
    mended = after(refused, Trouble.NONE, NOW, SUBMITS, backend="spn2", keys_mark="new")
    assert not mended["keys-spn2"].is_open_ended


def test_the_outage_pause_doubles_to_six_hours() -> None:
    breakers, now, pauses = {}, NOW, []
    for _ in range(7):
        for _ in range(3):
            breakers = after(breakers, Trouble.OUTAGE, now, SUBMITS)
        until = breakers[SUBMITS].until
        assert until is not None
        pauses.append((until - now) / MINUTE)
        now = until
    assert pauses == [15, 30, 60, 120, 240, 360, 360]


def test_refused_keys_stop_submitting_until_they_change() -> None:
    mark, other = mark_of("access", "secret"), mark_of("access", "other")
    breakers = after({}, Trouble.KEYS, NOW, SUBMITS, backend="spn2", keys_mark=mark)
    for days in (0, 100):
        stopped = submit(breakers=breakers, now=NOW + days * DAY, keys_mark=mark)
        assert waits(stopped) == "keys-refused"
    assert submit(breakers=breakers, keys_mark=other) == Allowed()
    assert submit(breakers=breakers, backend="anonymous") == Allowed()
    assert allow_read(breakers, NOW) == Allowed()
    assert "secret" not in mark
    assert "access" not in breakers["keys-spn2"].to_json()


def test_a_used_up_day_waits_for_the_next() -> None:
    breakers = after({}, Trouble.DAILY, NOW, SUBMITS, backend="spn2")
    assert waits(submit(breakers=breakers)) == "daily-limit"
    assert submit(breakers=breakers, now=next_day(NOW)) == Allowed()


def test_full_slots_wait_twenty_seconds() -> None:
    breakers = after({}, Trouble.SLOTS, NOW, SUBMITS, backend="spn2")
    assert submit(breakers=breakers) == WaitUntil(NOW + 20 * SECOND, "slots")


def test_five_refusals_in_a_row_rest_a_host_for_a_week() -> None:
    breakers: Breakers = {}
    for _ in range(5):
        assert submit(breakers=breakers) == Allowed()
        breaker = note_host(breakers, "a.example", NOW, refused=True)
        assert breaker is not None
        breakers[breaker.name] = breaker
    assert waits(submit(breakers=breakers)) == "host-refuses"
    assert submit(breakers=breakers, now=NOW + 7 * DAY) == Allowed()


def test_a_success_between_forgives_a_host_and_a_pause_is_kept() -> None:
    paused = note_host({}, "a.example", NOW, refused=True, pause=10 * MINUTE)
    assert paused is not None
    assert waits(submit(breakers={paused.name: paused})) == "host-pause"
    forgiven = note_host({paused.name: paused}, "a.example", NOW, refused=False)
    assert forgiven is not None
    assert submit(breakers={forgiven.name: forgiven}) == Allowed()
    assert note_host({}, "a.example", NOW, refused=False) is None


@given(st.lists(st.tuples(st.sampled_from(list(Trouble)), st.integers(0, 10_000)), max_size=30))
def test_pauses_end_and_never_exceed_a_day(events: list[tuple[Trouble, int]]) -> None:
    breakers, now = {}, NOW
    for trouble, seconds in events:
        now += timedelta(seconds=seconds)
        breakers = after(breakers, trouble, now, SUBMITS, backend="spn2", keys_mark="m")
        answer = allow_read(breakers, now)
        if isinstance(answer, WaitUntil):
            assert now < answer.until <= now + DAY


# ---------------------------------------------------------------------- pace


async def test_reads_are_one_at_a_time_and_evenly_spaced() -> None:
    clock = RehearsalClock(NOW, speed=100.0)
    pace = ReadPace(clock, 20)
    starts: list[float] = []
    inside = 0

    async def read() -> None:
        nonlocal inside
        async with pace:
            starts.append(clock.monotonic())
            inside += 1
            assert inside == 1
            await clock.sleep(0.5)
            inside -= 1

    await asyncio.gather(*(read() for _ in range(5)))
    gaps = [late - early for early, late in pairwise(starts)]
    assert all(gap >= 2.99 for gap in gaps)


async def test_a_cancelled_read_gives_its_turn_on() -> None:
    clock = RehearsalClock(NOW, speed=100.0)
    pace = ReadPace(clock, 20)
    async with pace:
        waiting = asyncio.create_task(pace.__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    async with asyncio.timeout(1), pace:
        pass


def test_a_pause_noted_by_a_clock_that_was_ahead_hides_no_real_one() -> None:
    ahead = Breaker("throttle", NOW + timedelta(days=900), 1, "http-429")
    [paused] = note({"throttle": ahead}, Trouble.THROTTLED, READS, NOW, retry_after=600)
    assert paused.until == NOW + timedelta(seconds=600)
    assert isinstance(allow_read({"throttle": paused}, NOW), WaitUntil)


def test_strikes_noted_by_a_clock_that_was_ahead_make_no_single_429_an_hour() -> None:
    ahead: Breakers = {}
    for minute in range(3):
        ahead = after(ahead, Trouble.THROTTLED, NOW + 900 * DAY + minute * MINUTE)
    paused = after(ahead, Trouble.THROTTLED, NOW)
    assert allow_read(paused, NOW) == WaitUntil(NOW + 20 * SECOND, "http-429")
