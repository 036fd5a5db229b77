"""What is wrong with a citation: each rule, its line, and what it tells a person to do."""

from __future__ import annotations

import pytest

from archiver.events.read import ReadFile
from archiver.model import PROBLEM_LEVELS, Level, Problem
from tests.events.reading import markdown, names, source

CLAIM = "https://web.archive.org/web/"


def only(file: ReadFile) -> Problem:
    """Return the one problem there is."""
    [problem] = file.problems
    return problem


@pytest.mark.parametrize(
    ("url", "name"),
    [
        *(("''", "missing-url"), ("null", "missing-url"), ("", "missing-url")),
        *(("N/A", "not-a-url"), ("see the book", "not-a-url"), ("'https://'", "not-a-url")),
        *(("'http:// x.org'", "not-a-url"), ("'https://a..b/'", "not-a-url")),
        *(("ftp://example.org/", "unsupported-scheme"), ("'doi:10.1/x'", "unsupported-scheme")),
        ("https://user:secret@example.org/", "credentials-in-url"),
    ],
)
def test_a_string_that_is_no_usable_url_has_no_link(url: str, name: str) -> None:
    file = source(url=url)
    problem = only(file)
    assert (problem.name, problem.line, problem.position) == (name, 5, 1)
    assert problem.level is Level.ERROR
    [citation] = file.citations
    assert citation.link is citation.wire is citation.host is None
    assert "secret" not in problem.message


def test_a_source_without_a_url_is_reported_at_its_own_line() -> None:
    file = markdown("sources:\n- title: One\n  date: 2016\n")
    assert [(p.name, p.line, p.position) for p in file.problems] == [("missing-url", 3, 1)]
    assert [(c.line, c.cited_url, c.link) for c in file.citations] == [(3, "", None)]


@pytest.mark.parametrize(
    ("url", "name", "told"),
    [
        ("https://example.org/ä b", "unencoded-characters", "write https://example.org/%C3%A4%20b"),
        ("https://example.org/?X-Amz-Signature=1", "expiring-url", "lasting address"),
        ("https://example.org/?utm_source=x&a=b", "tracking-parameters", "(utm_source)"),
        (CLAIM + "20200102030405/http://example.org/x", "is-archive-url", "http://example.org/x"),
        ("https://perma.cc/ABCD-1234", "is-archive-url", "original page"),
    ],
)
def test_a_usable_url_may_have_something_to_say_of_it(url: str, name: str, told: str) -> None:
    file = source(url=f"'{url}'")
    problem = only(file)
    assert problem.name == name
    assert told in problem.message
    assert file.citations[0].link is not None


def test_a_known_mending_is_proposed() -> None:
    for url in ("hxxps://example.org/a", "'Example: https://example.org/a'", "example.org/a"):
        assert "https://example.org/a" in only(source(url=url)).message


@pytest.mark.parametrize(
    "time", ["T24:00:00Z", " 10:00:00 UTC", " 10:00 -5", "T10:00:00+25:00", " 9:00"]
)
def test_of_a_date_with_an_odd_time_the_day_is_proposed(time: str) -> None:
    assert "Write 2016-11-30." in only(source(date=f"'2016-11-30{time}'")).message


def test_an_address_literal_is_no_problem_here() -> None:
    for url in ("http://127.0.0.1/", "http://0x7f.1/", "'http://[::1]/'", "http://2130706433/"):
        file = source(url=url)
        assert file.problems == ()
        assert file.citations[0].link is not None


def test_the_same_page_twice_in_an_event_is_reported_at_the_second_entry_only() -> None:
    file = markdown(
        "sources: [https://example.org/a, 'HTTPS://Example.org:443/a#part']\n"
        "citations:\n- https://example.org/A\n- url: https://example.org/%61\n"
    )
    repeated = [(p.line, p.position) for p in file.problems if p.name == "duplicate-source"]
    assert repeated == [(2, 2), (5, 2)]


def test_the_same_page_in_two_events_is_no_duplicate() -> None:
    file = markdown("sources:\n- https://example.org/a\n")
    assert names(file) == []


def test_the_notes_say_what_a_source_lacks() -> None:
    file = markdown("sources:\n- url: https://example.org/a\n")
    assert [(p.name, p.level) for p in file.problems] == [
        ("missing-title", Level.NOTE),
        ("missing-date", Level.NOTE),
    ]


@pytest.mark.parametrize(
    ("claim", "problems"),
    [
        (CLAIM + "20200102030405/https://example.org/a", []),
        (CLAIM + "20200102030405/http://www.example.org:80/a", []),
        (CLAIM + "20200102030405id_/example.org/a", []),
        (CLAIM + "2020/https://example.org/a", []),
        ("https://archive.ph/AbCdE", []),
        ("https://archive.ph/20200102030405/https://example.org/a", []),
        ("https://perma.cc/ABCD-1234", []),
        ("https://swap.example.edu/20200102030405/https://example.org/a", []),
        (CLAIM + "20200102000000/https://example.org/a", ["invented-timestamp"]),
        (CLAIM + "20200102030405/https://example.org/b", ["archive-url-mismatch"]),
        (CLAIM + "20200102030405/https://example.org/A", ["archive-url-mismatch"]),
        (CLAIM + "20200102030405/https://example.org/", ["archive-url-mismatch"]),
        ("https://archive.ph/20200102030405/https://example.org/b", ["archive-url-mismatch"]),
        (CLAIM + "*/https://example.org/a", ["archive-url-mismatch"]),
        (CLAIM + "2020*/https://example.org/a", ["archive-url-mismatch"]),
        (
            CLAIM + "20200102000000*/https://example.org/a",
            ["archive-url-mismatch", "invented-timestamp"],
        ),
        (CLAIM + "https://example.org/a", ["archive-url-mismatch"]),
        (CLAIM + "20209902030405/https://example.org/a", ["archive-url-mismatch"]),
        ("https://web.archive.org/save/https://example.org/a", ["archive-url-mismatch"]),
        ("https://example.org/a", ["archive-url-mismatch"]),
        ("pending", ["archive-url-mismatch"]),
    ],
)
def test_a_claim_is_judged_as_far_as_reading_goes(claim: str, problems: list[str]) -> None:
    file = source(archive_url=f"'{claim}'")
    assert names(file) == problems
    assert all((p.line, p.position) == (8, 1) for p in file.problems)
    assert file.citations[0].archive_url == claim


def test_a_claim_beside_an_archive_link_may_be_of_the_page_inside() -> None:
    cited = CLAIM + "20200102030405/https://example.org/a"
    file = source(url=cited, archive_url=cited)
    assert names(file) == ["is-archive-url"]


@pytest.mark.parametrize(
    ("written", "cited"),
    [
        ("sources: https://example.org/a\n", ["https://example.org/a"]),
        ("sources: {url: https://example.org/a}\n", ["https://example.org/a"]),
        (
            "sources:\n- [https://example.org/a]\n- https://example.org/b\n",
            ["https://example.org/b"],
        ),
        ("sources:\n- url: [https://example.org/a]\n", [""]),
        ("sources:\n- url: https://example.org/a\n  title: [x]\n", ["https://example.org/a"]),
        ("sources:\n- url: https://example.org/a\n  date: {x: y}\n", ["https://example.org/a"]),
        ("title: [x]\nsources:\n- https://example.org/a\n", ["https://example.org/a"]),
    ],
)
def test_a_wrong_shape_costs_no_more_than_itself(written: str, cited: list[str]) -> None:
    file = markdown(written)
    assert names(file) == ["bad-shape"]
    assert [citation.cited_url for citation in file.citations] == cited


def test_an_absent_or_empty_list_of_sources_is_no_problem() -> None:
    for written in ("id: x\n", "id: x\nsources:\n", "id: x\nsources: []\ncitations: null\n"):
        assert markdown(written).problems == ()


def test_other_keys_than_the_configured_ones_are_not_read() -> None:
    assert markdown("references:\n- https://example.org/a\n").citations == ()


def test_every_name_in_use_has_a_level_and_every_message_is_one_shown_sentence() -> None:
    hostile = "\u202e\x1b[31mevil\n::error::"
    file = source(
        url=f'"https://example.org/{hostile.encode("unicode_escape").decode()}"',
        date='"\\u202e\\e[31m"',
        archive_url='"https://x\\u202e/"',
        title="[\x07]",
    )
    assert len(file.problems) >= 4
    for problem in file.problems:
        assert problem.name in PROBLEM_LEVELS
        assert problem.message.isprintable()
        assert len(problem.message) <= 300
