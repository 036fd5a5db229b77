"""Archived copies: the pipeline's decisions carried out, one link at a time.

Plan, write the intent, ask, fold the answer in, store. Every pause is kept in the store, so a
restart never hammers; everything that moves a belief becomes a look of vantage `archive`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import TracebackType

from archiver.archiving import pacing, steps
from archiver.archiving.anonymous import AnonymousSaver, SaveEndpoint
from archiver.archiving.answers import Lookup, LookupAnswer, Playback, PlaybackAnswer, Trouble
from archiver.archiving.cdx import IndexClient
from archiver.archiving.claims import judge_claim, read_claim
from archiver.archiving.pacing import Allowed, Breaker, ReadPace, Usage, WaitUntil
from archiver.archiving.pipeline import (
    Action,
    ArchiveRecord,
    Conclude,
    LookUp,
    Nothing,
    Situation,
    Step,
    Submit,
    Verify,
    Wait,
    from_json,
    plan,
    to_json,
)
from archiver.archiving.playback import PlaybackClient
from archiver.archiving.verify import Passed, needs_judgement, observe, verify
from archiver.archiving.wire import ArchiveWire
from archiver.checking.context import Context
from archiver.checking.page import read_page
from archiver.checking.policy import Policy
from archiver.checking.rules import judge
from archiver.clock import to_stamp
from archiver.model import Capture, Claim, Finding
from archiver.service.choosing import choose_for_citations
from archiver.service.desk import Desk, log
from archiver.service.situations import situation_of
from archiver.service.vantage import Vantages
from archiver.store import ArchiveTask, Progress, as_captures

_BATCH = 50
_PLANS = 6  # a link concludes at most so often in a row before it must wait
ONE_DAY = timedelta(hours=24)

READING, SUBMITTING, VERIFYING = "reading", "submitting", "verifying"
EVERYTHING = frozenset({READING, SUBMITTING, VERIFYING})
_KINDS: Mapping[type, str] = {LookUp: READING, Submit: SUBMITTING, Verify: VERIFYING}


@dataclass(slots=True)
class Done:
    """What a round of archive work came to, and why it ended."""

    lookups: int = 0
    submissions: int = 0
    verifications: int = 0
    claims: int = 0
    waits: dict[str, datetime] = field(default_factory=dict)

    @property
    def anything(self) -> int:
        """Return how many requests of any kind were made."""
        return self.lookups + self.submissions + self.verifications + self.claims

    def __str__(self) -> str:
        return (
            f"{self.lookups} look-ups, {self.submissions} submissions,"
            f" {self.verifications} captures played back, {self.claims} claims checked"
        )


class Archiving:
    """Looks up, submits and verifies; one per process, for it holds the process's pace."""

    def __init__(self, desk: Desk) -> None:
        """Work at a desk; nothing is opened yet."""
        settings = desk.settings.archive
        self.desk = desk
        self.mode = resolved_mode(desk)
        self._policy = Policy.from_settings(desk.settings.check)
        agent = desk.settings.check.sent_user_agent
        network = desk.settings.network
        trust = desk.loaded.path("network.ca_file")
        endpoints = (settings.save_url, settings.cdx_url, settings.playback_url)
        self._wire = ArchiveWire(
            endpoints,
            user_agent=agent,
            pace=ReadPace(desk.clock, settings.reads_per_minute),
            proxy=network.proxy,
            trust=ssl.create_default_context(cafile=str(trust)) if trust else None,
        )
        self._index = IndexClient(
            self._wire, desk.clock, cdx_url=settings.cdx_url, playback_url=settings.playback_url
        )
        self._player = PlaybackClient(self._wire, desk.clock, playback_url=settings.playback_url)
        self._saver = AnonymousSaver(
            SaveEndpoint(
                save_url=settings.save_url,
                playback_url=settings.playback_url,
                user_agent=agent,
                proxy=network.proxy,
                trust=str(trust) if trust else True,
            ),
            desk.clock,
        )
        self._vantages = Vantages(desk, self._policy)
        self._busy: dict[int, asyncio.Task[None]] = {}
        self._waiting: dict[int, datetime] = {}

    async def __aenter__(self) -> Archiving:
        await self._wire.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._busy.values():
            task.cancel()
        await asyncio.gather(*self._busy.values(), return_exceptions=True)
        await self._wire.__aexit__(kind, error, trace)

    # ------------------------------------------------------------------ the round

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
        with self.desk.shows("Asking the archive", None) as progress:
            while not self.desk.stopping and (end is None or clock.monotonic() < end):
                before = done.anything
                moved = await self._one_round(done, kinds)
                if VERIFYING in kinds and not self._reads_wait(done):
                    moved |= await self._one_claim(done)
                progress.advance(done.anything - before)
                if not moved and not await self._wait_for_pace(end):
                    break
        await self._finish_submissions()
        return done

    async def _one_round(self, done: Done, kinds: frozenset[str]) -> bool:
        """Take the most urgent due links one step further; say whether anything moved."""
        moved = False
        now = self.desk.clock.now()
        self._waiting = {key: until for key, until in self._waiting.items() if until > now}
        left_out = {*self._busy, *self._waiting}
        for task in self.desk.store.archive.due(now, _BATCH, leave_out=left_out):
            if self.desk.stopping:
                return False
            moved |= await self._advance(task, done, kinds)
            await asyncio.sleep(0)
        return moved

    async def one(self, link_id: int) -> ArchiveRecord:
        """Take one link as far as it goes now; for on-demand commands."""
        done = Done()
        for _ in range(_PLANS):
            task = self.desk.store.archive.task(link_id)
            if not await self._advance(task, done, EVERYTHING):
                break
            await self._finish_submissions()
        return from_json(self.desk.store.archive.task(link_id).record)

    async def _advance(self, task: ArchiveTask, done: Done, kinds: frozenset[str]) -> bool:
        """Plan and carry out one step of one link; say whether it got anywhere."""
        record = from_json(task.record)
        for _ in range(_PLANS):
            situation, action = self._plan(task, record)
            if not isinstance(action, Conclude):
                break
            record = action.record
            self._save(task, Step(record))
        if isinstance(action, Wait | Nothing):
            self._vantages.tell(task.link_id, record)
            until = action.until if isinstance(action, Wait) else None
            self.desk.store.archive.put_off(task.link_id, until)
            self._close_request(task, record)
            return True
        if _KINDS.get(type(action), READING) not in kinds:
            self._waiting[task.link_id] = self.desk.clock.now() + timedelta(minutes=1)
            return False
        return await self._carry_out(task, record, situation, action, done)

    def _plan(self, task: ArchiveTask, record: ArchiveRecord) -> tuple[Situation, Action]:
        now = self.desk.clock.now()
        situation = situation_of(
            task,
            self.desk.store.archive.citations(task.link_id),
            mode=self.mode,
            settings=self.desk.settings,
            policy=self._policy,
            now=now,
        )
        return situation, plan(record, situation, now, self.desk.settings.archive)

    async def _carry_out(
        self,
        task: ArchiveTask,
        record: ArchiveRecord,
        situation: Situation,
        action: Action,
        done: Done,
    ) -> bool:
        if isinstance(action, Submit):
            return self._begin_submission(task, action, done)
        if self._reads_wait(done):
            return False
        if isinstance(action, LookUp):
            done.lookups += 1
            await self._look_up(task, record, situation, action)
            return True
        if isinstance(action, Verify):
            done.verifications += 1
            await self._verify(task, record, action)
            return True
        return False

    def _reads_wait(self, done: Done) -> bool:
        allowed = pacing.allow_read(self._breakers(), self.desk.clock.now())
        if isinstance(allowed, WaitUntil):
            done.waits[allowed.reason] = allowed.until
        return isinstance(allowed, WaitUntil)

    async def _wait_for_pace(self, end: float | None) -> bool:
        """Wait for a submission under way or for the pace; False when neither is to be."""
        clock = self.desk.clock
        if self._busy:
            await asyncio.wait(set(self._busy.values()), return_when=asyncio.FIRST_COMPLETED)
            return True
        paced = [until for until in self._waiting.values()]
        if not paced:
            return False
        seconds = (min(paced) - clock.now()).total_seconds()
        if end is not None and clock.monotonic() + seconds > end:
            return False
        await clock.sleep(min(max(seconds, 0.05), 5.0))
        return True

    # ------------------------------------------------------------------ reads

    async def _look_up(
        self, task: ArchiveTask, record: ArchiveRecord, situation: Situation, action: LookUp
    ) -> None:
        answer = await self._index.look_up(action.url, action.around)
        self._note(_lookup_trouble(answer), pacing.READS, answer.retry_after)
        now = self.desk.clock.now()
        step = steps.after_lookup(record, answer, situation, now, self.desk.settings.archive)
        self._save(task, step)

    async def _verify(self, task: ArchiveTask, record: ArchiveRecord, action: Verify) -> None:
        answer = await self._player.play(action.capture.archive_url)
        self._note(_playback_trouble(answer), pacing.READS, answer.retry_after)
        now = self.desk.clock.now()
        finding = self._judge(task.link_id, answer, now)
        verification = verify(answer, finding, action.capture, task.wire)
        step = steps.after_verify(record, verification, action, now, self.desk.settings.archive)
        with self.desk.store.atomic():
            if verification.word is not Passed.UNANSWERED:
                good = verification.word is Passed.GOOD
                self._remember_playback(
                    task.link_id,
                    action.capture,
                    "ok" if good else f"{verification.word.value}:{verification.reason}",
                    good=good,
                )
            self._save(task, step)

    def _judge(self, link_id: int, answer: PlaybackAnswer, now: datetime) -> Finding | None:
        """Judge a played-back page by the checker's own rules and the cited titles."""
        if not needs_judgement(answer):
            return None
        observation = observe(answer, now, read_page)
        citations = self.desk.store.archive.citations(link_id)
        context = Context(
            cited_titles=tuple(row["source_title"] for row in citations if row["source_title"]),
            publishers=tuple(row["publisher"] for row in citations if row["publisher"]),
        )
        return judge(observation, context, self._policy)

    def _remember_playback(
        self, link_id: int, capture: Capture, judged: str, *, good: bool
    ) -> None:
        archive, now = self.desk.store.archive, self.desk.clock.now()
        for row in archive.add_captures(link_id, [capture], now):
            if row["archive_url"] == capture.archive_url:
                passed = good and now - capture.captured_at >= ONE_DAY
                archive.judge_capture(row["id"], now, judged, passed=passed, lives=good)

    async def _one_claim(self, done: Done) -> bool:
        """Check one `archive_url` as written in a file, if there is an unchecked one."""
        archive, now = self.desk.store.archive, self.desk.clock.now()
        rows = archive.unchecked_claims(1)
        if not rows:
            return False
        row = rows[0]
        link = row["link_wire"] or row["cited_url"]
        claim = read_claim(
            row["archive_url_in_file"], link, self.desk.settings.archive.playback_url
        )
        if claim.verdict is not None or claim.capture is None:
            archive.set_claim(row["id"], claim.verdict or Claim.NOT_A_CAPTURE, now)
            return True
        done.claims += 1
        answer = await self._player.play(claim.capture.archive_url)
        self._note(_playback_trouble(answer), pacing.READS, answer.retry_after)
        finding = self._judge(row["link_id"], answer, now) if row["link_id"] else None
        verdict = judge_claim(answer, finding, claim.capture, link)
        now = self.desk.clock.now()
        if verdict is None:
            archive.claim_unanswered(row["id"], now)
            return False
        with self.desk.store.atomic():
            archive.set_claim(row["id"], verdict, now)
            if verdict is Claim.CONFIRMED and row["link_id"]:
                self._adopt(row["link_id"], claim.capture)
        return True

    def _adopt(self, link_id: int, capture: Capture) -> None:
        """Take a confirmed claim in as a capture of the link."""
        task = self.desk.store.archive.task(link_id)
        record = from_json(task.record)
        situation, _ = self._plan(task, record)
        now = self.desk.clock.now()
        self._remember_playback(link_id, capture, "ok", good=True)
        adopted = steps.adopt(record, capture, situation, now, self.desk.settings.archive)
        self._save(task, Step(adopted, captures=(capture,)))

    # ------------------------------------------------------------------ submissions

    def _begin_submission(self, task: ArchiveTask, action: Submit, done: Done) -> bool:
        """Ask the budgets, write the intent, then send; the answer comes in its own time."""
        now = self.desk.clock.now()
        allowed = pacing.allow_submit(
            self._breakers(),
            self._usage(action.backend, task.host),
            self.desk.settings.archive,
            now,
            backend=action.backend,
            host=task.host if self._spaces_hosts else "",
            reserved=action.reserved,
        )
        if isinstance(allowed, WaitUntil):
            if allowed.is_pace:
                self._waiting[task.link_id] = allowed.until
            else:
                done.waits[allowed.reason] = allowed.until
                self.desk.store.archive.put_off(task.link_id, allowed.until)
            return False
        assert isinstance(allowed, Allowed)
        with self.desk.store.atomic():
            # Another process may have been faster: read and plan again under the write lock.
            task = self.desk.store.archive.task(task.link_id)
            record = from_json(task.record)
            situation, again = self._plan(task, record)
            if not isinstance(again, Submit):
                return True
            begun = steps.begin_submit(record, again, now)
            attempt_id = self.desk.store.archive.begin_attempt(
                task.link_id, again.url, again.backend, now, _progress(begun)
            )
        done.submissions += 1
        sending = asyncio.create_task(self._send(task, begun, situation, again, attempt_id))
        self._busy[task.link_id] = sending
        sending.add_done_callback(lambda _: self._busy.pop(task.link_id, None))
        return True

    @property
    def _spaces_hosts(self) -> bool:
        """Say whether two pages of one host are submitted a minute apart: not on loopback."""
        return self.desk.settings.archive.save_url.startswith("https://")

    async def _send(
        self,
        task: ArchiveTask,
        begun: ArchiveRecord,
        situation: Situation,
        action: Submit,
        attempt_id: int,
    ) -> None:
        answer = await self._saver.submit(action.url)
        self._note(answer.trouble, pacing.SUBMITS, answer.retry_after, backend=action.backend)
        now = self.desk.clock.now()
        step = steps.after_submit(begun, answer, situation, now, self.desk.settings.archive)
        self._save(task, step, attempt_id)

    async def _finish_submissions(self) -> None:
        if self._busy:
            await asyncio.wait(set(self._busy.values()))

    def _usage(self, backend: str, host: str) -> Usage:
        archive, now = self.desk.store.archive, self.desk.clock.now()
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        today = archive.attempts_since(midnight, backend)
        recent = archive.attempts_since(now - timedelta(minutes=1), backend)
        return Usage(
            today=len(today),
            recent=recent,
            running=len(self._busy),
            host_last_at=archive.last_attempt_at_host(host),
        )

    # ------------------------------------------------------------------ the store

    def _save(self, task: ArchiveTask, step: Step, attempt_id: int | None = None) -> None:
        """Store a step whole: record, captures, the attempt's end, choices, what was seen."""
        store, now = self.desk.store, self.desk.clock.now()
        with store.atomic():
            store.archive.save(task.link_id, _progress(step.record))
            if step.captures:
                store.archive.add_captures(task.link_id, step.captures, now)
            if step.attempt is not None:
                self._end_attempt(task.link_id, step, attempt_id, now)
            captures = store.archive.captures(task.link_id)
            if captures:
                store.hosts.note_captures(task.host, True)
                choose_for_citations(
                    store.archive, task.link_id, step.record, as_captures(captures), captures
                )
            if step.archive_saw is not None:
                self._vantages.archive_saw(task.link_id, step.archive_saw)
            self._vantages.tell(task.link_id, step.record)
            self._close_request(task, step.record)

    def _end_attempt(self, link_id: int, step: Step, attempt_id: int | None, now: datetime) -> None:
        end = step.attempt
        if end is None:
            return
        if attempt_id is None:
            last = self.desk.store.archive.last_attempt(link_id)
            if last is None:
                return
            attempt_id = int(last["id"])
        self.desk.store.archive.note_attempt(
            attempt_id,
            ended_at=to_stamp(now) if end.final else None,
            http_status=end.http_status,
            job_id=end.job_id,
            outcome=end.outcome.value,
            code=end.code or None,
            message=end.message[:500] or None,
            capture_url=end.capture_url,
        )

    def _close_request(self, task: ArchiveTask, record: ArchiveRecord) -> None:
        if task.requested is not None and record.touched_at is not None:
            self.desk.store.journal.answer(task.requested, self.desk.clock.now())

    # ------------------------------------------------------------------ breakers

    def _breakers(self) -> dict[str, Breaker]:
        stored: dict[str, str] = self.desk.store.journal.state("breakers", {})
        return {name: Breaker.from_json(text) for name, text in stored.items()}

    def _note(
        self, trouble: Trouble, scope: str, retry_after: int | None, *, backend: str = ""
    ) -> None:
        """Let an answer open or close breakers, in the store."""
        breakers = self._breakers()
        changed = pacing.note(
            breakers,
            trouble,
            scope,
            self.desk.clock.now(),
            backend=backend,
            retry_after=retry_after,
        )
        if not changed:
            return
        for breaker in changed:
            if breaker.until is not None or breaker.is_open_ended:
                log.warning("archive: pause (%s) until %s", breaker.reason, breaker.until)
            breakers[breaker.name] = breaker
        self.desk.store.journal.set_state(
            "breakers", {name: breaker.to_json() for name, breaker in breakers.items()}
        )


def resolved_mode(desk: Desk) -> str:
    """Return what `auto` means here."""
    mode = desk.settings.archive.mode
    return "anonymous" if mode == "auto" else mode


def _progress(record: ArchiveRecord) -> Progress:
    return Progress(
        state=record.state,
        next_at=record.next_at,
        record=to_json(record),
        negatives=record.negatives.count,
    )


_LOOKUP_TROUBLES = {
    Lookup.THROTTLED: Trouble.THROTTLED,
    Lookup.TROUBLE: Trouble.OUTAGE,
    Lookup.REFUSED: Trouble.REFUSED,
}
_PLAYBACK_TROUBLES = {
    Playback.THROTTLED: Trouble.THROTTLED,
    Playback.TROUBLE: Trouble.OUTAGE,
    Playback.REFUSED: Trouble.REFUSED,
}


def _lookup_trouble(answer: LookupAnswer) -> Trouble:
    return _LOOKUP_TROUBLES.get(answer.outcome, Trouble.NONE)


def _playback_trouble(answer: PlaybackAnswer) -> Trouble:
    return _PLAYBACK_TROUBLES.get(answer.outcome, Trouble.NONE)
