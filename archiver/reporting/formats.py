"""The table of report formats: one row, one module each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from archiver.reporting import as_csv, as_html, as_json, as_markdown
from archiver.reporting.report import ReportData


@dataclass(frozen=True, slots=True)
class Format:
    """A report format: its file extension without a dot, how it is made, its media type."""

    extension: str
    render: Callable[[ReportData], Iterator[str]]
    media_type: str


FORMATS: Mapping[str, Format] = {
    "html": Format("html", as_html.render, "text/html; charset=utf-8"),
    "md": Format("md", as_markdown.render, "text/markdown; charset=utf-8"),
    "csv": Format("csv", as_csv.render, "text/csv; charset=utf-8"),
    "json": Format("json", as_json.render, "application/json"),
}
