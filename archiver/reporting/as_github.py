"""The report as GitHub workflow commands: annotations at file and line.

GitHub shows ten of each kind for a step; they come in mending order, so the first matter most.
"""

from __future__ import annotations

from collections.abc import Iterator

from archiver.model import Level, Row, Verdict
from archiver.reporting.report import ReportData
from archiver.reporting.view import bad_rows, finding_text, row_view
from archiver.text import shown

_KINDS = {Verdict.DEAD: "error", Verdict.FAILING: "warning", Verdict.BLOCKED: "notice"}
_LEVELS: dict[str, str] = {Level.ERROR: "error", Level.WARNING: "warning", Level.NOTE: "notice"}


def render(data: ReportData) -> Iterator[str]:
    """Stream one annotation per line: what is to mend, then the problems of the files."""
    for row in bad_rows(data.rows()):
        view = row_view(row, data.generated_at)
        title = f"{view.verdict}: {view.title}"
        yield annotation(_KINDS[row["verdict"]], row, title, finding_text(view))
    for problem in data.problems():
        kind = _LEVELS.get(problem["level"], "notice")
        yield annotation(kind, problem, shown(problem["name"]), shown(problem["message"]))


def annotation(kind: str, place: Row, title: str, message: str) -> str:
    """Write one workflow command; everything in it is escaped as GitHub reads it back."""
    file = _property(shown(place["path"]))
    return f"::{kind} file={file},line={place['line']},title={_property(title)}::{_data(message)}\n"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
