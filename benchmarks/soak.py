"""Months of the daemon in minutes: does anything grow, drift, or fall behind?

    python benchmarks/soak.py [--days 90] [--links 2200]

The daemon itself (its six schedules on APScheduler, every duty, requests of people) runs with
the shipped intervals, delays and time-outs against the demo's misbehaving web, made larger, and
the demo's archive.org, while event files change every week and a person checks links beside it.
Time is real, but waits in which nothing can happen are cut out (soak_time.py). Every simulated
day leaves a sample; at the end they are judged (soak_judge.py), and a missed gate fails.

Web and archive live in the same process, so that waits can be cut out; what they keep is
forgotten every day, and their memory counts as ours. Differs from a service on a machine: a
person's request is taken up every five minutes instead of every second, and nobody is notified.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import tracemalloc
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path
from statistics import median

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, EVENT_JOB_SUBMITTED
from soak_judge import MONTH, Judged, Sample, Soak, judge, months, promise
from soak_time import SkippingLoop, SoakClock, run, take_over
from soak_watch import Firings, Looks, Mistakes, Watch, glance, service_alone_mb, status_mb
from soak_world import World, world

import archiver.daemon
from archiver.config import Loaded, ScheduleSettings, load_settings
from archiver.daemon import Daemon
from archiver.service import on_demand
from archiver.service.desk import Desk
from archiver.store import DaemonLock, Store

START = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
_DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "operating.md"
# Of the service's one second; 86,400 empty questions a day would be most of the soak.
_REQUEST_PAUSE_SECONDS = 300.0
# A database of some 40 MB and its seven copies, with as much again to spare.
_ROOM = 600_000_000
# A person checks so many links, once a week.
_CHECKED = 3
_SETTINGS = """\
[check]
contact = "https://example.org/who-we-are"

[network]
allow_private = ["127.0.0.0/8"]
ca_file = "{authority}"

[database]
backup_directory = "backups"

[archive]
mode = "anonymous"
{endpoints}

[report]
formats = ["html", "json"]
"""


class Ended(Exception):
    """The soak did not come to its end; says why."""


@dataclass(frozen=True, slots=True)
class Given:
    """What the command line asks for."""

    days: int
    links: int
    minutes: float
    trace: bool


def configured(folder: Path, opened: World) -> Loaded:
    """Write a configuration that differs from the shipped one in its addresses only."""
    settings = folder / "archiver.toml"
    text = _SETTINGS.format(
        authority=opened.web.certificate_authority, endpoints=opened.archive.endpoints
    )
    settings.write_text(text, encoding="utf-8")
    return load_settings(settings, {}, folder)


def memory_disk() -> Path | None:
    """Return a folder in memory with room for everything, None for the usual place.

    Every firing is written into the service's diary and reaches the disk: half of the time.
    """
    folder = Path("/dev/shm")
    roomy = folder.is_dir() and os.access(folder, os.W_OK)
    return folder if roomy and shutil.disk_usage(folder).free > _ROOM else None


def intervals(schedule: ScheduleSettings) -> dict[str, timedelta]:
    """Return how far apart each duty's firings are."""
    found = {}
    for name in ScheduleSettings.model_fields:
        when: timedelta | time_of_day = getattr(schedule, name)
        found[name] = when if isinstance(when, timedelta) else timedelta(days=1)
    return found


@contextlib.asynccontextmanager
async def service(desk: Desk, firings: Firings) -> AsyncIterator[asyncio.Task[None]]:
    """Run the daemon around a block, and end it as systemd would."""
    archiver.daemon.REQUEST_PAUSE_SECONDS = _REQUEST_PAUSE_SECONDS
    daemon = Daemon(desk, reload=lambda: desk.loaded)
    daemon._scheduler.add_listener(firings.hear, EVENT_JOB_SUBMITTED | EVENT_JOB_MAX_INSTANCES)
    running = asyncio.create_task(daemon.run())
    try:
        yield running
    finally:
        if not running.done():
            os.kill(os.getpid(), signal.SIGTERM)
        await running


async def check_beside(desk: Desk, choice: random.Random) -> None:
    """Check a few links on demand, at a desk of its own as another process would."""
    store = Store.open(desk.store.database.path)
    try:
        ids = [row[0] for row in store.database.execute("SELECT id FROM links WHERE cited = 1")]
        beside = replace(desk, store=store, holder="command:soak")
        await on_demand.check(beside, choice.sample(ids, min(_CHECKED, len(ids))))
    finally:
        store.close()


async def live(given: Given, clock: SoakClock, folder: Path) -> Soak:
    """Live through all days; returns what was seen. Raises Ended."""
    mistakes = Mistakes()
    logging.getLogger().addHandler(mistakes)
    asyncio.get_running_loop().set_exception_handler(
        lambda _loop, context: mistakes.said.append(f"{context['message']}: {context!r}")
    )
    delay = 5.0
    alone = service_alone_mb()
    async with world(folder, clock, given.links, delay) as opened:
        servers = status_mb("VmRSS") - alone
        loaded = configured(folder, opened)
        assert loaded.settings.check.host_delay.total_seconds() == delay
        lock = DaemonLock(loaded.database_path)
        lock.take()
        with contextlib.ExitStack() as stack:
            stack.callback(lock.give_back)
            store = Store.open(loaded.database_path, as_daemon=True)
            stack.callback(store.close)
            desk = Desk(loaded, store, clock=clock, resolver=opened.web.resolver(), holder="run:1")
            watch, firings = Watch(store, Looks(store, clock)), Firings(clock)
            async with service(desk, firings) as running:
                await _days(given, clock, opened, desk, watch, running)
                fired = firings.told(intervals(loaded.settings.schedule))
            _tell_bytes(watch)
            wrong = tuple(opened.wrong_beliefs(store))
    return Soak(
        watch.samples,
        fired,
        servers_mb=servers,
        requests=opened.requests,
        too_close=opened.too_close,
        mistakes=tuple(mistakes.said),
        wrong=wrong,
    )


async def _days(
    given: Given,
    clock: SoakClock,
    opened: World,
    desk: Desk,
    watch: Watch,
    running: asyncio.Task[None],
) -> None:
    choice, began = random.Random(given.days), time.monotonic()
    for day in range(given.days):
        if day == MONTH and given.trace:
            tracemalloc.start(8)
            before = tracemalloc.take_snapshot()
        watch.looks.begin_day()
        hours = []
        for hour in range(24):
            wait = START + timedelta(days=day, hours=hour + 1) - clock.now()
            await clock.sleep(wait.total_seconds())
            hours.append(glance())
            if day % 7 == 3 and hour == 10:
                await check_beside(desk, choice)
        if running.done():
            raise Ended(f"the service ended by itself on day {day + 1}") from running.exception()
        await opened.pass_a_day()
        if day % 7 == 6:
            opened.pass_a_week()
        _tell(watch.sample(hours), time.monotonic() - began)
        if time.monotonic() - began > given.minutes * 60:
            raise Ended(
                f"{day + 1} of {given.days} days took {given.minutes:g} minutes: allow more with"
                " --minutes, or ask for less with --days or --links"
            )
    if given.trace and given.days > MONTH:
        for one in tracemalloc.take_snapshot().compare_to(before, "lineno")[:25]:
            print(one)


HEADINGS = (
    *("days", "looks", "due", "late min", "RSS MB", "peak", "fds", "threads", "tasks"),
    *("db MB", "wal MB", "looks", "captures", "attempts", "changes", "runs"),
)


def _tell(sample: Sample, seconds: float) -> None:
    """Say on the standard error how far it is."""
    if sample.day % 5 == 4 or sample.day < 2:
        print(
            f"day {sample.day + 1:3}: {sample.looks} looks, {sample.looks_due} due,"
            f" {sample.overdue} overdue; {sample.rss_mb:.1f} MB, {sample.descriptors} fds,"
            f" {sample.tasks} tasks; {seconds:.0f} s",
            file=sys.stderr,
            flush=True,
        )


def _tell_bytes(watch: Watch) -> None:
    rows = watch.samples[-1].rows
    for name, size in watch.bytes_of_tables().items():
        count = rows.get(name)
        if count and size > 50_000:
            print(f"{name:12} {count:8,} rows {size / 1e6:8.2f} MB {size / count:8.0f} bytes each")


def table(soak: Soak) -> list[list[str]]:
    """Return one row for each simulated month."""
    rows = []
    for month in months(soak.samples):
        end = month[-1]
        rows.append(
            [
                f"{month[0].day + 1}–{end.day + 1}",
                f"{sum(one.looks for one in month):,}",
                f"{sum(one.looks_due for one in month):,}",
                f"{max(one.looks_late for one in month) / 60:.1f}",
                f"{median(one.rss_mb for one in month):.1f}",
                f"{end.peak_mb:.1f}",
                *(str(max(found)) for found in _counts(month)),
                f"{end.database / 1e6:.1f}",
                f"{max(one.journal for one in month) / 1e6:.1f}",
                *(
                    f"{end.rows[name]:,}"
                    for name in ("looks", "captures", "attempts", "changes", "runs")
                ),
            ]
        )
    return rows


def _counts(month: list[Sample] | tuple[Sample, ...]) -> list[list[int]]:
    return [[getattr(one, name) for one in month] for name in ("descriptors", "threads", "tasks")]


def show(soak: Soak, judged: list[Judged]) -> None:
    """Print the tables and the judgement."""
    print("\n| " + " | ".join(HEADINGS) + " |")
    for row in table(soak):
        print("| " + " | ".join(row) + " |")
    print("\n| schedule | fired | due | found the last at work | late at most | strayed |")
    for name, one in soak.firings.items():
        print(
            f"| {name} | {one.times:,} | {one.due:,} | {one.held:,} | {one.late:.2f} s"
            f" | {one.strayed:+.2f} s |"
        )
    print()
    for one in judged:
        print(
            f"{'met   ' if one.met else 'MISSED'} {one.name}: {one.seen} (allowed: {one.allowed})"
        )
        if not one.met:
            print(f"       {one.advice}")


def read_arguments() -> Given:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=90, help="simulated days, at least 45")
    parser.add_argument("--links", type=int, default=2200)
    parser.add_argument("--minutes", type=float, default=20.0, help="real time it may take")
    parser.add_argument("--trace", action="store_true", help="say what allocated what has grown")
    parser.add_argument("--log", action="store_true", help="show the service's log")
    found = parser.parse_args()
    logging.basicConfig(
        level="INFO" if found.log else "CRITICAL", format="%(levelname)s %(name)s: %(message)s"
    )
    if found.days < MONTH * 3 // 2:
        parser.error("less than 45 days show nothing about growth")
    return Given(found.days, found.links, found.minutes, found.trace)


def main() -> int:
    """Soak, print, judge."""
    given = read_arguments()
    if not Path("/proc/self/status").exists():
        print("skipped: the soak reads /proc/self, which only Linux has")
        return 0
    loop = SkippingLoop()
    clock = SoakClock(START, loop)
    take_over(clock)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="soak-", dir=memory_disk()) as folder:
        try:
            soak = run(live(given, clock, Path(folder)), loop)
        except Ended as error:
            print(error)
            return 1
    judged = judge(soak, promise(_DOCUMENT.read_text(encoding="utf-8")))
    show(soak, judged)
    print(f"\n{given.days} days of {given.links:,} links in {time.monotonic() - began:.0f} s")
    return 0 if all(one.met for one in judged) else 1


if __name__ == "__main__":
    sys.exit(main())
