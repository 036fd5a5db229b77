"""The pipeline's decisions one by one, then its laws over random histories."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archiver.archiving.answers import (
    JobState,
    Lookup,
    LookupAnswer,
    Outcome,
    PollAnswer,
    SubmitAnswer,
    Trouble,
)
from archiver.archiving.choose import Wanted
from archiver.archiving.pipeline import (
    Action,
    ArchiveRecord,
    Conclude,
    LookUp,
    Nothing,
    Phase,
    Poll,
    Purpose,
    Situation,
    Step,
    Submit,
    Verify,
    Wait,
    adopt,
    after_lookup,
    after_poll,
    after_submit,
    after_verify,
    begin_submit,
    from_json,
    plan,
    priority,
    to_json,
)
from archiver.archiving.record import set_back
from archiver.archiving.refusals import REFUSALS, Kind
from archiver.archiving.verify import Passed, Verification
from archiver.config import ArchiveSettings
from archiver.model import ArchiveState, Capture, Verdict

SETTINGS = ArchiveSettings()
NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
URL = "https://news.example/story"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ALIVE = Situation(URL, Verdict.OK)
DEAD = Situation(URL, Verdict.DEAD, strong=True, failing_since=NOW - 4 * DAY)
NOTHING = LookupAnswer(Lookup.NOTHING)
GOOD = Verification(Passed.GOOD, "ok")
MISSING = Verification(Passed.MISSING, "missing")
WALL = Verification(Passed.NOT_EVIDENCE, "challenge")
UNPLAYABLE = Verification(Passed.UNANSWERED, "trouble")


def capture(when: datetime, status: int | None = 200, source: str = "cdx") -> Capture:
    stamp = when.strftime("%Y%m%d%H%M%S")
    address = f"https://web.archive.org/web/{stamp}/{URL}"
    return Capture(when, address, URL, status, source=source)


def found(*captures: Capture) -> LookupAnswer:
    return LookupAnswer(Lookup.FOUND, captures)


def looked_up(answer: LookupAnswer, situation: Situation = ALIVE, now: datetime = NOW) -> Step:
    return after_lookup(ArchiveRecord(), answer, situation, now, SETTINGS)


def queued(situation: Situation = ALIVE, now: datetime = NOW) -> ArchiveRecord:
    return looked_up(NOTHING, situation, now).record


def submitting(now: datetime = NOW, situation: Situation = ALIVE) -> ArchiveRecord:
    record = queued(situation, now)
    action = plan(record, situation, now, SETTINGS)
    assert isinstance(action, Submit)
    return begin_submit(record, action, now)


def submitted(answer: SubmitAnswer, now: datetime = NOW) -> Step:
    return after_submit(submitting(now), answer, ALIVE, now, SETTINGS)


def archived(when: datetime = NOW - 400 * DAY, now: datetime = NOW) -> ArchiveRecord:
    record = looked_up(found(capture(when)), ALIVE, now).record
    action = plan(record, ALIVE, now, SETTINGS)
    assert isinstance(action, Verify)
    return after_verify(record, GOOD, action, now, SETTINGS).record


def do(record: ArchiveRecord, situation: Situation, now: datetime) -> Action:
    """Plan, following what can be concluded without asking anybody."""
    for _ in range(5):
        action = plan(record, situation, now, SETTINGS)
        if not isinstance(action, Conclude):
            return action
        record = action.record
    raise AssertionError("planning goes in circles")


# ------------------------------------------------------------------ look-ups


def test_a_new_link_is_looked_up_first() -> None:
    assert isinstance(plan(ArchiveRecord(), ALIVE, NOW, SETTINGS), LookUp)


def test_off_asks_nothing() -> None:
    assert plan(ArchiveRecord(), replace(ALIVE, mode="off"), NOW, SETTINGS) == Nothing("mode-off")


def test_the_index_is_asked_around_the_citations_dates() -> None:
    action = plan(ArchiveRecord(), replace(ALIVE, wanted=(Wanted("2019-05"),)), NOW, SETTINGS)
    assert action == LookUp(URL, (datetime(2019, 5, 1, tzinfo=UTC),))


@pytest.mark.parametrize("outcome", [Lookup.THROTTLED, Lookup.TROUBLE, Lookup.REFUSED])
def test_no_answer_is_never_an_absence(outcome: Lookup) -> None:
    record = looked_up(LookupAnswer(outcome)).record
    assert record.state is ArchiveState.SEARCHING
    assert record.negatives.count == 0
    assert isinstance(plan(record, ALIVE, NOW, SETTINGS), Wait)
    assert isinstance(plan(record, ALIVE, NOW + DAY, SETTINGS), LookUp)


def test_retry_after_moves_the_next_look_up() -> None:
    record = looked_up(LookupAnswer(Lookup.THROTTLED, retry_after=3600)).record
    assert record.next_at == NOW + HOUR


def test_one_clean_negative_lets_a_living_link_be_submitted() -> None:
    record = queued()
    assert record.state is ArchiveState.QUEUED
    assert isinstance(plan(record, ALIVE, NOW, SETTINGS), Submit)


def test_captured_errors_are_no_capture() -> None:
    step = looked_up(found(capture(NOW - DAY, 404)))
    assert step.record.state is ArchiveState.QUEUED
    assert len(step.captures) == 1


def test_an_excluded_site_is_excluded() -> None:
    record = looked_up(LookupAnswer(Lookup.EXCLUDED)).record
    assert record.state is ArchiveState.EXCLUDED
    assert isinstance(plan(record, ALIVE, NOW, SETTINGS), Wait)


def test_a_known_capture_is_captured_until_it_is_played() -> None:
    step = looked_up(found(capture(NOW - 30 * DAY)))
    assert step.record.state is ArchiveState.CAPTURED
    assert step.record.archive_url is not None
    action = plan(step.record, ALIVE, NOW, SETTINGS)
    assert action == Verify(capture(NOW - 30 * DAY))


@pytest.mark.parametrize("when", [NOW + 2 * DAY, datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)])
def test_a_capture_from_the_future_is_none(when: datetime) -> None:
    step = looked_up(found(capture(when)))
    assert (step.record.state, step.captures) == (ArchiveState.QUEUED, ())
    both = looked_up(found(capture(NOW - 400 * DAY), capture(when))).record
    assert both.best == capture(NOW - 400 * DAY)
    claimed = capture(when, source="claim")
    assert adopt(ArchiveRecord(), claimed, ALIVE, NOW, SETTINGS) == ArchiveRecord()
    job = PollAnswer(JobState.SUCCESS, "job", capture=capture(when, None, "spn2"))
    record = submitted(SubmitAnswer(Outcome.SUBMITTED, job_id="job")).record
    step = after_poll(record, job, ALIVE, NOW + HOUR / 2, SETTINGS)
    assert (step.record.state, step.captures) == (ArchiveState.SEARCHING, ())


def test_a_young_capture_waits_for_its_day() -> None:
    record = looked_up(found(capture(NOW - HOUR))).record
    assert plan(record, ALIVE, NOW, SETTINGS) == Wait(NOW + 25 * HOUR, "too-young")


# --------------------------------------------------------------- submissions


def test_lookup_mode_submits_nothing() -> None:
    situation = replace(ALIVE, mode="lookup")
    record = queued(situation)
    assert isinstance(plan(record, situation, NOW, SETTINGS), Wait)
    assert isinstance(plan(record, situation, NOW + 31 * DAY, SETTINGS), LookUp)


def test_a_link_failing_on_strong_evidence_is_looked_up_not_submitted() -> None:
    situation = Situation(URL, Verdict.FAILING, strong=True, failing_since=NOW)
    record = queued(situation)
    assert isinstance(plan(record, situation, NOW, SETTINGS), Wait)
    assert isinstance(plan(record, situation, NOW + DAY, SETTINGS), LookUp)


@pytest.mark.parametrize("verdict", [Verdict.MOVED, Verdict.BLOCKED, Verdict.FAILING])
def test_moved_blocked_and_weakly_failing_links_are_submitted(verdict: Verdict) -> None:
    situation = Situation(URL, verdict)
    action = plan(queued(situation), situation, NOW, SETTINGS)
    assert isinstance(action, Submit)
    assert action.reserved is (verdict is Verdict.FAILING)


def test_a_link_nobody_has_looked_at_is_not_submitted_unless_a_person_asks() -> None:
    unchecked = Situation(URL)
    assert isinstance(plan(queued(unchecked), unchecked, NOW, SETTINGS), Wait)
    asked = replace(unchecked, asked_at=NOW)
    action = plan(queued(asked), asked, NOW, SETTINGS)
    assert isinstance(action, Submit)
    assert action.reserved


@pytest.mark.parametrize("word", ["expiring-url", "is-archive-url"])
def test_what_is_never_submitted_is_looked_up_and_called_unarchivable(word: str) -> None:
    situation = replace(ALIVE, refused=word)
    record = queued(situation)
    assert (record.state, record.reason) == (ArchiveState.UNARCHIVABLE, word)
    assert isinstance(do(record, situation, NOW + 200 * DAY), LookUp)


@pytest.mark.parametrize("word", ["private-address", "credentials-in-url"])
def test_secret_addresses_are_not_even_looked_up(word: str) -> None:
    situation = replace(ALIVE, refused=word)
    action = plan(ArchiveRecord(), situation, NOW, SETTINGS)
    assert isinstance(action, Conclude)
    assert action.record.state is ArchiveState.UNARCHIVABLE
    assert isinstance(plan(action.record, situation, NOW, SETTINGS), Nothing)


def test_the_intent_is_pending_before_anything_is_sent() -> None:
    record = submitting()
    assert (record.state, record.phase) == (ArchiveState.PENDING, Phase.SUBMITTING)
    assert isinstance(plan(record, ALIVE, NOW, SETTINGS), Wait)


def test_a_crash_between_intent_and_answer_is_an_unknown_outcome() -> None:
    record = submitting()
    later = NOW + timedelta(minutes=5)
    action = plan(record, ALIVE, later, SETTINGS)
    assert isinstance(action, Conclude)
    assert action.record.phase is Phase.UNKNOWN
    assert plan(action.record, ALIVE, later, SETTINGS) == Wait(
        NOW + timedelta(minutes=10), "unknown-outcome"
    )


def test_an_unknown_outcome_needs_two_look_ups_and_a_day_before_the_next_post() -> None:
    record = submitted(SubmitAnswer(Outcome.UNKNOWN, 520, trouble=Trouble.OUTAGE)).record
    assert (record.state, record.phase) == (ArchiveState.PENDING, Phase.UNKNOWN)
    first = NOW + timedelta(minutes=10)
    assert plan(record, ALIVE, first - timedelta(seconds=1), SETTINGS) == Wait(
        first, "unknown-outcome"
    )
    assert isinstance(plan(record, ALIVE, first, SETTINGS), LookUp)
    record = after_lookup(record, NOTHING, ALIVE, first, SETTINGS).record
    second = NOW + timedelta(minutes=70)
    assert plan(record, ALIVE, first, SETTINGS) == Wait(second, "unknown-outcome")
    record = after_lookup(record, NOTHING, ALIVE, second, SETTINGS).record
    assert (record.state, record.phase) == (ArchiveState.QUEUED, Phase.IDLE)
    assert plan(record, ALIVE, second, SETTINGS) == Wait(NOW + DAY, "cool-down")
    assert isinstance(plan(record, ALIVE, NOW + DAY, SETTINGS), Submit)


def test_a_late_first_look_up_still_needs_a_second() -> None:
    record = submitted(SubmitAnswer(Outcome.UNKNOWN)).record
    late = NOW + 3 * HOUR
    record = after_lookup(record, NOTHING, ALIVE, late, SETTINGS).record
    assert record.phase is Phase.UNKNOWN
    record = after_lookup(record, NOTHING, ALIVE, late + HOUR, SETTINGS).record
    assert record.phase is Phase.IDLE


def test_a_throttled_index_does_not_count_after_an_unknown_outcome() -> None:
    record = submitted(SubmitAnswer(Outcome.UNKNOWN)).record
    for minutes in (10, 70, 200):
        throttled = LookupAnswer(Lookup.THROTTLED)
        now = NOW + timedelta(minutes=minutes)
        record = after_lookup(record, throttled, ALIVE, now, SETTINGS).record
    assert record.phase is Phase.UNKNOWN


def test_a_capture_found_after_an_unknown_outcome_closes_the_attempt() -> None:
    record = submitted(SubmitAnswer(Outcome.UNKNOWN)).record
    own = capture(NOW + timedelta(seconds=40))
    step = after_lookup(record, found(own), ALIVE, NOW + timedelta(minutes=10), SETTINGS)
    assert step.record.state is ArchiveState.CAPTURED
    assert step.attempt is not None
    assert (step.attempt.outcome, step.attempt.capture_url) == (Outcome.CAPTURED, own.archive_url)


def test_a_third_submission_waits_a_week_after_two_unknown_outcomes() -> None:
    record = submitted(SubmitAnswer(Outcome.UNKNOWN)).record
    record = replace(record, phase=Phase.IDLE, state=ArchiveState.QUEUED, next_at=NOW)
    second = NOW + DAY
    action = plan(record, ALIVE, second, SETTINGS)
    assert isinstance(action, Submit)
    record = begin_submit(record, action, second)
    record = after_submit(record, SubmitAnswer(Outcome.UNKNOWN), ALIVE, second, SETTINGS).record
    record = replace(
        record, phase=Phase.IDLE, state=ArchiveState.QUEUED, next_at=second, looked_up_at=second
    )
    assert plan(record, ALIVE, NOW + 3 * DAY, SETTINGS) == Wait(NOW + 7 * DAY, "cool-down")


def test_a_job_is_polled_until_it_succeeds() -> None:
    step = submitted(SubmitAnswer(Outcome.SUBMITTED, 200, "spn2-1"))
    assert step.attempt is not None
    assert not step.attempt.final
    record = step.record
    assert (record.state, record.phase) == (ArchiveState.PENDING, Phase.POLLING)
    due = NOW + timedelta(seconds=8)
    assert plan(record, ALIVE, NOW, SETTINGS) == Wait(due, "polling")
    assert plan(record, ALIVE, due, SETTINGS) == Poll("spn2-1")
    step = after_poll(record, PollAnswer(JobState.PENDING, "spn2-1"), ALIVE, due, SETTINGS)
    assert step.attempt is None
    own = capture(NOW, source="spn2")
    answer = PollAnswer(JobState.SUCCESS, "spn2-1", capture=own)
    step = after_poll(step.record, answer, ALIVE, due + timedelta(seconds=20), SETTINGS)
    assert step.record.state is ArchiveState.CAPTURED
    assert step.captures == (own,)
    assert step.attempt is not None
    assert step.attempt.outcome is Outcome.CAPTURED


def test_a_delayed_job_is_polled_after_its_announced_start() -> None:
    answer = SubmitAnswer(Outcome.DELAYED, 200, "spn2-1", start_in=5400)
    record = submitted(answer).record
    assert record.next_at == NOW + timedelta(seconds=5408)
    assert plan(record, ALIVE, NOW + 2 * HOUR, SETTINGS) == Poll("spn2-1")


def test_a_job_nobody_knows_any_more_is_an_unknown_outcome() -> None:
    record = submitted(SubmitAnswer(Outcome.SUBMITTED, 200, "spn2-1")).record
    action = plan(record, ALIVE, NOW + 2 * HOUR, SETTINGS)
    assert isinstance(action, Conclude)
    assert (action.record.phase, action.record.outcome) == (Phase.UNKNOWN, Outcome.EXPIRED)
    assert isinstance(plan(action.record, ALIVE, NOW + 2 * HOUR, SETTINGS), LookUp)


@pytest.mark.parametrize("code", [*sorted(REFUSALS), "never-heard-of", "a whole sentence"])
def test_every_refusal_has_a_next_step_and_is_never_a_capture(code: str) -> None:
    for step in (
        submitted(SubmitAnswer(Outcome.REFUSED, 200, code=code)),
        after_poll(
            submitted(SubmitAnswer(Outcome.SUBMITTED, 200, "spn2-1")).record,
            PollAnswer(JobState.ERROR, "spn2-1", code=f"error:{code}"),
            ALIVE,
            NOW,
            SETTINGS,
        ),
    ):
        record = step.record
        assert record.archive_url is None
        assert record.state in (
            ArchiveState.QUEUED,
            ArchiveState.SEARCHING,
            ArchiveState.UNARCHIVABLE,
            ArchiveState.EXCLUDED,
        )
        assert record.next_at is not None
        row = REFUSALS.get(code)
        if row is not None and row.kind is Kind.PERMANENT:
            assert record.state is ArchiveState.UNARCHIVABLE
            assert record.until == NOW + row.again


def test_transient_refusals_end_after_their_tries() -> None:
    record, now = ArchiveRecord(), NOW
    states = []
    for _ in range(3):
        record = after_lookup(record, NOTHING, ALIVE, now, SETTINGS).record
        action = plan(record, ALIVE, now, SETTINGS)
        assert isinstance(action, Submit)
        record = begin_submit(record, action, now)
        answer = SubmitAnswer(Outcome.REFUSED, 200, code="read-timeout")
        record = after_submit(record, answer, ALIVE, now, SETTINGS).record
        states.append(record.state)
        now += 3 * DAY
    assert states == [ArchiveState.QUEUED, ArchiveState.QUEUED, ArchiveState.UNARCHIVABLE]
    assert record.until is not None
    assert isinstance(plan(record, ALIVE, record.until, SETTINGS), LookUp)


@pytest.mark.parametrize(
    ("code", "saw"),
    [("not-found", "http-404"), ("invalid-host-resolution", "dns-gone"), ("celery", None)],
)
def test_what_the_archives_crawler_saw_is_told(code: str, saw: str | None) -> None:
    assert submitted(SubmitAnswer(Outcome.REFUSED, 200, code=code)).archive_saw == saw


@pytest.mark.parametrize(
    "answer",
    [
        SubmitAnswer(Outcome.THROTTLED, 429, code="http-429", trouble=Trouble.THROTTLED),
        SubmitAnswer(Outcome.REFUSED, 401, code="keys-refused", trouble=Trouble.KEYS),
        SubmitAnswer(Outcome.REFUSED, 200, code="daily-limit", trouble=Trouble.DAILY),
        SubmitAnswer(Outcome.FAILED, code="unreachable", trouble=Trouble.REFUSED),
    ],
)
def test_what_the_archive_did_not_take_is_no_try_of_this_link(answer: SubmitAnswer) -> None:
    record = submitted(answer).record
    assert (record.state, record.tries, record.accepted_at) == (ArchiveState.QUEUED, 0, None)
    assert record.next_at is not None
    assert isinstance(plan(record, ALIVE, record.next_at, SETTINGS), Submit)


def submissions(days: int, answer: Callable[[datetime], SubmitAnswer]) -> list[Submit]:
    """Live with an index that finds nothing and copies that never play; return what was sent."""
    record, now, sent = ArchiveRecord(), NOW, []
    while now < NOW + days * DAY:
        action = plan(record, ALIVE, now, SETTINGS)
        match action:
            case Wait(until):
                now = until
            case Conclude(concluded):
                record = concluded
            case LookUp():
                record = after_lookup(record, NOTHING, ALIVE, now, SETTINGS).record
            case Verify():
                record = after_verify(record, MISSING, action, now, SETTINGS).record
            case Submit():
                sent.append(action)
                record = begin_submit(record, action, now)
                record = after_submit(record, answer(now), ALIVE, now, SETTINGS).record
    return sent


def test_a_page_whose_recent_capture_nobody_finds_is_not_submitted_every_day_for_ever() -> None:
    sent = submissions(80, lambda now: SubmitAnswer(Outcome.RECENT))
    assert len(sent) == 5
    # The first time a capture of the last half year would have done.
    assert [each.unless_newer_than for each in sent] == [180 * DAY] + [DAY] * 4


def test_a_page_whose_captures_all_vanish_is_not_submitted_for_ever() -> None:
    def made(now: datetime) -> SubmitAnswer:
        return SubmitAnswer(Outcome.CAPTURED, capture=capture(now, source="spn2"))

    assert len(submissions(80, made)) == 5


def test_a_recent_capture_without_address_is_looked_up() -> None:
    record = submitted(SubmitAnswer(Outcome.RECENT, 200, recent_at=NOW - DAY)).record
    assert isinstance(plan(record, ALIVE, NOW, SETTINGS), LookUp)


# ---------------------------------------------------------------- dead links


def test_a_dead_link_with_a_capture_is_not_submitted() -> None:
    record = looked_up(found(capture(NOW - 900 * DAY)), DEAD).record
    assert record.state is ArchiveState.CAPTURED
    assert isinstance(plan(record, DEAD, NOW, SETTINGS), Verify)


def test_a_dead_link_without_capture_gets_one_courtesy_submission_in_its_life() -> None:
    record = queued(DEAD)
    action = plan(record, DEAD, NOW, SETTINGS)
    assert isinstance(action, Submit)
    assert action.courtesy
    record = begin_submit(record, action, NOW)
    refused = SubmitAnswer(Outcome.REFUSED, 200, code="not-found")
    record = after_submit(record, refused, DEAD, NOW, SETTINGS).record
    assert isinstance(do(record, DEAD, NOW), Wait)
    due = NOW + DAY
    assert isinstance(do(record, DEAD, due), LookUp)
    settled = plan(record, DEAD, due, SETTINGS)
    assert isinstance(settled, Conclude)
    record = after_lookup(settled.record, NOTHING, DEAD, due, SETTINGS).record
    assert record.state is ArchiveState.UNRECOVERABLE
    for days in range(1, 400):
        assert not isinstance(do(record, DEAD, due + timedelta(days=days)), Submit)


def test_a_second_death_gets_no_second_courtesy() -> None:
    record = queued(DEAD)
    action = plan(record, DEAD, NOW, SETTINGS)
    assert isinstance(action, Submit)
    refused = SubmitAnswer(Outcome.REFUSED, 200, code="not-found")
    record = after_submit(begin_submit(record, action, NOW), refused, DEAD, NOW, SETTINGS).record
    again = replace(DEAD, failing_since=NOW + 300 * DAY)
    assert isinstance(do(record, again, NOW + 310 * DAY), LookUp)
    record = after_lookup(record, NOTHING, again, NOW + 310 * DAY, SETTINGS).record
    assert record.state is ArchiveState.UNRECOVERABLE


def test_no_courtesy_when_something_was_submitted_since_it_began_to_fail() -> None:
    record = submitted(SubmitAnswer(Outcome.REFUSED, 200, code="not-found")).record
    dead = replace(DEAD, failing_since=NOW - HOUR)
    later = NOW + 3 * DAY
    assert isinstance(do(record, dead, later), LookUp)
    record = after_lookup(record, NOTHING, dead, later, SETTINGS).record
    assert record.state is ArchiveState.UNRECOVERABLE


def test_a_throttled_courtesy_is_still_owed() -> None:
    record = queued(DEAD)
    action = plan(record, DEAD, NOW, SETTINGS)
    assert isinstance(action, Submit)
    record = begin_submit(record, action, NOW)
    throttled = SubmitAnswer(Outcome.THROTTLED, 429)
    record = after_submit(record, throttled, DEAD, NOW, SETTINGS).record
    assert isinstance(do(record, DEAD, NOW + HOUR), Submit)


def test_two_negatives_within_a_day_are_not_enough() -> None:
    dead = replace(DEAD, mode="lookup")
    record = queued(dead)
    assert record.state is ArchiveState.SEARCHING
    record = after_lookup(record, NOTHING, dead, NOW + HOUR, SETTINGS).record
    assert record.state is ArchiveState.SEARCHING
    record = after_lookup(record, NOTHING, dead, NOW + 25 * HOUR, SETTINGS).record
    assert record.state is ArchiveState.UNRECOVERABLE


def test_a_close_variants_capture_keeps_a_dead_link_from_being_called_unrecoverable() -> None:
    dead = replace(DEAD, mode="lookup")
    variant = replace(capture(NOW - 90 * DAY), original_url=URL + "/")
    answer = LookupAnswer(Lookup.NOTHING, variants=(variant,))
    record = looked_up(answer, dead).record
    record = after_lookup(record, answer, dead, NOW + 2 * DAY, SETTINGS).record
    assert (record.state, record.reason) == (ArchiveState.SEARCHING, "only-variants")


def test_an_unrecoverable_link_that_lives_again_is_looked_up() -> None:
    record = ArchiveRecord(ArchiveState.UNRECOVERABLE, NOW, NOW + 90 * DAY, looked_up_at=NOW)
    assert isinstance(plan(record, DEAD, NOW, SETTINGS), Wait)
    assert isinstance(plan(record, ALIVE, NOW, SETTINGS), LookUp)
    record = after_lookup(record, NOTHING, ALIVE, NOW, SETTINGS).record
    assert record.state is ArchiveState.QUEUED


# -------------------------------------------------------------- verification


def test_archived_needs_a_playback_a_day_after_the_capture() -> None:
    record = archived()
    assert (record.state, record.verified_at) == (ArchiveState.ARCHIVED, NOW)
    young = looked_up(found(capture(NOW - 23 * HOUR))).record
    step = after_verify(young, GOOD, Verify(capture(NOW - 23 * HOUR)), NOW, SETTINGS)
    assert step.record.state is ArchiveState.CAPTURED


def test_a_sign_of_life_played_too_early_is_no_copy_yet() -> None:
    blocked, young = Situation(URL, Verdict.BLOCKED), capture(NOW - HOUR)
    record = after_lookup(archived(), found(young), blocked, NOW, SETTINGS).record
    action = plan(record, blocked, NOW, SETTINGS)
    assert isinstance(action, Verify)
    assert (action.capture, action.purpose) == (young, Purpose.WITNESS)
    record = after_verify(record, GOOD, action, NOW, SETTINGS).record
    assert record.living_at == young.captured_at
    assert young.archive_url not in record.played


def test_archived_is_played_again_after_ninety_days() -> None:
    record = archived()
    assert isinstance(plan(record, replace(ALIVE, mode="lookup"), NOW + 80 * DAY, SETTINGS), Wait)
    assert isinstance(plan(record, ALIVE, NOW + 99 * DAY, SETTINGS), Verify)


def test_a_wall_is_no_evidence_and_the_next_candidate_is_tried() -> None:
    old, new = capture(NOW - 90 * DAY), capture(NOW - 60 * DAY)
    record = looked_up(found(old, new)).record
    assert record.best == new
    record = after_verify(record, WALL, Verify(new), NOW, SETTINGS).record
    assert (record.state, record.best) == (ArchiveState.CAPTURED, old)
    record = after_verify(record, WALL, Verify(old), NOW, SETTINGS).record
    assert (record.state, record.best) == (ArchiveState.SEARCHING, None)
    record = after_lookup(record, found(old, new), ALIVE, NOW, SETTINGS).record
    assert record.state is ArchiveState.QUEUED
    action = plan(record, ALIVE, NOW, SETTINGS)
    assert isinstance(action, Submit)
    assert action.unless_newer_than == DAY


def test_an_own_capture_of_a_wall_is_not_asked_for_every_day() -> None:
    own = capture(NOW, source="anonymous", status=None)
    record = submitted(SubmitAnswer(Outcome.CAPTURED, 302, capture=own)).record
    assert record.state is ArchiveState.CAPTURED
    later = NOW + 2 * DAY
    record = after_verify(record, WALL, Verify(own), later, SETTINGS).record
    assert (record.state, record.reason) == (ArchiveState.UNARCHIVABLE, "challenge")
    assert isinstance(do(record, ALIVE, later + 29 * DAY), Wait)


def test_lost_needs_two_missing_playbacks() -> None:
    record = archived()
    action = Verify(capture(NOW - 400 * DAY))
    record = after_verify(record, MISSING, action, NOW, SETTINGS).record
    assert record.state is ArchiveState.ARCHIVED
    assert plan(record, replace(ALIVE, mode="lookup"), NOW, SETTINGS) == Wait(
        NOW + 6 * HOUR, "verified"
    )
    record = after_verify(record, MISSING, action, NOW + 6 * HOUR, SETTINGS).record
    assert record.state is ArchiveState.LOST
    assert record.archive_url is None
    assert isinstance(plan(record, ALIVE, NOW + 6 * HOUR, SETTINGS), LookUp)


def test_a_capture_that_never_was_there_is_not_lost_but_searched() -> None:
    record = looked_up(found(capture(NOW - 90 * DAY))).record
    action = Verify(capture(NOW - 90 * DAY))
    for _ in range(2):
        record = after_verify(record, MISSING, action, NOW, SETTINGS).record
    assert record.state is ArchiveState.SEARCHING


def test_a_playback_without_answer_changes_nothing() -> None:
    record = archived()
    unanswered = Verification(Passed.UNANSWERED, "throttled", 7200)
    after = after_verify(record, unanswered, Verify(record.best), NOW, SETTINGS).record  # type: ignore[arg-type]
    assert (after.state, after.missing, after.next_at) == (
        ArchiveState.ARCHIVED,
        0,
        NOW + 2 * HOUR,
    )


def test_a_capture_that_cannot_be_played_is_asked_for_less_and_less() -> None:
    record = looked_up(found(capture(NOW - 400 * DAY))).record
    now, played = NOW, 0
    while now < NOW + 7 * DAY:
        action = plan(record, ALIVE, now, SETTINGS)
        if isinstance(action, Wait):
            now = action.until
            continue
        assert isinstance(action, Verify)
        played += 1
        record = after_verify(
            record, Verification(Passed.UNANSWERED, "trouble"), action, now, SETTINGS
        ).record
    assert played <= 10
    record = after_verify(record, GOOD, Verify(capture(NOW - 400 * DAY)), now, SETTINGS).record
    assert (record.state, record.unplayed) == (ArchiveState.ARCHIVED, 0)


def play(record: ArchiveRecord, word: Verification, now: datetime) -> tuple[Capture, ArchiveRecord]:
    action = do(record, ALIVE, now)
    assert isinstance(action, Verify), action
    return action.capture, after_verify(record, word, action, now, SETTINGS).record


def test_beside_a_capture_that_cannot_be_played_the_candidates_have_their_turns() -> None:
    years = [capture(NOW - 400 * DAY * n) for n in (1, 2)]
    record, now, asked = looked_up(found(*years)).record, NOW, []
    for _ in range(6):
        best, record = play(record, UNPLAYABLE, now)
        asked.append(best)
        assert record.next_at is not None
        assert record.next_at - now >= HOUR / 2
        now = record.next_at
    assert asked == [asked[0]] * 4 + [asked[4], asked[0]]
    assert {each.archive_url for each in asked} == {each.archive_url for each in years}
    best, record = play(record, GOOD, now)
    assert (best, record.state) == (asked[4], ArchiveState.ARCHIVED)


def test_an_archive_that_throttles_moves_no_candidate_up() -> None:
    record, now = looked_up(found(*(capture(NOW - n * DAY) for n in (400, 800)))).record, NOW
    first = record.best
    for _ in range(8):
        _, record = play(record, Verification(Passed.UNANSWERED, "throttled"), now)
        now = record.next_at or now
    assert record.best == first


def test_a_copy_for_another_citation_that_cannot_be_played_holds_no_refreshment_up() -> None:
    unplayable = capture(NOW - 500 * DAY)
    record, now = replace(archived(), also=(unplayable,)), NOW
    assert do(record, ALIVE, now) == Verify(unplayable, Purpose.ALSO)
    for _ in range(4):
        _, record = play(record, UNPLAYABLE, now)
        assert record.ask_at is not None
        now = record.ask_at
    assert isinstance(do(record, ALIVE, now), Submit)
    assert record.state is ArchiveState.ARCHIVED


def test_each_citations_own_best_capture_is_played_too() -> None:
    old, new = capture(NOW - 2000 * DAY), capture(NOW - 60 * DAY)
    early = Wanted(accessed=(NOW - 1990 * DAY).date().isoformat())
    situation = replace(ALIVE, wanted=(Wanted(accessed="2026-05-30"), early), mode="lookup")
    record = looked_up(found(old, new), situation).record
    assert (record.best, record.also) == (new, (old,))
    record = after_verify(record, GOOD, Verify(new), NOW, SETTINGS).record
    action = plan(record, situation, NOW, SETTINGS)
    assert action == Verify(old, Purpose.ALSO)
    record = after_verify(record, GOOD, Verify(old, Purpose.ALSO), NOW, SETTINGS).record
    assert isinstance(plan(record, situation, NOW, SETTINGS), Wait)
    assert record.played == (new.archive_url, old.archive_url)


@pytest.mark.parametrize("word", [MISSING, WALL, Verification(Passed.EXCLUDED, "excluded")])
def test_each_citations_copy_is_played_again_after_ninety_days_and_only_kept_while_it_plays(
    word: Verification,
) -> None:
    old, new = capture(NOW - 2000 * DAY), capture(NOW - 60 * DAY)
    early = Wanted(accessed=(NOW - 1990 * DAY).date().isoformat())
    situation = replace(ALIVE, wanted=(Wanted(accessed="2026-05-30"), early), mode="lookup")
    record, now = looked_up(found(old, new), situation).record, NOW
    for _ in range(3):
        for action in (Verify(new), Verify(old, Purpose.ALSO)):
            assert plan(record, situation, now, SETTINGS) == action
            record = from_json(to_json(after_verify(record, GOOD, action, now, SETTINGS).record))
        assert isinstance(plan(record, situation, now, SETTINGS), Wait)
        now += 100 * DAY
    record = after_verify(record, GOOD, Verify(new), now, SETTINGS).record
    record = after_verify(record, word, Verify(old, Purpose.ALSO), now, SETTINGS).record
    assert (record.state, record.played) == (ArchiveState.ARCHIVED, (new.archive_url,))
    assert isinstance(plan(record, situation, now, SETTINGS), Wait)


# ----------------------------------------------------- a clock that was ahead


def test_what_a_clock_that_was_ahead_wrote_counts_as_written_now() -> None:
    outage = SubmitAnswer(Outcome.UNKNOWN, trouble=Trouble.OUTAGE)
    written, by_now = (
        after_submit(submitting(now), outage, ALIVE, now, SETTINGS).record
        for now in (NOW + 300 * DAY, NOW)
    )
    assert set_back(written, NOW) == by_now
    assert set_back(by_now, NOW) is by_now


def test_what_was_written_before_the_clock_was_ahead_stays() -> None:
    record = archived(when=NOW - 500 * DAY, now=NOW - 20 * DAY)
    later = replace(record, touched_at=NOW + 30 * DAY, ask_at=NOW + 31 * DAY)
    trusted = set_back(later, NOW)
    assert (trusted.touched_at, trusted.ask_at) == (NOW, NOW + DAY)
    assert (trusted.verified_at, trusted.since) == (record.verified_at, record.since)
    assert set_back(replace(record, touched_at=NOW + 5 * HOUR), NOW).touched_at == NOW + 5 * HOUR


# ------------------------------------------------- second vantage, refreshing


def test_a_death_about_to_be_believed_has_the_index_asked_again() -> None:
    record = archived()
    situation = Situation(
        URL, Verdict.FAILING, strong=True, failing_since=NOW, answer_wanted_since=NOW + HOUR
    )
    later = NOW + 2 * HOUR
    assert isinstance(plan(record, situation, later, SETTINGS), LookUp)
    newer = capture(NOW + HOUR)
    known = capture(NOW - 400 * DAY)
    record = after_lookup(record, found(known, newer), situation, later, SETTINGS).record
    assert record.state is ArchiveState.ARCHIVED
    assert plan(record, situation, later, SETTINGS) == Verify(newer, Purpose.WITNESS)
    step = after_verify(record, GOOD, Verify(newer, Purpose.WITNESS), later, SETTINGS)
    assert step.record.living_at == newer.captured_at
    assert step.record.best == known


def test_an_index_that_does_not_answer_a_waiting_death_is_asked_later() -> None:
    situation = replace(DEAD, answer_wanted_since=NOW + HOUR)
    later = NOW + 2 * HOUR
    trouble = LookupAnswer(Lookup.TROUBLE)
    record = after_lookup(archived(), trouble, situation, later, SETTINGS).record
    assert record.state is ArchiveState.ARCHIVED
    action = plan(record, situation, later, SETTINGS)
    assert isinstance(action, Wait)
    assert later < action.until < later + HOUR
    assert isinstance(plan(record, situation, action.until, SETTINGS), LookUp)


def test_a_living_page_is_captured_anew_after_a_year() -> None:
    record = archived(NOW - 400 * DAY)
    action = plan(record, ALIVE, NOW, SETTINGS)
    assert isinstance(action, Submit)
    assert action.refresh
    assert action.unless_newer_than == DAY
    never = SETTINGS.model_copy(update={"refresh_after": None})
    assert isinstance(plan(record, ALIVE, NOW, never), Wait)
    assert isinstance(plan(archived(NOW - 300 * DAY), ALIVE, NOW, SETTINGS), Wait)


def test_a_copy_from_before_the_publication_is_no_reason_to_wait_a_year() -> None:
    situation = replace(ALIVE, wanted=(Wanted("2026-05-30"),))
    early = capture(NOW - 60 * DAY)
    record = looked_up(found(early), situation).record
    record = after_verify(record, GOOD, Verify(early), NOW, SETTINGS).record
    action = plan(record, situation, NOW, SETTINGS)
    assert isinstance(action, Submit)
    record = begin_submit(record, action, NOW)
    own = capture(NOW, source="anonymous", status=None)
    answer = SubmitAnswer(Outcome.CAPTURED, 302, capture=own)
    record = after_submit(record, answer, situation, NOW, SETTINGS).record
    assert (record.state, record.also) == (ArchiveState.ARCHIVED, (own,))
    assert plan(record, situation, NOW, SETTINGS) == Wait(NOW + 26 * HOUR, "verified")
    ripe = NOW + 26 * HOUR
    assert plan(record, situation, ripe, SETTINGS) == Verify(own, Purpose.ALSO)
    record = after_verify(record, GOOD, Verify(own, Purpose.ALSO), ripe, SETTINGS).record
    assert isinstance(plan(record, situation, NOW + 29 * DAY, SETTINGS), Wait)


def test_a_history_of_walls_is_not_played_to_its_end() -> None:
    walls = [capture(NOW - timedelta(days=each)) for each in range(30, 430)]
    record, played = looked_up(found(*walls)).record, 0
    for _ in range(40):
        action = plan(record, ALIVE, NOW, SETTINGS)
        if isinstance(action, Verify):
            played += 1
            record = after_verify(record, WALL, action, NOW, SETTINGS).record
        elif isinstance(action, LookUp):
            record = after_lookup(record, found(*walls), ALIVE, NOW, SETTINGS).record
        else:
            break
    assert isinstance(action, Submit)
    assert played == 6
    fresh = after_lookup(record, found(capture(NOW + DAY)), ALIVE, NOW + DAY, SETTINGS).record
    assert fresh.state is ArchiveState.CAPTURED


def test_a_verified_copy_stays_archived_while_a_newer_one_is_made() -> None:
    record = archived()
    action = plan(record, ALIVE, NOW, SETTINGS)
    assert isinstance(action, Submit)
    record = begin_submit(record, action, NOW)
    assert record.state is ArchiveState.ARCHIVED
    answer = SubmitAnswer(Outcome.SUBMITTED, 200, "spn2-1")
    record = after_submit(record, answer, ALIVE, NOW, SETTINGS).record
    assert record.state is ArchiveState.ARCHIVED
    failed = PollAnswer(JobState.ERROR, "spn2-1", code="read-timeout")
    record = after_poll(record, failed, ALIVE, NOW, SETTINGS).record
    assert record.state is ArchiveState.ARCHIVED
    assert record.archive_url is not None
    assert not isinstance(plan(record, ALIVE, NOW + DAY, SETTINGS), Submit)


def test_the_queue_has_the_order_of_the_book() -> None:
    asked = replace(ALIVE, asked_at=NOW)
    failing = Situation(URL, Verdict.FAILING)
    first_tier, third_tier = replace(ALIVE, tier=1), replace(ALIVE, tier=3)
    order = [
        priority(queued(), asked),
        priority(queued(), failing),
        priority(queued(), first_tier),
        priority(queued(), replace(third_tier, importance=9)),
        priority(queued(), third_tier),
        priority(archived(), ALIVE),
    ]
    assert order == sorted(order)


# ---------------------------------------------------------------------- laws

VERDICTS = st.sampled_from(
    [
        Situation(URL, Verdict.UNCHECKED),
        ALIVE,
        Situation(URL, Verdict.BLOCKED),
        Situation(URL, Verdict.FAILING, failing_since=NOW),
        Situation(URL, Verdict.FAILING, strong=True, failing_since=NOW, answer_wanted_since=NOW),
        replace(DEAD, failing_since=NOW),
        replace(ALIVE, mode="spn2", asked_at=NOW + 3 * DAY),
        replace(DEAD, mode="lookup", failing_since=NOW),
    ]
)
GAPS = st.sampled_from([0, 1, 9, 600, 3600, 86400, 400_000, 3_000_000, -7200])
LOOKUPS = st.sampled_from(list(Lookup))
OUTCOMES = st.sampled_from(list(Outcome))
CODES = st.sampled_from(
    ["", "not-found", "celery", "job-failed", "daily-limit", "unreachable", "?"]
)
JOBS = st.sampled_from(list(JobState))
PASSES = st.sampled_from(list(Passed))
CAPTURED_AGO = st.sampled_from([0, 3600, 90_000, 5_000_000, 90_000_000])


class History:
    """One link's random history, as the caller of the pipeline would make it."""

    def __init__(self, data: st.DataObject) -> None:
        self.draw = data.draw
        self.record, self.now = ArchiveRecord(), NOW
        self.unknown_at: list[datetime] = []

    def step(self) -> None:
        """Let time pass, carry the planned action out with a random answer, check the laws."""
        self.now += timedelta(seconds=self.draw(GAPS))
        situation, before, passed = self.draw(VERDICTS), self.record, None
        match plan(self.record, situation, self.now, SETTINGS):
            case Conclude(record):
                self.record = record
            case LookUp():
                answer = self.lookup_answer()
                step = after_lookup(self.record, answer, situation, self.now, SETTINGS)
                self.record = step.record
            case Submit() as action:
                self.submit(action, situation)
            case Poll(job_id):
                answer = self.job_answer(job_id)
                step = after_poll(self.record, answer, situation, self.now, SETTINGS)
                self.record = step.record
            case Verify() as action:
                passed = self.draw(PASSES)
                word = Verification(passed, "x")
                self.record = after_verify(self.record, word, action, self.now, SETTINGS).record
            case Wait(until):
                assert until > self.now
        self.note_unknown(before)
        self.check(before, passed)
        do(self.record, situation, self.now)

    def lookup_answer(self) -> LookupAnswer:
        outcome = self.draw(LOOKUPS)
        made = capture(self.now - timedelta(seconds=self.draw(CAPTURED_AGO)))
        return LookupAnswer(outcome, (made,) if outcome is Lookup.FOUND else ())

    def job_answer(self, job_id: str) -> PollAnswer:
        state = self.draw(JOBS)
        own = capture(self.now, None, "spn2") if state is JobState.SUCCESS else None
        return PollAnswer(state, job_id, self.draw(CODES), capture=own)

    def submit(self, action: Submit, situation: Situation) -> None:
        assert situation.worth_capturing or action.courtesy
        assert all(not at <= self.now < at + DAY for at in self.unknown_at)
        self.record = begin_submit(self.record, action, self.now)
        if self.draw(st.booleans()):  # else: killed before an answer was stored
            outcome = self.draw(OUTCOMES)
            own = capture(self.now, None, "spn2") if outcome is Outcome.CAPTURED else None
            answer = SubmitAnswer(outcome, 200, "spn2-1", code=self.draw(CODES), capture=own)
            step = after_submit(self.record, answer, situation, self.now, SETTINGS)
            self.record = step.record

    def note_unknown(self, before: ArchiveRecord) -> None:
        entered = before.phase is not Phase.UNKNOWN and self.record.phase is Phase.UNKNOWN
        if entered and self.record.attempt_at is not None:
            self.unknown_at.append(self.record.attempt_at)

    def check(self, before: ArchiveRecord, passed: Passed | None) -> None:
        record = self.record
        if record.state is ArchiveState.ARCHIVED and before.state is not ArchiveState.ARCHIVED:
            assert passed is Passed.GOOD
            assert record.best is not None
            assert self.now - record.best.captured_at >= DAY
        if record.archive_url is not None:
            assert record.state in (ArchiveState.CAPTURED, ArchiveState.ARCHIVED)
        assert record == from_json(to_json(record))


@settings(max_examples=250, deadline=None)
@given(st.data())
def test_the_laws_hold_over_any_history(data: st.DataObject) -> None:
    history = History(data)
    for _ in range(data.draw(st.integers(1, 25))):
        history.step()
