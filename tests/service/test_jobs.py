"""Capture jobs as the archive hands them out: one may stand for two links."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from archiver.archiving.answers import Trouble
from archiver.archiving.breakers import SUBMITS
from archiver.clock import RehearsalClock
from archiver.config import Keys
from archiver.demo.wayback import Scripted
from archiver.model import ArchiveState
from archiver.service.archiving import READING, Archiving
from archiver.service.breakers import Breakers
from archiver.service.checking import Checking
from archiver.service.desk import Desk
from archiver.service.rounds import look_at_due
from archiver.service.scan import scan
from archiver.service.submitting import Submitting
from archiver.service.targets import link_for
from tests.service.desk import open_desk
from tests.service.town import Place, Town, article

NOW = datetime.now(UTC)  # as the archive's clock says
PAGES = ["/news/the-harbour-files-of-the-old-town", "/news/The-harbour-files-of-the-old-town"]

OTHER = "/news/what-became-of-the-cranes-of-the-harbour"


@dataclass
class Work:
    desk: Desk
    archiving: Archiving
    clock: RehearsalClock


@asynccontextmanager
async def looked_at(place: Place, town: Town, *pages: str) -> AsyncIterator[Work]:
    """Open a desk with an account, at which these pages were looked at and found well."""
    place.cite(*(town.url(page) for page in pages))
    place.configure(town, archive__submits_per_minute="60")
    clock = RehearsalClock(NOW, speed=10)
    with open_desk(place, clock) as desk:
        desk.keys = Keys("access-word", "secret-word")
        await scan(desk)
        async with Checking(desk) as checking:
            await look_at_due(checking)
        async with Archiving(desk) as archiving:
            yield Work(desk, archiving, clock)


async def test_two_links_with_one_job_each_get_the_capture_of_their_own_address(
    place: Place, town: Town
) -> None:
    town.archive.script("spn2", ".", Scripted.json({"job_id": "spn2-one"}))
    done = {
        "status": "success",
        "job_id": "spn2-one",
        "original_url": town.url(PAGES[0]),
        "timestamp": f"{NOW:%Y%m%d%H%M%S}",
    }
    town.archive.script("status", ".", Scripted(200, json.dumps(done), "application/json"))
    async with looked_at(place, town, *PAGES) as work:
        await work.archiving.work(timedelta(seconds=6))
        assert len(town.archive.asked("spn2")) == 2
        work.clock.jump(timedelta(minutes=2))
        await work.archiving.work(timedelta(minutes=1), frozenset({READING}))
        found = [work.desk.store.archive.captures(link_id) for link_id in (1, 2)]
    assert [[row["original_url"] for row in rows] for rows in found] == [
        [town.url(page)] for page in PAGES
    ]


async def test_with_refused_keys_no_job_is_asked_for_again(place: Place, town: Town) -> None:
    town.archive.script("status", ".", Scripted(401, "no"))
    async with looked_at(place, town, PAGES[0]) as work:
        for _ in range(4):
            await work.archiving.work(timedelta(seconds=30))
            work.clock.jump(timedelta(minutes=2))
        assert len(town.archive.asked("status")) == 1
        assert work.archiving.keys_refused
        # A job is forgotten after an hour: then the index tells what became of it.
        work.clock.jump(timedelta(hours=2))
        await work.archiving.work(timedelta(seconds=30))
        task = work.desk.store.archive.task(1)
    assert len(town.archive.asked("status")) == 1
    assert task.state is ArchiveState.CAPTURED


async def test_a_throttled_question_about_the_account_holds_submissions_back_as_long_as_asked(
    place: Place, town: Town
) -> None:
    throttled = Scripted(429, "", headers={"Retry-After": "600"})
    town.archive.script("user", ".*", throttled, times=1)
    async with looked_at(place, town, PAGES[0]) as work:
        await work.archiving.work(timedelta(seconds=30))
        work.clock.jump(timedelta(minutes=8))
        await work.archiving.work(timedelta(seconds=30))
        assert town.archive.asked("spn2") == []
        work.clock.jump(timedelta(minutes=5))
        await work.archiving.work(timedelta(seconds=30))
    assert len(town.archive.asked("spn2")) == 1


async def test_one_answer_about_two_jobs_is_one_throttle(place: Place, town: Town) -> None:
    town.archive.job_time = timedelta(hours=1)
    async with looked_at(place, town, PAGES[0], OTHER) as work:
        await work.archiving.work(timedelta(seconds=6))
        assert len(town.archive.asked("spn2")) == 2
        work.clock.jump(timedelta(minutes=2))
        town.archive.script("status", ".", Scripted(429, "slow down"), times=1)
        await work.archiving.work(timedelta(seconds=1), frozenset({READING}))
        assert Breakers(work.desk).all()["throttle"].level == 1


async def test_slots_that_stay_full_end_a_pass_when_its_jobs_were_polled_for_a_minute(
    place: Place, town: Town
) -> None:
    town.archive.job_time = timedelta(hours=1)
    pages = [f"/news/a-cited-source-of-number-{number}" for number in range(4)]
    async with looked_at(place, town, *pages) as work:
        began = work.clock.monotonic()
        done = await work.archiving.work(timedelta(minutes=15))
        assert done.submissions == 2
        assert work.clock.monotonic() - began < 4 * 60


async def test_a_job_that_is_on_its_way_holds_back_the_next_page_of_its_host_and_ends_the_pass(
    place: Place, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Submitting, "_spaces_hosts", True)
    town.archive.job_time = timedelta(hours=1)
    async with looked_at(place, town, PAGES[0], OTHER) as work:
        began = work.clock.monotonic()
        done = await work.archiving.work(timedelta(minutes=15))
        assert done.submissions == 1
        assert work.clock.monotonic() - began < 5 * 60


async def test_the_next_page_of_a_host_is_submitted_in_the_same_pass_once_its_turn_comes(
    place: Place, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Submitting, "_spaces_hosts", True)
    async with looked_at(place, town, PAGES[0], OTHER) as work:
        done = await work.archiving.work(timedelta(minutes=15))
        starts = [row[0] for row in place.rows("SELECT started_at FROM attempts ORDER BY id")]
    assert done.submissions == 2
    first, second = map(datetime.fromisoformat, starts)
    assert second - first >= timedelta(minutes=1)


async def test_with_no_free_slot_of_the_account_nothing_is_submitted_until_there_is_one(
    place: Place, town: Town
) -> None:
    town.archive.script("user", ".*", Scripted.json({"available": 0, "processing": 3}))
    async with looked_at(place, town, PAGES[0]) as work:
        assert (await work.archiving.work(timedelta(minutes=1))).submissions == 0
        town.archive.clear_scripts()
        work.clock.jump(timedelta(seconds=30))
        await asyncio.sleep(2.5)
        assert (await work.archiving.work(timedelta(minutes=1))).submissions == 1


async def test_an_account_whose_figures_cannot_be_had_keeps_the_limit_it_last_told(
    place: Place, town: Town
) -> None:
    told = {"available": 3, "daily_captures": 100, "daily_captures_limit": 100}
    town.archive.script("user", ".*", Scripted.json(told), times=1)
    town.archive.script("user", ".*", Scripted(503, "later"))
    async with looked_at(place, town, PAGES[0]) as work:
        assert "daily-budget" in (await work.archiving.work(timedelta(minutes=1))).waits
    with open_desk(place, work.clock) as desk:
        desk.keys = Keys("access-word", "secret-word")
        desk.store.archive.wake(1, work.clock.now())
        async with Archiving(desk) as archiving:
            assert (await archiving.work(timedelta(minutes=1))).submissions == 0
    assert len(town.archive.asked("user")) == 2
    assert town.archive.asked("spn2") == []


async def test_while_the_archive_is_to_be_left_alone_not_even_the_account_is_asked_about(
    place: Place, town: Town
) -> None:
    async with looked_at(place, town, PAGES[0]) as work:
        await work.archiving.work(timedelta(minutes=1), frozenset({READING}))
        Breakers(work.desk).note(Trouble.REFUSED, SUBMITS, None, backend="spn2")
        done = await work.archiving.work(timedelta(minutes=1))
        assert "connection-refused" in done.waits
    assert town.archive.asked("user") == []


async def test_a_job_that_nobody_can_ask_about_without_keys_is_looked_up_when_it_is_forgotten(
    place: Place, town: Town
) -> None:
    town.archive.job_time = timedelta(hours=1)
    async with looked_at(place, town, PAGES[0]) as work:
        await work.archiving.work(timedelta(seconds=6))
        work.clock.jump(timedelta(minutes=2))
    with open_desk(place, work.clock) as desk:
        async with Archiving(desk) as archiving:
            done = await archiving.work(timedelta(minutes=2))
            assert (done.polls, town.archive.asked("status")) == (0, [])
            town.archive.job_time = timedelta(0)
            work.clock.jump(timedelta(hours=2))
            await archiving.work(timedelta(minutes=2))
        assert desk.store.archive.task(1).state is ArchiveState.CAPTURED


async def test_the_job_of_a_page_that_nobody_cites_is_asked_about_to_its_end(
    place: Place, town: Town
) -> None:
    town.archive.job_time = timedelta(seconds=1)
    async with looked_at(place, town, PAGES[0]) as work:
        wanted = link_for(work.desk, town.url(OTHER))
        work.desk.store.journal.ask(wanted, "archive", work.clock.now())
        assert (await work.archiving.one(wanted)).state is ArchiveState.PENDING
        await asyncio.sleep(1.1)
        work.clock.jump(timedelta(minutes=1))
        await work.archiving.work(timedelta(minutes=1))
        assert work.desk.store.archive.task(wanted).state is ArchiveState.CAPTURED
        assert place.value("SELECT count(*) FROM requests WHERE done_at IS NULL") == 0


async def test_the_job_of_a_page_that_is_cited_no_more_keeps_no_pass_waiting(
    place: Place, town: Town
) -> None:
    town.archive.job_time = timedelta(hours=1)
    async with looked_at(place, town, PAGES[0]) as work:
        await work.archiving.work(timedelta(seconds=6))
        assert work.desk.store.archive.next_poll() is not None
        work.clock.jump(timedelta(minutes=10))
        place.cite(town.url(OTHER))
        await scan(work.desk, accept_removals=True)
        assert work.desk.store.archive.next_poll() is None


async def test_the_job_that_refreshes_an_archived_page_is_asked_about_in_the_same_pass(
    place: Place, town: Town
) -> None:
    town.archive.job_time = timedelta(seconds=1)
    old = NOW - timedelta(days=400)
    town.archive.add_capture(town.url(PAGES[0]), old, body=article(PAGES[0]))
    async with looked_at(place, town, PAGES[0]) as work:
        done = await work.archiving.work(timedelta(minutes=5))
        assert done.submissions == 1
        assert place.rows("SELECT outcome FROM attempts") == [("captured",)]
