"""The report as one self-contained HTML page: no script, nothing loaded, readable in print.

Jinja2 escapes everything; texts come from `view`, where every string from outside has passed
`shown()`. The page forbids itself all loading by its own Content-Security-Policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from archiver.model import ArchiveState, Row
from archiver.records import record
from archiver.reporting import view
from archiver.reporting.charts import ORDER, host_bars, stacked, summary, year_bars
from archiver.reporting.measures import among_decided, bounds, decided, percent, proven, wilson
from archiver.reporting.report import MendingGroup, ReportData
from archiver.reporting.wording import shown_address
from archiver.text import shown

# A section longer than this is for a program, not for a reader; CSV and JSON have all rows.
ROWS_PER_SECTION = 1_000
# How many of the citations with nothing to mend are listed at all, folded away.
QUIET_ROWS = 2_000
_CHUNK = 200


@record
class Section:
    """A list of citations on the page; `left` is how many more there are."""

    key: str
    heading: str
    explanation: str
    number: int
    rows: list[view.RowView]
    left: int


@record
class Line:
    """A line of a plain list: where or when, what, and an address that may be a link."""

    place: str
    name: str
    text: str
    href: str = ""
    level: str = ""


def render(data: ReportData) -> Iterator[str]:
    """Stream the page in chunks; at most one section's rows are held at a time."""
    stream = _template().stream(**_context(data))
    stream.enable_buffering(_CHUNK)
    yield from stream


@lru_cache(maxsize=1)
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = percent
    environment.filters["grouped"] = lambda number: f"{number:,}"
    return environment.get_template("report.html")


def _context(data: ReportData) -> dict[str, Any]:
    totals = data.totals
    verdicts = totals["verdicts"]
    return {
        "data": data,
        "totals": totals,
        "headline": view.headline(data),
        "change": view.change_since_last(data),
        "made": view.moment(data.generated_at),
        "sweep": view.first_sweep_texts(data.first_sweep) if data.first_sweep else [],
        "verdict_order": [verdict.value for verdict in ORDER],
        "verdict_meanings": VERDICT_MEANINGS,
        "segments": stacked(verdicts),
        "bar_summary": summary(verdicts),
        # Shares of the unrounded counts: rounding those of `totals` again gives another digit.
        "proven": proven(verdicts),
        "bounds": bounds(verdicts),
        "among_decided": among_decided(verdicts),
        "interval": wilson(verdicts["dead"], decided(verdicts)),
        "decided": decided(verdicts),
        "archive": _archive_rows(totals),
        "sections": _sections(data),
        "suspects": _suspects(data),
        "years": year_bars(data.by_year),
        "hosts": host_bars(data.by_host()),
        "changes": _lines(data.changes(), _change_line),
        "changes_since": view.moment(data.changes_since) if data.changes_since else "",
        "problems": _lines(view.problems_by_level(data), _problem_line),
        "events_paths": [shown(path) for path in data.events_paths],
        "archives": view.archives_text(data),
        "version": shown(data.version),
    }


VERDICT_MEANINGS = {
    "ok": "the page answers and is no disguised error",
    "moved": "the same document, permanently at another address",
    "blocked": "we are refused, which says nothing about the page",
    "failing": "a bad look, not believed yet",
    "dead": "gone, confirmed by looks over days",
    "unchecked": "not looked at yet",
}


def _archive_rows(totals: Any) -> list[tuple[str, str, int]]:
    return [
        (state.value, _STATE_MEANINGS[state], totals["archive"][state])
        for state in ArchiveState
        if totals["archive"].get(state)
    ]


_STATE_MEANINGS = {
    ArchiveState.NONE: "never looked up",
    ArchiveState.SEARCHING: "no clean answer yet, or to be asked again",
    ArchiveState.QUEUED: "no capture found; waiting for its turn",
    ArchiveState.PENDING: "the archive was asked to make one",
    ArchiveState.CAPTURED: "a capture is known, not played back yet",
    ArchiveState.ARCHIVED: "played back at least a day after the capture",
    ArchiveState.LOST: "was archived, twice missing since",
    ArchiveState.EXCLUDED: "the archive excludes the site",
    ArchiveState.UNARCHIVABLE: "the archive could not make a capture",
    ArchiveState.UNRECOVERABLE: "dead, and no archive we asked has it",
}


def _sections(data: ReportData) -> Iterator[Section]:
    texts = {text.group: text for text in view.GROUPS}
    for group, members in view.grouped(data.rows()):
        if group is MendingGroup.REST:
            yield _quiet_section(data, members)
            return
        text = texts[group]
        yield _section(data, group.key, text.heading, text.explanation, members)


def _section(
    data: ReportData, key: str, heading: str, explanation: str, members: Iterator[Row]
) -> Section:
    rows = [view.row_view(row, data.generated_at) for row in islice(members, ROWS_PER_SECTION)]
    left = sum(1 for _ in members)
    return Section(key, heading, explanation, len(rows) + left, rows, left)


def _quiet_section(data: ReportData, members: Iterator[Row]) -> Section:
    """List what needs no mending when it is short; else only say where it is."""
    rows = [view.row_view(row, data.generated_at) for row in islice(members, QUIET_ROWS + 1)]
    if len(rows) > QUIET_ROWS:
        rows = []
    number = data.totals.get("mending", {}).get(MendingGroup.REST.key, len(rows))
    return Section(
        MendingGroup.REST.key, "All other citations", "", number, rows, number - len(rows)
    )


def _suspects(data: ReportData) -> Section | None:
    section = _section(data, "suspects", "Probably never right", "", iter(data.suspects()))
    return section if section.number else None


@record
class Lines:
    """A plain list, cut at the page's limit."""

    lines: list[Line]
    left: int


def _lines(rows: Iterable[Row], line: Any) -> Lines:
    iterator = iter(rows)
    lines = [line(row) for row in islice(iterator, ROWS_PER_SECTION)]
    return Lines(lines, sum(1 for _ in iterator))


def _change_line(row: Row) -> Line:
    url = row["url"]
    return Line(view.change_text(row), "", shown_address(url), view.safe_link(url))


def _problem_line(row: Row) -> Line:
    place = f"{shown(row['path'])}:{row['line']}"
    return Line(place, shown(row["name"]), shown(row["message"]), level=shown(row["level"]))
