"""The report as data, and the order in which its rows are to be mended.

Rows are mappings with the columns of the view `source_status` (contract §2). Nothing here
holds all rows: whoever makes the data hands in callables that give fresh iterators.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any, Protocol

from archiver.model import Claim, Row, Verdict
from archiver.records import record
from archiver.reporting.operations import Operations

STATUS_COLUMNS = (
    *("path", "line", "position", "event_id", "event_date", "source_title", "publisher"),
    *("tier", "source_date", "cited_url", "link_id", "host", "verdict", "reason"),
    *("verdict_since", "last_look_at", "next_look_at", "archive_state", "archive_url"),
    *("archive_url_in_file", "problem", "source_key", "access_date", "importance", "final_url"),
    *("http_status", "first_seen_at", "last_seen_alive_at", "last_seen_alive_by"),
    *("archive_verified_at", "archive_distance_days", "archive_claim"),
)
"""The columns of `source_status`, in the contract's order."""

Rows = Callable[[], Iterable[Row]]


def no_rows() -> Iterable[Row]:
    """Give no rows: for parts a report does not have."""
    return ()


@record
class FirstSweep:
    """What an honest first-day page says: how far we are, and from when verdicts are firm.

    `ends_at` is an estimate, None when every link was looked at. On strong evidence (404, name
    gone) nothing is called dead before `first_firm_at`, and every link is judged firmly at
    `firm_at`; on weak (silence) nothing is before `weak_firm_at`. Nothing is called archived
    before `played_back_at`.
    """

    started_at: datetime
    links: int
    looked_at: int
    ends_at: datetime | None
    first_firm_at: datetime
    firm_at: datetime
    weak_firm_at: datetime
    played_back_at: datetime


@record
class ReportData:
    """Everything a report says, as `service` hands it in.

    `totals` is made by `measures.totals`. `rows` gives `source_status` in mending order
    (`MENDING_ORDER`), `by_host` the view of that name, `by_year` the rows of contract §4
    (`year` None for sources without a date), oldest first. `problems` gives rows of the table
    of that name, `suspects` the view `suspect_citations`, `changes` rows with `changed_at,
    from_verdict, to_verdict, reason, url` (and `path, line` where known), newest first, from
    `changes_since` on. `previous` are the totals of an earlier report of `previous_at`.
    `events_paths` are the events folders as configured, `archives_asked` the archives' names.
    `operations` gives the figures of the running service, for the format that monitors it.
    """

    generated_at: datetime
    totals: Mapping[str, Any]
    rows: Rows
    by_host: Rows = no_rows
    by_year: Sequence[Row] = ()
    problems: Rows = no_rows
    suspects: Rows = no_rows
    changes: Rows = no_rows
    changes_since: datetime | None = None
    first_sweep: FirstSweep | None = None
    previous: Mapping[str, Any] | None = None
    previous_at: datetime | None = None
    events_paths: Sequence[str] = ()
    archives_asked: Sequence[str] = ("web.archive.org",)
    version: str = ""
    operations: Callable[[], Operations] | None = None


class MendingGroup(IntEnum):
    """What to mend first; the order is the design's."""

    DEAD_WITHOUT_CAPTURE = 0
    DEAD_NOT_IN_FILE = 1
    FAILING = 2
    BLOCKED = 3
    REST = 4

    @property
    def key(self) -> str:
        """Return the group's stable kebab-case name."""
        return self.name.lower().replace("_", "-")


# A claim that needs no mending: it plays back, or a person chose another archive, which we
# name and do not judge (design §6).
_GOOD_CLAIMS = frozenset({Claim.CONFIRMED, Claim.OTHER_ARCHIVE})


def has_good_claim(row: Row) -> bool:
    """Say whether the file itself already leads to a capture.

    A claim we have not checked yet gets the benefit of the doubt as long as a capture exists.
    """
    claim, written, known = row["archive_claim"], row["archive_url_in_file"], row["archive_url"]
    if not written:
        return False
    return claim in _GOOD_CLAIMS or (bool(known) and (claim == Claim.UNCHECKED or written == known))


def mending_group(row: Row) -> MendingGroup:
    """Return the group of "what to mend first" to which a citation belongs."""
    verdict = row["verdict"]
    if verdict == Verdict.DEAD and not has_good_claim(row):
        if row["archive_url"]:
            return MendingGroup.DEAD_NOT_IN_FILE
        return MendingGroup.DEAD_WITHOUT_CAPTURE
    if verdict == Verdict.FAILING:
        return MendingGroup.FAILING
    return MendingGroup.BLOCKED if verdict == Verdict.BLOCKED else MendingGroup.REST


Rank = tuple[int, int, int, int, int, str, int]


def mending_rank(row: Row) -> Rank:
    """Return the sort key of "what to mend first".

    By group; then tier, 1 first and unknown last; importance, highest first and unknown last;
    path; line. A tier or importance that is not an integer counts as unknown.
    """
    tier, importance = row["tier"], row["importance"]
    known_tier, known_importance = _is_number(tier), _is_number(importance)
    return (
        int(mending_group(row)),
        0 if known_tier else 1,
        tier if known_tier else 0,
        0 if known_importance else 1,
        -importance if known_importance else 0,
        row["path"],
        row["line"],
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


MENDING_ORDER = """
CASE
  WHEN verdict = 'dead' AND NOT (
    coalesce(archive_url_in_file, '') <> '' AND (
      coalesce(archive_claim, '') IN ('confirmed', 'other-archive')
      OR coalesce(archive_url, '') <> '' AND (
        coalesce(archive_claim, '') = 'unchecked' OR archive_url_in_file = archive_url)))
  THEN CASE WHEN coalesce(archive_url, '') = '' THEN 0 ELSE 1 END
  WHEN verdict = 'failing' THEN 2
  WHEN verdict = 'blocked' THEN 3
  ELSE 4
END,
typeof(tier) <> 'integer', CASE WHEN typeof(tier) = 'integer' THEN tier END,
typeof(importance) <> 'integer', CASE WHEN typeof(importance) = 'integer' THEN -importance END,
path, line
"""
"""`mending_rank` as the terms of an SQLite ORDER BY over `source_status`.

So that the database sorts and nobody else holds the rows; a test holds the two together.
"""


# Looks of a link that fails from the start come at 0, 6, 30 and 78 h with the default
# intervals: the earliest moment three counted looks span 72 h (reference linkrot §2.5).
_CONFIRMATION_MARGIN = timedelta(hours=6)
# How long one answer takes beside the pause after it, for an estimate only.
_USUAL_ANSWER = timedelta(seconds=2)


class CheckPace(Protocol):
    """What a first sweep depends on; the `[check]` settings are one."""

    @property
    def host_delay(self) -> timedelta:
        """Return the pause after each answer of a host."""

    @property
    def strong_days(self) -> int:
        """Return the days over which strong evidence must persist."""

    @property
    def weak_days(self) -> int:
        """Return the days over which weak evidence must persist."""


def first_sweep(
    *,
    started_at: datetime,
    now: datetime,
    links: int,
    unchecked: int,
    longest_queue: int,
    check: CheckPace,
    verify_after: timedelta,
) -> FirstSweep | None:
    """Describe a young database; None without links, or once its strong verdicts can be firm.

    `started_at` is the first look ever, `longest_queue` the largest number of unchecked links
    on one host: with one request per host at a time it decides how long the sweep takes. A few
    unchecked links later on are new citations, not a first sweep.
    """
    strong_span = timedelta(days=check.strong_days)
    confirmed_after = strong_span + _CONFIRMATION_MARGIN
    if not links or (now >= started_at + confirmed_after and unchecked * 20 <= links):
        return None
    ends_at = now + longest_queue * (check.host_delay + _USUAL_ANSWER) if unchecked else None
    return FirstSweep(
        started_at=started_at,
        links=links,
        looked_at=links - unchecked,
        ends_at=ends_at,
        first_firm_at=started_at + strong_span,
        firm_at=(ends_at or started_at) + confirmed_after,
        weak_firm_at=started_at + timedelta(days=check.weak_days),
        played_back_at=started_at + verify_after,
    )
