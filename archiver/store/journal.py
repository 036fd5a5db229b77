"""The journal of work: runs, requests from people, and small named states."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from archiver.clock import to_stamp
from archiver.store.database import Database

# So many processes at most wait for one another; a turn further ahead is a clock set back.
_MOST_TURNS_AHEAD = 20


class Journal:
    """Runs, on-demand requests and named states."""

    def __init__(self, database: Database) -> None:
        """Work on an open, migrated database."""
        self._database = database

    def begin(self, kind: str, now: datetime) -> int:
        """Open a run and return its id."""
        cursor = self._database.execute(
            "INSERT INTO runs (started_at, kind) VALUES (?, ?)", [to_stamp(now), kind]
        )
        return int(cursor.lastrowid or 0)

    def end(
        self, run_id: int, now: datetime, outcome: str, detail: Mapping[str, Any] | None = None
    ) -> None:
        """Close a run with one word for its outcome and its figures."""
        self._database.execute(
            "UPDATE runs SET ended_at = ?, outcome = ?, detail = ? WHERE id = ?",
            [to_stamp(now), outcome, json.dumps(detail or {}), run_id],
        )

    def close_interrupted(self, now: datetime) -> None:
        """Close runs that a dead process left open."""
        self._database.execute(
            "UPDATE runs SET ended_at = ?, outcome = 'interrupted' WHERE ended_at IS NULL",
            [to_stamp(now)],
        )

    def last(self, kind: str | None = None) -> sqlite3.Row | None:
        """Return the newest finished run (of a kind)."""
        return self._database.row(
            "SELECT * FROM runs WHERE ended_at IS NOT NULL AND (?1 IS NULL OR kind = ?1)"
            " ORDER BY id DESC LIMIT 1",
            [kind],
        )

    def set_state(self, name: str, value: Any) -> None:
        """Keep a small named value (JSON)."""
        self._database.execute(
            "INSERT OR REPLACE INTO state (name, value) VALUES (?, ?)", [name, json.dumps(value)]
        )

    def note_state(self, name: str, value: Any) -> None:
        """Keep a small named value if that can be done at once; raise soon if it cannot."""
        with self._database.impatient():
            self.set_state(name, value)

    def state(self, name: str, default: Any = None) -> Any:
        """Return a small named value."""
        text = self._database.value("SELECT value FROM state WHERE name = ?", [name])
        return default if text is None else json.loads(text)

    def take_turn(self, name: str, holder: str, now: datetime, gap: timedelta) -> timedelta:
        """Take the next turn of a pace that all processes share; return how long to wait for it.

        Two turns are a gap apart. Who took the last one keeps to its own clock, which is finer;
        a turn far ahead was stored before the clock was set back, and holds nobody up.
        """
        with self._database.atomic():
            last = self.state(f"turn:{name}", {})
            at = last.get("next_at", 0.0)
            ours = last.get("holder") == holder or at > now.timestamp() + _MOST_TURNS_AHEAD * (
                gap.total_seconds()
            )
            turn = now.timestamp() if ours else max(at, now.timestamp())
            self.set_state(
                f"turn:{name}", {"holder": holder, "next_at": turn + gap.total_seconds()}
            )
        return timedelta(seconds=turn - now.timestamp())

    def ask(self, link_id: int, kind: str, now: datetime) -> int:
        """Queue a person's request for the daemon; an open one of the same kind serves."""
        with self._database.atomic():
            found = self._database.value(
                "SELECT id FROM requests WHERE link_id = ? AND kind = ? AND done_at IS NULL",
                [link_id, kind],
            )
            if found is not None:
                return int(found)
            cursor = self._database.execute(
                "INSERT INTO requests (link_id, kind, asked_at) VALUES (?, ?, ?)",
                [link_id, kind, to_stamp(now)],
            )
            return int(cursor.lastrowid or 0)

    def take_requests(self, kind: str, now: datetime, limit: int = 100) -> list[tuple[int, int]]:
        """Take open requests of a kind: (request id, link id), oldest first."""
        # Asked every second: where nobody asked for anything, no lock is waited for.
        if not self._database.value(
            "SELECT count(*) FROM requests WHERE kind = ? AND done_at IS NULL AND taken_at IS NULL",
            [kind],
        ):
            return []
        return [
            (row[0], row[1])
            for row in self._database.fetch(
                "UPDATE requests SET taken_at = ?, state = 'taken' WHERE id IN (SELECT id FROM"
                " requests WHERE kind = ? AND done_at IS NULL AND taken_at IS NULL"
                " ORDER BY id LIMIT ?) RETURNING id, link_id",
                [to_stamp(now), kind, limit],
            )
        ]

    def answer(self, request_id: int, now: datetime, state: str = "done") -> None:
        """Close a request."""
        self._database.execute(
            "UPDATE requests SET done_at = ?, state = ? WHERE id = ?",
            [to_stamp(now), state, request_id],
        )

    def reopen_requests(self) -> None:
        """Give requests that were taken and not answered back to the queue."""
        self._database.execute(
            "UPDATE requests SET taken_at = NULL, state = 'queued'"
            " WHERE done_at IS NULL AND taken_at IS NOT NULL"
        )

    def request_state(self, request_id: int) -> str:
        """Return how far a request is: queued, taken, or how it ended."""
        return str(self._database.value("SELECT state FROM requests WHERE id = ?", [request_id]))
