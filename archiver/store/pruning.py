"""Pruning: what may be forgotten so that years of looks stay small (design §7, contract §1).

Everything here goes in small steps: what may go is found without a lock, and taken out in short
transactions, so that a service beside it hardly waits. No fold over a link's looks changes
(law 1): a good look leaves nothing behind but its time, and the looks at both ends of a good
stretch stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import datetime

from archiver.clock import to_stamp
from archiver.records import record
from archiver.store.database import Database

# Links looked through at a time, and rows of one transaction.
_LINKS = 500
_ROWS = 2000

# A look from here that was fine, between two that were fine for the same reason; never one that
# a change points to, and never where a clock went backwards.
_UNEVENTFUL = """
SELECT id FROM (
    SELECT id, link_id, looked_at, vantage, verdict, reason,
           lag(vantage) OVER near AS vantage_before, lead(vantage) OVER near AS vantage_after,
           lag(verdict) OVER near AS verdict_before, lead(verdict) OVER near AS verdict_after,
           lag(reason) OVER near AS reason_before, lead(reason) OVER near AS reason_after,
           lag(looked_at) OVER near AS before, lead(looked_at) OVER near AS after
      FROM looks WHERE link_id > :first AND link_id <= :last
    WINDOW near AS (PARTITION BY link_id ORDER BY id)) AS k
 WHERE vantage = 'here' AND vantage_before = 'here' AND vantage_after = 'here'
   AND verdict = 'ok' AND verdict_before = 'ok' AND verdict_after = 'ok'
   AND reason = reason_before AND reason = reason_after
   AND looked_at < :moment AND before <= looked_at AND looked_at <= after
   AND NOT EXISTS (SELECT 1 FROM changes c WHERE c.link_id = k.link_id AND c.look_id = k.id)
"""

# Kept of a link's captures: the first, the newest good one, those chosen for a citation, our
# own, one per year (one that played back, else a 2xx one, before others), and what the archive
# pipeline is still at work with.
_SPARE_CAPTURES = """
SELECT id FROM (
    SELECT k.id, k.link_id, k.archive_url, k.source,
           row_number() OVER (PARTITION BY k.link_id ORDER BY k.captured_at, k.id) AS nth,
           row_number() OVER (PARTITION BY k.link_id
               ORDER BY k.judged IS NOT 'ok', (k.status BETWEEN 200 AND 299) IS NOT 1,
                        k.captured_at DESC) AS nth_best,
           row_number() OVER (PARTITION BY k.link_id
               ORDER BY (k.status BETWEEN 200 AND 299) IS NOT 1, k.captured_at DESC) AS nth_new,
           row_number() OVER (PARTITION BY k.link_id, substr(k.captured_at, 1, 4)
               ORDER BY k.judged IS NOT 'ok', (k.status BETWEEN 200 AND 299) IS NOT 1,
                        k.captured_at) AS nth_in_year
      FROM captures k WHERE k.link_id > :first AND k.link_id <= :last) AS k
 WHERE nth > 1 AND nth_best > 1 AND nth_new > 1 AND nth_in_year > 1
   AND source NOT IN ('spn2', 'anonymous')
   AND NOT EXISTS (SELECT 1 FROM citations c
                    WHERE c.link_id = k.link_id AND c.chosen_capture_id = k.id)
   AND NOT EXISTS (SELECT 1 FROM links l
                    WHERE l.id = k.link_id AND instr(l.archive_record, k.archive_url) > 0)
"""


@record
class Pruned:
    """How many rows went."""

    looks: int = 0
    captures: int = 0
    links: int = 0

    @property
    def anything(self) -> bool:
        """Say whether anything went."""
        return any(getattr(self, each.name) for each in fields(self))

    def __str__(self) -> str:
        return (
            f"{self.looks} uneventful looks, {self.captures} spare captures"
            f" and {self.links} links that nobody cites were dropped"
        )


class Pruning:
    """Takes out what may be forgotten."""

    def __init__(self, database: Database) -> None:
        """Work on an open, migrated database."""
        self._database = database

    def looks(self, before: datetime) -> Iterator[int]:
        """Thin out good looks older than a moment; yields how many went, step by step."""
        for first, last in self._ranges():
            values = {"first": first, "last": last, "moment": to_stamp(before)}
            yield self._drop("looks", _UNEVENTFUL, values)

    def captures(self) -> Iterator[int]:
        """Thin out captures; yields how many went, step by step."""
        for first, last in self._ranges():
            yield self._drop("captures", _SPARE_CAPTURES, {"first": first, "last": last})

    def probes(self, before: datetime) -> None:
        """Drop what sibling probes told too long ago to be used."""
        self._database.execute("DELETE FROM probes WHERE asked_at < ?", [to_stamp(before)])

    def requests(self, before: datetime) -> None:
        """Drop requests of people that were answered so long ago that nobody watches them."""
        self._database.execute("DELETE FROM requests WHERE done_at < ?", [to_stamp(before)])

    def runs(self, before: datetime) -> None:
        """Drop runs that ended before a moment; the newest of each kind and outcome stays."""
        self._database.execute(
            "DELETE FROM runs WHERE ended_at < ?"
            " AND id NOT IN (SELECT max(id) FROM runs GROUP BY kind, outcome)",
            [to_stamp(before)],
        )

    def _ranges(self) -> Iterator[tuple[int, int]]:
        """Part all links into ranges of ids: beyond the first number, up to the last."""
        first = 0
        while True:
            last = self._database.value(
                "SELECT max(id) FROM (SELECT id FROM links WHERE id > ? ORDER BY id LIMIT ?)",
                [first, _LINKS],
            )
            if last is None:
                return
            yield first, int(last)
            first = int(last)

    def _drop(self, table: str, query: str, values: Mapping[str, object]) -> int:
        ids: Sequence[tuple[int]] = [(row[0],) for row in self._database.fetch(query, values)]
        for start in range(0, len(ids), _ROWS):
            self._database.execute_many(
                f"DELETE FROM {table} WHERE id = ?", ids[start : start + _ROWS]
            )
        return len(ids)
