"""Beliefs as text: only what differs from a fresh belief is written.

The columns of `links` that people read (verdict, reason, times) are beside it; the text holds
the counters.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from archiver.clock import from_stamp, to_stamp
from archiver.model import Belief, Run, Verdict
from archiver.records import differing

# Made once: `json.dumps` with arguments of its own builds an encoder for every call.
as_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

_FRESH = Belief()
# Kept in columns of their own.
_COLUMNS = frozenset(
    {"verdict", "reason", "since", "last_look_at", "next_look_at", "last_alive_at"}
    | {"last_alive_by"}
)
_ALL = tuple(field.name for field in fields(Belief))
_COUNTERS = tuple(name for name in _ALL if name not in _COLUMNS)


def _plain(value: Any) -> Any:
    if isinstance(value, Belief):
        return {name: _plain(item) for name, item in differing(value)}
    if isinstance(value, datetime):
        return to_stamp(value)
    if isinstance(value, Run):
        return [value.count, _plain(value.first_at), _plain(value.last_at)]
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value


def belief_text(belief: Belief) -> str:
    """Write the counters of a belief as JSON."""
    differences = differing(belief)
    counters = {name: _plain(item) for name, item in differences if name not in _COLUMNS}
    return as_json(counters) if counters else "{}"


def _moment(text: str | None) -> datetime | None:
    return None if text is None else from_stamp(text)


def _typed(name: str, value: Any) -> Any:
    if name == "underlying":
        return _restore(value)
    if name == "verdict":
        return Verdict(value)
    if isinstance(getattr(_FRESH, name), Run):
        return Run(value[0], _moment(value[1]), _moment(value[2]))
    if name == "flips":
        return tuple(from_stamp(item) for item in value)
    if isinstance(value, str) and name.endswith(("_at", "since", "_until")):
        return from_stamp(value)
    return value


def _restore(counters: Mapping[str, Any]) -> Belief:
    return Belief(**{name: _typed(name, value) for name, value in counters.items() if name in _ALL})


def read_belief(row: sqlite3.Row) -> Belief:
    """Read the belief of a row of `links`."""
    text = row["belief"]
    counters = {} if text == "{}" else json.loads(text)
    known = {name: _typed(name, value) for name, value in counters.items() if name in _COUNTERS}
    return Belief(
        verdict=Verdict(row["verdict"]),
        reason=row["reason"],
        since=_moment(row["verdict_since"]),
        last_look_at=_moment(row["last_look_at"]),
        next_look_at=_moment(row["next_look_at"]),
        last_alive_at=_moment(row["last_seen_alive_at"]),
        last_alive_by=row["last_seen_alive_by"],
        **known,
    )
