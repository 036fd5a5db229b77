"""Geometry of the charts: stacked bars of verdicts, as plain numbers for the template.

Order, labels and colours as reference linkrot §5 says: fixed order, direct labels, gaps between
the parts, and every bar stands beside its numbers. Colours live in `templates/report.css`.
Lengths are per cent of the drawing's width, so that text keeps its size on every screen.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from archiver.model import Row, Verdict
from archiver.records import record
from archiver.reporting.measures import percent

ORDER = (
    *(Verdict.OK, Verdict.MOVED, Verdict.BLOCKED),
    *(Verdict.FAILING, Verdict.DEAD, Verdict.UNCHECKED),
)
# Reference linkrot §2.1, "Groups": a rate is only shown of at least so many.
FEWEST = 10
# Reference linkrot §5: hosts sorted by their dead links, the first so many and "other".
TOP_HOSTS = 15
# What is there can be seen, and a label stands only where it fits on a narrow screen.
_SMALLEST = 1.2
_LABEL_ROOM = 9.0


@record
class Segment:
    """One part of a stacked bar; `label` is empty where it would not fit."""

    verdict: str
    number: int
    share: str
    offset: float
    length: float
    label: str


@record
class Bar:
    """A row of a table with its bar; `numbers` has the row's own columns."""

    name: str
    numbers: Mapping[str, Any]
    segments: tuple[Segment, ...]
    summary: str


def stacked(numbers: Mapping[str, int], length: float = 100.0) -> tuple[Segment, ...]:
    """Lay the verdicts out in their fixed order along `length` per cent."""
    present = [(verdict, numbers[verdict]) for verdict in ORDER if numbers.get(verdict)]
    total = sum(number for _, number in present)
    if not total:
        return ()
    parts = _visible([length * number / total for _, number in present])
    segments, offset = [], 0.0
    for (verdict, number), part in zip(present, parts, strict=True):
        share = percent(number / total)
        label = share if part >= _LABEL_ROOM else ""
        segments.append(
            Segment(verdict.value, number, share, round(offset, 3), round(part, 3), label)
        )
        offset += part
    return tuple(segments)


def _visible(lengths: list[float]) -> list[float]:
    """Lift the tiny parts so that they can be seen, at the cost of the largest."""
    lifted = [max(min(_SMALLEST, sum(lengths) / 12), length) for length in lengths]
    largest = max(range(len(lifted)), key=lifted.__getitem__)
    lifted[largest] -= sum(lifted) - sum(lengths)
    return lifted


def summary(numbers: Mapping[str, int]) -> str:
    """Say a bar in words, for those who cannot see it: `3 ok, 1 dead`."""
    parts = [f"{numbers[verdict]:,} {verdict.value}" for verdict in ORDER if numbers.get(verdict)]
    return ", ".join(parts) or "nothing judged"


def pooled_years(by_year: Iterable[Row], fewest: int = FEWEST) -> list[dict[str, Any]]:
    """Join neighbouring years until each row has at least `fewest` citations.

    Undated sources stay a row of their own, last. Rows keep the columns of `by_year`, with
    `year` turned into a text such as `2016` or `2001–2004`.
    """
    pools: list[list[Row]] = []
    undated: list[Row] = []
    for row in by_year:
        if row["year"] is None:
            undated.append(row)
        elif pools and _size(pools[-1]) < fewest:
            pools[-1].append(row)
        else:
            pools.append([row])
    if len(pools) > 1 and _size(pools[-1]) < fewest:
        pools[-2].extend(pools.pop())
    joined = [_joined(pool) for pool in pools]
    return [*joined, _joined(undated, "no date")] if undated else joined


def _size(pool: Sequence[Row]) -> int:
    return sum(row["citations"] for row in pool)


def _joined(pool: Sequence[Row], name: str = "") -> dict[str, Any]:
    first, last = pool[0]["year"], pool[-1]["year"]
    years = name or (str(first) if first == last else f"{first}–{last}")
    names = ("citations", *(verdict.value for verdict in Verdict), "archived")
    return {"year": years, **{key: sum(row[key] for row in pool) for key in names}}


def year_bars(by_year: Iterable[Row]) -> list[Bar]:
    """Return the rows by year, pooled where there are few, each with its bar of 100 %."""
    rows = pooled_years(by_year)
    return [Bar(str(row["year"]), row, stacked(row), summary(row)) for row in rows]


_HOST_NUMBERS = ("links", "citations", *(verdict.value for verdict in Verdict), "archived")


def host_bars(by_host: Iterable[Row], top: int = TOP_HOSTS) -> list[Bar]:
    """Return the hosts with most dead links and "other", bars as long as they have links.

    Links of one host die together: counts, no rates (reference linkrot §2.1). Only `top` rows
    are held at a time.
    """
    rest = dict.fromkeys(_HOST_NUMBERS, 0)
    others = 0
    best: list[tuple[tuple[int, int, int], int, Row]] = []
    for index, row in enumerate(by_host):
        entry = ((row["dead"], row["failing"], row["links"]), -index, row)
        if len(best) < top:
            heapq.heappush(best, entry)
            continue
        loser = heapq.heappushpop(best, entry)[2]
        others += 1
        for name in _HOST_NUMBERS:
            rest[name] += loser[name]
    rows = [row for _, _, row in sorted(best, reverse=True)]
    longest = max((row["links"] for row in rows), default=0)
    bars = [_host_bar(str(row["host"]), row, longest) for row in rows]
    if others:
        name = f"other ({others:,} host{'s' if others > 1 else ''})"
        bars.append(Bar(name, rest, (), summary(rest)))
    return bars


def _host_bar(name: str, row: Row, longest: int) -> Bar:
    numbers = {verdict.value: row[verdict.value] for verdict in Verdict}
    length = max(2.0, 100 * row["links"] / longest) if longest else 0
    return Bar(name, row, stacked(numbers, length), summary(numbers))
