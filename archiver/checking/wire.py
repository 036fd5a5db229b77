"""One GET on the wire: bytes as cited, guarded at connect time, with a limit on everything.

This is the only place of the room that speaks aiohttp. It follows nothing, retries nothing and
judges nothing: one request in, an `Answer` or the word for its failure out.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import resource
import socket
import ssl
import time
from collections.abc import Mapping
from itertools import chain
from typing import Any, cast

import aiohttp
from aiohttp.abc import AbstractResolver
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from archiver.checking.address import AddressGuard, is_literal
from archiver.checking.body import Body
from archiver.checking.failures import LOCAL_TROUBLE, TIMEOUTS, word_for
from archiver.checking.pulse import Pulse
from archiver.checking.resolver import (
    AddressRefused,
    Exchange,
    GuardedResolver,
    SystemResolver,
    current_exchange,
)
from archiver.checking.tape import Tape, TapeTrouble
from archiver.config import CheckSettings, NetworkSettings
from archiver.errors import ConfigurationError
from archiver.records import record
from archiver.text import shown

log = logging.getLogger(__name__)

# Reference checking §5.1 row 57: larger limits admitted 12 MB of headers.
_MAX_HEADER = 32 * 1024
_MAX_HEADERS = 256
_MAX_HEADER_BYTES = 64 * 1024
# What may come before the headers of the answer are complete.
_MAX_BEFORE_ANSWER = 1024 * 1024
_SILENCE = 15.0
# How long a connection is kept, and only where no delay is to pass between two requests: after a
# delay it is gone, or a server's burden, and asking anew at once would break that delay (law 6).
# Without one it saves the opening, which costs as much as the rest of the request (RFC 9112
# §9.3; reference perf §1).
_KEPT_SECONDS = 5.0
# Connections at rest are counted by nobody else, and 10,000 hosts asked in five seconds would
# leave 10,000 of them open (reference perf §1). Never more than a third of what may be open:
# where the limit is 1,024, requests in flight, the database and the log need the rest.
_MOST_OPEN = 1000
_SHARE_OPEN = 3
# An encrypted one holds a read buffer of 256 KiB, in use or not (reference perf §1).
_MOST_ENCRYPTED = 64
# Above this many seconds asyncio's timers are rounded to whole seconds by aiohttp.
_CEIL_THRESHOLD = 60.0
# What is left for a request at least, whatever came before it.
_LEAST_SECONDS = 0.05
# Words for a broken connection: without a byte of an answer it may be worth another try.
BROKEN = frozenset({"empty-answer", "reset"})
# What servers, resolvers and our own deadlines do to a request.
_EXPECTED = (TimeoutError, aiohttp.ClientError, OSError, ValueError)


@record
class Answer:
    """What a server said to one request; `broken` tells that its body ended too early.

    `headers` has lower-case names; of repeated fields the first counts. `location` holds the
    bytes as sent. `body` is decoded and cut at the limit. `resolved`: as in `Exchange`.
    """

    status: int
    headers: Mapping[str, str]
    location: bytes | None
    set_cookie: tuple[str, ...]
    body: bytes = b""
    truncated: bool = False
    broken: bool = False
    resolved: frozenset[str] = frozenset()


@record
class Failure:
    """Why there is no answer; `heard` tells whether any byte of one had come.

    `stale`: it was a kept connection that broke before any byte, most likely because the server
    had closed it before our request came. `resolved`: as in `Exchange`.
    """

    word: str
    heard: bool
    stale: bool = False
    resolved: frozenset[str] = frozenset()


class _HearingHandler(ResponseHandler):
    """aiohttp's protocol, telling our `Exchange` how much of an answer has come.

    A connection that broke before any byte may be tried once more, one that broke later not,
    and aiohttp's exceptions do not tell them apart (reference checking §5.1 row 12).
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, wire: Wire) -> None:
        super().__init__(loop)
        self._exchange = current_exchange.get()
        self._address: str | None = None
        self._resolved: frozenset[str] = frozenset()
        self._encrypted = False
        self._wire = wire

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._wire.connections += 1
        self._encrypted = transport.get_extra_info("ssl_object") is not None
        self._wire.encrypted += self._encrypted
        # Asked for later, it is often gone: a small answer ends its connection at once.
        peer = transport.get_extra_info("peername")
        self._address = peer[0] if peer else None
        if self._exchange is not None:
            self._exchange.address = self._address
            self._resolved = self._exchange.resolved

    def connection_lost(self, exc: BaseException | None) -> None:
        self._wire.connections -= 1
        self._wire.encrypted -= self._encrypted
        super().connection_lost(exc)

    def set_response_params(self, **limits: Any) -> None:
        """Begin an exchange; on a kept connection it is another than the one that opened it."""
        exchange = current_exchange.get()
        if exchange is not None and exchange is not self._exchange:
            exchange.reused = True
            exchange.address = self._address
            exchange.resolved = self._resolved
            self._exchange = exchange
        too_many_encrypted = self._encrypted and self._wire.encrypted > _MOST_ENCRYPTED
        if too_many_encrypted or self._wire.connections > self._wire.most_open:
            self.force_close()
        super().set_response_params(**limits)

    def data_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is not None:
            if exchange.over:
                # Nobody asked: it must not be taken for the next request's answer
                # (RFC 9112 §9.2).
                self.abort()
                return
            exchange.bytes_heard += len(data)
            if exchange.bytes_heard > _MAX_BEFORE_ANSWER and not exchange.answered:
                # "103 Early Hints" for ever: headers of answers that are none.
                self.set_exception(aiohttp.ClientPayloadError("no end of headers"))
                self.abort()
                return
        super().data_received(data)


def raise_descriptor_limit(wanted: int = 65_536) -> int:
    """Raise the soft limit of open files towards the hard one; return it (reference perf §1)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    goal = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < goal:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (goal, hard))
            return goal
    return wanted if soft == resource.RLIM_INFINITY else soft


def trust(ca_file: str) -> ssl.SSLContext:
    """Return a verifying TLS context; `ca_file` or `SSL_CERT_FILE` replace the system's trust.

    Raises `ConfigurationError` when the file cannot be used.
    """
    chosen = ca_file or os.environ.get("SSL_CERT_FILE") or None
    try:
        return _trusting(chosen)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"The certificate file {shown(chosen)} cannot be used: {shown(error)}.",
            "Correct network.ca_file or SSL_CERT_FILE; it must be a PEM file.",
        ) from error


@functools.lru_cache(maxsize=4)
def _trusting(authorities: str | None) -> ssl.SSLContext:
    # Reading the system's authorities takes as long as a hundred looks: once in a process.
    context = ssl.create_default_context(cafile=authorities)
    # Since Python 3.13 strict by default, which refuses chains every browser accepts.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _no_trust() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def request_url(wire: str) -> URL:
    """Return the URL object that sends exactly this text (reference checking §5.3)."""
    if wire.endswith("?") and wire.index("?") == len(wire) - 1:
        # Parsing would lose an empty query; built from its parts the path may end in anything.
        scheme, _, rest = wire.partition("://")
        authority, slash, path = rest.partition("/")
        return URL.build(scheme=scheme, authority=authority, path=slash + path, encoded=True)
    return URL(wire, encoded=True)


class Wire:
    """The way out. `async with`; then `get`."""

    def __init__(
        self,
        check: CheckSettings,
        network: NetworkSettings,
        guard: AddressGuard,
        resolver: AbstractResolver | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Take the limits, the proxy and trust settings, the guard, and a resolver to use.

        `headers` go out with every request.
        """
        self._headers = headers
        self._connect_timeout = check.connect_timeout.total_seconds()
        self._max_body = check.max_body
        self._proxy = URL(network.proxy) if network.proxy else None
        self._ca_file = network.ca_file
        self._guard = guard
        self._inner_resolver = resolver
        self._keeps = not check.host_delay
        self._fresh: aiohttp.ClientSession | None = None
        self._kept: aiohttp.ClientSession | None = None
        self._pulse = Pulse()
        self.connections = 0
        self.encrypted = 0
        self.most_open = _MOST_OPEN

    async def __aenter__(self) -> Wire:
        self.most_open = min(_MOST_OPEN, raise_descriptor_limit() // _SHARE_OPEN)
        self._trusting = trust(self._ca_file)
        self._trustless = _no_trust()
        inner = self._inner_resolver or SystemResolver()
        self.resolver = GuardedResolver(inner, self._guard, self._connect_timeout * 0.9)
        self._fresh = self._kept = self._open_session(inner, keeps=False)
        if self._keeps:
            self._kept = self._open_session(inner, keeps=True)
        self._pulse.start()
        return self

    def _open_session(self, inner: AbstractResolver, *, keeps: bool) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            resolver=self.resolver if self._proxy is None else inner,
            use_dns_cache=False,
            force_close=not keeps,
            keepalive_timeout=_KEPT_SECONDS if keeps else None,
            limit=0,
            socket_factory=self._open_socket,
        )
        loop = asyncio.get_running_loop()
        connector._factory = cast(
            "functools.partial[ResponseHandler]",
            functools.partial(_HearingHandler, loop=loop, wire=self),
        )
        session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=self._headers,
            read_bufsize=65_536,
            max_line_size=_MAX_HEADER,
            max_field_size=_MAX_HEADER,
            max_headers=_MAX_HEADERS,
        )
        # aiohttp would send a GET whose connection broke once more by itself: unseen, at once,
        # and also when half an answer had come (law 6).
        session._retry_connection = False
        return session

    async def __aexit__(self, *_: object) -> None:
        self._pulse.stop()
        for session in (self._fresh, self._kept):
            if session is not None:
                await session.close()
        self._fresh = self._kept = None
        # A resolver that was handed in belongs to whoever made it.
        if self._inner_resolver is None:
            await self.resolver.close()

    def _open_socket(self, place: tuple[Any, ...]) -> socket.socket:
        """Open a socket for an address, or refuse: the last gate, for every address and hop."""
        family, kind, protocol, _, address = place
        if self._proxy is not None:
            # Only the proxy is ever connected to; it is trusted as this one host and port.
            if address[1] != self._proxy.port:
                raise AddressRefused("private-address")
        elif word := self._guard.refusal(address[0], address[1]):
            raise AddressRefused(word)
        return socket.socket(family, kind, protocol)

    async def get(
        self,
        wire: str,
        *,
        seconds: float,
        headers: Mapping[str, str] | None = None,
        verify: bool = True,
        max_body: int | None = None,
        tape: Tape | None = None,
        fresh: bool = False,
    ) -> Answer | Failure:
        """Send one GET and read the answer, within `seconds`; total, never raises for a server.

        The body of an answer with a Location to follow is not read, except onto a `tape`.
        `fresh` asks over a new connection: one that was kept may have been closed meanwhile
        (RFC 9112 §9.5), which says nothing about the server. A tape always has a new one.
        """
        kept = None if fresh or tape is not None else self._kept
        started = time.monotonic()
        found = await self._try(kept or self._fresh, wire, headers, seconds, verify, max_body, tape)
        if isinstance(found, Failure) and found.stale:
            # Our own stale connection, no second try (RFC 9112 §9.3.1: a GET may be sent again).
            left = max(seconds - (time.monotonic() - started), _LEAST_SECONDS)
            found = await self._try(self._fresh, wire, headers, left, verify, max_body, tape)
        return found

    async def _try(
        self,
        session: aiohttp.ClientSession | None,
        wire: str,
        headers: Mapping[str, str] | None,
        seconds: float,
        verify: bool,
        max_body: int | None,
        tape: Tape | None,
    ) -> Answer | Failure:
        exchange = Exchange()
        token = current_exchange.set(exchange)
        began = asyncio.get_running_loop().time()
        try:
            body = Body(max_body or self._max_body, wire, exchange, tape)
            return await self._get(session, wire, headers, seconds, verify, body)
        except _EXPECTED as error:
            word = word_for(error, exchange, through_proxy=self._proxy is not None)
            if word in TIMEOUTS and self._pulse.was_late_since(began):
                word = LOCAL_TROUBLE
            stale = exchange.reused and not exchange.heard and word in BROKEN
            return Failure(word, exchange.heard, stale, exchange.resolved)
        except TapeTrouble as trouble:
            log.warning("a copy of %s could not be kept: %s", shown(wire), shown(trouble))
            return Failure(LOCAL_TROUBLE, exchange.heard)
        except Exception:
            log.exception("an unexpected error while asking %s", shown(wire))
            return Failure(LOCAL_TROUBLE, exchange.heard)
        finally:
            exchange.over = True
            current_exchange.reset(token)

    async def _get(
        self,
        session: aiohttp.ClientSession | None,
        wire: str,
        headers: Mapping[str, str] | None,
        seconds: float,
        verify: bool,
        body: Body,
    ) -> Answer | Failure:
        response: aiohttp.ClientResponse | None = None
        exchange = body.exchange
        try:
            async with asyncio.timeout(seconds):
                response = await self._send(
                    session, wire, headers, seconds, verify, taped=body.taped
                )
                exchange.answered = True
                # They are part of what was heard, which is most often less and known already.
                if exchange.bytes_heard > _MAX_HEADER_BYTES and _too_many_headers(response):
                    word = "unreadable-http"
                    return Failure(word, exchange.heard, resolved=exchange.resolved)
                if body.taped or not _leads_on(response):
                    await body.read(response)
        except _EXPECTED as error:
            if response is None:
                raise
            # The status decides; whatever was read is kept (reference checking §5.1 row 60).
            body.break_off(error)
        finally:
            if response is not None:
                response.close()
        content = body.content()
        return Answer(
            response.status,
            _plain_headers(response),
            _location(response),
            tuple(response.headers.getall("Set-Cookie", ())),
            content,
            body.truncated,
            body.broken,
            exchange.resolved,
        )

    async def _send(
        self,
        session: aiohttp.ClientSession | None,
        wire: str,
        headers: Mapping[str, str] | None,
        seconds: float,
        verify: bool,
        *,
        taped: bool,
    ) -> aiohttp.ClientResponse:
        assert session is not None, "use `async with`"
        url = request_url(wire)
        if self._proxy is not None:
            await self._refuse_private_target(url)
        return await session.get(
            url,
            headers=headers,
            allow_redirects=False,
            proxy=self._proxy,
            ssl=self._trusting if verify else self._trustless,
            timeout=_limits(seconds, self._connect_timeout),
            auto_decompress=not taped,
        )

    async def _refuse_private_target(self, url: URL) -> None:
        """Resolve what the proxy is to fetch, and refuse it when any address is not public."""
        host, port = url.raw_host or "", url.port or 80
        if word := self._guard.refusal_of_host(host, port):
            raise AddressRefused(word)
        if is_literal(host):
            return
        for found in await self.resolver.resolve_all(host, port):
            if word := self._guard.refusal(found["host"], found["port"]):
                raise AddressRefused(word)


@functools.lru_cache(maxsize=64)
def _limits(seconds: float, connect: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(
        total=None,
        connect=min(connect, seconds * 0.9),
        sock_read=min(_SILENCE, seconds * 0.9),
        ceil_threshold=_CEIL_THRESHOLD,
    )


def _too_many_headers(response: aiohttp.ClientResponse) -> bool:
    return sum(map(len, chain.from_iterable(response.raw_headers))) > _MAX_HEADER_BYTES


def _location(response: aiohttp.ClientResponse) -> bytes | None:
    """Return the first Location as bytes: aiohttp's text of it is cut at a raw Latin-1 byte."""
    if "Location" not in response.headers:
        return None
    found = (value for name, value in response.raw_headers if name.lower() == b"location")
    return next(found, None)


def _leads_on(response: aiohttp.ClientResponse) -> bool:
    return 300 < response.status < 400 and bool(response.headers.get("Location"))


def _plain_headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    plain: dict[str, str] = {}
    for name, value in response.headers.items():
        plain.setdefault(name.lower(), value if value.isascii() else _mended(value))
    return plain


def _mended(value: str) -> str:
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
