"""Every row of the small web is judged as the table expects: fetcher, page facts and rules."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from archiver.checking.context import Context, SiblingFacts
from archiver.checking.fetch import Fetcher
from archiver.checking.lanes import Lanes
from archiver.checking.page import read_page
from archiver.checking.policy import Policy
from archiver.checking.rules import judge, wants_probe
from archiver.clock import RehearsalClock
from archiver.config import CheckSettings, NetworkSettings
from archiver.demo.hosts import SITES
from archiver.demo.hosts_more import MORE_SITES
from archiver.demo.raw import Pace
from archiver.demo.sites import Site, agrees
from archiver.demo.web import MisbehavingWeb
from archiver.model import Finding

START = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
CHECK = CheckSettings(timeout=timedelta(seconds=2), connect_timeout=timedelta(seconds=1))
POLICY = Policy.from_settings(CHECK)


async def find(fetcher: Fetcher, site: Site, same_page_count: int) -> Finding:
    """Look, probe where the rules want it, and judge, as a first look does."""
    seen = await fetcher.look(site.url, on_page=read_page)
    context = Context((site.title,), (site.publisher,), same_page_count=same_page_count)
    if wants_probe(seen, context, POLICY):
        sibling = await fetcher.probe(site.url, on_page=read_page)
        if sibling is not None:
            context = replace(context, sibling=SiblingFacts.of(sibling))
    return judge(seen, context, POLICY)


async def test_every_row_is_found_to_be_what_the_table_says() -> None:
    sites = SITES + MORE_SITES
    clock = RehearsalClock(START, speed=1000)
    async with MisbehavingWeb(clock, sites, Pace(hold=3.0, drip=0.02)) as web:
        network = NetworkSettings(
            allow_private=["127.0.0.0/8"], ca_file=str(web.certificate_authority)
        )
        lanes = Lanes(CHECK, {}, clock)
        async with Fetcher(CHECK, network, {}, clock, lanes, resolver=web.resolver()) as fetcher:
            counts = {"same-not-found.example": 2}
            looks = [find(fetcher, site, counts.get(site.host, 0)) for site in sites]
            findings = await asyncio.gather(*looks)
    wrong = {
        site.host: (site.finding, f"{finding.verdict}/{finding.reason}")
        for site, finding in zip(sites, findings, strict=True)
        if not agrees(site.finding, str(finding.verdict), finding.reason)
    }
    assert wrong == {}
