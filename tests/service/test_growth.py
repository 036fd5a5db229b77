"""What a service that runs for years would otherwise pile up, on disk and in memory."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

from archiver.checking.context import GoodLook
from archiver.demo.sites import ALIVE, Site
from archiver.service.beside import beside
from archiver.service.checking import Checking
from archiver.service.desk import Desk
from archiver.service.rounds import look_at
from archiver.service.scan import scan
from tests.service.small_web import small_web

PAGE = Site("alive.example", "Lighthouse keepers refuse automation of the beam", ALIVE, "", "", "")


def cache(desk: Desk) -> int:
    """Return how much of the database a desk may keep in memory, in KiB."""
    return -int(desk.store.database.value("PRAGMA cache_size"))


async def test_a_look_at_a_page_that_stays_costs_little_more_than_the_first(
    tmp_path: Path,
) -> None:
    async with small_web(tmp_path, [PAGE]) as service:
        for day in (0, 9, 18, 27):
            service.at(24 * day)
            await service.look()
        rows = service.desk.store.database.execute(
            "SELECT length(facts) FROM looks WHERE link_id = ? ORDER BY id", [service.link(PAGE)]
        )
        first, *later = (row[0] for row in rows.fetchall())
        assert len(later) == 3
        # What the first and the last good look were like; docs/operating.md counts on it.
        assert max(later) < first + 400
        assert max(later) < 800


def test_what_an_older_database_kept_of_a_good_look_is_still_read() -> None:
    kept = {"title": "A title", "fingerprint": "00ff", "text_length": 9, "opening": "It began"}
    assert GoodLook.from_facts(kept) == GoodLook("A title", "00ff", 9)


async def test_rounds_side_by_side_leave_the_garbage_collector_as_it_was(tmp_path: Path) -> None:
    pages = [
        Site(f"page-{number}.example", f"Harbour report number {number}", ALIVE, "", "", "")
        for number in range(3)
    ]
    before = gc.get_threshold()
    async with small_web(tmp_path, pages) as service:
        await scan(service.desk)
        inside: list[tuple[int, int, int]] = []

        async def later(checking: Checking) -> None:
            """Begin while the first round is under way, and end after it."""
            await asyncio.sleep(0)
            inside.append(gc.get_threshold())
            await look_at(checking, [service.link(page) for page in pages for _ in range(3)])

        async with Checking(service.desk) as checking:
            await asyncio.gather(look_at(checking, [service.link(pages[0])]), later(checking))
    assert inside != [before]
    assert gc.get_threshold() == before


async def test_work_beside_the_service_has_no_second_large_cache(tmp_path: Path) -> None:
    async with small_web(tmp_path, [PAGE]) as service:
        whole, report = await asyncio.gather(
            beside(service.desk, cache), beside(service.desk, cache, read_only=True)
        )
        assert cache(service.desk) == 32_000
        assert whole <= 2_000
        assert report <= 2_000
