"""The table of report formats: one row, one module each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from archiver.records import record
from archiver.reporting import (
    as_atom,
    as_badge,
    as_csv,
    as_github,
    as_html,
    as_json,
    as_junit,
    as_markdown,
    as_prometheus,
    as_sarif,
)
from archiver.reporting.report import ReportData


@record
class Format:
    """A report format: its file extension without a dot, how it is made, its media type."""

    extension: str
    render: Callable[[ReportData], Iterator[str]]
    media_type: str


# The text format, version 0.0.4 (prometheus.io, "Exposition formats").
PROMETHEUS_MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

FORMATS: Mapping[str, Format] = {
    "html": Format("html", as_html.render, "text/html; charset=utf-8"),
    "md": Format("md", as_markdown.render, "text/markdown; charset=utf-8"),
    "csv": Format("csv", as_csv.render, "text/csv; charset=utf-8"),
    "json": Format("json", as_json.render, "application/json"),
    "junit": Format("junit.xml", as_junit.render, "application/xml"),
    "sarif": Format("sarif", as_sarif.render, "application/sarif+json"),
    "github": Format("github.txt", as_github.render, "text/plain; charset=utf-8"),
    "atom": Format("atom", as_atom.render, "application/atom+xml"),
    "badge": Format("svg", as_badge.render, "image/svg+xml"),
    "prometheus": Format("prom", as_prometheus.render, PROMETHEUS_MEDIA_TYPE),
}
