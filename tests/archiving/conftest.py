"""A small web for the archive stand-in, clocks that jump, and the room's clients on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from archiver.archiving.cdx import IndexClient
from archiver.archiving.playback import PlaybackClient
from archiver.archiving.wire import ArchiveWire
from archiver.clock import RehearsalClock
from archiver.demo.seen import Seen
from archiver.demo.wayback import WaybackStandIn

STORY = "<title>A story</title>" + "<p>A line of the story that is told here.</p>" * 16
START = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


@dataclass
class Pages:
    """What a crawler sees; unknown addresses are hosts that do not exist."""

    pages: dict[str, Seen] = field(default_factory=dict)

    async def see(self, url: str) -> Seen:
        return self.pages.get(url, Seen(None, error="invalid-host-resolution"))

    def put(self, url: str, body: str = STORY, status: int = 200) -> None:
        self.pages[url] = Seen(status, {"content-type": "text/html"}, body.encode())

    def redirect(self, url: str, target: str, status: int = 301) -> None:
        self.pages[url] = Seen(status, {"location": target}, b"", target)


@dataclass
class World:
    """A stand-in with its web, and the clients that ask it."""

    pages: Pages
    archive: WaybackStandIn
    clock: RehearsalClock
    wire: ArchiveWire
    index: IndexClient
    player: PlaybackClient

    def jump(self, **by: float) -> None:
        self.clock.jump(timedelta(**by))


@pytest.fixture
async def world() -> AsyncIterator[World]:
    clock, pages = RehearsalClock(START), Pages()
    archive = WaybackStandIn(clock, pages.see, keys=("access", "secret"))
    await archive.start()
    endpoints = [archive.save_url, archive.cdx_url, archive.playback_url]
    async with ArchiveWire(endpoints, user_agent="archiver-test") as wire:
        index = IndexClient(wire, clock, cdx_url=archive.cdx_url, playback_url=archive.playback_url)
        player = PlaybackClient(wire, clock, playback_url=archive.playback_url)
        yield World(pages, archive, clock, wire, index, player)
    await archive.stop()
