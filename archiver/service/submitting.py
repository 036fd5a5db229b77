"""Submissions: budgets asked, intent written, then the wire; the answer comes in its own time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

from archiver.archiving import pacing, steps
from archiver.archiving.answers import JobState, Outcome, PollAnswer, SubmitAnswer, Trouble
from archiver.archiving.breakers import SLOT_PAUSE, SUBMITS
from archiver.archiving.pacing import Usage, WaitUntil
from archiver.archiving.pipeline import Action, ArchiveRecord, Situation, Submit
from archiver.archiving.refusals import Kind, refusal_for
from archiver.clock import to_stamp
from archiver.service.archive_clients import ArchiveClients
from archiver.service.breakers import Breakers
from archiver.service.desk import Desk
from archiver.service.keeping import Keeping, progress_of
from archiver.service.status import ACCOUNT_STATE, account_today
from archiver.store import ArchiveTask

# The account's own figures are asked for this often at most.
_ACCOUNT_HOLDS_SECONDS = 300.0

# How long an unanswered submission of any process counts as being on its way: a job lives for
# about an hour (reference wayback §1.6), an anonymous save answers within minutes or not at all.
_ON_ITS_WAY = {"spn2": timedelta(minutes=70), "anonymous": timedelta(minutes=3)}

Again = Callable[[ArchiveTask], tuple[ArchiveRecord, Situation, Action]]
Polled = tuple[ArchiveTask, ArchiveRecord, Situation]


class Submitting:
    """Sends submissions within the budgets and asks how jobs stand."""

    def __init__(
        self, desk: Desk, clients: ArchiveClients, breakers: Breakers, keeping: Keeping
    ) -> None:
        """Work at a desk through the archive's clients."""
        self._desk = desk
        self._clients = clients
        self._breakers = breakers
        self._keeping = keeping
        self._sending: dict[int, asyncio.Task[None]] = {}
        self._account_asked_at = float("-inf")
        # How many submissions of ours at a time the account last had slots for.
        self._room: int | None = None

    @property
    def busy(self) -> frozenset[int]:
        """Return the links whose submission is on the wire."""
        return frozenset(self._sending)

    async def begin(self, task: ArchiveTask, action: Submit, again: Again) -> WaitUntil | None:
        """Submit one link, or say until when to wait.

        `again` plans anew from a freshly read task: under the write lock, because another
        process may have been faster.
        """
        paused = self._paused(task, action)
        if paused is not None:
            return paused
        await self._ask_account(action.backend)
        now = self._desk.clock.now()
        with self._desk.store.atomic():
            # Under the same lock: two processes must not both take the last of a budget.
            allowed = self._allowed(task, action, now)
            if isinstance(allowed, WaitUntil):
                return allowed
            task = self._desk.store.archive.task(task.link_id)
            record, situation, planned = again(task)
            if not isinstance(planned, Submit):
                return WaitUntil(now + timedelta(seconds=1), "changed-meanwhile", is_pace=True)
            begun = steps.begin_submit(record, planned, now)
            attempt_id = self._desk.store.archive.begin_attempt(
                task.link_id, planned.url, planned.backend, now, progress_of(begun, now)
            )
        sending = asyncio.create_task(self._send(task, begun, situation, planned, attempt_id))
        self._sending[task.link_id] = sending
        sending.add_done_callback(lambda _: self._sending.pop(task.link_id, None))
        return None

    def _paused(self, task: ArchiveTask, action: Submit) -> WaitUntil | None:
        """Say whether nothing may be asked for now, not even about the account."""
        return pacing.pause_of(
            self._breakers.all(),
            self._desk.clock.now(),
            backend=action.backend,
            host=task.host if self._spaces_hosts else "",
            keys_mark=self._clients.keys_mark,
        )

    def _allowed(self, task: ArchiveTask, action: Submit, now: datetime) -> pacing.Answer:
        return pacing.allow_submit(
            self._breakers.all(),
            self._usage(action.backend, task.host),
            self._desk.settings.archive,
            now,
            backend=action.backend,
            host=task.host if self._spaces_hosts else "",
            reserved=action.reserved,
            keys_mark=self._clients.keys_mark,
        )

    @property
    def _spaces_hosts(self) -> bool:
        """Say whether two pages of one host are submitted a minute apart: not on loopback."""
        return self._desk.settings.archive.save_url.startswith("https://")

    async def _send(
        self,
        task: ArchiveTask,
        begun: ArchiveRecord,
        situation: Situation,
        action: Submit,
        attempt_id: int,
    ) -> None:
        answer = await self._wire(action)
        self._note(answer, action.backend, task.host)
        now = self._desk.clock.now()
        step = steps.after_submit(begun, answer, situation, now, self._desk.settings.archive)
        self._keeping.save(task, step, attempt_id)

    async def _wire(self, action: Submit) -> SubmitAnswer:
        if self._clients.account is None:
            return await self._clients.saver.submit(action.url)
        return await self._clients.account.submit(
            action.url, unless_newer_than=action.unless_newer_than
        )

    def _note(self, answer: SubmitAnswer, backend: str, host: str) -> None:
        self._breakers.note(
            answer.trouble,
            SUBMITS,
            answer.retry_after,
            backend=backend,
            keys_mark=self._clients.keys_mark,
        )
        if answer.trouble is Trouble.SLOTS:
            # After the pause it is asked how many there are (reference wayback §1.4, F).
            self._account_asked_at = float("-inf")
        self._note_host(host, answer.outcome, answer.code, answer.trouble)

    def _note_host(self, host: str, outcome: Outcome, code: str, trouble: Trouble) -> None:
        """Rest a site that refuses the archive again and again."""
        if trouble is not Trouble.NONE or outcome is Outcome.UNKNOWN:
            return
        refused = outcome in (Outcome.REFUSED, Outcome.FAILED)
        row = refusal_for(code) if refused else None
        pause = row.again if row is not None and row.kind is Kind.HOST else None
        self._breakers.note_host(host, refused=refused, pause=pause)

    async def poll(self, polled: Sequence[Polled]) -> None:
        """Ask how jobs stand, all in one request, and fold the answers in.

        Of links that were given the same job (reference wayback §0.5) one has its turn, the
        next one in the next round: an answer is read for the address that was submitted.
        """
        if self._clients.account is None:
            return
        by_job = {each[1].job_id: each for each in polled}
        jobs = {record.job_id: task.wire for task, record, _ in polled if record.job_id}
        answers = await self._clients.account.poll(jobs)
        self._note_polls(answers.values())
        now = self._desk.clock.now()
        for task, record, situation in by_job.values():
            answer = answers.get(record.job_id or "")
            if answer is None:
                continue
            if answer.state is JobState.ERROR:
                self._note_host(task.host, Outcome.FAILED, answer.code, answer.trouble)
            settings = self._desk.settings.archive
            self._keeping.save(task, steps.after_poll(record, answer, situation, now, settings))

    def _note_polls(self, answers: Iterable[PollAnswer]) -> None:
        """Let the answer to a poll count once, however many jobs it was about."""
        for trouble, pause in dict.fromkeys((each.trouble, each.retry_after) for each in answers):
            if trouble is not Trouble.NONE:
                self._breakers.note(
                    trouble,
                    SUBMITS,
                    pause,
                    backend="spn2",
                    keys_mark=self._clients.keys_mark,
                )

    async def _ask_account(self, backend: str) -> None:
        """Ask for the account's own figures: free of cost, and the proof that the keys are good."""
        clock = self._desk.clock
        account = self._clients.account
        if backend != "spn2" or account is None or self.keys_refused:
            return
        scarce = self._room is not None and self._room < self._desk.settings.archive.slots
        holds = SLOT_PAUSE.total_seconds() if scarce else _ACCOUNT_HOLDS_SECONDS
        if clock.monotonic() - self._account_asked_at < holds:
            return
        self._account_asked_at = clock.monotonic()
        ours = self._running(backend)
        answer = await account.user_status()
        free = answer.figures.available if answer.figures else None
        # Those that are free, and those that we hold ourselves (reference wayback §1.7).
        self._room = None if free is None else max(0, free) + ours
        if answer.figures is not None:
            told = {"at": to_stamp(clock.now()), "figures": asdict(answer.figures)}
            self._desk.store.journal.set_state(ACCOUNT_STATE, told)
        if answer.trouble is not Trouble.NONE:
            self._breakers.note(
                answer.trouble,
                SUBMITS,
                answer.retry_after,
                backend=backend,
                keys_mark=self._clients.keys_mark,
            )

    @property
    def keys_refused(self) -> bool:
        """Say whether the archive has refused the account keys we have."""
        return self._clients.account is not None and self._breakers.keys_are_refused("spn2")

    def _running(self, backend: str, host: str | None = None) -> int:
        """Count submissions on their way, of any process."""
        since = self._desk.clock.now() - _ON_ITS_WAY[backend]
        return self._desk.store.archive.running(backend, since, host)

    @property
    def may_poll(self) -> bool:
        """Say whether jobs may be asked for; refused keys are shown once (reference §9.6)."""
        return self._clients.account is not None and not self.keys_refused

    def _usage(self, backend: str, host: str) -> Usage:
        archive, now = self._desk.store.archive, self._desk.clock.now()
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        return Usage(
            today=len(archive.attempts_between(midnight, now, backend)),
            recent=archive.attempts_between(now - timedelta(minutes=1), now, backend),
            running=max(len(self._sending), self._running(backend)),
            host_running=self._running(backend, host),
            host_last_at=archive.last_attempt_at_host(host, now),
            account=account_today(self._desk, now),
            room=self._room,
        )

    async def wait_for_one(self) -> bool:
        """Wait until one submission on the wire is answered; False when none is."""
        if not self._sending:
            return False
        await asyncio.wait(set(self._sending.values()), return_when=asyncio.FIRST_COMPLETED)
        return True

    async def finish(self) -> None:
        """Wait for the answers to all submissions on the wire."""
        if self._sending:
            await asyncio.wait(set(self._sending.values()))

    async def cancel(self) -> None:
        """Leave submissions on the wire: their outcome is unknown and will be looked up."""
        sending = list(self._sending.values())
        for task in sending:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)
