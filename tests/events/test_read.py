"""Reading events: shapes, dates, and the line of everything."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from archiver.events.read import ReadFile, cross_file_problems, read_text
from archiver.model import Level
from tests.events.reading import GOOD, KEYS, markdown, names, source

FULL = """\
id: 2016-11-30--something
date: 2016-11-30
title: Something happened
importance: 8
sources:
  - url: https://example.org/one
    title: One
    publisher: Example
    date: 2016-11
    tier: 1
    access_date: 2020-01-02
    archive_url: https://web.archive.org/web/20200102030405/https://example.org/one
  - title: Two
    outlet: Other
    date: '2016'
    url:   "https://example.org/two"
citations:
  - https://example.org/three
"""


def lines_of(file: ReadFile) -> list[int]:
    return [citation.line for citation in file.citations]


def test_libyaml_is_there_since_without_it_reading_is_six_times_slower() -> None:
    assert yaml.__with_libyaml__
    assert yaml.CSafeLoader.__mro__[1].__name__ == "CParser"


def test_a_markdown_event_is_read_whole() -> None:
    file = markdown(FULL)
    [event] = file.events
    assert (event.event_id, event.date) == ("2016-11-30--something", "2016-11-30")
    assert (event.title, event.importance, event.line) == ("Something happened", 8, 2)
    one, two, three = file.citations
    assert (one.path, one.line, one.position, one.source_key) == ("events/a.md", 7, 1, "sources")
    assert (one.cited_url, one.link) == ("https://example.org/one", "https://example.org/one")
    assert (one.title, one.publisher, one.tier) == ("One", "Example", 1)
    assert (one.date, one.access_date) == ("2016-11", "2020-01-02")
    assert one.archive_url == ("https://web.archive.org/web/20200102030405/https://example.org/one")
    assert (two.line, two.position, two.publisher, two.date) == (17, 2, "Other", "2016")
    assert (three.line, three.position, three.source_key) == (19, 1, "citations")
    assert (three.title, three.date, three.event) == (None, None, event)
    assert [(p.name, p.line, p.position) for p in file.problems] == [
        ("missing-title", 19, 1),
        ("missing-date", 19, 1),
    ]


@pytest.mark.parametrize("key", ["publisher", "outlet", "publication"])
def test_the_publisher_goes_by_three_names(key: str) -> None:
    [citation] = source(**{key: "Example"}).citations
    assert citation.publisher == "Example"


@pytest.mark.parametrize(
    "key",
    [
        *("access_date", "accessed_date", "date_accessed", "accessed"),
        *("retrieved", "retrieved_date", "retrieval_date"),
    ],
)
def test_the_access_date_goes_by_seven_names(key: str) -> None:
    [citation] = source(**{key: "2020-05"}).citations
    assert citation.access_date == "2020-05"


@pytest.mark.parametrize(
    ("written", "text"),
    [
        *(("2016", "2016"), ("'2016'", "2016"), ("2016-11", "2016-11")),
        *(("2016-11-30", "2016-11-30"), ('"2016-11-30"', "2016-11-30")),
        *(("1142", "1142"), ("2016-02-29", "2016-02-29")),
        ("2016-11-30T10:00:00Z", "2016-11-30T10:00:00Z"),
        ("2016-11-30 10:00:00", "2016-11-30 10:00:00"),
    ],
)
def test_dates_stay_as_written(written: str, text: str) -> None:
    file = source(date=written)
    assert file.citations[0].date == text
    assert names(file) == []


@pytest.mark.parametrize(
    ("written", "proposal"),
    [
        *(("2016-11-31", None), ("2016-13", None), ("2016-02-30", None), ("0000", None)),
        *(("2015-02-29", None), ("circa 1998", None), ("2025-02-xx", None), ("20", None)),
        *(("2016-11-30T99:00:00", None), ("03/04/2016", None), ("\u0662\u0660\u0661\u0666", None)),
        *(("2016-1-5", "2016-01-05"), ("November 30, 2016", "2016-11-30")),
        *(
            ("30 November 2016", "2016-11-30"),
            ("Nov 2016", "2016-11"),
            ("2016/11/30", "2016-11-30"),
        ),
        ("1" * 400, None),
    ],
)
def test_a_bad_date_costs_that_date_only(written: str, proposal: str | None) -> None:
    file = source(date=written)
    assert names(file) == ["bad-date"]
    [problem] = file.problems
    assert (problem.line, problem.position, problem.level) == (7, 1, Level.WARNING)
    assert f"Write {proposal or 'YYYY-MM-DD'}" in problem.message
    [citation] = file.citations
    assert citation.date is None
    assert citation.link == "https://example.org/a"


@pytest.mark.parametrize("empty", ["", "null", "~", "''", "' '"])
def test_an_empty_value_is_an_absent_one(empty: str) -> None:
    file = source(title=empty, date=empty, archive_url=empty, access_date=empty)
    [citation] = file.citations
    assert citation.title is citation.date is citation.archive_url is None
    assert [problem.name for problem in file.problems] == ["missing-title", "missing-date"]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        *(("1", 1), ("-3", -3), ("'1'", "1"), ("high", "high"), ("1.5", "1.5"), ("", None)),
        *(("0o17", "0o17"), ("01", "01"), ("1_000", "1_000"), ("9" * 30, "9" * 30)),
    ],
)
def test_a_tier_is_an_integer_when_written_so_else_text(written: str, value: object) -> None:
    [citation] = source(tier=written).citations
    assert citation.tier == value


def test_an_integer_of_5000_digits_is_a_problem_and_costs_itself_only() -> None:
    digits = "9" * 5000
    for file in (
        markdown(f"id: x\nimportance: {digits}\nsources:\n- https://example.org/\n"),
        read_text("e.json", f'{{"id":"x","importance":{digits},"sources":["http://a.b"]}}', KEYS),
    ):
        assert names(file) == ["bad-shape"]
        assert file.events[0].importance is None
        assert len(file.citations) == 1


def test_outer_white_space_of_a_url_is_not_cited() -> None:
    [citation] = source(url='"  https://example.org/a b\t "').citations
    assert citation.cited_url == "https://example.org/a b"
    assert citation.wire == "https://example.org/a%20b"


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_lines_are_counted_as_editors_do(ends: str) -> None:
    text = f"---\n{FULL}---\nProse.\n".replace("\n", ends)
    assert lines_of(read_text("a.md", text, KEYS)) == [7, 17, 19]


def test_a_byte_order_mark_or_leading_blank_lines_shift_no_line() -> None:
    text = "\n \n---\nid: x\nsources:\n- https://example.org/\n---\n"
    file = read_text("a.md", text, KEYS)
    assert lines_of(file) == [6]
    assert names(file) == []


@pytest.mark.parametrize("odd", ["\u2028", "\u2029", "\x85"])
def test_line_separators_that_no_editor_counts_shift_no_line(odd: str) -> None:
    file = markdown(f'title: "a{odd}b{odd}c"\nsources:\n- https://example.org/\n')
    assert lines_of(file) == [4]


def test_folded_titles_and_block_scalars_keep_the_lines_right() -> None:
    file = markdown(
        "title: A long title\n  that goes on\nsources:\n- title: 'Another\n\n    one'\n"
        "  url: >-\n    https://example.org/x\n- url:\n    https://example.org/y\n"
    )
    assert [citation.title for citation in file.citations] == ["Another\none", None]
    assert [citation.cited_url for citation in file.citations] == [
        "https://example.org/x",
        "https://example.org/y",
    ]
    assert lines_of(file) == [8, 11]


def test_front_matter_ends_at_its_line_of_dashes_only() -> None:
    text = "---\nid: x\nnote: a --- b\nsources:\n- http://a.b\n---\n\nMore\n\n---\n- http://c.d\n"
    assert lines_of(read_text("a.md", text, KEYS)) == [5]


def test_markdown_without_front_matter_is_no_event_and_a_note() -> None:
    for text in ("", "Hello", "# A title\n\n---\n\nid: x\n"):
        file = read_text("a.md", text, KEYS)
        assert [(p.name, p.line, p.level) for p in file.problems] == [
            ("no-front-matter", 1, Level.NOTE)
        ]
        assert file.events == ()


def test_front_matter_that_never_closes_is_a_problem_and_still_read() -> None:
    text = "---\nid: x\nsources:\n- url: http://a.b\n  title: T\nstatus: ok\n\nProse: and: more\n"
    file = read_text("a.md", text, KEYS)
    assert [(p.name, p.line) for p in file.problems if p.name != "missing-date"] == [
        ("yaml-error", 1)
    ]
    assert "never closes" in file.problems[0].message
    assert lines_of(file) == [4]


@pytest.mark.parametrize("inner", ["", "- a\n- b\n", "just text\n", "# only a comment\n"])
def test_front_matter_that_is_no_mapping_is_a_problem(inner: str) -> None:
    assert names(markdown(inner)) == ["bad-shape"]


def test_what_stands_before_a_syntax_error_is_read() -> None:
    file = markdown(
        "id: x\nsources:\n- url: http://a.b\n  title: T\n  date: 2016\n"
        "- url: http://c.d\n  title: Foo: bar\n- url: http://e.f\n"
    )
    assert names(file) == ["yaml-error"]
    assert file.problems[0].line == 8
    assert [citation.cited_url for citation in file.citations] == ["http://a.b", "http://c.d"]
    # Nothing is missing from an entry that was merely cut off.
    assert len(file.problems) == 1


def test_half_a_url_before_a_syntax_error_is_not_taken_for_a_whole_one() -> None:
    file = markdown("sources:\n- url: http://a.b/first\n- url: http://c.d/x y: z\n")
    assert [citation.cited_url for citation in file.citations] == ["http://a.b/first"]


def test_an_unprintable_character_is_a_problem_and_the_rest_is_read() -> None:
    file = markdown("title: a\x0bb\nsources:\n- http://a.b\n")
    assert names(file) == ["yaml-error"]
    assert file.problems[0].line == 2
    assert "U+000B" in file.problems[0].message
    assert lines_of(file) == [4]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.yaml", "id: x\nid: y\nsources:\n- http://a.b\n"),
        ("a.json", '{"id": "x",\n"id": "y", "sources":\n\n["http://a.b"]}'),
    ],
)
def test_a_duplicate_key_is_a_problem_and_the_last_one_counts(path: str, text: str) -> None:
    file = read_text(path, text, KEYS)
    assert names(file) == ["bad-shape"]
    assert file.problems[0].line == 2
    assert file.events[0].event_id == "y"
    assert lines_of(file) == [4]


def test_yaml_and_json_files_hold_one_event_or_a_list() -> None:
    one = {"id": "a", "sources": [GOOD]}
    two = [one, {"id": "b", "citations": [GOOD["url"], GOOD]}]
    for dump in (json.dumps, yaml.safe_dump):
        suffix = "json" if dump is json.dumps else "yml"
        [event] = read_text(f"a.{suffix}", dump(one), KEYS).events
        assert event.event_id == "a"
        file = read_text(f"a.{suffix}", dump(two), KEYS)
        assert [event.event_id for event in file.events] == ["a", "b"]
        assert [c.position for c in file.citations] == [1, 1, 2]
        assert names(file) == ["duplicate-source"]


def test_a_list_item_that_is_no_event_costs_itself_only() -> None:
    file = read_text("a.yaml", "- id: a\n- 5\n- [x]\n- id: b\n", KEYS)
    assert [event.event_id for event in file.events] == ["a", "b"]
    assert [(p.name, p.line) for p in file.problems] == [("bad-shape", 2), ("bad-shape", 3)]


def test_a_second_yaml_document_is_a_problem() -> None:
    file = read_text("a.yaml", "id: a\n---\nid: b\n", KEYS)
    assert [(p.name, p.line) for p in file.problems] == [("bad-shape", 2)]
    assert [event.event_id for event in file.events] == ["a"]


@pytest.mark.parametrize(
    ("text", "line", "cited"),
    [
        ('{"sources": [\n"http://a.b",\n]}', 2, 1),
        ('{"sources": [\n"http://a.b"\n"http://c.d"]}', 3, 1),
        ('{"sources": [\n"http://a.b"]\n', 2, 1),
        ('{"sources": ["http://a.b"]}\n x', 2, 1),
        ('{"sources": [{"url": "http://a.b"\n "title"}]}', 2, 1),
        ('{"sources": [\n"http://a.b', 2, 0),
        ("{'id': 1}", 1, 0),
        ("", 1, 0),
        ("tru", 1, 0),
        ('{"a": 01}', 1, 0),
        ('{"a": "\t"}', 1, 0),
        ('{"a": "\\x"}', 1, 0),
    ],
)
def test_broken_json_is_a_problem_with_its_line_and_read_up_to_there(
    text: str, line: int, cited: int
) -> None:
    file = read_text("a.json", text, KEYS)
    assert [(p.name, p.line) for p in file.problems if p.level is Level.ERROR] == [
        ("yaml-error", line)
    ]
    assert "Not valid JSON" in "".join(problem.message for problem in file.problems)
    assert len(file.citations) == cited


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_nan_in_json_is_a_problem_and_read_as_null(word: str) -> None:
    file = read_text("a.json", f'{{"importance":\n {word}, "sources": ["http://a.b"]}}', KEYS)
    assert names(file) == ["bad-shape"]
    assert next(p.line for p in file.problems if p.name == "bad-shape") == 2
    assert file.events[0].importance is None
    assert len(file.citations) == 1


def test_lone_surrogates_and_nul_never_reach_the_database() -> None:
    file = read_text("a.json", '{"id": "\\ud800x", "title": "a\\u0000b\\ud83d\\ude00"}', KEYS)
    assert file.events[0].event_id == "\ufffdx"
    assert file.events[0].title == "a\ufffdb\U0001f600"


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.text(min_size=1), JSON_VALUES), min_size=1, max_size=6),
    st.sampled_from([None, 0, 1, 2, "\t"]),
    st.booleans(),
)
def test_any_json_that_python_writes_is_read_with_the_line_of_every_url(
    entries: list[tuple[str, object]], indent: int | str | None, escaped: bool
) -> None:
    sources = [
        {"extra": extra, "url": f"http://a.b/{n}", "title": title}
        for n, (title, extra) in enumerate(entries)
    ]
    text = json.dumps({"id": "x", "sources": sources}, indent=indent, ensure_ascii=escaped)
    text = text.encode("utf-8", "replace").decode("utf-8")
    file = read_text("a.json", text, KEYS)
    assert [c.cited_url for c in file.citations] == [entry["url"] for entry in sources]
    lines = text.split("\n")
    for citation in file.citations:
        assert citation.cited_url in lines[citation.line - 1]
    assert "yaml-error" not in names(file)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.text(min_size=1), JSON_VALUES), min_size=1, max_size=5), st.booleans())
def test_any_yaml_that_pyyaml_writes_is_read_with_the_line_of_every_url(
    entries: list[tuple[str, object]], unicode: bool
) -> None:
    sources = [
        {"extra": extra, "url": f"http://a.b/{n}", "title": title}
        for n, (title, extra) in enumerate(entries)
    ]
    text = yaml.safe_dump({"id": "x", "sources": sources}, allow_unicode=unicode, sort_keys=False)
    file = read_text("a.yaml", text, KEYS)
    if len(text) > 100_000:
        return
    assert [c.cited_url for c in file.citations] == [entry["url"] for entry in sources]
    lines = text.split("\n")
    for citation in file.citations:
        assert citation.cited_url in lines[citation.line - 1]


def test_an_id_borne_twice_is_reported_at_the_later_file() -> None:
    early = read_text("events/a.json", '{"id": "x"}', KEYS)
    late = read_text("events/b.md", "---\nid: x\n---\n", KEYS)
    other = read_text("events/c.md", "---\nid: y\n---\n", KEYS)
    nameless = read_text("events/d.yaml", "- title: a\n- title: b\n", KEYS)
    events = [event for file in (nameless, other, late, early) for event in file.events]
    [problem] = cross_file_problems(events)
    assert (problem.path, problem.line, problem.position) == ("events/b.md", 2, None)
    assert (problem.name, problem.level) == ("duplicate-event-id", Level.ERROR)
    assert "events/a.json:1" in problem.message
