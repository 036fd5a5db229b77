"""Copies outside the Wayback Machine's index: other archives, cited copies, suspect citations."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestServer

from archiver.clock import RehearsalClock
from archiver.config import load_settings
from archiver.demo.seen import Seen
from archiver.demo.wayback import Scripted, WaybackStandIn
from archiver.reporting.wording import next_step
from archiver.service.archiving import Archiving
from archiver.service.desk import Desk
from archiver.service.marking import mark
from archiver.service.report import report_data
from archiver.service.scan import scan
from archiver.service.targets import known_link
from archiver.store import Store

START = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
TITLE = "Harbour authority leased cranes below cost"
PAGE = (
    f"<html><head><title>{TITLE}</title></head><body><h1>{TITLE}</h1>"
    + "<p>The harbour authority leased its cranes to a friend of the minister.</p>" * 30
    + "</body></html>"
)
DEAD = "http://gone.example/2019/harbour-authority-leased-cranes-below-cost"
OTHER = "http://gone.example/2018/other"
_SETTINGS = """\
[network]
allow_private = ["127.0.0.0/8"]
[check]
host_delay = "0s"
[archive]
mode = "lookup"
save_url = "{origin}/save"
cdx_url = "{origin}/cdx/search/cdx"
playback_url = "{origin}/web"
aggregator_url = "{aggregator}"
"""


async def nobody(url: str) -> Seen:
    return Seen(404)


def event(*sources: str) -> str:
    entries = "".join(
        f"  - url: {url}\n    title: {TITLE}\n    date: 2019-05-01\n" for url in sources
    )
    return f"---\nid: an-event\ndate: 2019-05-01\ntitle: An event\nsources:\n{entries}---\n"


@asynccontextmanager
async def desk_at(
    folder: Path, *sources: str, aggregator: str = ""
) -> AsyncIterator[tuple[Desk, WaybackStandIn, RehearsalClock]]:
    clock = RehearsalClock(START, 600.0)
    archive = WaybackStandIn(clock, nobody)
    await archive.start()
    (folder / "events").mkdir()
    settings = folder / "archiver.toml"
    settings.write_text(_SETTINGS.format(origin=archive.origin, aggregator=aggregator))
    written = [url.replace("ARCHIVE", archive.playback_url) for url in sources]
    (folder / "events" / "an-event.md").write_text(event(*written))
    loaded = load_settings(settings, {}, folder)
    store = Store.open(loaded.database_path)
    try:
        desk = Desk(loaded, store, clock=clock)
        await scan(desk)
        yield desk, archive, clock
    finally:
        store.close()
        await archive.stop()


async def work_over_days(desk: Desk, clock: RehearsalClock, days: int) -> None:
    async with Archiving(desk) as archiving:
        for _ in range(days):
            await archiving.work()
            clock.jump(timedelta(hours=30))


def state_of(desk: Desk, url: str) -> str:
    row = desk.store.queries.link_by_url(url)
    assert row is not None
    return str(row["archive_state"])


@asynccontextmanager
async def other_archive(page: str = PAGE) -> AsyncIterator[str]:
    """Serve one memento of DEAD and an aggregator that names it, on loopback."""
    application = web.Application()
    runner = web.AppRunner(application, access_log=None)

    async def memento(request: web.Request) -> web.Response:
        return web.Response(
            text=page,
            content_type="text/html",
            headers={
                "Memento-Datetime": "Wed, 01 May 2019 12:00:00 GMT",
                "Link": f'<{DEAD}>; rel="original"',
            },
        )

    async def timemap(request: web.Request) -> web.Response:
        place = f"{origin}/archive/20190501120000/{DEAD}"
        body = (
            f'<{DEAD}>; rel="original",\n'
            f'<{place}>; rel="first last memento"; datetime="Wed, 01 May 2019 12:00:00 GMT"'
        )
        return web.Response(text=body, content_type="application/link-format")

    application.router.add_get("/archive/{tail:.*}", memento)
    application.router.add_get("/timemap/link/{tail:.*}", timemap)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield origin
    finally:
        await runner.cleanup()


async def test_a_dead_page_that_another_archive_holds_is_offered_with_its_address(
    tmp_path: Path,
) -> None:
    async with (
        other_archive() as origin,
        desk_at(tmp_path, DEAD, aggregator=f"{origin}/timemap/link") as (desk, _, clock),
    ):
        mark(desk, DEAD, "gone")
        await work_over_days(desk, clock, 3)
        assert state_of(desk, DEAD) == "archived"
        row = next(iter(desk.store.queries.source_status()))
        assert row["archive_url"] == f"{origin}/archive/20190501120000/{DEAD}"
        [capture] = desk.store.archive.captures(row["link_id"])
        assert (capture["archive"], capture["judged"]) == ("127.0.0.1", "ok")


async def test_another_archives_copy_of_a_not_found_page_is_no_evidence(tmp_path: Path) -> None:
    missing = "<html><head><title>Page not found</title></head><body><h1>Page not found</h1></body>"
    async with (
        other_archive(missing) as origin,
        desk_at(tmp_path, DEAD, aggregator=f"{origin}/timemap/link") as (desk, _, clock),
    ):
        mark(desk, DEAD, "gone")
        await work_over_days(desk, clock, 4)
        assert state_of(desk, DEAD) not in ("archived", "captured")


async def test_living_pages_are_never_asked_of_the_aggregator(tmp_path: Path) -> None:
    asked: list[str] = []

    async def count(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=404)

    application = web.Application()
    application.router.add_get("/{tail:.*}", count)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        aggregator = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with desk_at(tmp_path, DEAD, aggregator=aggregator) as (desk, _, clock):
            mark(desk, DEAD, "alive")
            await work_over_days(desk, clock, 2)
            assert asked == []
    finally:
        await runner.cleanup()


async def test_a_copy_cited_as_a_source_is_verified_and_never_archived_again(
    tmp_path: Path,
) -> None:
    cited = f"ARCHIVE/20190501120000/{DEAD}"
    async with desk_at(tmp_path, cited) as (desk, archive, clock):
        archive.add_capture(DEAD, datetime(2019, 5, 1, 12, tzinfo=UTC), 200, PAGE)
        # On loopback the stand-in's address is no archive's; web.archive.org's is.
        url = cited.replace("ARCHIVE", "https://web.archive.org/web")
        (tmp_path / "events" / "an-event.md").write_text(event(url))
        await scan(desk, accept_removals=True)
        await work_over_days(desk, clock, 2)
        assert state_of(desk, url) == "archived"
        assert archive.asked("save") == []
        assert [
            request for request in archive.asked("cdx") if "web.archive.org" in request.url
        ] == []


async def archive_says(desk: Desk, url: str, **later: float) -> str:
    assert isinstance(desk.clock, RehearsalClock)
    desk.clock.jump(timedelta(**later))
    async with Archiving(desk) as archiving:
        await archiving.work()
    return state_of(desk, url)


async def test_a_cited_copy_is_lost_when_it_was_missing_twice_and_not_before(
    tmp_path: Path,
) -> None:
    made = datetime(2019, 5, 1, 12, tzinfo=UTC)
    url = f"https://web.archive.org/web/{made:%Y%m%d%H%M%S}/{DEAD}"
    async with desk_at(tmp_path, url) as (desk, archive, _):
        archive.add_capture(DEAD, made, 200, PAGE)
        assert await archive_says(desk, url) == "archived"
        gone = Scripted(404, "The Wayback Machine has not archived that URL.")
        archive.script("playback", ".", gone, times=1)
        assert await archive_says(desk, url, days=91) == "archived"
        assert await archive_says(desk, url, hours=7) == "archived"
        archive.script("playback", ".", gone)
        assert await archive_says(desk, url, days=91) == "archived"
        assert await archive_says(desk, url, hours=7) == "lost"
        archive.clear_scripts()
        assert await archive_says(desk, url, days=91) == "archived"


async def test_a_cited_copy_made_just_now_is_waited_for(tmp_path: Path) -> None:
    url = f"https://web.archive.org/web/{START:%Y%m%d%H%M%S}/{DEAD}"
    async with desk_at(tmp_path, url) as (desk, archive, _):
        for _ in range(3):
            assert await archive_says(desk, url, hours=6.5) == "searching"
        archive.add_capture(DEAD, START, 200, PAGE)
        assert await archive_says(desk, url, hours=7) == "archived"


async def test_a_cited_copy_of_an_excluded_site_is_excluded(tmp_path: Path) -> None:
    url = f"https://web.archive.org/web/20190501120000/{DEAD}"
    async with desk_at(tmp_path, url) as (desk, archive, _):
        archive.add_capture(DEAD, datetime(2019, 5, 1, 12, tzinfo=UTC), 200, PAGE)
        archive.exclude("gone.example")
        assert await archive_says(desk, url) == "excluded"


async def test_a_dead_page_nobody_ever_saw_is_suspect_when_its_host_is_archived(
    tmp_path: Path,
) -> None:
    async with desk_at(tmp_path, DEAD) as (desk, archive, clock):
        archive.add_capture(OTHER, datetime(2018, 1, 1, tzinfo=UTC), 200, PAGE)
        mark(desk, DEAD, "gone")
        await work_over_days(desk, clock, 4)
        assert state_of(desk, DEAD) == "unrecoverable"
        assert [row["cited_url"] for row in desk.store.queries.suspects()] == [DEAD]
        hosts = [request for request in archive.asked("cdx") if "matchType=host" in str(request)]
        assert len(hosts) == 1


async def test_a_dead_page_of_a_host_no_archive_knows_is_not_suspect(tmp_path: Path) -> None:
    async with desk_at(tmp_path, DEAD) as (desk, _, clock):
        mark(desk, DEAD, "gone")
        await work_over_days(desk, clock, 4)
        assert state_of(desk, DEAD) == "unrecoverable"
        assert list(desk.store.queries.suspects()) == []
        assert known_link(desk, DEAD) is not None


async def test_an_invented_claim_is_answered_by_the_nearest_real_capture_and_its_distance(
    tmp_path: Path,
) -> None:
    async with desk_at(tmp_path, DEAD) as (desk, archive, clock):
        archive.add_capture(DEAD, datetime(2019, 5, 21, 12, tzinfo=UTC), 200, PAGE)
        invented = f"https://web.archive.org/web/20190511000000/{DEAD}"
        file = tmp_path / "events" / "an-event.md"
        file.write_text(
            file.read_text().replace(
                "    date: 2019-05-01\n---",
                f"    date: 2019-05-01\n    archive_url: {invented}\n---",
            )
        )
        await scan(desk)
        await work_over_days(desk, clock, 2)
        [row] = report_data(desk).rows()
        assert row["archive_claim"] == "redirects-elsewhere"
        assert row["claim_nearest"]["distance_days"] == 10
        assert row["claim_nearest"]["captured_at"] == "2019-05-21T12:00:00Z"
        assert "10 days away" in next_step(row)


async def test_an_index_that_throttles_the_question_about_a_host_is_left_alone(
    tmp_path: Path,
) -> None:
    async with desk_at(tmp_path, DEAD, OTHER) as (desk, archive, _):
        for url in (DEAD, OTHER):
            mark(desk, url, "gone")
        throttled = Scripted(429, "", headers={"Retry-After": "3600"})
        archive.script("cdx", r"^gone\.example$", throttled)
        async with Archiving(desk) as archiving:
            done = await archiving.work(timedelta(minutes=10))
        assert "http-429" in done.waits
        assert len(archive.asked("cdx")) == 2


async def test_an_aggregator_that_throttles_is_left_alone_for_all_links(tmp_path: Path) -> None:
    asked: list[str] = []

    async def busy(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=429, headers={"Retry-After": "3600"})

    application = web.Application()
    application.router.add_get("/{tail:.*}", busy)
    async with TestServer(application) as server:
        aggregator = str(server.make_url("/timemap/link"))
        async with desk_at(tmp_path, DEAD, OTHER, aggregator=aggregator) as (desk, _, clock):
            for url in (DEAD, OTHER):
                mark(desk, url, "gone")
            async with Archiving(desk) as archiving:
                await archiving.work(timedelta(minutes=5))
                assert len(asked) == 1
                assert {state_of(desk, url) for url in (DEAD, OTHER)} == {"searching"}
            # Nor by the next process.
            async with Archiving(desk) as archiving:
                await archiving.work(timedelta(minutes=5))
                assert len(asked) == 1
                clock.jump(timedelta(hours=2))
                await archiving.work(timedelta(minutes=5))
    assert len(asked) == 2
