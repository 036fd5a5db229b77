"""Each format against its own parser, and hostile strings against all of them."""

from __future__ import annotations

import csv
import io
import json
import re
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from report_samples import (
    HOST,
    HOSTILE,
    NOW,
    a_report,
    a_row,
    hostile_report,
    no_capture,
)
from selectolax.lexbor import LexborHTMLParser

import archiver.reporting
from archiver.model import Verdict
from archiver.reporting import as_csv, as_html, as_markdown
from archiver.reporting.charts import host_bars, pooled_years, stacked
from archiver.reporting.formats import FORMATS
from archiver.reporting.measures import totals
from archiver.reporting.report import STATUS_COLUMNS, ReportData, first_sweep
from archiver.reporting.tally import tally

VERDICT_ROWS = [a_row(verdict=verdict.value, link_id=i) for i, verdict in enumerate(Verdict)]


def made(format_name: str, data: ReportData) -> str:
    return "".join(FORMATS[format_name].render(data))


def page(data: ReportData) -> LexborHTMLParser:
    return LexborHTMLParser(made("html", data))


# --- JSON -------------------------------------------------------------------------------------


def test_json_has_the_shape_of_the_contract():
    rows = [a_row(tier="primary"), no_capture(verdict="dead", link_id=2)]
    report = json.loads(made("json", a_report(rows)))
    assert list(report) == ["schema", "generated_at", "totals", "rows", "by_host", "by_year"]
    assert report["schema"] == 1
    assert report["generated_at"] == "2026-11-24T15:00:00Z"
    assert [list(row) for row in report["rows"]] == [[*STATUS_COLUMNS, "next_step"]] * 2
    assert report["rows"][0]["verdict"] == "dead"
    assert report["rows"][1]["tier"] == "primary"
    assert report["totals"]["verdicts"]["dead"] == 1
    assert report["by_year"] == [
        {
            **{"year": 2016, "citations": 2, "unchecked": 0, "ok": 1, "moved": 0, "blocked": 0},
            **{"failing": 0, "dead": 1, "archived": 1},
        }
    ]
    assert report["by_host"][0]["host"] == "harbour.example"


def test_json_of_an_empty_report_is_complete():
    report = json.loads(made("json", a_report([])))
    assert report["rows"] == report["by_host"] == report["by_year"] == []


# --- CSV --------------------------------------------------------------------------------------


def test_csv_has_every_column_and_the_next_step():
    text = made("csv", a_report([a_row(), no_capture(verdict="dead", link_id=2)]))
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert list(rows[0]) == [*STATUS_COLUMNS, "next_step"]
    assert [row["verdict"] for row in rows] == ["dead", "ok"]
    assert rows[0]["archive_url"] == ""
    assert rows[0]["next_step"].startswith("No archive has been asked yet")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "＝"])
def test_a_csv_cell_that_begins_like_a_formula_is_made_text(start):
    assert str(as_csv.cell(start + "1+1")).startswith("'")


def test_csv_numbers_stay_numbers():
    assert as_csv.cell(-3) == -3
    assert as_csv.cell(None) is None


# --- HTML -------------------------------------------------------------------------------------


def test_the_page_says_its_headline_and_shows_a_section_per_mending_group():
    rows = [*VERDICT_ROWS, no_capture("unrecoverable", verdict="dead", link_id=90)]
    tree = page(a_report(rows))
    assert tree.css_first("h1").text() == (
        "2 of 7 cited links are dead (28.6\u00a0%; at most 71.4\u00a0% if all we could not see"
        " were dead); 1 of the 2 can be read in an archive."
    )
    headings = [node.text() for node in tree.css("#mend ~ section h3")]
    assert headings == [
        "Dead, and no capture known (1)",
        "Dead, with a capture that is not in the file yet (1)",
        "Failing (1)",
        "Blocked (1)",
    ]
    assert tree.css_first("#rest").text() == "All other citations (3)"


def test_every_citation_on_the_page_says_all_that_is_known():
    row = a_row(
        verdict="dead",
        reason="http-404",
        last_seen_alive_at="2026-01-04T00:00:00Z",
        last_seen_alive_by="capture",
    )
    text = page(a_report([row])).css_first(".citations li").text(separator=" ", strip=True)
    for part in (
        *("The old lighthouse shines again", "Harbour Post · 2016-11-30 · tier 1 · importance 7"),
        *("https://harbour.example/news/lighthouse", "events/2016-11-30--lighthouse-relit.md:12"),
        *("dead", "since 2026-03-01 (9 months)", "last seen alive in a capture of 2026-01-04"),
        *("Capture of 2016-12-01", "played back, 1 day from the date wanted"),
        *("Add this line below the url:", f"archive_url: {row['archive_url']}"),
    ):
        assert part in text


def test_the_page_loads_nothing_and_runs_nothing():
    tree = page(a_report(VERDICT_ROWS))
    assert not tree.css("script, link, img, iframe, object, embed, form, base, [style], [src]")
    assert "url(" not in made("html", a_report(VERDICT_ROWS))
    policy = tree.css_first('meta[http-equiv="Content-Security-Policy"]').attributes["content"]
    assert policy.startswith("default-src 'none'")


def test_the_page_can_be_used_without_seeing_it():
    tree = page(a_report(VERDICT_ROWS, by_host=lambda: [HOST]))
    assert tree.css_first("html").attributes["lang"] == "en"
    ids = [node.attributes["id"] for node in tree.css("[id]")]
    assert len(ids) == len(set(ids))
    for svg in tree.css("svg[role=img]"):
        assert svg.attributes.get("aria-label") or svg.css_first("title").text()
    for reference in tree.css("[aria-labelledby]"):
        assert set(reference.attributes["aria-labelledby"].split()) <= set(ids)
    for link in tree.css('a[href^="#"]'):
        assert link.attributes["href"][1:] in ids
    assert all(cell.attributes.get("scope") for cell in tree.css("th"))
    levels = [int(node.tag[1]) for node in tree.css("h1, h2, h3")]
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_the_chart_has_a_table_of_its_numbers():
    tree = page(a_report(VERDICT_ROWS))
    assert tree.css_first("#bar-text").text() == (
        "1 ok, 1 moved, 1 blocked, 1 failing, 1 dead, 1 unchecked"
    )
    cells = [
        row.css_first("td").text() for row in tree.css("#totals ~ .side table")[0].css("tr")[1:]
    ]
    assert cells == ["1"] * 6


def test_the_headline_and_the_table_give_the_same_share():
    # 259/3258 is 7.9497 %: rounded to four places and again it would be 8.0 %.
    rows = [a_row(verdict="ok" if n > 258 else "dead", link_id=n) for n in range(3258)]
    text = page(a_report(rows)).css_first("body").text()
    assert text.count("7.9\u00a0%") >= 3
    assert "8.0\u00a0%" not in text


@pytest.mark.parametrize("format_name", ["html", "md"])
def test_errors_of_the_files_come_before_the_many_notes(format_name):
    problem = {"path": "events/a.md", "line": 1, "position": 1, "name": "any"}
    levels = ["note", "warning", "note", "error"]
    found = [problem | {"level": level, "message": f"a {level}"} for level in levels]
    text = made(format_name, a_report([], problems=lambda: found))
    assert re.findall(r"a (note|warning|error)", text) == ["error", "warning", "note", "note"]


def test_an_empty_project_gets_a_page_that_says_so():
    tree = page(a_report([]))
    assert tree.css_first("h1").text() == "No web source is cited yet."
    assert "Nothing: no source is dead" in tree.css_first("main").text()


def test_a_long_section_is_cut_and_says_so(monkeypatch):
    monkeypatch.setattr(as_html, "ROWS_PER_SECTION", 2)
    rows = [a_row(verdict="failing", link_id=number) for number in range(5)]
    tree = page(a_report(rows))
    assert len(tree.css(".citations li")) == 2
    assert "Failing (5)" in tree.css_first("main").text()
    assert "And 3 more" in tree.css_first("main").text()


def test_too_many_healthy_citations_are_left_to_csv(monkeypatch):
    monkeypatch.setattr(as_html, "QUIET_ROWS", 3)
    rows = [a_row(link_id=number) for number in range(4)]
    tree = page(a_report(rows))
    assert not tree.css(".citations li")
    assert "All other citations (4)" in tree.css_first("main").text()


CHECK = SimpleNamespace(host_delay=timedelta(seconds=5), strong_days=3, weak_days=30)


def sweep(hours: float, unchecked: int = 0, queue: int = 0, links: int = 100) -> Any:
    return first_sweep(
        started_at=NOW - timedelta(hours=hours),
        now=NOW,
        links=links,
        unchecked=unchecked,
        longest_queue=queue,
        check=CHECK,
        verify_after=timedelta(hours=26),
    )


@pytest.mark.parametrize("format_name", ["html", "md"])
def test_the_first_days_say_when_the_sweep_ends_and_verdicts_are_firm(format_name):
    text = made(format_name, a_report(VERDICT_ROWS, first_sweep=sweep(3, 40, 600)))
    assert "These are the first days" in text
    assert "60 of 100 links have been looked at so far" in text
    assert "about 2026-11-24 16:10 UTC" in text
    assert "Nothing is called dead before 2026-11-27 12:00 UTC" in text
    assert "firm from 2026-11-27 22:10 UTC" in text


@pytest.mark.parametrize("format_name", ["html", "md"])
def test_what_no_archive_has_is_said_of_archives_that_are_named(format_name):
    asked = ("web.archive.org", "timetravel.example")
    text = made(format_name, a_report(VERDICT_ROWS, archives_asked=asked))
    assert "Archives asked: web.archive.org, timetravel.example." in text
    text = made(format_name, a_report(VERDICT_ROWS, archives_asked=()))
    assert "No archive is asked" in text
    assert "Archives asked" not in text


def test_without_links_there_is_no_first_sweep_and_one_link_is_one():
    assert sweep(0, links=0) is None
    text = made("md", a_report([a_row()], first_sweep=sweep(3, links=1)))
    assert "The first sweep is over, with 1 link looked at." in text


def test_the_first_days_end_when_strong_verdicts_can_be_firm():
    assert sweep(77.5) is not None
    assert sweep(78) is None
    assert sweep(300, unchecked=4) is None
    assert sweep(300, unchecked=60, queue=60) is not None


def test_hosts_are_sorted_by_dead_links_and_the_tail_is_summed():
    hosts = [HOST | {"host": f"h{number}.example", "dead": number} for number in range(20)]
    bars = host_bars(hosts, top=3)
    assert [bar.name for bar in bars] == [
        *("h19.example", "h18.example", "h17.example", "other (17 hosts)")
    ]
    assert bars[-1].numbers["dead"] == sum(range(17))


def test_years_with_few_sources_are_joined_with_their_neighbours():
    empty = dict.fromkeys(verdict.value for verdict in Verdict)
    sizes = {1999: 4, 2003: 7, 2004: 12, 2005: 10, 2006: 3, None: 2}
    rows = [
        {"year": year, "citations": size, "archived": 0, **dict.fromkeys(empty, 0), "ok": size}
        for year, size in sizes.items()
    ]
    pooled = [(row["year"], row["citations"]) for row in pooled_years(rows)]
    assert pooled == [("1999–2003", 11), ("2004", 12), ("2005–2006", 13), ("no date", 2)]


@given(st.fixed_dictionaries({verdict.value: st.integers(0, 100_000) for verdict in Verdict}))
def test_a_stacked_bar_is_full_ordered_and_shows_every_part(numbers):
    segments = stacked(numbers)
    assert [part.number for part in segments if part.number] == [part.number for part in segments]
    if segments:
        assert sum(part.length for part in segments) == pytest.approx(100, abs=0.1)
        assert min(part.length for part in segments) > 0.4


def contrast(first: str, second: str) -> float:
    """Return the contrast ratio of two colours as WCAG 2.2 defines it."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_colours_have_the_contrast_that_wcag_asks_for():
    folder = Path(archiver.reporting.__file__).parent
    style = (folder / "templates" / "report.css").read_text("utf-8")
    light, dark = style.split("prefers-color-scheme: dark")
    for text in (light.split("@media")[0], dark.split("* { box-sizing")[0]):
        colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", text))
        for verdict in Verdict:
            assert contrast(colours[verdict.value], colours["page"]) >= 3
            assert contrast(colours[verdict.value], colours[f"on-{verdict.value}"]) >= 4.5
        for ground in ("page", "panel", "note"):
            assert contrast(colours["ink"], colours[ground]) >= 4.5
        for ground in ("page", "panel"):
            assert contrast(colours["soft"], colours[ground]) >= 4.5
            assert contrast(colours["link"], colours[ground]) >= 4.5


# --- Markdown ---------------------------------------------------------------------------------


def test_markdown_gives_each_citation_three_lines():
    text = made("md", a_report([a_row(verdict="dead", archive_claim="absent")]))
    start = text.index("- `events/")
    assert text[start:].split("\n")[:3] == [
        "- `events/2016-11-30--lighthouse-relit.md:12` **The old lighthouse shines again**"
        " (Harbour Post · 2016-11-30 · tier 1 · importance 7),"
        " [https&#58;//harbour.example/news/lighthouse]"
        "(<https://harbour.example/news/lighthouse>)  ",
        text[start:].split("\n")[1],
        "  **Next:** Add this line below the url: `archive_url: https://web.archive.org/web/"
        "20161201080000/https://harbour.example/news/lighthouse`",
    ]
    assert "[Capture of 2016-12-01](<https://web.archive.org/web/2016" in text


@settings(max_examples=200)
@given(st.text(alphabet="aZ09-._~:/?#[]@!$&'()*+,;=%\\|`<>\"^{}", max_size=40))
def test_a_link_leads_where_it_says(tail):
    url = f"https://a.example/{tail}"
    parser = MarkdownIt("commonmark")
    parser.normalizeLink = lambda written: written
    (token,) = [
        child
        for child in parser.parseInline(f"x {as_markdown.link('name', url)} y")[0].children or []
        if child.type == "link_open"
    ]
    marks = {"<": "%3C", ">": "%3E", "\\": "%5C", "|": "%7C", "`": "%60"}
    assert token.attrs["href"] == url.translate(str.maketrans(marks))


@given(st.text(max_size=40))
def test_a_code_span_holds_any_text(text):
    line = text.replace("\n", " ").replace("\r", " ").replace("\x00", "")
    tokens = MarkdownIt("commonmark").parseInline(f"a {as_markdown.code(line)} b")[0].children
    if line.strip():
        spans = [token.content for token in tokens or [] if token.type == "code_inline"]
        assert [span.strip() for span in spans] == [line.strip()]


@settings(max_examples=200)
@given(
    st.text(
        alphabet="\\`|<>[]()*_~!{}$^&@#:/.w-+=1 \nahtps\"'",
        max_size=40,
    )
)
def test_escaped_text_makes_no_markup(text):
    line = "x " + text.replace("\n", " ")
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(as_markdown.escape(line))
    kinds = {child.type for token in tokens for child in token.children or []}
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    assert kinds <= {"text", "text_special", "html_inline"}


# --- hostile input, in all formats -------------------------------------------------------------


def outline(tree: LexborHTMLParser) -> list[tuple[str, tuple[str, ...]]]:
    """Return every element with the names of its attributes, in order."""
    return [(node.tag, tuple(sorted(node.attributes))) for node in tree.css("*")]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_makes_no_element_and_no_attribute(text):
    harmless = outline(page(hostile_report("harmless")))
    tree = page(hostile_report(text))
    assert outline(tree) == harmless
    for link in tree.css("a"):
        assert str(link.attributes["href"]).startswith(("#", "http://", "https://"))


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_makes_no_cell_and_no_formula(text):
    rows = list(csv.reader(io.StringIO(made("csv", hostile_report(text)), newline="")))
    assert [len(row) for row in rows] == [len(STATUS_COLUMNS) + 1] * 8
    for row in rows[1:]:
        assert not [cell for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
        assert all(character.isprintable() for cell in row for character in cell)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_comes_back_from_json_exactly(text):
    written = made("json", hostile_report(text))
    assert written.isascii()
    report = json.loads(written)
    assert [row["source_title"] for row in report["rows"]] == [text] * 7
    assert f"javascript:{text}" in [row["cited_url"] for row in report["rows"]]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_makes_no_line_and_no_markup_in_markdown(text):
    harmless = made("md", hostile_report("harmless"))
    written = made("md", hostile_report(text))
    assert written.count("\n") == harmless.count("\n")
    parser = MarkdownIt("gfm-like", {"linkify": False})
    assert kinds(parser, written) == kinds(parser, harmless)
    outside_code = re.sub(r"`+[^`].*?`+", "", written)
    assert "@octocat" not in outside_code
    assert not re.search(r"(?<!&)#\d", outside_code)


def kinds(parser: MarkdownIt, text: str) -> list[str]:
    """Return the kinds of all Markdown tokens but plain text and invisible comments."""

    def walk() -> Iterator[str]:
        for token in parser.parse(text):
            yield token.type
            for child in token.children or []:
                if child.type not in ("text", "text_special") and child.content != "<!-- -->":
                    yield child.type

    return list(walk())


def test_a_report_says_how_the_dead_changed_since_the_last():
    now = a_report([a_row(verdict="dead", link_id=1), a_row(verdict="dead", link_id=2)])
    before = a_report([a_row(verdict="dead", link_id=1)])
    later = replace(now, previous=before.totals, previous_at=NOW - timedelta(days=7))
    for name in ("html", "md"):
        assert "1 more since the report of 2026-11-17." in made(name, later)
        assert "fewer" in made(name, replace(before, previous=now.totals))


def test_what_is_no_web_address_is_never_a_link():
    for url in ("javascript:alert(1)", "data:text/html,x", "http://a.example/\u202e", "//evil"):
        report = a_report([a_row(verdict="dead", cited_url=url, archive_url=None)])
        assert not page(report).css(".citations a")
        assert "](<" not in made("md", report)


# --- size -------------------------------------------------------------------------------------


@pytest.mark.parametrize("format_name", sorted(FORMATS))
def test_memory_stays_flat_however_many_rows_there_are(format_name, monkeypatch):
    monkeypatch.setattr(as_html, "ROWS_PER_SECTION", 100)
    monkeypatch.setattr(as_html, "QUIET_ROWS", 100)

    def rows(number: int) -> Iterator[dict[str, Any]]:
        for index in range(number):
            verdict = "dead" if index < number // 4 else "ok"
            yield a_row(link_id=index, verdict=verdict, line=index)

    def peak(number: int) -> int:
        counted = tally(rows(number))
        data = ReportData(NOW, totals(counted.counts), lambda: rows(number))
        tracemalloc.start()
        for _ in FORMATS[format_name].render(data):
            pass
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    peak(10)
    few, many = peak(1_200), peak(4_000)
    assert many < few * 1.2 + 200_000
