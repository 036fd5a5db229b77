"""The real fetcher meets every site of the small web, the demo's rows and the rest."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from archiver.checking.fetch import Fetcher
from archiver.checking.lanes import Lanes
from archiver.checking.page import read_page
from archiver.clock import RehearsalClock
from archiver.config import CheckSettings, NetworkSettings
from archiver.demo.hosts import SITES
from archiver.demo.hosts_more import MORE_SITES
from archiver.demo.raw import Pace
from archiver.demo.sites import Site
from archiver.demo.web import MisbehavingWeb
from archiver.model import Observation

START = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
# Seconds of the rehearsal's clock; it runs fast, so this is a real delay of some milliseconds.
SPEED, DELAY = 100, 5.0
BELOW_HTTP = {
    *("dns-gone", "dns-no-address", "dns-error", "refused", "reset", "empty-answer"),
    *("connect-timeout", "read-timeout", "unreadable-http", "tls-handshake", "redirect-loop"),
    *("private-address", "tls-expired", "tls-not-yet", "tls-name", "tls-self-signed", "tls-chain"),
}


async def look_at_all(sites: tuple[Site, ...]) -> tuple[list[Observation], MisbehavingWeb]:
    """Look once at every row, through the lanes, as the daemon would."""
    clock = RehearsalClock(START, speed=SPEED)
    async with MisbehavingWeb(clock, sites, Pace(hold=3.0, drip=0.02)) as web:
        check = CheckSettings(
            timeout=timedelta(seconds=2),
            connect_timeout=timedelta(seconds=1),
            host_delay=timedelta(seconds=DELAY),
        )
        network = NetworkSettings(
            allow_private=["127.0.0.0/8"], ca_file=str(web.certificate_authority)
        )
        lanes = Lanes(check, {}, clock)
        async with Fetcher(check, network, {}, clock, lanes, resolver=web.resolver()) as fetcher:
            looks = [fetcher.look(site.url, on_page=read_page) for site in sites]
            return list(await asyncio.gather(*looks)), web


@pytest.mark.parametrize("sites", [SITES, MORE_SITES], ids=["demo", "more"])
async def test_a_look_finds_the_fault_that_the_row_names(sites: tuple[Site, ...]) -> None:
    observations, _ = await look_at_all(sites)
    wrong = []
    for site, seen in zip(sites, observations, strict=True):
        reason = site.finding.partition("/")[2]
        word, _, number = reason.partition("-")
        if reason in BELOW_HTTP:
            right = seen.error == reason
        elif word == "http" and number.isdigit():
            right = seen.status == int(number)
        elif site.finding.startswith(("ok", "moved")):
            right = seen.status is not None and seen.status < 300 and seen.error is None
        else:
            right = seen.status is not None
        if not right:
            wrong.append((site.host, site.finding, seen.status, seen.error))
    assert wrong == []


@pytest.mark.parametrize(
    ("host", "allowed"), [("robots-disallow.example", False), ("javascript-shell.example", True)]
)
async def test_an_invented_sibling_is_asked_for_only_where_robots_may(
    host: str, allowed: bool
) -> None:
    (site,) = [site for site in SITES if site.host == host]
    clock = RehearsalClock(START, speed=SPEED)
    async with MisbehavingWeb(clock, (site,), Pace(hold=2.0)) as web:
        check = CheckSettings(host_delay=timedelta(seconds=DELAY))
        network = NetworkSettings(allow_private=["127.0.0.0/8"])
        lanes = Lanes(check, {}, clock)
        async with Fetcher(check, network, {}, clock, lanes, resolver=web.resolver()) as fetcher:
            probe = await fetcher.probe(site.url, on_page=read_page)
    asked = [request.target for request in web.served]
    assert asked[0] == "/robots.txt"
    assert (probe is not None, len(asked)) == ((True, 2) if allowed else (False, 1))


async def test_the_lanes_keep_their_distance_from_every_host() -> None:
    """Law 6, measured by the servers: also for broken connections, hops and loops."""
    _, web = await look_at_all(SITES)
    assert len(web.served) > 100
    # Half a second of the rehearsal's clock is five real milliseconds of scheduling.
    assert web.violations(DELAY, tolerance=0.5, hops_may_follow=False) == []


def test_no_two_rows_share_an_address() -> None:
    urls = [site.url for site in SITES + MORE_SITES]
    assert len(set(urls)) == len(urls)
    assert len({site.title for site in SITES + MORE_SITES}) == len(urls)
