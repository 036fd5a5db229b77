"""What scans write: identities kept, removals guarded, history never lost."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from archiver.model import Event, Problem
from archiver.store import ScannedFile, Store
from tests.store.conftest import NOW
from tests.store.making import citation, event, scanned

FOUND = frozenset({"events/a.md"})


def cited(store: Store) -> list[str]:
    return [row["cited_url"] for row in store.queries.source_status()]


def test_two_spellings_of_one_address_share_one_link(store: Store) -> None:
    store.citations.replace_files([scanned("http://x.test/a", "HTTP://X.test:80/a#part")], NOW)
    rows = list(store.queries.source_status())
    assert len(rows) == 2
    assert rows[0]["link_id"] == rows[1]["link_id"]
    assert [row["cited_url"] for row in rows] == ["http://x.test/a", "HTTP://X.test:80/a#part"]


def test_a_citation_without_usable_url_has_no_link_and_no_verdict(store: Store) -> None:
    store.citations.replace_files([scanned("see the archive")], NOW)
    row = next(store.queries.source_status())
    assert (row["link_id"], row["verdict"], row["reason"], row["host"]) == (None,) * 4


def test_a_citation_that_moves_keeps_its_first_sight(store: Store) -> None:
    store.citations.replace_files([scanned("http://x.test/a")], NOW)
    later = NOW + timedelta(days=9)
    store.citations.replace_files([scanned("http://x.test/new", "http://x.test/a")], later)
    store.citations.settle_removals(FOUND, later)
    first_seen = {row["cited_url"]: row["first_seen_at"] for row in store.queries.source_status()}
    assert first_seen == {
        "http://x.test/a": "2026-11-24T12:00:00Z",
        "http://x.test/new": "2026-12-03T12:00:00Z",
    }


def test_a_few_removals_leave_the_views_but_not_the_history(store: Store) -> None:
    urls = [f"http://x.test/{number}" for number in range(10)]
    store.citations.replace_files([scanned(*urls)], NOW)
    store.citations.settle_removals(FOUND, NOW)
    store.citations.replace_files([scanned(*urls[1:])], NOW)
    removals = store.citations.settle_removals(FOUND, NOW)
    assert (removals.removed, removals.held_back) == (1, 0)
    assert cited(store) == urls[1:]
    gone = store.queries.link_by_url(urls[0])
    assert gone is not None
    assert gone["cited"] == 0


def test_a_half_finished_pull_removes_nothing_until_a_second_scan_agrees(store: Store) -> None:
    urls = [f"http://x.test/{number}" for number in range(10)]
    store.citations.replace_files([scanned(*urls)], NOW)
    store.citations.settle_removals(FOUND, NOW)

    store.citations.mark_missing_files(["events/a.md"], NOW)
    assert store.citations.settle_removals(frozenset(), NOW).held_back == 10
    soon = NOW + timedelta(minutes=9)
    store.citations.mark_missing_files(["events/a.md"], soon)
    assert store.citations.settle_removals(frozenset(), soon).removed == 0
    assert len(cited(store)) == 10

    later = NOW + timedelta(minutes=11)
    store.citations.mark_missing_files(["events/a.md"], later)
    assert store.citations.settle_removals(frozenset(), later).removed == 10
    assert cited(store) == []
    assert store.citations.known_files() == {}


def test_what_a_clock_that_was_ahead_missed_is_not_held_back_until_that_time(
    store: Store,
) -> None:
    store.citations.replace_files([scanned("http://x.test/a")], NOW)
    ahead = NOW + timedelta(days=365)
    store.citations.mark_missing_files(["events/a.md"], ahead)
    assert store.citations.settle_removals(frozenset(), ahead).held_back == 1
    assert store.citations.settle_removals(frozenset(), NOW).held_back == 1
    assert store.citations.settle_removals(frozenset(), NOW + timedelta(minutes=11)).removed == 1


def test_a_file_that_comes_back_after_a_pull_lost_nothing(store: Store) -> None:
    file = scanned(*[f"http://x.test/{number}" for number in range(10)])
    store.citations.replace_files([file], NOW)
    store.citations.mark_missing_files(["events/a.md"], NOW)
    store.citations.settle_removals(frozenset(), NOW)
    later = NOW + timedelta(minutes=20)
    store.citations.replace_files([file], later)
    removals = store.citations.settle_removals(FOUND, later)
    assert (removals.removed, removals.held_back) == (0, 0)
    assert {row["first_seen_at"] for row in store.queries.source_status()} == {
        "2026-11-24T12:00:00Z"
    }


def test_accepted_removals_happen_at_once(store: Store) -> None:
    store.citations.replace_files([scanned("http://x.test/a")], NOW)
    store.citations.mark_missing_files(["events/a.md"], NOW)
    assert store.citations.settle_removals(frozenset(), NOW, accept=True).removed == 1


def test_a_changed_claim_is_unchecked_again_and_an_unchanged_one_stays(store: Store) -> None:
    wayback = "https://web.archive.org/web/20200101000000/http://x.test/a"
    file = scanned("http://x.test/a")
    claimed = [citation("http://x.test/a", archive_url=wayback)]
    with_claim = type(file)(file.path, file.stamp, file.events, claimed, [])
    store.citations.replace_files([with_claim], NOW)
    store.database.execute("UPDATE citations SET archive_claim = 'confirmed'")
    store.citations.replace_files([with_claim], NOW)
    assert next(store.queries.source_status())["archive_claim"] == "confirmed"
    store.citations.replace_files([file], NOW)
    assert next(store.queries.source_status())["archive_claim"] == "absent"


def test_the_worst_problem_of_a_citation_stands_in_its_row(store: Store) -> None:
    file = scanned("http://x.test/a")
    problems = [
        Problem("events/a.md", 6, 1, name, "Mend it.", "sources", 1)
        for name in ("missing-date", "duplicate-source")
    ]
    store.citations.replace_files([type(file)(*file_parts(file), problems)], NOW)
    assert next(store.queries.source_status())["problem"] == "duplicate-source"


def file_parts(file: object) -> tuple[object, ...]:
    return tuple(getattr(file, name) for name in ("path", "stamp", "events", "citations"))


def test_events_that_share_an_id_are_returned_for_the_cross_file_check(store: Store) -> None:
    for path in ("events/a.md", "events/b.md"):
        file = scanned("http://x.test/a", path=path)
        store.citations.replace_files(
            [type(file)(path, file.stamp, [event(path, "same")], file.citations, [])], NOW
        )
    assert store.citations.events() == [
        Event("events/a.md", 1, "same", "2016-11-30", "An event", 8),
        Event("events/b.md", 1, "same", "2016-11-30", "An event", 8),
    ]


def inherited(store: Store) -> list[tuple[Any, ...]]:
    """Return of every link whether a citation holds it, and the best of what these say."""
    return [
        tuple(row)
        for row in store.database.rows(
            "SELECT l.url, count(c.id) > 0, min(c.tier), max(c.importance) FROM links l"
            " LEFT JOIN citations c ON c.link_id = l.id AND c.gone_at IS NULL"
            " GROUP BY l.id ORDER BY l.url"
        )
    ]


def kept(store: Store) -> list[tuple[Any, ...]]:
    """Return the same as the links themselves have it; what nobody cites keeps what it had."""
    return [
        (row["url"], row["cited"], *((row["best_tier"], row["importance"]) if row["cited"] else ()))
        for row in store.database.rows("SELECT * FROM links ORDER BY url")
    ]


def tiered(number: int, path: str, pages: list[tuple[int, int]]) -> ScannedFile:
    """Return a file that cites pages, each with a tier."""
    citations = [
        replace(citation(f"http://x.test/{page}", path, place), tier=tier)
        for place, (page, tier) in enumerate(pages, 1)
    ]
    return ScannedFile(path, (number, 2, 3), [], citations, [])


_FILES = st.dictionaries(
    st.sampled_from(["events/a.md", "events/b.md", "events/c.md"]),
    st.lists(st.tuples(st.integers(0, 4), st.integers(1, 3)), max_size=4),
)


@given(st.lists(st.tuples(_FILES, st.booleans()), min_size=1, max_size=5))
def test_a_link_has_what_its_citations_say_even_when_a_scan_is_cut_short(
    scans: list[tuple[dict[str, list[tuple[int, int]]], bool]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(Path(folder) / "archiver.db")
        citations = store.citations
        for number, (files, comes_to_its_end) in enumerate(scans):
            now = NOW + number * timedelta(hours=1)
            citations.replace_files([tiered(number, *file) for file in files.items()], now)
            if comes_to_its_end:
                citations.mark_missing_files(citations.known_files().keys() - files.keys(), now)
                citations.settle_removals(frozenset(files), now, accept=True)
            assert kept(store) == [row if row[1] else row[:2] for row in inherited(store)]
        store.close()
