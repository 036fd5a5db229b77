"""Archive work as the daemon does it: two duties on one set of clients."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from archiver.archiving.pipeline import Action, plan
from archiver.clock import RehearsalClock
from archiver.demo.wayback import Scripted
from archiver.model import Capture
from archiver.service.archiving import READING, SUBMITTING, VERIFYING, Archiving
from archiver.service.checking import Checking
from archiver.service.desk import Desk
from archiver.service.playing import Playing
from archiver.service.rounds import look_at_due
from archiver.service.scan import scan
from archiver.service.status import budgets
from archiver.store import ArchiveTask
from tests.service.desk import START, open_desk
from tests.service.town import Place, Town

PAGES = [f"/news/story-number-{number}-of-the-harbour-files" for number in range(60)]
TICK = timedelta(minutes=5)


async def look(desk: Desk) -> None:
    """Read the events and look at every page, so that it may be submitted."""
    await scan(desk)
    async with Checking(desk) as checking:
        await look_at_due(checking)


async def test_playing_back_passes_over_links_that_wait_for_a_look_up(
    place: Place, town: Town
) -> None:
    place.cite(*(town.url(page) for page in PAGES))
    place.configure(town, archive__mode='"lookup"')
    with open_desk(place) as desk:
        await scan(desk)
        async with Archiving(desk) as archiving:
            began = time.monotonic()
            done = await archiving.work(TICK, frozenset({VERIFYING}))
            assert done.anything == 0
            assert time.monotonic() - began < 2
            # Nothing is hidden from the duty that serves them.
            done = await archiving.work(TICK, frozenset({READING, SUBMITTING}))
            assert done.lookups == len(PAGES)
    assert len(town.archive.asked("cdx")) == len(PAGES)


async def test_a_mistake_about_one_link_ends_no_round_of_archive_work(
    place: Place, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.cite(*(town.url(page) for page in PAGES[:5]))
    place.configure(town, archive__mode='"lookup"')
    look_up = Playing.look_up

    async def fails_for_the_second(self: Playing, task: ArchiveTask, *given: Any) -> None:
        if task.link_id == 2:
            raise OverflowError("date value out of range")
        await look_up(self, task, *given)

    monkeypatch.setattr(Playing, "look_up", fails_for_the_second)
    with open_desk(place) as desk:
        await scan(desk)
        async with Archiving(desk) as archiving:
            await archiving.work(TICK, frozenset({READING}))
        assert desk.store.queries.archive_states()["none"] == 1
        assert desk.store.archive.due_count(desk.clock.now() + timedelta(hours=23)) == 0
        assert desk.store.archive.due_count(desk.clock.now() + timedelta(hours=25)) >= 1
    assert len(town.archive.asked("cdx")) == 4


async def test_a_mistake_about_one_claim_ends_no_round(
    place: Place, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2):
        url = town.url(PAGES[number])
        claim = town.archive.add_capture(url, START - timedelta(days=90))
        place.cite(url, event=f"event-{number}", archive_url=claim)
    place.configure(town, archive__mode='"lookup"')

    async def fails(self: Playing, capture: Capture) -> None:
        played.append(capture.original_url)
        raise ValueError("a mistake of ours")

    played: list[str] = []
    monkeypatch.setattr(Playing, "_play", fails)
    with open_desk(place) as desk:
        await scan(desk)
        async with Archiving(desk) as archiving:
            await archiving.work(TICK, frozenset({VERIFYING}))
    assert len(played) == len(set(played)) == 2


async def test_both_duties_at_once_look_every_link_up_once(place: Place, town: Town) -> None:
    place.cite(*(town.url(page) for page in PAGES[:20]))
    place.configure(town, archive__mode='"lookup"')
    with open_desk(place) as desk:
        await scan(desk)
        async with Archiving(desk) as archiving:
            both = await asyncio.gather(
                archiving.work(TICK, frozenset({VERIFYING})),
                archiving.work(TICK, frozenset({READING, SUBMITTING})),
            )
    assert [done.lookups for done in both] == [0, 20]
    asked = [request.url for request in town.archive.asked("cdx")]
    assert sorted(asked) == sorted(set(asked))


async def test_a_breaker_that_is_open_ends_the_part_it_concerns(place: Place, town: Town) -> None:
    place.cite(*(town.url(page) for page in PAGES[:5]))
    place.configure(town)
    await town.archive.stop()
    with open_desk(place) as desk:
        await scan(desk)
        async with Archiving(desk) as archiving:
            began = time.monotonic()
            done = await archiving.work(timedelta(minutes=15))
        assert time.monotonic() - began < 5
        assert done.waits
        assert all(until > desk.clock.now() for until in done.waits.values())
        assert desk.store.queries.archive_states().keys() <= {"none", "searching"}


async def test_a_long_queue_is_not_planned_anew_for_every_turn(
    place: Place, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = [f"/news/story-number-{number}-of-the-harbour-files" for number in range(150)]
    place.cite(*(town.url(page) for page in pages))
    place.configure(town, archive__mode='"anonymous"', archive__anonymous_per_minute="2")
    planned = 0

    def counting(*given: Any) -> Action:
        nonlocal planned
        planned += 1
        return plan(*given)

    monkeypatch.setattr("archiver.service.archiving.plan", counting)
    # A turn every half minute: a quarter of a second here, enough on a busy machine too.
    with open_desk(place, RehearsalClock(START, speed=120)) as desk:
        await look(desk)
        async with Archiving(desk) as archiving:
            await archiving.work(timedelta(minutes=10), frozenset({READING}))
            planned = 0
            done = await archiving.work(timedelta(minutes=5), frozenset({READING, SUBMITTING}))
            # Another tick may find the turn still to come.
            await archiving.work(timedelta(seconds=1), frozenset({READING, SUBMITTING}))
    assert done.submissions >= 3
    # The queue once, and then what is taken into hand for each turn.
    assert planned < len(pages) + 2 * 50 * (done.submissions + 1)
    assert planned < len(pages) * done.submissions


async def test_what_a_person_wants_archived_goes_before_the_queue_at_the_next_turn(
    place: Place, town: Town
) -> None:
    place.cite(*(town.url(page) for page in PAGES))
    place.configure(town, archive__mode='"anonymous"', archive__anonymous_per_minute="2")
    with open_desk(place, RehearsalClock(START, speed=240)) as desk:
        await look(desk)
        async with Archiving(desk) as archiving:
            await archiving.work(None, frozenset({READING}))
            await archiving.work(timedelta(seconds=50), frozenset({SUBMITTING}))
            before = len(town.archive.asked("save"))
            wanted = desk.store.queries.link_by_url(town.url(PAGES[-1]))
            assert wanted is not None
            desk.store.journal.ask(wanted["id"], "archive", desk.clock.now())
            await archiving.work(timedelta(minutes=4), frozenset({SUBMITTING}))
    assert before >= 1
    assert town.archive.asked("save")[before].url == town.url(PAGES[-1])


async def test_a_clock_that_was_a_year_ahead_for_a_while_holds_no_archive_work_up(
    place: Place, town: Town
) -> None:
    # Now, as the clock of the archive says.
    clock, ahead = RehearsalClock(datetime.now(UTC), speed=20), timedelta(days=365)
    url = town.url(PAGES[0])
    place.cite(url)
    place.configure(town, archive__mode='"anonymous"', archive__anonymous_daily="2")
    town.archive.script("save", ".", Scripted(520), times=2)
    with open_desk(place, clock) as desk:
        await look(desk)
        clock.jump(ahead)
        async with Archiving(desk) as archiving:
            await archiving.work(TICK)
            assert len(town.archive.asked("save")) == 1
            clock.jump(-ahead)
            assert budgets(desk)["anonymous_left"] == 2
            await archiving.work(TICK)
            assert len(town.archive.asked("save")) == 1
            # An unknown outcome: looked up after ten and seventy minutes, sent again after a day.
            town.archive.clear_scripts()
            for _ in range(30):
                clock.jump(timedelta(hours=1))
                await archiving.work(TICK)
        assert len(town.archive.asked("save")) == 2
        assert desk.store.queries.archive_states() == {"archived": 1}
