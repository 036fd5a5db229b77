"""The wire of the small web: one HTTP request read, one outcome delivered, well or badly.

Written on plain asyncio streams, because an honest web framework refuses to send what broken
servers send. Every connection serves one request and has a deadline.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from http import HTTPStatus

from archiver.demo.behaviours import Answer, Delivery, Fault
from archiver.records import record

HEAD_LIMIT = 64 * 1024
ENDLESS_LIMIT = 64 * 1024 * 1024
_CHUNK = 64 * 1024


@record
class Request:
    """The head of a request, as far as behaviours care."""

    host: str
    target: str
    cookie: str


@record
class Pace:
    """How long bad servers take, in real seconds.

    `hold` bounds every connection; `drip` lies between two pieces of a slow or trickling answer.
    """

    hold: float = 4.0
    drip: float = 0.05


ORDINARY_PACE = Pace()


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """Read one request head; None when the peer spoke no HTTP or left."""
    try:
        first = await reader.readexactly(1)
        if not first.isalpha():  # a TLS handshake at a plain door waits for an answer
            return None
        head = first + await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
        return None
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3:
        return None
    fields = {
        name.strip().lower(): value.strip()
        for name, colon, value in (line.partition(":") for line in lines[1:])
        if colon
    }
    host = fields.get("host", "").lower().partition(":")[0].rstrip(".")
    return Request(host, words[1], fields.get("cookie", ""))


async def deliver(
    outcome: Answer | Fault,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    pace: Pace,
) -> None:
    """Put an outcome on the wire; returns when all is sent or the client has left."""
    if isinstance(outcome, Fault):
        await _fail(outcome, reader, writer, pace)
        return
    if outcome.delivery is Delivery.OLD_FASHIONED:
        # HTTP/1.0, bare line feeds, no reason phrase: legal enough to be read everywhere.
        writer.write(_head(outcome, None).replace(b"\r\n", b"\n").replace(b"HTTP/1.1", b"HTTP/1.0"))
        writer.write(outcome.body)
    elif outcome.delivery is Delivery.VERBATIM:
        writer.write(outcome.body)
    elif outcome.delivery is Delivery.WHOLE:
        writer.write(_head(outcome, len(outcome.body)) + outcome.body)
    else:
        await _deliver_badly(outcome, reader, writer, pace)
    await writer.drain()


def _head(answer: Answer, length: int | None) -> bytes:
    try:
        reason = HTTPStatus(answer.status).phrase
    except ValueError:
        reason = ""
    lines = [f"HTTP/1.1 {answer.status} {reason}".rstrip()]
    lines += [f"{name}: {value}" for name, value in answer.headers]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    lines += ["Connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1", "replace")


async def _deliver_badly(
    answer: Answer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pace: Pace
) -> None:
    body = answer.body
    if answer.delivery is Delivery.SLOW:
        writer.write(_head(answer, len(body)))
        size = len(body) // 6 + 1
        for start in range(0, len(body), size):
            await asyncio.sleep(pace.drip)
            writer.write(body[start : start + size])
            await writer.drain()
    elif answer.delivery is Delivery.CUT_SHORT:
        writer.write(_head(answer, len(body) + 4096) + body)
    elif answer.delivery is Delivery.ENDLESS:
        writer.write(_head(answer, None) + body)
        filler = (b"<p>and so on, and so on</p>\n" * (_CHUNK // 28))[:_CHUNK]
        for _ in range(ENDLESS_LIMIT // _CHUNK):
            writer.write(filler)
            await writer.drain()
    else:
        writer.write(_head(answer, len(body) + 10_000_000) + body)
        await _drip(b"<!-- a little more -->\n", reader, writer, pace)


async def _fail(
    fault: Fault, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pace: Pace
) -> None:
    if fault is Fault.RESET:
        # A linger time of zero makes the kernel send RST instead of FIN.
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    elif fault is Fault.UNREADABLE:
        writer.write(b"ICY 2OO all is well\x00\r\nno colon in this line\r\n\r\n")
        await writer.drain()
    elif fault is Fault.TRICKLING_HEADERS:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        await _drip(b"X-And-So-On: 1\r\n", reader, writer, pace)
    elif fault is Fault.EMPTY:
        return
    else:
        await reader.read()


async def _drip(
    piece: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pace: Pace
) -> None:
    """Send a piece again and again until the client leaves (or the deadline of the caller)."""
    while not reader.at_eof():
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(pace.drip)
