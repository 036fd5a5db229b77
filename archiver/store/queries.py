"""Reads: everything a report, a status or an explanation needs, streamed where it is long."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from archiver.clock import from_stamp, to_stamp
from archiver.model import ArchiveState, Verdict
from archiver.store.database import Database
from archiver.store.views import HOSTS


class Queries:
    """Reads from the views and tables."""

    def __init__(self, database: Database) -> None:
        """Work on an open, migrated database."""
        self._database = database

    def source_status(self, order: str = "path, line") -> Iterator[sqlite3.Row]:
        """Stream every citation with what is believed of it, by the terms of an ORDER BY.

        Links a person asked to ignore are left out (contract §1, `mark ignore`).
        """
        return self._database.rows(
            "SELECT * FROM source_status s WHERE link_id IS NULL OR"
            f" (SELECT ignored FROM links l WHERE l.id = s.link_id) = 0 ORDER BY {order}"
        )

    def problems(self) -> Iterator[sqlite3.Row]:
        """Stream every problem of the event files."""
        return self._database.rows(
            "SELECT path, line, position, name, level, message FROM problems"
            " ORDER BY path, line, name"
        )

    def problem_count(self) -> int:
        """Count the problems of the event files."""
        return int(self._database.value("SELECT count(*) FROM problems"))

    def by_host(self) -> Iterator[sqlite3.Row]:
        """Stream the hosts as reports have them, ignored links left out; most dead links first."""
        return self._database.rows(
            f"{HOSTS} AND l.ignored = 0 GROUP BY l.host ORDER BY dead DESC, links DESC, host"
        )

    def citation_count(self) -> int:
        """Count the current citations."""
        return int(self._database.value("SELECT count(*) FROM citations WHERE gone_at IS NULL"))

    def link_count(self) -> int:
        """Count the links that are cited now."""
        return int(self._database.value("SELECT count(*) FROM links WHERE cited = 1"))

    def verdicts(self) -> dict[str, int]:
        """Count cited links by verdict: six words, zero included."""
        counts = {verdict.value: 0 for verdict in Verdict}
        counts.update(
            dict(
                tuple(row)
                for row in self._database.rows(
                    "SELECT verdict, count(*) FROM links WHERE cited = 1 GROUP BY verdict"
                )
            )
        )
        return counts

    def counted_without_ignored(self, verdict: str) -> int:
        """Count cited links of a verdict that no person asked to ignore."""
        return int(
            self._database.value(
                "SELECT count(*) FROM links WHERE cited = 1 AND ignored = 0 AND verdict = ?",
                [verdict],
            )
        )

    def counted_in_reports(self) -> dict[str, Any]:
        """Count citations, and links by verdict and archive state, as reports do: none ignored."""
        citations = self._database.value(
            "SELECT count(*) FROM citations c LEFT JOIN links l ON l.id = c.link_id"
            " WHERE c.gone_at IS NULL AND coalesce(l.ignored, 0) = 0"
        )
        verdicts = Counter({verdict.value: 0 for verdict in Verdict})
        states = Counter({state.value: 0 for state in ArchiveState})
        for verdict, state, count in self._database.rows(
            "SELECT verdict, archive_state, count(*) FROM links"
            " WHERE cited = 1 AND ignored = 0 GROUP BY verdict, archive_state"
        ):
            verdicts[verdict] += count
            states[state] += count
        return {"citations": int(citations), "verdicts": verdicts, "archive": states}

    def archive_states(self) -> dict[str, int]:
        """Count cited links by archive state."""
        return dict(
            tuple(row)
            for row in self._database.rows(
                "SELECT archive_state, count(*) FROM links WHERE cited = 1 GROUP BY 1"
            )
        )

    def suspects(self) -> Iterator[sqlite3.Row]:
        """Stream citations that were probably never right (contract §2)."""
        return self._database.rows("SELECT * FROM suspect_citations ORDER BY path, line")

    def changes_in_reports(self, since: datetime) -> Iterator[sqlite3.Row]:
        """Stream the flips since a moment with where the link is cited, newest first."""
        return self._database.rows(
            "SELECT c.changed_at, c.from_verdict, c.to_verdict, c.reason, l.url,"
            " min(s.path) AS path, s.line AS line FROM changes c JOIN links l ON l.id = c.link_id"
            " JOIN citations s ON s.link_id = l.id AND s.gone_at IS NULL"
            " WHERE changed_at >= ? AND l.ignored = 0 GROUP BY c.id ORDER BY c.id DESC",
            [to_stamp(since)],
        )

    def longest_unchecked_queue(self) -> int:
        """Return the largest number of never-looked-at links on one host."""
        return int(
            self._database.value(
                "SELECT coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM links"
                " WHERE cited = 1 AND verdict = 'unchecked' GROUP BY host)"
            )
        )

    def due_count(self, now: datetime) -> int:
        """Count links that are due for a look."""
        return int(
            self._database.value(
                "SELECT count(*) FROM links WHERE cited = 1 AND next_look_at <= ?",
                [to_stamp(now)],
            )
        )

    def first_look_at(self) -> datetime | None:
        """Return when the first look was made."""
        text = self._database.value("SELECT min(looked_at) FROM looks")
        return from_stamp(text) if text else None

    def link_by_url(self, url: str) -> sqlite3.Row | None:
        """Return the link with this canonical URL."""
        return self._database.row("SELECT * FROM links WHERE url = ?", [url])

    def link(self, link_id: int) -> sqlite3.Row | None:
        """Return one link."""
        return self._database.row("SELECT * FROM links WHERE id = ?", [link_id])

    def links_of_event(self, event_id: str) -> list[int] | None:
        """Return the links all events of this id cite; None when no event bears it."""
        if not self._database.value("SELECT count(*) FROM events WHERE event_id = ?", [event_id]):
            return None
        return self._link_ids("event_id = ?", event_id)

    def links_of_path(self, path: str) -> list[int]:
        """Return the links cited by a file, or by the files of a folder."""
        return self._link_ids("(path = ?1 OR substr(path, 1, length(?1) + 1) = ?1 || '/')", path)

    def _link_ids(self, condition: str, value: str) -> list[int]:
        return [
            row[0]
            for row in self._database.rows(
                f"SELECT DISTINCT link_id FROM citations WHERE {condition}"
                " AND link_id IS NOT NULL AND gone_at IS NULL ORDER BY id",
                [value],
            )
        ]

    def links_where(self, *, verdict: str | None = None, host: str | None = None) -> list[int]:
        """Return cited links of a verdict and of a host with its subdomains."""
        return [
            row[0]
            for row in self._database.rows(
                "SELECT id FROM links WHERE cited = 1 AND (?1 IS NULL OR verdict = ?1)"
                " AND (?2 IS NULL OR host = ?2 OR host LIKE '%.' || ?2) ORDER BY id",
                [verdict, host],
            )
        ]

    def links_for_archive(self, *, missing: bool, dead: bool) -> list[int]:
        """Return cited links that lack a capture, or that are dead."""
        return [
            row[0]
            for row in self._database.rows(
                "SELECT id FROM links WHERE cited = 1 AND"
                " (?1 AND archive_state NOT IN ('captured', 'archived', 'excluded')"
                " OR ?2 AND verdict = 'dead') ORDER BY id",
                [int(missing), int(dead)],
            )
        ]

    def all_links(self) -> Iterator[int]:
        """Stream the ids of all links, cited or not."""
        last = 0
        while True:
            ids = self._database.fetch(
                "SELECT id FROM links WHERE id > ? ORDER BY id LIMIT 500", [last]
            )
            if not ids:
                return
            for row in ids:
                yield row[0]
            last = ids[-1][0]

    def due_links(self, now: datetime) -> Iterator[sqlite3.Row]:
        """Stream links that are due, for a dry run."""
        return self._database.rows(
            "SELECT id, url, host, verdict, next_look_at FROM links WHERE cited = 1"
            " AND next_look_at <= ? ORDER BY next_look_at, id",
            [to_stamp(now)],
        )

    def places(self, link_id: int) -> list[sqlite3.Row]:
        """Return where a link is cited."""
        return list(
            self._database.rows(
                "SELECT path, line, event_id FROM citations WHERE link_id = ?"
                " AND gone_at IS NULL ORDER BY path, line",
                [link_id],
            )
        )

    def status_of_link(self, link_id: int) -> sqlite3.Row | None:
        """Return the first citation row of a link, as the report shows it."""
        return self._database.row(
            "SELECT * FROM source_status WHERE link_id = ? ORDER BY path, line LIMIT 1", [link_id]
        )

    def last_look(self, link_id: int) -> sqlite3.Row | None:
        """Return a link's newest look from here or from a person."""
        return self._database.row(
            "SELECT * FROM looks WHERE link_id = ? AND vantage <> 'archive'"
            " ORDER BY id DESC LIMIT 1",
            [link_id],
        )

    def changes(self, since: datetime) -> Iterator[sqlite3.Row]:
        """Stream the flips since a moment, newest first."""
        return self._database.rows(
            "SELECT c.*, l.url FROM changes c JOIN links l ON l.id = c.link_id"
            " WHERE changed_at >= ? ORDER BY c.id DESC",
            [to_stamp(since)],
        )

    def best_capture(self, link_id: int) -> sqlite3.Row | None:
        """Return the capture chosen for a link's first citation, else the link's own choice.

        Among the others are captured errors, and captures of close variants.
        """
        return self._database.row(
            "WITH chosen(id) AS (SELECT chosen_capture_id FROM citations"
            " WHERE link_id = ?1 AND gone_at IS NULL ORDER BY id LIMIT 1)"
            " SELECT k.* FROM captures k JOIN links l ON l.id = k.link_id WHERE k.link_id = ?1"
            " AND (k.id = (SELECT id FROM chosen) OR k.archive_url ="
            " json_extract(nullif(l.archive_record, ''), '$.best.archive_url'))"
            " ORDER BY k.id = (SELECT id FROM chosen) DESC LIMIT 1",
            [link_id],
        )
