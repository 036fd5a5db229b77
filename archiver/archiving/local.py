"""Copies of our own: WARC 1.1 files (ISO 28500:2017), written so that a crash costs nothing.

One gzip member a record, so that a file and an offset lead straight to a page. A file is called
`….warc.gz.open` while it grows; what was acknowledged is on the disk (`fsync`), and closing
renames it. Nothing here fetches: exchanges come in as they went over the wire.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from base64 import b32encode
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Protocol

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from archiver.clock import to_stamp
from archiver.records import record

OPEN = ".open"
_PIECE = 256 * 1024
_WARC_INFO = {
    "format": "WARC File Format 1.1",
    "conformsTo": "http://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/",
    "description": "Copies of cited pages, made because no archive had a verified capture.",
}
# The stored body has no chunked framing any more, and may have been cut: these two would make
# a player wait for what is not there (reference wayback §8.1). Their values stay readable.
_RENAMED = "X-Orig-"


class Exchange(Protocol):
    """One request and its answer, as they went over the wire.

    `body` is a file at its start, without chunked framing; `cut` is "" or why it is not whole,
    in the words of WARC-Truncated (`length`, `time`, `disconnect`).
    """

    @property
    def url(self) -> str:
        """Return the address that was asked."""

    @property
    def at(self) -> datetime:
        """Return when the answer began."""

    @property
    def request_line(self) -> str:
        """Return the request line without its end."""

    @property
    def request_headers(self) -> Sequence[tuple[bytes, bytes]]:
        """Return the header fields that were sent."""

    @property
    def status(self) -> int:
        """Return the status code."""

    @property
    def status_line(self) -> str:
        """Return the status line without its end."""

    @property
    def headers(self) -> Sequence[tuple[bytes, bytes]]:
        """Return the header fields that came."""

    @property
    def address(self) -> str | None:
        """Return the server's IP address, where it is known."""

    @property
    def body(self) -> IO[bytes]:
        """Return the body."""

    @property
    def length(self) -> int:
        """Return the body's length in bytes."""

    @property
    def cut(self) -> str:
        """Return why the body is not whole, or ""."""


@record
class Earlier:
    """An earlier record with the same payload, to which a revisit refers."""

    url: str
    captured_at: datetime


@record
class StoredRecord:
    """A response (or revisit) as it stands in a file; `offset` and `length` in bytes."""

    url: str
    captured_at: datetime
    status: int
    kind: str
    offset: int
    length: int
    digest: str
    cut: str


def new_name(now: datetime) -> str:
    """Return a file name that nobody else will choose, sortable by time."""
    stamp = to_stamp(now).translate(str.maketrans("", "", "-:TZ"))
    return f"archiver-{stamp}-{secrets.token_hex(4)}.warc.gz"


def payload_digest(exchange: Exchange) -> str:
    """Return `sha1:` and the base32 of the body as transferred, as WARC tools write it."""
    digest = hashlib.sha1(usedforsecurity=False)
    exchange.body.seek(0)
    while piece := exchange.body.read(_PIECE):
        digest.update(piece)
    exchange.body.seek(0)
    return "sha1:" + b32encode(digest.digest()).decode("ascii")


def may_be_revisit(exchange: Exchange) -> bool:
    """Say whether a known payload may stand in for this body: whole, and not empty."""
    return exchange.length > 0 and not exchange.cut


class CopyFile:
    """One WARC file that grows, from its creation to its renaming."""

    def __init__(self, directory: Path, name: str, *, software: str) -> None:
        """Create `name` in a folder under its open name; raise OSError when that fails."""
        directory.mkdir(parents=True, exist_ok=True)
        self.name = name
        self._path = directory / name
        self._file = (directory / (name + OPEN)).open("xb")
        self._writer = WARCWriter(self._file, gzip=True, warc_version="1.1")
        information = self._writer.create_warcinfo_record(
            name, {"software": software, **_WARC_INFO}
        )
        self._information_id = information.rec_headers.get_header("WARC-Record-ID")
        self._writer.write_record(information)
        self._to_disk()
        self.size = self._file.tell()

    def write(
        self, exchanges: Iterable[Exchange], earlier: Mapping[str, Earlier]
    ) -> list[StoredRecord]:
        """Write a response (or a revisit of `earlier`, by digest) and a request for each.

        All of them are on the disk when this returns, or none: raises OSError, the file as long
        as before.
        """
        try:
            stored = [self._write_one(exchange, earlier) for exchange in exchanges]
            self._to_disk()
        except BaseException:
            with contextlib.suppress(OSError):
                self._file.flush()
            self._file.seek(self.size)
            self._file.truncate()
            raise
        self.size = self._file.tell()
        return stored

    def _write_one(self, exchange: Exchange, earlier: Mapping[str, Earlier]) -> StoredRecord:
        digest = payload_digest(exchange)
        known = earlier.get(digest) if may_be_revisit(exchange) else None
        offset = self._file.tell()
        record_id = self._write_response(exchange, digest, known)
        length = self._file.tell() - offset
        self._write_request(exchange, record_id)
        return StoredRecord(
            exchange.url,
            exchange.at,
            exchange.status,
            "response" if known is None else "revisit",
            offset,
            length,
            digest,
            exchange.cut,
        )

    def _write_response(self, exchange: Exchange, digest: str, known: Earlier | None) -> str:
        fields = self._fields(exchange)
        if exchange.address:
            fields["WARC-IP-Address"] = exchange.address
        http = _AsSent(exchange.status_line, playable_headers(exchange))
        if known is None:
            if exchange.cut:
                fields["WARC-Truncated"] = exchange.cut
            record = self._writer.create_warc_record(
                exchange.url,
                "response",
                payload=exchange.body,
                length=exchange.length,
                http_headers=http,
                warc_headers_dict={**fields, "WARC-Payload-Digest": digest},
            )
        else:
            record = self._writer.create_revisit_record(
                exchange.url,
                digest,
                known.url,
                to_stamp(known.captured_at),
                http_headers=http,
                warc_headers_dict=fields,
            )
        self._writer.write_record(record)
        return str(record.rec_headers.get_header("WARC-Record-ID"))

    def _write_request(self, exchange: Exchange, response_id: str) -> None:
        record = self._writer.create_warc_record(
            exchange.url,
            "request",
            http_headers=_AsSent(exchange.request_line, exchange.request_headers),
            warc_headers_dict={**self._fields(exchange), "WARC-Concurrent-To": response_id},
        )
        self._writer.write_record(record)

    def _fields(self, exchange: Exchange) -> dict[str, str]:
        return {"WARC-Date": to_stamp(exchange.at), "WARC-Warcinfo-ID": self._information_id}

    def _to_disk(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Give the file its final name; raise OSError when that fails."""
        self._file.close()
        finish(self._path, self.size)


def finish(path: Path, size: int) -> bool:
    """Cut a file of `size` acknowledged bytes there and give it its final name, for good.

    Also mends what a killed process left: bytes that were never acknowledged are cut off.
    Returns False when there is no such file, or it is shorter: then it is left alone.
    """
    growing = path.with_name(path.name + OPEN)
    try:
        with growing.open("r+b") as file:
            if os.fstat(file.fileno()).st_size < size:
                return False
            file.truncate(size)
            os.fsync(file.fileno())
    except FileNotFoundError:
        return path.exists()
    growing.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return True


def playable_headers(exchange: Exchange) -> list[tuple[bytes, bytes]]:
    """Return the answer's header fields so that the body stored with them can be played."""
    renamed = {b"transfer-encoding"}
    declared = {value.strip() for name, value in exchange.headers if _is(name, b"content-length")}
    if declared - {str(exchange.length).encode("ascii")}:
        renamed.add(b"content-length")
    return [
        (_RENAMED.encode("ascii") + name if name.lower() in renamed else name, value)
        for name, value in exchange.headers
    ]


def _is(name: bytes, wanted: bytes) -> bool:
    return name.lower() == wanted


class _AsSent(StatusAndHeaders):  # type: ignore[misc, unused-ignore]
    """The head of a message, byte for byte: warcio alone would percent-encode what is not ASCII."""

    def __init__(self, first_line: str, headers: Iterable[tuple[bytes, bytes]]) -> None:
        protocol, _, rest = first_line.partition(" ")
        lines = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
        super().__init__(_as_latin(rest), lines, protocol=_as_latin(protocol))

    def compute_headers_buffer(self, header_filter: object = None) -> None:
        """Keep the head as bytes."""
        self.headers_buff = self.to_str(header_filter).encode("latin-1") + b"\r\n"


def _as_latin(text: str) -> str:
    """Return text whose Latin-1 bytes are the ones that came, however aiohttp decoded them."""
    return text.encode("utf-8", "surrogateescape").decode("latin-1")
