"""The sentences: distances, moments, and the next step with each kind of citation."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from report_samples import NOW, a_row, no_capture

from archiver.model import PROBLEM_LEVELS, ArchiveState, Claim, Verdict
from archiver.reasons import REASONS, advice
from archiver.reporting.wording import (
    alive_in_words,
    archive_in_words,
    captured_at,
    distance_in_words,
    is_before_publication,
    next_step,
    reason_in_words,
    since_in_words,
    step_of,
)

CAPTURE = "https://web.archive.org/web/20161201080000/https://harbour.example/news/lighthouse"


@pytest.mark.parametrize(
    ("days", "text"),
    [
        (None, ""),
        (0, "on the day wanted"),
        (1, "1 day from the date wanted"),
        (59, "59 days from the date wanted"),
        (61, "2 months from the date wanted"),
        (800, "2 years from the date wanted"),
    ],
)
def test_a_distance_is_said_in_the_unit_people_think_in(days, text):
    assert distance_in_words(days) == text


@pytest.mark.parametrize(
    ("stamp", "text"),
    [
        (None, ""),
        ("2026-11-24T14:30:00Z", "since 2026-11-24 (less than an hour)"),
        ("2026-11-24T14:00:00Z", "since 2026-11-24 (1 hour)"),
        ("2026-11-24T02:00:00Z", "since 2026-11-24 (13 hours)"),
        ("2026-11-22T15:00:00Z", "since 2026-11-22 (2 days)"),
        ("2026-03-01T07:00:00Z", "since 2026-03-01 (9 months)"),
        ("2027-01-01T00:00:00Z", "since 2027-01-01"),
        ("not a stamp", "since not a stamp"),
    ],
)
def test_since_says_the_day_and_how_long_ago(stamp, text):
    assert since_in_words(stamp, NOW) == text


def test_who_saw_the_page_alive_is_named():
    seen = {"verdict": "dead", "last_seen_alive_at": "2026-01-04T00:00:00Z"}
    assert alive_in_words(a_row(**seen)) == "last seen alive by us on 2026-01-04"
    assert "in a capture of 2026-01-04" in alive_in_words(
        a_row(**seen, last_seen_alive_by="capture")
    )
    assert "by a person" in alive_in_words(a_row(**seen, last_seen_alive_by="human"))
    assert "never seen alive" in alive_in_words(a_row(verdict="dead", last_seen_alive_at=None))
    assert alive_in_words(a_row(verdict="unchecked", last_seen_alive_at=None)) == ""


def test_a_capture_is_dated_by_its_address():
    assert captured_at(CAPTURE) == datetime(2016, 12, 1, 8, tzinfo=UTC)
    assert captured_at("https://perma.cc/ABCD-1234") is None
    assert captured_at("https://web.archive.org/web/20169901080000/https://a.example/") is None


@pytest.mark.parametrize(
    ("date", "before"),
    [
        *(("2016-12-02", False), ("2016-12-03", True), ("2017", True), (None, False)),
        *(("soon", False), ("0001", False), ("9999-12-31", True)),
    ],
)
def test_a_capture_more_than_a_day_older_than_the_source_is_flagged(date, before):
    row = a_row(archive_url=CAPTURE, source_date=date)
    assert is_before_publication(row) is before
    assert ("older than the source" in archive_in_words(row)) is before


def test_a_dead_source_with_a_capture_gets_the_line_to_paste():
    assert next_step(a_row(verdict="dead", archive_url=CAPTURE)) == (
        f"Add this line below the url: archive_url: {CAPTURE}"
    )


def test_a_capture_not_played_back_or_far_away_is_to_be_read_first():
    step = next_step(
        a_row(
            verdict="dead",
            archive_url=CAPTURE,
            archive_state="captured",
            archive_distance_days=400,
        )
    )
    assert step.startswith(
        "Read the capture first (it has not been played back yet and it is 13 mo"
    )
    assert step.endswith(f"add this line below the url: archive_url: {CAPTURE}")


def test_a_capture_older_than_the_source_is_never_a_line_to_paste():
    step = next_step(a_row(verdict="dead", archive_url=CAPTURE, source_date="2020-01-01"))
    assert "older than the source" in step
    assert "archive_url:" not in step


@pytest.mark.parametrize(
    "wrong", [{"archive_claim": "missing"}, {"problem": "archive-url-mismatch"}]
)
def test_a_capture_older_than_a_living_source_is_never_a_line_to_paste(wrong):
    written = CAPTURE.replace("20161201080000", "20200101000000")
    row = a_row(archive_url=CAPTURE, archive_url_in_file=written, source_date="2020-01-01", **wrong)
    step = next_step(row)
    assert "older than the source" in step
    assert "archive_url:" not in step


@pytest.mark.parametrize("alive", [None, "2026-11-20T07:00:00Z"])
def test_of_what_could_not_be_captured_no_absence_is_claimed(alive):
    step = next_step(no_capture("unarchivable", verdict="dead", last_seen_alive_at=alive))
    assert step.startswith("The archive could not make a capture: find the document elsewhere")


def test_a_bad_claim_is_replaced_and_says_why():
    row = a_row(
        verdict="dead",
        archive_url=CAPTURE,
        archive_claim="wrong-url",
        archive_url_in_file="https://web.archive.org/web/20160101000000/https://other.example/",
    )
    assert next_step(row).startswith("Replace it, for the archive_url in the file is a capture of")
    assert next_step(row | {"verdict": "ok"}) == next_step(row)


def test_a_dead_source_nobody_ever_saw_may_be_a_wrong_address():
    never = no_capture("unrecoverable", verdict="dead", last_seen_alive_at=None)
    assert next_step(never).startswith("Check the address for a mistake")
    known = no_capture("unrecoverable", verdict="dead")
    assert next_step(known).startswith("No archive we asked has it")


def test_a_blocked_source_asks_for_a_persons_eyes_with_a_command_fit_for_a_shell():
    url = "https://a.example/x?q='; rm -rf ~; '"
    step = step_of(a_row(verdict="blocked", reason="http-403", cited_url=url))
    assert "browser" in step.sentence
    assert shlex.split(step.paste) == ["archiver", "mark", url, "alive"]


def test_a_page_alive_elsewhere_needs_nothing():
    assert next_step(a_row(verdict="blocked", reason="alive-elsewhere")).startswith("Nothing")


def test_a_moved_source_gets_its_new_address():
    row = a_row(verdict="moved", final_url="https://harbour.example/archive/lighthouse")
    assert next_step(row).endswith("url: https://harbour.example/archive/lighthouse")


def test_a_failing_source_waits_for_the_next_look():
    row = a_row(verdict="failing", reason="http-404", verdict_since="2026-11-19T00:00:00Z")
    assert next_step(row) == (
        "Nothing to do yet: we look again on 2026-12-10 before we believe it."
        " Should it be gone, a capture is known."
    )


def test_a_source_that_fails_for_long_asks_for_a_persons_eyes():
    row = a_row(verdict="failing", reason="http-503", verdict_since="2026-09-01T00:00:00Z")
    assert "open it in a browser" in next_step(row)
    assert next_step(row).endswith("archiver mark https://harbour.example/news/lighthouse alive")


def test_a_refusal_of_our_own_is_not_sent_to_a_browser():
    for reason in ("private-address", "bad-port", "skipped"):
        assert next_step(a_row(verdict="blocked", reason=reason)) == advice(reason)


def test_a_living_page_with_another_text_is_to_be_compared():
    assert next_step(a_row(reason="content-drift")) == advice("content-drift")
    assert next_step(a_row(reason="ok")) == "Nothing to do."


@pytest.mark.parametrize("reason", sorted(REASONS))
def test_every_reason_goes_on_after_a_colon(reason):
    clause = reason_in_words(reason)
    assert clause[0].islower()
    assert not clause.endswith(".")


@pytest.mark.parametrize("name", sorted(PROBLEM_LEVELS))
def test_every_problem_of_a_citation_without_a_link_says_what_to_do(name):
    step = next_step(no_capture(verdict=None, reason=None, problem=name))
    assert step.endswith(".")
    assert step != next_step(no_capture(verdict=None, reason=None, problem=None))


@given(
    st.sampled_from([None, *Verdict]),
    st.sampled_from([None, *ArchiveState]),
    st.sampled_from([None, *Claim]),
    st.sampled_from([None, CAPTURE]),
    st.sampled_from([None, CAPTURE]),
    st.sampled_from([None, *PROBLEM_LEVELS, "a-problem-of-tomorrow"]),
)
def test_every_citation_has_a_next_step(verdict, state, claim, known, written, problem):
    row = a_row(
        verdict=verdict,
        archive_state=state,
        archive_claim=claim,
        archive_url=known,
        archive_url_in_file=written,
        problem=problem,
    )
    step = step_of(row)
    assert step.sentence[0].isupper()
    assert step.sentence.endswith(":") == bool(step.paste)


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=60))
def test_a_line_to_paste_reads_back_as_the_very_address(tail):
    url = f"https://web.archive.org/web/20161201080000/https://a.example/{tail}".strip()
    step = step_of(a_row(verdict="dead", archive_url=url))
    assert yaml.safe_load(step.paste) == {"archive_url": url}
