"""From failing to dead: enough evidence, and nobody who has seen the page since (design §5)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from archiver.checking.policy import Policy
from archiver.checking.step import ALIVE_ELSEWHERE, Step
from archiver.model import Belief, Run, Verdict

# The reason of a link that came and went three times within 30 days.
FLAPPING = "flapping"


def conclude(belief: Belief, step: Step, reason: str) -> Belief:
    """Let a failing belief become dead, wait for the archive, or give way to a living copy."""
    run = confirmed(belief, step)
    if run is None:
        return with_confirmations(belief, step.policy)
    if vouched(belief, step):
        return elsewhere(belief, belief, step)
    if belief.reason == FLAPPING:
        # What keeps coming back may do so once more (reference checking §7.3, 37).
        return with_confirmations(belief, step.policy)
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
    return with_confirmations(dead, step.policy)


def confirmed(belief: Belief, step: Step) -> Run | None:
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


def vouched(belief: Belief, step: Step) -> bool:
    """Say whether a living capture, made after the first failing look, outvotes us."""
    living, first = newest_capture(belief, step), belief.first_bad_at
    if living is None or first is None or living <= first:
        return False
    refused = belief.archive_counted_at
    if refused is not None and refused > living:
        return False
    return step.now - living < step.policy.capture_vouches


def newest_capture(belief: Belief, step: Step) -> datetime | None:
    known = [
        moment
        for moment in (belief.living_capture_at, step.known.living_capture_at)
        if moment is not None and moment <= step.now
    ]
    return max(known, default=None)


def _archive_has_spoken(belief: Belief, step: Step) -> bool:
    if step.known.archive == "off":
        return True
    answered, first = belief.archive_answered_at, belief.first_bad_at
    fresh = answered is not None and step.now - answered <= step.policy.archive_answer_holds
    if fresh and answered is not None and first is not None and answered >= first:
        return True
    waiting = belief.waiting_since
    return waiting is not None and step.now - waiting >= step.policy.archive_wait


def _wait(belief: Belief, step: Step) -> Belief:
    """Keep failing until the archive answers, at most a week."""
    since = belief.waiting_since or step.now
    deadline = max(since + step.policy.archive_wait, step.now + step.policy.retry_floor)
    planned = belief.next_look_at
    waiting = replace(
        belief,
        waiting_since=since,
        next_look_at=min(planned, deadline) if planned and planned > step.now else deadline,
    )
    return with_confirmations(waiting, step.policy)


def elsewhere(before: Belief, belief: Belief, step: Step) -> Belief:
    """Believe the living copy: blocked for us, alive for others; our counters are kept."""
    living = newest_capture(belief, step)
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
    return seen_alive(blocked, living, "capture")


def with_confirmations(belief: Belief, policy: Policy) -> Belief:
    """Note how many looks count towards death, of how many (contract §4)."""
    if belief.strong.count:
        return replace(belief, confirmations=belief.strong.count, needed=policy.strong_looks)
    if belief.weak.count:
        return replace(belief, confirmations=belief.weak.count, needed=policy.weak_looks)
    return replace(belief, confirmations=0, needed=0)


def seen_alive(belief: Belief, moment: datetime | None, by: str) -> Belief:
    if moment is None or (belief.last_alive_at is not None and moment <= belief.last_alive_at):
        return belief
    return replace(belief, last_alive_at=moment, last_alive_by=by)
