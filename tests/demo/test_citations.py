"""The rehearsal's event files and the repository's example events, read as the daemon reads."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from archiver.demo.citations import CLAIMS, write_events
from archiver.demo.hosts import SITES
from archiver.events.find import find_files
from archiver.events.lint import lint
from archiver.events.read import ReadFile, read_file
from archiver.model import Citation, Level

START = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("ARCHIVER_SHARED", ROOT / ".." / "shared"))
REKOGNITION = "2016-11-30--amazon-rekognition-facial-recognition-launched.md"
INCLUDE = ("**/*.md", "**/*.yaml", "**/*.json")


def read_folder(folder: Path) -> list[ReadFile]:
    found = find_files([("events", folder)], INCLUDE)
    return [read_file(file, ("sources", "citations")) for file in found]


@pytest.fixture
def rehearsal(tmp_path: Path) -> list[ReadFile]:
    write_events(tmp_path / "events", SITES, START)
    return read_folder(tmp_path / "events")


def by_url(files: list[ReadFile]) -> dict[str, Citation]:
    """Return the first citation of each URL, files in order of their names."""
    cited: dict[str, Citation] = {}
    for file in files:
        for citation in file.citations:
            cited.setdefault(citation.cited_url, citation)
    return cited


def test_every_site_is_cited_with_title_publisher_and_date(rehearsal: list[ReadFile]) -> None:
    cited = by_url(rehearsal)
    for site in SITES:
        citation = cited[site.url]
        assert citation.link == site.url
        assert citation.title == site.title
        assert citation.publisher == site.publisher
        assert citation.date
        assert citation.tier in (1, 2, 3)


def test_the_files_are_markdown_json_and_yaml(rehearsal: list[ReadFile]) -> None:
    suffixes = {Path(file.path).suffix for file in rehearsal if file.citations}
    assert suffixes == {".md", ".json", ".yaml"}


def test_dates_are_whole_and_partial_and_never_after_the_rehearsal(
    rehearsal: list[ReadFile],
) -> None:
    dates = [cited.date for cited in by_url(rehearsal).values() if cited.date]
    assert {len(date) for date in dates} >= {4, 7, 10}
    assert max(dates) < START.date().isoformat()


def test_claims_are_written_as_people_write_them(rehearsal: list[ReadFile]) -> None:
    claimed = {
        cited.host: cited.archive_url for cited in by_url(rehearsal).values() if cited.archive_url
    }
    for claim in CLAIMS:
        assert claim.host in claimed, claim.note
    assert "/*/" in claimed["soft-404-german.example"]


def test_some_citations_are_for_a_person_to_mend(rehearsal: list[ReadFile]) -> None:
    names = {problem.name for file in rehearsal for problem in file.problems}
    assert names >= {
        *("missing-url", "not-a-url", "unsupported-scheme", "credentials-in-url", "bad-date"),
        *("unencoded-characters", "duplicate-source", "archive-url-mismatch", "yaml-error"),
        *("invented-timestamp", "missing-title"),
    }


def test_the_example_events_have_nothing_to_mend() -> None:
    report = lint(read_folder(ROOT / "events"))
    assert report.files >= 5
    assert [problem for problem in report.problems if problem.level is not Level.NOTE] == []


def test_the_example_events_cite_at_least_eight_hosts() -> None:
    hosts = {cited.host for cited in by_url(read_folder(ROOT / "events")).values()}
    assert len(hosts) >= 8


def test_the_rekognition_event_agrees_with_the_seed_of_the_format() -> None:
    if not (SHARED / "corpus" / "seed").is_dir():
        pytest.skip("the shared corpus is not here")
    ours = [file for file in read_folder(ROOT / "events") if file.path.endswith(REKOGNITION)]
    (seed,) = read_folder(SHARED / "corpus" / "seed")
    assert len(ours) == 1
    mine, theirs = ours[0], seed
    assert [event.event_id for event in mine.events] == [event.event_id for event in theirs.events]
    assert mine.events[0].date == theirs.events[0].date
    assert mine.events[0].importance == theirs.events[0].importance
    for own, other in zip(mine.citations, theirs.citations, strict=True):
        assert (own.cited_url, own.title, own.publisher, own.date, own.tier) == (
            *(other.cited_url, other.title, other.publisher, other.date, other.tier),
        )
    text = (ROOT / "events" / REKOGNITION).read_text()
    seed_text = (SHARED / "corpus" / "seed" / REKOGNITION).read_text()
    for key in ("actors:", "tags:"):
        block = seed_text[seed_text.index(key) :].split("\n")
        lines = [block[0], *[line for line in block[1:12] if line.startswith("  - ")]]
        assert all(line in text for line in lines)
