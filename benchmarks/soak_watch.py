"""What is watched while a soak runs: memory, descriptors, firings, looks, rows, and the log."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from apscheduler.events import EVENT_JOB_MAX_INSTANCES
from soak_judge import Firing, Sample
from soak_time import SoakClock

from archiver.clock import to_stamp
from archiver.model import Vantage
from archiver.store import RecordedLook, Store

_DAY = timedelta(days=1)
# A link that should have been looked at longer ago than this is overdue.
_OVERDUE = timedelta(minutes=30)
TABLES = (
    *("links", "citations", "looks", "captures", "attempts", "changes", "runs", "requests"),
    *("hosts", "probes"),
)


def status_mb(name: str) -> float:
    """Return a line of /proc/self/status in MB (10^6 bytes)."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError(f"no {name} in /proc/self/status; the soak needs Linux")


def service_alone_mb() -> float:
    """Return what a process needs that has loaded the service, and nothing of the soak."""
    script = (
        "import archiver.cli.run, archiver.cli.opening, archiver.daemon\n"
        "print(open('/proc/self/status').read().split('VmRSS:')[1].split()[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    return int(done.stdout) * 1024 / 1e6


class Mistakes(logging.Handler):
    """Keeps what is logged as an error."""

    def __init__(self) -> None:
        """Keep errors only."""
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line, with the exception's own."""
        error = record.exc_info[1] if record.exc_info else None
        self.said.append(record.getMessage() + (f" ({error!r})" if error else ""))


@dataclass(slots=True)
class _Schedule:
    first: datetime
    latest: datetime
    times: int = 0
    held: int = 0
    late: float = 0.0

    def firing(self, interval: timedelta, end: datetime) -> Firing:
        strayed = (self.latest - self.first) % interval
        if strayed > interval / 2:
            strayed -= interval
        return Firing(
            due=(end - self.first) // interval + 1,
            times=self.times,
            held=self.held,
            late=self.late,
            strayed=strayed.total_seconds(),
        )


class Firings:
    """Hears of every firing of the scheduler, and how late it was."""

    def __init__(self, clock: SoakClock) -> None:
        """Hear nothing yet."""
        self._clock = clock
        self._schedules: dict[str, _Schedule] = {}

    def hear(self, event: Any) -> None:
        """Take note of one firing, or of one that found the run before still at work."""
        now, due = self._clock.now(), event.scheduled_run_times[0]
        one = self._schedules.setdefault(event.job_id, _Schedule(due, due))
        one.latest = due
        one.times += 1
        one.held += event.code == EVENT_JOB_MAX_INSTANCES
        one.late = max(one.late, (now - due).total_seconds())

    def told(self, intervals: dict[str, timedelta]) -> dict[str, Firing]:
        """Return what came of each schedule until now."""
        now = self._clock.now()
        return {
            name: one.firing(intervals[name], now) for name, one in sorted(self._schedules.items())
        }


@dataclass(slots=True)
class _Day:
    """The looks of one day."""

    ends: datetime
    made: int = 0
    due: int = 0
    late: float = 0.0


class Looks:
    """Sees every look that the daemon stores, and compares it with when it was due."""

    def __init__(self, store: Store, clock: SoakClock) -> None:
        """Stand before the store's own `record`."""
        self._store, self._clock = store, clock
        self._record: Callable[[Sequence[RecordedLook], int | None], None] = store.looks.record
        store.looks.record = self._see  # type: ignore[method-assign]
        self.day = _Day(clock.now())

    def begin_day(self) -> None:
        """Count anew: what falls due in the coming day, by what is known now."""
        ends = self._clock.now() + _DAY
        due = self._store.database.value(
            "SELECT count(*) FROM links WHERE cited = 1 AND next_look_at <= ?", [to_stamp(ends)]
        )
        self.day = _Day(ends, due=int(due))

    def overdue(self) -> int:
        """Count the links that should have been looked at some time ago."""
        before = to_stamp(self._clock.now() - _OVERDUE)
        return int(
            self._store.database.value(
                "SELECT count(*) FROM links WHERE cited = 1 AND next_look_at < ?", [before]
            )
        )

    def _see(self, looks: Sequence[RecordedLook], run_id: int | None) -> None:
        self._record(looks, run_id)
        for look in looks:
            if look.observation.vantage is Vantage.HERE:
                self._count(look)

    def _count(self, look: RecordedLook) -> None:
        day, before, after = self.day, look.link.belief, look.belief
        day.made += 1
        if before.next_look_at is None or before.last_look_at is None:
            # A link that came into the files today.
            day.due += before.last_look_at is None and self._came_today(look.link.link_id)
        else:
            late = (look.observation.looked_at - before.next_look_at).total_seconds()
            day.late = max(day.late, late)
        if after.next_look_at is not None and after.next_look_at <= day.ends:
            day.due += 1

    def _came_today(self, link_id: int) -> bool:
        seen = self._store.database.value("SELECT first_seen_at FROM links WHERE id = ?", [link_id])
        return bool(seen >= to_stamp(self.day.ends - _DAY))


@dataclass(slots=True)
class _Glance:
    """One hour: what the process holds."""

    rss_mb: float
    descriptors: int
    threads: int
    tasks: int


def glance() -> _Glance:
    """Look at this process."""
    return _Glance(
        status_mb("VmRSS"),
        len(os.listdir("/proc/self/fd")),
        threading.active_count(),
        len(asyncio.all_tasks()),
    )


@dataclass(slots=True)
class Watch:
    """Takes the samples."""

    store: Store
    looks: Looks
    samples: list[Sample] = field(default_factory=list)

    def sample(self, hours: Iterable[_Glance]) -> Sample:
        """Sum a day up."""
        seen = list(hours)
        database = self.store.database
        pages = int(database.value("PRAGMA page_count"))
        size = int(database.value("PRAGMA page_size"))
        journal = Path(f"{database.path}-wal")
        taken = Sample(
            day=len(self.samples),
            rss_mb=median(one.rss_mb for one in seen),
            peak_mb=status_mb("VmHWM"),
            descriptors=min(one.descriptors for one in seen),
            threads=max(one.threads for one in seen),
            tasks=min(one.tasks for one in seen),
            database=pages * size,
            journal=journal.stat().st_size if journal.exists() else 0,
            rows={name: database.value(f"SELECT count(*) FROM {name}") for name in TABLES},
            looks=self.looks.day.made,
            looks_due=self.looks.day.due,
            looks_late=self.looks.day.late,
            overdue=self.looks.overdue(),
        )
        self.samples.append(taken)
        return taken

    def bytes_of_tables(self) -> dict[str, int]:
        """Return the bytes of each table with its indexes; empty where SQLite cannot tell."""
        known = self.store.database.value(
            "SELECT count(*) FROM pragma_module_list WHERE name = 'dbstat'"
        )
        if not known:
            return {}
        return dict(
            self.store.database.execute(
                "SELECT coalesce(m.tbl_name, s.name), sum(s.pgsize) FROM dbstat s"
                " LEFT JOIN sqlite_master m ON m.name = s.name GROUP BY 1 ORDER BY 2 DESC"
            ).fetchall()
        )
