"""Every threshold of the checking room in one frozen place, with its default and its source.

The defaults are those of the configuration (contract §3, `[check]`) and of design §5; what the
configuration does not offer is a constant of the method, kept here so that a rule never hides a
number.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from archiver.records import record

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


class CheckOptions(Protocol):
    """The part of the `[check]` settings that judging and scheduling need."""

    @property
    def interval_ok(self) -> timedelta: ...
    @property
    def interval_ok_max(self) -> timedelta: ...
    @property
    def intervals_failing(self) -> Sequence[timedelta]: ...
    @property
    def interval_blocked(self) -> timedelta: ...
    @property
    def interval_dead(self) -> timedelta: ...
    @property
    def strong_looks(self) -> int: ...
    @property
    def strong_days(self) -> int: ...
    @property
    def weak_looks(self) -> int: ...
    @property
    def weak_days(self) -> int: ...
    @property
    def title_match(self) -> int: ...


@record
class Policy:
    """How much evidence is enough, and how often we look."""

    # Death (design §5, "failing … dead").
    strong_looks: int = 3
    strong_span: timedelta = 3 * DAY
    weak_looks: int = 5
    weak_span: timedelta = 30 * DAY
    counted_gap: timedelta = 20 * HOUR
    counters_expire: timedelta = 45 * DAY
    blocked_gap: timedelta = DAY
    archive_wait: timedelta = 7 * DAY
    # How long a living capture outvotes our own refusals. [judgement] Without an end a page
    # that died after its last capture could never be called dead.
    capture_vouches: timedelta = 180 * DAY
    # An answer older than this may miss a capture made since the page began to fail.
    archive_answer_holds: timedelta = DAY
    human_term: timedelta = 90 * DAY
    flap_count: int = 3
    flap_window: timedelta = 30 * DAY

    # When to look again (design §5; reference checking §7.2).
    interval_ok: timedelta = 7 * DAY
    interval_ok_max: timedelta = 30 * DAY
    intervals_failing: tuple[timedelta, ...] = (6 * HOUR, DAY, 2 * DAY, 3 * DAY)
    intervals_first_blocks: tuple[timedelta, ...] = (DAY, 3 * DAY, 7 * DAY)
    interval_blocked: timedelta = 14 * DAY
    interval_dead: timedelta = 30 * DAY
    interval_uncertain: timedelta = DAY
    interval_resurrected: timedelta = DAY
    interval_flapping: timedelta = 2 * DAY
    interval_outage: timedelta = 6 * HOUR
    jitter: float = 0.1
    retry_floor: timedelta = timedelta(seconds=60)
    retry_cap_link: timedelta = 30 * DAY
    retry_cap_host: timedelta = DAY
    pause_first: timedelta = timedelta(seconds=60)
    pause_longest: timedelta = HOUR

    # Titles (design §5, "The cited title protects"; reference checking §9).
    title_match: int = 70
    shared_words: int = 3
    slug_match: int = 85

    # Texts (reference checking §4, linkrot §3). All are counts of visible characters.
    short_text: int = 1500
    long_text: int = 5000
    parking_text: int = 4000
    broken_text: int = 2000
    redirect_text: int = 500

    # The sibling probe (design §5; reference checking §4.6).
    sibling_match: int = 90

    # Drift (reference linkrot §4): bits of 64, title similarity, two looks this far apart.
    same_text_bits: int = 12
    other_text_bits: int = 20
    drift_title: int = 60
    drift_gap: timedelta = 7 * DAY

    @property
    def longest_wait(self) -> timedelta:
        """Return a time that no look is put off for, whatever was found."""
        intervals = (
            *(self.interval_ok_max, *self.intervals_failing, self.interval_blocked),
            *(self.interval_dead, self.retry_cap_link),
        )
        return max(intervals) * (1 + self.jitter) + DAY

    @classmethod
    def from_settings(cls, check: CheckOptions) -> Policy:
        """Take over what the configuration's `[check]` section decides."""
        return cls(
            strong_looks=check.strong_looks,
            strong_span=check.strong_days * DAY,
            weak_looks=check.weak_looks,
            weak_span=check.weak_days * DAY,
            interval_ok=check.interval_ok,
            interval_ok_max=max(check.interval_ok, check.interval_ok_max),
            intervals_failing=tuple(check.intervals_failing) or (DAY,),
            interval_blocked=check.interval_blocked,
            interval_dead=check.interval_dead,
            title_match=check.title_match,
        )
