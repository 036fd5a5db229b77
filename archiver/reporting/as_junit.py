"""The report as JUnit XML, for continuous integration: one test case per citation.

Dead is a failure, an address that cannot be looked at is an error; blocked, failing and
unchecked are skipped, for they prove nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from archiver.clock import to_stamp
from archiver.model import ALIVE, Row, Verdict
from archiver.reporting.report import ReportData
from archiver.reporting.view import finding_text, row_view
from archiver.reporting.wording import shown_address
from archiver.text import shown

_SKIPPED = (Verdict.BLOCKED, Verdict.FAILING, Verdict.UNCHECKED)


def render(data: ReportData) -> Iterator[str]:
    """Stream one test suite named `archiver`; attributes `file` and `line` name the place."""
    dead, skipped, errors = _counts(data)
    numbers = (
        f'tests="{data.totals["citations"]}" failures="{dead}" errors="{errors}"'
        f' skipped="{skipped}" timestamp="{to_stamp(data.generated_at).rstrip("Z")}"'
    )
    yield '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n'
    yield f'<testsuite name="archiver" {numbers}>\n'
    for row in data.rows():
        yield _case(row, data)
    yield "</testsuite>\n</testsuites>\n"


def _counts(data: ReportData) -> tuple[int, int, int]:
    """Count citations: the totals count links, and a link may be cited often."""
    by_verdict = {verdict: sum(year[verdict.value] for year in data.by_year) for verdict in Verdict}
    skipped = sum(by_verdict[verdict] for verdict in _SKIPPED)
    errors = data.totals["citations"] - sum(by_verdict.values())
    return by_verdict[Verdict.DEAD], skipped, errors


def _case(row: Row, data: ReportData) -> str:
    path = quoteattr(shown(row["path"]))
    name = quoteattr(shown_address(row["cited_url"] or "(no address)"))
    start = f'<testcase classname={path} name={name} file={path} line="{row["line"]}"'
    if row["verdict"] in ALIVE:
        return f"{start}/>\n"
    view = row_view(row, data.generated_at)
    text = finding_text(view)
    if row["verdict"] in _SKIPPED:
        return f"{start}><skipped message={quoteattr(text)}/></testcase>\n"
    kind = "failure" if row["verdict"] == Verdict.DEAD else "error"
    outcome = f"<{kind} message={quoteattr(view.reason)}>{escape(text)}</{kind}>"
    return f"{start}>{outcome}</testcase>\n"
