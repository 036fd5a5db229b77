"""Counting a report's figures in one pass over its rows, so that they agree with each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from archiver.model import ArchiveState, Row, Verdict
from archiver.records import record
from archiver.reporting.measures import Counts
from archiver.reporting.report import MendingGroup, mending_group
from archiver.reporting.wording import is_before_publication


@record
class Tally:
    """The counts of all rows, and the rows of `by_year` (contract §4), oldest first."""

    counts: Counts
    by_year: list[dict[str, Any]]


class _Seen:
    """Which link ids have been met: one bit each, because a report may cite 100,000 links."""

    def __init__(self) -> None:
        self._bits = bytearray()

    def first_time(self, number: int) -> bool:
        place, mask = number >> 3, 1 << (number & 7)
        if place >= len(self._bits):
            self._bits.extend(bytes(place + 1 - len(self._bits)))
        new = not self._bits[place] & mask
        self._bits[place] |= mask
        return new


def tally(rows: Iterable[Row], *, problems: int = 0) -> Tally:
    """Count links, citations and events of `source_status` rows in one pass.

    Links are counted once however often they are cited; an event is one id in one file.
    """
    verdicts: Counter[str] = Counter()
    archive: Counter[str] = Counter()
    extra: Counter[str] = Counter()
    mending: Counter[str] = Counter()
    years: dict[int | None, Counter[str]] = {}
    events: dict[tuple[str, str | None], int] = {}
    seen = _Seen()
    citations = 0
    for row in rows:
        citations += 1
        mending[mending_group(row).key] += 1
        _count_year(years, row)
        event = (row["path"], row["event_id"])
        mark = _DEAD_SOURCE if row["verdict"] == Verdict.DEAD else _OTHER_SOURCE
        events[event] = events.get(event, 0) | mark
        if row["link_id"] is not None and seen.first_time(row["link_id"]):
            _count_link(verdicts, archive, extra, row)
    counts = Counts(
        citations=citations,
        links=verdicts.total(),
        verdicts=verdicts,
        archive=archive,
        problems=problems,
        rescued=extra["rescued"],
        at_risk=extra["at_risk"],
        events=len(events),
        events_touched=sum(1 for marks in events.values() if marks & _DEAD_SOURCE),
        events_lost=sum(1 for marks in events.values() if marks == _DEAD_SOURCE),
        mending={group.key: mending[group.key] for group in MendingGroup},
    )
    return Tally(counts, _year_rows(years))


_DEAD_SOURCE = 1
_OTHER_SOURCE = 2


def _count_link(
    verdicts: Counter[str], archive: Counter[str], extra: Counter[str], row: Row
) -> None:
    dead = row["verdict"] == Verdict.DEAD
    verdicts[row["verdict"]] += 1
    archive[row["archive_state"] or ArchiveState.NONE.value] += 1
    # A copy from before the publication plays back, and cannot hold the page (design §6).
    if dead and row["archive_state"] == ArchiveState.ARCHIVED and not is_before_publication(row):
        extra["rescued"] += 1
    if not dead and not row["archive_url"]:
        extra["at_risk"] += 1


def year_of(date: object) -> int | None:
    """Return the year of a date as written (`2016`, `2016-11-30`), None when it has none."""
    text = str(date)[:4] if date is not None else ""
    return int(text) if len(text) == 4 and text.isascii() and text.isdigit() else None


def _count_year(years: dict[int | None, Counter[str]], row: Row) -> None:
    counter = years.setdefault(year_of(row["source_date"]), Counter())
    counter["citations"] += 1
    if row["verdict"] is not None:
        counter[row["verdict"]] += 1
    if row["archive_state"] == ArchiveState.ARCHIVED:
        counter["archived"] += 1


def _year_rows(years: dict[int | None, Counter[str]]) -> list[dict[str, Any]]:
    names = ("citations", *(verdict.value for verdict in Verdict), "archived")
    ordered = sorted(years.items(), key=lambda item: (item[0] is None, item[0] or 0))
    return [{"year": year, **{name: counter[name] for name in names}} for year, counter in ordered]
