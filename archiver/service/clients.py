"""What the daemon's duties work with, opened anew when the settings change.

A duty may take an hour, so clients are lent: the next duty after a reload gets new ones, and the
old ones close when the last duty that uses them is done. Closing them earlier would break looks
on the wire, and a broken look tells a lie about its page.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from archiver.service.archiving import Archiving
from archiver.service.checking import Checking
from archiver.service.desk import Desk
from archiver.service.local_copies import LocalCopies
from archiver.service.notifying import Notifying


class Clients:
    """One set, made of the settings that hold at the desk when it is made."""

    def __init__(self, desk: Desk) -> None:
        """Open nothing yet. Raises ConfigurationError for lacking keys."""
        self.checking = Checking(desk)
        self.copies = LocalCopies(self.checking)
        self.archiving = Archiving(desk)
        self.notifying = Notifying(desk)
        self._open = AsyncExitStack()
        self._users = 0
        self._retired = False

    async def open(self) -> None:
        """Open every client, or none."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.checking)
            stack.callback(self.copies.close)
            await stack.enter_async_context(self.archiving)
            await stack.enter_async_context(self.notifying)
            self._open = stack.pop_all()

    @property
    def is_used(self) -> bool:
        """Say whether a duty is working with them."""
        return self._users > 0

    async def retire(self) -> None:
        """Close as soon as nobody uses them."""
        self._retired = True
        await self._close_unused()

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[Clients]:
        """Lend them to one duty."""
        self._users += 1
        try:
            yield self
        finally:
            self._users -= 1
            await self._close_unused()

    async def close(self) -> None:
        """Close now, whoever uses them; harmless twice."""
        await self._open.aclose()

    async def _close_unused(self) -> None:
        if self._retired and not self._users:
            await self.close()


class Lending:
    """The set of clients in use; an async context manager."""

    def __init__(self, desk: Desk) -> None:
        """Work at a desk; nothing is opened yet."""
        self._desk = desk
        self._now = Clients(desk)
        self._retired: list[Clients] = []
        self._stale = False

    async def open(self) -> None:
        """Open the first set."""
        await self._now.open()

    async def close(self) -> None:
        """Close all sets."""
        for clients in (*self._retired, self._now):
            await clients.close()

    def settings_changed(self) -> None:
        """Lend new clients from now on."""
        self._stale = True

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[Clients]:
        """Lend the clients to one duty."""
        if self._stale:
            self._stale = False
            fresh = Clients(self._desk)
            await fresh.open()
            old, self._now = self._now, fresh
            self._retired = [*(one for one in self._retired if one.is_used), old]
            await old.retire()
        async with self._now.lent() as clients:
            yield clients
