"""One connection of the web server: bounded in life and number, and silent about what it read.

The library answers what it cannot parse by itself, quoting it; here that has the same form and
the same headers as every other answer.
"""

from __future__ import annotations

import asyncio
from typing import cast

from aiohttp import web

from archiver.web.answers import HEADERS, error_answer, log

# A client that sends nothing, or one byte now and then, is sent away after this.
LIFETIME_SECONDS = 60.0
_GRACE_SECONDS = 20.0
MOST_CONNECTIONS = 64


class Connection(web.RequestHandler):
    """A connection that ends by itself."""

    __slots__ = ("_lifetime", "_timer")

    def __init__(self, server: web.Server, *, lifetime: float = LIFETIME_SECONDS) -> None:
        """Serve requests for at most `lifetime` seconds; an answer under way is finished."""
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]
            logger=log,
            keepalive_timeout=15,
            lingering_time=1,
        )
        self._lifetime = lifetime
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless there are too many already."""
        super().connection_made(transport)
        real = cast(asyncio.Transport, transport)
        server = self._manager
        if server is not None and len(server.connections) > MOST_CONNECTIONS:
            real.abort()
            return
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._lifetime, self._retire, real)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def _retire(self, transport: asyncio.Transport) -> None:
        if self._current_request is None:
            self.force_close()
            return
        self.close()
        self._timer = asyncio.get_running_loop().call_later(_GRACE_SECONDS, transport.abort)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002
    ) -> web.StreamResponse:
        """Answer what could not be read, or what failed outside the application."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was under way")
        log.log(10 if status < 500 else 40, "a request was not answered (%d): %s", status, exc)
        answer = error_answer(status)
        answer.headers.update(HEADERS)
        answer.force_close()
        return answer
