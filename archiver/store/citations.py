"""What the event files cite: files, events, citations, problems, and the links they share.

What disappears from the files leaves the current views but not the history: a citation gets
`gone_at`, its link stops being `cited`, every look and capture stays.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from archiver.clock import to_stamp
from archiver.model import Citation, Claim, Event, Problem
from archiver.records import record
from archiver.store.database import Database
from archiver.urls import Address

# Design §7: a `git pull` in progress is not a mass deletion.
REMOVAL_GUARD_SHARE = 5
REMOVAL_GUARD_WAIT = timedelta(minutes=10)

Stamp = tuple[int, int, int]

# In the place of a stamp: no file has it, and neither has one that could not be asked for its.
_FORGOTTEN = -2


@record
class ScannedFile:
    """One event file as it was read: its key, its stamp (size, mtime_ns, inode) and content."""

    path: str
    stamp: Stamp
    events: Sequence[Event]
    citations: Sequence[Citation]
    problems: Sequence[Problem]


@record
class Removals:
    """What a scan took out of the current views, and what it held back."""

    removed: int = 0
    held_back: int = 0


_CITATION_COLUMNS = (
    *("path", "line", "position", "source_key", "event_line", "event_id", "event_date"),
    *("event_title", "importance", "source_title", "publisher", "tier", "source_date"),
    *("access_date", "cited_url", "link_id", "archive_url_in_file"),
)


class Citations:
    """Writes what a scan found."""

    def __init__(self, database: Database) -> None:
        """Work on an open, migrated database."""
        self._database = database

    def known_files(self) -> dict[str, Stamp]:
        """Return the stamp of every file as last read: what makes a rescan cost a stat."""
        return {
            path: (size, mtime, inode)
            for path, size, mtime, inode in self._database.rows(
                "SELECT path, size, mtime_ns, inode FROM files"
            )
        }

    def replace_files(self, files: Iterable[ScannedFile], now: datetime) -> None:
        """Store what files hold now, and what their links inherit from it, in one transaction."""
        touched: set[int] = set()
        with self._database.atomic():
            for file in files:
                touched |= self._replace_file(file, to_stamp(now))
            self._refresh_links(touched, to_stamp(now))

    def _replace_file(self, file: ScannedFile, now: str) -> set[int]:
        """Store what one file holds now; return the links it cites or cited."""
        execute = self._database.execute
        execute("DELETE FROM events WHERE path = ?", [file.path])
        self._database.execute_many(
            "INSERT INTO events (path, line, event_id, date, title, importance)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            [
                (event.path, event.line, event.event_id, event.date, event.title, event.importance)
                for event in file.events
            ],
        )
        execute("DELETE FROM problems WHERE path = ? AND name <> 'duplicate-event-id'", [file.path])
        self._insert_problems(file.problems)
        touched = self._merge_citations(file, now)
        execute(
            "INSERT OR REPLACE INTO files (path, size, mtime_ns, inode, read_at)"
            " VALUES (?, ?, ?, ?, ?)",
            [file.path, *file.stamp, now],
        )
        return touched

    def _insert_problems(self, problems: Iterable[Problem]) -> None:
        self._database.execute_many(
            "INSERT INTO problems (path, line, position, name, level, message, source_key,"
            " event_line) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    *(problem.path, problem.line, problem.position, problem.name),
                    *(problem.level.value, problem.message),
                    *(problem.source_key, problem.event_line),
                )
                for problem in problems
            ],
        )

    def _merge_citations(self, file: ScannedFile, now: str) -> set[int]:
        """Match what the file cites now with what it cited before, keeping rows' identities.

        Identity is what is cited, by event and key, and which time it is cited there; so a
        citation that moves down a line keeps its first sight and its claim. Returns the links
        of both.
        """
        known: dict[tuple[Any, ...], sqlite3.Row] = {}
        seen: Counter[tuple[Any, ...]] = Counter()
        for row in self._database.rows(
            "SELECT id, source_key, event_id, cited_url, gone_at, missing_since,"
            " archive_url_in_file, link_id, source_date, access_date FROM citations WHERE path = ?"
            " ORDER BY gone_at IS NOT NULL, event_line, position, id",
            [file.path],
        ):
            key = (row["source_key"], row["event_id"], row["cited_url"])
            known[(*key, seen[key])] = row
            seen[key] += 1
        seen.clear()
        touched = {row["link_id"] for row in known.values()}
        kept: set[int] = set()
        for citation in file.citations:
            key = (citation.source_key, citation.event.event_id, citation.cited_url)
            old = known.get((*key, seen[key]))
            seen[key] += 1
            link_id = self._link(citation, now)
            touched.add(link_id)
            if old is None:
                self._insert(citation, link_id, now)
            else:
                kept.add(old["id"])
                self._update(old, citation, link_id)
            if link_id is not None and _wants_anew(old, citation):
                self._database.execute(
                    "UPDATE links SET archive_next_at = ? WHERE id = ?", [now, link_id]
                )
        missing = [
            (now, row["id"])
            for row in known.values()
            if row["id"] not in kept and row["gone_at"] is None
        ]
        self._database.execute_many(
            "UPDATE citations SET missing_since = coalesce(missing_since, ?) WHERE id = ?", missing
        )
        return touched - {None}

    def _link(self, citation: Citation, now: str) -> int | None:
        if citation.link is None:
            return None
        row = self._database.row("SELECT id, cited FROM links WHERE url = ?", [citation.link])
        if row is None:
            cursor = self._database.execute(
                "INSERT INTO links (url, wire, host, cited, first_seen_at, next_look_at,"
                " archive_next_at) VALUES (?, ?, ?, 1, ?, ?, ?)",
                [citation.link, citation.wire, citation.host, now, now, now],
            )
            return int(cursor.lastrowid or 0)
        if not row["cited"]:
            self._database.execute(
                "UPDATE links SET cited = 1, uncited_since = NULL,"
                " next_look_at = coalesce(next_look_at, ?),"
                " archive_next_at = coalesce(archive_next_at, ?) WHERE id = ?",
                [now, now, row["id"]],
            )
        return int(row["id"])

    def uncited_link(self, address: Address, now: datetime) -> int:
        """Return the link of an address, known or not; a new one is cited by nobody."""
        with self._database.atomic():
            found = self._database.value("SELECT id FROM links WHERE url = ?", [address.canonical])
            if found is not None:
                return int(found)
            cursor = self._database.execute(
                "INSERT INTO links (url, wire, host, first_seen_at, uncited_since)"
                " VALUES (?, ?, ?, ?, ?)",
                [address.canonical, address.wire, address.host, to_stamp(now), to_stamp(now)],
            )
            return int(cursor.lastrowid or 0)

    def prune_uncited(self, before: datetime) -> int:
        """Drop links that no file ever cited and that nobody has asked for since a moment."""
        with self._database.atomic():
            rows = self._database.fetch(
                "SELECT id FROM links WHERE cited = 0 AND uncited_since < ?1"
                " AND coalesce(last_look_at, '') < ?1"
                " AND NOT EXISTS (SELECT 1 FROM citations c WHERE c.link_id = links.id)",
                [to_stamp(before)],
            )
            ids = [(row[0],) for row in rows]
            for table in ("looks", "changes", "captures", "attempts", "requests"):
                self._database.execute_many(f"DELETE FROM {table} WHERE link_id = ?", ids)
            self._database.execute_many("DELETE FROM links WHERE id = ?", ids)
        return len(ids)

    def _values(self, citation: Citation, link_id: int | None) -> list[Any]:
        event = citation.event
        return [
            *(citation.path, citation.line, citation.position, citation.source_key),
            *(event.line, event.event_id, event.date, event.title, event.importance),
            *(citation.title, citation.publisher, citation.tier, citation.date),
            *(citation.access_date, citation.cited_url, link_id, citation.archive_url),
        ]

    def _insert(self, citation: Citation, link_id: int | None, now: str) -> None:
        columns = (*_CITATION_COLUMNS, "archive_claim", "first_seen_at")
        marks = ", ".join("?" * len(columns))
        claim = Claim.UNCHECKED if citation.archive_url else Claim.ABSENT
        self._database.execute(
            f"INSERT INTO citations ({', '.join(columns)}) VALUES ({marks})",
            [*self._values(citation, link_id), claim.value, now],
        )

    def _update(self, old: sqlite3.Row, citation: Citation, link_id: int | None) -> None:
        settings = ", ".join(f"{column} = ?" for column in _CITATION_COLUMNS)
        same_claim = (old["archive_url_in_file"] or None) == (citation.archive_url or None)
        if not same_claim:
            claim = Claim.UNCHECKED if citation.archive_url else Claim.ABSENT
            settings += f", archive_claim = '{claim.value}', claim_checked_at = NULL"
        self._database.execute(
            f"UPDATE citations SET {settings}, gone_at = NULL, missing_since = NULL WHERE id = ?",
            [*self._values(citation, link_id), old["id"]],
        )

    def mark_missing_files(self, paths: Iterable[str], now: datetime) -> None:
        """Note that files were not found; `settle_removals` decides what follows from it.

        Their stamps are forgotten: a file that comes back as it was must be read again, or its
        citations would stay missing.
        """
        paths = list(paths)
        self._database.execute_many(
            "UPDATE files SET size = ?1, mtime_ns = ?1, inode = ?1 WHERE path = ?2 AND size <> ?1",
            [(_FORGOTTEN, path) for path in paths],
        )
        self._database.execute_many(
            "UPDATE citations SET missing_since = coalesce(missing_since, ?)"
            " WHERE path = ? AND gone_at IS NULL",
            [(to_stamp(now), path) for path in paths],
        )

    def settle_removals(
        self, found_paths: frozenset[str], now: datetime, *, accept: bool = False
    ) -> Removals:
        """Take what is missing out of the current views, unless too much went at once.

        When no file at all was found, or more than a fifth of the known citations went, only
        what was already missing in a scan ≥ 10 minutes ago is removed (design §7).
        """
        # What a clock that was ahead missed would be held back until that time comes.
        self._database.execute(
            "UPDATE citations SET missing_since = ?1 WHERE missing_since > ?1", [to_stamp(now)]
        )
        missing = int(
            self._database.value(
                "SELECT count(*) FROM citations WHERE missing_since IS NOT NULL AND gone_at IS NULL"
            )
        )
        known = int(self._database.value("SELECT count(*) FROM citations WHERE gone_at IS NULL"))
        guarded = (not found_paths and known > 0) or missing * REMOVAL_GUARD_SHARE > known
        before = now if accept or not guarded else now - REMOVAL_GUARD_WAIT
        with self._database.atomic():
            removed = self._database.fetch(
                "UPDATE citations SET gone_at = ?, missing_since = NULL"
                " WHERE missing_since <= ? AND gone_at IS NULL RETURNING link_id",
                [to_stamp(now), to_stamp(before)],
            )
            self._forget_files(found_paths)
            self._refresh_links({link_id for (link_id,) in removed} - {None}, to_stamp(now))
        return Removals(len(removed), missing - len(removed))

    def _forget_files(self, found_paths: frozenset[str]) -> None:
        """Drop files that were not found and of which no citation is held back."""
        gone = [
            (path,)
            for (path,) in self._database.rows("SELECT path FROM files")
            if path not in found_paths
            and not self._database.value(
                "SELECT count(*) FROM citations WHERE path = ? AND gone_at IS NULL", [path]
            )
        ]
        for table in ("files", "events", "problems"):
            self._database.execute_many(f"DELETE FROM {table} WHERE path = ?", gone)

    def _refresh_links(self, link_ids: set[int], now: str) -> None:
        """Bring what links inherit from their citations up to date."""
        if not link_ids:
            return
        links = json.dumps(sorted(link_ids))
        self._database.execute(
            "UPDATE links SET cited = 0, uncited_since = ? WHERE cited = 1 AND NOT EXISTS"
            " (SELECT 1 FROM citations c WHERE c.link_id = links.id AND c.gone_at IS NULL)"
            " AND id IN (SELECT value FROM json_each(?))",
            [now, links],
        )
        self._database.execute(
            "UPDATE links SET best_tier = t.tier, importance = t.importance FROM ("
            " SELECT link_id, min(CASE WHEN typeof(tier) = 'integer' THEN tier END) AS tier,"
            " max(CASE WHEN typeof(importance) = 'integer' THEN importance END) AS importance"
            " FROM citations WHERE gone_at IS NULL AND link_id IN (SELECT value FROM json_each(?))"
            " GROUP BY link_id) AS t"
            " WHERE links.id = t.link_id AND (links.best_tier IS NOT t.tier"
            " OR links.importance IS NOT t.importance)",
            [links],
        )

    def events(self) -> list[Event]:
        """Return every event by path, for problems that only show across files."""
        return [
            Event(*row)
            for row in self._database.rows(
                "SELECT path, line, event_id, date, title, importance FROM events"
                " WHERE event_id IN (SELECT event_id FROM events GROUP BY event_id"
                " HAVING count(*) > 1) ORDER BY path, line"
            )
        ]

    def replace_cross_file_problems(self, problems: Sequence[Problem]) -> None:
        """Store the problems that only show across files."""
        with self._database.atomic():
            self._database.execute("DELETE FROM problems WHERE name = 'duplicate-event-id'")
            self._insert_problems(problems)


def _wants_anew(old: sqlite3.Row | None, citation: Citation) -> bool:
    """Say whether a citation may want another capture than before: it is new, or dated anew."""
    return old is None or (old["source_date"], old["access_date"]) != (
        citation.date,
        citation.access_date,
    )
