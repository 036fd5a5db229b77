"""The web server beside the daemon's duties: opened, exchanged on reload, closed.

It reads the database through readers of its own, in threads of its own: no question holds the
event loop, and no lock in the database holds an answer for longer than about a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import TracebackType
from typing import TypeVar

from aiohttp import web

from archiver.errors import ArchiverError, CannotWork
from archiver.records import record
from archiver.reporting.formats import PROMETHEUS_MEDIA_TYPE
from archiver.service.desk import Desk
from archiver.service.diary import Diary
from archiver.service.health import Health, Reason, health
from archiver.service.metrics import metrics
from archiver.store import Store
from archiver.text import shown
from archiver.web.answers import (
    DOOR,
    LIVENESS,
    add_headers,
    guarded,
    json_answer,
    log,
)
from archiver.web.connection import Connection
from archiver.web.door import Door, bind_address

# At most so many questions are answered at the same time, and none takes longer.
_READERS = 2
_ANSWER_SECONDS = 15.0
_SHUTDOWN_SECONDS = 2.0

Result = TypeVar("Result")


@record
class _Listening:
    """An open server: the application, its listener, and its exchangeable door."""

    runner: web.AppRunner
    listener: asyncio.Server
    bind: str
    door: list[Door]

    async def close(self) -> None:
        self.listener.close()
        await self.runner.cleanup()


class WebServer:
    """Serves health and metrics as `[web]` says; nothing while it is not enabled."""

    def __init__(self, desk: Desk, diary: Diary) -> None:
        """Answer from the desk's database and the daemon's diary; nothing is opened yet."""
        self._desk = desk
        self._diary = diary
        self._threads = ThreadPoolExecutor(_READERS, thread_name_prefix="web")
        self._listening: _Listening | None = None

    async def __aenter__(self) -> WebServer:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Return where it listens, as (address, port)."""
        sockets = self._listening.listener.sockets if self._listening else ()
        return [socket.getsockname()[:2] for socket in sockets]

    async def start(self) -> None:
        """Listen, if it is enabled.

        Raises ConfigurationError for an open address without a token or a token that cannot be
        read, and CannotWork for an address that is taken.
        """
        if self._desk.settings.web.enabled:
            await self._open(Door.of(self._desk.loaded), self._desk.settings.web.bind)

    async def follow(self) -> None:
        """Take over changed settings; what cannot be taken over leaves the old as it was."""
        try:
            await self._follow()
        except ArchiverError as error:
            log.error("the web server stays as it was: %s", error)

    async def _follow(self) -> None:
        settings = self._desk.settings.web
        if not settings.enabled:
            await self._close()
            return
        door = Door.of(self._desk.loaded)
        old = self._listening
        if old is not None and settings.bind == old.bind:
            old.door[0] = door
            return
        await self._open(door, settings.bind)
        if old is not None:
            await old.close()

    async def stop(self) -> None:
        """Stop listening and forget the threads."""
        await self._close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _open(self, door: Door, bind: str) -> None:
        application = web.Application(middlewares=[guarded], client_max_size=1024)
        shelf = [door]
        application[DOOR] = shelf
        application.on_response_prepare.append(add_headers)
        application.router.add_get(LIVENESS, self._healthz)
        application.router.add_get("/readyz", self._readyz)
        application.router.add_get("/metrics", self._metrics)
        runner = web.AppRunner(application, shutdown_timeout=_SHUTDOWN_SECONDS)
        await runner.setup()
        server = runner.server
        assert server is not None
        host, port = bind_address(bind)
        # "localhost" is 127.0.0.1 here whatever a hosts file says: never an open door.
        host = "127.0.0.1" if host.lower().rstrip(".") == "localhost" else host
        try:
            listener = await asyncio.get_running_loop().create_server(
                lambda: Connection(server), host, port, reuse_address=True
            )
        except OSError as error:
            await runner.cleanup()
            raise CannotWork(
                f"The web server cannot listen on {bind}: {error.strerror or error}.",
                "Set web.bind to a free address of this machine, or web.enabled = false.",
                code="web-address-unusable",
            ) from error
        self._listening = _Listening(runner, listener, bind, shelf)
        for address in self.addresses:
            log.info("the web server listens on http://%s:%d", *address)

    async def _close(self) -> None:
        old, self._listening = self._listening, None
        if old is not None:
            await old.close()

    async def _healthz(self, _: web.Request) -> web.Response:
        """Say that the loop turns and the database answers; nothing else, it is for everybody."""
        await self._read(lambda desk: desk.store.counting.looks_ever())
        return json_answer({"alive": True})

    async def _readyz(self, _: web.Request) -> web.Response:
        """Say whether the service does what it is for, and what stands against it."""
        duties = dict(self._diary.entries)
        try:
            found = await self._read(lambda desk: health(desk, duties))
        except CannotWork as error:
            found = Health((Reason(error.code, shown(error.message)),))
        return json_answer(found.as_json(), 200 if found.is_ready else 503)

    async def _metrics(self, _: web.Request) -> web.Response:
        duties = dict(self._diary.entries)
        text = await self._read(lambda desk: metrics(desk, duties))
        return web.Response(text=text, headers={"Content-Type": PROMETHEUS_MEDIA_TYPE})

    async def _read(self, work: Callable[[Desk], Result]) -> Result:
        """Run work on a desk with a reader of its own, in a thread; raises CannotWork."""

        def in_thread() -> Result:
            store = Store.open_reader(self._desk.store.database.path)
            try:
                return work(replace(self._desk, store=store))
            finally:
                store.close()

        loop = asyncio.get_running_loop()
        try:
            return await asyncio.wait_for(
                loop.run_in_executor(self._threads, in_thread), _ANSWER_SECONDS
            )
        except TimeoutError:
            raise CannotWork("The database did not answer in time.", "Try again.") from None
