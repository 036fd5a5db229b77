"""The report as CSV: every citation, the columns of `source_status` and the next step."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from archiver.reporting.report import STATUS_COLUMNS, ReportData
from archiver.reporting.wording import next_step, shown_address

# A cell that begins so is a formula to a spreadsheet (design §8); the full-width forms are
# read as formulas too where East Asian input is set up.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
_ROWS_AT_ONCE = 200


def render(data: ReportData) -> Iterator[str]:
    """Stream the report as RFC 4180 CSV with a header line."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow((*STATUS_COLUMNS, "next_step"))
    for number, row in enumerate(data.rows(), start=1):
        cells = [row[column] for column in STATUS_COLUMNS]
        writer.writerow([cell(value) for value in (*cells, next_step(row))])
        if number % _ROWS_AT_ONCE == 0:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def cell(value: object) -> object:
    """Return a value as a cell that no spreadsheet runs; numbers stay numbers, NULL is empty."""
    if not isinstance(value, str):
        return value
    text = shown_address(value)
    return "'" + text if value.startswith(_FORMULA_STARTS) else text
