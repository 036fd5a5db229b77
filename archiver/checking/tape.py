"""A look on tape: what was sent and received, as transferred, for copies of our own.

An ordinary look keeps facts and throws the page away. Where a copy is wanted, the same journey
runs with a `Tape`: every answer is kept with its request, bodies still encoded as they came
(only the chunked framing is undone) and on disk once they are long, so that many at a time
cost little memory.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO

import aiohttp

_PIECE = 64 * 1024
# A redirect's body is a line of text; what comes beyond this is cut and called so.
_MAX_REDIRECT_BODY = 64 * 1024
# zlib's window bits: a gzip or zlib header is recognised; the other is a bare deflate stream.
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32
_BARE_DEFLATE = -zlib.MAX_WBITS
_DECODED = frozenset({"gzip", "x-gzip", "deflate"})

HeaderLines = tuple[tuple[bytes, bytes], ...]


class TapeTrouble(Exception):
    """What came could not be kept: the disk, not the server."""


@dataclass(slots=True)
class Recorded:
    """One request and its answer.

    `request_line` and `status_line` are without their line ends; `body` is a file at its
    start, the body as transferred but without chunked framing. `cut` tells why it is not the
    whole body, in the words of WARC-Truncated: `length`, `time`, `disconnect`, or "".
    """

    url: str
    at: datetime
    request_line: str
    request_headers: HeaderLines
    status: int
    status_line: str
    headers: HeaderLines
    address: str | None
    body: IO[bytes]
    length: int = 0
    cut: str = ""


@dataclass(slots=True)
class Tape:
    """What one journey sent and received; close it when the bodies are no longer needed.

    `limit` is in bytes, of one body as transferred; `spool` opens a file for a body.
    """

    limit: int
    spool: Callable[[], IO[bytes]]
    now: Callable[[], datetime]
    exchanges: list[Recorded] = field(default_factory=list)

    def begin(self, wire: str, response: aiohttp.ClientResponse, address: str | None) -> TapedBody:
        """Begin to record an answer whose body has not been read yet."""
        request = response.request_info
        version = response.version or aiohttp.HttpVersion11
        recorded = Recorded(
            url=wire,
            at=self.now(),
            request_line=f"{request.method} {request.url.raw_path_qs} HTTP/1.1",
            request_headers=tuple(_sent(request.headers.items())),
            status=response.status,
            status_line=(
                f"HTTP/{version.major}.{version.minor} {response.status} {response.reason or ''}"
            ).rstrip(),
            headers=response.raw_headers,
            address=address,
            body=self._spool(),
        )
        self.exchanges.append(recorded)
        leads_on = 300 < response.status < 400 and "Location" in response.headers
        return TapedBody(recorded, min(self.limit, _MAX_REDIRECT_BODY) if leads_on else self.limit)

    def _spool(self) -> IO[bytes]:
        try:
            return self.spool()
        except OSError as error:
            raise TapeTrouble(str(error)) from error

    def close(self) -> None:
        """Throw the bodies away."""
        for recorded in self.exchanges:
            recorded.body.close()


def _sent(headers: Iterable[tuple[str, str]]) -> Iterator[tuple[bytes, bytes]]:
    """Yield the headers that reached the server; those for our own proxy are nobody's business."""
    for name, value in headers:
        if not name.lower().startswith("proxy-"):
            yield name.encode("latin-1", "replace"), value.encode("utf-8", "surrogateescape")


class TapedBody:
    """A body on its way onto a tape."""

    def __init__(self, recorded: Recorded, limit: int) -> None:
        """Record up to `limit` bytes."""
        self._recorded = recorded
        self._limit = limit

    async def read(self, response: aiohttp.ClientResponse) -> None:
        """Read the body, still encoded, up to the limit."""
        recorded = self._recorded
        async for piece in response.content.iter_chunked(_PIECE):
            kept = piece[: self._limit - recorded.length]
            try:
                recorded.body.write(kept)
            except OSError as error:
                raise TapeTrouble(str(error)) from error
            recorded.length += len(kept)
            if len(kept) < len(piece):
                recorded.cut = "length"
                return

    def break_off(self, error: BaseException) -> None:
        """Note that the body ended too early."""
        self._recorded.cut = "time" if isinstance(error, TimeoutError) else "disconnect"

    def decoded(self, limit: int) -> tuple[bytes, bool, bool]:
        """Return (the first `limit` bytes decoded, is there more, could it not be decoded).

        Never decodes more than `limit` bytes, whatever the encoding would expand to.
        """
        body = self._recorded.body
        body.seek(0)
        try:
            encodings = self._encodings()
            if not encodings:
                found = body.read(limit + 1)
                return found[:limit], self._is_cut or len(found) > limit, False
            if len(encodings) > 1 or encodings[0] not in _DECODED:
                return b"", False, True
            found, broken = _inflated(body, encodings[0], limit)
            return found[:limit], self._is_cut or len(found) > limit, broken
        finally:
            body.seek(0)

    @property
    def _is_cut(self) -> bool:
        return self._recorded.cut == "length"

    def _encodings(self) -> list[str]:
        values = (
            value.decode("latin-1").lower()
            for name, value in self._recorded.headers
            if name.lower() == b"content-encoding"
        )
        words = (word.strip() for value in values for word in value.split(","))
        return [word for word in words if word not in ("", "identity")]


def _inflated(body: IO[bytes], encoding: str, limit: int) -> tuple[bytes, bool]:
    first = body.read(_PIECE)
    # Servers disagree on what "deflate" is; a zlib stream begins with method 8.
    bare = encoding == "deflate" and first[:1] != b"" and first[0] & 0x0F != 8
    engine = zlib.decompressobj(_BARE_DEFLATE if bare else _GZIP_OR_ZLIB)
    found, broken = b"", False
    for piece in _pieces(first, body):
        try:
            found += engine.decompress(piece, limit + 1 - len(found))
        except zlib.error:
            broken = True
            break
        if len(found) > limit or engine.eof:
            break
    return found, broken


def _pieces(first: bytes, body: IO[bytes]) -> Iterator[bytes]:
    piece = first
    while piece:
        yield piece
        piece = body.read(_PIECE)
