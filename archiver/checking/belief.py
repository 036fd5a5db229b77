"""From findings to belief: what we hold of a link after all its looks (design §5).

`settle` is pure and total. Everything that moves a belief is a row of `looks`, so a belief is
always one fold over a link's rows in the order of their ids (`fold`, law 1):

* vantage `here`: findings of our own looks;
* vantage `archive`: `ALIVE_ELSEWHERE` (the archive has a living capture, `Known` says of when),
  `NO_NEWER_CAPTURE` (asked and answered: none newer than the first bad look),
  `ARCHIVE_NOT_FOUND` (the archive's own crawler was told "not found", or found no such name;
  a strong look, counted once per episode);
* vantage `human`: `MARKED_ALIVE`, `MARKED_GONE` (`Known.until` says how long), `MARK_CLEARED`,
  and `MARKED_IGNORED`, which moves nothing: it keeps who left a link out of reports, and why.

Beside its finding a row keeps what else was `Known` at that moment. Good looks leave nothing
behind but their time, so thinning good looks between two good looks of the same reason never
changes a fold.

An *episode* is what happens between two good looks. `belief.other` counts, in a row, the looks
that the present verdict does not yet believe (design §5; reference checking §7.1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from archiver.checking.ahead import in_time
from archiver.checking.death import (
    FLAPPING,
    conclude,
    elsewhere,
    newest_capture,
    seen_alive,
    vouched,
    with_confirmations,
)
from archiver.checking.policy import Policy
from archiver.checking.schedule import blocked_interval, failing_interval, good_interval
from archiver.checking.step import (
    ALIVE_ELSEWHERE,
    ARCHIVE_NOT_FOUND,
    MARK_CLEARED,
    MARKED_ALIVE,
    MARKED_GONE,
    MARKED_IGNORED,
    NO_NEWER_CAPTURE,
    Known,
    Step,
)
from archiver.model import ALIVE, Belief, Finding, Run, Strength, Verdict

__all__ = [
    "ALIVE_ELSEWHERE",
    "ARCHIVE_NOT_FOUND",
    "MARKED_ALIVE",
    "MARKED_GONE",
    "MARKED_IGNORED",
    "MARK_CLEARED",
    "NO_NEWER_CAPTURE",
    "Known",
    "change_reason",
    "fold",
    "needs_archive_answer",
    "settle",
]

_MARKS = {"marked-alive": Verdict.OK, "marked-gone": Verdict.DEAD}


def settle(
    belief: Belief, finding: Finding, known: Known, now: datetime, policy: Policy, *, url: str
) -> Belief:
    """Fold one finding into the belief and set when to look next.

    `now` is the look's own time (whole seconds count). A void finding (`verdict` None) moves
    no counter: after an offline look the belief is the same object. Design §5, reference
    checking §7.
    """
    step = Step(finding, known, now.replace(microsecond=0), policy, url)
    if belief.underlying is not None:
        return _under_mark(belief, belief.underlying, step)
    return _without_mark(belief, step)


def fold(looks: Iterable[tuple[Finding, Known, datetime]], policy: Policy, *, url: str) -> Belief:
    """Return the belief that all these looks, oldest first, amount to (`archiver db rebuild`)."""
    belief = Belief()
    for finding, known, now in looks:
        belief = settle(belief, finding, known, now, policy, url=url)
    return belief


def needs_archive_answer(belief: Belief, now: datetime, policy: Policy) -> bool:
    """Say whether an archive should be asked now for a capture newer than the first bad look.

    From the first strong look on (and from the last but one weak look), so that the answer is
    there before the death is (design §5, "A living copy elsewhere wins").
    """
    if belief.underlying is not None or belief.verdict is not Verdict.FAILING:
        return False
    near = belief.strong.count >= 1 or belief.weak.count >= policy.weak_looks - 1
    if not near:
        return False
    answered = belief.archive_answered_at
    return answered is None or now - answered > policy.archive_answer_holds


def change_reason(before: Belief, after: Belief) -> str:
    """Return the reason a flip from one belief to the other goes into history with."""
    if before.verdict is Verdict.DEAD and after.verdict in ALIVE:
        return "resurrected"
    return after.reason


def _without_mark(belief: Belief, step: Step) -> Belief:
    finding = step.finding
    special = _EVENTS.get(finding.reason)
    if special is _offline:
        return belief
    belief = in_time(belief, step.now)
    if special is not None:
        return special(belief, step)
    if finding.verdict in ALIVE:
        return _good(belief, step)
    if finding.verdict is Verdict.BLOCKED:
        return _refused(belief, step)
    if finding.verdict is Verdict.FAILING:
        return _bad(belief, step)
    return belief


# --- good looks -------------------------------------------------------------------------------


def _good(belief: Belief, step: Step) -> Belief:
    now, policy = step.now, step.policy
    was_good = belief.verdict in ALIVE
    flips = belief.flips
    if belief.verdict in (Verdict.FAILING, Verdict.DEAD):
        flips = (*flips, now)
    flips = _recent(flips, step)
    good_since = belief.good_since if was_good and belief.good_since else now
    verdict = step.finding.verdict or Verdict.OK
    drifting = step.finding.reason == "content-drift"
    drift_since = (belief.drift_since or now) if drifting else None
    interval, attempt = good_interval(now - good_since, policy)
    if belief.verdict is Verdict.DEAD:
        interval = min(interval, policy.interval_resurrected)
    if _is_flapping(flips, policy):
        interval = min(interval, policy.interval_flapping)
    return Belief(
        verdict=verdict,
        reason=_good_reason(step, flips, drift_since),
        since=belief.since if verdict is belief.verdict else now,
        last_look_at=now,
        next_look_at=step.next(interval, attempt),
        last_alive_at=now,
        last_alive_by="here",
        good_since=good_since,
        drift_since=drift_since,
        flips=flips,
    )


def _good_reason(step: Step, flips: tuple[datetime, ...], drift_since: datetime | None) -> str:
    if _is_flapping(flips, step.policy):
        return FLAPPING
    # Drift is believed from the second such look, at least a week after the first
    # (reference linkrot §4); until then the page is simply there.
    if drift_since is not None and step.now - drift_since < step.policy.drift_gap:
        return "ok"
    return step.finding.reason


def _recent(flips: tuple[datetime, ...], step: Step) -> tuple[datetime, ...]:
    return tuple(flip for flip in flips if step.now - flip < step.policy.flap_window)[-8:]


def _is_flapping(flips: tuple[datetime, ...], policy: Policy) -> bool:
    return len(flips) >= policy.flap_count


# --- refusals ---------------------------------------------------------------------------------


def _refused(belief: Belief, step: Step) -> Belief:
    """A refusal says nothing about the document: it never counts and never resets a count."""
    now, policy, finding = step.now, step.policy, step.finding
    run = belief.blocked
    blocked = Run(run.count + 1, run.first_at or now, now)
    seen = replace(
        belief,
        last_look_at=now,
        blocked=blocked,
        other=Run(),
        # An HTTP answer ends the silence that weak evidence needs (design §5).
        weak=Run() if finding.answered else belief.weak,
        next_look_at=step.next(blocked_interval(blocked.count, policy), blocked.count),
    )
    if belief.verdict is Verdict.DEAD:
        return replace(seen, next_look_at=step.next(policy.interval_dead, blocked.count))
    if belief.verdict is Verdict.FAILING:
        return with_confirmations(seen, policy)
    if belief.verdict in ALIVE:
        started = run.first_at
        if started is None or now - started < policy.blocked_gap:
            return replace(seen, reason="blocked-now")
    return replace(
        seen,
        verdict=Verdict.BLOCKED,
        reason=finding.reason,
        since=belief.since if belief.verdict is Verdict.BLOCKED else now,
        good_since=None,
        drift_since=None,
    )


# --- bad looks --------------------------------------------------------------------------------


def _bad(belief: Belief, step: Step) -> Belief:
    now, policy = step.now, step.policy
    if belief.verdict is Verdict.DEAD:
        strong = step.finding.strength is Strength.STRONG
        return replace(
            belief,
            reason=step.finding.reason if strong else belief.reason,
            last_look_at=now,
            last_bad_at=now,
            next_look_at=step.next(policy.interval_dead, 0),
        )
    counted = _count(_expired(belief, step), step)
    if _stays_alive(counted, step):
        return replace(
            counted,
            reason=step.finding.reason,
            last_look_at=now,
            other=_longer(counted.other, now),
            next_look_at=step.next(policy.interval_uncertain, counted.other.count),
        )
    if _stays_blocked(counted, step):
        weak = step.finding.strength is Strength.WEAK
        return replace(
            counted,
            last_look_at=now,
            other=_longer(counted.other, now) if weak else Run(),
            next_look_at=step.next(policy.interval_uncertain, counted.other.count),
        )
    return _fail(counted, step)


def _expired(belief: Belief, step: Step) -> Belief:
    """Counters expire when no bad look was added for 45 days."""
    last = belief.last_bad_at
    if last is None or step.now - last <= step.policy.counters_expire:
        return belief
    return replace(
        belief,
        strong=Run(),
        weak=Run(),
        other=Run(),
        attempt=0,
        first_bad_at=None,
        last_bad_at=None,
        waiting_since=None,
        archive_answered_at=None,
        archive_counted_at=None,
    )


def _count(belief: Belief, step: Step) -> Belief:
    now, finding, gap = step.now, step.finding, step.policy.counted_gap
    strong, weak = belief.strong, belief.weak
    if finding.strength is Strength.STRONG:
        strong = _counted(strong, now, gap)
    if finding.answered:
        weak = Run()
    elif finding.strength is not Strength.NONE:
        weak = _counted(weak, now, gap)
    return replace(
        belief,
        strong=strong,
        weak=weak,
        blocked=Run(),
        first_bad_at=belief.first_bad_at or now,
        last_bad_at=now,
    )


def _counted(run: Run, now: datetime, gap: timedelta) -> Run:
    """Add a look to a run, unless it is too close to the last counted one to be another."""
    if run.last_at is not None and now - run.last_at < gap:
        return run
    return _longer(run, now)


def _longer(run: Run, now: datetime) -> Run:
    return Run(run.count + 1, run.first_at or now, now)


def _stays_alive(belief: Belief, step: Step) -> bool:
    """A look that proves nothing leaves a living link alive, until a second one 20 h later."""
    if belief.verdict not in ALIVE or step.finding.strength is not Strength.NONE:
        return False
    started = belief.other.first_at
    return started is None or step.now - started < step.policy.counted_gap


def _stays_blocked(belief: Belief, step: Step) -> bool:
    """Reference checking §7.1, column `blocked`: only strong looks, or two weak ones, count."""
    if belief.verdict is not Verdict.BLOCKED:
        return False
    if step.finding.strength is Strength.STRONG:
        return False
    return step.finding.strength is Strength.NONE or belief.other.count == 0


def _fail(belief: Belief, step: Step) -> Belief:
    now, policy, finding = step.now, step.policy, step.finding
    flips = (*belief.flips, now) if belief.verdict in ALIVE else belief.flips
    flips = _recent(flips, step)
    ours = finding.reason != ARCHIVE_NOT_FOUND.reason
    failing = belief.verdict is Verdict.FAILING
    attempt = (belief.attempt if failing else 0) + (1 if ours else 0)
    interval = failing_interval(attempt, policy)
    flapping = _is_flapping(flips, policy)
    if flapping:
        interval = max(interval, policy.interval_flapping)
    lives_elsewhere = belief.verdict is Verdict.BLOCKED and belief.reason == ALIVE_ELSEWHERE.reason
    bad = replace(
        belief,
        verdict=Verdict.FAILING,
        reason=FLAPPING if flapping else finding.reason,
        since=belief.since if failing else now,
        other=Run(),
        attempt=attempt,
        good_since=None,
        drift_since=None,
        flips=flips,
    )
    if ours:
        bad = replace(bad, last_look_at=now, next_look_at=step.next(interval, attempt))
    if lives_elsewhere and vouched(bad, step):
        return elsewhere(belief, bad, step)
    return conclude(bad, step, finding.reason)


# --- what is no look of ours ------------------------------------------------------------------


def _offline(belief: Belief, _step: Step) -> Belief:
    return belief


def _outage(belief: Belief, step: Step) -> Belief:
    """Recorded, not counted: we only come back in a few hours (reference checking §6)."""
    return replace(
        belief,
        last_look_at=step.now,
        next_look_at=step.next(step.policy.interval_outage, 0),
    )


def _capture_lives(belief: Belief, step: Step) -> Belief:
    living = newest_capture(belief, step)
    told = seen_alive(replace(belief, living_capture_at=living), living, "capture")
    if belief.verdict is Verdict.DEAD and vouched(told, step):
        return elsewhere(belief, told, step)
    if belief.verdict is Verdict.FAILING:
        return conclude(replace(told, archive_answered_at=step.now), step, belief.reason)
    return told


def _no_newer_capture(belief: Belief, step: Step) -> Belief:
    """The archive's answer: a death that waited for it is settled at once."""
    if belief.verdict is not Verdict.FAILING:
        return belief
    return conclude(replace(belief, archive_answered_at=step.now), step, belief.reason)


def _archive_refused(belief: Belief, step: Step) -> Belief:
    """The archive's crawler was told the page is not there: one strong look per episode."""
    if belief.verdict not in (Verdict.FAILING, Verdict.BLOCKED):
        return belief
    current = _expired(belief, step)
    if current.archive_counted_at is not None:
        return belief
    counted = replace(_count(current, step), blocked=current.blocked)
    return _fail(replace(counted, archive_counted_at=step.now), step)


# --- a person's word --------------------------------------------------------------------------


def _mark(belief: Belief, step: Step) -> Belief:
    """Take a person's word at once; looks go on underneath as if nobody had spoken."""
    now, verdict = step.now, _MARKS[step.finding.reason]
    until = step.known.until or now + step.policy.human_term
    underlying = belief.underlying or belief
    marked = Belief(
        verdict=verdict,
        reason=step.finding.reason,
        since=now,
        last_look_at=underlying.last_look_at,
        next_look_at=_not_after(underlying.next_look_at, until, step),
        last_alive_at=underlying.last_alive_at,
        last_alive_by=underlying.last_alive_by,
        human_until=until,
        underlying=underlying,
    )
    return seen_alive(marked, now, "human") if verdict is Verdict.OK else marked


def _not_after(planned: datetime | None, until: datetime, step: Step) -> datetime | None:
    """Look when the mark ends, so that the findings since then decide without delay."""
    if planned is None or planned <= until:
        return planned
    return max(until, step.now + step.policy.retry_floor)


def _clear(belief: Belief, _step: Step) -> Belief:
    return belief.underlying or belief


def _under_mark(belief: Belief, underlying: Belief, step: Step) -> Belief:
    reason = step.finding.reason
    if reason in _MARKS:
        return _mark(belief, step)
    if reason == MARK_CLEARED.reason:
        planned = underlying.next_look_at or belief.next_look_at
        return replace(underlying, next_look_at=planned)
    current = _without_mark(underlying, step)
    if current is underlying:
        return belief
    until = belief.human_until
    if until is None or step.now >= until:
        return seen_alive(current, belief.last_alive_at, belief.last_alive_by or "human")
    seen = replace(
        belief,
        underlying=current,
        last_look_at=current.last_look_at,
        next_look_at=_not_after(current.next_look_at, until, step),
    )
    return seen_alive(seen, current.last_alive_at, current.last_alive_by or "here")


_EVENTS: Mapping[str, Callable[[Belief, Step], Belief]] = {
    "offline": _offline,
    "partial-outage": _outage,
    "provider-outage": _outage,
    "captive-portal": _outage,
    ALIVE_ELSEWHERE.reason: _capture_lives,
    NO_NEWER_CAPTURE.reason: _no_newer_capture,
    ARCHIVE_NOT_FOUND.reason: _archive_refused,
    MARKED_ALIVE.reason: _mark,
    MARKED_GONE.reason: _mark,
    MARK_CLEARED.reason: _clear,
}
