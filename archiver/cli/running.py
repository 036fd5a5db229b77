"""Running asynchronous work for a command, so that Ctrl-C ends it cleanly."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from archiver.service.desk import Desk

# Reference operations §1: Ctrl-C once finishes the requests in flight, twice stops.
GRACE_SECONDS = 8.0

Result = TypeVar("Result")


def run_stoppable(desk: Desk, work: Callable[[], Awaitable[Result]]) -> Result:
    """Run work to its end, or until a signal asks it to stop.

    The first SIGINT, SIGTERM or SIGHUP (the terminal was closed) lets requests in flight finish
    and be recorded, a second one ends at once. Raises KeyboardInterrupt (exit 130) when one came.
    """

    async def main() -> Result:
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(work())

        def asked_to_stop() -> None:
            if desk.stopping:
                task.cancel()
            desk.stopping = True
            loop.call_later(GRACE_SECONDS, task.cancel)

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, asked_to_stop)
        # nohup(1) has it ignored: then work goes on when the terminal is closed.
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            loop.add_signal_handler(signal.SIGHUP, asked_to_stop)
        try:
            result = await task
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None
        if desk.stopping:
            raise KeyboardInterrupt
        return result

    return asyncio.run(main())
