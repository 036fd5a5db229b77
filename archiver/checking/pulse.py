"""Was it us who did not listen? The beat of an event loop, and when it last came late.

While the loop is held up (another program holds the database's lock, the machine swaps, the
process is stopped) answers lie in the kernel unread, and timeouts run: they tell nothing of a
page. A process that is held up hears that of nobody but itself.
"""

from __future__ import annotations

import asyncio

# Between two beats, and how late one is when the loop was held up. Timeouts are 10 s and more.
BEAT_SECONDS = 0.5
LATE_SECONDS = 2.0


class Pulse:
    """The beat of the loop it is started in."""

    def __init__(self) -> None:
        """Begin with `start`."""
        self._held_up_at = float("-inf")
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Beat until `stop`."""
        loop = asyncio.get_running_loop()
        self._due = loop.time() + BEAT_SECONDS
        self._timer = loop.call_at(self._due, self._beat)

    def stop(self) -> None:
        """Beat no more."""
        if self._timer is not None:
            self._timer.cancel()

    def was_late_since(self, moment: float) -> bool:
        """Say whether the loop was held up since a moment by its own clock."""
        # The beat that is due may come after whoever asks.
        return self._held_up_at >= moment or self._is_late(asyncio.get_running_loop().time())

    def _beat(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._is_late(now):
            self._held_up_at = now
        self.start()

    def _is_late(self, now: float) -> bool:
        return now - self._due >= LATE_SECONDS
