"""Time for the soak: real time, with every wait in which nothing can happen cut out.

The event loop asks the system whether a socket is ready, as always. When none is, and no thread
is at work, nobody in this process can do anything before the next timer: then the loop's clock
is put forward to it. So nothing runs faster than on any day, and what the program takes to work
is late by as much in simulated time as in real time; only the waiting costs nothing.

Everything the loop talks to has to live in it: a client whose server is in another process looks
as if nothing could happen.
"""

from __future__ import annotations

import asyncio
import os
import selectors
import threading
import time
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta, tzinfo
from types import SimpleNamespace
from typing import Any, TypeVar

import apscheduler.schedulers.base
import apscheduler.triggers.interval

import archiver.checking.fetch
import archiver.checking.wire
import archiver.service.rounds

Result = TypeVar("Result")

# How long to let real time pass while a thread is at work.
_PATIENCE_SECONDS = 0.005


class _SkippingSelector(selectors.DefaultSelector):
    """Waits for sockets, and skips the waiting where nothing can come of it."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped = 0.0
        self.busy_in_executor = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready; else put the clock forward by `timeout`."""
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        # Bytes sent on loopback are there at once, unless the kernel's own thread carries them.
        os.sched_yield()
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None or self.busy_in_executor or _strangers():
            least = _PATIENCE_SECONDS if timeout is None else min(timeout, _PATIENCE_SECONDS)
            return super().select(least)
        self.skipped += timeout
        return []


def _strangers() -> bool:
    """Say whether a thread is at work that no executor keeps (anonymous saving makes its own)."""
    return any(
        not (one is threading.main_thread() or one.name.startswith("asyncio_"))
        for one in threading.enumerate()
    )


class SkippingLoop(asyncio.SelectorEventLoop):
    """An event loop that never waits for a timer."""

    def __init__(self) -> None:
        """Begin where the real monotonic clock is."""
        self._skipping = _SkippingSelector()
        super().__init__(self._skipping)

    def time(self) -> float:
        """Return the machine's monotonic seconds and those that were skipped."""
        return time.monotonic() + self._skipping.skipped

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        """Let real time pass for as long as this work takes."""
        future = super().run_in_executor(executor, func, *args)
        self._skipping.busy_in_executor += 1
        future.add_done_callback(self._came_back)
        return future

    def _came_back(self, _future: object) -> None:
        self._skipping.busy_in_executor -= 1


class SoakClock:
    """The clock of a skipping loop: its wall clock begins at a given moment."""

    def __init__(self, start: datetime, loop: SkippingLoop) -> None:
        """Begin at `start`, now."""
        self._start, self._loop = start, loop
        self._zero = loop.time()

    def now(self) -> datetime:
        """Return the simulated wall-clock time, aware, in UTC."""
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """Return simulated seconds since the beginning."""
        return self._loop.time() - self._zero

    async def sleep(self, seconds: float) -> None:
        """Wait that many simulated seconds."""
        await asyncio.sleep(max(0.0, seconds))


def run(main: Coroutine[Any, Any, Result], loop: SkippingLoop) -> Result:
    """Run a coroutine to its end in a skipping loop, and close the loop."""
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main)


def take_over(clock: SoakClock) -> None:
    """Give this clock to what reads the machine's own: the scheduler, and three modules of ours.

    For a process that does nothing else; nothing is put back.
    """

    class Simulated(datetime):
        """The scheduler's `datetime`: `now` is the simulated one."""

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return clock.now().astimezone(tz or UTC)

    for module in (apscheduler.schedulers.base, apscheduler.triggers.interval):
        module.datetime = Simulated
    stand_in = SimpleNamespace(monotonic=clock.monotonic)
    for ours in (archiver.checking.fetch, archiver.checking.wire, archiver.service.rounds):
        ours.time = stand_in  # type: ignore[attr-defined]
