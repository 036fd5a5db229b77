"""Rows and reports for the tests of this folder, made up for them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from archiver.reporting.measures import totals
from archiver.reporting.report import STATUS_COLUMNS, ReportData, mending_rank
from archiver.reporting.tally import tally

NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)


def a_row(**columns: Any) -> dict[str, Any]:
    """Return a `source_status` row of a healthy citation, changed by `columns`."""
    row: dict[str, Any] = dict.fromkeys(STATUS_COLUMNS)
    row |= {
        "path": "events/2016-11-30--lighthouse-relit.md",
        "line": 12,
        "position": 1,
        "event_id": "2016-11-30--lighthouse-relit",
        "event_date": "2016-11-30",
        "source_title": "The old lighthouse shines again",
        "publisher": "Harbour Post",
        "tier": 1,
        "source_date": "2016-11-30",
        "cited_url": "https://harbour.example/news/lighthouse",
        "link_id": 1,
        "host": "harbour.example",
        "verdict": "ok",
        "reason": "http-200",
        "verdict_since": "2026-03-01T07:00:00Z",
        "last_look_at": "2026-11-20T07:00:00Z",
        "next_look_at": "2026-12-10T07:00:00Z",
        "archive_state": "archived",
        "archive_url": "https://web.archive.org/web/20161201080000/https://harbour.example/news/lighthouse",
        "source_key": "sources",
        "importance": 7,
        "first_seen_at": "2026-02-01T00:00:00Z",
        "last_seen_alive_at": "2026-11-20T07:00:00Z",
        "last_seen_alive_by": "here",
        "archive_verified_at": "2026-02-04T00:00:00Z",
        "archive_distance_days": 1,
        "archive_claim": "absent",
    }
    unknown = columns.keys() - row.keys()
    assert not unknown, unknown
    return row | columns


def no_capture(state: str = "none", **columns: Any) -> dict[str, Any]:
    """Return a row of a citation without any capture."""
    return a_row(archive_state=state, archive_url=None, archive_distance_days=None, **columns)


def a_report(rows: Iterable[dict[str, Any]], **fields: Any) -> ReportData:
    """Return the report of some rows, put into mending order and counted."""
    ordered = sorted(rows, key=mending_rank)
    counted = tally(ordered, problems=len(list(fields.get("problems", list)())))
    fields.setdefault("by_host", lambda: by_host(ordered))
    return ReportData(
        generated_at=NOW,
        totals=totals(counted.counts),
        rows=lambda: iter(ordered),
        by_year=counted.by_year,
        **fields,
    )


def by_host(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows of the view `by_host`, with one link per citation."""
    names = ("links", "citations", "ok", "moved", "blocked", "failing", "dead", "unchecked")
    hosts: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["host"] is None:
            continue
        host = hosts.setdefault(
            row["host"],
            {"host": row["host"], **dict.fromkeys(names, 0), "archived": 0, "last_look_at": None},
        )
        for name in ("links", "citations", row["verdict"]):
            host[name] += 1
        host["archived"] += row["archive_state"] == "archived"
    return list(hosts.values())
