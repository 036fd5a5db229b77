"""Long work of the service never holds the event loop, and the watchdog sees what stands still."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from archiver.daemon import Daemon
from archiver.service.desk import Desk
from archiver.service.duties import Duties
from archiver.service.health import STANDSTILL
from tests.service.desk import START, open_desk
from tests.service.test_diary import SteppedClock
from tests.service.town import Place
from tests.store.making import scanned

LINKS, LOOKS = 1500, 120_000


@contextmanager
def full_desk(place: Place) -> Iterator[Desk]:
    """Open a desk on a database large enough for its copy and its report to take a while."""
    place.configure(
        database__backup_directory='"backups"', archive__mode='"off"', report__formats='["html"]'
    )
    with open_desk(place) as desk:
        urls = [f"https://example.org/story-{number}" for number in range(LINKS)]
        desk.store.citations.replace_files([scanned(*urls)], START)
        desk.store.database.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
            " INSERT INTO looks (link_id, looked_at, vantage, redirects, verdict, reason, facts)"
            " SELECT 1 + i % ?, '2026-03-01T00:00:00Z', 'here', '[]', 'ok', 'ok',"
            " json_object('noise', hex(randomblob(100))) FROM n",
            [LOOKS, LINKS],
        )
        yield desk


@pytest.mark.parametrize("duty", ["maintenance", "report"])
async def test_the_loop_turns_while_the_service_copies_checks_and_reports(
    place: Place, duty: str
) -> None:
    with full_desk(place) as desk:
        async with Duties(desk) as duties:
            work = asyncio.create_task(getattr(duties, duty)())
            turns = 0
            while not work.done():
                await asyncio.sleep(0.005)
                turns += 1
            await work
    # Were the loop held, it would turn a few times before and after. How long a turn takes is
    # the business of a busy machine.
    assert turns > 10
    made = list((place.folder / ("backups" if duty == "maintenance" else "report")).iterdir())
    assert len(made) == 1


async def test_the_watchdog_goes_hungry_when_work_stands_still(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.configure(archive__mode='"off"')
    clock = SteppedClock(START)
    with open_desk(place, clock) as desk:
        daemon = Daemon(desk, reload=lambda: desk.loaded)
        with daemon._diary.duty("check"):
            clock.step(STANDSTILL.total_seconds() - 1)
            assert await daemon._is_well()
            clock.step(2)
            assert not await daemon._is_well()
            desk.progress.advance()
            assert await daemon._is_well()
        clock.step(timedelta(days=1).total_seconds())
        assert await daemon._is_well()  # nothing to do is no standstill
