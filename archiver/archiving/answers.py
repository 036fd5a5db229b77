"""What an archive answered, as data: the words that pass between the clients and the pipeline.

The clients (`cdx`, `playback`, `anonymous`, `spn2`) only make these; the pipeline only reads
them. An outage or a throttle is an outcome of its own and never looks like "nothing there".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum

from archiver.model import Capture
from archiver.records import record


class Lookup(StrEnum):
    """How an index answered a look-up."""

    FOUND = "found"  # rows of this URL, of whatever status
    NOTHING = "nothing"  # a clean answer without a row of this URL
    EXCLUDED = "excluded"  # captures may exist but are hidden (reference wayback §3.3)
    THROTTLED = "throttled"
    TROUBLE = "trouble"  # 5xx, time-out, an answer that cannot be read
    REFUSED = "refused"  # connection refused: the archive's firewall (reference wayback §0.14)

    @property
    def is_clean(self) -> bool:
        """Say whether the archive really answered the question."""
        return self in (Lookup.FOUND, Lookup.NOTHING, Lookup.EXCLUDED)


@record
class LookupAnswer:
    """The answer of one look-up.

    `captures` are of the URL itself (`urls.capture_identity`), oldest first, without
    duplicates, revisits resolved; `variants` are of close variants (slash, tracking parameters).
    `retry_after` is in seconds. `requests` counts what was sent.
    """

    outcome: Lookup
    captures: tuple[Capture, ...] = ()
    variants: tuple[Capture, ...] = ()
    retry_after: int | None = None
    detail: str = ""
    requests: int = 1


class Playback(StrEnum):
    """How an archive answered the request to play one capture (reference wayback §4.3)."""

    MEMENTO = "memento"  # it carried Memento-Datetime; `status` is the archived status
    ELSEWHERE = "elsewhere"  # nothing at that moment; the archive names its nearest capture
    MISSING = "missing"
    EXCLUDED = "excluded"
    THROTTLED = "throttled"
    TROUBLE = "trouble"
    REFUSED = "refused"


@record
class ArchivedHop:
    """One captured redirect on the way to the page: its status, original URL and moment."""

    status: int
    original: str
    captured_at: datetime


@record
class PlaybackAnswer:
    """What playing one capture gave.

    For a memento: `archive_url` (without flag), `captured_at` and `original` are those of the
    page at the end of `hops`; `status`, `headers` (names in lower case, without the archive's
    prefix), `content_type` and `body` are the archived ones, decoded, cut at the byte limit.
    For `ELSEWHERE` they name the nearest capture and there is no body. `retry_after` is in
    seconds.
    """

    outcome: Playback
    asked: str
    archive_url: str | None = None
    captured_at: datetime | None = None
    original: str | None = None
    status: int | None = None
    content_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    truncated: bool = False
    hops: tuple[ArchivedHop, ...] = ()
    retry_after: int | None = None
    detail: str = ""

    @property
    def first_original(self) -> str | None:
        """Return the original URL of the first memento: the one that must be this URL."""
        return self.hops[0].original if self.hops else self.original

    @property
    def first_captured_at(self) -> datetime | None:
        """Return the moment of the first memento: the one that was asked for."""
        return self.hops[0].captured_at if self.hops else self.captured_at


class Outcome(StrEnum):
    """What became of a submission: the words of `attempts.outcome` (contract §2)."""

    SUBMITTED = "submitted"
    DELAYED = "delayed"
    RECENT = "recent"
    REFUSED = "refused"
    THROTTLED = "throttled"
    UNKNOWN = "unknown"
    CAPTURED = "captured"
    FAILED = "failed"
    EXPIRED = "expired"


class Trouble(StrEnum):
    """What an answer says about the archive as a whole; `pacing` turns it into a pause."""

    NONE = ""
    OUTAGE = "outage"  # cases K, L, N, O of reference wayback §1.4
    THROTTLED = "throttled"  # case J
    REFUSED = "refused"  # case M, the firewall
    KEYS = "keys"  # cases G, I
    SLOTS = "slots"  # case F
    DAILY = "daily"  # the account's or address's day is used up


@record
class SubmitAnswer:
    """The answer to one submission.

    `code` is the archive's `status_ext` without `error:`, or our own word; `message` its text,
    not yet made fit to be shown. `capture` is set when the answer itself names it. `start_in`
    and `retry_after` are in seconds. `recent_at` is when the recent capture was made, as told.
    """

    outcome: Outcome
    http_status: int | None = None
    job_id: str | None = None
    code: str = ""
    message: str = ""
    capture: Capture | None = None
    trouble: Trouble = Trouble.NONE
    retry_after: int | None = None
    start_in: int = 0
    recent_at: datetime | None = None


class JobState(StrEnum):
    """How a capture job stands."""

    PENDING = "pending"
    SUCCESS = "success"
    ERROR = "error"
    EXPIRED = "expired"  # the archive no longer knows the job; says nothing about its outcome
    UNANSWERED = "unanswered"  # throttled, an outage, or half an answer: ask again


@record
class PollAnswer:
    """How one job stands; `code`, `message`, `capture` and `retry_after` as in SubmitAnswer."""

    state: JobState
    job_id: str
    code: str = ""
    message: str = ""
    capture: Capture | None = None
    final_url: str | None = None
    trouble: Trouble = Trouble.NONE
    retry_after: int | None = None
