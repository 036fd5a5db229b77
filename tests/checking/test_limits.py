"""Bombs, endless and trickling answers: memory and time stay flat (law 7)."""

from __future__ import annotations

import asyncio
import json
import sys
import zlib

import pytest

from tests.checking.servers import OK, Behaviour, Connection, RawServer, answering

MIB = 1024 * 1024

# Looks at the addresses given, one after the other, and prints for each how it ended, how long
# it took, and by how many KiB the peak of the process' memory had grown since the first.
CHILD = """
import asyncio, json, sys, time
from archiver.checking.fetch import Fetcher
from archiver.checking.lanes import Lanes
from archiver.clock import SystemClock
from archiver.config import CheckSettings, NetworkSettings
from archiver.model import PageFacts

def read(body, content_type, /, *, truncated, url):
    return PageFacts(title=body[:10].decode("latin-1"), text_length=len(body), truncated=truncated)

def peak():
    # Not getrusage: its peak includes the parent's, from before this program was started.
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

async def main(urls):
    check = CheckSettings(host_delay="0s", timeout="2s", connect_timeout="1s")
    clock = SystemClock()
    network = NetworkSettings(allow_private=["127.0.0.0/8"])
    async with Fetcher(check, network, {}, clock, Lanes(check, {}, clock)) as fetcher:
        for url in urls:
            started = time.monotonic()
            seen = await fetcher.look(url, on_page=read)
            if url is urls[0]:
                base = peak()
            page = seen.page
            print(json.dumps({
                "status": seen.status, "error": seen.error,
                "length": page.text_length if page else None,
                "truncated": page.truncated if page else None,
                "seconds": time.monotonic() - started, "grown": peak() - base,
            }))

asyncio.run(main(sys.argv[1:]))
"""


def _bomb(coding: str) -> bytes:
    packer = zlib.compressobj(9, wbits=31 if coding == "gzip" else 15)
    packed = b"".join(packer.compress(bytes(MIB)) for _ in range(100)) + packer.flush()
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {len(packed)}\r\n\r\n"
    return head.encode() + packed


async def _pour(connection: Connection, head: bytes, piece: bytes) -> None:
    await connection.send(head)
    while True:
        await connection.send(piece)


def _endless(head: bytes, piece: bytes) -> Behaviour:
    return lambda connection: _pour(connection, head, piece)


async def _trickle(connection: Connection) -> None:
    await connection.send(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        await connection.send(b".")
        await asyncio.sleep(0.02)


PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"
# behaviour, status, error, length of the body taken, longest time in seconds
CASES: dict[str, tuple[Behaviour, int | None, str | None, int | None, float]] = {
    "a bomb of 100 MB, gzip": (answering(_bomb("gzip")), 200, None, 512 * 1024, 1.5),
    "a bomb of 100 MB, deflate": (answering(_bomb("deflate")), 200, None, 512 * 1024, 1.5),
    "a body without end": (_endless(PAGE, b"x" * 65536), 200, None, 512 * 1024, 1.5),
    "chunks without end": (
        _endless(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"10000\r\n" + b"x" * 65536 + b"\r\n",
        ),
        200,
        None,
        512 * 1024,
        1.5,
    ),
    "the smallest chunks without end": (
        _endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 4096),
        200,
        None,
        None,
        3.0,
    ),
    "headers without end": (
        _endless(b"HTTP/1.1 200 OK\r\n", b"X-A: " + b"a" * 1000 + b"\r\n"),
        None,
        "unreadable-http",
        None,
        1.5,
    ),
    "one header without end": (
        _endless(b"HTTP/1.1 200 OK\r\nX-A: ", b"a" * 65536),
        None,
        "unreadable-http",
        None,
        1.5,
    ),
    "a status line without end": (
        _endless(b"HTTP/1.1 200 ", b"O" * 65536),
        None,
        "unreadable-http",
        None,
        1.5,
    ),
    "a redirect with a body without end": (
        _endless(b"HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/\r\n\r\n", b"x" * 65536),
        None,
        "private-address",
        None,
        1.5,
    ),
    "a trickle without end": (_trickle, 200, None, None, 3.0),
    "informational answers without end": (
        _endless(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 100),
        None,
        "unreadable-http",
        None,
        1.5,
    ),
}


async def test_hostile_answers_take_neither_memory_nor_time() -> None:
    servers = [RawServer(answering(OK)), *(RawServer(case[0]) for case in CASES.values())]
    urls = []
    for server in servers:
        await server.__aenter__()
        urls.append(server.url())
    try:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", CHILD, *urls),
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            output, _ = await asyncio.wait_for(child.communicate(), timeout=30)
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
    finally:
        for server in servers:
            await server.__aexit__()
    _, *found = [json.loads(line) for line in output.splitlines()]
    assert len(found) == len(CASES)
    for (name, (_, status, error, length, seconds)), seen in zip(CASES.items(), found, strict=True):
        assert (name, seen["status"], seen["error"]) == (name, status, error)
        if length is not None:
            assert (name, seen["length"], seen["truncated"]) == (name, length, True)
        assert seen["seconds"] < seconds, name
        assert seen["grown"] < 24 * 1024, f"{name}: {seen['grown']} KiB"


@pytest.mark.parametrize("size", [512 * 1024, 512 * 1024 + 1])
async def test_a_body_is_cut_exactly_at_the_limit(size: int) -> None:
    from tests.checking.servers import fetching, look, status_line

    async with RawServer(answering(status_line("200 OK", body=b"x" * size))) as server:
        async with fetching() as fetcher:
            seen = await look(fetcher, server.url())
        assert seen.page is not None
        assert seen.page.text_length == 512 * 1024
        assert seen.page.truncated is (size > 512 * 1024)
