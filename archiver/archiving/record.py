"""What is remembered of one link's archiving, between two steps and across restarts.

An `ArchiveRecord` is a value: the pipeline makes the next one, the store keeps it as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import field, fields, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from archiver.clock import CLOCK_TRUST, from_stamp, to_stamp
from archiver.model import ArchiveState, Capture, Run
from archiver.records import differing, record


class Phase(StrEnum):
    """Where a submission stands, beside the state: a link keeps its verified capture meanwhile.

    SUBMITTING: the intent is written, no answer is stored yet. POLLING: a job id is stored.
    UNKNOWN: it may or may not have been captured; only look-ups can tell.
    """

    IDLE = "idle"
    SUBMITTING = "submitting"
    POLLING = "polling"
    UNKNOWN = "unknown"


@record
class ArchiveRecord:
    """All that the pipeline knows of one link.

    `next_at` is when the next step is due (None: at once). `touched_at` is when something was
    last asked for this link, `looked_up_at` when an index last answered cleanly. `negatives`
    are clean answers without a usable capture, `troubles` look-ups and `unplayed` playbacks
    without an answer in a row.
    `attempt_at` is the last submission, `reached_at` the last one the archive considered,
    `accepted_at` the last that it may have accepted (the cool-down counts from it); `unknown_at`
    are the submissions of the last week whose outcome stayed unknown. `ask_at` holds back the
    questions of a link that has its copy already.
    `candidates` are the next best captures, `also` those to be played for other citations of
    this link, `passed` those of them that did, until the best one is played again. `played` and
    `rejected` are archive URLs that did (a day after the capture, or later) and did not pass;
    after too many of the latter only captures newer than `ignore_before` are tried. `living_at`
    is the newest capture that was played back and judged as ok.
    """

    state: ArchiveState = ArchiveState.NONE
    since: datetime | None = None
    next_at: datetime | None = None
    phase: Phase = Phase.IDLE
    reason: str = ""
    until: datetime | None = None
    touched_at: datetime | None = None
    looked_up_at: datetime | None = None
    ask_at: datetime | None = None
    negatives: Run = field(default_factory=Run)
    troubles: int = 0
    tries: int = 0
    backend: str | None = None
    attempt_at: datetime | None = None
    accepted_at: datetime | None = None
    reached_at: datetime | None = None
    courtesy_at: datetime | None = None
    outcome: str | None = None
    job_id: str | None = None
    job_until: datetime | None = None
    polls: int = 0
    unknown_at: tuple[datetime, ...] = ()
    unknown_looks: int = 0
    best: Capture | None = None
    candidates: tuple[Capture, ...] = ()
    also: tuple[Capture, ...] = ()
    passed: tuple[Capture, ...] = ()
    witness: Capture | None = None
    played: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()
    ignore_before: datetime | None = None
    verified_at: datetime | None = None
    missing: int = 0
    unplayed: int = 0
    newest_at: datetime | None = None
    living_at: datetime | None = None

    @property
    def archive_url(self) -> str | None:
        """Return the best capture's address in the states that may show one (contract §2)."""
        shown = self.state in (ArchiveState.CAPTURED, ArchiveState.ARCHIVED)
        return self.best.archive_url if shown and self.best else None


def to_json(record: ArchiveRecord) -> str:
    """Write a record as one JSON object holding only what differs from a new one."""
    return json.dumps(
        {name: _plain(value) for name, value in differing(record)}, ensure_ascii=False
    )


def from_json(text: str) -> ArchiveRecord:
    """Read a record back; keys of a later version are ignored."""
    stored = json.loads(text)
    return ArchiveRecord(
        **{
            name: _READERS.get(name, _same)(value)
            for name, value in stored.items()
            if name in _NAMES
        }
    )


def set_back(record: ArchiveRecord, now: datetime) -> ArchiveRecord:
    """Return a record that a clock which was ahead wrote as if it had been written now.

    By how much it was ahead says the last step, which cannot be still to come. The moments of
    captures are the archive's.
    """
    ahead = (record.touched_at or now) - now
    if ahead <= CLOCK_TRUST:
        return record

    def moved(moment: datetime | None) -> datetime | None:
        return moment - ahead if moment is not None and moment > now else moment

    run = record.negatives
    times: dict[str, Any] = {name: moved(getattr(record, name)) for name in _OUR_MOMENTS}
    times["negatives"] = replace(run, first_at=moved(run.first_at), last_at=moved(run.last_at))
    times["unknown_at"] = tuple(moved(each) for each in record.unknown_at)
    return replace(record, **times)


def capture_to_plain(capture: Capture) -> dict[str, Any]:
    """Return a capture as a mapping of JSON values."""
    return {each.name: _plain(getattr(capture, each.name)) for each in fields(capture)}


def capture_from_plain(stored: Mapping[str, Any]) -> Capture:
    """Read a capture back from its mapping."""
    return Capture(**{**stored, "captured_at": from_stamp(stored["captured_at"])})


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return to_stamp(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Capture):
        return capture_to_plain(value)
    if isinstance(value, Run):
        return {
            "count": value.count,
            "first_at": _plain(value.first_at),
            "last_at": _plain(value.last_at),
        }
    return value


def _same(value: Any) -> Any:
    return value


def _read_run(stored: Mapping[str, Any]) -> Run:
    first, last = stored["first_at"], stored["last_at"]
    return Run(stored["count"], first and from_stamp(first), last and from_stamp(last))


def _read_captures(stored: list[Mapping[str, Any]]) -> tuple[Capture, ...]:
    return tuple(capture_from_plain(item) for item in stored)


_NAMES = frozenset(each.name for each in fields(ArchiveRecord))
_MOMENTS = {each.name for each in fields(ArchiveRecord) if str(each.type) == "datetime | None"}
_OUR_MOMENTS = _MOMENTS - {"newest_at", "living_at"}
_READERS: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(_MOMENTS, from_stamp),
    "state": ArchiveState,
    "phase": Phase,
    "negatives": _read_run,
    "unknown_at": lambda stored: tuple(from_stamp(item) for item in stored),
    "best": capture_from_plain,
    "witness": capture_from_plain,
    "candidates": _read_captures,
    "also": _read_captures,
    "passed": _read_captures,
    "played": tuple,
    "rejected": tuple,
}
