"""Archived copies as stored: captures, attempts, and how far each link is.

An attempt is written before it is sent, together with the state it puts the link in; a capture
is a row the moment anybody told us of it, and `archived` only after a playback.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from archiver.clock import to_stamp
from archiver.model import ArchiveState, Belief, Capture, Claim
from archiver.records import record
from archiver.store.codec import read_belief
from archiver.store.database import Database


@record
class ArchiveTask:
    """One link whose archived copies are to be looked after.

    `record` is the pipeline's own memory (JSON), opaque here; `link` is a row of `links`.
    """

    link_id: int
    url: str
    wire: str
    host: str
    state: ArchiveState
    record: str
    belief: Belief
    link: sqlite3.Row
    requested: int | None = None


@record
class Progress:
    """Where a link's archiving stands after a step."""

    state: ArchiveState
    next_at: datetime | None
    record: str
    negatives: int = 0


_TASK = """
SELECT l.*, (SELECT min(r.id) FROM requests r WHERE r.link_id = l.id AND r.kind = 'archive'
              AND r.done_at IS NULL) AS request_id,
       (SELECT min(r.asked_at) FROM requests r WHERE r.link_id = l.id AND r.kind = 'archive'
         AND r.done_at IS NULL) AS asked_at
  FROM links l
"""
# Design §6 and reference wayback §9.2.7: on-demand, failing, never archived, refresh.
_PRIORITY = """
 ORDER BY request_id IS NULL, l.verdict NOT IN ('failing', 'dead'),
          l.archive_state IN ('captured', 'archived'),
          l.best_tier IS NULL, l.best_tier, l.importance IS NULL, l.importance DESC,
          l.first_seen_at, l.id
 LIMIT ?
"""


class Archive:
    """Captures, attempts and archive states."""

    def __init__(self, database: Database) -> None:
        """Work on an open, migrated database."""
        self._database = database

    def due(self, now: datetime, limit: int, *, leave_out: Iterable[int] = ()) -> list[ArchiveTask]:
        """Return links whose archive work is due, most urgent first, without those left out."""
        left_out = json.dumps(sorted(leave_out))
        return [
            _task(row)
            for row in self._database.rows(
                f"{_TASK} WHERE l.archive_next_at <= ? AND (l.cited = 1 OR request_id IS NOT NULL)"
                f" AND l.id NOT IN (SELECT value FROM json_each(?)) {_PRIORITY}",
                [to_stamp(now), left_out, limit],
            )
        ]

    def task(self, link_id: int) -> ArchiveTask:
        """Return the archive work of one link, due or not."""
        row = self._database.row(f"{_TASK} WHERE l.id = ?", [link_id])
        if row is None:
            raise LookupError(f"no link {link_id}")
        return _task(row)

    def put_off(self, link_id: int, until: datetime | None) -> None:
        """Let a link's archive work rest until a moment (None: until something wakes it)."""
        self._database.execute(
            "UPDATE links SET archive_next_at = ? WHERE id = ?",
            [None if until is None else to_stamp(until), link_id],
        )

    def wake(self, link_id: int, at: datetime) -> None:
        """Make a link's archive work due at a moment, unless it is due earlier."""
        self._database.execute(
            "UPDATE links SET archive_next_at = CASE WHEN archive_next_at IS NULL"
            " OR archive_next_at > ?1 THEN ?1 ELSE archive_next_at END WHERE id = ?2",
            [to_stamp(at), link_id],
        )

    def wake_all(self, at: datetime) -> None:
        """Make all archive work that is planned due at a moment, unless it is due earlier."""
        self._database.execute(
            "UPDATE links SET archive_next_at = ?1 WHERE archive_next_at > ?1", [to_stamp(at)]
        )

    def save(self, link_id: int, progress: Progress) -> None:
        """Store where a link's archiving stands."""
        self._database.execute(
            "UPDATE links SET archive_state = ?, archive_next_at = ?, archive_record = ?,"
            " archive_negatives = ? WHERE id = ?",
            [
                progress.state.value,
                None if progress.next_at is None else to_stamp(progress.next_at),
                progress.record,
                progress.negatives,
                link_id,
            ],
        )

    def begin_attempt(
        self, link_id: int, url: str, archive: str, now: datetime, progress: Progress
    ) -> int:
        """Write the intent to submit and the state `pending`, before anything is sent."""
        with self._database.atomic():
            cursor = self._database.execute(
                "INSERT INTO attempts (link_id, url, archive, started_at) VALUES (?, ?, ?, ?)",
                [link_id, url, archive, to_stamp(now)],
            )
            self.save(link_id, progress)
        return int(cursor.lastrowid or 0)

    def note_attempt(self, attempt_id: int, **columns: Any) -> None:
        """Fill an attempt's open columns as answers come in."""
        names = ", ".join(f"{name} = ?" for name in columns)
        self._database.execute(
            f"UPDATE attempts SET {names} WHERE id = ?", [*columns.values(), attempt_id]
        )

    def next_poll(self) -> datetime | None:
        """Return when the next job is to be asked for that `due` will return then."""
        text = self._database.value(
            # Only a link's last submission: an older one that was left open is asked about no more.
            "SELECT min(archive_next_at) FROM links WHERE id IN (SELECT link_id FROM attempts a"
            " WHERE ended_at IS NULL AND job_id NOT NULL"
            " AND id = (SELECT max(id) FROM attempts WHERE link_id = a.link_id))"
            " AND (cited = 1 OR id IN (SELECT link_id FROM requests WHERE kind = 'archive'"
            " AND done_at IS NULL))"
        )
        return None if text is None else datetime.fromisoformat(text)

    def running(self, archive: str, since: datetime, host: str | None = None) -> int:
        """Count submissions (to a host) begun since a moment that have no final answer yet."""
        return int(
            self._database.value(
                "SELECT count(*) FROM attempts a JOIN links l ON l.id = a.link_id"
                " WHERE a.archive = ?1 AND a.ended_at IS NULL AND a.started_at >= ?2"
                " AND (?3 IS NULL OR l.host = ?3)",
                [archive, to_stamp(since), host],
            )
        )

    def last_attempt_at_host(self, host: str, until: datetime) -> datetime | None:
        """Return when a page of this host was last submitted, up to a moment."""
        text = self._database.value(
            "SELECT max(a.started_at) FROM attempts a JOIN links l ON l.id = a.link_id"
            " WHERE l.host = ? AND a.started_at <= ?",
            [host, to_stamp(until)],
        )
        return None if text is None else datetime.fromisoformat(text)

    def last_attempt(self, link_id: int) -> sqlite3.Row | None:
        """Return a link's newest submission."""
        return self._database.row(
            "SELECT * FROM attempts WHERE link_id = ? ORDER BY id DESC LIMIT 1", [link_id]
        )

    def attempts_between(self, since: datetime, until: datetime, archive: str) -> list[datetime]:
        """Return when submissions began, oldest first (failed ones count).

        Those that are still to come were noted by a clock that was ahead, and use nothing up.
        """
        return [
            datetime.fromisoformat(row[0])
            for row in self._database.rows(
                "SELECT started_at FROM attempts WHERE started_at BETWEEN ? AND ?"
                " AND archive = ? ORDER BY started_at",
                [to_stamp(since), to_stamp(until), archive],
            )
        ]

    def add_captures(
        self, link_id: int, captures: Iterable[Capture], now: datetime
    ) -> list[sqlite3.Row]:
        """Remember captures we were told of; return the link's captures, newest first."""
        self._database.execute_many(
            "INSERT INTO captures (link_id, captured_at, archive_url, original_url, status,"
            " source, first_seen_at, archive, mime, digest)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (link_id, archive_url) DO UPDATE SET"
            " status = coalesce(status, excluded.status), mime = coalesce(mime, excluded.mime),"
            " digest = coalesce(digest, excluded.digest)",
            [
                (
                    *(link_id, to_stamp(capture.captured_at), capture.archive_url),
                    *(capture.original_url, capture.status, capture.source, to_stamp(now)),
                    *(capture.archive, capture.mime, capture.digest),
                )
                for capture in captures
            ],
        )
        return self.captures(link_id)

    def captures(self, link_id: int) -> list[sqlite3.Row]:
        """Return what is known of a link's captures, newest first."""
        return list(
            self._database.rows(
                "SELECT * FROM captures WHERE link_id = ? ORDER BY captured_at DESC", [link_id]
            )
        )

    def judge_capture(
        self,
        capture_id: int,
        now: datetime,
        judged: str,
        *,
        passed: bool,
        lives: bool,
        page: Mapping[str, Any] | None = None,
    ) -> None:
        """Store what a playback told: `judged` is its word, `passed` that it counts as archived.

        `lives` says that the page behind it judged as ok: whoever made it saw the page alive.
        Only that is a verification; one that was missing or showed a wall leaves the last one.
        `page` is what the judge keeps of a good page, opaque here.
        """
        stamp = to_stamp(now)
        with self._database.atomic():
            self._database.execute(
                "UPDATE captures SET verified_at = CASE WHEN ? THEN ? ELSE verified_at END,"
                " judged = ?, page = coalesce(?, page),"
                " passed_at = CASE WHEN ? THEN coalesce(passed_at, ?) ELSE passed_at END"
                " WHERE id = ?",
                [
                    *(int(lives), stamp, judged, None if page is None else json.dumps(page)),
                    *(int(passed), stamp, capture_id),
                ],
            )
            if lives:
                self._database.execute(
                    "UPDATE links SET capture_alive_at = max(coalesce(capture_alive_at, ''),"
                    " (SELECT captured_at FROM captures WHERE id = ?1))"
                    " WHERE id = (SELECT link_id FROM captures WHERE id = ?1)",
                    [capture_id],
                )

    def citations(self, link_id: int) -> list[sqlite3.Row]:
        """Return a link's current citations: what the choice of a capture depends on."""
        return list(
            self._database.rows(
                "SELECT * FROM citations WHERE link_id = ? AND gone_at IS NULL ORDER BY id",
                [link_id],
            )
        )

    def choose(
        self,
        citation_id: int,
        capture_id: int | None,
        distance_days: int | None,
        flag: str | None,
    ) -> None:
        """Store the best capture for a citation."""
        self._database.execute(
            "UPDATE citations SET chosen_capture_id = ?, archive_distance_days = ?,"
            " archive_flag = ? WHERE id = ?",
            [capture_id, distance_days, flag, citation_id],
        )

    def claims_due(
        self, limit: int, *, asked_before: datetime, answered_before: datetime
    ) -> list[sqlite3.Row]:
        """Return citations whose `archive_url` is to be checked (again), new ones first.

        Of those an archive gave no answer about only the ones it was asked about before a moment,
        of those it answered the ones whose answer is as old as the other.
        """
        return list(
            self._database.rows(
                "SELECT c.*, l.url AS link_url, l.wire AS link_wire FROM citations c"
                " LEFT JOIN links l ON l.id = c.link_id"
                " WHERE c.archive_claim <> 'absent' AND c.gone_at IS NULL"
                " AND (c.claim_checked_at IS NULL OR c.claim_checked_at <="
                " CASE c.archive_claim WHEN 'unchecked' THEN ? ELSE ? END)"
                " ORDER BY c.claim_checked_at IS NOT NULL, c.claim_checked_at, c.id LIMIT ?",
                [to_stamp(asked_before), to_stamp(answered_before), limit],
            )
        )

    def set_claim(self, citation_id: int, claim: Claim, now: datetime) -> None:
        """Store what became of an `archive_url` as written."""
        self._database.execute(
            "UPDATE citations SET archive_claim = ?, claim_checked_at = ? WHERE id = ?",
            [claim.value, to_stamp(now), citation_id],
        )

    def claim_asked(self, citation_id: int, at: datetime) -> None:
        """Note that an archive is asked about a claim: others first, then again."""
        self._database.execute(
            "UPDATE citations SET claim_checked_at = ? WHERE id = ?",
            [to_stamp(at), citation_id],
        )

    def backlog(self) -> Mapping[str, int]:
        """Count links by archive state."""
        return {
            row[0]: row[1]
            for row in self._database.rows(
                "SELECT archive_state, count(*) FROM links WHERE cited = 1 GROUP BY archive_state"
            )
        }

    def due_count(self, now: datetime) -> int:
        """Count links whose archive work is due."""
        return int(
            self._database.value(
                "SELECT count(*) FROM links WHERE archive_next_at <= ? AND cited = 1",
                [to_stamp(now)],
            )
        )


def _task(row: sqlite3.Row) -> ArchiveTask:
    return ArchiveTask(
        link_id=row["id"],
        url=row["url"],
        wire=row["wire"],
        host=row["host"],
        state=ArchiveState(row["archive_state"]),
        record=row["archive_record"],
        belief=read_belief(row),
        link=row,
        requested=row["request_id"],
    )


def as_captures(rows: Sequence[sqlite3.Row]) -> list[Capture]:
    """Read stored captures back as the noun."""
    return [
        Capture(
            captured_at=datetime.fromisoformat(row["captured_at"]),
            archive_url=row["archive_url"],
            original_url=row["original_url"],
            status=row["status"],
            mime=row["mime"],
            digest=row["digest"],
            archive=row["archive"],
            source=row["source"],
        )
        for row in rows
    ]
