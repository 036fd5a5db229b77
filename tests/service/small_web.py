"""The whole service in one process beside the small misbehaving web, its clock running fast."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp.abc import AbstractResolver

from archiver.clock import RehearsalClock
from archiver.config import load_settings
from archiver.demo.raw import Pace
from archiver.demo.sites import Site
from archiver.demo.web import MisbehavingWeb
from archiver.model import Belief
from archiver.service.checking import Checking
from archiver.service.desk import Desk
from archiver.service.rounds import Summary, look_at_due
from archiver.service.scan import scan
from archiver.store import Store

START = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
_SETTINGS = """\
[check]
contact = "https://example.org/who-we-are"
timeout = "{timeout}s"
connect_timeout = "1s"
host_delay = "5s"
{check}
[network]
allow_private = [{allowed}]
ca_file = "{authority}"
{network}
[archive]
{archive}
"""


@dataclass
class Service:
    """An open desk and the web around it."""

    folder: Path
    clock: RehearsalClock
    web: MisbehavingWeb
    desk: Desk

    def at(self, hours: float) -> None:
        """Let the wall clock show so many hours after the start."""
        due = START + timedelta(hours=hours)
        self.clock.jump(max(timedelta(0), due - self.clock.now()))

    async def look(self) -> Summary:
        """Read the events, and look at what is due, as the daemon does."""
        await scan(self.desk)
        async with Checking(self.desk) as checking:
            return await look_at_due(checking)

    def link(self, site: Site) -> int:
        """Return the id of a row's link."""
        row = self.desk.store.queries.link_by_url(site.url)
        assert row is not None, site.url
        return int(row["id"])

    def belief(self, site: Site) -> Belief:
        """Return what is believed of a row."""
        [known] = self.desk.store.looks.known([self.link(site)])
        return known.belief

    def word(self, site: Site) -> str:
        """Return verdict and reason of a row as the table writes them."""
        belief = self.belief(site)
        return f"{belief.verdict}/{belief.reason}"

    def count(self, query: str, *values: object) -> int:
        """Return one number from the database."""
        return int(self.desk.store.database.value(query, list(values)))


@asynccontextmanager
async def small_web(
    folder: Path,
    sites: Sequence[Site],
    *,
    speed: float = 3600.0,
    patience: int = 1,
    allowed: str = '"127.0.0.0/8"',
    check: str = "",
    network: str = "",
    archive: str = 'mode = "off"',
    resolver: AbstractResolver | None = None,
) -> AsyncIterator[Service]:
    """Serve rows, cite them, and open a desk; `check`, `network`, `archive` are lines of TOML."""
    clock = RehearsalClock(START, speed)
    async with MisbehavingWeb(clock, sites, Pace(hold=1.6 * patience, drip=0.02)) as web:
        web.events_for_rehearsal(folder / "events")
        settings = folder / "archiver.toml"
        settings.write_text(
            _SETTINGS.format(
                timeout=patience,
                allowed=allowed,
                authority=web.certificate_authority,
                check=check,
                network=network,
                archive=archive,
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
                resolver=resolver or web.resolver(),
                holder="run:test",
            )
            yield Service(folder, clock, web, desk)
        finally:
            store.close()
