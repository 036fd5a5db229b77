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
        "reason": "ok",
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


HOST: dict[str, Any] = {
    **{"host": "news.example", "links": 4, "citations": 5, "ok": 2, "moved": 0, "blocked": 0},
    **{"failing": 1, "dead": 1, "unchecked": 0, "archived": 2, "last_look_at": None},
}

HOSTILE = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>' onmouseover='x",
    "</style></title></svg><iframe>",
    '=HYPERLINK("http://evil.example","x")',
    "a | b | c\n\n# Heading\n- [x] @octocat #1 **bold** ![i](http://evil.example/i.png)",
    "\u202egpj.exe\u202c \x1b[31mred\x07 \x00\u2028::error::forged",
    "``` ` code",
    "{{ 7 * 7 }}{% raw %}",
    "A" * 10_000,
    "\ud800 lone surrogate",
    "&lt;b&gt; &#60;i&#62;",
]
TEXT_COLUMNS = (
    *("path", "event_id", "event_date", "source_title", "publisher", "tier", "source_date"),
    *("cited_url", "host", "reason", "archive_url", "archive_url_in_file", "problem"),
    *("importance", "final_url", "verdict_since", "next_look_at", "last_seen_alive_at"),
    *("source_key", "access_date", "archive_claim"),
)


def hostile_rows(text: str) -> list[dict[str, Any]]:
    """Return rows whose every string from outside is hostile, in every mending group."""
    columns = dict.fromkeys(TEXT_COLUMNS, text) | {"archive_url_in_file": f"{text}!"}
    address = f"javascript:{text}"
    return [
        a_row(**columns, verdict="dead", link_id=1),
        a_row(**columns | {"cited_url": address, "archive_url": address}, verdict="dead"),
        a_row(**columns | {"archive_url": None, "archive_state": "lost"}, verdict="dead"),
        a_row(**columns, verdict="failing", link_id=2),
        a_row(**columns, verdict="blocked", link_id=3),
        a_row(**columns, verdict="moved", link_id=4),
        a_row(**columns | {"reason": None}, verdict=None, link_id=None),
    ]


def hostile_report(text: str) -> ReportData:
    changed = {"changed_at": text, "from_verdict": text, "to_verdict": text, "reason": text}
    problem = {
        "path": text,
        "line": 1,
        "position": 1,
        "name": text,
        "level": "error",
        "message": text,
    }
    return a_report(
        hostile_rows(text),
        by_host=lambda: [HOST | {"host": text}],
        changes=lambda: [changed | {"url": text}],
        problems=lambda: [problem],
        suspects=lambda: hostile_rows(text)[:2],
        events_paths=[text],
        version=text,
    )
