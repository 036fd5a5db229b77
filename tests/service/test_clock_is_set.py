"""A wall clock that is set, or slept through, holds no duty of the service up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import pytest

from archiver.clock import RehearsalClock
from archiver.daemon import Daemon
from archiver.service.health import health
from tests.service.desk import open_desk
from tests.service.town import Place


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> RehearsalClock:
    """A clock that can be set, and by which the schedule goes too."""
    clock = RehearsalClock(datetime.now(UTC))

    class Shown(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return clock.now().astimezone(tz)

    monkeypatch.setattr("apscheduler.schedulers.base.datetime", Shown)
    return clock


@asynccontextmanager
async def service(folder: Path, clock: RehearsalClock, **options: str) -> AsyncIterator[Daemon]:
    """Run the service in this process, its first duties done."""
    place = Place(folder)
    (folder / "events").mkdir()
    place.configure(archive__mode='"off"', **options)
    with open_desk(place, clock) as desk:
        daemon = Daemon(desk, reload=lambda: desk.loaded)
        life = asyncio.create_task(daemon.run())
        try:
            await until(lambda: daemon._diary.entries["report"].ended_at is not None)
            yield daemon
        finally:
            daemon._asked_to_stop()
            await life


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds; a service that stands still never gets there."""
    async with asyncio.timeout(20):
        while True:
            try:
                if holds():
                    return
            except KeyError:
                pass
            await asyncio.sleep(0.05)


def ended_by(daemon: Daemon, name: str, moment: datetime) -> bool:
    """Say whether a duty ended last before a moment."""
    ended = daemon._diary.entries[name].ended_at
    return ended is not None and ended <= moment


async def test_duties_go_on_when_the_clock_is_set_back_by_a_year(
    tmp_path: Path, clock: RehearsalClock
) -> None:
    async with service(tmp_path, clock) as daemon:
        clock.jump(-timedelta(days=365))
        latest = clock.now() + timedelta(days=1)
        for name in ("scan", "check"):
            await until(lambda name=name: ended_by(daemon, name, latest))
        desk = daemon._desk
        await until(lambda: health(desk, daemon._diary.entries).is_ready)


async def test_a_laptop_that_wakes_does_at_once_what_it_slept_through(
    tmp_path: Path, clock: RehearsalClock
) -> None:
    soon = clock.now() + timedelta(hours=2)
    at = f'"daily {soon:%H:%M}"'
    async with service(tmp_path, clock, schedule__maintenance=at) as daemon:
        assert "maintenance" not in daemon._diary.entries
        clock.jump(timedelta(hours=9))
        await until(lambda: daemon._diary.entries["maintenance"].ended_at is not None)
