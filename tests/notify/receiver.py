"""A receiver on loopback: remembers what was posted, answers as it is told to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(slots=True)
class Received:
    """One POST as it came."""

    target: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Receiver:
    """Answers each request with the next of `answers` (status, headers), else with 200.

    Each answer comes after `hang` seconds, and not before `hold` is set.
    """

    url: str = ""
    received: list[Received] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    hang: float = 0.0
    hold: asyncio.Event | None = None

    async def take(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = await request.read()
        self.received.append(Received(request.raw_path, headers, body))
        await asyncio.sleep(self.hang)
        if self.hold is not None:
            await self.hold.wait()
        status, extra = self.answers.pop(0) if self.answers else (200, {})
        return web.Response(status=status, headers=extra, text="taken")

    def ids(self) -> list[str]:
        return [each.headers["x-archiver-digest"] for each in self.received]

    def digests(self) -> list[dict[str, Any]]:
        return [json.loads(each.body) for each in self.received]

    def targets(self) -> list[str]:
        return [each.target for each in self.received]


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    told = Receiver()
    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", told.take)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    told.url = f"http://127.0.0.1:{port}"
    try:
        yield told
    finally:
        await runner.cleanup()
