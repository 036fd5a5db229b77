"""Rounds of looks: links claimed in slices, looked at side by side, settled in batches.

Nothing holds all links: at most a window of them is in work. A batch is at most 200 looks or
ten seconds, so a killed process loses no more than that.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from archiver.checking.lanes import settings_for
from archiver.errors import CannotWork, DatabaseUnusable
from archiver.model import Finding
from archiver.service.checking import Busy, Checking, Seen
from archiver.service.desk import log
from archiver.store import PASSING, KnownLink, RecordedLook

# Reference perf §4 and §6: slices of 200 keep a claim under 5 ms; a window of 1,000 links mixes
# hosts well enough that the lanes are never idle.
SLICE = 200
WINDOW = 1000
BATCH = 200
BATCH_SECONDS = 10.0
_TICK_SECONDS = 0.25
# When to try again to store looks that the database did not take.
_AGAIN_SECONDS = 2.0
# Thousands of small objects live as long as the window; looking for cycles among them at
# Python's usual pace was a tenth of a look (benchmarks/README.md).
_COLLECTION_THRESHOLDS = (20_000, 20, 50)


@dataclass(slots=True)
class Summary:
    """What a round of looks came to; `findings` has the finding of every link looked at."""

    looks: int = 0
    offline: bool = False
    postponed: int = 0
    changes: int = 0
    verdicts: dict[str, int] = field(default_factory=dict)
    findings: dict[int, Finding] = field(default_factory=dict)

    def count(self, look: RecordedLook) -> None:
        """Add one look."""
        self.looks += 1
        word = "offline" if look.finding.verdict is None else look.finding.verdict.value
        self.verdicts[word] = self.verdicts.get(word, 0) + 1
        self.changes += look.belief.verdict is not look.link.belief.verdict

    def __str__(self) -> str:
        words = ", ".join(f"{count} {word}" for word, count in sorted(self.verdicts.items()))
        return f"{self.looks} looks" + (f": {words}" if words else "")


async def look_at_due(
    checking: Checking, run_id: int | None = None, *, at_most: int | None = None
) -> Summary:
    """Look at everything that is due; stops early when we are offline or asked to stop.

    `at_most` so many links, the longest due first, where not all are to be tried.
    """
    desk = checking.desk
    total = desk.store.queries.due_count(desk.clock.now())
    if not total:
        return Summary()
    with desk.shows("Looking at links", total) as progress, _fewer_collections:
        round_ = _Round(checking, run_id, progress.advance)
        try:
            await round_.work_through_due(at_most)
        finally:
            try:
                await round_.give_up()
            finally:
                desk.store.looks.release(desk.holder)
                checking.rest()
    return round_.summary


async def look_at(
    checking: Checking, link_ids: Sequence[int], run_id: int | None = None
) -> Summary:
    """Look at named links now, due or not, in front of what is due, with the same manners."""
    desk = checking.desk
    with desk.shows("Looking at links", len(link_ids)) as progress, _fewer_collections:
        round_ = _Round(checking, run_id, progress.advance, for_a_person=True)
        try:
            for start in range(0, len(link_ids), WINDOW):
                known = desk.store.looks.known(link_ids[start : start + WINDOW])
                await round_.work_through(known)
        finally:
            await round_.give_up()
            checking.rest()
    return round_.summary


class _FewerCollections:
    """Collects garbage less often while rounds are under way.

    What is due and what a person asked for are rounds side by side, and the first to begin may
    be the first to end: only the last one out puts Python's pace back.
    """

    def __init__(self) -> None:
        self._rounds = 0
        self._before = gc.get_threshold()

    def __enter__(self) -> None:
        if not self._rounds:
            self._before = gc.get_threshold()
            gc.set_threshold(*_COLLECTION_THRESHOLDS)
        self._rounds += 1

    def __exit__(self, *_: object) -> None:
        self._rounds -= 1
        if not self._rounds:
            gc.set_threshold(*self._before)


_fewer_collections = _FewerCollections()


class _Round:
    """One round under way."""

    def __init__(
        self,
        checking: Checking,
        run_id: int | None,
        advance: Callable[[int], None],
        *,
        for_a_person: bool = False,
    ) -> None:
        self.summary = Summary()
        self._checking = checking
        self._desk = checking.desk
        self._run_id = run_id
        self._advance = advance
        self._for_a_person = for_a_person
        self._tasks: set[asyncio.Task[None]] = set()
        self._seen: list[Seen] = []
        self._trouble: CannotWork | None = None
        self._since = time.monotonic()
        self._news = asyncio.Event()

    async def work_through_due(self, at_most: int | None = None) -> None:
        """Keep the window full until nothing is due any more, or so many were tried."""
        more, left = True, at_most
        while more or self._tasks:
            while more and not self._ended and len(self._tasks) <= WINDOW - SLICE:
                size = SLICE if left is None else min(SLICE, left)
                claimed = self._desk.store.looks.claim_due(
                    self._desk.clock.now(), size, self._desk.holder
                )
                left = None if left is None else left - len(claimed)
                more = bool(claimed) and left != 0
                self._start(self._allowed(claimed))
            await self._wait()
            if self._ended:
                return
        await self._settle()
        self._tell_trouble()

    async def work_through(self, links: Iterable[KnownLink]) -> None:
        """Look at these links."""
        self._start(links)
        while self._tasks and not self._ended:
            await self._wait()
        await self._settle()
        self._tell_trouble()

    @property
    def _ended(self) -> bool:
        return self.summary.offline or self._desk.stopping

    def _allowed(self, links: Sequence[KnownLink]) -> list[KnownLink]:
        """Put off links of hosts whose owners asked to be left alone (`hosts.*.skip`)."""
        hosts = self._desk.settings.hosts
        skipped: list[KnownLink] = []
        allowed: list[KnownLink] = []
        for link in links:
            own = settings_for(hosts, link.host) if hosts else None
            (skipped if own is not None and own.skip else allowed).append(link)
        if skipped:
            until = self._desk.clock.now() + self._desk.settings.check.interval_ok
            self._desk.store.looks.postpone([link.link_id for link in skipped], until)
        return allowed

    def _start(self, links: Iterable[KnownLink]) -> None:
        for link in links:
            task = asyncio.create_task(self._look(link))
            self._tasks.add(task)
            task.add_done_callback(self._done)

    async def _look(self, link: KnownLink) -> None:
        seen = await self._checking.see(link, urgent=self._for_a_person)
        if isinstance(seen, Busy):
            self._desk.store.looks.postpone([link.link_id], seen.until)
            self.summary.postponed += 1
            self._advance(1)
        else:
            self._seen.append(seen)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, CannotWork):
            self._trouble = error
        elif error is not None:
            # One link whose look fails by our own mistake must not end the round of all others.
            log.error("a look ended in a mistake of the program", exc_info=error)
        self._news.set()

    async def _wait(self) -> None:
        """Wait for news, and settle when a batch is full, old, or the last."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), _TICK_SECONDS)
        self._news.clear()
        self._tell_trouble()
        old = time.monotonic() - self._since > BATCH_SECONDS
        if len(self._seen) >= BATCH or (old and self._seen):
            await self._settle()

    def _tell_trouble(self) -> None:
        """Raise what kept a look from being made, as when the database takes no lease."""
        if self._trouble is not None:
            raise self._trouble

    async def _settle(self) -> None:
        batch, self._seen = self._seen[:BATCH], self._seen[BATCH:]
        self._since = time.monotonic()
        if not batch:
            return
        try:
            recorded = await self._record(batch)
        except CannotWork:
            self._seen = [*batch, *self._seen]
            raise
        for look in recorded:
            self.summary.count(look)
            if self._for_a_person:
                self.summary.findings[look.link.link_id] = look.finding
        self.summary.offline = self._checking.watch.offline
        self._advance(len(batch))
        if self._seen and not self.summary.offline:
            await self._settle()

    async def _record(self, batch: Sequence[Seen]) -> list[RecordedLook]:
        """Settle a batch; a lock, or a disk that is just being cleared, gets a second chance."""
        try:
            return await self._checking.settle(batch, self._run_id)
        except DatabaseUnusable as error:
            if error.code not in PASSING or self._desk.stopping:
                raise
            log.warning("%d looks could not be stored yet: %s", len(batch), error)
            await asyncio.sleep(_AGAIN_SECONDS)
        return await self._checking.settle(batch, self._run_id)

    async def give_up(self) -> None:
        """Stop what is still under way, and settle what was already seen."""
        if self._tasks:
            # Asked once to stop, requests in flight may end; asked twice, nobody waits for them.
            current = asyncio.current_task()
            asked_again = current is not None and current.cancelling() > 0
            grace = 5.0 if self._desk.stopping and not asked_again else 0.0
            _, late = await asyncio.wait(set(self._tasks), timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if not self.summary.offline:
            await self._settle()
