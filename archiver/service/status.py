"""The status: one screen of what is known, what is left, and how the daemon is."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from archiver.clock import to_stamp
from archiver.model import ArchiveState
from archiver.service.desk import Desk
from archiver.service.health import examine, gather, next_runs
from archiver.service.kept_copies import summary
from archiver.store import daemon_pid

# States in which a link still waits for a look-up, and for a submission.
_WAITS_FOR_LOOKUP = (ArchiveState.NONE, ArchiveState.SEARCHING, ArchiveState.LOST)
_WAITS_FOR_SUBMISSION = (ArchiveState.QUEUED,)


def status(desk: Desk) -> dict[str, Any]:
    """Return the object of `status --json` (contract §4)."""
    queries, journal = desk.store.queries, desk.store.journal
    states = queries.archive_states()
    last = journal.last()
    pid = daemon_pid(desk.store.database.path)
    daemon = journal.state("daemon", {}) if pid is not None else {}
    now = desk.clock.now()
    facts = gather(desk)
    return {
        "schema": 1,
        "citations": queries.citation_count(),
        "links": queries.link_count(),
        "verdicts": queries.verdicts(),
        "archive": {state.value: states.get(state.value, 0) for state in ArchiveState},
        "problems": queries.problem_count(),
        "budgets": budgets(desk),
        "backlog": backlog(desk, states),
        "online": journal.state("online", {}).get("online"),
        "offline_since": journal.state("online", {}).get("since"),
        "daemon": {
            "running": pid is not None,
            "pid": pid,
            "since": daemon.get("since"),
            "last_run": None if last is None else last["ended_at"],
        },
        "due": queries.due_count(now),
        "local_copies": summary(desk),
        "health": examine(facts, desk.settings, now).as_json(),
        "next_runs": next_runs(facts, desk.settings, now),
    }


def midnight_after(moment: datetime) -> datetime:
    """Return the next 00:00 UTC: when an archive's day begins anew (reference wayback §1.9)."""
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return day + timedelta(days=1)


def budgets(desk: Desk) -> dict[str, Any]:
    """Return what may still be submitted today, and when that renews."""
    now, archive = desk.clock.now(), desk.settings.archive
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    used = len(desk.store.archive.attempts_since(today, "anonymous"))
    return {
        "anonymous_today": used,
        "anonymous_daily": archive.anonymous_daily,
        "anonymous_left": max(0, archive.anonymous_daily - used),
        "renews_at": to_stamp(midnight_after(now)),
    }


def backlog(desk: Desk, states: dict[str, int]) -> dict[str, Any]:
    """Return how much waits for the archive, with an honest estimate of how long it takes.

    The daily budget decides for submissions, the pace of reads for look-ups.
    """
    archive = desk.settings.archive
    lookups = sum(states.get(state.value, 0) for state in _WAITS_FOR_LOOKUP)
    submissions = sum(states.get(state.value, 0) for state in _WAITS_FOR_SUBMISSION)
    seconds = lookups * 60 / archive.reads_per_minute
    if archive.anonymous_daily:
        left = budgets(desk)["anonymous_left"]
        beyond = max(0, submissions - left)
        seconds += min(submissions, left) * 60 / archive.anonymous_per_minute
        seconds += -(-beyond // archive.anonymous_daily) * 86400
    return {"lookups": lookups, "submissions": submissions, "estimate_seconds": round(seconds)}
