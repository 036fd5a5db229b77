"""A small web on loopback in which every host misbehaves in one way.

The real fetcher meets it through `resolver()` and `certificate_authority`, under names that
cannot exist outside; an archive stand-in meets the same sites through `see`. Used by the demo
and by the tests.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver

from archiver.clock import Clock
from archiver.demo.behaviours import Answer, Outcome, Visit
from archiver.demo.certificates import Certificate, make_contexts
from archiver.demo.citations import write_events
from archiver.demo.hosts import SITES, Directory
from archiver.demo.manners import Served, Violation, violations
from archiver.demo.names import LOOPBACK, Door, Resolver
from archiver.demo.raw import HEAD_LIMIT, ORDINARY_PACE, Pace, deliver, read_request
from archiver.demo.seen import Seen, seen_by_crawler
from archiver.demo.sites import Site, crawl_time
from archiver.records import record


@record
class Crawl:
    """Somebody else's crawl of a cited page: when, and what it got."""

    url: str
    at: datetime
    seen: Seen


class MisbehavingWeb:
    """The listeners, names and certificates of the small web; an async context manager.

    Day 0 begins when the object is made; `clock` may run fast or jump, and the sites change
    with its days. `pace` holds real seconds, so that slow servers stay cheap in a rehearsal.
    """

    def __init__(
        self, clock: Clock, sites: Sequence[Site] = SITES, pace: Pace = ORDINARY_PACE
    ) -> None:
        """Take the rows to serve; nothing listens before `start`."""
        self.sites = tuple(sites)
        self.started_at = clock.now()
        self.served: list[Served] = []
        self._clock = clock
        self._pace = pace
        self._directory = Directory(self.sites)
        self._sockets: list[socket.socket] = []
        self._ports: dict[Door, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    async def __aenter__(self) -> Self:
        """Start listening."""
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop listening."""
        await self.stop()

    async def start(self) -> None:
        """Make certificates and open the listeners on ports the system hands out."""
        self._folder = tempfile.TemporaryDirectory(prefix="small-web-")
        names = {Certificate.GOOD: ["localhost"], **self._directory.names_by_certificate()}
        contexts = make_contexts(Path(self._folder.name), names)
        tls = contexts[Certificate.GOOD]
        tls.sni_callback = self._choose_certificate(contexts)
        self._listen(Door.PLAIN, None)
        self._listen(Door.TLS, tls)
        self._listen(Door.MUTE, None)
        # Bound but not listening: the system refuses connections, and gives the port to nobody.
        closed = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        closed.bind((LOOPBACK, 0))
        self._sockets.append(closed)
        self._ports[Door.CLOSED] = closed.getsockname()[1]

    async def stop(self) -> None:
        """Close every listener, connection and file; safe to call twice."""
        # A task that is cancelled before its first step would leave its connection open.
        await asyncio.sleep(0)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        while self._sockets:
            self._sockets.pop().close()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    @property
    def day(self) -> int:
        """Return the day of the rehearsal, 0 on the first."""
        return (self._clock.now() - self.started_at).days

    @property
    def certificate_authority(self) -> Path:
        """Return the PEM file to trust (`network.ca_file`); it goes when the web stops."""
        assert self._folder is not None, "start the web first"
        return Path(self._folder.name) / "authority.pem"

    def resolver(self) -> AbstractResolver:
        """Return a name service that knows this web and no other."""
        return Resolver(
            lambda host: self._directory.outcome_of_host(host, self.day), lambda: self._ports
        )

    async def see(self, url: str) -> Seen:
        """Return what the archive's crawler gets of a URL today; one hop, no network."""
        return self._see(url, self.day)

    def crawls(self, after: int, until: int) -> Iterator[Crawl]:
        """Yield the crawls by others on the days `after` < day <= `until`, as they found things.

        Days before the rehearsal are negative: `crawls(-10_000, -1)` is what archives hold when
        it begins.
        """
        for site in self.sites:
            for day in site.crawled:
                if after < day <= until:
                    at = crawl_time(day, self.started_at)
                    yield Crawl(site.url, at, self._see(site.url, day))

    def events_for_rehearsal(self, folder: Path) -> list[Path]:
        """Write event files that cite every site into a folder; return their paths."""
        return write_events(folder, self.sites, self.started_at)

    def violations(
        self, delay: float, *, tolerance: float = 0.05, hops_may_follow: bool = True
    ) -> list[Violation]:
        """Return the pairs of requests that came closer than `delay` seconds of the clock."""
        return violations(self.served, delay, tolerance=tolerance, hops_may_follow=hops_may_follow)

    def _see(self, url: str, day: int) -> Seen:
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        visit = Visit(parts.scheme, parts.hostname or "", target, day, by_archive=True)
        return seen_by_crawler(self._directory.outcome(visit), url)

    def _choose_certificate(
        self, contexts: dict[Certificate, ssl.SSLContext]
    ) -> Callable[[ssl.SSLObject, str, ssl.SSLContext], None]:
        def choose(connection: ssl.SSLObject, name: str, _base: ssl.SSLContext) -> None:
            connection.context = contexts[self._directory.certificate_of(name or "")]

        return choose

    def _listen(self, door: Door, tls: ssl.SSLContext | None) -> None:
        listener = socket.create_server((LOOPBACK, 0), backlog=256)
        listener.setblocking(False)
        self._sockets.append(listener)
        self._ports[door] = listener.getsockname()[1]
        self._keep(self._accept(listener, door, tls))

    def _keep(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(
        self, listener: socket.socket, door: Door, tls: ssl.SSLContext | None
    ) -> None:
        """Take connections for ever, each into a task of ours, its TLS handshake included."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError:
                # Out of file descriptors: wait until clients have given some back.
                await asyncio.sleep(self._pace.drip)
                continue
            # Or the system would hold an answer back for 40 ms behind the end of a handshake.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._keep(self._attend(connection, door, tls))

    async def _attend(
        self, connection: socket.socket, door: Door, tls: ssl.SSLContext | None
    ) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(HEAD_LIMIT)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport: asyncio.Transport | None = None
        try:
            async with asyncio.timeout(self._pace.hold):
                transport, _ = await loop.connect_accepted_socket(
                    lambda: protocol, connection, ssl=tls
                )
                writer = asyncio.StreamWriter(transport, protocol, reader, loop)
                if door is Door.MUTE:
                    await reader.read()
                else:
                    await self._serve("https" if tls else "http", reader, writer)
                writer.close()
                await writer.wait_closed()
        except (OSError, TimeoutError):
            # Clients leave, refuse our certificates, or outstay the deadline: all as intended.
            pass
        finally:
            if transport is not None:
                transport.abort()
            else:
                connection.close()

    async def _serve(
        self, scheme: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        request = await read_request(reader)
        if request is None:
            # TLS bytes at a plain door, or no HTTP: what old servers say to that.
            writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            return
        visit = Visit(scheme, request.host, request.target, self.day, request.cookie)
        outcome = self._directory.outcome(visit)
        entry = Served(request.host, scheme, request.target, self._clock.monotonic())
        entry.location = _location(outcome)
        self.served.append(entry)
        try:
            await deliver(outcome, reader, writer, self._pace)
        finally:
            entry.ended = self._clock.monotonic()


def _location(outcome: Outcome) -> str | None:
    return outcome.header("location") if isinstance(outcome, Answer) else None
