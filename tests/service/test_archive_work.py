"""Archive work as the daemon does it: two duties on one set of clients."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

from archiver.service.archiving import READING, SUBMITTING, VERIFYING, Archiving
from archiver.service.scan import scan
from tests.service.desk import open_desk
from tests.service.town import Place, Town

PAGES = [f"/news/story-number-{number}-of-the-harbour-files" for number in range(60)]
TICK = timedelta(minutes=5)


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
