"""Claims of captures as files write them, played at an archive that has its troubles."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from archiver.clock import RehearsalClock
from archiver.demo.wayback import Scripted
from archiver.service.archiving import VERIFYING, Archiving
from archiver.service.desk import Desk
from archiver.service.scan import scan
from tests.service.desk import START, open_desk
from tests.service.town import Place, Town, article

BROKEN = "/news/a-page-whose-copy-the-archive-cannot-play"
SOUND = "/news/another-page-whose-copy-is-well-kept"


async def test_a_claim_the_archive_cannot_play_is_asked_about_a_few_times_a_day_and_stops_no_other(
    place: Place, town: Town
) -> None:
    when, clock = datetime(2016, 12, 1, tzinfo=UTC), RehearsalClock(START)
    for page in (BROKEN, SOUND):
        claim = town.archive.add_capture(town.url(page), when, body=article(page))
        place.cite(town.url(page), event=page.rsplit("/", 1)[-1], archive_url=claim)
    place.configure(town, archive__mode='"lookup"')
    trouble = Scripted(503, "", headers={"X-Archive-Wayback-Runtime-Error": "no such file"})
    town.archive.script("playback", BROKEN, trouble)
    with open_desk(place, clock) as desk:
        await scan(desk)
        async with Archiving(desk) as archiving:
            for _ in range(48):
                await archiving.work(timedelta(minutes=1), frozenset({VERIFYING}))
                clock.jump(timedelta(minutes=30))
        rows = {row["cited_url"]: row for row in desk.store.queries.source_status()}
    assert rows[town.url(SOUND)]["archive_claim"] == "confirmed"
    assert rows[town.url(BROKEN)]["archive_claim"] == "unchecked"
    asked = [each for each in town.archive.asked("playback") if BROKEN in each.url]
    assert 2 <= len(asked) <= 5


async def checked(desk: Desk, clock: RehearsalClock, **later: float) -> str:
    clock.jump(timedelta(**later))
    async with Archiving(desk) as archiving:
        await archiving.work(timedelta(minutes=1), frozenset({VERIFYING}))
    [row] = desk.store.queries.source_status()
    return str(row["archive_claim"])


async def test_a_confirmed_claim_is_played_again_after_ninety_days_and_missed_twice_is_missing(
    place: Place, town: Town
) -> None:
    url, clock = town.url(SOUND), RehearsalClock(START)
    claim = town.archive.add_capture(url, datetime(2016, 12, 1, tzinfo=UTC), body=article(SOUND))
    place.cite(url, archive_url=claim)
    place.configure(town, archive__mode='"lookup"')
    with open_desk(place, clock) as desk:
        await scan(desk)
        assert await checked(desk, clock) == "confirmed"
        # The archive has lost it.
        town.archive.script("playback", SOUND, Scripted(404, "has not archived that URL"))
        assert await checked(desk, clock, days=80) == "confirmed"
        asked = len(town.archive.asked("playback"))
        assert await checked(desk, clock, days=11) == "confirmed"
        assert len(town.archive.asked("playback")) > asked
        assert await checked(desk, clock, hours=7) == "missing"
        town.archive.clear_scripts()
        assert await checked(desk, clock, days=91) == "confirmed"


async def test_an_outage_takes_nothing_from_a_confirmed_claim_which_is_asked_about_again_soon(
    place: Place, town: Town
) -> None:
    url, clock = town.url(SOUND), RehearsalClock(START)
    claim = town.archive.add_capture(url, datetime(2016, 12, 1, tzinfo=UTC), body=article(SOUND))
    place.cite(url, archive_url=claim)
    place.configure(town, archive__mode='"lookup"')
    with open_desk(place, clock) as desk:
        await scan(desk)
        await checked(desk, clock)
        before = place.value("SELECT claim_checked_at FROM citations")
        town.archive.script("playback", SOUND, Scripted(503))
        assert await checked(desk, clock, days=91) == "confirmed"
        town.archive.clear_scripts()
        assert await checked(desk, clock, hours=7) == "confirmed"
        again = place.value("SELECT claim_checked_at FROM citations")
    assert datetime.fromisoformat(again) - datetime.fromisoformat(before) > timedelta(days=91)


async def test_a_claim_of_a_capture_made_just_now_is_not_called_missing(
    place: Place, town: Town
) -> None:
    url, clock = town.url(SOUND), RehearsalClock(START)
    claim = f"{town.archive.playback_url}/{START:%Y%m%d%H%M%S}/{url}"
    place.cite(url, archive_url=claim)
    place.configure(town, archive__mode='"lookup"')
    with open_desk(place, clock) as desk:
        await scan(desk)
        assert await checked(desk, clock, minutes=10) == "unchecked"
        town.archive.add_capture(url, START, body=article(SOUND))
        assert await checked(desk, clock, hours=7) == "confirmed"


@pytest.mark.parametrize("stamp", ["20160101000000", "20991231235959"])
async def test_an_invented_claim_is_told_at_once(place: Place, town: Town, stamp: str) -> None:
    url, clock = town.url(SOUND), RehearsalClock(START)
    place.cite(url, archive_url=f"{town.archive.playback_url}/{stamp}/{url}")
    place.configure(town, archive__mode='"lookup"')
    with open_desk(place, clock) as desk:
        await scan(desk)
        assert await checked(desk, clock) == "missing"


async def test_captures_we_cannot_read_are_no_outage_of_the_archive(
    place: Place, town: Town
) -> None:
    when, packed = datetime(2016, 12, 1, tzinfo=UTC), {"content-encoding": "br"}
    pages = [f"/news/a-page-whose-copy-is-packed-number-{number}" for number in range(4)]
    for page in pages:
        town.archive.add_capture(town.url(page), when, body=b"\x0b\x02\x80", headers=packed)
    place.cite(*(town.url(page) for page in pages))
    place.configure(town, archive__mode='"lookup"')
    with open_desk(place, RehearsalClock(START)) as desk:
        await scan(desk)
        async with Archiving(desk) as archiving:
            done = await archiving.work(timedelta(minutes=1))
        states = desk.store.queries.archive_states()
    assert done.verifications == len(pages)
    assert done.waits == {}
    assert states == {"captured": len(pages)}
