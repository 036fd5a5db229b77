"""Reading the archive: look-ups, playbacks judged by the checker's own rules, and claims."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta

from archiver.archiving import steps
from archiver.archiving.answers import Lookup, LookupAnswer, Playback, PlaybackAnswer, Trouble
from archiver.archiving.breakers import READS
from archiver.archiving.claims import judge_claim, proves_nothing_yet, read_claim
from archiver.archiving.pipeline import (
    ArchiveRecord,
    LookUp,
    Situation,
    Step,
    Verify,
    from_json,
)
from archiver.archiving.playback import LOOP, UNREADABLE
from archiver.archiving.transitions import ONE_DAY
from archiver.archiving.verify import (
    Passed,
    Verification,
    leeway_for,
    needs_judgement,
    observe,
    verify,
)
from archiver.checking.context import Context, GoodLook, SiblingFacts, good_look
from archiver.checking.page import read_page
from archiver.checking.policy import Policy
from archiver.checking.rules import judge
from archiver.model import Capture, Claim, Finding, Verdict
from archiver.service.archive_clients import ArchiveClients
from archiver.service.breakers import Breakers
from archiver.service.desk import Desk
from archiver.service.elsewhere import after_cited_copy, cited_copy
from archiver.service.keeping import Keeping
from archiver.service.work_done import Done
from archiver.store import ArchiveTask
from archiver.urls import directory_of

# When an archive that gave no answer about a claim is asked about it again: as often as for a
# capture that was missing once (reference wayback §9.3, V1).
_CLAIM_AGAIN = timedelta(hours=6)
# What is noted of the capture of a confirmed claim that did not play once.
_MISSED_ONCE = "missing-once"

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


class Playing:
    """Asks the index, plays captures back, and judges what it sees."""

    def __init__(
        self,
        desk: Desk,
        policy: Policy,
        clients: ArchiveClients,
        breakers: Breakers,
        keeping: Keeping,
    ) -> None:
        """Work at a desk through the archive's clients."""
        self._desk = desk
        self._policy = policy
        self._clients = clients
        self._breakers = breakers
        self._keeping = keeping

    async def look_up(
        self, task: ArchiveTask, record: ArchiveRecord, situation: Situation, action: LookUp
    ) -> None:
        """Ask the index what captures a link has."""
        answer = await self._clients.index.look_up(action.url, action.around)
        self._breakers.note(_lookup_trouble(answer), READS, answer.retry_after)
        await self._ask_about_host(task, situation, answer)
        answer = await self._clients.elsewhere.ask(answer, situation, action)
        now = self._desk.clock.now()
        step = steps.after_lookup(record, answer, situation, now, self._desk.settings.archive)
        self._keeping.save(task, step)

    async def _ask_about_host(
        self, task: ArchiveTask, situation: Situation, answer: LookupAnswer
    ) -> None:
        """Ask once whether the archive has anything of a dead link's host (suspect citations)."""
        hosts = self._desk.store.hosts
        nothing = answer.outcome is Lookup.NOTHING and not answer.variants
        if situation.verdict is not Verdict.DEAD or not nothing:
            return
        if hosts.captures_known(task.host):
            return
        told = await self._clients.index.look_up_host(task.host)
        self._breakers.note(_lookup_trouble(told), READS, told.retry_after)
        if told.outcome in (Lookup.FOUND, Lookup.NOTHING):
            hosts.note_captures(task.host, told.outcome is Lookup.FOUND)

    async def cited_copy(self, task: ArchiveTask, record: ArchiveRecord) -> None:
        """Verify an archive's address that stands as a source; it is never archived again."""
        settings = self._desk.settings.archive
        capture = cited_copy(task, settings.playback_url)
        verification = None
        if capture is not None:
            answer = await self._play(capture)
            finding, page = self._judge(task.link_id, answer, self._desk.clock.now())
            verification = verify(answer, finding, capture, capture.original_url)
            self._remember_verified(task.link_id, capture, verification, page)
        now = self._desk.clock.now()
        settled = after_cited_copy(record, capture, verification, now, settings.reverify_every)
        self._keeping.save(task, Step(settled))
        self._keeping.rest(task, settled, settled.next_at)

    async def verify(self, task: ArchiveTask, record: ArchiveRecord, action: Verify) -> None:
        """Play a capture back and judge what it shows."""
        answer = await self._play(action.capture)
        now = self._desk.clock.now()
        finding, page = self._judge(task.link_id, answer, now)
        verification = verify(answer, finding, action.capture, task.wire)
        step = steps.after_verify(record, verification, action, now, self._desk.settings.archive)
        with self._desk.store.atomic():
            self._remember_verified(task.link_id, action.capture, verification, page)
            self._keeping.save(task, step)

    async def _play(self, capture: Capture) -> PlaybackAnswer:
        if capture.source == "aggregator":
            return await self._clients.elsewhere.play(capture)
        answer = await self._clients.player.play(capture.archive_url, leeway=leeway_for(capture))
        trouble = _playback_trouble(answer)
        self._breakers.note(trouble, READS, answer.retry_after)
        return answer

    def _judge(
        self, link_id: int, answer: PlaybackAnswer, now: datetime
    ) -> tuple[Finding | None, GoodLook]:
        """Judge a played-back page by the checker's own rules and the cited titles.

        Beside the finding: what to keep of the page if it is good, to measure drift against.
        """
        if not needs_judgement(answer):
            return None, GoodLook()
        [link] = self._desk.store.looks.known([link_id])
        # What a made-up address of this directory answers tells a captured shell from a page.
        probed = self._desk.store.looks.probe(link.host, directory_of(link.wire))
        context = Context(
            cited_titles=link.titles,
            publishers=link.publishers,
            sibling=None if probed is None else SiblingFacts(**json.loads(probed)),
        )
        seen = observe(answer, now, read_page)
        return judge(seen, context, self._policy), good_look(seen)

    def _remember_verified(
        self, link_id: int, capture: Capture, verification: Verification, page: GoodLook
    ) -> None:
        if verification.word is Passed.UNANSWERED:
            return
        good = verification.word is Passed.GOOD
        judged = "ok" if good else f"{verification.word.value}:{verification.reason}"
        self._remember(link_id, capture, judged, page if good else None)

    def _remember(self, link_id: int, capture: Capture, judged: str, page: GoodLook | None) -> None:
        """Keep what a playback told; `page` is None unless it was good."""
        good = page is not None
        kept = None if page is None else asdict(page)
        archive, now = self._desk.store.archive, self._desk.clock.now()
        for row in archive.add_captures(link_id, [capture], now):
            if row["archive_url"] == capture.archive_url:
                passed = good and now - capture.captured_at >= ONE_DAY
                archive.judge_capture(row["id"], now, judged, passed=passed, lives=good, page=kept)

    async def one_claim(self, done: Done, situation_of: Callable[[ArchiveTask], Situation]) -> bool:
        """Check one `archive_url` as written in a file, if one is new or its answer is old."""
        archive, now = self._desk.store.archive, self._desk.clock.now()
        settings = self._desk.settings.archive
        old = now - settings.reverify_every
        rows = archive.claims_due(1, asked_before=now - _CLAIM_AGAIN, answered_before=old)
        if not rows:
            return False
        row = rows[0]
        link = row["link_wire"] or row["cited_url"]
        claim = read_claim(row["archive_url_in_file"], link, settings.playback_url)
        if claim.verdict is not None or claim.capture is None:
            archive.set_claim(row["id"], claim.verdict or Claim.NOT_A_CAPTURE, now)
            return True
        done.claims += 1
        # Noted before: whatever becomes of this one, the others come first the next time.
        is_new = row["archive_claim"] == Claim.UNCHECKED
        archive.claim_asked(row["id"], now if is_new else old + _CLAIM_AGAIN)
        await self._play_claim(row, claim.capture, link, situation_of)
        return True

    async def _play_claim(
        self,
        row: sqlite3.Row,
        capture: Capture,
        link: str,
        situation_of: Callable[[ArchiveTask], Situation],
    ) -> None:
        answer = await self._play(capture)
        now = self._desk.clock.now()
        finding, page = None, GoodLook()
        if row["link_id"]:
            finding, page = self._judge(row["link_id"], answer, now)
        verdict = judge_claim(answer, finding, capture, link)
        if verdict is None or self._is_too_soon_to_say(row, capture, verdict, now):
            return
        archive = self._desk.store.archive
        with self._desk.store.atomic():
            archive.set_claim(row["id"], verdict, now)
            if verdict is Claim.CONFIRMED and row["link_id"]:
                self._adopt(archive.task(row["link_id"]), capture, page, situation_of)

    def _is_too_soon_to_say(
        self, row: sqlite3.Row, capture: Capture, verdict: Claim, now: datetime
    ) -> bool:
        """Say whether a claim keeps its word for now; of a confirmed one the miss is noted."""
        vouched = row["archive_claim"] == Claim.CONFIRMED and not any(
            each["archive_url"] == capture.archive_url and each["judged"] == _MISSED_ONCE
            for each in self._desk.store.archive.captures(row["link_id"])
        )
        ripe_after = self._desk.settings.archive.verify_after
        if not proves_nothing_yet(verdict, capture, now, ripe_after=ripe_after, vouched=vouched):
            return False
        if vouched:
            self._remember(row["link_id"], capture, _MISSED_ONCE, None)
        return True

    def _adopt(
        self,
        task: ArchiveTask,
        capture: Capture,
        page: GoodLook,
        situation_of: Callable[[ArchiveTask], Situation],
    ) -> None:
        """Take a confirmed claim in as a capture of the link."""
        self._remember(task.link_id, capture, "ok", page)
        adopted = steps.adopt(
            from_json(task.record),
            capture,
            situation_of(task),
            self._desk.clock.now(),
            self._desk.settings.archive,
        )
        self._keeping.save(task, Step(adopted, captures=(capture,)))


def _playback_trouble(answer: PlaybackAnswer) -> Trouble:
    """Say what an answer tells of the archive: nothing, where one capture is at fault."""
    if answer.detail in (LOOP, UNREADABLE):
        return Trouble.NONE
    return _PLAYBACK_TROUBLES.get(answer.outcome, Trouble.NONE)


def _lookup_trouble(answer: LookupAnswer) -> Trouble:
    return _LOOKUP_TROUBLES.get(answer.outcome, Trouble.NONE)
