"""Storing what a step of the archive pipeline came to: whole, in one transaction."""

from __future__ import annotations

from datetime import datetime

from archiver.archiving.pipeline import ArchiveRecord, Phase, Step, to_json
from archiver.checking.policy import Policy
from archiver.clock import to_stamp
from archiver.service.choosing import choose_for_citations
from archiver.service.desk import Desk
from archiver.service.vantage import Vantages
from archiver.store import ArchiveTask, Progress, as_captures


class Keeping:
    """Keeps records, captures, attempts' ends, choices, and what the archive saw."""

    def __init__(self, desk: Desk, policy: Policy) -> None:
        """Keep in the desk's store."""
        self._desk = desk
        self._vantages = Vantages(desk, policy)

    def save(self, task: ArchiveTask, step: Step, attempt_id: int | None = None) -> None:
        """Store a step whole; `attempt_id` is the submission it answers, where it answers one.

        Of what was asked for a link that another process took further meanwhile only the
        captures are kept: that process may have a job under way (law 8).
        """
        store, now = self._desk.store, self._desk.clock.now()
        with store.atomic():
            if attempt_id is None and store.archive.task(task.link_id).record != task.record:
                store.archive.add_captures(task.link_id, step.captures, now)
                return
            # Due at once: only planning anew says what is next, and `rest` until when.
            store.archive.save(task.link_id, progress_of(step.record, now))
            if step.captures:
                store.archive.add_captures(task.link_id, step.captures, now)
            if step.attempt is not None:
                self._end_attempt(task.link_id, step, attempt_id, now)
            self.choose(task, step.record)
            if step.archive_saw is not None:
                self._vantages.archive_saw(task.link_id, step.archive_saw)
            self._vantages.tell(task.link_id, step.record)

    def choose(self, task: ArchiveTask, record: ArchiveRecord) -> None:
        """Choose a capture for each citation: one may be new, though no capture is."""
        store = self._desk.store
        captures = store.archive.captures(task.link_id)
        if captures:
            store.hosts.note_captures(task.host, True)
            choose_for_citations(store.archive, task, record, as_captures(captures), captures)

    def rest(self, task: ArchiveTask, record: ArchiveRecord, until: datetime | None) -> None:
        """Let a link rest until a moment, telling beliefs what is known by now."""
        with self._desk.store.atomic():
            self._desk.store.archive.put_off(task.link_id, until)
            self.choose(task, record)
            self._vantages.tell(task.link_id, record)
            self._close_request(task, record)

    def _end_attempt(self, link_id: int, step: Step, attempt_id: int | None, now: datetime) -> None:
        end, archive = step.attempt, self._desk.store.archive
        if attempt_id is None:
            last = archive.last_attempt(link_id)
            attempt_id = None if last is None else int(last["id"])
        if end is None or attempt_id is None:
            return
        columns = {
            "ended_at": to_stamp(now) if end.final else None,
            "http_status": end.http_status,
            "job_id": end.job_id,
            "outcome": end.outcome.value,
            "code": end.code or None,
            "message": end.message[:500] or None,
            "capture_url": end.capture_url,
        }
        # A later answer fills what an earlier one left open, and takes nothing back.
        known = {name: value for name, value in columns.items() if value is not None}
        archive.note_attempt(attempt_id, **known)

    def _close_request(self, task: ArchiveTask, record: ArchiveRecord) -> None:
        # What is under way is asked about to its end, also for a link that nobody cites.
        under_way = record.phase is not Phase.IDLE
        if task.requested is not None and record.touched_at is not None and not under_way:
            self._desk.store.journal.answer(task.requested, self._desk.clock.now())


def progress_of(record: ArchiveRecord, due: datetime) -> Progress:
    """Return what the store keeps of a record beside its text, due at a moment."""
    return Progress(
        state=record.state,
        next_at=due,
        record=to_json(record),
        negatives=record.negatives.count,
    )
