"""The life of the service: six schedules, requests from people, a clean end.

The schedules decide nothing: each tick asks the store what is due. State lives in SQLite only,
so ending anywhere loses at most the looks in flight.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, time, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from archiver.clock import to_stamp
from archiver.config import Loaded
from archiver.errors import ArchiverError, CannotWork, ConfigurationError, DatabaseUnusable
from archiver.service.desk import Desk, log
from archiver.service.diary import DUTIES, Diary
from archiver.service.duties import Duties
from archiver.service.health import database_answers, standstill_allowed
from archiver.store import CORRUPTED, PASSING, REPLACED
from archiver.systemd import ServiceManager
from archiver.web.door import require_servable
from archiver.web.server import WebServer

# How long work in flight may take after SIGTERM; systemd waits a minute (the unit).
DRAIN_SECONDS = 20.0
# How soon a person's request is taken up.
REQUEST_PAUSE_SECONDS = 1.0
# How soon a start is tried again that a full disk or a lock prevented.
TROUBLE_PAUSE_SECONDS = 5.0
# How often a trouble that stays is said again.
SAID_AGAIN_SECONDS = 600.0
# How often the two clocks are compared, and by how much they part when the wall clock was set, or
# the machine slept.
CLOCKS_PAUSE_SECONDS = 1.0
CLOCK_STEP = timedelta(minutes=1)
NO_TIME = timedelta(0)

Reload = Callable[[], Loaded]


class Daemon:
    """One running service on one open desk."""

    def __init__(
        self, desk: Desk, *, reload: Reload, manager: ServiceManager | None = None
    ) -> None:
        """Take an open desk; `reload` reads the configuration anew for SIGHUP."""
        self._desk = desk
        self._reload = reload
        self._manager = manager or ServiceManager()
        self._diary = Diary(desk.store.journal, desk.clock, desk.progress)
        desk.progress = self._diary
        self._web = WebServer(desk, self._diary)
        self._duties = Duties(desk)
        self._scheduler = AsyncIOScheduler(
            timezone=UTC,
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._stop = asyncio.Event()
        self._working: set[asyncio.Task[None]] = set()
        self._troubles: dict[str, tuple[str, float]] = {}
        self._following: asyncio.Future[None] | None = None
        self._damage: DatabaseUnusable | None = None
        self._began = desk.clock.monotonic()

    async def run(self) -> None:
        """Work until SIGTERM or SIGINT; returns after a clean end.

        Raises DatabaseUnusable when the database turns out to be damaged, or was replaced:
        whatever else were written into it could be lost, and only a person can set that right.
        """
        self._watch_signals()
        async with self._duties, self._web:
            self._manager.ready("reading the event files")
            await self._take_over()
            beside = [
                asyncio.create_task(self._serve_requests()),
                asyncio.create_task(self._feed_watchdog()),
                asyncio.create_task(self._watch_clocks()),
            ]
            await self._do("scan")
            self._schedule()
            self._scheduler.start()
            log.info("the service is running, pid %d", os.getpid())
            await self._stop.wait()
            await self._drain(beside)
        if self._damage is not None:
            raise self._damage

    async def _take_over(self) -> None:
        """Clear up after a service that was killed; wait for as long as nothing can be written."""
        while not self._desk.stopping:
            try:
                with self._desk.store.atomic():
                    self._clear_up()
            except DatabaseUnusable as error:
                if error.code not in PASSING:
                    raise
                self._told("start", error)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), TROUBLE_PAUSE_SECONDS)
            else:
                self._troubles.pop("start", None)
                return

    def _clear_up(self) -> None:
        store, now = self._desk.store, self._desk.clock.now()
        store.journal.close_interrupted(now)
        store.journal.reopen_requests()
        store.looks.release_stale(now, "run:")
        # We hold the lock of the one `run`: whoever leased hosts as one before is dead.
        store.hosts.free("run:", now)
        self._sign_in()

    def _sign_in(self) -> None:
        """Say who works on this database, and since when by the clock as it goes now."""
        clock = self._desk.clock
        since = clock.now() - timedelta(seconds=clock.monotonic() - self._began)
        state = {"pid": os.getpid(), "since": to_stamp(since)}
        self._desk.store.journal.set_state("daemon", state)

    def _watch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_stop)
        loop.add_signal_handler(signal.SIGHUP, self._asked_to_reload)

    def _asked_to_stop(self) -> None:
        self._desk.stopping = True
        self._stop.set()

    def _asked_to_reload(self) -> None:
        """Take over a changed configuration; keep the old one when the new is bad."""
        self._manager.reloading()
        try:
            loaded = self._reload()
            require_servable(loaded)
        except ConfigurationError as error:
            log.error("the configuration was not reloaded: %s", error)
        else:
            self._desk.loaded = loaded
            self._duties.settings_changed()
            if self._scheduler.running:
                self._schedule()
            self._following = asyncio.ensure_future(self._web.follow())
            log.info("the configuration was reloaded")
        self._manager.ready()

    def _schedule(self) -> None:
        """Put the six duties on the clock; the first tick of each is now."""
        schedule = self._desk.settings.schedule
        now = self._desk.clock.now()
        for place, name in enumerate(DUTIES):
            when: timedelta | time = getattr(schedule, name)
            # A little apart, so that the first looks are there before the first report.
            first = now + timedelta(seconds=place) if isinstance(when, timedelta) else None
            extra = {} if first is None else {"next_run_time": first}
            self._scheduler.add_job(
                self._do, _trigger(when), args=[name], id=name, replace_existing=True, **extra
            )

    async def _watch_clocks(self) -> None:
        """Notice that the wall clock was set, or that the machine slept."""
        known = self._zero_hour()
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), CLOCKS_PAUSE_SECONDS)
            step = self._zero_hour() - known
            if abs(step) >= CLOCK_STEP:
                known += step
                self._clock_was_set(step)

    def _zero_hour(self) -> datetime:
        """Return when the monotonic clock showed zero, by the wall clock as it goes now."""
        clock = self._desk.clock
        return clock.now() - timedelta(seconds=clock.monotonic())

    def _clock_was_set(self, step: timedelta) -> None:
        """Plan anew: what was planned by another clock may be years away, or years ago."""
        log.info("the clock was set %s by %s", "back" if step < NO_TIME else "forward", abs(step))
        try:
            self._sign_in()
        except DatabaseUnusable as error:
            self._told("clock", error)
        if not self._scheduler.running:
            return
        if step < NO_TIME:
            self._schedule()
            return
        now = self._desk.clock.now()
        for job in self._scheduler.get_jobs():
            if job.next_run_time is not None and job.next_run_time < now:
                # Once: the scheduler would list every tick of the years between.
                job.modify(next_run_time=now)

    async def _do(self, name: str) -> None:
        """Do one duty; whatever goes wrong is said, and the service goes on."""
        if self._desk.stopping:
            return
        task = asyncio.create_task(self._guarded(name))
        self._working.add(task)
        task.add_done_callback(self._working.discard)
        await asyncio.wait([task])

    async def _guarded(self, name: str) -> None:
        duty: Callable[[], Awaitable[str]] = getattr(self._duties, name)
        try:
            with self._diary.duty(name):
                self._desk.store.database.require_its_file()
                said = await duty()
            if said:
                self._manager.status(said)
            if self._troubles.pop(name, None) is not None:
                log.info("%s: it works again", name)
            if name == "check":
                self._come_back()
        except CannotWork as error:
            self._told(name, error)
            if isinstance(error, DatabaseUnusable) and error.code in (CORRUPTED, REPLACED):
                self._damage = error
                self._asked_to_stop()
        except ArchiverError as error:
            log.error("%s: %s", name, error)
        except Exception:
            log.exception("%s ended in a mistake of the program; it is tried again", name)

    def _told(self, name: str, error: CannotWork) -> None:
        """Say what is wrong once, and again every ten minutes while it stays."""
        now = self._desk.clock.monotonic()
        told = self._troubles.get(name)
        if told is None or told[0] != error.code or now - told[1] > SAID_AGAIN_SECONDS:
            log.warning("%s: %s", name, error)
            self._troubles[name] = (error.code, now)
        self._manager.status(str(error))

    def _come_back(self) -> None:
        """While offline, check again when it is time to try, not only at the next tick."""
        again, job = self._duties.online_again_at(), self._scheduler.get_job("check")
        if again is not None and job is not None:
            # A second later: stored moments are whole seconds.
            again += timedelta(seconds=1)
            if job.next_run_time is None or again < job.next_run_time:
                job.modify(next_run_time=again)

    async def _serve_requests(self) -> None:
        """Take up what people asked for through the database, soon and in front."""
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), REQUEST_PAUSE_SECONDS)
            await self._do("requests")

    async def _feed_watchdog(self) -> None:
        """Pet systemd's watchdog only while the database answers and work gets forward."""
        interval = self._manager.watchdog_interval
        while interval is not None and not self._stop.is_set():
            if await self._is_well():
                self._manager.alive()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), interval)

    async def _is_well(self) -> bool:
        still = timedelta(seconds=self._diary.longest_standstill())
        if still > standstill_allowed(self._desk.settings):
            log.error("work has stood still for %s: the watchdog is not fed any more", still)
            return False
        # In a thread: neither a slow disk nor a lock may hold the loop that proves it turns.
        return await asyncio.to_thread(database_answers, self._desk.store.database.path)

    async def _drain(self, beside: list[asyncio.Task[None]]) -> None:
        """Let work in flight finish, release what was claimed, stop the clock."""
        self._manager.stopping("finishing the looks in flight")
        self._scheduler.pause()
        if self._working:
            _, late = await asyncio.wait(self._working, timeout=DRAIN_SECONDS)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=5)
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        # `shutdown(wait=True)` would cancel running coroutine jobs by itself.
        self._scheduler.shutdown(wait=False)
        try:
            with self._desk.store.atomic():
                self._desk.store.looks.release(self._desk.holder)
                self._desk.store.journal.close_interrupted(self._desk.clock.now())
                self._desk.store.journal.set_state("daemon", {})
            self._desk.store.database.empty_log()
        except DatabaseUnusable as error:
            # The next start clears up as after a kill.
            log.warning("the end could not be written down: %s", error)
        log.info("the service has stopped")


def _trigger(when: timedelta | time) -> BaseTrigger:
    if isinstance(when, timedelta):
        return IntervalTrigger(seconds=max(1, int(when.total_seconds())), timezone=UTC)
    return CronTrigger(hour=when.hour, minute=when.minute, timezone=UTC)
