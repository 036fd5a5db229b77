"""One citation as a person reads it: the row's facts turned into short, harmless texts.

HTML and Markdown show the same things in the same words; this is the place where they are
decided, and where every string from outside passes `shown()`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import groupby, takewhile

from archiver.model import Level, Row
from archiver.records import record
from archiver.reporting.measures import bounds, percent
from archiver.reporting.report import FirstSweep, MendingGroup, ReportData, mending_group
from archiver.reporting.wording import (
    NextStep,
    alive_in_words,
    archive_in_words,
    captured_at,
    day_of,
    reason_in_words,
    shown_address,
    since_in_words,
    step_of,
)
from archiver.text import shown
from archiver.urls import host_of


@record
class RowView:
    """A citation in words. `href` and `capture_href` are empty unless safe to be links."""

    place: str
    title: str
    details: str
    url: str
    href: str
    verdict: str
    reason: str
    since: str
    alive: str
    archive: str
    capture: str
    capture_href: str
    step: NextStep
    local_copy: str = ""


def safe_link(url: object) -> str:
    """Return the URL if it may become a link: http(s), and nothing in it had to be replaced."""
    text = str(url or "")
    if not text.lower().startswith(("http://", "https://")) or shown_address(text) != text:
        return ""
    return text


def row_view(row: Row, now: datetime) -> RowView:
    """Turn a row of `source_status` into what a person reads."""
    verdict = row["verdict"] or "problem"
    reason = reason_in_words(row["reason"])
    if row["verdict"] is None:
        reason = shown(row["problem"] or "no usable address").replace("-", " ")
    return RowView(
        place=f"{shown(row['path'])}:{row['line']}",
        title=shown(row["source_title"] or "") or "(no title)",
        details=_details(row),
        url=shown_address(row["cited_url"] or ""),
        href=safe_link(row["cited_url"]),
        verdict=shown(verdict),
        reason=reason,
        since=since_in_words(row["verdict_since"], now),
        alive=alive_in_words(row),
        archive=archive_in_words(row),
        capture=_capture_name(row),
        capture_href=safe_link(row["archive_url"]),
        step=step_of(row),
        local_copy=_local_copy(row),
    )


def _details(row: Row) -> str:
    tier, importance = row["tier"], row["importance"]
    parts = [row["publisher"], row["source_date"]]
    parts.append(f"tier {tier}" if tier is not None else None)
    parts.append(f"importance {importance}" if importance is not None else None)
    return " · ".join(shown(part) for part in parts if part)


def _local_copy(row: Row) -> str:
    """Name file and offset of a copy of our own, "" when there is none."""
    copy = row.get("local_copy")
    if not copy:
        return ""
    cut = ", not whole" if copy["truncated"] else ""
    day = day_of(copy["captured_at"])
    return f"own copy of {day}{cut}: {shown(copy['file'])} at offset {copy['offset']}"


def _capture_name(row: Row) -> str:
    """Name the best capture by its day, or by its archive when the address carries none."""
    url = row["archive_url"]
    if not url:
        return ""
    day = captured_at(url)
    return f"Capture of {day:%Y-%m-%d}" if day else f"Capture at {shown(host_of(url))}"


@record
class GroupText:
    """How a mending group is introduced."""

    group: MendingGroup
    heading: str
    explanation: str


GROUPS = (
    GroupText(
        MendingGroup.DEAD_WITHOUT_CAPTURE,
        "Dead, and no capture known",
        "The page is gone and nothing we know can stand in for it. These need a person.",
    ),
    GroupText(
        MendingGroup.DEAD_NOT_IN_FILE,
        "Dead, with a capture that is not in the file yet",
        "The page is gone, but an archive has it: one line in the event file mends the citation.",
    ),
    GroupText(
        MendingGroup.FAILING,
        "Failing",
        "The last look went badly. That alone proves nothing: we look again before we believe it.",
    ),
    GroupText(
        MendingGroup.BLOCKED,
        "Blocked",
        "The site refuses us, which says nothing about the page. A person can look and tell us.",
    ),
)


def grouped(rows: Iterable[Row]) -> Iterator[tuple[MendingGroup, Iterator[Row]]]:
    """Split rows that come in mending order into their groups, without holding them."""
    return groupby(rows, key=mending_group)


def bad_rows(rows: Iterable[Row]) -> Iterator[Row]:
    """Give the rows that need somebody, of rows in mending order: dead, failing, blocked."""
    return takewhile(lambda row: mending_group(row) is not MendingGroup.REST, rows)


def problems_by_level(data: ReportData) -> Iterator[Row]:
    """Give the problems of the files, errors first: notes are many and would bury them."""
    for level in Level:
        yield from (row for row in data.problems() if row["level"] == level)


def finding_text(view: RowView) -> str:
    """Say in one line what is wrong with a citation and what to do, for tools that annotate."""
    seen = ", ".join(text for text in (view.reason, view.since, view.alive) if text)
    return f"{view.verdict}: {seen}. {view.url} Next: {view.step}"


def headline(data: ReportData) -> str:
    """Say in one sentence how much is gone, how much at most, and what of it can be read."""
    totals = data.totals
    links, dead = totals["links"], totals["verdicts"]["dead"]
    if not links:
        return "No web source is cited yet."
    if totals["verdicts"]["unchecked"] == links:
        return f"None of the {count(links, 'cited link')} has been looked at yet."
    # From the counts, not the rounded shares of `totals`: rounding twice gives another digit.
    least, most = bounds(totals["verdicts"]) or (0.0, 0.0)
    verb = "is" if dead == 1 else "are"
    text = f"{dead:,} of {count(links, 'cited link')} {verb} dead ({percent(least)}"
    if most > least:
        text += f"; at most {percent(most)} if all we could not see were dead"
    text += ")"
    if dead:
        text += f"; {_rescued_text(dead, totals['rescued'])}"
    return text + "."


def _rescued_text(dead: int, rescued: int) -> str:
    if dead == 1:
        return "it can be read in an archive" if rescued else "no archived copy is known to work"
    return f"{f'{rescued:,}' if rescued else 'none'} of the {dead:,} can be read in an archive"


def count(number: int, noun: str) -> str:
    """Write a number with its noun in the right form: `1 link`, `1,200 links`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def moment(value: datetime) -> str:
    """Write a moment for people: to the minute, in UTC."""
    return value.strftime("%Y-%m-%d %H:%M UTC")


def archives_text(data: ReportData) -> str:
    """Name the archives that were asked: what no archive has is said of these (design §6)."""
    names = ", ".join(shown(name) for name in data.archives_asked)
    return f"Archives asked: {names}." if names else "No archive is asked (archive.mode is off)."


def change_since_last(data: ReportData) -> str:
    """Say how many dead links came or went since the previous report; "" without one."""
    if data.previous is None:
        return ""
    difference = data.totals["verdicts"]["dead"] - data.previous["verdicts"]["dead"]
    when = f" since the report of {data.previous_at:%Y-%m-%d}" if data.previous_at else ""
    if difference == 0:
        return f"As many as before{when}." if when else "As many as in the last report."
    return f"{abs(difference):,} {'more' if difference > 0 else 'fewer'}{when}."


def first_sweep_texts(sweep: FirstSweep) -> list[str]:
    """Say on the first days what the figures cannot say yet, and from when they can."""
    texts = []
    if sweep.ends_at is not None:
        texts.append(
            f"{sweep.looked_at:,} of {count(sweep.links, 'link')} have been looked at so far."
            f" The first sweep should end about {moment(sweep.ends_at)}, if the daemon keeps"
            " running: a site gets one request at a time, with a pause after each."
        )
    else:
        texts.append(f"The first sweep is over, with {count(sweep.links, 'link')} looked at.")
    texts.append(
        "One look never kills a link. Nothing is called dead before"
        f" {moment(sweep.first_firm_at)}; verdicts on pages that answer “gone” are firm from"
        f" {moment(sweep.firm_at)}, on servers that stay silent from {moment(sweep.weak_firm_at)}."
        " Until then such links stand under “failing”."
    )
    texts.append(
        "A capture counts as archived once it was played back a day after it was made:"
        f" not before {moment(sweep.played_back_at)} for captures made now."
    )
    return texts


def change_text(row: Row) -> str:
    """Say one change of belief in words, without its address."""
    reason = reason_in_words(row["reason"])
    flip = f"{day_of(row['changed_at'])}: {shown(row['from_verdict'])} → {shown(row['to_verdict'])}"
    return f"{flip} ({reason})" if reason else flip
