"""One POST to an address the operator typed: bounded, no redirects, no names in the troubles.

The address is trusted as that one host and port (design §8): a redirect is a failure, not a
way on. Addresses of webhooks are secrets themselves, so that no trouble ever repeats one.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver

from archiver.config.quantities import is_loopback
from archiver.notify.channels import Outcome

POST_SECONDS = 15.0
CONNECT_SECONDS = 10.0
# An answer is only looked at for its status; a little is read so that senders can finish.
_ANSWER_LIMIT = 4 * 1024
_HEADER_LIMIT = 8 * 1024
# Longer waits are not ours to keep: the digest would be old.
LONGEST_RETRY_AFTER = timedelta(hours=6)

# (kind of failure, words); the first that fits counts
_FAILURES: tuple[tuple[type[BaseException], str], ...] = (
    (TimeoutError, "no answer in time"),
    (aiohttp.ClientConnectorCertificateError, "its certificate is not trusted"),
    (aiohttp.ClientConnectorDNSError, "its name was not found"),
    (aiohttp.ClientProxyConnectionError, "the proxy cannot be reached"),
    (aiohttp.ClientHttpProxyError, "the proxy refused"),
    (aiohttp.ClientSSLError, "no secure connection could be made"),
    (aiohttp.ClientConnectorError, "it cannot be reached"),
    (aiohttp.InvalidURL, "its address is no web address"),
)


class Poster:
    """Sends single POSTs; holds no connection open between them."""

    def __init__(
        self,
        *,
        user_agent: str,
        proxy: str = "",
        trust: ssl.SSLContext | None = None,
        resolver: AbstractResolver | None = None,
        seconds: float = POST_SECONDS,
    ) -> None:
        """Post through `proxy` (never to this machine itself), within `seconds` each."""
        self._user_agent = user_agent
        self._proxy = proxy
        self._trust = trust
        self._resolver = resolver
        self._seconds = seconds

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Outcome:
        """Send once; arrived means a status 200 to 299."""
        try:
            async with (
                self._session() as session,
                session.post(
                    url,
                    data=body,
                    headers=headers,
                    proxy=self._proxy_to(url),
                    allow_redirects=False,
                ) as response,
            ):
                await response.content.read(_ANSWER_LIMIT)
                return _outcome(response.status, response.headers.get("Retry-After", ""))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Outcome(_words(error))

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=self._trust or True, resolver=self._resolver, force_close=True
            ),
            timeout=aiohttp.ClientTimeout(
                total=self._seconds, connect=min(CONNECT_SECONDS, self._seconds)
            ),
            headers={"User-Agent": self._user_agent},
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            max_line_size=_HEADER_LIMIT,
            max_field_size=_HEADER_LIMIT,
        )

    def _proxy_to(self, url: str) -> str | None:
        here = is_loopback(urlsplit(url).hostname or "")
        return None if here or not self._proxy else self._proxy


def _outcome(status: int, retry_after: str) -> Outcome:
    if 200 <= status <= 299:
        return Outcome()
    if 300 <= status <= 399:
        return Outcome(f"it answered {status}: redirects are not followed")
    text = retry_after.strip()
    waits = text.isascii() and text.isdigit()
    wait = min(timedelta(seconds=int(text[:9])), LONGEST_RETRY_AFTER) if waits else None
    return Outcome(f"it answered {status}", wait)


def _words(error: BaseException) -> str:
    return next((words for kind, words in _FAILURES if isinstance(error, kind)), "it broke off")
