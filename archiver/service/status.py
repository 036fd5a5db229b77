"""The status: one screen of what is known, what is left, and how the daemon is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from archiver.archiving.breakers import next_day
from archiver.archiving.pacing import Account, DayBudget, Usage, day_budget
from archiver.clock import to_stamp
from archiver.model import ArchiveState
from archiver.service.breakers import Breakers
from archiver.service.desk import Desk
from archiver.service.health import examine, gather, next_runs
from archiver.service.kept_copies import summary
from archiver.store import daemon_pid

# States in which a link still waits for a look-up, and for a submission.
_WAITS_FOR_LOOKUP = (ArchiveState.NONE, ArchiveState.SEARCHING, ArchiveState.LOST)
_WAITS_FOR_SUBMISSION = (ArchiveState.QUEUED,)
# What the archive last said of the account: a day's figures, and when.
ACCOUNT_STATE = "account"


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
        "online": facts.online,
        "offline_since": facts.offline_since and to_stamp(facts.offline_since),
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


def budgets(desk: Desk) -> dict[str, Any]:
    """Return what may still be submitted today the way we submit, and when that renews."""
    found: dict[str, Any] = {}
    backend = _backend(desk)
    if backend is not None:
        day = _day(desk, backend)
        found = {
            f"{backend}_today": day.used,
            f"{backend}_daily": day.limit,
            f"{backend}_left": day.left,
            # A fifth of each day is kept for what people ask for and for failing links.
            f"{backend}_reserved": day.left - day.left_for(reserved=False),
        }
    return {**found, "renews_at": to_stamp(next_day(desk.clock.now()))}


def backlog(desk: Desk, states: Mapping[str, int]) -> dict[str, Any]:
    """Return how much waits for the archive, with an honest estimate of how long it takes.

    The pace of reads decides for look-ups, the daily budget for submissions; `estimate_seconds`
    is None when what waits will never be submitted under these settings and with these keys. A
    look-up that finds nothing becomes a submission: until all were made, it is a least one.
    """
    lookups = sum(states.get(state.value, 0) for state in _WAITS_FOR_LOOKUP)
    submissions = sum(states.get(state.value, 0) for state in _WAITS_FOR_SUBMISSION)
    asks = desk.settings.archive.mode != "off"
    reading = lookups * 60 / desk.settings.archive.reads_per_minute if asks or not lookups else None
    sending = _sending_seconds(desk, submissions)
    never = reading is None or sending is None
    return {
        "lookups": lookups,
        "submissions": submissions,
        "estimate_seconds": None if never else round((reading or 0) + (sending or 0)),
    }


def _sending_seconds(desk: Desk, submissions: int) -> float | None:
    """Return how long so many ordinary submissions take: today's rest, then day by day."""
    if not submissions:
        return 0
    backend, archive = _backend(desk), desk.settings.archive
    if backend is None or Breakers(desk).keys_are_refused(backend):
        return None
    day = _day(desk, backend)
    each_day = replace(day, used=0).left_for(reserved=False)
    if not each_day:
        return None
    per_minute = archive.submits_per_minute if backend == "spn2" else archive.anonymous_per_minute
    today = min(submissions, day.left_for(reserved=False))
    days = -(-(submissions - today) // each_day)
    return today * 60 / per_minute + days * 86400


def _backend(desk: Desk) -> str | None:
    """Return how captures are asked for, None where they are not."""
    return desk.archive_mode if desk.archive_mode in ("spn2", "anonymous") else None


def _day(desk: Desk, backend: str) -> DayBudget:
    now = desk.clock.now()
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    used = len(desk.store.archive.attempts_between(today, now, backend))
    usage = Usage(used, account=account_today(desk, now))
    return day_budget(backend, desk.settings.archive, usage, now)


def account_today(desk: Desk, now: datetime) -> Account | None:
    """Return what the archive last said of the account today: its figures are those of one day."""
    told = desk.store.journal.state(ACCOUNT_STATE, {})
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    is_todays = to_stamp(midnight) <= told.get("at", "") <= to_stamp(now)
    return Account(**told["figures"]) if is_todays else None
