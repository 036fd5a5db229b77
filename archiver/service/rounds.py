"""Rounds of looks: links claimed in slices, looked at side by side, settled in batches.

Nothing holds all links: at most a window of them is in work. A batch is at most 200 looks or
ten seconds, so a killed process loses no more than that.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from archiver.checking.lanes import settings_for
from archiver.checking.policy import Policy
from archiver.errors import CannotWork, DatabaseUnusable
from archiver.model import Finding, Verdict
from archiver.service.checking import Busy, Checking, Seen
from archiver.service.desk import Desk, log
from archiver.store import PASSING, KnownLink, RecordedLook

# Reference perf §4 and §6: slices of 200 keep a claim under 5 ms; a window of 1,000 links mixes
# hosts well enough that the lanes are never idle.
SLICE = 200
WINDOW = 1000
BATCH = 200
BATCH_SECONDS = 10.0
_TICK_SECONDS = 0.25
# How long what was due is taken to be due still. What another process looks at within this second
# is looked at twice, which harms nobody; asking for every link costs as much as judging it.
_DUE_SECONDS = 1.0
# When to try again to store looks that the database did not take.
_AGAIN_SECONDS = 2.0
# Thousands of small objects live as long as the window; looking for cycles among them at
# Python's usual pace was a tenth of a look (benchmarks/README.md).
_COLLECTION_THRESHOLDS = (60_000, 20, 50)


@dataclass(slots=True)
class Summary:
    """What a round of looks came to; of links a person named, what was found or why nothing.

    `findings` has the finding of each that was looked at, `missed` until when the host of each
    other one cannot be asked.
    """

    looks: int = 0
    offline: bool = False
    postponed: int = 0
    changes: int = 0
    verdicts: dict[str, int] = field(default_factory=dict)
    findings: dict[int, Finding] = field(default_factory=dict)
    missed: dict[int, datetime] = field(default_factory=dict)

    def count(self, look: RecordedLook) -> None:
        """Add one look."""
        self.looks += 1
        word = "offline" if look.finding.verdict is None else look.finding.verdict.value
        self.verdicts[word] = self.verdicts.get(word, 0) + 1
        self.changes += look.belief.verdict is not look.link.belief.verdict

    def __str__(self) -> str:
        words = ", ".join(f"{count} {word}" for word, count in sorted(self.verdicts.items()))
        return f"{self.looks} looks" + (f": {words}" if words else "")


def put_right(desk: Desk) -> None:
    """Take back what a clock that was ahead has noted, before anything is looked at."""
    now, longest = desk.clock.now(), Policy.from_settings(desk.settings.check).longest_wait
    desk.store.looks.plan_anew(now, longest)
    desk.store.hosts.put_right(now)


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
        self._begun: set[int] = set()
        # Claimed, not begun, and due when we last asked.
        self._due: set[int] = set()
        self._asked_at = self._desk.clock.monotonic()
        self._trouble: CannotWork | None = None
        self._since = time.monotonic()
        self._news = asyncio.Event()
        # With fewer links than this in work there is something to do before a batch is full.
        self._fewest = 0

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
                self._fewest = WINDOW - SLICE if more else 0
                allowed = self._allowed(claimed)
                self._due.update(link.link_id for link in allowed)
                self._start(allowed)
            await self._wait()
            if self._ended:
                return
        await self._settle_all()
        self._tell_trouble()

    async def work_through(self, links: Sequence[KnownLink]) -> None:
        """Look at these links."""
        self._start(links)
        while self._tasks and not self._ended:
            await self._wait()
        await self._settle_all()
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

    def _start(self, links: Sequence[KnownLink]) -> None:
        self._checking.lease(links)
        for link in links:
            task = asyncio.create_task(self._look(link))
            self._tasks.add(task)
            task.add_done_callback(self._done)

    async def _look(self, link: KnownLink) -> None:
        seen = await self._checking.see(
            link, urgent=self._for_a_person, begin=partial(self._begin, link.link_id)
        )
        if seen is None:
            self._desk.store.looks.release(self._desk.holder, [link.link_id])
            self._advance(1)
        elif isinstance(seen, Busy):
            self._desk.store.looks.postpone([link.link_id], seen.until)
            self.summary.postponed += 1
            if self._for_a_person:
                self.summary.missed[link.link_id] = seen.until
            self._advance(1)
        else:
            self._seen.append(seen)

    def _begin(self, link_id: int) -> bool:
        """Say whether to look now that it is the link's turn, hours after it was claimed maybe.

        What a person, or another process, had looked at meanwhile is not due any more.
        """
        if not self._for_a_person and not self._is_due(link_id):
            return False
        self._checking.in_hand.add(link_id)
        self._begun.add(link_id)
        return True

    def _is_due(self, link_id: int) -> bool:
        clock = self._desk.clock
        if not 0 <= clock.monotonic() - self._asked_at < _DUE_SECONDS:
            self._due = self._desk.store.looks.still_due(self._due, clock.now())
            self._asked_at = clock.monotonic()
        due = link_id in self._due and link_id not in self._checking.in_hand
        self._due.discard(link_id)
        return due

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, CannotWork):
            self._trouble = error
        elif error is not None:
            # One link whose look fails by our own mistake must not end the round of all others.
            log.error("a look ended in a mistake of the program", exc_info=error)
        # Waking up for every look costs as much as judging it.
        if error is not None or len(self._seen) >= BATCH or len(self._tasks) <= self._fewest:
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
        """Settle one batch: what comes in meanwhile waits for the next, or commits become many."""
        batch, self._seen = self._seen[:BATCH], self._seen[BATCH:]
        self._since = time.monotonic()
        try:
            recorded = await self._record(batch)
        except CannotWork:
            self._seen = [*batch, *self._seen]
            raise
        for look in recorded:
            self._let_go({look.link.link_id})
            self.summary.count(look)
            _log_look(look)
            if self._for_a_person:
                self.summary.findings[look.link.link_id] = look.finding
        self.summary.offline = self._checking.watch.offline
        self._advance(len(batch))

    async def _settle_all(self) -> None:
        while self._seen and not self.summary.offline:
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
        try:
            await self._settle_all()
        finally:
            self._let_go(set(self._begun))

    def _let_go(self, link_ids: set[int]) -> None:
        self._checking.in_hand -= link_ids
        self._begun -= link_ids


def _log_look(look: RecordedLook) -> None:
    """Write one line for a belief that changed; for every look when asked to say more."""
    was, now = look.link.belief.verdict, look.belief
    if log.isEnabledFor(logging.DEBUG):
        seen = look.observation
        fields = {"url": look.link.url, "status": seen.status, "error": seen.error}
        log.debug("looked", extra={**fields, "finding": look.finding.reason})
    if now.verdict is not was and was is not Verdict.UNCHECKED:
        fields = {"url": look.link.url, "was": was.value, "now": now.verdict.value}
        log.info("verdict changed", extra={**fields, "reason": now.reason})
