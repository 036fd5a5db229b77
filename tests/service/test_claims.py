"""Claims of captures as files write them, played at an archive that has its troubles."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from archiver.clock import RehearsalClock
from archiver.demo.wayback import Scripted
from archiver.service.archiving import VERIFYING, Archiving
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
