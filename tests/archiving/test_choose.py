"""The best capture for a citation: design §6, sentence by sentence, and as laws."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archiver.archiving.addresses import write_stamp
from archiver.archiving.choose import (
    BEFORE_PUBLICATION,
    DISTANT,
    Wanted,
    choose,
    choose_for_all,
    moments,
    newest_good,
    rank,
    read_date,
)
from archiver.model import Capture

URL = "https://news.example/story"


def taken(
    text: str, status: int | None = 200, source: str = "cdx", mime: str = "text/html"
) -> Capture:
    when = datetime.fromisoformat(text).replace(tzinfo=UTC)
    stamp = when.strftime("%Y%m%d%H%M%S")
    return Capture(
        when, f"https://web.archive.org/web/{stamp}/{URL}", URL, status, mime, source=source
    )


HISTORY = [taken(f"{year}-06-15T12:00:00") for year in range(2015, 2026)]


@pytest.mark.parametrize(
    ("wanted", "year", "flags"),
    [
        # the latest good one in [P, A]
        (Wanted("2017-01-01", "2020-10-31"), 2020, ()),
        # else the earliest good one after max(P, A)
        (Wanted("2017-07-01", "2017-08-01"), 2018, (DISTANT,)),
        (Wanted("2019-07-01", "2016-01-01"), 2020, (DISTANT,)),
        # without A the earliest good one on or after P
        (Wanted("2018-06-15"), 2018, ()),
        (Wanted("2018-06-16"), 2018, ()),  # P counts from 24 h earlier
        (Wanted("2018-06-17"), 2019, (DISTANT,)),
        # a partial date means its first day
        (Wanted("2018"), 2018, ()),
        (Wanted("2018-07"), 2019, (DISTANT,)),
        # without P the latest at or before A; that day counts whole
        (Wanted(None, "2019-06-15"), 2019, ()),
        (Wanted(None, "2019-06-14"), 2018, (DISTANT,)),
        (Wanted(None, "2014-01-01"), 2015, (DISTANT,)),
        # without both the one nearest to when we first saw the citation
        (Wanted(first_seen=datetime(2022, 7, 1, tzinfo=UTC)), 2022, ()),
        (Wanted(), 2025, ()),
        # only if nothing else exists: the latest before P
        (Wanted("2026-01-01"), 2025, (BEFORE_PUBLICATION, DISTANT)),
        # dates that are none say nothing
        (Wanted("soon", "2016-11-31"), 2025, ()),
    ],
)
def test_the_rules_of_the_book(wanted: Wanted, year: int, flags: tuple[str, ...]) -> None:
    choice = choose(HISTORY, wanted)
    assert choice is not None
    assert (choice.capture.captured_at.year, choice.flags) == (year, flags)


def test_distance_is_in_whole_days_from_the_wanted_date_and_absent_without_one() -> None:
    late = choose(HISTORY, Wanted("2018-06-10"))
    early = choose(HISTORY, Wanted(None, "2018-06-20"))
    none = choose(HISTORY, Wanted(first_seen=datetime(2018, 6, 20, tzinfo=UTC)))
    assert late is not None
    assert early is not None
    assert none is not None
    assert (late.distance_days, early.distance_days, none.distance_days) == (5, 5, None)


def test_errors_and_unresolved_revisits_are_never_chosen() -> None:
    assert choose([taken("2020-01-01", 404), taken("2020-01-02", None)], Wanted()) is None
    assert choose([taken("2020-01-01", 304)], Wanted()) is None


def test_an_own_capture_of_unknown_status_may_be_chosen() -> None:
    own = taken("2020-01-01", None, source="anonymous")
    choice = choose([own], Wanted())
    assert choice is not None
    assert newest_good([own]) == own


def test_a_captured_redirect_is_chosen_only_without_a_page() -> None:
    redirect, page = taken("2020-01-01", 301), taken("2019-01-01")
    first = choose([redirect, page], Wanted(None, "2020-01-01"))
    alone = choose([redirect], Wanted(None, "2020-01-01"))
    assert first is not None
    assert alone is not None
    assert (first.capture, alone.capture) == (page, redirect)
    assert newest_good([redirect, page]) == page


def test_each_citation_of_a_link_gets_its_own() -> None:
    wanted = [Wanted(None, "2016-12-31"), Wanted(None, "2020-12-31"), Wanted(None, "2016-12-30")]
    assert [each.captured_at.year for each in choose_for_all(HISTORY, wanted)] == [2016, 2020]


def test_the_index_is_asked_around_all_dates_once() -> None:
    asked = moments([Wanted("2016-11-30", "2017"), Wanted("2016-11-30")])
    assert asked == (datetime(2016, 11, 30, tzinfo=UTC), datetime(2017, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2016", date(2016, 1, 1)),
        ("2016-11", date(2016, 11, 1)),
        ("2016-11-30T10:00:00Z", date(2016, 11, 30)),
        (" 2016-11-30 ", date(2016, 11, 30)),
        ("2016-11-31", None),
        ("20161130", None),
        ("November 2016", None),
        ("", None),
        (None, None),
    ],
)
def test_dates_are_read_as_written(text: str | None, day: date | None) -> None:
    assert read_date(text) == day


CAPTURES = st.lists(
    st.builds(
        lambda days, status: taken(
            (datetime(2010, 1, 1) + timedelta(days=days)).isoformat(), status
        ),
        st.integers(0, 6000),
        st.sampled_from([200, 200, 203, 301, 404, 503, None]),
    ),
    max_size=12,
)
DATES = st.none() | st.dates(date(2009, 1, 1), date(2027, 1, 1)).map(str)


@pytest.mark.parametrize("published", ["0001", "0001-01-01", "9999-12-31"])
@pytest.mark.parametrize("accessed", [None, "0001-01-01", "9999-12-31"])
def test_the_first_and_the_last_day_of_the_calendar_are_dates_like_others(
    published: str, accessed: str | None
) -> None:
    assert len(rank(HISTORY, Wanted(published, accessed))) == len(HISTORY)


def test_a_publication_on_the_first_day_there_is_precedes_no_capture() -> None:
    choice = choose(HISTORY, Wanted(published="0001-01-01"))
    assert choice is not None
    assert BEFORE_PUBLICATION not in choice.flags
    assert write_stamp(moments([Wanted(published="0001-01-01")])[0]) == "00010101000000"


@settings(max_examples=300)
@given(CAPTURES, DATES, DATES)
def test_what_is_chosen_is_usable_and_never_before_publication_without_need(
    captures: list[Capture], published: str | None, accessed: str | None
) -> None:
    wanted = Wanted(published, accessed)
    ranked = rank(captures, wanted)
    usable = [each for each in captures if each.status in (200, 203, 301)]
    assert len(ranked) == len(usable)
    if not ranked:
        return
    best = ranked[0]
    later = [choice for choice in ranked if BEFORE_PUBLICATION not in choice.flags]
    assert (BEFORE_PUBLICATION in best.flags) is (not later)
    if accessed and published and published <= accessed:
        ceiling = datetime.fromisoformat(accessed).replace(tzinfo=UTC) + timedelta(days=1)
        inside = [
            choice
            for choice in later
            if choice.capture.captured_at < ceiling and choice.capture.status != 301
        ]
        if inside:
            assert best.capture.captured_at == max(each.capture.captured_at for each in inside)
    assert rank(list(reversed(captures)), wanted)[0].capture.captured_at == best.capture.captured_at
