"""The body of an answer under way: within its limit, and onto a tape where a copy is wanted."""

from __future__ import annotations

import aiohttp

from archiver.checking.resolver import Exchange
from archiver.checking.tape import Tape, TapedBody


class Body:
    """A body under way: what came, whether it was cut at the limit, whether it broke off."""

    __slots__ = (
        *("_length", "_limit", "_pieces", "_tape", "_taped", "_wire"),
        *("broken", "exchange", "truncated"),
    )

    def __init__(self, limit: int, wire: str, exchange: Exchange, tape: Tape | None) -> None:
        """Read up to `limit` bytes of the answer of one exchange, or onto a tape."""
        self._limit = limit
        self._wire = wire
        self._tape = tape
        self._taped: TapedBody | None = None
        self._pieces: list[bytes] = []
        self._length = 0
        self.exchange = exchange
        self.truncated = False
        self.broken = False

    @property
    def taped(self) -> bool:
        """Say whether a tape keeps this body, so that it must come undecoded."""
        return self._tape is not None

    async def read(self, response: aiohttp.ClientResponse) -> None:
        """Read until the end or the limit."""
        if self._tape is not None:
            self._taped = self._tape.begin(self._wire, response, self.exchange.address)
            await self._taped.read(response)
            return
        content = response.content
        while piece := await content.readany():
            self._pieces.append(piece)
            self._length += len(piece)
            if self._length > self._limit:
                self.truncated = True
                return

    def break_off(self, error: BaseException) -> None:
        """Note that the body ended too early."""
        self.broken = True
        if self._taped is not None:
            self._taped.break_off(error)

    def content(self) -> bytes:
        """Return what was read, decoded; only then `truncated` and `broken` are final."""
        if self._taped is not None:
            content, self.truncated, unreadable = self._taped.decoded(self._limit)
            self.broken |= unreadable
            return content
        return b"".join(self._pieces)[: self._limit]
