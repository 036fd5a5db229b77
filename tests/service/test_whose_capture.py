"""Which of a link's captures is offered: one of this very address, and one that may be a copy."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from archiver.clock import RehearsalClock
from archiver.demo.wayback import Scripted
from archiver.model import ArchiveState
from archiver.service.archiving import Archiving
from archiver.service.claimed import with_nearest_captures
from archiver.service.desk import Desk
from archiver.service.on_demand import archive_line
from archiver.service.scan import scan
from archiver.service.targets import link_for
from tests.service.desk import START, open_desk
from tests.service.town import Place, Town, article

NEWS = "/news/a-source-that-is-cited-by-an-event"


async def test_a_close_variant_is_never_offered_as_a_capture_of_the_cited_address(
    place: Place, town: Town
) -> None:
    url = town.url(NEWS)
    place.cite(url)
    place.configure(town, archive__mode='"lookup"')
    with open_desk(place, RehearsalClock(START)) as desk:
        own = town.archive.add_capture(url, START - timedelta(hours=2))
        town.archive.add_capture(url + "/", datetime(2016, 12, 1, tzinfo=UTC))
        await scan(desk)
        async with Archiving(desk) as archiving:
            record = await archiving.one(1)
        assert record.state is ArchiveState.CAPTURED
        row = desk.store.queries.status_of_link(1)
        assert row is not None
        assert row["archive_url"] == own
        assert own in archive_line(desk, 1)


async def test_of_a_link_without_citation_the_chosen_copy_is_shown_not_the_newest_error(
    place: Place, town: Town
) -> None:
    url = town.url(NEWS)
    place.configure(town, archive__mode='"lookup"')
    with open_desk(place, RehearsalClock(START)) as desk:
        good = town.archive.add_capture(url, START - timedelta(hours=2))
        town.archive.add_capture(url, START - timedelta(hours=1), 404)
        link_id = link_for(desk, url)
        async with Archiving(desk) as archiving:
            assert (await archiving.one(link_id)).best is not None
        assert good in archive_line(desk, link_id)


async def test_what_is_proposed_for_an_invented_claim_is_of_the_cited_address(
    place: Place, town: Town
) -> None:
    url = town.url(NEWS)
    place.cite(url, archive_url=f"{town.archive.playback_url}/20150101000000/{url}")
    place.configure(town, archive__mode='"lookup"')
    with open_desk(place, RehearsalClock(START)) as desk:
        own = town.archive.add_capture(url, datetime(2016, 12, 1, tzinfo=UTC))
        town.archive.add_capture(url + "/", datetime(2015, 2, 1, tzinfo=UTC))
        await scan(desk)
        async with Archiving(desk) as archiving:
            await archiving.work(timedelta(minutes=1))
        rows = [dict(row) for row in desk.store.queries.source_status()]
        (shown,) = with_nearest_captures(desk, rows)
    assert shown["archive_claim"] == "redirects-elsewhere"
    assert shown["claim_nearest"]["archive_url"] == own


async def test_a_playback_that_fails_is_not_when_the_copy_was_verified(
    place: Place, town: Town
) -> None:
    url = town.url(NEWS)
    place.cite(url)
    place.configure(town, archive__mode='"lookup"')
    clock = RehearsalClock(START)
    with open_desk(place, clock) as desk:
        town.archive.add_capture(url, datetime(2016, 12, 1, tzinfo=UTC), body=article(NEWS))
        await scan(desk)
        async with Archiving(desk) as archiving:
            assert (await archiving.one(1)).state is ArchiveState.ARCHIVED
            verified = dict(desk.store.queries.status_of_link(1) or {})["archive_verified_at"]
            clock.jump(timedelta(days=100))
            town.archive.script("playback", ".", Scripted(404, "not archived"), times=1)
            record = await archiving.one(1)
        row = dict(desk.store.queries.status_of_link(1) or {})
    assert (record.state, record.missing) == (ArchiveState.ARCHIVED, 1)
    assert row["archive_verified_at"] == verified


async def test_a_captured_wall_is_not_proposed_instead_of_itself(place: Place, town: Town) -> None:
    url = town.url(NEWS)
    wall = "<title>Log in</title><h1>Log in</h1><form><input type=password></form>"
    claim = town.archive.add_capture(url, datetime(2016, 12, 1, tzinfo=UTC), body=wall)
    town.archive.add_capture(url, datetime(2016, 12, 2, tzinfo=UTC), body=wall)
    place.cite(url, archive_url=claim)
    place.configure(town, archive__mode='"lookup"')
    with open_desk(place, RehearsalClock(START)) as desk:
        await scan(desk)
        async with Archiving(desk) as archiving:
            await archiving.work(timedelta(minutes=1))
        rows = [dict(row) for row in desk.store.queries.source_status()]
        (shown,) = with_nearest_captures(desk, rows)
    assert shown["archive_claim"] == "not-a-capture"
    assert "claim_nearest" not in shown


async def test_a_claimed_wall_that_only_the_claim_made_us_play_is_not_proposed_for_itself(
    place: Place, town: Town
) -> None:
    url, good = town.url(NEWS), datetime(2016, 12, 1, tzinfo=UTC)
    wall = "<title>Log in</title><h1>Log in</h1><form><input type=password></form>"
    real = town.archive.add_capture(url, good, body=article(NEWS))
    claim = town.archive.add_capture(url, datetime(2018, 12, 1, tzinfo=UTC), body=wall)
    place.cite(url, archive_url=claim)
    place.configure(town, archive__mode='"lookup"')
    with open_desk(place, RehearsalClock(START)) as desk:
        await scan(desk)
        async with Archiving(desk) as archiving:
            await archiving.work(timedelta(minutes=1))
        rows = [dict(row) for row in desk.store.queries.source_status()]
        (shown,) = with_nearest_captures(desk, rows)
    assert shown["archive_claim"] == "not-a-capture"
    assert shown["claim_nearest"]["archive_url"] == real


async def test_a_new_citation_of_an_archived_page_gets_its_capture_at_once(
    place: Place, town: Town
) -> None:
    url = town.url(NEWS)
    old = place.cite(url)
    place.configure(town, archive__mode='"lookup"')
    with open_desk(place, RehearsalClock(START)) as desk:
        first = town.archive.add_capture(url, datetime(2016, 12, 1, tzinfo=UTC), body=article(NEWS))
        await scan(desk)
        async with Archiving(desk) as archiving:
            await archiving.work(timedelta(minutes=1))
            assert archive_columns(desk) == [("archived", first, 1)]
            asked = len(town.archive.requests)
            old.rename(old.with_name("moved.md"))
            place.cite(url, event="another")
            await scan(desk, accept_removals=True)
            await archiving.work(timedelta(minutes=1))
            assert len(town.archive.requests) == asked
        assert archive_columns(desk) == [("archived", first, 1), ("archived", first, 1)]


async def test_a_citation_whose_date_was_mended_gets_another_distance(
    place: Place, town: Town
) -> None:
    url = town.url(NEWS)
    path = place.cite(url)
    place.configure(town, archive__mode='"lookup"')
    with open_desk(place, RehearsalClock(START)) as desk:
        first = town.archive.add_capture(url, datetime(2016, 12, 1, tzinfo=UTC), body=article(NEWS))
        await scan(desk)
        async with Archiving(desk) as archiving:
            await archiving.work(timedelta(minutes=1))
            assert archive_columns(desk) == [("archived", first, 1)]
            mended = path.read_text("utf-8").replace("    date: 2016-11-30", "    date: 2016-11-21")
            path.write_text(mended, "utf-8")
            await scan(desk)
            await archiving.work(timedelta(minutes=1))
        assert archive_columns(desk) == [("archived", first, 10)]


def archive_columns(desk: Desk) -> list[tuple[str, str, int]]:
    """Return what the report's rows say of captures."""
    return [
        (row["archive_state"], row["archive_url"], row["archive_distance_days"])
        for row in desk.store.queries.source_status()
    ]
