"""The daemon's diary: when each duty began, last got forward, and how it ended.

Health, the watchdog, metrics and `archiver status` all read here. A duty gets forward with every
step of its progress and when it ends well; beginning alone is no progress.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from datetime import datetime
from typing import Any

from archiver.clock import Clock, from_stamp, to_stamp
from archiver.config import ScheduleSettings
from archiver.errors import ArchiverError, DatabaseUnusable
from archiver.records import record
from archiver.service.desk import Progress
from archiver.store.journal import Journal

# The duties are named as in `[schedule]`.
DUTIES = tuple(ScheduleSettings.model_fields)

_STATE = "duties"
# Steps are many; the stored diary follows them at this distance.
_KEPT_EVERY_SECONDS = 60.0

# Which duty a step belongs to: tasks started by a duty inherit it.
_current: ContextVar[str | None] = ContextVar("duty", default=None)


@record
class Entry:
    """One duty: is it at work, since when, when it last got forward, and its last trouble.

    `code` and `trouble` are empty unless the last try ended in an error.
    """

    running: bool = False
    began_at: datetime | None = None
    moved_at: datetime | None = None
    ended_at: datetime | None = None
    code: str = ""
    trouble: str = ""


Entries = Mapping[str, Entry]


class Diary:
    """Written by the daemon; also the `Progress` of its desk, so that every step is seen."""

    def __init__(self, journal: Journal, clock: Clock, shown: Progress) -> None:
        """Begin anew; `shown` still gets every step."""
        self._journal = journal
        self._clock = clock
        self._shown = shown
        self._moved: dict[str, float] = {}
        self._stored_at = float("-inf")
        self.entries: dict[str, Entry] = {}

    @contextmanager
    def duty(self, name: str) -> Iterator[None]:
        """Write down one duty from its beginning to its end, however it ends."""
        mark = _current.set(name)
        known = self.entries.get(name, Entry())
        self._moved[name] = self._clock.monotonic()
        self.entries[name] = replace(known, running=True, began_at=self._clock.now())
        self._keep(name)
        try:
            yield
        except ArchiverError as error:
            self._end(name, error.code, str(error))
            raise
        except Exception as error:
            self._end(name, "mistake", f"{type(error).__name__}: {error}")
            raise
        except BaseException:
            self._end(name, "interrupted", "It was interrupted.")
            raise
        else:
            self._step(name)
            self._end(name)
        finally:
            _current.reset(mark)

    def longest_standstill(self) -> float:
        """Return for how many seconds a duty at work has not got forward, at the longest."""
        now = self._clock.monotonic()
        still = [now - self._moved[name] for name, entry in self.entries.items() if entry.running]
        return max(still, default=0.0)

    def begin(self, what: str, total: int | None) -> None:
        """Pass on what begins."""
        self._shown.begin(what, total)

    def advance(self, steps: int = 1) -> None:
        """Note that the current duty got forward (no step is none), and pass it on."""
        name = _current.get()
        if steps > 0 and name in self.entries:
            self._step(name)
            if self._clock.monotonic() - self._stored_at >= _KEPT_EVERY_SECONDS:
                self._keep(name)
        self._shown.advance(steps)

    def end(self) -> None:
        """Pass on that it is done."""
        self._shown.end()

    def _step(self, name: str) -> None:
        self._moved[name] = self._clock.monotonic()
        self.entries[name] = replace(self.entries[name], moved_at=self._clock.now())

    def _end(self, name: str, code: str = "", trouble: str = "") -> None:
        self.entries[name] = replace(
            self.entries[name],
            running=False,
            ended_at=self._clock.now(),
            code=code,
            trouble=trouble,
        )
        self._keep(name)

    def _keep(self, name: str) -> None:
        """Store the diary for other processes; a database in trouble is told in other ways.

        It is written around every duty, so a lock must not hold the service up for it.
        """
        if name not in DUTIES:
            return
        self._stored_at = self._clock.monotonic()
        written = {name: _as_json(entry) for name, entry in self.entries.items() if name in DUTIES}
        with contextlib.suppress(DatabaseUnusable):
            self._journal.note_state(_STATE, written)


def stored_entries(journal: Journal) -> dict[str, Entry]:
    """Return what the last daemon on this database wrote into its diary."""
    return {name: _from_json(entry) for name, entry in journal.state(_STATE, {}).items()}


def _as_json(entry: Entry) -> dict[str, Any]:
    stamps = {"began_at": entry.began_at, "moved_at": entry.moved_at, "ended_at": entry.ended_at}
    return {
        "running": entry.running,
        **{name: moment and to_stamp(moment) for name, moment in stamps.items()},
        "code": entry.code,
        "trouble": entry.trouble,
    }


def _from_json(stored: Mapping[str, Any]) -> Entry:
    stamps = {
        name: stored.get(name) and from_stamp(stored[name])
        for name in ("began_at", "moved_at", "ended_at")
    }
    return Entry(
        running=bool(stored.get("running")),
        code=stored.get("code", ""),
        trouble=stored.get("trouble", ""),
        **stamps,
    )
