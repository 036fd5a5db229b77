"""A desk in the test's own process: a real store and real clients, on a clock that can jump."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from archiver.clock import Clock, RehearsalClock
from archiver.config import load_settings
from archiver.service.desk import Desk
from archiver.store import Store
from tests.service.town import Place

START = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)


@contextmanager
def open_desk(place: Place, clock: Clock | None = None) -> Iterator[Desk]:
    """Open a desk on the configuration of a place."""
    loaded = load_settings(place.folder / "config" / "archiver.toml", {}, place.folder)
    store = Store.open(loaded.database_path)
    try:
        yield Desk(loaded, store, clock=clock or RehearsalClock(START, speed=20), holder="run:test")
    finally:
        store.close()
