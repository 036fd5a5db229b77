"""What every use case needs at hand: settings, store, clock, and how to speak to a person."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from archiver.clock import Clock, SystemClock
from archiver.config import Keys, Loaded, Settings
from archiver.store import Store

if TYPE_CHECKING:
    from aiohttp.abc import AbstractResolver

log = logging.getLogger("archiver")


class Progress(Protocol):
    """Shows a person how far long work is."""

    def begin(self, what: str, total: int | None) -> None:
        """Say what begins, and of how many steps where that is known."""

    def advance(self, steps: int = 1) -> None:
        """Say that steps were done."""

    def end(self) -> None:
        """Say that it is done."""


class Silent:
    """Shows nothing: for services, tests and pipes."""

    def begin(self, what: str, total: int | None) -> None:
        """Show nothing."""

    def advance(self, steps: int = 1) -> None:
        """Show nothing."""

    def end(self) -> None:
        """Show nothing."""


@dataclass(slots=True)
class Desk:
    """One open store with the settings and clocks to work by.

    `resolver` stands in for the system's in rehearsals and tests. `stopping` is set when the
    process was asked to end: work in flight is finished, nothing new is begun. `keys` are those
    of the archive.org account, where there are any that may be sent.
    """

    loaded: Loaded
    store: Store
    clock: Clock = field(default_factory=SystemClock)
    resolver: AbstractResolver | None = None
    progress: Progress = field(default_factory=Silent)
    holder: str = "command"
    stopping: bool = False
    keys: Keys | None = None

    @property
    def settings(self) -> Settings:
        """Return the settings in force."""
        return self.loaded.settings

    @property
    def archive_mode(self) -> str:
        """Return `archive.mode`, `auto` resolved: `spn2` with account keys, else `anonymous`."""
        mode = self.settings.archive.mode
        if mode != "auto":
            return mode
        return "anonymous" if self.keys is None else "spn2"

    @contextmanager
    def shows(self, what: str, total: int | None) -> Iterator[Progress]:
        """Show progress around a piece of work."""
        self.progress.begin(what, total)
        try:
            yield self.progress
        finally:
            self.progress.end()
