"""On-demand work beside the daemon, on the same database and with the same manners."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from archiver.archiving.answers import Lookup
from archiver.archiving.record import from_json
from archiver.archiving.refusals import UNKNOWN_CODE, refusal_for
from archiver.checking.lanes import lane_of
from archiver.clock import from_stamp
from archiver.errors import CannotWork, KeysRefused
from archiver.model import ArchiveState, Finding
from archiver.reasons import REASONS, in_words
from archiver.service import explain
from archiver.service.archiving import Archiving
from archiver.service.checking import Checking
from archiver.service.desk import Desk
from archiver.service.rounds import Summary, look_at, look_at_due
from archiver.store import daemon_pid

# A daemon that holds a host answers requests in its own time; a command watches this long.
PATIENCE = timedelta(minutes=15)
WATCH_SECONDS = 0.5
# Contract §1: `archive --wait` waits at most ten minutes.
ARCHIVE_PATIENCE = timedelta(minutes=10)


@dataclass(slots=True)
class Checked:
    """What an on-demand check came to: the links, this very look's findings, and offline.

    `missed` has until when to wait for each link whose host could not be asked now.
    """

    link_ids: list[int]
    findings: dict[int, Finding] = field(default_factory=dict)
    offline: bool = False
    missed: dict[int, datetime] = field(default_factory=dict)


async def check(desk: Desk, link_ids: Sequence[int] | None) -> Checked:
    """Look at links now (None: at all that are due).

    Links whose host the daemon is asking are queued for the daemon, go to the front there, and
    are watched from here.
    """
    async with Checking(desk) as checking:
        if link_ids is None:
            due = [row["id"] for row in desk.store.queries.due_links(desk.clock.now())]
            summary = await look_at_due(checking)
            return Checked(due, offline=summary.offline)
        ours, theirs = _split(desk, link_ids)
        requests = [desk.store.journal.ask(one, "check", desk.clock.now()) for one in theirs]
        summary = await look_at(checking, ours) if ours else Summary()
    if requests:
        await _watch(desk, requests)
    return Checked(list(link_ids), summary.findings, summary.offline, summary.missed)


def _service_answers(desk: Desk) -> bool:
    """Say whether a service is there that takes up requests; a single pass does not."""
    pid = daemon_pid(desk.store.database.path)
    return pid is not None and desk.store.journal.state("daemon", {}).get("pid") == pid


def _split(desk: Desk, link_ids: Sequence[int]) -> tuple[list[int], list[int]]:
    """Part links into ours and those whose host a running service holds just now."""
    if not _service_answers(desk):
        return list(link_ids), []
    now = desk.clock.now()
    ours: list[int] = []
    theirs: list[int] = []
    for link_id in link_ids:
        link = desk.store.queries.link(link_id)
        host = "" if link is None else lane_of(link["host"])
        (theirs if desk.store.hosts.holder(host, now) else ours).append(link_id)
    return ours, theirs


async def _watch(desk: Desk, requests: list[int]) -> None:
    """Wait for the daemon to answer requests; raise CannotWork when it does not in time."""
    end = desk.clock.monotonic() + PATIENCE.total_seconds()
    while any(desk.store.journal.request_state(one) != "done" for one in requests):
        if desk.stopping:
            return
        if desk.clock.monotonic() > end or not _service_answers(desk):
            raise CannotWork(
                "The daemon holds that host and did not look in time.",
                "It stays queued there; 'archiver why URL' tells when it was looked at.",
                code="queued-for-the-daemon",
            )
        await asyncio.sleep(WATCH_SECONDS)


def check_result(desk: Desk, checked: Checked, *, failed: bool) -> dict[str, Any]:
    """Return the object of `check --json` (contract §4)."""
    return {
        "schema": 1,
        "ok": not failed and not checked.offline,
        "offline": checked.offline,
        "results": [explain.result(desk, link_id) for link_id in checked.link_ids],
    }


async def archive(desk: Desk, link_ids: Sequence[int], *, wait: bool) -> None:
    """Have links archived now: looked up, submitted if need be; with `wait` until known.

    Raises KeysRefused when the archive refused our keys, or wants a login.
    """
    async with Archiving(desk) as archiving:
        for link_id in link_ids:
            desk.store.journal.ask(link_id, "archive", desk.clock.now())
            desk.store.archive.wake(link_id, desk.clock.now())
        end = desk.clock.monotonic() + ARCHIVE_PATIENCE.total_seconds()
        with desk.shows("Asking the archive", len(link_ids)) as progress:
            for link_id in link_ids:
                await archiving.one(link_id)
                while wait and not desk.stopping and not _is_known(desk, link_id):
                    pause = _pause(desk, link_id)
                    if pause is None or desk.clock.monotonic() + pause > end:
                        break
                    await desk.clock.sleep(pause)
                    await archiving.one(link_id)
                progress.advance()
        if archiving.keys_refused and not all(_is_known(desk, one) for one in link_ids):
            raise KeysRefused(
                "archive.org refused the account keys.",
                "Check the keys (docs/archiving.md); nothing more is submitted with them.",
            )


def _is_known(desk: Desk, link_id: int) -> bool:
    state = desk.store.archive.task(link_id).state
    return state in (ArchiveState.CAPTURED, ArchiveState.ARCHIVED)


def _pause(desk: Desk, link_id: int) -> float | None:
    """Return how many seconds to wait before a link can go on, None when nothing is due."""
    due = desk.store.archive.task(link_id).link["archive_next_at"]
    if due is None:
        return None
    return max(1.0, (from_stamp(due) - desk.clock.now()).total_seconds())


def archive_result(desk: Desk, link_ids: Sequence[int]) -> dict[str, Any]:
    """Return the object of `archive --json` (contract §4)."""
    return {"schema": 1, "ok": True, "results": [_archived(desk, one) for one in link_ids]}


def _archived(desk: Desk, link_id: int) -> dict[str, Any]:
    task = desk.store.archive.task(link_id)
    capture = None
    if task.state in (ArchiveState.CAPTURED, ArchiveState.ARCHIVED):
        capture = desk.store.queries.best_capture(link_id)
    attempt = desk.store.archive.last_attempt(link_id)
    return {
        "url": task.url,
        "link_id": link_id,
        "archive": {
            "state": task.state.value,
            "url": None if capture is None else capture["archive_url"],
            "captured_at": None if capture is None else capture["captured_at"],
        },
        "attempt": None if attempt is None else dict(attempt),
        "text": archive_line(desk, link_id),
    }


# Why a look-up told nothing: words of the archive's answers, not of the page's.
_NO_ANSWER: Mapping[str, str] = {
    Lookup.TROUBLE: "the archive gave no answer",
    Lookup.THROTTLED: "the archive asks for a pause",
    Lookup.REFUSED: "the archive refuses our connections",
}


def _reason_in_words(reason: str) -> str:
    """Say why a link's archiving stands where it does: a refusal of the archive, or a finding."""
    if reason in _NO_ANSWER:
        return _NO_ANSWER[reason]
    row = refusal_for(reason)
    if row is not UNKNOWN_CODE and row.text:
        return row.text
    return in_words(reason) if reason in REASONS else reason.replace("-", " ")


def archive_line(desk: Desk, link_id: int) -> str:
    """Return the line to paste into an event file, or the state and when to ask again."""
    task = desk.store.archive.task(link_id)
    if task.state in (ArchiveState.CAPTURED, ArchiveState.ARCHIVED):
        capture = desk.store.queries.best_capture(link_id)
        if capture is not None:
            return f"archive_url: {capture['archive_url']}  # {task.state}"
    record = from_json(task.record)
    due = task.link["archive_next_at"]
    again = f"; ask again after {due}" if due else ""
    why = f" ({_reason_in_words(record.reason)})" if record.reason else ""
    return f"{task.url}: {task.state}{why}{again}"
