"""The vocabulary of the archive pipeline: what it must know, what it may ask for, what it gives.

Plain data; the decisions stand in `planning` and `steps`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from archiver.archiving.answers import Outcome
from archiver.archiving.choose import Wanted
from archiver.archiving.record import ArchiveRecord
from archiver.model import Capture, Verdict
from archiver.records import record

# Unless a fresh copy is wanted, a capture of the last half year serves (SPN2's
# `if_not_archived_within`): a false negative of the index then costs nothing.
HALF_A_YEAR = timedelta(days=180)


class ArchiveLimits(Protocol):
    """The part of the `[archive]` settings that the pipeline reads."""

    @property
    def submit_timeout(self) -> timedelta:
        """How long one submission may take."""

    @property
    def verify_after(self) -> timedelta:
        """How old a capture must be before its playback counts."""

    @property
    def reverify_every(self) -> timedelta:
        """How often an archived capture is played again."""

    @property
    def refresh_after(self) -> timedelta | None:
        """How old the newest capture of a living page may become; None for ever."""


@record
class Situation:
    """What must be known of a link, besides its record, to decide the next step.

    `mode` is `spn2`, `anonymous`, `lookup` or `off` (`auto` is resolved by the caller).
    `strong` says that the last counted look was strong evidence of death. `failing_since` is
    the first bad look of the present run. `refused` is `eligibility.refusal(url)`, or
    `private-address` when the checker found the name to point to one. `answer_wanted_since`:
    somebody (a death about to be believed) needs an index answer newer than this. `asked_at`: a
    person asked for this link then, and has not been answered; schedules give way, cool-downs do
    not. `wanted` has one entry per citation, the most important one first.
    """

    url: str
    verdict: Verdict = Verdict.UNCHECKED
    strong: bool = False
    failing_since: datetime | None = None
    mode: str = "anonymous"
    refused: str | None = None
    wanted: tuple[Wanted, ...] = ()
    answer_wanted_since: datetime | None = None
    asked_at: datetime | None = None
    tier: int | None = None
    importance: int | None = None

    @property
    def submits(self) -> bool:
        """Say whether this mode may submit at all."""
        return self.mode in ("spn2", "anonymous")

    @property
    def worth_capturing(self) -> bool:
        """Say whether a new capture could show the page (not one failing on strong evidence)."""
        if self.verdict is Verdict.FAILING:
            return not self.strong
        if self.verdict is Verdict.UNCHECKED:
            return self.asked_at is not None
        return self.verdict is not Verdict.DEAD


@record
class LookUp:
    """Ask the index about `url`, especially around these moments."""

    url: str
    around: tuple[datetime, ...] = ()


@record
class Submit:
    """Ask the archive to capture `url`; store the intent (`begin_submit`) first.

    `reserved`: it may use the part of the daily budget that is kept back.
    """

    url: str
    backend: str
    reserved: bool = False
    courtesy: bool = False
    refresh: bool = False
    unless_newer_than: timedelta = HALF_A_YEAR


@record
class Poll:
    """Ask how this job stands."""

    job_id: str


class Purpose(StrEnum):
    """Why a capture is played: the link's own copy, another citation's, or a sign of life."""

    CHOSEN = "chosen"
    ALSO = "also"
    WITNESS = "witness"


@record
class Verify:
    """Play this capture and judge the page."""

    capture: Capture
    purpose: Purpose = Purpose.CHOSEN


@record
class Conclude:
    """Store this record: something can be said without asking anybody."""

    record: ArchiveRecord


@record
class Wait:
    """Nothing before this moment."""

    until: datetime
    reason: str = ""


@record
class Nothing:
    """Nothing to do until the link's situation or the settings change."""

    reason: str = ""


Action = LookUp | Submit | Poll | Verify | Conclude | Wait | Nothing


@record
class AttemptEnd:
    """What to write into the open `attempts` row; `final` says to fill `ended_at` too."""

    outcome: Outcome
    http_status: int | None = None
    job_id: str | None = None
    code: str = ""
    message: str = ""
    capture_url: str | None = None
    final: bool = True


@record
class Step:
    """A step's result: the new record and what is to be stored beside it.

    `archive_saw` is what the archive's crawler saw of the page, as a reason word (`http-404`,
    `dns-gone`): a look of vantage `archive` (design §5), None when it says nothing. `judged` is
    what a playback proved about the capture played (`verify.Passed`), for its row.
    """

    record: ArchiveRecord
    captures: tuple[Capture, ...] = ()
    attempt: AttemptEnd | None = None
    archive_saw: str | None = None
    judged: str | None = None
