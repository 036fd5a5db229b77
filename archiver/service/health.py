"""Is the service healthy, and if not, why: facts gathered from the store, judged by a table.

What makes it unready (`/readyz` answers 503, `archiver status --check` exits 1) is a *reason*; what
a person should know although the service does its work is a *note* (reference operations §4).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

from archiver.clock import from_stamp, to_stamp
from archiver.config import Settings
from archiver.errors import DatabaseUnusable
from archiver.records import record
from archiver.service.breakers import Breakers
from archiver.service.desk import Desk
from archiver.service.diary import DUTIES, Entries, Entry, stored_entries
from archiver.store import Store, daemon_pid, pending_migrations
from archiver.text import shown

# How long a duty at work may stand still. A look, a playback or a submission takes minutes at
# most; longer silence than this, beyond the longest configured pause of a host, is a mistake.
STANDSTILL = timedelta(hours=1)
# Passes by a timer (`run --once`) come once a day, as systemd/archiver-once.timer does.
PASS_INTERVAL = timedelta(days=1)
# The pause between two ticks may be stretched by other work of the same process.
_SLACK = timedelta(minutes=2)


@record
class Reason:
    """One reason or note: a stable kebab-case word and a sentence for a person."""

    code: str
    text: str


@record
class Facts:
    """What is known of the service at one moment.

    `since` is when the running daemon started, None without one. `trouble` is why the database
    does not serve, None when it does; without it nothing else is known. `last_pass` is the end of
    the last good `run --once`. `pauses` maps what the archive asked us to rest (`reads`, …) to a
    reason and the end of the pause, None when only a person can end it.
    """

    since: datetime | None = None
    stopping: bool = False
    trouble: DatabaseUnusable | None = None
    online: bool | None = None
    offline_since: datetime | None = None
    duties: Entries = field(default_factory=dict)
    last_pass: datetime | None = None
    pauses: Mapping[str, tuple[str, datetime | None]] = field(default_factory=dict)


@record
class Health:
    """The verdict over the service: ready when there is no reason against it."""

    reasons: tuple[Reason, ...] = ()
    notes: tuple[Reason, ...] = ()

    @property
    def is_ready(self) -> bool:
        """Say whether the service does what it is for."""
        return not self.reasons

    def as_json(self) -> dict[str, Any]:
        """Return the body of `/readyz`."""
        return {
            "ready": self.is_ready,
            "reasons": [{"code": each.code, "message": each.text} for each in self.reasons],
            "notes": [{"code": each.code, "message": each.text} for each in self.notes],
        }


def interval_of(when: timedelta | time) -> timedelta:
    """Return how far apart two ticks of a schedule are."""
    return when if isinstance(when, timedelta) else timedelta(days=1)


def standstill_allowed(settings: Settings) -> timedelta:
    """Return how long a duty at work may stand still under these settings."""
    pauses = [host.delay for host in settings.hosts.values() if host.delay is not None]
    return STANDSTILL + 2 * max(pauses, default=timedelta(0))


def examine(facts: Facts, settings: Settings, now: datetime) -> Health:
    """Judge the service by every rule; pure."""
    if facts.trouble is not None:
        return Health((Reason(facts.trouble.code, shown(facts.trouble, 500)),))
    reasons = [reason for rule in _RULES for reason in rule(facts, settings, now)]
    return Health(tuple(reasons), tuple(_pauses(facts, now)))


Rule = Callable[[Facts, Settings, datetime], Iterator[Reason]]


def _stopping(facts: Facts, _: Settings, __: datetime) -> Iterator[Reason]:
    if facts.stopping:
        yield Reason("stopping", "The service is ending.")


def _starting(facts: Facts, _: Settings, __: datetime) -> Iterator[Reason]:
    if facts.since is None:
        return
    scan = facts.duties.get("scan", Entry())
    # Until the first scan of this process ended, nobody knows what is cited.
    if scan.ended_at is None or scan.ended_at < facts.since:
        yield Reason("starting", "The event files are being read for the first time.")


def _offline(facts: Facts, _: Settings, __: datetime) -> Iterator[Reason]:
    if facts.online is False:
        since = f" since {_said(facts.offline_since)}" if facts.offline_since else ""
        yield Reason("offline", f"This machine has had no way out{since}; nothing is judged.")


def _late(facts: Facts, settings: Settings, now: datetime) -> Iterator[Reason]:
    """Every duty got forward within twice its interval, or is at work and not stuck."""
    if facts.since is None:
        yield from _no_recent_run(facts, settings, now)
        return
    allowed = standstill_allowed(settings)
    for name in DUTIES:
        entry = facts.duties.get(name, Entry())
        moved = max(moment for moment in (facts.since, entry.moved_at) if moment)
        interval = interval_of(getattr(settings.schedule, name))
        if entry.running and entry.began_at and entry.began_at >= facts.since:
            if now - max(moved, entry.began_at) > allowed:
                text = f"The duty {name} has stood still since {_said(moved)}."
                yield Reason(f"{name}-stuck", text)
        elif now - moved > 2 * interval + _SLACK:
            yield Reason(f"{name}-late", _lateness(name, entry, moved))


def _lateness(name: str, entry: Entry, moved: datetime) -> str:
    why = f" The last try ended so: {shown(entry.trouble)}" if entry.trouble else ""
    return f"The duty {name} last went well before {_said(moved)}.{why}"


def _no_recent_run(facts: Facts, settings: Settings, now: datetime) -> Iterator[Reason]:
    """Without a daemon: the last pass of a timer, or the last tick of a daemon, is recent."""
    checked = facts.duties.get("check", Entry()).moved_at
    limits = [
        (facts.last_pass, 2 * PASS_INTERVAL),
        (checked, 2 * interval_of(settings.schedule.check) + _SLACK),
    ]
    if any(moment and now - moment <= limit for moment, limit in limits):
        return
    last = max((moment for moment, _ in limits if moment), default=None)
    if last is None:
        text = "No run has ended well yet, and no daemon is running."
    else:
        text = f"No daemon is running, and the last good run ended at {_said(last)}."
    yield Reason("no-recent-run", text)


def _failing(facts: Facts, _: Settings, __: datetime) -> Iterator[Reason]:
    """A duty that the database failed cannot wait for twice its interval to be told."""
    if facts.since is None:
        return
    for name, entry in facts.duties.items():
        if entry.code in _DATABASE_CODES and not entry.running:
            yield Reason(entry.code, f"The duty {name} failed: {shown(entry.trouble)}")
            return


_DATABASE_CODES = frozenset(
    {
        *("database-locked", "disk-full", "database-read-only", "database-unreachable"),
        *("database-corrupted", "database-unusable"),
    }
)
_RULES: tuple[Rule, ...] = (_stopping, _starting, _failing, _offline, _late)


def _pauses(facts: Facts, now: datetime) -> Iterator[Reason]:
    for name, (reason, until) in sorted(facts.pauses.items()):
        if until is None:
            text = f"The archive refused ({shown(reason)}): {shown(name)} rests until you act."
            yield Reason("archive-refuses", text)
        elif until > now:
            text = f"The archive is left in peace until {_said(until)} ({shown(reason)})."
            yield Reason("archive-pause", text)


def _said(moment: datetime | None) -> str:
    return "an unknown time" if moment is None else f"{moment:%Y-%m-%d %H:%M} UTC"


def gather(desk: Desk, duties: Entries | None = None) -> Facts:
    """Collect the facts from the store; `duties` is the daemon's own diary, where it is at hand.

    Never raises for a database that does not serve: that is a fact.
    """
    try:
        pending = pending_migrations(desk.store.database)
        if pending:
            raise DatabaseUnusable(
                f"The database lacks {len(pending)} migrations of this program.",
                "Restart the service; it migrates when it starts.",
                code="migration-waits",
            )
        return _gathered(desk, duties)
    except DatabaseUnusable as error:
        return Facts(trouble=error)


def _gathered(desk: Desk, duties: Entries | None) -> Facts:
    journal = desk.store.journal
    online = journal.state("online", {})
    running = daemon_pid(desk.store.database.path) is not None
    daemon = journal.state("daemon", {}) if running else {}
    breakers = Breakers(desk)
    pauses = {
        name: (breaker.reason, breaker.until)
        for name, breaker in breakers.all().items()
        # Single hosts that do not want to be captured are no matter of the service's health.
        if (breaker.until or breaker.is_open_ended) and not name.startswith("host-")
        if breakers.are_for_us(breaker)
    }
    return Facts(
        since=_moment(daemon.get("since")),
        stopping=desk.stopping,
        online=online.get("online"),
        offline_since=_moment(online.get("since")) if online.get("online") is False else None,
        duties=stored_entries(journal) if duties is None else duties,
        last_pass=desk.store.counting.last_good_run("once"),
        pauses=pauses,
    )


def _moment(stamp: str | None) -> datetime | None:
    return from_stamp(stamp) if stamp else None


def health(desk: Desk, duties: Entries | None = None) -> Health:
    """Gather and judge in one step."""
    return examine(gather(desk, duties), desk.settings, desk.clock.now())


def database_answers(path: Path) -> bool:
    """Say whether the database can be read at all, through a connection of its own.

    A lock that another program holds is an answer too: one waits for it, one does not die of it.
    """
    try:
        store = Store.open_reader(path)
        try:
            store.counting.looks_ever()
        finally:
            store.close()
    except DatabaseUnusable as error:
        return error.code == "database-locked"
    return True


def next_runs(facts: Facts, settings: Settings, now: datetime) -> dict[str, str | None]:
    """Return when each duty of a running daemon comes next (as stamps), None while at work.

    The schedule is a fixed grid, so this is right within the length of one tick.
    """
    if facts.since is None:
        return {}
    found: dict[str, str | None] = {}
    for name in DUTIES:
        entry, when = facts.duties.get(name, Entry()), getattr(settings.schedule, name)
        found[name] = None if entry.running else to_stamp(_next(when, entry.began_at, now))
    return found


def _next(when: timedelta | time, began: datetime | None, now: datetime) -> datetime:
    if isinstance(when, timedelta):
        return max(now, (began or now) + when)
    today = now.replace(hour=when.hour, minute=when.minute, second=0, microsecond=0)
    return today if today > now else today + timedelta(days=1)
