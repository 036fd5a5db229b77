"""Five days of the rehearsal, lived through once for all tests: its database and what was seen.

The program is the real one, against the small web and the archive stand-in; every pass leaves
a note of what held at its end.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from archiver.clock import to_stamp
from archiver.demo.rehearsal import Stage, stage
from archiver.service.once import one_pass

START = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
# Half an hour a second: a host's delay of 5 s stays well above the machine's own jitter.
SPEED = 1800.0
# The first pass, and the days in which verdicts form.
HOURS = (0, 30, 56, 84, 112)

_NOTES = {
    "looks": "SELECT count(*) FROM looks WHERE vantage = 'here'",
    "attempts": "SELECT count(*) FROM attempts",
    "dead": "SELECT count(*) FROM links WHERE verdict = 'dead'",
    "claimed": "SELECT count(*) FROM links WHERE claimed_by IS NOT NULL",
    "young": "SELECT count(*) FROM source_status s JOIN captures k ON k.archive_url = s.archive_url"
    " AND k.link_id = s.link_id WHERE s.archive_state = 'archived'"
    " AND julianday(:now) - julianday(k.captured_at) < 1",
    "unseen": "SELECT count(*) FROM source_status"
    " WHERE archive_state = 'archived' AND archive_verified_at IS NULL",
    "by_vantage": "SELECT json_group_object(vantage, n) FROM"
    " (SELECT vantage, count(*) AS n FROM looks GROUP BY vantage)",
    "links": "SELECT json_group_array(json_array(url, verdict, reason, archive_state)) FROM links",
}


@dataclass(frozen=True)
class Rehearsed:
    """Where the rehearsal's files are, and what each pass left: one mapping for each hour."""

    folder: Path
    passes: list[dict[str, Any]]

    @property
    def configuration(self) -> Path:
        """Return the configuration, to be named with `-c`."""
        return self.folder / "archiver.toml"

    @property
    def database(self) -> Path:
        """Return the database."""
        return self.folder / "archiver.db"


def rehearse_once(folder: Path) -> Rehearsed:
    """Live through the rehearsal in `folder`, unless another process already has."""
    folder.mkdir(exist_ok=True)
    notes = folder / "notes.json"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not notes.exists():
            notes.write_text(json.dumps(asyncio.run(_rehearse(folder))), encoding="utf-8")
    return Rehearsed(folder, json.loads(notes.read_text(encoding="utf-8")))


async def _rehearse(folder: Path) -> list[dict[str, Any]]:
    passes = []
    async with stage(folder, START, SPEED) as opened:
        began = opened.clock.now()
        for hours in HOURS:
            due = began + timedelta(hours=hours)
            opened.clock.jump(max(timedelta(0), due - opened.clock.now()))
            opened.let_others_crawl()
            saves = len(opened.archive.asked("save"))
            result = await one_pass(opened.desk, archive_time=timedelta(hours=2))
            passes.append(
                {
                    "hours": hours,
                    "made": result.looks.looks,
                    "saved": [request.url for request in opened.archive.asked("save")[saves:]],
                    "submissions": result.archive.submissions,
                    **_note(opened),
                }
            )
    return passes


def _note(opened: Stage) -> dict[str, Any]:
    database, now = opened.desk.store.database, to_stamp(opened.clock.now())
    found = {name: database.value(query, {"now": now}) for name, query in _NOTES.items()}
    return {
        **found,
        "links": json.loads(found["links"]),
        "by_vantage": json.loads(found["by_vantage"]),
    }
