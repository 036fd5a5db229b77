"""The report as GitHub-flavoured Markdown: for an issue or a job summary.

The same order as the HTML page; long lists fold away, very long ones are cut and say so. What
comes from outside is escaped so that it stays text: no markup, no link of its own, no mention.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice

from archiver.model import ArchiveState, Row
from archiver.reporting.charts import ORDER, host_bars, year_bars
from archiver.reporting.measures import percent
from archiver.reporting.report import MendingGroup, ReportData
from archiver.reporting.view import (
    GROUPS,
    RowView,
    archives_text,
    change_since_last,
    change_text,
    count,
    first_sweep_texts,
    grouped,
    headline,
    moment,
    problems_by_level,
    row_view,
    safe_link,
)
from archiver.reporting.wording import NextStep, shown_address
from archiver.text import shown

# GitHub cuts a job summary at 1 MiB; a row is about 700 characters.
ROWS_PER_SECTION = 250

_MARKUP = re.compile(r"([\\`|<>\[\]()*_~!{}$^])")
# A name after @, a number after #, and an address without brackets become links on GitHub: an
# invisible comment parts the first two, a character reference the others.
_BREAKS = (("@", "@<!-- -->"), ("#", "#<!-- -->"), ("://", "&#58;//"), ("www.", "www&#46;"))


def escape(text: str) -> str:
    """Return a text that Markdown shows as it is: no markup, no mention, no link (design §8)."""
    escaped = _MARKUP.sub(r"\\\1", text.replace("&", "&amp;"))
    for written, broken in _BREAKS:
        escaped = escaped.replace(written, broken)
    # At the start of a line these would begin a list, a heading or a rule.
    return re.sub(r"^(\s*)([-+=]|\d+(?=[.)]))", r"\1&#8203;\2", escaped)


def code(text: str) -> str:
    """Return a code span around a text, whatever back-quotes it has."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * (longest + 1)
    padding = " " if text.startswith(("`", " ")) or text.endswith(("`", " ")) else ""
    return f"{fence}{padding}{text}{padding}{fence}"


def link(text: str, href: str) -> str:
    """Return a link, or the bare text when there is no safe address."""
    if not href:
        return escape(text)
    # Between < and > nothing else has a meaning; `&` would begin a character reference.
    target = href.replace("&", "&amp;")
    target = target.translate({ord(mark): f"%{ord(mark):02X}" for mark in "<>\\|` "})
    return f"[{escape(text)}](<{target}>)"


def render(data: ReportData) -> Iterator[str]:
    """Stream the report as Markdown, a block at a time."""
    yield f"# Sources: {headline(data)}\n\n"
    change = change_since_last(data)
    if change:
        yield f"{change}\n\n"
    yield from _first_days(data)
    yield from _mending(data)
    yield from _rows("Probably never right", _SUSPECT_TEXT, data.suspects(), None, data)
    yield from _totals(data)
    yield from _hosts(data)
    yield from _years(data)
    yield from _changes(data)
    yield from _problems(data)
    maker = f"archiver {escape(shown(data.version))}".rstrip()
    yield f"---\nMade {moment(data.generated_at)} by {maker}.\n"


_SUSPECT_TEXT = (
    "Dead, never seen alive by us or in a capture, while the same site is archived otherwise:"
    " the address itself may be a mistake."
)


def _first_days(data: ReportData) -> Iterator[str]:
    if data.first_sweep is None:
        return
    yield "> [!NOTE]\n> **These are the first days.**\n"
    for text in first_sweep_texts(data.first_sweep):
        yield f"> {text}\n"
    yield "\n"


def _mending(data: ReportData) -> Iterator[str]:
    texts = {text.group: text for text in GROUPS}
    counts = data.totals.get("mending", {})
    yield "## What to mend first\n\n"
    empty = True
    for group, members in grouped(data.rows()):
        if group is MendingGroup.REST:
            break
        empty = False
        text = texts[group]
        yield from _rows(
            text.heading, text.explanation, members, counts.get(group.key), data, "###"
        )
    if empty:
        yield "Nothing: no source is dead, failing or blocked.\n\n"


def _rows(
    heading: str,
    explanation: str,
    rows: Iterable[Row],
    number: int | None,
    data: ReportData,
    level: str = "##",
) -> Iterator[str]:
    iterator = iter(rows)
    first = next(iterator, None)
    if first is None:
        return
    yield f"{level} {heading}" + (f" ({number:,})" if number else "") + f"\n\n{explanation}\n\n"
    yield "<details open><summary>Show them</summary>\n\n"
    yield _item(row_view(first, data.generated_at))
    for row in islice(iterator, ROWS_PER_SECTION - 1):
        yield _item(row_view(row, data.generated_at))
    yield "\n</details>\n\n"
    left = sum(1 for _ in iterator)
    if left:
        yield f"And {left:,} more: `archiver report -f csv` has all of them.\n\n"


def _item(view: RowView) -> str:
    """Write a citation in a few lines: what it is, what was seen, what to do."""
    source = f"**{escape(view.title)}**" + (f" ({escape(view.details)})" if view.details else "")
    seen = [f"**{escape(view.verdict)}**: {escape(view.reason)}".rstrip(": ")]
    seen += [escape(text) for text in (view.since, view.alive) if text]
    archive = escape(view.archive)
    if view.capture:
        archive = f"{link(view.capture, view.capture_href)} ({archive})"
    lines = [
        f"- {code(view.place)} {source}, {link(view.url or '(no address)', view.href)}",
        "  " + " · ".join([*seen, archive] if archive else seen),
        *([f"  {escape(view.local_copy)}"] if view.local_copy else []),
        f"  **Next:** {_step(view.step)}",
    ]
    return "  \n".join(lines) + "\n"


def _step(step: NextStep) -> str:
    return f"{escape(step.sentence)} {code(step.paste)}" if step.paste else escape(step.sentence)


def _table(header: list[str], rows: Iterable[list[str]]) -> Iterator[str]:
    yield "| " + " | ".join(header) + " |\n"
    yield "|---|" + "---:|" * (len(header) - 1) + "\n"
    for row in rows:
        yield "| " + " | ".join(row) + " |\n"
    yield "\n"


def _totals(data: ReportData) -> Iterator[str]:
    totals = data.totals
    links = totals["links"]
    yield "## Totals\n\n"
    yield (
        f"{count(totals['citations'], 'citation')} of {count(links, 'link')};"
        f" {count(totals['problems'], 'problem')} in the event files."
        f" {escape(archives_text(data))}\n\n"
    )
    verdicts = totals["verdicts"]
    yield from _table(
        ["Verdict", "Links", "Share"],
        (
            [verdict.value, f"{verdicts[verdict]:,}", percent(verdicts[verdict] / links)]
            for verdict in ORDER
            if links
        ),
    )
    archive = totals["archive"]
    states = [state for state in ArchiveState if archive.get(state)]
    yield from _table(
        ["Archive", "Links", "Share"],
        ([state.value, f"{archive[state]:,}", percent(archive[state] / links)] for state in states),
    )


_COLUMNS = [verdict.value for verdict in ORDER] + ["archived"]


def _hosts(data: ReportData) -> Iterator[str]:
    bars = host_bars(data.by_host())
    if not bars:
        return
    yield "## By host\n\n"
    yield from _table(
        ["Host", "links", *_COLUMNS],
        (
            [escape(shown(bar.name)), *(f"{bar.numbers[name]:,}" for name in ("links", *_COLUMNS))]
            for bar in bars
        ),
    )


def _years(data: ReportData) -> Iterator[str]:
    bars = year_bars(data.by_year)
    if not bars:
        return
    yield "## By year of the source\n\n"
    yield from _table(
        ["Year", "citations", *_COLUMNS],
        (
            [bar.name, *(f"{bar.numbers[name]:,}" for name in ("citations", *_COLUMNS))]
            for bar in bars
        ),
    )


def _changes(data: ReportData) -> Iterator[str]:
    iterator = iter(data.changes())
    first = next(iterator, None)
    if first is None:
        return
    since = f" since {moment(data.changes_since)}" if data.changes_since else ""
    yield f"## Changes{since}\n\n"
    for row in (first, *islice(iterator, ROWS_PER_SECTION - 1)):
        url = row["url"]
        yield f"- {escape(change_text(row))} {link(shown_address(url), safe_link(url))}\n"
    left = sum(1 for _ in iterator)
    yield f"- and {left:,} more\n\n" if left else "\n"


def _problems(data: ReportData) -> Iterator[str]:
    iterator = iter(problems_by_level(data))
    first = next(iterator, None)
    if first is None:
        return
    yield "## Problems of the event files\n\n<details open><summary>Show them</summary>\n\n"
    for row in (first, *islice(iterator, ROWS_PER_SECTION - 1)):
        place = code(f"{shown(row['path'])}:{row['line']}")
        name = f"{escape(shown(row['level']))} {escape(shown(row['name']))}"
        yield f"- {place} {name}: {escape(shown(row['message']))}\n"
    left = sum(1 for _ in iterator)
    yield "\n</details>\n\n"
    if left:
        yield f"And {left:,} more: `archiver events lint` names all of them.\n\n"
