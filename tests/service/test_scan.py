"""What a scan makes of files that change, break, move and vanish."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from archiver.clock import RehearsalClock
from archiver.errors import ConfigurationError
from archiver.service.desk import Desk
from archiver.service.scan import scan
from tests.service.desk import START, open_desk
from tests.service.town import Place

PAGES = [f"http://paper.example/news/story-number-{number}" for number in range(12)]


@pytest.fixture
def many(tmp_path: Path) -> Place:
    """Return a place with twelve events of one citation each."""
    place = Place(tmp_path)
    place.configure(archive__mode='"off"')
    for number, page in enumerate(PAGES):
        place.cite(page, event=f"event-{number}")
    return place


def cited(desk: Desk) -> set[str]:
    """Return what the current view shows."""
    rows = desk.store.database.rows("SELECT cited_url FROM source_status")
    return {row["cited_url"] for row in rows}


async def test_a_few_files_less_leave_the_view_at_once_but_not_the_history(many: Place) -> None:
    with open_desk(many) as desk:
        await scan(desk)
        (many.folder / "events" / "event-3.md").unlink()
        found = await scan(desk)
        assert (found.files, found.removals.removed, found.removals.held_back) == (11, 1, 0)
        assert cited(desk) == set(PAGES) - {PAGES[3]}
        [link] = desk.store.database.rows("SELECT cited FROM links WHERE url = ?", [PAGES[3]])
        assert link["cited"] == 0
        many.cite(PAGES[3], event="event-3")
        await scan(desk)
        assert cited(desk) == set(PAGES)
        assert desk.store.database.value("SELECT count(*) FROM citations") == len(PAGES)


async def test_many_files_less_are_held_back_until_a_scan_ten_minutes_later(many: Place) -> None:
    clock = RehearsalClock(START)
    with open_desk(many, clock) as desk:
        await scan(desk)
        for number in range(6):
            (many.folder / "events" / f"event-{number}.md").unlink()
        found = await scan(desk)
        assert (found.removals.removed, found.removals.held_back) == (0, 6)
        clock.jump(timedelta(minutes=9))
        assert (await scan(desk)).removals.removed == 0
        assert cited(desk) == set(PAGES)
        clock.jump(timedelta(minutes=2))
        assert (await scan(desk)).removals.removed == 6
        assert cited(desk) == set(PAGES[6:])


async def test_an_operator_can_believe_removals_at_once(many: Place) -> None:
    with open_desk(many) as desk:
        await scan(desk)
        for number in range(11):
            (many.folder / "events" / f"event-{number}.md").unlink()
        found = await scan(desk, accept_removals=True)
        assert found.removals.removed == 11
        assert cited(desk) == {PAGES[11]}


async def test_files_that_come_back_as_they_were_keep_their_citations(many: Place) -> None:
    clock = RehearsalClock(START)
    with open_desk(many, clock) as desk:
        await scan(desk)
        aside = many.folder / "aside"
        (many.folder / "events").rename(aside)
        (many.folder / "events").mkdir()
        assert (await scan(desk)).removals.held_back == len(PAGES)
        (many.folder / "events").rmdir()
        aside.rename(many.folder / "events")
        assert (await scan(desk)).removals.held_back == 0
        clock.jump(timedelta(minutes=11))
        assert (await scan(desk)).removals.removed == 0
        assert cited(desk) == set(PAGES)


async def test_a_vanished_events_folder_is_an_error_and_removes_nothing(many: Place) -> None:
    with open_desk(many) as desk:
        await scan(desk)
        (many.folder / "events").rename(many.folder / "elsewhere")
        with pytest.raises(ConfigurationError):
            await scan(desk)
        assert cited(desk) == set(PAGES)


async def test_a_citation_that_moves_keeps_its_first_sight(many: Place) -> None:
    clock = RehearsalClock(START)
    with open_desk(many, clock) as desk:
        await scan(desk)
        query = "SELECT first_seen_at, line, position FROM source_status WHERE cited_url = ?"
        [before] = map(tuple, desk.store.database.rows(query, [PAGES[0]]))
        clock.jump(timedelta(days=3))
        many.cite("http://paper.example/news/a-new-first-source", PAGES[0], event="event-0")
        found = await scan(desk)
        assert (found.read, found.citations) == (1, len(PAGES) + 1)
        [after] = map(tuple, desk.store.database.rows(query, [PAGES[0]]))
        assert after[0] == before[0]
        assert (after[1], after[2]) == (before[1] + 5, 2)


async def test_a_file_that_breaks_and_is_mended_has_its_citation_back(many: Place) -> None:
    with open_desk(many) as desk:
        await scan(desk)
        path = many.folder / "events" / "event-5.md"
        whole = path.read_text(encoding="utf-8")
        path.write_text("---\nid: event-5\nsources: [\n---\n", encoding="utf-8")
        found = await scan(desk)
        assert found.problems == 1
        assert cited(desk) == set(PAGES) - {PAGES[5]}
        path.write_text(whole, encoding="utf-8")
        found = await scan(desk)
        assert found.problems == 0
        assert cited(desk) == set(PAGES)
        assert desk.store.database.value("SELECT count(*) FROM citations") == len(PAGES)


async def test_a_changed_claim_is_unchecked_again(many: Place) -> None:
    with open_desk(many) as desk:
        await scan(desk)
        claim = "SELECT archive_claim FROM source_status WHERE cited_url = ?"
        assert desk.store.database.value(claim, [PAGES[0]]) == "absent"
        address = f"https://web.archive.org/web/20170101000000/{PAGES[0]}"
        many.cite(PAGES[0], event="event-0", archive_url=address)
        await scan(desk)
        assert desk.store.database.value(claim, [PAGES[0]]) == "unchecked"


async def test_files_that_moved_are_not_accused_of_bearing_their_own_ids(many: Place) -> None:
    with open_desk(many) as desk:
        await scan(desk)
        (many.folder / "events" / "2026").mkdir()
        for number in range(6):
            name = f"event-{number}.md"
            (many.folder / "events" / name).rename(many.folder / "events" / "2026" / name)
        found = await scan(desk)
        assert (found.removals.held_back, found.problems) == (6, 0)


async def test_other_source_keys_count_for_files_that_have_not_changed(many: Place) -> None:
    path = many.folder / "events" / "event-0.md"
    path.write_text(path.read_text(encoding="utf-8").replace("sources:", "references:"), "utf-8")
    with open_desk(many) as desk:
        await scan(desk)
        assert cited(desk) == set(PAGES[1:])
    many.configure(archive__mode='"off"', events__source_keys='["sources", "references"]')
    with open_desk(many) as desk:
        assert (await scan(desk)).read == len(PAGES)
        assert cited(desk) == set(PAGES)
        assert (await scan(desk)).read == 0
