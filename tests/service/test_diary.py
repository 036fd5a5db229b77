"""The diary: what counts as getting forward, and what another process can read of it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from archiver.clock import RehearsalClock
from archiver.errors import DatabaseUnusable, Offline
from archiver.service.desk import Silent
from archiver.service.diary import DUTIES, Diary, stored_entries
from archiver.store import Store

START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


class SteppedClock(RehearsalClock):
    """A clock that moves only when told to."""

    seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def step(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def clock():
    return SteppedClock(START)


@pytest.fixture
def store(tmp_path):
    opened = Store.open(tmp_path / "archiver.db")
    yield opened
    opened.close()


@pytest.fixture
def diary(store, clock):
    return Diary(store.journal, clock, Silent())


def test_the_duties_are_those_of_the_schedule():
    assert DUTIES == ("scan", "check", "archive", "verify", "report", "maintenance")


def test_a_duty_that_ends_well_got_forward(store, clock, diary):
    with diary.duty("scan"):
        clock.step(5)
        assert stored_entries(store.journal)["scan"].running
    entry = diary.entries["scan"]
    assert (entry.running, entry.began_at) == (False, START)
    assert entry.moved_at == entry.ended_at == START + timedelta(seconds=5)
    assert stored_entries(store.journal) == {"scan": entry}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Offline("No way out.", "Wait."), "offline"),
        (DatabaseUnusable("Full.", "Free.", code="disk-full"), "disk-full"),
        (ValueError("oops"), "mistake"),
        (asyncio.CancelledError(), "interrupted"),
    ],
)
def test_a_duty_that_fails_got_no_further_and_the_error_goes_on(store, clock, diary, error, code):
    with diary.duty("check"):
        pass
    clock.step(60)
    with pytest.raises(type(error)), diary.duty("check"):
        raise error
    entry = stored_entries(store.journal)["check"]
    assert entry.code == code
    assert entry.trouble
    assert entry.moved_at == START
    clock.step(60)
    with diary.duty("check"):
        pass
    assert diary.entries["check"].code == diary.entries["check"].trouble == ""


async def test_a_step_belongs_to_the_duty_that_started_its_task(clock, diary):
    async def steps() -> None:
        await asyncio.sleep(0)
        diary.advance(3)

    async def work(name: str, forward: bool) -> None:
        with diary.duty(name):
            if forward:
                await asyncio.create_task(steps())
            await asyncio.sleep(0.01)
            clock.step(100)
            still.append(diary.longest_standstill())

    still: list[float] = []
    clock.step(10)
    await asyncio.gather(work("check", True), work("archive", False))
    assert max(still) == 200
    assert diary.longest_standstill() == 0
    diary.advance()  # outside of any duty: nobody's step


def test_a_standstill_ends_with_every_step_and_ignores_the_wall_clock(clock, diary):
    with diary.duty("check"):
        clock.step(3000)
        clock.jump(timedelta(days=30))
        diary.advance(0)  # going round without getting anywhere
        assert diary.longest_standstill() == 3000
        diary.advance()
        assert diary.longest_standstill() == 0
        clock.step(7)
        assert diary.longest_standstill() == 7


def test_steps_are_stored_once_a_minute_at_most(store, clock, diary):
    with diary.duty("check"):
        clock.step(59)
        diary.advance()
        assert stored_entries(store.journal)["check"].moved_at is None
        clock.step(1)
        diary.advance()
        assert stored_entries(store.journal)["check"].moved_at == START + timedelta(seconds=60)


def test_requests_of_people_are_watched_but_not_written_down_every_second(store, clock, diary):
    with diary.duty("requests"):
        clock.step(9)
        assert diary.longest_standstill() == 9
    assert stored_entries(store.journal) == {}


def test_a_database_in_trouble_does_not_stop_the_duty_it_is_told_of(store, diary):
    store.close()
    with diary.duty("scan"):
        pass
    assert diary.entries["scan"].moved_at is not None


def test_what_a_person_watches_still_sees_every_step(store, clock):
    seen: list[object] = []

    class Watching:
        def begin(self, what: str, total: int | None) -> None:
            seen.append((what, total))

        def advance(self, steps: int = 1) -> None:
            seen.append(steps)

        def end(self) -> None:
            seen.append("end")

    diary = Diary(store.journal, clock, Watching())
    diary.begin("Looking", 7)
    with diary.duty("check"):
        diary.advance(3)
    diary.end()
    assert seen == [("Looking", 7), 3, "end"]
