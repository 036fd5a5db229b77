"""One look under way: where it has come, what it may still spend, what it has seen."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from aiohttp import CookieJar
from yarl import URL

from archiver.checking.tape import Tape
from archiver.checking.wire import Answer
from archiver.model import Hop, Observation
from archiver.text import shown
from archiver.urls import Address

# The header fields rules read (reference checking §4.1, §7.2) and people ask for.
KEPT_HEADERS = frozenset(
    {
        *("server", "via", "date", "content-type", "content-encoding", "content-length"),
        *("content-disposition", "last-modified", "location", "refresh", "x-robots-tag"),
        *("retry-after", "ratelimit", "x-ratelimit-remaining", "x-ratelimit-reset"),
        *("cf-mitigated", "cf-ray", "akamai-cache-status", "x-dd-b", "x-datadome-cid"),
        *("x-datadome", "x-px-authorization", "x-cdn", "x-iinfo", "x-amzn-waf-action"),
        *("x-cache", "x-kpsdk-ct", "x-kasada", "x-vercel-mitigated", "x-sucuri-block"),
        *("x-sucuri-id", "x-networkmanager-status"),
    }
)
_KEPT_LENGTH = 200
# Hops that quarrel for the whole time limit would each get a sliver; none is worth less.
_LEAST_SECONDS = 0.05


class Limits(NamedTuple):
    """What one look may spend: seconds on the network, redirects, bytes (None: as configured)."""

    seconds: float
    max_redirects: int
    max_body: int | None = None


class NotWanted(Exception):
    """By the time its turn came nobody wanted this look any more; nothing was sent."""


class Journey:
    """One look under way."""

    def __init__(
        self,
        address: Address,
        limits: Limits,
        tape: Tape | None = None,
        begin: Callable[[], bool] | None = None,
    ) -> None:
        """Begin at an address with so much to spend."""
        self.cited = address.wire
        self.address = address
        self.seconds, self.max_redirects, self.max_body = limits
        self.tape = tape
        self._begin = begin
        self.looked_at: datetime | None = None
        self.spent = 0.0
        self.hops: list[Hop] = []
        self.addresses: list[frozenset[str]] = []
        self.jar: CookieJar | None = None
        self.fault: str | None = None
        self.tried_again = False
        self.seen: set[tuple[str, str]] = set()
        self.before_refresh: Observation | None = None
        self.end: Observation | None = None

    def begins(self, now: datetime) -> None:
        """Note when the first request goes out; raise `NotWanted` when none is to go out."""
        if self.looked_at is not None:
            return
        if self._begin is not None and not self._begin():
            raise NotWanted
        self.looked_at = now

    @property
    def left(self) -> float:
        """Return the seconds of network time that may still be spent."""
        return max(self.seconds - self.spent, _LEAST_SECONDS)

    def cookies(self) -> str:
        """Return the Cookie header for the present address, "" for none."""
        if self.jar is None:
            return ""
        found = self.jar.filter_cookies(URL(self.address.wire, encoded=True))
        return "; ".join(f"{one.key}={one.coded_value}" for one in found.values())

    def keep_cookies(self, lines: tuple[str, ...]) -> None:
        """Take the Set-Cookie lines of an answer of the present address."""
        if lines:
            if self.jar is None:
                # Unsafe: cookies of IP hosts count too; unquoted: values return as they came
                # (reference checking §5.2).
                self.jar = CookieJar(unsafe=True, quote_cookie=False)
            self.jar.update_cookies_from_headers(lines, URL(self.address.wire, encoded=True))

    def note_addresses(self, resolved: frozenset[str]) -> None:
        """Remember what a name on the way resolved to."""
        if resolved and resolved not in self.addresses:
            self.addresses.append(resolved)

    def observe(self, now: datetime, **facts: object) -> Observation:
        """Return what was seen so far, with further facts of the last answer."""
        return Observation(
            url=self.cited,
            looked_at=self.looked_at or now,
            final_url=self.address.wire,
            redirects=tuple(self.hops),
            duration=round(self.spent, 3),
            addresses=tuple(self.addresses),
            **facts,  # type: ignore[arg-type]
        )


def kept_headers(answer: Answer) -> dict[str, str]:
    """Return the header fields that rules read, cut short; of cookies the names alone."""
    kept = {
        name: value[:_KEPT_LENGTH] for name, value in answer.headers.items() if name in KEPT_HEADERS
    }
    if answer.set_cookie:
        # Names only: some tell who guards the page; values are nobody's business.
        names = (line.partition("=")[0].strip() for line in answer.set_cookie)
        kept["set-cookie"] = shown(", ".join(names), _KEPT_LENGTH)
    return kept
