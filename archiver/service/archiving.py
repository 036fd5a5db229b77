"""Archived copies: the pipeline's decisions carried out, one link at a time.

Plan, write the intent, ask, fold the answer in, store. Every pause is kept in the store, so a
restart never hammers; everything that moves a belief becomes a look of vantage `archive`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import TracebackType

from archiver.archiving import pacing
from archiver.archiving.answers import Outcome
from archiver.archiving.pacing import WaitUntil
from archiver.archiving.pipeline import (
    Action,
    ArchiveRecord,
    AttemptEnd,
    Conclude,
    LookUp,
    Nothing,
    Phase,
    Poll,
    Situation,
    Step,
    Submit,
    Verify,
    Wait,
    from_json,
    plan,
    to_json,
)
from archiver.archiving.record import set_back
from archiver.checking.policy import Policy
from archiver.clock import CLOCK_TRUST, from_stamp, to_stamp
from archiver.errors import ArchiverError, ConfigurationError
from archiver.service.archive_clients import ArchiveClients
from archiver.service.breakers import Breakers
from archiver.service.desk import Desk, log
from archiver.service.elsewhere import IS_ARCHIVE
from archiver.service.keeping import Keeping
from archiver.service.playing import Playing
from archiver.service.situations import situation_of
from archiver.service.submitting import Submitting
from archiver.service.work_done import Done
from archiver.store import ArchiveTask

_BATCH = 50
# The state that tells when archive work was last done, by the clock of that time.
_LAST_WORK = "archive-work"
# A program that was mended meanwhile finds the link again soon enough.
_AFTER_A_MISTAKE = timedelta(days=1)
_PLANS = 6  # a link concludes at most so often in a row before it must wait
# Contract §1: `run --once` polls the jobs it has submitted for at most a minute.
POLL_PATIENCE = timedelta(seconds=60)

READING, SUBMITTING, VERIFYING = "reading", "submitting", "verifying"
EVERYTHING = frozenset({READING, SUBMITTING, VERIFYING})
_KINDS: Mapping[type, str] = {LookUp: READING, Poll: READING, Submit: SUBMITTING, Verify: VERIFYING}


class Archiving:
    """Looks up, submits and verifies; one per process, for it holds the process's pace."""

    def __init__(self, desk: Desk) -> None:
        """Work at a desk; nothing is opened yet. Raises ConfigurationError for lacking keys."""
        self.desk = desk
        self.mode = resolved_mode(desk)
        self._policy = Policy.from_settings(desk.settings.check)
        self._clients = ArchiveClients(desk, self.mode)
        self._breakers = Breakers(desk)
        self._keeping = Keeping(desk, self._policy)
        self._playing = Playing(desk, self._policy, self._clients, self._breakers, self._keeping)
        self._submitting = Submitting(desk, self._clients, self._breakers, self._keeping)
        self._waiting: dict[int, WaitUntil] = {}
        # Links whose submission waits for its turn, and until when nobody has one.
        self._queue: set[int] = set()
        self._next_turn = datetime.min.replace(tzinfo=UTC)
        self._slots_full = False
        self._polls: list[tuple[ArchiveTask, ArchiveRecord, Situation]] = []
        self._poll_until = float("-inf")

    async def __aenter__(self) -> Archiving:
        await self._clients.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._submitting.cancel()
        await self._clients.__aexit__(kind, error, trace)

    async def work(
        self, limit: timedelta | None = None, kinds: frozenset[str] = EVERYTHING
    ) -> Done:
        """Do what is due until nothing is, a budget or breaker says wait, or time is over.

        Waits for per-minute paces, which are no budgets (contract §1, `run --once`).
        """
        done = Done()
        if self.mode == "off":
            return done
        clock = self.desk.clock
        end = None if limit is None else clock.monotonic() + limit.total_seconds()
        if self.desk.store.archive.next_poll() is not None:
            # Jobs of a process that ended are waited for like our own.
            self._poll_until = clock.monotonic() + POLL_PATIENCE.total_seconds()
        self._notice_a_clock_that_was_ahead()
        with self.desk.shows("Asking the archive", None) as progress:
            while not self.desk.stopping and (end is None or clock.monotonic() < end):
                before = done.anything
                moved = await self._one_round(done, kinds)
                if VERIFYING in kinds and not self._reads_wait(done):
                    moved |= await self._one_claim(done)
                progress.advance(done.anything - before)
                if not moved and not await self._wait_for_pace(end, done.next_turn):
                    break
        await self._submitting.finish()
        return done

    def _notice_a_clock_that_was_ahead(self) -> None:
        """Plan everything anew after one, or it would rest until the time that was shown."""
        now, journal = self.desk.clock.now(), self.desk.store.journal
        seen = journal.state(_LAST_WORK)
        if seen is not None and from_stamp(seen) > now + CLOCK_TRUST:
            log.warning("the clock was ahead: archive work is planned anew")
            self.desk.store.archive.wake_all(now)
        journal.set_state(_LAST_WORK, to_stamp(now))

    @property
    def keys_refused(self) -> bool:
        """Say whether the archive has refused the account keys we have."""
        return self._submitting.keys_refused

    async def one(self, link_id: int) -> ArchiveRecord:
        """Take one link as far as it goes now; for on-demand commands."""
        done = Done()
        for _ in range(_PLANS):
            task = self.desk.store.archive.task(link_id)
            moved = await self._advance(task, done, EVERYTHING)
            await self._submitting.finish()
            await self._send_polls(done)
            if not moved:
                break
        self._rest_until_its_turn(link_id)
        return from_json(self.desk.store.archive.task(link_id).record)

    def _rest_until_its_turn(self, link_id: int) -> None:
        """Store when a link may go on that only a pace holds back, to be told and waited for."""
        if link_id in self._queue:
            self.desk.store.archive.put_off(link_id, self._next_turn)
        elif link_id in self._waiting:
            self.desk.store.archive.put_off(link_id, self._waiting[link_id].until)

    async def _one_round(self, done: Done, kinds: frozenset[str]) -> bool:
        """Take the most urgent due links one step further; say whether anything moved."""
        moved = False
        now = self.desk.clock.now()
        self._waiting = {one: wait for one, wait in self._waiting.items() if wait.until > now}
        left_out = {*self._submitting.busy, *self._waiting, *done.others}
        done.next_turn = None
        if self._queue and now < self._next_turn:
            # Planning a queue of thousands anew for every turn would be most of all work.
            left_out |= self._queue
            done.next_turn = self._next_turn
        for task in self.desk.store.archive.due(now, _BATCH, leave_out=left_out):
            if self.desk.stopping:
                return False
            # Those before it may have taken minutes: another process may have been here since.
            fresh = self.desk.store.archive.task(task.link_id)
            moved |= await self._advance_or_put_off(fresh, done, kinds)
            await asyncio.sleep(0)
        await self._send_polls(done)
        return moved

    async def _advance_or_put_off(
        self, task: ArchiveTask, done: Done, kinds: frozenset[str]
    ) -> bool:
        """Take one link a step further.

        One link whose step fails by our own mistake must not end the round of all others.
        """
        try:
            return await self._advance(task, done, kinds)
        except ArchiverError:
            raise
        except Exception:
            log.exception("archive work ended in a mistake of the program", extra={"url": task.url})
            self.desk.store.archive.put_off(task.link_id, self.desk.clock.now() + _AFTER_A_MISTAKE)
            return True

    async def _one_claim(self, done: Done) -> bool:
        """Check one claim; a mistake about one must not end the round either."""
        try:
            return await self._playing.one_claim(done, self._situation)
        except ArchiverError:
            raise
        except Exception:
            # It is noted as tried already, so others come first.
            log.exception("checking a claim ended in a mistake of the program")
            return True

    async def _advance(self, task: ArchiveTask, done: Done, kinds: frozenset[str]) -> bool:
        """Plan and carry out one step of one link; say whether it got anywhere."""
        self._queue.discard(task.link_id)
        self._waiting.pop(task.link_id, None)
        task = self._trusted(task)
        record = from_json(task.record)
        situation = self._situation(task)
        if situation.refused == IS_ARCHIVE:
            return await self._advance_cited_copy(task, record, done, kinds)
        for _ in range(_PLANS):
            action = self._plan(record, situation)
            if not isinstance(action, Conclude):
                break
            ended = _abandoned(record, action.record)
            record = action.record
            self._keeping.save(task, Step(record, attempt=ended))
            task = replace(task, record=to_json(record))
        if isinstance(action, Wait | Nothing):
            until = action.until if isinstance(action, Wait) else None
            self._keeping.rest(task, record, until)
            return True
        if _KINDS.get(type(action), READING) not in kinds:
            done.others.add(task.link_id)
            return True
        return await self._carry_out(task, record, situation, action, done)

    def _trusted(self, task: ArchiveTask) -> ArchiveTask:
        """Store a record anew that was written by a clock which was ahead."""
        record = from_json(task.record)
        trusted = set_back(record, self.desk.clock.now())
        if trusted is record:
            return task
        self._keeping.save(task, Step(trusted))
        return self.desk.store.archive.task(task.link_id)

    async def _advance_cited_copy(
        self, task: ArchiveTask, record: ArchiveRecord, done: Done, kinds: frozenset[str]
    ) -> bool:
        """Verify a copy that is itself cited, when that is due."""
        now = self.desk.clock.now()
        if record.next_at is not None and now < record.next_at and task.requested is None:
            self._keeping.rest(task, record, record.next_at)
            return True
        if VERIFYING not in kinds:
            done.others.add(task.link_id)
            return True
        if self._reads_wait(done):
            return False
        done.verifications += 1
        await self._playing.cited_copy(task, record)
        return True

    def _situation(self, task: ArchiveTask) -> Situation:
        return situation_of(
            task,
            self.desk.store.archive.citations(task.link_id),
            mode=self.mode,
            settings=self.desk.settings,
            policy=self._policy,
            now=self.desk.clock.now(),
        )

    def _plan(self, record: ArchiveRecord, situation: Situation) -> Action:
        return plan(record, situation, self.desk.clock.now(), self.desk.settings.archive)

    async def _carry_out(
        self,
        task: ArchiveTask,
        record: ArchiveRecord,
        situation: Situation,
        action: Action,
        done: Done,
    ) -> bool:
        if isinstance(action, Submit):
            return await self._submit(task, action, done)
        if isinstance(action, Poll) and not self._submitting.may_poll:
            # A job is forgotten in the end, and what became of it is then looked up.
            forgotten = record.job_until and record.job_until + timedelta(seconds=1)
            self._keeping.rest(task, record, forgotten)
            return True
        if self._reads_wait(done):
            return False
        if isinstance(action, Poll):
            self._polls.append((task, record, situation))
        elif isinstance(action, LookUp):
            done.lookups += 1
            await self._playing.look_up(task, record, situation, action)
        elif isinstance(action, Verify):
            done.verifications += 1
            await self._playing.verify(task, record, action)
        return True

    async def _submit(self, task: ArchiveTask, action: Submit, done: Done) -> bool:
        """Submit if the budgets allow; else put the link off, or let it wait for the pace."""

        def again(fresh: ArchiveTask) -> tuple[ArchiveRecord, Situation, Action]:
            record, situation = from_json(fresh.record), self._situation(fresh)
            return record, situation, self._plan(record, situation)

        waits = await self._submitting.begin(task, action, again)
        if waits is None:
            done.submissions += 1
            self._poll_until = (
                self.desk.clock.monotonic()
                + POLL_PATIENCE.total_seconds()
                + self.desk.settings.archive.submit_timeout.total_seconds()
            )
            return True
        if waits.is_pace and waits.reason in (pacing.SLOTS, pacing.PER_MINUTE):
            self._queue.add(task.link_id)
            self._next_turn = done.next_turn = waits.until
            self._slots_full = waits.reason == pacing.SLOTS
        elif waits.is_pace:
            self._waiting[task.link_id] = waits
        else:
            done.waits[waits.reason] = waits.until
            self._keeping.choose(task, from_json(task.record))
            self.desk.store.archive.put_off(task.link_id, waits.until)
        return False

    async def _send_polls(self, done: Done) -> None:
        """Ask for all due jobs together (reference wayback §1.6)."""
        polls, self._polls = self._polls, []
        if polls:
            done.polls += len(polls)
            await self._submitting.poll(polls)

    def _reads_wait(self, done: Done) -> bool:
        allowed = pacing.allow_read(self._breakers.all(), self.desk.clock.now())
        if isinstance(allowed, WaitUntil):
            done.waits[allowed.reason] = allowed.until
        return isinstance(allowed, WaitUntil)

    async def _wait_for_pace(self, end: float | None, next_turn: datetime | None) -> bool:
        """Wait for an answer under way, the pace, or a job's next poll; False when for none.

        `next_turn` is when somebody of the queue may submit, who was left out or sent back in
        this round; it may have come meanwhile.
        """
        clock = self.desk.clock
        if await self._submitting.wait_for_one():
            # A slot is free again: who waited for one need not sleep its pause out.
            self._waiting.clear()
            self._next_turn = clock.now()
            self._poll_until = clock.monotonic() + POLL_PATIENCE.total_seconds()
            return True
        polls = clock.monotonic() < self._poll_until
        # Full slots, and jobs of the same host, are waited for as long as jobs are asked for
        # (contract §1, `run --once`).
        moments = [
            each.until
            for each in self._waiting.values()
            if polls or each.reason != pacing.HOST_BUSY
        ]
        if next_turn is not None and (polls or not self._slots_full):
            moments.append(next_turn)
        due = self.desk.store.archive.next_poll() if polls else None
        moments += [] if due is None else [due]
        if not moments:
            return False
        seconds = (min(moments) - clock.now()).total_seconds()
        if end is not None and clock.monotonic() + seconds > end:
            return False
        await clock.sleep(min(max(seconds, 0.05), 5.0))
        return True


def _abandoned(before: ArchiveRecord, after: ArchiveRecord) -> AttemptEnd | None:
    """Return how an attempt ends whose answer will never come: a crash, or a job forgotten."""
    if before.phase is Phase.UNKNOWN or after.phase is not Phase.UNKNOWN:
        return None
    expired = before.phase is Phase.POLLING
    return AttemptEnd(Outcome.EXPIRED if expired else Outcome.UNKNOWN)


def resolved_mode(desk: Desk) -> str:
    """Return what `auto` means here; raise ConfigurationError for `spn2` without keys."""
    if desk.archive_mode == "spn2" and desk.keys is None:
        raise ConfigurationError(
            'archive.mode is "spn2", but there are no account keys.',
            'Give keys (docs/archiving.md), or set archive.mode = "auto".',
        )
    return desk.archive_mode
