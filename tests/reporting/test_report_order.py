"""What to mend first: the rank of a row, and the database sorting as the rank does."""

from __future__ import annotations

import sqlite3

from hypothesis import given, settings
from hypothesis import strategies as st
from report_samples import a_row, no_capture

from archiver.model import Claim, Verdict
from archiver.reporting.report import (
    MENDING_ORDER,
    MendingGroup,
    has_good_claim,
    mending_group,
    mending_rank,
)

CAPTURE = "https://web.archive.org/web/20161201080000/https://harbour.example/"


def test_the_order_is_dead_without_capture_then_not_in_file_failing_blocked_rest():
    rows = [
        a_row(verdict="ok"),
        a_row(verdict="blocked"),
        a_row(verdict="failing"),
        a_row(verdict="dead"),
        no_capture(verdict="dead"),
    ]
    order = [(row["verdict"], bool(row["archive_url"])) for row in sorted(rows, key=mending_rank)]
    assert order == [
        ("dead", False),
        ("dead", True),
        ("failing", True),
        ("blocked", True),
        ("ok", True),
    ]


def test_within_a_group_tier_one_comes_first_and_an_unknown_tier_last():
    tiers = [None, 3, "primary", 1, 2]
    rows = [a_row(verdict="failing", tier=tier, path=f"events/{tier}.md") for tier in tiers]
    assert [row["tier"] for row in sorted(rows, key=mending_rank)] == [1, 2, 3, None, "primary"]


def test_within_a_tier_the_highest_importance_comes_first_then_path_and_line():
    rows = [
        a_row(importance=None),
        a_row(importance=2, path="b.md"),
        a_row(importance=9),
        a_row(importance=2, path="a.md", line=30),
        a_row(importance=2, path="a.md", line=4),
    ]
    order = [
        (row["importance"], row["path"], row["line"]) for row in sorted(rows, key=mending_rank)
    ]
    assert [entry[0] for entry in order] == [9, 2, 2, 2, None]
    assert [entry[1:] for entry in order[1:4]] == [("a.md", 4), ("a.md", 30), ("b.md", 4 + 8)]


def test_a_dead_source_whose_file_names_a_working_capture_is_mended():
    row = a_row(verdict="dead", archive_url_in_file=CAPTURE, archive_claim="confirmed")
    assert mending_group(row) is MendingGroup.REST


def test_a_dead_source_whose_claim_leads_nowhere_is_still_to_mend():
    row = a_row(verdict="dead", archive_url_in_file=CAPTURE, archive_claim="missing")
    assert mending_group(row) is MendingGroup.DEAD_NOT_IN_FILE


def test_another_archive_in_the_file_is_a_persons_choice():
    row = no_capture(
        verdict="dead",
        archive_url_in_file="https://perma.cc/ABCD-1234",
        archive_claim="other-archive",
    )
    assert mending_group(row) is MendingGroup.REST


def test_an_unchecked_claim_counts_only_when_a_capture_is_known():
    written = {"archive_url_in_file": CAPTURE, "archive_claim": "unchecked"}
    assert has_good_claim(a_row(**written))
    assert not has_good_claim(no_capture(**written))


scales = st.one_of(st.none(), st.integers(-3, 12), st.sampled_from(["", "1", "high"]))
citations = st.fixed_dictionaries(
    {
        "verdict": st.sampled_from([None, *(verdict.value for verdict in Verdict)]),
        "tier": scales,
        "importance": scales,
        "path": st.sampled_from(["a.md", "B.md", "é.md", "z/1.md"]),
        "line": st.integers(1, 9),
        "archive_url": st.sampled_from([None, CAPTURE]),
        "archive_url_in_file": st.sampled_from([None, "", CAPTURE, "https://perma.cc/A"]),
        "archive_claim": st.sampled_from([None, *(claim.value for claim in Claim)]),
    }
)


@settings(max_examples=150)
@given(st.lists(citations, max_size=12))
def test_the_database_sorts_exactly_as_the_rank_does(columns):
    database = sqlite3.connect(":memory:")
    # As in the view, tier and importance keep the type they were written with.
    database.execute(
        "CREATE TABLE source_status (number, verdict, tier, importance, path, line, archive_url,"
        " archive_url_in_file, archive_claim)"
    )
    for number, row in enumerate(columns):
        database.execute(
            "INSERT INTO source_status VALUES (:number, :verdict, :tier, :importance, :path, :line,"
            " :archive_url, :archive_url_in_file, :archive_claim)",
            {"number": number, **row},
        )
    query = f"SELECT number FROM source_status ORDER BY {MENDING_ORDER}, number"
    by_database = [number for (number,) in database.execute(query)]
    database.close()
    by_rank = sorted(range(len(columns)), key=lambda number: mending_rank(columns[number]))
    assert by_database == by_rank
