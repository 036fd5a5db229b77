"""The wire: only the configured places, bounded, and every failure a word."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from archiver.archiving.anonymous import AnonymousSaver, SaveEndpoint
from archiver.archiving.answers import Outcome, Trouble
from archiver.archiving.wire import ArchiveWire, Failure, retry_after
from archiver.clock import SystemClock
from archiver.demo.certificates import Certificate, make_contexts
from archiver.demo.wayback import Scripted
from tests.archiving.conftest import START, World

SECOND = timedelta(seconds=1)


async def test_nothing_but_the_endpoints_is_ever_asked(world: World) -> None:
    for url in ("http://127.0.0.1:1/", "https://web.archive.org/", "ftp://x/", "", "http://[x"):
        assert not world.wire.trusts(url)
        with pytest.raises(ValueError, match="endpoint"):
            await world.wire.read(url, within=SECOND, limit=10)
    assert world.archive.requests == []


async def test_a_body_is_cut_at_its_limit(world: World) -> None:
    world.archive.script("cdx", "", Scripted(200, b"x" * 5_000_000))
    answer = await world.wire.read(world.archive.cdx_url, within=5 * SECOND, limit=1000)
    assert (len(answer.body), answer.truncated) == (1000, True)


async def test_links_in_a_field_each_are_all_there() -> None:
    answer = (
        b'HTTP/1.1 200 OK\r\nLink: <https://a.example/>; rel="original"\r\n'
        b'Link: <https://b.example/map>; rel="timemap"\r\nContent-Length: 0\r\n\r\n'
    )
    async with server(answer) as url, ArchiveWire([url], user_agent="test") as wire:
        raw = await wire.read(url, within=SECOND, limit=1000)
    assert raw.headers["link"].count("rel=") == 2


async def test_silence_ends_at_the_deadline(world: World) -> None:
    world.archive.script("cdx", "", Scripted(hang=3))
    answer = await world.wire.read(world.archive.cdx_url, within=0.2 * SECOND, limit=1000)
    assert answer.failure is Failure.TIMEOUT


@contextlib.asynccontextmanager
async def server(*chunks: bytes, pause: float = 0.0) -> AsyncIterator[str]:
    """Serve one connection with these bytes, `pause` seconds before each but the first."""
    done = asyncio.Event()

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            for chunk in chunks:
                writer.write(chunk)
                await asyncio.sleep(pause)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            done.set()

    listening = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
        await asyncio.wait_for(done.wait(), 3)


async def test_a_trickle_ends_at_the_deadline_too() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    trickle = [head, *[b"x"] * 10]
    async with server(*trickle, pause=0.05) as url, ArchiveWire([url], user_agent="x") as wire:
        answer = await wire.ask("GET", url, within=0.2 * SECOND, limit=5000)
    assert answer.failure is Failure.TIMEOUT


@pytest.mark.parametrize("noise", [b"", b"\x00\xff garbage\r\n\r\n", b"HTTP/1.1 200"])
async def test_noise_is_a_broken_answer(noise: bytes) -> None:
    async with server(noise) as url, ArchiveWire([url], user_agent="x") as wire:
        answer = await wire.ask("GET", url, within=2 * SECOND, limit=5000)
    assert answer.failure is Failure.BROKEN


async def test_a_name_that_does_not_exist_means_nothing_was_sent() -> None:
    url = "http://archive.invalid/"
    async with ArchiveWire([url], user_agent="x") as wire:
        answer = await wire.ask("GET", url, within=3 * SECOND, limit=10)
    assert answer.failure is Failure.UNREACHABLE


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        (" 120 ", 120),
        ("0", 0),
        ("99999999999999999999", 3600),
        ("Mon, 01 Jun 2026 12:10:00 GMT", 600),
        ("Mon, 01 Jun 2026 11:00:00 GMT", 0),
        ("Mon, 01 Jun 2027 11:00:00 GMT", 3600),
        ("soon", None),
        ("-5", None),
        ("", None),
        ("１２", None),
    ],
)
def test_retry_after_is_read_in_both_forms(text: str, seconds: int | None) -> None:
    assert retry_after({"retry-after": text}, START) == seconds


@given(st.text(max_size=40))
def test_reading_retry_after_is_total(text: str) -> None:
    value = retry_after({"retry-after": text}, datetime(2026, 1, 1, tzinfo=UTC))
    assert value is None or 0 <= value <= 3600


# ------------------------------------------------------------------------- TLS


async def test_the_operators_certificates_count_for_saving_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "https://news.example/story"

    async def save(request: web.Request) -> web.Response:
        return web.Response(headers={"Content-Location": f"/web/20260601120000/{url}"})

    contexts = make_contexts(tmp_path, {Certificate.GOOD: ["localhost"]})
    application = web.Application()
    application.router.add_get("/{tail:.*}", save)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    context = contexts[Certificate.GOOD]
    await web.TCPSite(runner, "localhost", 0, ssl_context=context).start()
    origin = f"https://localhost:{runner.addresses[0][1]}"
    plain = SaveEndpoint(f"{origin}/save", f"{origin}/web", "test", read_seconds=5.0)
    try:
        refused = await AnonymousSaver(plain, SystemClock()).submit(url)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        trusted = await AnonymousSaver(plain, SystemClock()).submit(url)
        trust = ssl.create_default_context()
        async with ArchiveWire([origin], user_agent="x", trust=trust) as wire:
            read = await wire.ask("GET", origin + "/a", within=5 * SECOND, limit=10)
    finally:
        await runner.cleanup()
    assert (refused.outcome, refused.code, refused.trouble) == (
        Outcome.FAILED,
        "unreachable",
        Trouble.OUTAGE,
    )
    assert trusted.capture is not None
    assert read.status == 200
