"""From findings to belief: what we hold of a link after all its looks (design §5).

`settle` is pure and total. Everything that moves a belief is a row of `looks`, so a belief is
always one fold over a link's rows in the order of their ids (`fold`, law 1):

* vantage `here`: findings of our own looks;
* vantage `archive`: `ALIVE_ELSEWHERE` (the archive has a living capture, `Known` says of when),
  `NO_NEWER_CAPTURE` (asked and answered: none newer than the first bad look),
  `ARCHIVE_NOT_FOUND` (the archive's own crawler was told "not found", or found no such name;
  a strong look, counted once per episode);
* vantage `human`: `MARKED_ALIVE`, `MARKED_GONE` (`Known.until` says how long), `MARK_CLEARED`.

Beside its finding a row keeps what else was `Known` at that moment. Good looks leave nothing
behind but their time, so thinning good looks between two good looks of the same reason never
changes a fold.

An *episode* is what happens between two good looks. `belief.other` counts, in a row, the looks
that the present verdict does not yet believe (design §5; reference checking §7.1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from archiver.checking.policy import Policy
from archiver.checking.schedule import (
    blocked_interval,
    failing_interval,
    good_interval,
    next_look,
)
from archiver.model import ALIVE, Belief, Finding, Run, Strength, Verdict

ALIVE_ELSEWHERE = Finding(None, "alive-elsewhere", answered=False)
NO_NEWER_CAPTURE = Finding(None, "no-newer-capture", answered=False)
ARCHIVE_NOT_FOUND = Finding(Verdict.FAILING, "archive-not-found", Strength.STRONG, answered=False)
MARKED_ALIVE = Finding(Verdict.OK, "marked-alive", answered=False)
MARKED_GONE = Finding(Verdict.FAILING, "marked-gone", Strength.STRONG, answered=False)
MARK_CLEARED = Finding(None, "mark-cleared", answered=False)

_MARKS = {"marked-alive": Verdict.OK, "marked-gone": Verdict.DEAD}


@dataclass(frozen=True, slots=True)
class Known:
    """What else was known when a look was settled; stored with the look, so that it replays.

    `host_answered_at`: the last HTTP answer of any *other* link of this host (a CDN's 521, 522,
    523 or 530 is none). `archive`: `off` when no archive will be asked, so that a death waits
    for nobody. `living_capture_at`: when the newest capture that lives (2xx and no soft 404)
    was made. `until`: how long a person's mark holds.
    """

    host_answered_at: datetime | None = None
    archive: str = "asked"
    living_capture_at: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Step:
    """One look to be settled, with its surroundings."""

    finding: Finding
    known: Known
    now: datetime
    policy: Policy
    url: str

    def next(self, base: timedelta, attempt: int) -> datetime:
        return next_look(
            self.now,
            base,
            self.policy,
            url=self.url,
            attempt=attempt,
            retry_after=self.finding.retry_after,
        )


def settle(
    belief: Belief, finding: Finding, known: Known, now: datetime, policy: Policy, *, url: str
) -> Belief:
    """Fold one finding into the belief and set when to look next.

    `now` is the look's own time (whole seconds count). A void finding (`verdict` None) moves
    no counter: after an offline look the belief is the same object. Design §5, reference
    checking §7.
    """
    step = _Step(finding, known, now.replace(microsecond=0), policy, url)
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


def _without_mark(belief: Belief, step: _Step) -> Belief:
    finding = step.finding
    special = _EVENTS.get(finding.reason)
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


def _good(belief: Belief, step: _Step) -> Belief:
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


def _good_reason(step: _Step, flips: tuple[datetime, ...], drift_since: datetime | None) -> str:
    if _is_flapping(flips, step.policy):
        return "flapping"
    # Drift is believed from the second such look, at least a week after the first
    # (reference linkrot §4); until then the page is simply there.
    if drift_since is not None and step.now - drift_since < step.policy.drift_gap:
        return "ok"
    return step.finding.reason


def _recent(flips: tuple[datetime, ...], step: _Step) -> tuple[datetime, ...]:
    return tuple(flip for flip in flips if step.now - flip < step.policy.flap_window)[-8:]


def _is_flapping(flips: tuple[datetime, ...], policy: Policy) -> bool:
    return len(flips) >= policy.flap_count


# --- refusals ---------------------------------------------------------------------------------


def _refused(belief: Belief, step: _Step) -> Belief:
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
        return _with_confirmations(seen, policy)
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


def _bad(belief: Belief, step: _Step) -> Belief:
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


def _expired(belief: Belief, step: _Step) -> Belief:
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


def _count(belief: Belief, step: _Step) -> Belief:
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


def _stays_alive(belief: Belief, step: _Step) -> bool:
    """A look that proves nothing leaves a living link alive, until a second one 20 h later."""
    if belief.verdict not in ALIVE or step.finding.strength is not Strength.NONE:
        return False
    started = belief.other.first_at
    return started is None or step.now - started < step.policy.counted_gap


def _stays_blocked(belief: Belief, step: _Step) -> bool:
    """Reference checking §7.1, column `blocked`: only strong looks, or two weak ones, count."""
    if belief.verdict is not Verdict.BLOCKED:
        return False
    if step.finding.strength is Strength.STRONG:
        return False
    return step.finding.strength is Strength.NONE or belief.other.count == 0


def _fail(belief: Belief, step: _Step) -> Belief:
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
    elsewhere = belief.verdict is Verdict.BLOCKED and belief.reason == ALIVE_ELSEWHERE.reason
    bad = replace(
        belief,
        verdict=Verdict.FAILING,
        reason="flapping" if flapping else finding.reason,
        since=belief.since if failing else now,
        other=Run(),
        attempt=attempt,
        good_since=None,
        drift_since=None,
        flips=flips,
    )
    if ours:
        bad = replace(bad, last_look_at=now, next_look_at=step.next(interval, attempt))
    if elsewhere and _vouched(bad, step):
        return _elsewhere(belief, bad, step)
    return _conclude(bad, step, finding.reason)


# --- from failing to dead ---------------------------------------------------------------------


def _conclude(belief: Belief, step: _Step, reason: str) -> Belief:
    """Let a failing belief become dead, wait for the archive, or give way to a living copy."""
    run = _confirmed(belief, step)
    if run is None:
        return _with_confirmations(belief, step.policy)
    if _vouched(belief, step):
        return _elsewhere(belief, belief, step)
    if not _archive_has_spoken(belief, step):
        return _wait(belief, step)
    dead = replace(
        belief,
        verdict=Verdict.DEAD,
        reason=reason,
        since=run.first_at,
        waiting_since=None,
        next_look_at=step.next(step.policy.interval_dead, 0),
    )
    return _with_confirmations(dead, step.policy)


def _confirmed(belief: Belief, step: _Step) -> Run | None:
    """Return the run that proves the death, or None while nothing does."""
    policy, strong, weak = step.policy, belief.strong, belief.weak
    if strong.count >= policy.strong_looks and _span(strong) >= policy.strong_span:
        return strong
    if weak.count < policy.weak_looks or _span(weak) < policy.weak_span:
        return None
    answered = step.known.host_answered_at
    # Another link of a silent host that answers proves that the host is up: then this page is
    # hard to reach, not gone, for as long as this run lasts (reference checking §7.3, 16).
    if answered is not None and weak.first_at is not None and answered >= weak.first_at:
        return None
    return weak


def _span(run: Run) -> timedelta:
    if run.first_at is None or run.last_at is None:
        return timedelta(0)
    return run.last_at - run.first_at


def _vouched(belief: Belief, step: _Step) -> bool:
    """Say whether a living capture, made after the first failing look, outvotes us."""
    living, first = _newest_capture(belief, step), belief.first_bad_at
    if living is None or first is None or living <= first:
        return False
    refused = belief.archive_counted_at
    if refused is not None and refused > living:
        return False
    return step.now - living < step.policy.capture_vouches


def _newest_capture(belief: Belief, step: _Step) -> datetime | None:
    known = [
        moment
        for moment in (belief.living_capture_at, step.known.living_capture_at)
        if moment is not None and moment <= step.now
    ]
    return max(known, default=None)


def _archive_has_spoken(belief: Belief, step: _Step) -> bool:
    if step.known.archive == "off":
        return True
    answered, first = belief.archive_answered_at, belief.first_bad_at
    fresh = answered is not None and step.now - answered <= step.policy.archive_answer_holds
    if fresh and answered is not None and first is not None and answered >= first:
        return True
    waiting = belief.waiting_since
    return waiting is not None and step.now - waiting >= step.policy.archive_wait


def _wait(belief: Belief, step: _Step) -> Belief:
    """Keep failing until the archive answers, at most a week."""
    since = belief.waiting_since or step.now
    deadline = max(since + step.policy.archive_wait, step.now + step.policy.retry_floor)
    planned = belief.next_look_at
    waiting = replace(
        belief,
        waiting_since=since,
        next_look_at=min(planned, deadline) if planned and planned > step.now else deadline,
    )
    return _with_confirmations(waiting, step.policy)


def _elsewhere(before: Belief, belief: Belief, step: _Step) -> Belief:
    """Believe the living copy: blocked for us, alive for others; our counters are kept."""
    living = _newest_capture(belief, step)
    stays = before.verdict is Verdict.BLOCKED and before.reason == ALIVE_ELSEWHERE.reason
    blocked = replace(
        belief,
        verdict=Verdict.BLOCKED,
        reason=ALIVE_ELSEWHERE.reason,
        since=before.since if stays else step.now,
        waiting_since=None,
        # When the capture is too old to vouch, the archive has to be asked again.
        archive_answered_at=None,
        living_capture_at=living,
        confirmations=0,
        needed=0,
        next_look_at=step.next(step.policy.interval_blocked, 0),
    )
    return _seen_alive(blocked, living, "capture")


def _with_confirmations(belief: Belief, policy: Policy) -> Belief:
    """Note how many looks count towards death, of how many (contract §4)."""
    if belief.strong.count:
        return replace(belief, confirmations=belief.strong.count, needed=policy.strong_looks)
    if belief.weak.count:
        return replace(belief, confirmations=belief.weak.count, needed=policy.weak_looks)
    return replace(belief, confirmations=0, needed=0)


def _seen_alive(belief: Belief, moment: datetime | None, by: str) -> Belief:
    if moment is None or (belief.last_alive_at is not None and moment <= belief.last_alive_at):
        return belief
    return replace(belief, last_alive_at=moment, last_alive_by=by)


# --- what is no look of ours ------------------------------------------------------------------


def _offline(belief: Belief, _step: _Step) -> Belief:
    return belief


def _outage(belief: Belief, step: _Step) -> Belief:
    """Recorded, not counted: we only come back in a few hours (reference checking §6)."""
    return replace(
        belief,
        last_look_at=step.now,
        next_look_at=step.next(step.policy.interval_outage, 0),
    )


def _capture_lives(belief: Belief, step: _Step) -> Belief:
    living = _newest_capture(belief, step)
    told = _seen_alive(replace(belief, living_capture_at=living), living, "capture")
    if belief.verdict is Verdict.DEAD and _vouched(told, step):
        return _elsewhere(belief, told, step)
    if belief.verdict is Verdict.FAILING:
        return _conclude(replace(told, archive_answered_at=step.now), step, belief.reason)
    return told


def _no_newer_capture(belief: Belief, step: _Step) -> Belief:
    """The archive's answer: a death that waited for it is settled at once."""
    if belief.verdict is not Verdict.FAILING:
        return belief
    return _conclude(replace(belief, archive_answered_at=step.now), step, belief.reason)


def _archive_refused(belief: Belief, step: _Step) -> Belief:
    """The archive's crawler was told the page is not there: one strong look per episode."""
    if belief.verdict not in (Verdict.FAILING, Verdict.BLOCKED):
        return belief
    current = _expired(belief, step)
    if current.archive_counted_at is not None:
        return belief
    counted = replace(_count(current, step), blocked=current.blocked)
    return _fail(replace(counted, archive_counted_at=step.now), step)


# --- a person's word --------------------------------------------------------------------------


def _mark(belief: Belief, step: _Step) -> Belief:
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
    return _seen_alive(marked, now, "human") if verdict is Verdict.OK else marked


def _not_after(planned: datetime | None, until: datetime, step: _Step) -> datetime | None:
    """Look when the mark ends, so that the findings since then decide without delay."""
    if planned is None or planned <= until:
        return planned
    return max(until, step.now + step.policy.retry_floor)


def _clear(belief: Belief, _step: _Step) -> Belief:
    return belief.underlying or belief


def _under_mark(belief: Belief, underlying: Belief, step: _Step) -> Belief:
    reason = step.finding.reason
    if reason in _MARKS:
        return _mark(belief, step)
    if reason == MARK_CLEARED.reason:
        return underlying
    current = _without_mark(underlying, step)
    if current is underlying:
        return belief
    until = belief.human_until
    if until is None or step.now >= until:
        return _seen_alive(current, belief.last_alive_at, belief.last_alive_by or "human")
    seen = replace(
        belief,
        underlying=current,
        last_look_at=current.last_look_at,
        next_look_at=_not_after(current.next_look_at, until, step),
    )
    return _seen_alive(seen, current.last_alive_at, current.last_alive_by or "here")


_EVENTS: Mapping[str, Callable[[Belief, _Step], Belief]] = {
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
