"""The soak's world: the demo's misbehaving web made larger, its archive, its event files.

The servers are the demo's own. To its hosts come generated ones with the same kinds of pages in
the proportions of a real timeline, most alive, some gone, some dying while the soak runs.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import islice
from pathlib import Path

from soak_time import SoakClock

from archiver.demo import pages
from archiver.demo.behaviours import Behaviour, Fault, every_third_day, steady, until
from archiver.demo.citations import write_events
from archiver.demo.hosts import SITES
from archiver.demo.manners import Served, violations
from archiver.demo.raw import Pace
from archiver.demo.seen import Seen
from archiver.demo.sites import ALIVE, GONE, Site, agrees, everywhere, soft, to_article
from archiver.demo.wayback import See, WaybackStandIn
from archiver.demo.web import MisbehavingWeb
from archiver.store import Store

# Servers that hang do so for longer than a look may take (30 s), all in simulated time.
_PACE = Pace(hold=45.0, drip=1.0)
# A server notes the end of an answer when the loop comes round to it, a little after the client.
_TOLERANCE_SECONDS = 0.25
# Each week: files added (each cites a few new links), taken away, written anew.
_ADDED, _REMOVED, _EDITED = 2, 1, 3
_CITED_PER_FILE = 3
# How long a new capture stays out of the index.
_INDEX_LAG = timedelta(hours=2)
# Of a hundred links so many had been captured by others before we came.
_CAPTURED_BEFORE = 65

_WORDS = (
    "senate harbour letters budget inquiry hearing contract minister river railway archive "
    "company tribunal election witness treaty convoy ledger subsidy merger verdict appeal "
    "lighthouse customs granary tramway almanac viaduct orchard quarry ferry parish dredger"
).split()
_LONG_AGO = -120


def _dies(number: int) -> Behaviour:
    return until(5 + number % 80, ALIVE, GONE)


_SERVER_ERROR = everywhere(pages.SERVER_ERROR, 500)
# Of a thousand links: pages that share a host with others, whatever these do; and what is
# believed of them in the end, as in the demo's table.
_SHARED: Sequence[tuple[int, Behaviour | None, str]] = (
    (754, ALIVE, "ok/"),
    (70, until(_LONG_AGO, ALIVE, GONE), "dead/http-404"),
    (50, None, "ok|failing|dead/"),  # dies while the soak runs, each on a day of its own
    (20, soft("en"), "dead/"),
    (30, everywhere(pages.document("403", "<h1>403</h1>"), 403), "blocked/"),
    (15, _SERVER_ERROR, "failing/http-5xx"),
    (15, every_third_day(ALIVE, _SERVER_ERROR), "ok|failing/"),
)
# Of a thousand links: what takes a whole host, and the name of such hosts.
_ALONE: Sequence[tuple[int, Behaviour, str, str]] = (
    (30, to_article((301, "http://{host}/kept/{slug}")), "moved/", "moved"),
    (4, steady(Fault.SILENT), "failing/read-timeout", "silent"),
    (4, steady(Fault.RESET), "dead/reset", "reset"),
    (4, steady(Fault.REFUSED), "dead/refused", "refused"),
    (4, steady(Fault.NAME_GONE), "dead/dns-gone", "nameless"),
)


def generated_sites(count: int, seed: int = 7) -> list[Site]:
    """Return `count` rows over about a fifth as many hosts, the largest with some per cent."""
    source = random.Random(seed)
    weights = [1 / (rank + 3) ** 0.7 for rank in range(max(1, count // 7))]
    hosts = source.choices(range(len(weights)), weights, k=count)
    shares = [row[0] for row in _SHARED]
    alone = [row[1:] for row in _ALONE for _ in range(row[0] * count // 1000)]
    sites = []
    for number, host in enumerate(hosts):
        if number < len(alone):
            behaviour, belief, kind = alone[number]
            name, scheme = f"{kind}-{number}.example", "http"
        else:
            _, shared, belief = source.choices(_SHARED, shares)[0]
            behaviour = shared or _dies(number)
            name, scheme = f"paper-{host}.example", "https" if host % 8 == 0 else "http"
        title = " ".join(source.sample(_WORDS, 5)).capitalize() + f" {number}"
        before = source.randrange(100) < _CAPTURED_BEFORE
        # Spread over a year, as a timeline that has been looked after for long: a living page
        # is captured anew once a year.
        crawled = (-5 - number % 360,) if before else ()
        sites.append(Site(name, title, behaviour, "", belief, "", scheme=scheme, crawled=crawled))
    source.shuffle(sites)
    return sites


@dataclass(slots=True)
class World:
    """Everything the service meets, open."""

    folder: Path
    web: MisbehavingWeb
    archive: WaybackStandIn
    events: list[Path]
    later: frozenset[Site]
    reserve: Iterator[Site]
    delay: float
    too_close: int = 0
    requests: int = 0
    asked: int = 0
    _last: dict[str, Served] = field(default_factory=dict)
    _crawled: int = -10_000
    _week: int = 0

    async def pass_a_day(self) -> None:
        """Let others crawl, judge the manners of the day, and forget what was judged."""
        self.let_others_crawl()
        self._judge_manners()
        self.asked += len(self.archive.requests)
        self.archive.requests.clear()

    def let_others_crawl(self) -> None:
        """Put the crawls that others made since the last time into the archive."""
        today = self.web.day
        for crawl in self.web.crawls(self._crawled, today):
            if crawl.seen.status is not None:
                seen = crawl.seen
                headers = dict(seen.headers)
                if seen.location:
                    headers["location"] = seen.location
                self.archive.add_capture(crawl.url, crawl.at, seen.status, seen.body, headers)
        self._crawled = today

    def wrong_beliefs(self, store: Store) -> Iterator[str]:
        """Yield the generated links cited from the beginning that are believed what they are not.

        The demo's own table of beliefs holds on one day of its rehearsal, not months later.
        """
        for site in self.web.sites[len(SITES) :]:
            link = store.queries.link_by_url(site.url)
            if link is None or not link["cited"] or site in self.later:
                continue
            if not agrees(site.belief, link["verdict"], link["reason"]):
                yield f"{site.url} is {link['verdict']}/{link['reason']}, not {site.belief}"

    def _judge_manners(self) -> None:
        """Count requests that came too close to the one before, also to one of yesterday."""
        done = [one for one in self.web.served if one.ended is not None]
        together = [*self._last.values(), *done]
        self.too_close += len(violations(together, self.delay, tolerance=_TOLERANCE_SECONDS))
        for one in done:
            self._last[one.host] = one
        self.requests += len(done)
        # The web appends to this very list.
        self.web.served[:] = [one for one in self.web.served if one.ended is None]

    def pass_a_week(self) -> None:
        """Change the event files as a week of work on them would."""
        self._week += 1
        for number in range(_ADDED):
            sites = list(islice(self.reserve, _CITED_PER_FILE))
            if sites:
                path = self.folder / "events" / f"week-{self._week}-{number}.md"
                path.write_text(_event(path.stem, sites), encoding="utf-8")
        for _ in range(min(_REMOVED, len(self.events))):
            self.events.pop().unlink()
        step = 1 + len(self.events) // (_EDITED + 1)
        for path in self.events[self._week % step :: step]:
            text = path.read_text(encoding="utf-8")
            path.write_text(text + f"Read once more in week {self._week}.\n", encoding="utf-8")


def _event(name: str, sites: Sequence[Site]) -> str:
    sources = "".join(
        f'  - url: "{site.url}"\n    title: "{site.title}"\n'
        f'    publisher: "{site.publisher}"\n    date: 2021-03-04\n'
        for site in sites
    )
    return (
        f'---\nid: {name}\ndate: 2021-03-01\ntitle: "What came up in {name}"\nimportance: 5\n'
        f"sources:\n{sources}---\n\nWritten while the service runs.\n"
    )


async def _sharing(web: MisbehavingWeb) -> See:
    """Return what the archive's crawler sees, equal bodies being one object.

    The archive's memory is in this process: without that it would grow with every capture.
    """
    bodies: dict[bytes, bytes] = {}

    async def see(url: str) -> Seen:
        seen = await web.see(url)
        return replace(seen, body=bodies.setdefault(seen.body, seen.body))

    # What pages hold today is there from the beginning, so that it is no growth later.
    for site in web.sites:
        await see(site.url)
    return see


@asynccontextmanager
async def world(folder: Path, clock: SoakClock, links: int, delay: float) -> AsyncIterator[World]:
    """Open a web of about `links` links (the demo's among them), its archive and its events."""
    made = generated_sites(links - len(SITES) + links // 20)
    later = made[links - len(SITES) :]
    now = (*SITES, *made[: links - len(SITES)])
    async with MisbehavingWeb(clock, (*now, *later), _PACE) as web:
        archive = WaybackStandIn(clock, await _sharing(web), index_lag=_INDEX_LAG)
        await archive.start()
        try:
            events = write_events(folder / "events", now, clock.now())
            # The last four are the demo's troubled ones; those of its own sites come first.
            mine = [path for path in events[len(SITES) // 4 + 1 : -4] if path.suffix == ".md"]
            opened = World(folder, web, archive, mine, frozenset(later), iter(later), delay)
            opened.let_others_crawl()
            yield opened
        finally:
            await archive.stop()
