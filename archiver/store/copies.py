"""Where copies of our own stand: files, the records in them, and which links want one.

A record is listed only after it is on the disk; `local_files.size` is what was acknowledged of a
file, so that whatever a killed process wrote beyond it can be cut off.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime

from archiver.clock import to_stamp
from archiver.records import record
from archiver.store.database import Database

# A page that could not be copied three times after good looks is left alone.
_TRIES = 3


@record
class CopiedRecord:
    """One response or revisit in a file; `is_page` marks the one at the end of the redirects."""

    url: str
    captured_at: datetime
    status: int
    kind: str
    offset: int
    length: int
    digest: str
    cut: str
    is_page: bool


# Design: one copy after the first good look of a link that no archive holds for sure, and one
# more when what stands there now has become another text.
_DUE = """
SELECT l.id FROM links l LEFT JOIN local_tries t ON t.link_id = l.id
 WHERE l.id > ?1 AND l.cited = 1 AND l.ignored = 0
   AND l.verdict IN ('ok', 'moved') AND l.last_seen_alive_by = 'here'
   AND (t.copied_at IS NULL AND l.archive_state <> 'archived'
        OR l.reason = 'content-drift'
           AND json_extract(l.belief, '$.drift_since') > t.copied_at)
   AND (coalesce(t.tries, 0) = 0 OR t.tries < ?2 AND l.last_look_at > t.tried_at)
 ORDER BY l.id LIMIT ?3
"""


class Copies:
    """The index of local copies."""

    def __init__(self, database: Database) -> None:
        """Work on an open, migrated database."""
        self._database = database

    def due(self, after_id: int, limit: int) -> list[int]:
        """Return links beyond an id that want a copy, in the order of their ids."""
        return [row[0] for row in self._database.rows(_DUE, [after_id, _TRIES, limit])]

    def begin_file(self, name: str, now: datetime) -> None:
        """List a file before it is created."""
        self._database.execute(
            "INSERT INTO local_files (name, opened_at) VALUES (?, ?)", [name, to_stamp(now)]
        )

    def add(self, link_id: int, file: str, size: int, records: Sequence[CopiedRecord]) -> None:
        """List what was written for a link, and how long the file is now: one transaction."""
        with self._database.atomic():
            self._database.execute_many(
                "INSERT INTO local_copies (link_id, captured_at, url, status, kind, file, offset,"
                " length, digest, truncated, is_page) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        *(link_id, to_stamp(one.captured_at), one.url, one.status, one.kind, file),
                        *(one.offset, one.length, one.digest, one.cut or None, int(one.is_page)),
                    )
                    for one in records
                ],
            )
            self.grew(file, size)
            self._database.execute(
                "INSERT INTO local_tries (link_id, tried_at, copied_at, tries)"
                " VALUES (?1, ?2, ?2, 0) ON CONFLICT (link_id) DO UPDATE SET"
                " tried_at = excluded.tried_at, copied_at = excluded.copied_at, tries = 0,"
                " outcome = NULL",
                [link_id, to_stamp(records[-1].captured_at)],
            )

    def grew(self, file: str, size: int) -> None:
        """Keep how much of a file is acknowledged."""
        self._database.execute("UPDATE local_files SET size = ? WHERE name = ?", [size, file])

    def failed(self, link_id: int, now: datetime, outcome: str) -> None:
        """Count a fetch that gave nothing worth keeping."""
        self._database.execute(
            "INSERT INTO local_tries (link_id, tried_at, tries, outcome) VALUES (?, ?, 1, ?)"
            " ON CONFLICT (link_id) DO UPDATE SET tried_at = excluded.tried_at,"
            " tries = tries + 1, outcome = excluded.outcome",
            [link_id, to_stamp(now), outcome],
        )

    def close_file(self, name: str, now: datetime) -> None:
        """Keep that a file has its final name."""
        self._database.execute(
            "UPDATE local_files SET closed_at = ? WHERE name = ?", [to_stamp(now), name]
        )

    def note_presence(self, name: str, gone_at: datetime | None) -> None:
        """Keep since when a file is gone, None when it is there (again).

        Copies in a file that is gone are neither offered nor counted.
        """
        self._database.execute(
            "UPDATE local_files SET gone_at = ? WHERE name = ?",
            [None if gone_at is None else to_stamp(gone_at), name],
        )

    def files(self) -> list[sqlite3.Row]:
        """Return every file ever begun: growing, closed, gone."""
        return list(self._database.rows("SELECT * FROM local_files ORDER BY name"))

    def total(self) -> int:
        """Return the bytes of all files that should be there."""
        return int(
            self._database.value(
                "SELECT coalesce(sum(size), 0) FROM local_files WHERE gone_at IS NULL"
            )
        )

    def count(self) -> int:
        """Count the pages of which a copy should be there."""
        return int(
            self._database.value(
                "SELECT count(DISTINCT link_id) FROM local_copies c JOIN local_files f"
                " ON f.name = c.file AND f.gone_at IS NULL WHERE is_page = 1"
            )
        )

    def with_payloads(self, digests: Iterable[str]) -> dict[str, sqlite3.Row]:
        """Return by digest the first whole response with that payload, where one is there."""
        found = {}
        for digest in digests:
            row = self._database.row(
                "SELECT c.* FROM local_copies c JOIN local_files f ON f.name = c.file"
                " WHERE c.digest = ? AND c.kind = 'response' AND c.truncated IS NULL"
                " AND f.gone_at IS NULL ORDER BY c.id LIMIT 1",
                [digest],
            )
            if row is not None:
                found[digest] = row
        return found

    def of_link(self, link_id: int) -> sqlite3.Row | None:
        """Return a link's newest copy that should be there, `file` with its present name."""
        return self._database.row(
            "SELECT c.id, c.captured_at, c.url, c.status, c.offset, c.length, c.truncated,"
            " f.name || CASE WHEN f.closed_at IS NULL THEN '.open' ELSE '' END AS file"
            " FROM local_copies c JOIN local_files f ON f.name = c.file"
            " WHERE c.link_id = ? AND c.is_page = 1 AND f.gone_at IS NULL"
            " ORDER BY c.id DESC LIMIT 1",
            [link_id],
        )
