"""Our own outages are recognised, recorded, judged by nobody, and over without a burst.

Through the daemon's duties: captive portals, a resolver that is down or forges answers, one big
provider going down (issue 4 line 6; reference checking §6).
"""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from archiver.clock import SystemClock, from_stamp, to_stamp
from archiver.demo.behaviours import Address, Behaviour, Fault, Outcome, Visit, html, redirect
from archiver.demo.seen import Seen
from archiver.demo.sites import ALIVE, Site
from archiver.demo.wayback import WaybackStandIn
from archiver.service.duties import Duties
from archiver.service.status import status
from tests.service.small_web import Service, small_web

_LOGIN = "<title>Airport guests</title><h1>Welcome</h1><p>Accept our terms to go on-line.</p>"
_PORTAL = "portal.example"


@dataclass
class Weather:
    """What stands between us and every site, or the first so many; None on a fine day."""

    hides: Behaviour | None = None
    first: int = 10_000

    def over(self, number: int) -> Behaviour:
        """Return the behaviour of one site in this weather."""

        def behave(cited: Address, visit: Visit) -> Outcome:
            if self.hides is not None and number < self.first:
                return self.hides(cited, visit)
            return ALIVE(cited, visit)

        return behave


def every_host_redirects_to_one(cited: Address, visit: Visit) -> Outcome:
    """Redirect every host to the portal, as hotels do."""
    return html(_LOGIN) if visit.host == _PORTAL else redirect(302, f"http://{_PORTAL}/login")


def one_body_for_all(_cited: Address, _visit: Visit) -> Outcome:
    """Answer for every host with the portal's page."""
    return html(_LOGIN)


def network_login(_cited: Address, _visit: Visit) -> Outcome:
    """Answer for every host that this network wants a login (RFC 6585 §6)."""
    return html(_LOGIN, 511)


def no_connection(_cited: Address, _visit: Visit) -> Outcome:
    """Refuse every connection."""
    return Fault.REFUSED


def names_gone(_cited: Address, _visit: Visit) -> Outcome:
    """Say of every name that it does not exist."""
    return Fault.NAME_GONE


def no_name_server(_cited: Address, _visit: Visit) -> Outcome:
    """Give no answer for any name."""
    return Fault.NAME_SERVER_TROUBLE


def broken_connections(_cited: Address, _visit: Visit) -> Outcome:
    """Break every connection off."""
    return Fault.RESET


def pages(weather: Weather, count: int) -> list[Site]:
    """Return so many rows that live in the weather."""
    return [
        Site(
            f"page-{number}.example",
            f"Harbour report number {number}",
            weather.over(number),
            "",
            "",
            "",
            also=(_PORTAL,) if number == 0 else (),
        )
        for number in range(count)
    ]


def cite(folder: Path, sites: list[Site]) -> None:
    """Cite exactly these rows, and nothing that could never be looked at."""
    for path in folder.iterdir():
        path.unlink()
    sources = [{"url": site.url, "title": site.title} for site in sites]
    event = {"id": "2016-11-30--harbour", "date": "2016-11-30", "sources": sources}
    (folder / "harbour.json").write_text(json.dumps(event), encoding="utf-8")


@dataclass
class Daemon:
    """The daemon's duties beside the small web and an archive."""

    service: Service
    duties: Duties
    archive: WaybackStandIn

    @property
    def asked(self) -> int:
        """Return how many requests sites and archive have seen."""
        return len(self.service.web.served) + len(self.archive.requests)

    def beliefs(self) -> list[tuple[Any, ...]]:
        """Return all that is believed, and when it is to be looked at again."""
        query = (
            "SELECT url, verdict, reason, verdict_since, last_look_at, next_look_at, belief"
            " FROM links ORDER BY id"
        )
        return [tuple(row) for row in self.service.desk.store.database.rows(query)]

    def reasons_since(self, look_id: int) -> set[tuple[str | None, str]]:
        """Return what the looks after one said."""
        query = "SELECT DISTINCT verdict, reason FROM looks WHERE id > ?"
        return {tuple(row) for row in self.service.desk.store.database.rows(query, [look_id])}

    def last_look(self) -> int:
        """Return the id of the last look."""
        return self.service.count("SELECT coalesce(max(id), 0) FROM looks")

    def again_at(self) -> datetime | None:
        """Return when it is to be tried again whether we are online."""
        return self.duties.online_again_at()

    def wait_to_try(self) -> None:
        """Let the wall clock show the moment of the next try."""
        again, clock = self.again_at(), self.service.clock
        assert again is not None
        clock.jump(max(timedelta(0), again - clock.now()))


@asynccontextmanager
async def lived_a_fortnight(
    folder: Path, sites: list[Site], *, resolver: Forging | None = None, check: str = ""
) -> AsyncIterator[Daemon]:
    """Look at every site once while the weather is fine, and let almost a fortnight pass."""

    async def nobody_is_there(_url: str) -> Seen:
        return Seen(404, {}, b"")

    archive = WaybackStandIn(SystemClock(), nobody_is_there)
    await archive.start()
    endpoints = (
        f'save_url = "{archive.save_url}"\ncdx_url = "{archive.cdx_url}"\n'
        f'playback_url = "{archive.playback_url}"\n'
        "reads_per_minute = 600\nanonymous_per_minute = 15"
    )
    try:
        async with (
            small_web(
                folder, sites, speed=60.0, check=check, archive=endpoints, resolver=resolver
            ) as service,
            Duties(service.desk) as duties,
        ):
            if resolver is not None:
                resolver.inner = service.web.resolver()
            cite(folder / "events", sites)
            await duties.scan()
            await duties.check()
            service.at(24 * 13)
            yield Daemon(service, duties, archive)
    finally:
        await archive.stop()


@dataclass
class Forging(AbstractResolver):
    """A resolver that can go down, lose names, or invent an address for those that never were."""

    inner: AbstractResolver | None = None
    down: bool = False
    forges: bool = False
    gone: set[str] = field(default_factory=set)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return what the small web says, or the forger's address."""
        assert self.inner is not None
        if self.down:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        if host in self.gone:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        try:
            return await self.inner.resolve(host, port, family)
        except socket.gaierror:
            if self.forges:
                return await self.inner.resolve(_PORTAL, port, family)
            raise

    async def close(self) -> None:
        """Hold nothing, so close nothing."""


OUTAGES = [
    *(every_host_redirects_to_one, one_body_for_all, network_login),
    *(no_connection, names_gone, no_name_server, broken_connections),
]


@pytest.mark.parametrize("hides", OUTAGES, ids=lambda hides: hides.__name__)
async def test_while_we_are_offline_looks_are_recorded_and_nothing_else_moves(
    tmp_path: Path, hides: Behaviour
) -> None:
    weather = Weather()
    async with lived_a_fortnight(tmp_path, pages(weather, 8)) as daemon:
        before, first = daemon.beliefs(), daemon.last_look()
        weather.hides = hides
        since = daemon.service.clock.now()
        await daemon.duties.check()
        assert daemon.last_look() > first
        assert daemon.reasons_since(first) <= {(None, "offline"), (None, "captive-portal")}
        assert daemon.beliefs() == before
        told = status(daemon.service.desk)
        assert told["online"] is False
        assert from_stamp(told["offline_since"]) >= since
        # Nobody is asked: no site before it is time to try again, no archive at all.
        asked = daemon.asked
        await daemon.duties.check()
        await daemon.duties.archive()
        await daemon.duties.verify()
        assert daemon.asked == asked
        weather.hides = None
        daemon.wait_to_try()
        await daemon.duties.check()
        assert status(daemon.service.desk)["online"] is True
        assert all(daemon.service.word(site) == "ok/ok" for site in daemon.service.web.sites)
        await daemon.duties.archive()
        assert daemon.archive.requests


async def test_three_hosts_and_no_resolver_are_offline_too(tmp_path: Path) -> None:
    resolver = Forging()
    async with lived_a_fortnight(tmp_path, pages(Weather(), 3), resolver=resolver) as daemon:
        before, first = daemon.beliefs(), daemon.last_look()
        resolver.down = True
        await daemon.duties.check()
        assert daemon.reasons_since(first) == {(None, "offline")}
        assert daemon.beliefs() == before
        assert status(daemon.service.desk)["online"] is False


async def test_in_a_portal_a_name_that_is_said_to_be_gone_proves_nothing(tmp_path: Path) -> None:
    weather = Weather(first=9)
    lost = Weather()
    quiet = Site("quiet.example", "A name that goes", lost.over(0), "", "", "")
    async with lived_a_fortnight(tmp_path, [*pages(weather, 9), quiet]) as daemon:
        before, first = daemon.beliefs(), daemon.last_look()
        weather.hides, lost.hides = one_body_for_all, names_gone
        await daemon.duties.check()
        assert daemon.reasons_since(first) == {(None, "offline")}
        assert daemon.beliefs() == before


async def test_tries_come_after_1_2_5_10_and_then_every_15_minutes(tmp_path: Path) -> None:
    weather = Weather()
    async with lived_a_fortnight(tmp_path, pages(weather, 6)) as daemon:
        weather.hides = no_connection
        since: set[str] = set()
        for minutes in (1, 2, 5, 10, 15, 15):
            wait = timedelta(minutes=minutes)
            earliest = daemon.service.clock.now() + wait
            first = daemon.last_look()
            await daemon.duties.check()
            again = daemon.again_at()
            assert daemon.last_look() > first
            assert again is not None
            assert earliest <= again <= daemon.service.clock.now() + wait
            since.add(status(daemon.service.desk)["offline_since"])
            daemon.wait_to_try()
        assert len(since) == 1
        weather.hides = None
        await daemon.duties.check()
        weather.hides = no_connection
        daemon.service.at(24 * 60)
        earliest = daemon.service.clock.now() + timedelta(minutes=1)
        await daemon.duties.check()
        again = daemon.again_at()
        assert again is not None
        assert again <= daemon.service.clock.now() + timedelta(minutes=1), "begins anew"
        assert again >= earliest


async def test_a_network_that_comes_back_meets_no_burst(tmp_path: Path) -> None:
    weather = Weather()
    async with lived_a_fortnight(tmp_path, pages(weather, 80)) as daemon:
        weather.hides = no_connection
        await daemon.duties.check()
        weather.hides = None
        daemon.wait_to_try()
        sites, clock = daemon.service.web.served, daemon.service.clock
        asked = len(sites)
        await daemon.duties.check()
        assert 0 < len(sites) - asked <= 50
        now = clock.now()
        due = "SELECT count(*) FROM links WHERE cited = 1 AND next_look_at <= ?"
        left = daemon.service.count(due, to_stamp(now + timedelta(hours=1)))
        assert left >= 30
        half = daemon.service.count(due, to_stamp(now + timedelta(minutes=30)))
        assert abs(half - left / 2) <= 3
        clock.jump(timedelta(hours=1))
        await daemon.duties.check()
        assert daemon.service.count(due, to_stamp(now)) == 0
        assert all(daemon.service.word(site) == "ok/ok" for site in daemon.service.web.sites)


async def test_one_big_provider_going_down_counts_for_no_link(tmp_path: Path) -> None:
    weather = Weather(first=6)
    async with lived_a_fortnight(tmp_path, pages(weather, 14)) as daemon:
        first = daemon.last_look()
        known = {site.host: daemon.service.belief(site) for site in daemon.service.web.sites}
        weather.hides = broken_connections
        await daemon.duties.check()
        assert status(daemon.service.desk)["online"] is True
        assert (None, "provider-outage") in daemon.reasons_since(first)
        now = daemon.service.clock.now()
        for site in daemon.service.web.sites[:6]:
            belief = daemon.service.belief(site)
            assert (belief.verdict, belief.since) == ("ok", known[site.host].since)
            assert belief.next_look_at is not None
            assert now < belief.next_look_at <= now + timedelta(hours=7)
        weather.hides = None
        daemon.service.at(24 * 14)
        await daemon.duties.check()
        assert all(daemon.service.word(site) == "ok/ok" for site in daemon.service.web.sites)


async def test_canaries_tell_a_partial_outage_from_being_offline(tmp_path: Path) -> None:
    weather = Weather()
    canary = Site("canary.example", "A page that is always there", ALIVE, "", "", "")
    sites = [*pages(weather, 8), canary]
    check = f'canaries = ["{canary.url}"]'
    async with lived_a_fortnight(tmp_path, sites, check=check) as daemon:
        first = daemon.last_look()
        weather.hides = no_connection
        await daemon.duties.check()
        assert status(daemon.service.desk)["online"] is True
        assert (None, "partial-outage") in daemon.reasons_since(first)
        assert all(daemon.service.word(site) == "ok/ok" for site in sites)
        assert daemon.service.count("SELECT count(*) FROM changes WHERE to_verdict = 'dead'") == 0


async def test_where_names_are_forged_a_missing_name_proves_nothing(tmp_path: Path) -> None:
    resolver = Forging()
    sites = pages(Weather(), 4)
    async with lived_a_fortnight(tmp_path, sites, resolver=resolver) as daemon:
        first = daemon.last_look()
        resolver.gone = {sites[3].host}
        resolver.forges = True
        await daemon.duties.check()
        assert daemon.reasons_since(first) == {("ok", "ok"), (None, "captive-portal")}
        assert daemon.service.word(sites[3]) == "ok/ok"
        assert daemon.service.belief(sites[3]).strong.count == 0
