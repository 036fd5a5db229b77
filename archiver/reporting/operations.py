"""How the service is doing, in figures: what monitoring shows beside the report's totals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime

from archiver.records import record


@record
class LastRun:
    """The newest run that ended with an outcome: when, and how many seconds it took."""

    outcome: str
    ended_at: datetime
    seconds: float


@record
class DutyFigures:
    """One duty of the daemon: its interval in seconds, and when it last got forward."""

    name: str
    interval: float
    moved_at: datetime | None


@record
class Operations:
    """Figures of the running service, gathered by `service`; counts are since the beginning.

    `changes` counts (verdict before, after), `captures` (archive, made by), `attempts`
    (archive, outcome); `requests` maps a kind to what people still wait for; `submissions_left`
    maps a way of submitting to what may still be sent today. `online` is None before it was
    asked, `waiting_seconds` when what waits for the archive never comes to its turn.
    `oldest_due` is when the link that waits longest became, or becomes, due.
    """

    running: bool
    ready: bool
    online: bool | None
    due: int
    looks: int
    database_bytes: int
    oldest_due: datetime | None = None
    changes: Sequence[tuple[str, str, int]] = ()
    captures: Sequence[tuple[str, str, int]] = ()
    attempts: Sequence[tuple[str, str, int]] = ()
    requests: Mapping[str, int] = field(default_factory=dict)
    runs: Sequence[LastRun] = ()
    duties: Sequence[DutyFigures] = ()
    submissions_left: Mapping[str, int] = field(default_factory=dict)
    waiting_lookups: int = 0
    waiting_submissions: int = 0
    waiting_seconds: float | None = 0
    pauses: Mapping[str, datetime | None] = field(default_factory=dict)
