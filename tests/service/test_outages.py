"""Our own outages are recognised, recorded, judged by nobody, and over without a burst.

Through the daemon's duties: captive portals, a resolver that is down or forges answers, one big
provider going down (issue 4 line 6; reference checking §6).
"""

from __future__ import annotations

import io
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from archiver.checking.tape import Tape
from archiver.clock import SystemClock, from_stamp, to_stamp
from archiver.demo.behaviours import Address, Behaviour, Fault, Outcome, Visit, html, redirect
from archiver.demo.seen import Seen
from archiver.demo.sites import ALIVE, Site
from archiver.demo.wayback import WaybackStandIn
from archiver.model import Verdict
from archiver.service.checking import Checking
from archiver.service.duties import Duties
from archiver.service.explain import why_in_words
from archiver.service.rebuild import differences
from archiver.service.rounds import look_at
from archiver.service.status import status
from tests.service.small_web import Service, small_web

_LOGIN = "<title>Airport guests</title><h1>Welcome</h1><p>Accept our terms to go on-line.</p>"
_PORTAL = "portal.example"
_PROVIDER = "search.provider.example"
_OLD_NAMES = ("example.com", "iana.org", "wikipedia.org")


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


def page_taken_down(_cited: Address, _visit: Visit) -> Outcome:
    """Say that the page is not there."""
    return html("<title>Not found</title>", 404)


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

    def reasons_of(self, site: Site, look_id: int) -> list[tuple[str | None, str]]:
        """Return what the looks of one site after one look said."""
        query = "SELECT verdict, reason FROM looks WHERE id > ? AND link_id = ? ORDER BY id"
        rows = self.service.desk.store.database.rows(query, [look_id, self.service.link(site)])
        return [tuple(row) for row in rows]

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
    """A resolver that can go down, lose names, or invent an address for those it lacks.

    It says that `gone` names do not exist, and leads those that are `lost` (with `everything`,
    all names there are) to the forger.
    """

    inner: AbstractResolver | None = None
    down: bool = False
    forges: bool = False
    everything: bool = False
    gone: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    forger: tuple[str, int] = ("127.0.0.9", 9)
    asked: list[str] = field(default_factory=list)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return what the small web says, or the forger's address."""
        assert self.inner is not None
        self.asked.append(host)
        if self.down:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        if host in self.gone:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if self.everything or host in self.lost:
            return [_at(host, *self.forger)]
        if host == _PROVIDER:
            return [_at(host, "127.0.0.10", self.forger[1])]
        if host in _OLD_NAMES:
            return [_at(host, "192.0.2.1", port)]
        try:
            return await self.inner.resolve(host, port, family)
        except socket.gaierror:
            if self.forges:
                return [_at(host, *self.forger)]
            raise

    async def close(self) -> None:
        """Hold nothing, so close nothing."""


def _at(host: str, address: str, port: int) -> ResolveResult:
    return ResolveResult(
        hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0
    )


@dataclass
class Forger:
    """Where a provider leads lost names: one page for all of them, and who came to see it."""

    answer: Callable[[], web.Response]
    port: int = 0
    visits: list[str] = field(default_factory=list)


def search_page() -> web.Response:
    """Offer a search, as if the page were there."""
    page = f"<title>Search the web</title><h1>Did you mean?</h1><p>{'Sponsored results. ' * 90}</p>"
    return web.Response(text=page, content_type="text/html")


def search_elsewhere() -> web.Response:
    """Send everybody for good to the provider's own site."""
    return web.Response(status=301, headers={"Location": f"http://{_PROVIDER}/search"})


def not_found() -> web.Response:
    """Say that the page is not there."""
    return web.Response(status=404, text="<title>Not found</title>", content_type="text/html")


def for_sale() -> web.Response:
    """Offer the name to whoever wants it."""
    page = "<title>Domain for sale</title><h1>This domain is for sale</h1><p>Buy this domain.</p>"
    return web.Response(text=page, content_type="text/html")


@asynccontextmanager
async def forging(answer: Callable[[], web.Response]) -> AsyncIterator[Forger]:
    """Serve the forger's page for every name, at its own address and at the provider's."""
    forger = Forger(answer)

    async def serve(request: web.Request) -> web.Response:
        forger.visits.append(request.host)
        return search_page() if request.host == _PROVIDER else answer()

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", serve)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        first = web.TCPSite(runner, "127.0.0.9", 0)
        await first.start()
        forger.port = runner.addresses[0][1]
        await web.TCPSite(runner, "127.0.0.10", forger.port).start()
        yield forger
    finally:
        await runner.cleanup()


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


async def test_a_portal_that_answers_one_plain_link_alone_is_seen_by_encrypted_canaries(
    tmp_path: Path,
) -> None:
    weather, storm = Weather(), Weather()
    plain = pages(weather, 2)
    encrypted = [
        replace(site, host=f"safe-{number}.example", scheme="https", also=())
        for number, site in enumerate(pages(storm, 4))
    ]
    async with lived_a_fortnight(tmp_path, [*plain, *encrypted]) as daemon:
        for days in (13, 26, 39):
            daemon.service.at(24 * days)
            await daemon.duties.check()
        before, first = daemon.beliefs(), daemon.last_look()
        weather.hides, storm.hides = one_body_for_all, broken_connections
        async with Checking(daemon.service.desk) as checking:
            await look_at(checking, [daemon.service.link(site) for site in plain])
        assert daemon.reasons_since(first) == {(None, "offline")}
        assert daemon.beliefs() == before
        assert status(daemon.service.desk)["online"] is False
        # What the portal answered for a sibling, or for robots.txt, is not the site's answer.
        assert daemon.service.count("SELECT count(*) FROM probes") == 0


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


async def test_canaries_are_asked_again_when_it_turns_out_that_a_forger_may_have_answered(
    tmp_path: Path,
) -> None:
    resolver, canary = Forging(), Site("canary.example", "A page", ALIVE, "", "", "")
    check = f'canaries = ["{canary.url}"]'
    async with (
        lived_a_fortnight(tmp_path, [canary], resolver=resolver, check=check) as daemon,
        Checking(daemon.service.desk) as checking,
    ):
        asked = []
        for forges in (False, False, True):
            resolver.forges = forges
            before = resolver.asked.count(canary.host)
            checking.watch._forgery_asked_at = float("-inf")
            await checking.watch._ask((), await checking.watch.forgery())
            asked.append(resolver.asked.count(canary.host) - before)
        # The second answer holds a minute, until what it is worth is known better.
        assert [count > 0 for count in asked] == [True, False, True]


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


ANSWERS = [search_page, search_elsewhere, not_found, for_sale]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.__name__)
async def test_what_answers_at_an_invented_address_says_nothing_about_the_one_lost_name(
    tmp_path: Path, answer: Callable[[], web.Response]
) -> None:
    resolver, weather = Forging(), Weather(first=1)
    async with (
        forging(answer) as forger,
        lived_a_fortnight(tmp_path, pages(weather, 4), resolver=resolver) as daemon,
    ):
        service, lost = daemon.service, daemon.service.web.sites[3]
        before, first = service.belief(lost), daemon.last_look()
        weather.hides = page_taken_down
        resolver.forger = ("127.0.0.9", forger.port)
        resolver.forges, resolver.lost = True, {lost.host}
        await daemon.duties.check()
        assert daemon.reasons_of(lost, first) == [(None, "offline")]
        # What is found of the others counts as ever.
        others = {("ok", "ok"), ("failing", "http-404")}
        assert daemon.reasons_since(first) == {*others, (None, "offline")}
        assert status(service.desk)["online"] is True
        # Nothing is believed, nothing counted; it is looked at again in hours, not at once.
        after = service.belief(lost)
        assert replace(after, next_look_at=None) == replace(before, next_look_at=None)
        assert after.next_look_at is not None
        wait = after.next_look_at - service.clock.now()
        assert timedelta(hours=5) < wait <= timedelta(hours=6)
        assert service.count("SELECT count(*) FROM probes") == 0
        assert [host for host in forger.visits if host != _PROVIDER] == [lost.host]
        assert any(
            "invents an address" in line for line in why_in_words(service.desk, service.link(lost))
        )
        assert list(differences(service.desk, rejudge=False)) == []
        # The resolver is mended, and the name is there again.
        resolver.forges, resolver.lost = False, set()
        service.clock.jump(timedelta(hours=6))
        await daemon.duties.check()
        assert service.word(lost) == "ok/ok"
        assert daemon.reasons_of(lost, first) == [(None, "offline"), ("ok", "ok")]


async def test_a_lost_name_that_was_never_looked_at_stays_so_and_is_not_submitted(
    tmp_path: Path,
) -> None:
    async with forging(search_page) as forger:
        sites = pages(Weather(), 3)
        resolver = Forging(forges=True, lost={sites[2].host}, forger=("127.0.0.9", forger.port))
        async with lived_a_fortnight(tmp_path, sites, resolver=resolver) as daemon:
            assert daemon.service.word(sites[2]) == "unchecked/never-looked"
            assert daemon.service.word(sites[0]) == "ok/ok"
            for _ in range(3):
                await daemon.duties.archive()
            submitted = {asked.url for asked in daemon.archive.asked("save")}
            assert submitted == {sites[0].url, sites[1].url}


async def test_no_copy_of_our_own_is_made_of_what_the_forger_shows(tmp_path: Path) -> None:
    async with forging(search_page) as forger:
        sites = pages(Weather(), 2)
        resolver = Forging(forges=True, lost={sites[1].host}, forger=("127.0.0.9", forger.port))
        async with (
            lived_a_fortnight(tmp_path, sites, resolver=resolver) as daemon,
            Checking(daemon.service.desk) as checking,
        ):
            service, verdicts = daemon.service, []
            for site in sites:
                [link] = service.desk.store.looks.known([service.link(site)])
                tape = Tape(100_000, io.BytesIO, service.clock.now)
                _, finding = await checking.record(link, tape)
                verdicts.append(finding.verdict)
            assert verdicts == [Verdict.OK, None]


async def test_when_every_name_leads_to_the_forger_this_machine_is_offline(tmp_path: Path) -> None:
    resolver = Forging()
    async with (
        forging(search_page) as forger,
        lived_a_fortnight(tmp_path, pages(Weather(), 3), resolver=resolver) as daemon,
    ):
        before, first = daemon.beliefs(), daemon.last_look()
        resolver.forger, resolver.everything = ("127.0.0.9", forger.port), True
        await daemon.duties.check()
        assert daemon.reasons_since(first) == {(None, "offline")}
        assert daemon.beliefs() == before
        assert status(daemon.service.desk)["online"] is False
        resolver.everything = False
        daemon.wait_to_try()
        await daemon.duties.check()
        assert status(daemon.service.desk)["online"] is True
        assert all(daemon.service.word(site) == "ok/ok" for site in daemon.service.web.sites)


async def test_a_command_alone_tells_a_lost_name_by_the_hosts_that_answered_before(
    tmp_path: Path,
) -> None:
    resolver = Forging()
    async with (
        forging(search_page) as forger,
        lived_a_fortnight(tmp_path, pages(Weather(), 3), resolver=resolver) as daemon,
    ):
        service, lost = daemon.service, daemon.service.web.sites[2]
        first = daemon.last_look()
        resolver.forger, resolver.forges = ("127.0.0.9", forger.port), True
        resolver.lost = {lost.host, *_OLD_NAMES}
        async with Checking(service.desk) as checking:
            await look_at(checking, [service.link(lost)])
        assert daemon.reasons_since(first) == {(None, "offline")}
        assert status(service.desk)["online"] is True
        assert service.word(lost) == "ok/ok"


async def test_the_resolver_is_asked_for_a_lost_name_only_where_a_look_lacks_its_title(
    tmp_path: Path,
) -> None:
    resolver = Forging()
    sites = pages(Weather(), 3)
    async with lived_a_fortnight(tmp_path, sites, resolver=resolver) as daemon:
        known = {site.host for site in sites}
        assert set(resolver.asked) == known, "every page carries its title"
        resolver.gone = {sites[1].host}
        await daemon.duties.check()
        strange = [host for host in resolver.asked if host not in known]
        assert len(strange) == 1
        assert strange[0].endswith(".example.com")
