"""The one way to an archive: bounded requests to the configured endpoints, no redirects.

Endpoints are the operator's word: each is trusted as that one host and port (design §8), and
nothing else is ever asked. Every request has a deadline and a byte limit (law 7).
"""

from __future__ import annotations

import errno
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from types import TracebackType
from typing import Protocol, Self
from urllib.parse import urlsplit

import aiohttp
import yarl

from archiver.records import record

CONNECT_SECONDS = 10.0
RETRY_AFTER_CAP = 3600  # reference wayback §5
_HEADER_LIMIT = 64 * 1024
_PORTS = {"http": 80, "https": 443}


class Failure(StrEnum):
    """Why there was no answer."""

    REFUSED = "refused"  # connection refused: the archive's firewall (reference wayback §0.14)
    UNREACHABLE = "unreachable"  # no name, no route, no TLS: nothing was sent
    TIMEOUT = "timeout"  # sent, no complete answer in time
    BROKEN = "broken"  # sent, the connection broke or the answer cannot be read


@record
class RawAnswer:
    """One HTTP answer, or why there was none. Header names are in lower case.

    `body` is as transferred (not decompressed), cut at the limit that was asked for.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    truncated: bool = False
    failure: Failure | None = None
    detail: str = ""

    @property
    def content_type(self) -> str:
        """Return the media type without parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def text(self) -> str:
        """Return the body as text, whatever it holds."""
        return self.body.decode("utf-8", "replace")


class Pace(Protocol):
    """What spaces requests out; entered around each paced request."""

    async def __aenter__(self) -> object:
        """Wait for the turn."""

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> object:
        """Give the turn on."""


class ArchiveWire:
    """An HTTP session for archives; use it with `async with`.

    `pace` is entered around reads (look-ups, playbacks), the process's one pace.
    """

    def __init__(
        self,
        endpoints: Iterable[str],
        *,
        user_agent: str,
        pace: Pace | None = None,
        proxy: str = "",
        trust: ssl.SSLContext | None = None,
    ) -> None:
        """Trust exactly the hosts and ports of `endpoints`."""
        self._origins = frozenset(_origin(each) for each in endpoints if each)
        self._user_agent = user_agent
        self._pace = pace
        self._proxy = proxy or None
        self._trust = trust
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=0, ssl=self._trust or True, force_close=True)
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            max_line_size=_HEADER_LIMIT,
            max_field_size=_HEADER_LIMIT,
            # Nothing unpacks an answer here, and aiohttp alone would ask for gzip: the index packs
            # its rows for whoever does (reference wayback §3.1).
            headers={"User-Agent": self._user_agent, "Accept-Encoding": "identity"},
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def trusts(self, url: str) -> bool:
        """Say whether a URL is at one of the configured endpoints' host and port."""
        return _origin(url) in self._origins

    async def read(
        self,
        url: str,
        *,
        within: timedelta,
        limit: int,
        headers: Mapping[str, str] | None = None,
    ) -> RawAnswer:
        """GET a URL at the process's pace; waiting for the turn does not count as time-out."""
        if self._pace is None:
            return await self.ask("GET", url, within=within, limit=limit, headers=headers)
        async with self._pace:
            return await self.ask("GET", url, within=within, limit=limit, headers=headers)

    async def ask(
        self,
        method: str,
        url: str,
        *,
        within: timedelta,
        limit: int,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> RawAnswer:
        """Send one request; whatever the network does is data.

        Raises ValueError for a URL that is at no configured endpoint, RuntimeError outside of
        `async with`: both are mistakes of the program.
        """
        if not self.trusts(url):
            raise ValueError("not at a configured archive endpoint")
        if self._session is None:
            raise RuntimeError("the wire is not open")
        try:
            async with self._session.request(
                method,
                yarl.URL(url, encoded=True),
                data=form,
                headers=headers,
                proxy=self._proxy,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    total=within.total_seconds(),
                    connect=min(CONNECT_SECONDS, within.total_seconds()),
                ),
            ) as response:
                body, truncated = await _read(response, limit)
                return RawAnswer(response.status, _headers(response), body, truncated)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return RawAnswer(failure=_failure(error), detail=type(error).__name__)


def retry_after(headers: Mapping[str, str], now: datetime) -> int | None:
    """Read `Retry-After` as seconds (RFC 9110 §10.2.3), at most an hour; None when unusable."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:9]), RETRY_AFTER_CAP)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0, min(int((moment - now).total_seconds()), RETRY_AFTER_CAP))


async def _read(response: aiohttp.ClientResponse, limit: int) -> tuple[bytes, bool]:
    chunks, size = [], 0
    async for chunk in response.content.iter_chunked(64 * 1024):
        chunks.append(chunk)
        size += len(chunk)
        if size > limit:
            response.close()
            return b"".join(chunks)[:limit], True
    return b"".join(chunks), False


def _headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    """Return the headers; of a repeated one the last value that is not empty (§4.3).

    Of links all: they may come in a field each (RFC 9110 §5.3).
    """
    found: dict[str, str] = {}
    for name, value in response.headers.items():
        if name.lower() == "link" and "link" in found:
            found["link"] += ", " + value
        elif value or name.lower() not in found:
            found[name.lower()] = value
    return found


def _failure(error: BaseException) -> Failure:
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        number = getattr(getattr(error, "os_error", None), "errno", None)
        return Failure.REFUSED if number == errno.ECONNREFUSED else Failure.UNREACHABLE
    if isinstance(error, aiohttp.ClientSSLError | aiohttp.ClientProxyConnectionError):
        return Failure.UNREACHABLE
    return Failure.TIMEOUT if isinstance(error, TimeoutError) else Failure.BROKEN


def _origin(url: str) -> tuple[str, int]:
    """Return (host, port): an endpoint's two schemes are one place (`http:` links to https)."""
    try:
        parts = urlsplit(url)
        return (parts.hostname or "").lower(), parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return "", 0
