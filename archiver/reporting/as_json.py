"""The report as JSON: the object of contract §4, row by row.

Strings are exact, for programs that compare them; only ASCII is written, so that nothing in
them can move a cursor when a person looks.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from archiver.clock import to_stamp
from archiver.model import Row
from archiver.reporting.report import STATUS_COLUMNS, ReportData
from archiver.reporting.wording import next_step


def render(data: ReportData) -> Iterator[str]:
    """Stream the report as one JSON object (contract §4, `report -f json`)."""
    yield f'{{"schema": 1, "generated_at": {_dump(to_stamp(data.generated_at))},\n'
    yield f'"totals": {_dump(dict(data.totals))},\n"rows": ['
    yield from _members({**_columns(row), "next_step": next_step(row)} for row in data.rows())
    yield '],\n"by_host": ['
    yield from _members(dict(row) for row in data.by_host())
    yield '],\n"by_year": ['
    yield from _members(dict(row) for row in data.by_year)
    yield "]}\n"


# Later additions, each only where it says something (contract §4: fields are only added): copies
# of our own, and the real capture nearest to a claim that is not true.
_ADDITIONS = ("local_copy", "claim_nearest")


def _columns(row: Row) -> dict[str, Any]:
    columns = {column: row[column] for column in STATUS_COLUMNS}
    return {**columns, **{name: row[name] for name in _ADDITIONS if name in row}}


def _members(values: Iterable[dict[str, Any]]) -> Iterator[str]:
    separator = "\n"
    for value in values:
        yield separator + _dump(value)
        separator = ",\n"


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=True)
