"""Counts for people who watch the service: few rows each, whatever the size of the database."""

from __future__ import annotations

import contextlib
import sqlite3
from datetime import datetime

from archiver.clock import from_stamp
from archiver.store.database import Database

# Links that were ever cited are never pruned (see `prune_uncited`), so counts over them only
# grow: what a counter of Prometheus must do.
_EVER_CITED = "link_id IN (SELECT link_id FROM citations)"


class Counting:
    """Totals since the beginning, and what is waiting now."""

    def __init__(self, database: Database) -> None:
        """Work on an open, migrated database."""
        self._database = database

    def looks_ever(self) -> int:
        """Return how many looks were ever recorded; thinning old ones does not lower it."""
        return int(
            self._database.value("SELECT seq FROM sqlite_sequence WHERE name = 'looks'") or 0
        )

    def changes(self) -> list[tuple[str, str, int]]:
        """Count the changes of belief: (verdict before, verdict after, how often)."""
        return self._counted(
            f"SELECT from_verdict, to_verdict, count(*) FROM changes WHERE {_EVER_CITED}"
            " GROUP BY 1, 2 ORDER BY 1, 2"
        )

    def attempts(self) -> list[tuple[str, str, int]]:
        """Count the submissions: (archive, outcome or `open`, how many)."""
        return self._counted(
            f"SELECT archive, coalesce(outcome, 'open'), count(*) FROM attempts WHERE {_EVER_CITED}"
            " GROUP BY 1, 2 ORDER BY 1, 2"
        )

    def captures(self) -> list[tuple[str, str, int]]:
        """Count the captures known now: (archive, where we know it from, how many)."""
        return self._counted(
            "SELECT archive, source, count(*) FROM captures GROUP BY 1, 2 ORDER BY 1, 2"
        )

    def last_runs(self) -> list[tuple[str, datetime, float]]:
        """Return of each outcome the newest run: (outcome, when it ended, seconds it took)."""
        return [
            (
                row["outcome"],
                from_stamp(row["ended_at"]),
                (from_stamp(row["ended_at"]) - from_stamp(row["started_at"])).total_seconds(),
            )
            for row in self._database.rows(
                "SELECT outcome, started_at, ended_at FROM runs WHERE id IN (SELECT max(id)"
                " FROM runs WHERE ended_at IS NOT NULL AND outcome IS NOT NULL GROUP BY outcome)"
                " ORDER BY outcome"
            )
        ]

    def last_good_run(self, kind: str) -> datetime | None:
        """Return when the newest run of a kind that ended well ended."""
        text = self._database.value(
            "SELECT max(ended_at) FROM runs WHERE kind = ? AND outcome = 'done'", [kind]
        )
        return from_stamp(text) if text else None

    def open_requests(self) -> dict[str, int]:
        """Count what people asked for and was not done yet, by kind."""
        return {
            row[0]: row[1]
            for row in self._database.rows(
                "SELECT kind, count(*) FROM requests WHERE done_at IS NULL GROUP BY kind"
            )
        }

    def oldest_due(self) -> datetime | None:
        """Return since when the longest waiting link is due, or when the next one will be."""
        text = self._database.value("SELECT min(next_look_at) FROM links WHERE cited = 1")
        return from_stamp(text) if text else None

    def bytes(self) -> int:
        """Return the size of the database and its write-ahead log on disk."""
        path = self._database.path
        total = 0
        for file in (path, path.with_name(path.name + "-wal")):
            with contextlib.suppress(OSError):
                total += file.stat().st_size
        return total

    def _counted(self, sql: str) -> list[tuple[str, str, int]]:
        rows: list[sqlite3.Row] = list(self._database.rows(sql))
        return [(row[0], row[1], row[2]) for row in rows]
