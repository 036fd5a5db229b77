"""The rehearsal: the real program against a misbehaving web, over several simulated weeks.

Nothing leaves this machine. The fetcher, the judge, the archive pipeline, the store and the
reports are the program's own; only the web, the archive and the clocks are stand-ins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from archiver.clock import RehearsalClock
from archiver.config import Keys, load_settings
from archiver.demo.hosts import REHEARSAL_DAYS
from archiver.demo.raw import Pace
from archiver.demo.wayback import WaybackStandIn
from archiver.demo.web import MisbehavingWeb
from archiver.records import record
from archiver.service.desk import Desk
from archiver.service.once import Pass, one_pass
from archiver.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# One real second is an hour here: a host's delay of 5 s costs 1.4 ms.
SPEED = 3600.0
# Hours after the start at which passes are made: dense while verdicts form, then sparse, so
# that weak evidence gets its five looks over thirty days.
HOURS = (
    *(0, 8, 36, 84, 110, 136, 160, 188, 200, 228, 284, 312),
    *(24 * day for day in (15, 18, 21, 24, 27, 30, 32, 34, 36, 38, 41)),
    *(24 * REHEARSAL_DAYS, 24 * (REHEARSAL_DAYS + 3)),
)
_ARCHIVE_TIME = timedelta(hours=2)
# Servers that hang or drip do so for as long as the rehearsal's time-outs.
_PACE = Pace(hold=1.6, drip=0.02)

_SETTINGS = """\
# Written by `archiver demo`: everything points at this machine.
[check]
contact = "https://example.org/who-we-are"
timeout = "1s"
connect_timeout = "1s"
host_delay = "5s"

[network]
allow_private = ["127.0.0.0/8"]
ca_file = "{authority}"

[archive]
mode = "{mode}"
{endpoints}

[report]
formats = ["html", "json"]
"""


@record
class Told:
    """One line of the rehearsal's table."""

    host: str
    verdict: str
    reason: str
    archive: str
    capture: str
    note: str
    expected: str


@dataclass(slots=True)
class Stage:
    """Everything a rehearsal plays with, open."""

    folder: Path
    clock: RehearsalClock
    web: MisbehavingWeb
    archive: WaybackStandIn
    desk: Desk
    day: int = -1

    def let_others_crawl(self) -> None:
        """Put the crawls that others made since the last pass into the archive."""
        for crawl in self.web.crawls(self.day, self.web.day):
            if crawl.seen.status is not None:
                headers = dict(crawl.seen.headers)
                if crawl.seen.location:
                    headers["location"] = crawl.seen.location
                self.archive.add_capture(
                    crawl.url, crawl.at, crawl.seen.status, crawl.seen.body, headers
                )
        self.day = self.web.day


@asynccontextmanager
async def stage(
    folder: Path, start: datetime, speed: float = SPEED, keys: Keys | None = None
) -> AsyncIterator[Stage]:
    """Open the small web, the archive stand-in and a database in `folder`.

    With `keys` pages are submitted as an account does it, without them anonymously.
    """
    clock = RehearsalClock(start, speed)
    async with MisbehavingWeb(clock, pace=_PACE) as web:
        archive = WaybackStandIn(clock, web.see, index_lag=timedelta(hours=2))
        await archive.start()
        try:
            web.events_for_rehearsal(folder / "events")
            settings = folder / "archiver.toml"
            settings.write_text(
                _SETTINGS.format(
                    authority=web.certificate_authority,
                    endpoints=archive.endpoints,
                    mode="anonymous" if keys is None else "spn2",
                ),
                encoding="utf-8",
            )
            loaded = load_settings(settings, {}, folder)
            store = Store.open(loaded.database_path)
            try:
                desk = Desk(
                    loaded,
                    store,
                    clock=clock,
                    resolver=web.resolver(),
                    holder="run:demo",
                    keys=keys,
                )
                opened = Stage(folder, clock, web, archive, desk, day=-10_000)
                yield opened
            finally:
                store.close()
        finally:
            await archive.stop()


async def rehearse(opened: Stage, after_pass: Callable[[Pass], None] | None = None) -> None:
    """Make every pass of the rehearsal, each at its simulated hour."""
    began = opened.clock.now()
    for hours in HOURS:
        due = began + timedelta(hours=hours)
        if opened.desk.stopping:
            return
        opened.clock.jump(max(timedelta(0), due - opened.clock.now()))
        opened.let_others_crawl()
        result = await one_pass(opened.desk, archive_time=_ARCHIVE_TIME)
        if after_pass is not None:
            after_pass(result)


def table(opened: Stage) -> Iterator[Told]:
    """Yield what is believed of every site, in the order of the table of sites."""
    queries = opened.desk.store.queries
    for site in opened.web.sites:
        link = queries.link_by_url(site.url)
        row = None if link is None else queries.status_of_link(link["id"])
        if row is None:
            continue
        yield Told(
            host=site.host,
            verdict=row["verdict"],
            reason=row["reason"],
            archive=row["archive_state"],
            capture=row["archive_url"] or "",
            note=site.note,
            expected=site.belief,
        )
