"""The nouns of archiver, frozen, with nothing but meaning.

*Citation*: one entry of an event's sources. *Link*: one distinct URL. *Look*: one attempt to
see a link, from a vantage; it yields an *Observation* (facts only). *Finding*: what one look
says. *Belief*: what we hold after all looks. *Capture*: an archived copy (memento).
*Attempt*: one request to an archive to make one. *Claim*: an `archive_url` written in a file.

Outcomes are data. This module imports nothing of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from typing import Any

from archiver.records import record


class Verdict(StrEnum):
    """What we say of a link; everything finer is the reason."""

    UNCHECKED = "unchecked"
    OK = "ok"
    MOVED = "moved"
    BLOCKED = "blocked"
    FAILING = "failing"
    DEAD = "dead"


ALIVE = frozenset({Verdict.OK, Verdict.MOVED})


class Strength(StrEnum):
    """How much a bad look counts towards death (design §5)."""

    NONE = "none"
    WEAK = "weak"
    STRONG = "strong"


class Vantage(StrEnum):
    """From where a link was looked at."""

    HERE = "here"
    ARCHIVE = "archive"
    HUMAN = "human"


class ArchiveState(StrEnum):
    """What was seen of a link's archived copies (contract §2, "Archive states")."""

    NONE = "none"
    SEARCHING = "searching"
    QUEUED = "queued"
    PENDING = "pending"
    CAPTURED = "captured"
    ARCHIVED = "archived"
    LOST = "lost"
    EXCLUDED = "excluded"
    UNARCHIVABLE = "unarchivable"
    UNRECOVERABLE = "unrecoverable"


class Claim(StrEnum):
    """What became of an `archive_url` as written in a file (contract §2, `archive_claim`)."""

    ABSENT = "absent"
    CONFIRMED = "confirmed"
    MISSING = "missing"
    WRONG_URL = "wrong-url"
    NOT_A_CAPTURE = "not-a-capture"
    REDIRECTS_ELSEWHERE = "redirects-elsewhere"
    EXCLUDED = "excluded"
    OTHER_ARCHIVE = "other-archive"
    UNCHECKED = "unchecked"


class Level(StrEnum):
    """How bad a problem of an event file is."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


# Contract §2: the level of every citation problem, most severe first.
PROBLEM_LEVELS: Mapping[str, Level] = {
    "yaml-error": Level.ERROR,
    "bad-shape": Level.ERROR,
    "too-large": Level.ERROR,
    "unreadable-file": Level.ERROR,
    "not-a-url": Level.ERROR,
    "missing-url": Level.ERROR,
    "unsupported-scheme": Level.ERROR,
    "credentials-in-url": Level.ERROR,
    "duplicate-event-id": Level.ERROR,
    "bad-date": Level.WARNING,
    "is-archive-url": Level.WARNING,
    "expiring-url": Level.WARNING,
    "unencoded-characters": Level.WARNING,
    "duplicate-source": Level.WARNING,
    "archive-url-mismatch": Level.WARNING,
    "no-front-matter": Level.NOTE,
    "tracking-parameters": Level.NOTE,
    "missing-title": Level.NOTE,
    "missing-date": Level.NOTE,
    "invented-timestamp": Level.NOTE,
}


@record
class Problem:
    """Something to mend in an event file; `position` is None when it is the file's own.

    `source_key` and `event_line` say which citation it belongs to, where it belongs to one: a
    position alone is only unique within its key and its event.
    """

    path: str
    line: int
    position: int | None
    name: str
    message: str
    source_key: str | None = None
    event_line: int | None = None

    @property
    def level(self) -> Level:
        """Return the level the contract gives this problem."""
        return PROBLEM_LEVELS[self.name]


@record
class Event:
    """One event of an event file."""

    path: str
    line: int
    event_id: str | None
    date: str | None
    title: str | None
    importance: int | str | None


@record
class Citation:
    """One entry of `sources:` as the file has it.

    `line` is 1-based, of the URL's value (of the entry when there is none); `position` is
    1-based within its key. Dates are text as written. `link` is the canonical URL, None when
    the cited string is no usable http(s) URL.
    """

    path: str
    line: int
    position: int
    source_key: str
    event: Event
    cited_url: str
    link: str | None
    wire: str | None
    host: str | None
    title: str | None = None
    publisher: str | None = None
    tier: int | str | None = None
    date: str | None = None
    access_date: str | None = None
    archive_url: str | None = None


@record
class PageFacts:
    """What was read off one page, small enough to be stored with every look.

    `headings` are the first h1, `subheadings` the first h2 and h3; `opening` is the first
    visible text outside navigation; `signs` are the names of fingerprints found in the markup
    (reference checking §4). `text_length` counts visible characters outside navigation;
    `fingerprint` is "" for too little text; `truncated` says that not all of the page was read,
    so that "little text" proves nothing. `kind` is `html`, `text`, `binary` or `empty`.
    `is_brief` says that the cited title vouched for the page and no more was read than it takes
    to know that: what is left at its default (signs, subheadings) may be on the page all the same.
    """

    title: str = ""
    headings: tuple[str, ...] = ()
    subheadings: tuple[str, ...] = ()
    site_name: str = ""
    headline: str = ""
    open_graph_title: str = ""
    canonical_url: str = ""
    language: str = ""
    opening: str = ""
    signs: tuple[str, ...] = ()
    is_article: bool = False
    text_length: int = 0
    fingerprint: str = ""
    truncated: bool = False
    kind: str = "html"
    refresh_url: str = ""
    is_brief: bool = False


@record
class Hop:
    """One answer on the way: its status and the URL that gave it."""

    status: int
    url: str


@record
class Observation:
    """What one look saw: facts only, no judgement.

    `error` is a stable kebab-case word (`dns-gone`, `connect-timeout`, `tls-expired`, …) when
    the look ended below HTTP or in an answer we could not read; with a certificate fault whose
    page was then fetched without verification, both `error` and `status` are set. `duration`
    is in seconds, `retry_after` in seconds from `looked_at`. `headers` holds the few that
    rules read, names in lower case. `addresses` has, for every name asked on the way, all it
    resolved to: for the vote on the batch (`checking.online`), and not stored.
    """

    url: str
    looked_at: datetime
    status: int | None = None
    error: str | None = None
    final_url: str | None = None
    redirects: tuple[Hop, ...] = ()
    duration: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str | None = None
    page: PageFacts | None = None
    retry_after: int | None = None
    vantage: Vantage = Vantage.HERE
    addresses: tuple[frozenset[str], ...] = ()

    @property
    def answered(self) -> bool:
        """Say whether the host gave an HTTP answer at all."""
        return self.status is not None


@record
class Finding:
    """What one look says. `verdict` None means the look is void (we were offline)."""

    verdict: Verdict | None
    reason: str
    strength: Strength = Strength.NONE
    signs: tuple[str, ...] = ()
    retry_after: int | None = None
    answered: bool = True

    @property
    def is_bad(self) -> bool:
        """Say whether this is a bad look."""
        return self.verdict is Verdict.FAILING


OFFLINE = Finding(None, "offline", answered=False)


@record
class Capture:
    """One memento as an index or a playback told it."""

    captured_at: datetime
    archive_url: str
    original_url: str
    status: int | None
    mime: str | None = None
    digest: str | None = None
    archive: str = "web.archive.org"
    source: str = "cdx"


@record
class HostState:
    """What is known of a host's patience: shared between processes and kept over restarts."""

    not_before: datetime | None = None
    last_request_at: datetime | None = None
    consecutive_pauses: int = 0


Row = Mapping[str, Any]


@record
class Run:
    """A run of counted looks of one kind: how many, the first and the last."""

    count: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None


@record
class Belief:
    """What we hold of a link after all looks; `settle` is the only thing that makes one.

    `since` is when the belief took this verdict (for `dead` the first bad look of the confirmed
    run). `confirmations` of `needed` count looks towards death. `last_alive_by` is `here`,
    `capture` or `human`. `waiting_since` is when a death was ready but for the archive's answer.
    While a person's mark holds (`human_until`), `underlying` is the belief without it.
    """

    verdict: Verdict = Verdict.UNCHECKED
    reason: str = "never-looked"
    since: datetime | None = None
    last_look_at: datetime | None = None
    next_look_at: datetime | None = None
    last_alive_at: datetime | None = None
    last_alive_by: str | None = None
    good_since: datetime | None = None
    first_bad_at: datetime | None = None
    last_bad_at: datetime | None = None
    strong: Run = Run()
    weak: Run = Run()
    blocked: Run = Run()
    other: Run = Run()
    attempt: int = 0
    confirmations: int = 0
    needed: int = 0
    waiting_since: datetime | None = None
    archive_answered_at: datetime | None = None
    archive_counted_at: datetime | None = None
    living_capture_at: datetime | None = None
    drift_since: datetime | None = None
    flips: tuple[datetime, ...] = ()
    human_until: datetime | None = None
    underlying: Belief | None = None
