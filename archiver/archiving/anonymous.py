"""Saving without account keys: waybackpy, hardened (design §6, reference wayback §6.6).

Unmodified it has no time-outs, retries a submission eight times, follows redirects anywhere,
downloads the played-back page and returns the wrong memento of a `Link` header. The subclass
below changes exactly that; one call is one submission.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import re
import ssl
import threading
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from waybackpy import WaybackMachineSaveAPI
from waybackpy.exceptions import TooManyRequestsError, WaybackError

from archiver.archiving.addresses import (
    CaptureAddress,
    capture_url,
    is_http,
    is_stamp,
    join,
    read_capture_url,
)
from archiver.archiving.answers import Outcome, SubmitAnswer, Trouble
from archiver.archiving.wire import retry_after
from archiver.clock import Clock
from archiver.model import Capture
from archiver.records import record
from archiver.urls import capture_identity

CONNECT_SECONDS = 10.0
READ_SECONDS = 130.0  # the archive may hold a save for two minutes
MAX_HOPS = 3
# A capture older than this is one that somebody made before us.
RECENT_AFTER = timedelta(minutes=10)

_MEMENTO_LINK = re.compile(r"<([^<>]+)>\s*;[^<]*?rel=\"?memento\"?(?=[\s;,]|$)", re.I)


@record
class SaveEndpoint:
    """Where and how to save: the settings this module needs, plain.

    `trust` is a file of PEM certificates that replaces the system's, or True for the system's
    (which `SSL_CERT_FILE` names; requests alone would take its own bundle, contract §3).
    """

    save_url: str
    playback_url: str
    user_agent: str
    proxy: str = ""
    trust: str | bool = True
    read_seconds: float = READ_SECONDS


def system_trust() -> str | bool:
    """Return the file or folder of certificates this machine trusts, True when it has none."""
    paths = ssl.get_default_verify_paths()
    return paths.cafile or paths.capath or True


class _HardenedSave(WaybackMachineSaveAPI):  # type: ignore[misc, unused-ignore]
    """One submission: bounded time, no retries, at most three hops inside the archive."""

    def __init__(self, url: str, endpoint: SaveEndpoint) -> None:
        super().__init__(url, endpoint.user_agent, max_tries=1)
        self._endpoint = endpoint
        self._origins = {_origin(endpoint.save_url), _origin(endpoint.playback_url)}
        self.request_url = f"{endpoint.save_url.rstrip('/')}/{url}"
        self.total_save_retries = 0
        self._trust = system_trust() if endpoint.trust is True else endpoint.trust

    def get_save_request_headers(self) -> None:
        """Ask, following redirects by hand until one names a capture; never read a body."""
        session = requests.Session()
        session.trust_env = False
        if self._endpoint.proxy:
            session.proxies = {"http": self._endpoint.proxy, "https": self._endpoint.proxy}
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=0))
        address = self.request_url
        deadline = time.monotonic() + CONNECT_SECONDS + self._endpoint.read_seconds
        with session:
            for _ in range(1 + MAX_HOPS):
                left = max(0.1, deadline - time.monotonic())
                following = self._one_request(session, address, left)
                if following is None:
                    return
                address = following

    def _one_request(self, session: requests.Session, address: str, left: float) -> str | None:
        """Send one GET; return the address to ask next, or None when this answer is the last."""
        prepared = session.prepare_request(requests.Request("GET", address))
        prepared.headers.update(self.request_headers)
        prepared.url = address  # as it is: requests would respell the cited part
        response = session.send(
            prepared,
            allow_redirects=False,
            stream=True,
            timeout=(min(CONNECT_SECONDS, left), min(self._endpoint.read_seconds, left)),
            verify=self._trust,
            proxies=session.proxies,
        )
        response.close()
        self.response, self.headers = response, response.headers
        self.status_code, self.response_url = response.status_code, address
        if self.status_code == 429:
            raise TooManyRequestsError("the archive throttles")
        if self.status_code == 509:
            raise WaybackError("the archive has no free session")
        location = join(address, response.headers.get("Location", ""))
        if not response.is_redirect or self._read(location) is not None:
            return None
        return location if _origin(location) in self._origins else None

    def archive_url_parser(self) -> str | None:
        """Return the capture's address that the last answer names, None when it names none."""
        status, headers = self.status_code or 0, self.headers
        if headers is None or status >= 400:
            return None
        named = [
            headers.get("Location", "") if status >= 300 else "",
            headers.get("Content-Location", ""),
            *_MEMENTO_LINK.findall(headers.get("Link", "")),
        ]
        for each in named:
            address = join(self.response_url or "", each) if each else ""
            if address and self._read(address) is not None:
                return address
        return None

    def timestamp(self) -> datetime:
        """Return when the capture was made, whatever the configured playback host."""
        address = self._read(str(self._archive_url))
        if address is None:
            raise ValueError("no capture address")
        self.cached_save = False
        return address.captured_at

    def _read(self, url: str) -> CaptureAddress | None:
        address = read_capture_url(url, self._endpoint.playback_url)
        return address if address is not None and is_stamp(address.stamp) else None


class AnonymousSaver:
    """Saves one page at a time, each in a thread of its own.

    waybackpy blocks; its thread must never be the event loop's or the default executor's (a
    hung call would starve name resolution), and the process must be able to end without it.
    """

    def __init__(self, endpoint: SaveEndpoint, clock: Clock) -> None:
        """Work through `endpoint`."""
        self._endpoint, self._clock = endpoint, clock
        self._turn = asyncio.Lock()

    async def submit(self, url: str) -> SubmitAnswer:
        """Ask for one capture of `url`; every outcome is data.

        Time-outs inside the call bound each wait for bytes; a server that trickles them is left
        behind after twice that, with an unknown outcome.
        """
        async with self._turn:
            loop = asyncio.get_running_loop()
            answer: asyncio.Future[SubmitAnswer] = loop.create_future()
            started = self._clock.now()

            def work() -> None:
                result = self._save(url, started)
                with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits
                    loop.call_soon_threadsafe(_resolve, answer, result)

            threading.Thread(target=work, name="anonymous-save", daemon=True).start()
            try:
                async with asyncio.timeout(2 * (CONNECT_SECONDS + self._endpoint.read_seconds)):
                    return await answer
            except TimeoutError:
                return SubmitAnswer(Outcome.UNKNOWN, code="timeout", trouble=Trouble.OUTAGE)

    def _save(self, url: str, started: datetime) -> SubmitAnswer:
        save = _HardenedSave(url, self._endpoint)
        try:
            return self._captured(save.save(), url, started, save.status_code)
        except Exception as error:  # whatever the libraries let through is an outcome too
            return _without_capture(error, save, started)

    def _captured(
        self, archive_url: str, url: str, started: datetime, status: int | None
    ) -> SubmitAnswer:
        """Name the capture, as an address of ours; one of another URL only says "look it up"."""
        base = self._endpoint.playback_url
        address = read_capture_url(archive_url, base)
        if address is None or capture_identity(address.original) != capture_identity(url):
            return SubmitAnswer(Outcome.RECENT, status, code="captured-as-another-url")
        capture = Capture(
            captured_at=address.captured_at,
            archive_url=capture_url(base, address.stamp, address.original),
            original_url=address.original,
            status=None,
            source="anonymous",
        )
        old = address.captured_at < started - RECENT_AFTER
        return SubmitAnswer(Outcome.RECENT if old else Outcome.CAPTURED, status, capture=capture)


def _resolve(answer: asyncio.Future[SubmitAnswer], result: SubmitAnswer) -> None:
    if not answer.done():
        answer.set_result(result)


# What an answer without a capture means: status → (outcome, code, trouble). Reference wayback
# §1.4; everything that is not in the table is an unknown outcome and an outage (case K). 404
# and 520 are ordinary answers to anonymous saving (§0.1): of unknown outcome, but no outage.
_STATUSES: dict[int, tuple[Outcome, str, Trouble]] = {
    400: (Outcome.REFUSED, "bad-request", Trouble.NONE),
    401: (Outcome.REFUSED, "login-required", Trouble.KEYS),
    403: (Outcome.REFUSED, "login-required", Trouble.KEYS),
    404: (Outcome.UNKNOWN, "http-404", Trouble.NONE),
    520: (Outcome.UNKNOWN, "http-520", Trouble.NONE),
    429: (Outcome.THROTTLED, "http-429", Trouble.THROTTLED),
    509: (Outcome.THROTTLED, "user-session-limit", Trouble.SLOTS),
}


def _without_capture(error: Exception, save: _HardenedSave, started: datetime) -> SubmitAnswer:
    """Map what waybackpy or requests raised to an outcome; in doubt it is unknown."""
    status = save.status_code
    headers = {name.lower(): value for name, value in (save.headers or {}).items()}
    pause = retry_after(headers, started)
    if isinstance(error, WaybackError):
        outcome, code, trouble = _STATUSES.get(
            status or 0, (Outcome.UNKNOWN, f"http-{status}", Trouble.OUTAGE)
        )
        return SubmitAnswer(outcome, status, code=code, trouble=trouble, retry_after=pause)
    if status is None and _never_sent(error):
        refused = _errno_in(error) == errno.ECONNREFUSED
        trouble = Trouble.REFUSED if refused else Trouble.OUTAGE
        return SubmitAnswer(Outcome.FAILED, None, code="unreachable", trouble=trouble)
    word = "timeout" if isinstance(error, requests.Timeout) else "broken"
    return SubmitAnswer(Outcome.UNKNOWN, status, code=word, trouble=Trouble.OUTAGE)


def _never_sent(error: Exception) -> bool:
    """Say whether the connection itself failed, so that the archive cannot have heard us."""
    if isinstance(error, requests.ConnectTimeout | requests.exceptions.SSLError):
        return True
    if isinstance(error, requests.exceptions.ProxyError | requests.exceptions.InvalidURL):
        return True
    names = {type(each).__name__ for each in _chain(error)}
    return bool(names & {"NewConnectionError", "NameResolutionError"})


def _errno_in(error: BaseException) -> int | None:
    return next(
        (each.errno for each in _chain(error) if isinstance(each, OSError) and each.errno), None
    )


def _chain(error: BaseException) -> Sequence[BaseException]:
    """Return the causes of an error: its context, its arguments and their `reason`."""
    found: list[BaseException] = []
    todo: list[object] = [error]
    while todo and len(found) < 20:
        each = todo.pop()
        if isinstance(each, BaseException) and each not in found:
            found.append(each)
            todo += [each.__cause__, each.__context__, getattr(each, "reason", None), *each.args]
    return found


def _origin(url: str) -> tuple[str, int | None]:
    if not is_http(url):
        return "", None
    parts = urlsplit(url)
    return (parts.hostname or "").lower(), parts.port or {"http": 80, "https": 443}[parts.scheme]
