"""Long work beside the event loop: in a thread, with a connection of its own.

A copy of the database, a check of its soundness, pruning and the rendering of reports take from
seconds to minutes; a connection belongs to one thread, so each such work opens its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from archiver.errors import CannotWork, DatabaseUnusable
from archiver.service.desk import Desk, Silent
from archiver.store import Store

# How soon long work hears that the process is to end.
_HEARS_AFTER_SECONDS = 0.25
# Who walks through the whole database once has no use for what it has seen, and a second cache
# as large as the first would be most of the process's memory.
_CACHE_KIB = 2_000
# A reader of reports may wait as long as a writer does.
_READER_PATIENCE_SECONDS = 10.0

Result = TypeVar("Result")


async def beside(desk: Desk, work: Callable[[Desk], Result], *, read_only: bool = False) -> Result:
    """Do work in a thread, at a desk of its own on the same database, and return what it returns.

    When the process is asked to end, the statement under way is interrupted and CannotWork
    raised, as it is for a database that cannot be opened.
    """
    own = _Beside(desk, read_only)
    task = asyncio.ensure_future(asyncio.to_thread(own.do, work))
    try:
        while not (await asyncio.wait({task}, timeout=_HEARS_AFTER_SECONDS))[0]:
            if desk.stopping:
                own.interrupt()
    except asyncio.CancelledError:
        own.interrupt()
        raise
    return task.result()


class _Beside:
    """The desk in the thread."""

    def __init__(self, desk: Desk, read_only: bool) -> None:
        self._desk = desk
        self._read_only = read_only
        self._store: Store | None = None
        self._own: Desk | None = None

    def do(self, work: Callable[[Desk], Result]) -> Result:
        path = self._desk.store.database.path
        if self._read_only:
            store = Store.open_reader(path, patience=_READER_PATIENCE_SECONDS)
        else:
            store = Store.open(path, as_daemon=True, cache_kib=_CACHE_KIB)
        try:
            self._own = replace(self._desk, store=store, progress=Silent())
            self._store = store
            return work(self._own)
        except DatabaseUnusable as error:
            if error.code != "interrupted":
                raise
            raise CannotWork(error.message, error.next_step, code=error.code) from error
        finally:
            self._store = None
            store.close()

    def interrupt(self) -> None:
        """End the statement under way, and let the work see that it is to stop."""
        if self._own is not None:
            self._own.stopping = True
        store = self._store
        if store is not None:
            store.database.interrupt()
