"""The figures of a report: worked examples of reference linkrot §2.1, and laws about them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_samples import a_row, no_capture

from archiver.model import Verdict
from archiver.reporting.measures import (
    Counts,
    among_decided,
    bounds,
    percent,
    proven,
    totals,
    wilson,
)
from archiver.reporting.tally import tally, year_of

WORKED = {"ok": 749, "moved": 63, "blocked": 85, "failing": 11, "dead": 72, "unchecked": 20}


@pytest.mark.parametrize(
    ("hits", "number", "low", "high"),
    [
        (0, 10, 0.0000, 0.2775),
        (1, 10, 0.0179, 0.4042),
        (5, 10, 0.2366, 0.7634),
        (3, 12, 0.0889, 0.5323),
        (9, 40, 0.1232, 0.3750),
        (25, 100, 0.1755, 0.3430),
        (72, 1000, 0.0576, 0.0897),
        (10, 10, 0.7225, 1.0000),
        (0, 1, 0.0000, 0.7935),
        (1, 1, 0.2065, 1.0000),
    ],
)
def test_the_wilson_interval_is_that_of_the_reference(hits, number, low, high):
    interval = wilson(hits, number)
    assert interval is not None
    assert [round(end, 4) for end in interval] == [low, high]


def test_nothing_counted_has_no_interval():
    assert wilson(0, 0) is None


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_wilson_interval_holds_the_share_it_is_about(pair):
    hits, number = pair
    low, high = wilson(hits, number)
    assert 0 <= low <= hits / number + 1e-12
    assert hits / number - 1e-12 <= high <= 1


def test_the_worked_example_of_a_thousand_links():
    result = totals(Counts(citations=1100, links=1000, verdicts=WORKED, archive={}, rescued=61))
    assert result["dead_proven"] == 0.0720
    assert result["bounds"] == [0.0720, 0.1880]
    assert result["among_decided"] == 0.0814
    assert result["wilson"] == [0.0652, 0.1013]
    assert result["rescued_share"] == round(61 / 72, 4)


def test_totals_of_nothing_are_null_and_empty_lists():
    result = totals(Counts(citations=0, links=0, verdicts={}, archive={}))
    assert result["dead_proven"] is None
    assert result["among_decided"] is None
    assert result["bounds"] == []
    assert result["wilson"] == []
    assert result["verdicts"] == {verdict.value: 0 for verdict in Verdict}


@given(st.fixed_dictionaries({verdict.value: st.integers(0, 500) for verdict in Verdict}))
def test_what_is_proven_lies_at_the_lower_bound(verdicts):
    if not sum(verdicts.values()):
        assert proven(verdicts) is bounds(verdicts) is among_decided(verdicts) is None
        return
    low, high = bounds(verdicts)
    assert proven(verdicts) == low <= high <= 1


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (None, "—"),
        (0.0, "0 %"),
        (0.0001, "< 0.1 %"),
        (0.072, "7.2 %"),
        (0.99991, "> 99.9 %"),
        (1.0, "100 %"),
    ],
)
def test_a_share_is_written_with_one_decimal_and_never_rounded_to_nothing(share, text):
    assert percent(share).replace("\u00a0", " ") == text


def test_a_link_cited_twice_is_one_link_and_two_citations():
    rows = [
        a_row(verdict="dead", link_id=7, event_id="a"),
        a_row(verdict="dead", link_id=7, event_id="b", line=20),
        a_row(verdict="ok", link_id=9, event_id="b"),
        a_row(verdict=None, link_id=None, archive_state=None, archive_url=None, event_id="c"),
    ]
    counts = tally(rows).counts
    assert (counts.citations, counts.links) == (4, 2)
    assert dict(counts.verdicts) == {"dead": 1, "ok": 1}
    assert (counts.events, counts.events_touched, counts.events_lost) == (3, 2, 1)


def test_rescued_means_dead_and_played_back_and_at_risk_means_alive_without_capture():
    rows = [
        a_row(verdict="dead", link_id=1, archive_state="archived"),
        a_row(verdict="dead", link_id=2, archive_state="captured"),
        no_capture(verdict="dead", link_id=3),
        no_capture(verdict="ok", link_id=4),
        a_row(verdict="ok", link_id=5),
    ]
    counts = tally(rows).counts
    assert (counts.rescued, counts.at_risk) == (1, 1)
    assert counts.mending["dead-without-capture"] == 1
    assert counts.mending["dead-not-in-file"] == 2


def test_a_capture_older_than_its_source_rescues_nothing():
    dead = a_row(verdict="dead", archive_state="archived", source_date="2020-01-01")
    assert tally([dead]).counts.rescued == 0
    assert tally([{**dead, "source_date": "2016-12-02"}]).counts.rescued == 1


def test_years_come_oldest_first_and_undated_sources_last():
    rows = [
        a_row(source_date="2016-11", verdict="dead"),
        a_row(source_date=None),
        a_row(source_date="1999"),
        a_row(source_date="2016-11-30"),
    ]
    by_year = tally(rows).by_year
    assert [row["year"] for row in by_year] == [1999, 2016, None]
    assert by_year[1]["citations"] == 2
    assert by_year[1]["dead"] == by_year[1]["ok"] == 1
    assert by_year[1]["archived"] == 2


@given(st.text())
def test_the_year_of_any_text_is_four_digits_or_nothing(text):
    year = year_of(text)
    assert year is None or 0 <= year <= 9999
