"""The figures that monitoring shows, gathered from the store in a few cheap queries."""

from __future__ import annotations

from archiver import __version__
from archiver.reporting.as_prometheus import exposition
from archiver.reporting.operations import DutyFigures, LastRun, Operations
from archiver.service.desk import Desk
from archiver.service.diary import DUTIES, Entries, Entry
from archiver.service.health import examine, gather, interval_of
from archiver.service.status import backlog, budgets


def metrics(desk: Desk, duties: Entries | None = None) -> str:
    """Return all metrics as text; raises DatabaseUnusable.

    `duties` is the daemon's own diary, where it is at hand.
    """
    queries = desk.store.queries
    totals = {**queries.counted_in_reports(), "problems": queries.problem_count()}
    return exposition(totals, operations(desk, duties), __version__)


def operations(desk: Desk, duties: Entries | None = None) -> Operations:
    """Gather the figures of the service; raises DatabaseUnusable."""
    counting, now, settings = desk.store.counting, desk.clock.now(), desk.settings
    facts = gather(desk, duties)
    waiting = backlog(desk, desk.store.queries.archive_states())
    left = {
        name.removesuffix("_left"): count
        for name, count in budgets(desk).items()
        if name.endswith("_left")
    }
    return Operations(
        running=facts.since is not None,
        ready=examine(facts, settings, now).is_ready,
        online=facts.online,
        due=desk.store.queries.due_count(now),
        looks=counting.looks_ever(),
        database_bytes=counting.bytes(),
        oldest_due=counting.oldest_due(),
        changes=counting.changes(),
        captures=counting.captures(),
        attempts=counting.attempts(),
        requests=counting.open_requests(),
        runs=[LastRun(*run) for run in counting.last_runs()],
        duties=[
            DutyFigures(
                name,
                interval_of(getattr(settings.schedule, name)).total_seconds(),
                facts.duties.get(name, Entry()).moved_at,
            )
            for name in DUTIES
        ],
        submissions_left=left,
        waiting_lookups=waiting["lookups"],
        waiting_submissions=waiting["submissions"],
        waiting_seconds=waiting["estimate_seconds"],
        pauses={
            name: until for name, (_, until) in facts.pauses.items() if until is None or until > now
        },
    )
