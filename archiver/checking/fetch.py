"""A look: everything that happens between a cited address and the facts about it.

Redirects are followed by hand, so that every hop passes the address guard, waits its turn at
its host, and is written down. What servers do is data; the only exceptions are our own
(`HostUnavailable`: nothing may be sent to this host now).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Protocol

from aiohttp.abc import AbstractResolver

from archiver.checking.address import AddressGuard
from archiver.checking.failures import CERTIFICATE_WORDS
from archiver.checking.hops import redirect_target, refresh_target, sibling_of
from archiver.checking.journey import Journey, Limits, kept_headers
from archiver.checking.lanes import Hold, HostUnavailable, Lanes, settings_for
from archiver.checking.policy import Policy
from archiver.checking.robots import MAX_BYTES, MemoryRobots, Robots, RobotsMemory, read_robots
from archiver.checking.schedule import host_pause, parse_retry_after
from archiver.checking.tape import Tape
from archiver.checking.wire import BROKEN, Answer, Failure, Wire
from archiver.clock import Clock
from archiver.config import CheckSettings, HostSettings, NetworkSettings
from archiver.model import Hop, Observation, PageFacts
from archiver.text import shown
from archiver.urls import DEFAULT_PORTS, Address, read_address

log = logging.getLogger(__name__)

# What a browser sends; several servers answer 406 to less (reference checking §5.2).
_ACCEPT = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
_ACCEPT_LANGUAGE = "en;q=0.9,*;q=0.8"
# br and zstd need packages we do not ship (reference checking §5.2).
_ACCEPT_ENCODING = "gzip, deflate"

_FOLLOWED = frozenset({301, 302, 303, 307, 308})
# A page with more text than this has something to say, whatever its Refresh says.
_NEAR_EMPTY = 500
# Parsing a page of this size would hold up every other look for milliseconds.
_INLINE_BODY = 128 * 1024
# How long an answer about robots.txt is believed (one request a month; RFC 9309 §2.4 would
# have it asked daily, for crawlers that come daily).
_ROBOTS_LIFE = timedelta(days=30)


class ReadPage(Protocol):
    """What turns a body into facts: `checking.page.read_page`."""

    def __call__(
        self, body: bytes, content_type: str | None, /, *, truncated: bool, url: str
    ) -> PageFacts:
        """Read one page; total."""


class Fetcher:
    """Looks at links. An async context manager: sockets and threads live inside it."""

    def __init__(
        self,
        check: CheckSettings,
        network: NetworkSettings,
        hosts: Mapping[str, HostSettings],
        clock: Clock,
        lanes: Lanes,
        *,
        resolver: AbstractResolver | None = None,
        user_agent: str | None = None,
        robots: RobotsMemory | None = None,
    ) -> None:
        """Take the settings, the clock, the lanes, and optionally another resolver.

        A `resolver` answers address *and* port of a name, so that a rehearsal can serve any
        name on loopback. `robots` remembers what robots.txt files said.
        """
        self._hosts = hosts
        self._clock = clock
        self._lanes = lanes
        self._guard = AddressGuard(network.allow_private)
        self._user_agent = user_agent or check.sent_user_agent
        headers = {
            "Accept": _ACCEPT,
            "Accept-Language": _ACCEPT_LANGUAGE,
            "Accept-Encoding": _ACCEPT_ENCODING,
            "User-Agent": self._user_agent,
        }
        self.wire = Wire(check, network, self._guard, resolver, headers)
        self._limits = Limits(check.timeout.total_seconds(), check.max_redirects)
        self._policy = Policy.from_settings(check)
        self._robots = robots if robots is not None else MemoryRobots()

    async def __aenter__(self) -> Fetcher:
        await self.wire.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.wire.__aexit__(kind, error, trace)

    async def look(
        self,
        url_wire: str,
        *,
        on_page: ReadPage,
        urgent: bool = False,
        host: str | None = None,
        begin: Callable[[], bool] | None = None,
    ) -> Observation:
        """Look at one address; total for everything a server or a resolver does.

        An `urgent` look goes to the front of its host's queue, with the same manners. Of an
        address that was read before, `host` is known and it is not read again. `begin` is asked
        when its turn has come, which may be hours later: shall it be made still?

        Raises `NotWanted` when `begin` says no, and `HostUnavailable` when a host on the way may
        not be asked now (a pause it asked for, longer than our patience, or a lease of another
        process): then nothing was learnt, and the look is to be made at its `until`.
        """
        address = None if host is None else Address(url_wire, url_wire, url_wire, host)
        return await self._travel(
            url_wire, on_page, self._limits, urgent=urgent, known_address=address, begin=begin
        )

    def network_of(self, host: str) -> str | None:
        """Return the network a host was last found in (for `online.vote`), if it was lately."""
        return self.wire.resolver.network_of(host)

    async def glance(
        self,
        url_wire: str,
        *,
        seconds: float,
        max_body: int,
        max_redirects: int,
        on_page: ReadPage,
    ) -> Observation:
        """Look with tighter limits: for canaries and robots.txt. Same manners, same guard.

        With no redirects allowed an answer that is one is observed as it stands.
        """
        return await self._travel(url_wire, on_page, Limits(seconds, max_redirects, max_body))

    async def record(self, url_wire: str, tape: Tape, *, on_page: ReadPage) -> Observation:
        """Look, with all that is sent and received kept on `tape`. Same manners, guard, limits.

        `on_page` still gets no more than an ordinary look reads; raises as `look`.
        """
        return await self._travel(url_wire, on_page, self._limits, tape=tape)

    async def get(self, url: str, *, seconds: float, max_body: int) -> Answer | Failure:
        """Send one plain GET, guarded and in turn like every look; redirects are not followed.

        For what is no cited page: another archive's playback. Raises `HostUnavailable`.
        """
        address = read_address(url)
        if not isinstance(address, Address):
            return Failure(address.problem, False)
        if word := self._refusal(address):
            return Failure(word, False)
        async with self._lanes.hold(address.host) as lane:
            async with lane.request():
                answer = await self.wire.get(address.wire, seconds=seconds, max_body=max_body)
            if isinstance(answer, Answer):
                self._settle_pause(answer, address.host)
            return answer

    async def probe(
        self, url_wire: str, *, on_page: ReadPage, urgent: bool = False
    ) -> Observation | None:
        """Look at an invented sibling of an address, to learn what "not there" looks like here.

        None when there is no sibling to invent, when robots.txt does not allow it, or when the
        host may not be asked now. Two requests at most, one of them for robots.txt.
        """
        sibling = sibling_of(url_wire)
        address = read_address(sibling) if sibling is not None else None
        if not isinstance(address, Address):
            return None
        try:
            robots = await self._robots_of(address, urgent=urgent)
            if not robots.allows(address.wire):
                return None
            return await self.look(address.wire, on_page=on_page, urgent=urgent)
        except HostUnavailable:
            return None

    async def _robots_of(self, address: Address, *, urgent: bool) -> Robots:
        origin = "/".join(address.wire.split("/")[:3])
        now = self._clock.now()
        known = self._robots.get(origin)
        if known is not None and now - known.asked_at < _ROBOTS_LIFE:
            return known
        body = b""

        def keep(found: bytes, *_: object, **__: object) -> PageFacts:
            nonlocal body
            body = found
            return PageFacts()

        limits = Limits(self._limits.seconds, 5, MAX_BYTES)
        seen = await self._travel(origin + "/robots.txt", keep, limits, urgent=urgent)
        robots = read_robots(seen.status, body, self._user_agent, now)
        self._robots.put(origin, robots)
        return robots

    async def _travel(
        self,
        url_wire: str,
        on_page: ReadPage,
        limits: Limits,
        tape: Tape | None = None,
        *,
        urgent: bool = False,
        known_address: Address | None = None,
        begin: Callable[[], bool] | None = None,
    ) -> Observation:
        address = known_address or read_address(url_wire)
        if not isinstance(address, Address):
            return Observation(url_wire, self._clock.now(), error=address.problem)
        journey = Journey(address, limits, tape, begin)
        try:
            while journey.end is None:
                await self._stay(journey, on_page, urgent=urgent)
        except HostUnavailable:
            if journey.before_refresh is None:
                raise
            return journey.before_refresh
        return journey.end

    async def _stay(self, journey: Journey, on_page: ReadPage, *, urgent: bool) -> None:
        """Ask one host, and again for hops inside it; a hop elsewhere gives the lane up first."""
        if word := self._refusal(journey.address):
            self._fail(journey, word)
            return
        async with self._lanes.hold(journey.address.host, urgent=urgent) as lane:
            while True:
                await self._step(journey, lane, on_page)
                if journey.end is not None or not lane.covers(journey.address.host):
                    return
                if word := self._refusal(journey.address):
                    self._fail(journey, word)
                    return

    def _refusal(self, address: Address) -> str | None:
        """Say why this address is not asked at all, before anything is resolved or sent."""
        own = settings_for(self._hosts, address.host)
        if own is not None and own.skip:
            return "skipped"
        return self._guard.refusal_of_host(address.host, _port(address))

    async def _step(self, journey: Journey, lane: Hold, on_page: ReadPage) -> None:
        """Ask the present address once (twice where that is allowed) and decide what follows."""
        cookies = journey.cookies()
        if (journey.address.wire, cookies) in journey.seen:
            # Nothing has changed since we were here: it would go round for ever.
            self._fail(journey, "redirect-loop", journey.hops[-1].status)
            return
        journey.seen.add((journey.address.wire, cookies))
        answer = await self._ask(journey, lane, cookies)
        if isinstance(answer, Failure):
            self._fail(journey, answer.word)
            return
        host = journey.address.host
        if answer.status in _FOLLOWED and answer.location and journey.max_redirects:
            self._follow(journey, answer.status, redirect_target, answer.location)
        else:
            await self._arrive(journey, answer, on_page)
        self._settle_pause(answer, host)

    async def _ask(self, journey: Journey, lane: Hold, cookies: str) -> Answer | Failure:
        answer = await self._request(journey, lane, cookies)
        if not isinstance(answer, Failure):
            return answer
        if answer.word in BROKEN and not answer.heard and not journey.tried_again:
            journey.tried_again = True
            answer = await self._request(journey, lane, cookies, fresh=True)
        if isinstance(answer, Failure) and answer.word in CERTIFICATE_WORDS:
            fault = answer.word
            answer = await self._request(journey, lane, "", verify=False)
            if isinstance(answer, Failure):
                return Failure(fault, answer.heard, resolved=answer.resolved)
            journey.fault = journey.fault or fault
        return answer

    async def _request(
        self,
        journey: Journey,
        lane: Hold,
        cookies: str,
        *,
        verify: bool = True,
        fresh: bool = False,
    ) -> Answer | Failure:
        own = settings_for(self._hosts, journey.address.host)
        headers = dict(own.headers) if own is not None else {}
        if cookies:
            headers["Cookie"] = cookies
        async with lane.request():
            journey.begins(self._clock.now())
            started = time.monotonic()
            answer = await self.wire.get(
                journey.address.wire,
                headers=headers or None,
                seconds=journey.left,
                verify=verify,
                max_body=journey.max_body,
                tape=journey.tape,
                fresh=fresh,
            )
            journey.spent += time.monotonic() - started
        journey.note_addresses(answer.resolved)
        if isinstance(answer, Answer) and verify:
            journey.keep_cookies(answer.set_cookie)
        return answer

    def _follow(
        self,
        journey: Journey,
        status: int,
        resolve: Callable[[str, bytes], Address | None],
        location: bytes,
    ) -> None:
        target = resolve(journey.address.wire, location)
        if target is None:
            self._fail(journey, "bad-redirect", status)
        elif len(journey.hops) >= journey.max_redirects:
            self._fail(journey, "redirect-loop", status)
        else:
            journey.hops.append(Hop(status, journey.address.wire))
            journey.address = target

    async def _arrive(self, journey: Journey, answer: Answer, on_page: ReadPage) -> None:
        """Read the page, and follow a refresh that stands in for a redirect."""
        content_type = answer.headers.get("content-type")
        page = await _read(on_page, answer, content_type, journey.address.wire)
        now = self._clock.now()
        headers = kept_headers(answer)
        end = journey.observe(
            now,
            status=answer.status,
            error=journey.fault,
            headers=headers,
            content_type=content_type[:300] if content_type else None,
            page=page,
            retry_after=parse_retry_after(headers, now),
        )
        target = _refresh(journey, answer, page)
        if target is None:
            journey.end = end
            return
        journey.before_refresh = end
        self._follow(journey, answer.status, lambda *_: target, b"")

    def _fail(self, journey: Journey, word: str, status: int | None = None) -> None:
        # A refresh that leads nowhere takes nothing from the page it stands on.
        journey.end = journey.before_refresh or journey.observe(
            self._clock.now(), status=status, error=word
        )

    def _settle_pause(self, answer: Answer, host: str) -> None:
        """Leave the host alone if it asked for it; forget old pauses once it answers well."""
        if answer.status in (429, 503):
            now = self._clock.now()
            asked = parse_retry_after(kept_headers(answer), now)
            seen = Observation(host, now, status=answer.status, retry_after=asked)
            pauses = self._lanes.consecutive_pauses(host)
            until = host_pause(seen, pauses, now, self._policy)
            if until is not None:
                self._lanes.pause(host, until)
        elif answer.status < 400 or answer.status == 404:
            self._lanes.forgive(host)


def _port(address: Address) -> int:
    scheme, _, authority = address.wire.split("/", 3)[:3]
    written = authority.rpartition("]")[2].rpartition(":")[2]
    if written.isdigit() and authority != written:
        return int(written)
    return DEFAULT_PORTS[scheme[:-1]]


async def _read(
    on_page: ReadPage, answer: Answer, content_type: str | None, url: str
) -> PageFacts | None:
    if answer.broken and not answer.body:
        # Not an empty page: one nobody could read (reference checking §5.1 row 63).
        return None
    truncated = answer.truncated or answer.broken
    try:
        if len(answer.body) <= _INLINE_BODY:
            return on_page(answer.body, content_type, truncated=truncated, url=url)
        return await asyncio.to_thread(
            on_page, answer.body, content_type, truncated=truncated, url=url
        )
    except Exception:
        log.exception("the page of %s could not be read", shown(url))
        return None


def _refresh(journey: Journey, answer: Answer, page: PageFacts | None) -> Address | None:
    """Return where a near-empty good page sends its reader within five seconds, once a look."""
    if journey.before_refresh is not None or not journey.max_redirects:
        return None
    if not 200 <= answer.status < 300:
        return None
    if page is None or page.text_length > _NEAR_EMPTY:
        return None
    base = journey.address.wire
    target = None
    if page.refresh_url:
        target = redirect_target(base, page.refresh_url.encode("utf-8", "replace"))
    elif "refresh" in answer.headers:
        target = refresh_target(base, answer.headers["refresh"])
    return target if target is not None and target.wire != base else None
