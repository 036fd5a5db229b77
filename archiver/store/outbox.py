"""The outbox of notifications: what nobody was told yet, and who still has to be told.

A link keeps what was last told of it; `changes.notified_at` says when a flip was handed over or
found to be no news. A digest is stored whole, together with one delivery for each channel, in
the transaction that marks its news as told: so that it is sent again with the same id and the
same bytes until it arrives, whatever happens to the process in between.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable
from datetime import datetime

from archiver.clock import to_stamp
from archiver.records import record
from archiver.store.database import Database

# Contract §2, archive states: those in which there is no copy to rely on, and no work under way.
_FAILED = "('lost', 'excluded', 'unarchivable', 'unrecoverable')"

# News is where what a link is differs from what was last told of it, so that a death and a
# recovery that both wait cancel each other out, and a way round over `blocked` is no matter.
# One link is news once: its death before its copies, its copies before its recovery.
_NEWS = f"""
WITH news AS (
    SELECT l.id AS link_id, CASE
           WHEN :dead AND l.verdict = 'dead' AND NOT l.told_dead THEN 'dead'
           WHEN :archive_failed AND l.archive_state IN {_FAILED}
                AND l.told_archive_state IS NOT l.archive_state THEN 'archive-failed'
           WHEN :recovered AND l.told_dead AND l.verdict IN ('ok', 'moved') THEN 'recovered'
           END AS occasion
      FROM links l WHERE l.cited = 1 AND l.ignored = 0)
"""
# What holds from then on: a link that lives again may die anew, one with a good copy may fail.
_NOW_TOLD = (
    "UPDATE links SET told_dead = 1 WHERE verdict = 'dead' AND NOT told_dead AND cited = 1"
    " AND ignored = 0",
    "UPDATE links SET told_dead = 0 WHERE told_dead AND verdict IN ('ok', 'moved')",
    f"UPDATE links SET told_archive_state = archive_state WHERE archive_state IN {_FAILED}"
    " AND told_archive_state IS NOT archive_state AND cited = 1 AND ignored = 0",
    "UPDATE links SET told_archive_state = NULL WHERE told_archive_state IS NOT NULL"
    " AND archive_state IN ('captured', 'archived')",
)
_STANDING = f"""
WITH news AS (
    SELECT l.id AS link_id, CASE
           WHEN :dead AND l.verdict = 'dead' THEN 'dead'
           WHEN :archive_failed AND l.archive_state IN {_FAILED} THEN 'archive-failed'
           END AS occasion
      FROM links l WHERE l.cited = 1 AND l.ignored = 0)
"""
_COUNTS = "SELECT occasion, count(*) FROM news WHERE occasion IS NOT NULL GROUP BY occasion"
# What to mend first: deaths, then by tier and importance, as in the report.
_FIRST = """
SELECT n.occasion, l.url, l.verdict, l.reason, l.verdict_since AS since, l.archive_state,
       CASE WHEN l.archive_state IN ('captured', 'archived') THEN k.archive_url END AS archive_url,
       c.path, c.line, c.event_id, c.source_title AS title,
       (SELECT count(*) FROM citations o WHERE o.link_id = l.id AND o.gone_at IS NULL)
           AS citations
  FROM news n JOIN links l ON l.id = n.link_id
  LEFT JOIN citations c ON c.id = (SELECT id FROM citations f WHERE f.link_id = l.id
                                    AND f.gone_at IS NULL ORDER BY f.path, f.line LIMIT 1)
  LEFT JOIN captures k ON k.id = c.chosen_capture_id
 WHERE n.occasion IS NOT NULL
 ORDER BY CASE n.occasion WHEN 'dead' THEN 1 WHEN 'archive-failed' THEN 2 ELSE 3 END,
          l.best_tier IS NULL, l.best_tier, l.importance IS NULL, l.importance DESC, l.url
 LIMIT :limit
"""


@record
class News:
    """How many links are news, by occasion, and the first of them."""

    counts: dict[str, int]
    rows: list[sqlite3.Row]


class Outbox:
    """News, digests and their deliveries."""

    def __init__(self, database: Database) -> None:
        """Work on an open, migrated database."""
        self._database = database

    def news(self, occasions: Collection[str], limit: int) -> News:
        """Return what was not told yet: cited links that nobody asked to ignore."""
        return self._read(_NEWS, occasions, limit)

    def standing(self, occasions: Collection[str], limit: int) -> News:
        """Return how things stand, told or not."""
        return self._read(_STANDING, occasions, limit)

    def _read(self, source: str, occasions: Collection[str], limit: int) -> News:
        wanted = {
            name.replace("-", "_"): int(name in occasions)
            for name in ("dead", "recovered", "archive-failed")
        }
        counts = {row[0]: row[1] for row in self._database.rows(f"{source} {_COUNTS}", wanted)}
        rows = self._database.rows(f"{source} {_FIRST}", {**wanted, "limit": limit})
        return News(counts, list(rows))

    def put(
        self, digest_id: str, kind: str, body: bytes, now: datetime, channels: Iterable[str]
    ) -> None:
        """Store a digest with a delivery for each channel; all news are told with it."""
        with self._database.atomic():
            cursor = self._database.execute(
                "INSERT INTO digests (digest_id, kind, made_at, body) VALUES (?, ?, ?, ?)",
                [digest_id, kind, to_stamp(now), body],
            )
            self._database.execute_many(
                "INSERT INTO deliveries (digest, channel, next_at) VALUES (?, ?, ?)",
                [(cursor.lastrowid, channel, to_stamp(now)) for channel in channels],
            )
            self.pass_over(now)

    def pass_over(self, now: datetime) -> None:
        """Count all news as told."""
        with self._database.atomic():
            self._database.execute(
                "UPDATE changes SET notified_at = ? WHERE notified_at IS NULL", [to_stamp(now)]
            )
            for statement in _NOW_TOLD:
                self._database.execute(statement)

    def has_baseline(self) -> bool:
        """Say whether the first digest of all was made."""
        return bool(self._database.value("SELECT count(*) FROM digests WHERE kind = 'baseline'"))

    def next_delivery(self, channel: str) -> sqlite3.Row | None:
        """Return the oldest digest a channel still has to get, due or not."""
        return self._database.row(
            "SELECT d.digest, g.digest_id, g.made_at, g.body, d.tries, d.next_at"
            " FROM deliveries d JOIN digests g ON g.digest = d.digest"
            " WHERE d.channel = ? AND d.next_at IS NOT NULL ORDER BY d.digest LIMIT 1",
            [channel],
        )

    def delivered(self, digest: int, channel: str, now: datetime) -> None:
        """Close a delivery: it arrived."""
        self._database.execute(
            "UPDATE deliveries SET tries = tries + 1, delivered_at = ?, next_at = NULL,"
            " trouble = NULL WHERE digest = ? AND channel = ?",
            [to_stamp(now), digest, channel],
        )

    def not_delivered(
        self, digest: int, channel: str, trouble: str, next_at: datetime | None
    ) -> None:
        """Note what went wrong, and when it is tried again (None: never)."""
        self._database.execute(
            "UPDATE deliveries SET tries = tries + 1, trouble = ?, next_at = ?"
            " WHERE digest = ? AND channel = ?",
            [trouble, None if next_at is None else to_stamp(next_at), digest, channel],
        )

    def waiting(self) -> list[sqlite3.Row]:
        """Return what has not arrived yet: `channel`, `digests`, `since`, `trouble`."""
        return list(
            self._database.rows(
                "SELECT d.channel, count(*) AS digests, min(g.made_at) AS since,"
                " max(d.trouble) AS trouble FROM deliveries d JOIN digests g ON g.digest = d.digest"
                " WHERE d.next_at IS NOT NULL GROUP BY d.channel ORDER BY d.channel"
            )
        )

    def forget(self, before: datetime) -> None:
        """Drop old digests that have nowhere to go any more; the baseline is kept as a mark."""
        self._database.execute(
            "DELETE FROM digests WHERE made_at < ? AND kind <> 'baseline' AND NOT EXISTS (SELECT 1"
            " FROM deliveries d WHERE d.digest = digests.digest AND d.next_at IS NOT NULL)",
            [to_stamp(before)],
        )
