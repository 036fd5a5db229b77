"""One complete pass: scan, look, archive, report (contract §1, `run --once`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from archiver.errors import Offline
from archiver.service.archiving import Archiving
from archiver.service.checking import Checking
from archiver.service.desk import Desk
from archiver.service.local_copies import Copied, LocalCopies
from archiver.service.notifying import DONE, INTERRUPTED, Notifying
from archiver.service.report import write_reports
from archiver.service.rounds import Summary, look_at_due, put_right
from archiver.service.scan import Scan, scan
from archiver.service.status import backlog
from archiver.service.work_done import Done

DEFAULT_ARCHIVE_TIME = timedelta(minutes=15)


@dataclass(slots=True)
class Pass:
    """What one pass came to."""

    scan: Scan
    looks: Summary = field(default_factory=Summary)
    archive: Done = field(default_factory=Done)
    copies: Copied = field(default_factory=Copied)
    reports: list[Path] = field(default_factory=list)
    left_lookups: int = 0
    left_submissions: int = 0
    left_seconds: int | None = 0


async def one_pass(
    desk: Desk,
    *,
    archive_time: timedelta = DEFAULT_ARCHIVE_TIME,
    accept_removals: bool = False,
) -> Pass:
    """Do everything that is due once, then write the reports and tell who is to be told.

    Raises Offline (exit 4) when the looks show that we have no way out: then nothing is judged,
    nothing submitted, no report written.
    """
    async with Notifying(desk) as notifying:
        try:
            with notifying.run() as note:
                result = await _work(desk, archive_time, accept_removals)
                note.ended(INTERRUPTED if desk.stopping else DONE, str(result.looks))
        finally:
            await notifying.finish()
    _count_what_is_left(desk, result)
    return result


async def _work(desk: Desk, archive_time: timedelta, accept_removals: bool) -> Pass:
    journal, clock = desk.store.journal, desk.clock
    journal.close_interrupted(clock.now())
    desk.store.looks.release_stale(clock.now(), "run:")
    desk.store.hosts.free("run:", clock.now())
    put_right(desk)
    run_id = journal.begin("once", clock.now())
    result = Pass(await scan(desk, accept_removals=accept_removals))
    outcome = "failed"
    try:
        async with (
            Checking(desk) as checking,
            Archiving(desk) as archiving,
            LocalCopies(checking) as copies,
        ):
            result.looks = await look_at_due(checking, run_id)
            if result.looks.offline:
                outcome = "offline"
                raise _offline(result, checking.watch.why)
            if not desk.stopping:
                result.archive = await archiving.work(archive_time)
            if not desk.stopping and result.archive.anything:
                # A death that waited for the archive's answer is settled in the same pass.
                _add(result.looks, await look_at_due(checking, run_id))
            if not desk.stopping:
                result.copies = await copies.work(archive_time)
        if not desk.stopping:
            result.reports = write_reports(desk)
        outcome = "interrupted" if desk.stopping else "done"
    finally:
        journal.end(run_id, clock.now(), outcome, {"looks": result.looks.looks})
    return result


def _add(looks: Summary, later: Summary) -> None:
    """Count what a later round of the same pass came to as well."""
    looks.looks += later.looks
    looks.postponed += later.postponed
    looks.changes += later.changes
    for word, count in later.verdicts.items():
        looks.verdicts[word] = looks.verdicts.get(word, 0) + count


def _offline(result: Pass, why: str) -> Offline:
    return Offline(
        f"This machine seems to be offline ({why}): {result.looks.looks} looks were tried,"
        " nothing was judged and nothing was submitted.",
        "Try again once there is a way out; 'archiver demo' (or 'make demo') shows the whole"
        " loop without the internet.",
    )


def _count_what_is_left(desk: Desk, result: Pass) -> None:
    left = backlog(desk, desk.store.queries.archive_states())
    result.left_lookups = left["lookups"]
    result.left_submissions = left["submissions"]
    result.left_seconds = left["estimate_seconds"]
