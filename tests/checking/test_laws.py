"""Laws 1 and 2 of the design over random histories, and the bounds of the next look."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from archiver.checking.belief import (
    ALIVE_ELSEWHERE,
    ARCHIVE_NOT_FOUND,
    MARK_CLEARED,
    MARKED_ALIVE,
    MARKED_GONE,
    NO_NEWER_CAPTURE,
    Known,
    fold,
    settle,
)
from archiver.checking.context import (
    finding_from_facts,
    finding_to_facts,
    known_from_facts,
    known_to_facts,
)
from archiver.checking.policy import DAY, Policy
from archiver.model import ALIVE, OFFLINE, Belief, Finding, Strength, Verdict

POLICY = Policy()
START = datetime(2026, 1, 1, tzinfo=UTC)
URL = "https://news.example/a"

FINDINGS = (
    Finding(Verdict.OK, "ok"),
    Finding(Verdict.OK, "redirected"),
    Finding(Verdict.OK, "content-drift"),
    Finding(Verdict.MOVED, "moved"),
    Finding(Verdict.BLOCKED, "http-403"),
    Finding(Verdict.BLOCKED, "http-429", retry_after=10**9),
    Finding(Verdict.FAILING, "http-404", Strength.STRONG),
    Finding(Verdict.FAILING, "dns-gone", Strength.STRONG, answered=False),
    Finding(Verdict.FAILING, "connect-timeout", Strength.WEAK, answered=False),
    Finding(Verdict.FAILING, "http-5xx"),
    Finding(Verdict.FAILING, "maintenance", retry_after=7200),
    OFFLINE,
    Finding(None, "partial-outage", answered=False),
)
ARCHIVE = (ALIVE_ELSEWHERE, NO_NEWER_CAPTURE, ARCHIVE_NOT_FOUND)
HUMAN = (MARKED_ALIVE, MARKED_GONE, MARK_CLEARED)


@dataclass(frozen=True)
class Row:
    """One row of `looks`, as far as `settle` reads it."""

    finding: Finding
    known: Known
    at: datetime

    @property
    def is_good_look(self) -> bool:
        ours = self.finding.reason not in {one.reason for one in (*ARCHIVE, *HUMAN)}
        return ours and self.finding.verdict in ALIVE


@st.composite
def histories(draw: st.DrawFn, kinds: tuple[Finding, ...] = (*FINDINGS, *ARCHIVE, *HUMAN)):
    rows: list[Row] = []
    now = START
    repeats = st.integers(1, 4)
    for _ in range(draw(st.integers(1, 14))):
        finding = draw(st.sampled_from(kinds))
        for _ in range(draw(repeats)):
            now += timedelta(
                seconds=draw(st.sampled_from((3600, 21600, 72000, 86400, 260000, 10**6)))
            )
            age = draw(st.sampled_from((None, 0, 1, 3, 40)))
            silent = draw(st.sampled_from((None, None, 1, 60)))
            known = Known(
                host_answered_at=now - silent * DAY if silent else None,
                archive=draw(st.sampled_from(("off", "asked"))),
                living_capture_at=now - age * DAY if age is not None else None,
                until=now + 20 * DAY if finding in HUMAN else None,
            )
            rows.append(Row(finding, known, now))
    return rows


def fold_rows(rows: list[Row]) -> Belief:
    return fold(((row.finding, row.known, row.at) for row in rows), POLICY, url=URL)


def stored(row: Row) -> Row:
    """Write a row down and read it back, as the store does."""
    verdict = row.finding.verdict.value if row.finding.verdict else None
    facts = finding_to_facts(row.finding)
    return Row(
        finding_from_facts(verdict, row.finding.reason, facts),
        known_from_facts(known_to_facts(row.known)),
        row.at,
    )


def pruned(rows: list[Row]) -> list[Row]:
    """Thin the good looks between two good looks of the same reason (`archiver db prune`)."""
    kept = []
    for index, row in enumerate(rows):
        around = rows[index - 1 : index] + rows[index + 1 : index + 2]
        same = [
            one.is_good_look
            and one.finding.reason == row.finding.reason
            and one.finding.verdict is row.finding.verdict
            for one in around
        ]
        if not (row.is_good_look and len(same) == 2 and all(same)):
            kept.append(row)
    return kept


@settings(max_examples=400, deadline=None)
@given(histories())
def test_law_1_the_fold_of_the_stored_rows_is_the_belief_also_after_pruning(rows):
    belief = Belief()
    for row in rows:
        belief = settle(belief, row.finding, row.known, row.at, POLICY, url=URL)
    read_back = [stored(row) for row in rows]
    assert fold_rows(read_back) == belief
    assert fold_rows(pruned(read_back)) == belief
    assert fold_rows(pruned(pruned(read_back))) == belief


OURS_AND_ARCHIVE = (*FINDINGS, *ARCHIVE)


@settings(max_examples=400, deadline=None)
@given(histories(OURS_AND_ARCHIVE))
def test_law_2_no_early_death_and_none_against_a_living_capture(rows):
    belief = Belief()
    bad_since = None
    for row in rows:
        before, belief = belief, settle(belief, row.finding, row.known, row.at, POLICY, url=URL)
        if belief.verdict in ALIVE or before.verdict in (Verdict.UNCHECKED, *ALIVE):
            bad_since = None
        if row.finding.is_bad and bad_since is None:
            bad_since = row.at
        if belief.verdict is Verdict.DEAD and before.verdict is not Verdict.DEAD:
            assert before.verdict in (Verdict.FAILING, Verdict.BLOCKED)
            assert bad_since is not None
            assert row.at - bad_since >= 3 * DAY
            assert row.finding.verdict is Verdict.FAILING or row.finding in ARCHIVE
            living = row.known.living_capture_at
            # A capture of the last half year, made since the link began to fail, forbids it,
            # unless the archive's own crawler was refused after it.
            if living is not None and row.at - living < POLICY.capture_vouches:
                refused = belief.archive_counted_at
                first = belief.first_bad_at
                assert first is not None
                assert living <= first or (refused is not None and refused > living)


@settings(max_examples=200, deadline=None)
@given(histories(tuple(one for one in FINDINGS if one.verdict is Verdict.BLOCKED)))
def test_law_2_refusals_alone_never_kill_nor_fail(rows):
    assert fold_rows(rows).verdict is Verdict.BLOCKED


@settings(max_examples=200, deadline=None)
@given(histories((OFFLINE,)), histories())
def test_law_2_offline_looks_move_nothing(offline, rows):
    before = fold_rows(rows)
    belief = before
    for row in offline:
        belief = settle(belief, row.finding, row.known, row.at, POLICY, url=URL)
    assert belief == before


@settings(max_examples=400, deadline=None)
@given(histories(FINDINGS), st.text("abc/", min_size=1, max_size=8))
def test_the_next_look_is_in_the_future_and_within_bounds(rows, url):
    belief = Belief()
    for row in rows:
        belief = settle(belief, row.finding, row.known, row.at, POLICY, url=url)
        if belief.next_look_at is None or row.finding is OFFLINE:
            continue
        wait = belief.next_look_at - row.at
        assert wait >= POLICY.retry_floor
        assert wait <= 33 * DAY + timedelta(seconds=1)
        if row.finding.retry_after == 7200 and belief.waiting_since is None:
            assert wait >= timedelta(hours=2)
        waits_for_archive = belief.waiting_since is not None
        if belief.verdict in (Verdict.DEAD, *ALIVE) and not waits_for_archive:
            assert wait >= 0.9 * timedelta(hours=6)


@settings(max_examples=200, deadline=None)
@given(histories(), st.sampled_from((MARKED_ALIVE, MARKED_GONE)), histories(FINDINGS))
def test_a_persons_word_holds_until_it_is_taken_back(rows, mark, later):
    now = rows[-1].at
    known = Known(until=now + 10_000 * DAY)
    belief = settle(fold_rows(rows), mark, known, now, POLICY, url=URL)
    wanted = Verdict.OK if mark is MARKED_ALIVE else Verdict.DEAD
    assert belief.verdict is wanted
    shift = now - START
    unmarked = settle(fold_rows(rows), MARK_CLEARED, Known(), now, POLICY, url=URL)
    for row in later:
        at = row.at + shift
        belief = settle(belief, row.finding, row.known, at, POLICY, url=URL)
        unmarked = settle(unmarked, row.finding, row.known, at, POLICY, url=URL)
        assert (belief.verdict, belief.reason) == (wanted, mark.reason)
    cleared = settle(belief, MARK_CLEARED, Known(), now + 9_000 * DAY, POLICY, url=URL)
    assert cleared == unmarked


def test_when_a_mark_ends_the_findings_since_decide():
    alive = fold_rows([Row(FINDINGS[0], Known(), START)])
    known = Known(until=START + 30 * DAY)
    belief = settle(alive, MARKED_GONE, known, START + DAY, POLICY, url=URL)
    assert belief.verdict is Verdict.DEAD
    for day in (8, 15, 29):
        belief = settle(belief, FINDINGS[0], Known(), START + day * DAY, POLICY, url=URL)
        assert belief.verdict is Verdict.DEAD
    assert belief.next_look_at == START + 30 * DAY
    belief = settle(belief, FINDINGS[0], Known(), START + 30 * DAY, POLICY, url=URL)
    assert (belief.verdict, belief.reason) == (Verdict.OK, "ok")


def test_a_mark_without_a_term_holds_for_90_days():
    belief = settle(Belief(), MARKED_ALIVE, Known(), START, POLICY, url=URL)
    assert belief.human_until == START + 90 * DAY
    assert (belief.last_alive_at, belief.last_alive_by) == (START, "human")


def test_drift_is_believed_from_the_second_look_a_week_later():
    drift = Finding(Verdict.OK, "content-drift")
    rows = [Row(FINDINGS[0], Known(), START)]
    rows += [Row(drift, Known(), START + day * DAY) for day in (7, 8, 14)]
    reasons = [fold_rows(rows[: count + 1]).reason for count in range(4)]
    assert reasons == ["ok", "ok", "ok", "content-drift"]


def test_settle_is_total_over_findings_it_never_gets():
    for verdict in (*Verdict, None):
        finding = Finding(verdict, "something-new", Strength.STRONG)
        belief = settle(Belief(), finding, Known(), START, POLICY, url=URL)
        assert isinstance(belief, Belief)
        later = replace(finding, reason="another-word")
        assert isinstance(settle(belief, later, Known(), START, POLICY, url=URL), Belief)
