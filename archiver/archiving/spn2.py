"""Save Page Now 2 with account keys (reference wayback §1): submit, poll, status.

The keys go to https://web.archive.org or to loopback, in one header, and nowhere else (law 13).
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from archiver.archiving.addresses import capture_url, is_stamp, read_stamp
from archiver.archiving.answers import JobState, Outcome, PollAnswer, SubmitAnswer, Trouble
from archiver.archiving.eligibility import is_loopback_url
from archiver.archiving.pacing import Account
from archiver.archiving.wire import ArchiveWire, Failure, RawAnswer, retry_after
from archiver.clock import Clock
from archiver.errors import ConfigurationError
from archiver.model import Capture
from archiver.records import record
from archiver.urls import capture_identity

STATUS_TIMEOUT = timedelta(seconds=30)
BODY_LIMIT = 1024 * 1024
_TEXT_LIMIT = 8192  # what follows is searched by patterns: no megabyte of hostile text
JOBS_PER_REQUEST = 50  # reference wayback §1.6

_JOB_IN_PAGE = re.compile(r"watchJob\(\s*[\"'](spn2-[0-9A-Za-z-]+)")
_AGE = re.compile(r"(?<!\d)(\d+)\s*(day|hour|minute|second|hr|min|sec|d|h|m|s)", re.I)
_UNIT_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_RECENT = re.compile(r"same snapshot had been made|captured \d+ (?:seconds?|minutes?) ago", re.I)
_DELAYED = re.compile(r"capture will (?:start|begin) in\s*(.*?)(?:because|\.|$)", re.I | re.S)
_DELAY_CAP = 86400

# Reference wayback §1.5: texts drift, so they only decide where there is no `status_ext`.
# The first row that matches counts; "(HTTP status=NNN)" is read after them.
_MESSAGES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.I), code)
    for pattern, code in (
        (r"need to be logged in", "keys-refused"),
        (r"already reached the limit of active", "user-session-limit"),
        (r"already captured [\d,]+ times today", "too-many-daily-captures"),
        (r"daily limit we have set for that resource type", "too-many-daily-captures"),
        (r"cannot make more than .*captures per day", "daily-limit"),
        (r"daily not-logged-in captures limit", "daily-limit"),
        (r"cannot start capture", "celery"),
        (r"encountered an internal error", "internal-server-error"),
        (r"crawling this host is paused", "host-paused"),
        (r"chrome-error://", "no-browsers-available"),
        (r"save page now service block list", "blocked-url"),
        (r"ip address is in the .*block list", "blocked-client-ip"),
        (r"excluded from the wayback machine|blocked by robots", "excluded"),
        (r"delay in registering this snapshot", "job-failed"),
        (r"because it was unreachable", "no-captures"),
    )
)
_HTTP_STATUS = re.compile(r"\(HTTP status=(\d{3})\)")
_LIVE_PAGE = re.compile(r"live page is not available", re.I)

# What a code says of the archive as a whole rather than of this URL.
_TROUBLES: Mapping[str, Trouble] = {
    "user-session-limit": Trouble.SLOTS,
    "daily-limit": Trouble.DAILY,
    "max-daily-bandwidth": Trouble.DAILY,
    "max-daily-bandwidth-from-ip": Trouble.DAILY,
    "keys-refused": Trouble.KEYS,
    "blocked-client-ip": Trouble.KEYS,
}


@record
class AccountKeys:
    """The S3-style keys of an archive.org account; never shown."""

    access: str = field(repr=False)
    secret: str = field(repr=False)


@record
class AccountAnswer:
    """What the archive said of the account, or why it did not; `retry_after` is in seconds."""

    figures: Account | None
    trouble: Trouble = Trouble.NONE
    retry_after: int | None = None


def may_carry_keys(url: str) -> bool:
    """Say whether keys may be sent to an endpoint: web.archive.org over TLS, or loopback."""
    return bool(re.match(r"^https://web\.archive\.org(?::443)?(?:/|$)", url)) or is_loopback_url(
        url
    )


class SavePageNow:
    """The capture service, for one account."""

    def __init__(
        self,
        wire: ArchiveWire,
        clock: Clock,
        keys: AccountKeys,
        *,
        save_url: str,
        playback_url: str,
        submit_timeout: timedelta = timedelta(seconds=120),
    ) -> None:
        """Refuse an endpoint that must not see the keys (ConfigurationError)."""
        if not may_carry_keys(save_url):
            raise ConfigurationError(
                "The archive.org keys are never sent to the configured archive.save_url.",
                "Use https://web.archive.org/save, or remove the keys.",
            )
        self._wire, self._clock = wire, clock
        self._base, self._playback_url = save_url.rstrip("/"), playback_url
        self._submit_timeout, self._keys = submit_timeout, keys
        self._headers = {
            "Accept": "application/json",
            "Authorization": f"LOW {keys.access}:{keys.secret}",
        }

    async def submit(self, url: str, *, unless_newer_than: timedelta | None = None) -> SubmitAnswer:
        """Ask for a capture; never `capture_all` (it archives walls and error pages)."""
        form = {"url": url, "capture_all": "0", "skip_first_archive": "1"}
        if unless_newer_than is not None:
            form["if_not_archived_within"] = str(int(unless_newer_than.total_seconds()))
        raw = await self._wire.ask(
            "POST",
            self._base,
            within=self._submit_timeout,
            limit=BODY_LIMIT,
            headers=self._headers,
            form=form,
        )
        answer = read_submit(raw, self._clock.now())
        return replace(answer, message=self._without_keys(answer.message))

    async def poll(self, jobs: Mapping[str, str]) -> dict[str, PollAnswer]:
        """Ask how jobs (id → the URL submitted) stand, in batches; every job has an answer."""
        ids = list(jobs)
        answers: dict[str, PollAnswer] = {}
        for start in range(0, len(ids), JOBS_PER_REQUEST):
            batch = ids[start : start + JOBS_PER_REQUEST]
            raw = await self._ask_jobs(batch)
            part = read_jobs(raw, {each: jobs[each] for each in batch}, self._playback_url)
            pause = retry_after(raw.headers, self._clock.now())
            for each, value in part.items():
                message = self._without_keys(value.message)
                answers[each] = replace(value, message=message, retry_after=pause)
        return answers

    def _without_keys(self, message: str) -> str:
        """Take the keys out of a text that is stored and shown: a refusal may quote them."""
        for key in filter(None, (self._keys.access, self._keys.secret)):
            message = message.replace(key, "[key]")
        return message

    async def _ask_jobs(self, ids: Sequence[str]) -> RawAnswer:
        if len(ids) == 1:
            url = f"{self._base}/status/{quote(ids[0], safe='')}"
            return await self._get(url)
        return await self._wire.ask(
            "POST",
            f"{self._base}/status",
            within=STATUS_TIMEOUT,
            limit=BODY_LIMIT,
            headers=self._headers,
            form={"job_ids": ",".join(ids)},
        )

    async def user_status(self) -> AccountAnswer:
        """Return the account's figures; free of cost, and the proof that the keys are good."""
        # A stale cache is defeated by a random parameter (reference wayback §1.1).
        raw = await self._get(f"{self._base}/status/user?_t={secrets.token_hex(6)}")
        value = _json_object(raw) if raw.status == 200 else None
        if value is not None:
            return AccountAnswer(read_account(value))
        return AccountAnswer(None, trouble_of(raw), retry_after(raw.headers, self._clock.now()))

    async def system_status(self) -> str:
        """Return `ok`, `overloaded` or `unreachable` (§1.7); asked without keys."""
        raw = await self._wire.ask(
            "GET",
            f"{self._base}/status/system",
            within=STATUS_TIMEOUT,
            limit=BODY_LIMIT,
            headers={"Accept": "application/json"},
        )
        value = _json_object(raw) if raw.status == 200 else None
        if value is None:
            return "unreachable"
        return "ok" if value.get("status") == "ok" else "overloaded"

    async def _get(self, url: str) -> RawAnswer:
        return await self._wire.ask(
            "GET", url, within=STATUS_TIMEOUT, limit=BODY_LIMIT, headers=self._headers
        )


# -------------------------------------------------------------- reading, pure


def read_submit(raw: RawAnswer, now: datetime) -> SubmitAnswer:
    """Read the answer to a submission: cases A–O of reference wayback §1.4."""
    pause = retry_after(raw.headers, now)
    if raw.failure is not None:
        return _read_failure(raw.failure)
    value = _json_object(raw)
    if raw.status in (401, 403):  # G, I
        message = _text(value or {}, "message")
        return SubmitAnswer(
            Outcome.REFUSED, raw.status, code="keys-refused", message=message, trouble=Trouble.KEYS
        )
    if raw.status == 429 and not (value and _code_of(value)):  # J
        return SubmitAnswer(
            Outcome.THROTTLED, 429, trouble=Trouble.THROTTLED, code="http-429", retry_after=pause
        )
    if raw.status == 400 and value is None:  # H
        return SubmitAnswer(Outcome.REFUSED, 400, code="bad-request")
    if raw.status not in (200, 400, 429) or value is None:  # K, N, O
        return _read_page(raw, pause)
    return replace(_read_json(value, now), http_status=raw.status, retry_after=pause)


def _read_failure(failure: Failure) -> SubmitAnswer:
    if failure is Failure.REFUSED:  # M
        return SubmitAnswer(Outcome.FAILED, code="unreachable", trouble=Trouble.REFUSED)
    if failure is Failure.UNREACHABLE:
        return SubmitAnswer(Outcome.FAILED, code="unreachable", trouble=Trouble.OUTAGE)
    return SubmitAnswer(Outcome.UNKNOWN, code=failure.value, trouble=Trouble.OUTAGE)  # L


def _read_page(raw: RawAnswer, pause: int | None) -> SubmitAnswer:
    """Read an answer that is no JSON; a page of the service may still name the job (§1.2)."""
    job = _JOB_IN_PAGE.search(raw.text) if raw.status == 200 else None
    if job:
        return SubmitAnswer(Outcome.SUBMITTED, raw.status, job_id=job[1])
    code = f"http-{raw.status}" if raw.status != 200 else "no-json"
    return SubmitAnswer(
        Outcome.UNKNOWN, raw.status, code=code, trouble=Trouble.OUTAGE, retry_after=pause
    )


def _read_json(value: Mapping[str, Any], now: datetime) -> SubmitAnswer:
    message, job_id = _text(value, "message"), _text(value, "job_id") or None
    code = _code_of(value)
    if job_id is not None and value.get("status") != "error":
        delayed = _DELAYED.search(message)
        if delayed:  # D
            start = min(seconds_in(delayed[1]), _DELAY_CAP)
            return SubmitAnswer(Outcome.DELAYED, job_id=job_id, message=message, start_in=start)
        return SubmitAnswer(Outcome.SUBMITTED, job_id=job_id, message=message)  # A, B
    if _RECENT.search(message):  # C
        age = timedelta(seconds=min(seconds_in(message.partition("ago")[0]), 100 * 365 * 86400))
        return SubmitAnswer(Outcome.RECENT, message=message, recent_at=now - age)
    if not code:
        return SubmitAnswer(Outcome.UNKNOWN, message=message, code="no-job-id")
    trouble = _TROUBLES.get(code, Trouble.NONE)
    outcome = Outcome.THROTTLED if trouble is Trouble.SLOTS else Outcome.REFUSED  # E, F
    return SubmitAnswer(outcome, code=code, message=message, trouble=trouble)


def _code_of(value: Mapping[str, Any]) -> str:
    """Return the refusal's code: `status_ext` where it is one, else what the text means."""
    code = _text(value, "status_ext").removeprefix("error:").strip()
    if code and " " not in code:
        return code[:80]
    # `status_ext` was once a whole sentence (reference wayback §1.6).
    sentence = f"{code} {_text(value, 'message')} {_text(value, 'exception')}"
    if known := code_in_message(sentence):
        return known
    return "unknown-error" if code or value.get("status") == "error" else ""


def code_in_message(message: str) -> str:
    """Return the code a message stands for (reference wayback §1.5), "" when it says nothing."""
    for pattern, code in _MESSAGES:
        if pattern.search(message):
            return code
    if match := _HTTP_STATUS.search(message):
        return f"http-{match[1]}"
    return "live-page-not-available" if _LIVE_PAGE.search(message) else ""


def seconds_in(text: str) -> int:
    """Return the seconds of `1 hour, 34 minutes` and the like; 0 when there are none."""
    return sum(
        int(count[:9]) * _UNIT_SECONDS[unit[0].lower()] for count, unit in _AGE.findall(text)
    )


def read_jobs(raw: RawAnswer, jobs: Mapping[str, str], playback_url: str) -> dict[str, PollAnswer]:
    """Read job statuses: one object or a list (reference wayback §1.6)."""
    if raw.status == 404 and len(jobs) == 1:
        return {each: PollAnswer(JobState.EXPIRED, each, code="http-404") for each in jobs}
    trouble = Trouble.NONE if raw.status == 200 else trouble_of(raw)
    answers = {each: PollAnswer(JobState.UNANSWERED, each, trouble=trouble) for each in jobs}
    if raw.status != 200:
        return answers
    if len(jobs) == 1 and not raw.body.strip():
        return {each: PollAnswer(JobState.EXPIRED, each, code="empty") for each in jobs}
    value = _json(raw)
    entries = value if isinstance(value, list) else [value]
    for entry in entries:
        if not isinstance(entry, Mapping):
            continue
        job_id = _text(entry, "job_id") or (next(iter(jobs)) if len(jobs) == 1 else "")
        if job_id in jobs:
            answers[job_id] = read_job(entry, job_id, jobs[job_id], playback_url)
    return answers


def read_job(entry: Mapping[str, Any], job_id: str, url: str, playback_url: str) -> PollAnswer:
    """Read one job's status; half a success is no success."""
    status, message = entry.get("status"), _text(entry, "message")
    if status == "pending":
        return PollAnswer(JobState.PENDING, job_id)
    if status == "success":
        final, stamp = _text(entry, "original_url").strip(), _text(entry, "timestamp")
        if not final or not is_stamp(stamp):
            return PollAnswer(JobState.UNANSWERED, job_id, message="half an answer")
        capture = _own_capture(url, final, stamp, entry.get("http_status"), playback_url)
        return PollAnswer(JobState.SUCCESS, job_id, capture=capture, final_url=final)
    if status == "error":
        if not _text(entry, "status_ext") and not _text(entry, "job_id"):
            return PollAnswer(JobState.EXPIRED, job_id, message=message)
        code = _code_of(entry)
        trouble = _TROUBLES.get(code, Trouble.NONE)
        return PollAnswer(JobState.ERROR, job_id, code=code, message=message, trouble=trouble)
    return PollAnswer(JobState.UNANSWERED, job_id, message=message)


def _own_capture(url: str, final: str, stamp: str, status: Any, playback_url: str) -> Capture:
    """Name the capture of the URL submitted: behind redirects it is a 30x at about that moment."""
    same = capture_identity(final) == capture_identity(url)
    known = status if same and isinstance(status, int) and 200 <= status < 300 else None
    return Capture(
        captured_at=read_stamp(stamp),
        archive_url=capture_url(playback_url, stamp, final if same else url),
        original_url=final if same else url,
        status=known,
        source="spn2",
    )


def read_account(value: Mapping[str, Any]) -> Account:
    """Read the account's figures; each may be missing (reference wayback §1.7)."""

    def figure(name: str) -> int | None:
        number = value.get(name)
        return number if isinstance(number, int) and not isinstance(number, bool) else None

    return Account(
        figure("available"),
        figure("processing"),
        figure("daily_captures"),
        figure("daily_captures_limit"),
    )


def trouble_of(raw: RawAnswer) -> Trouble:
    """Return what an answer that is no proper one says of the archive."""
    if raw.failure is Failure.REFUSED:
        return Trouble.REFUSED
    if raw.status in (401, 403):
        return Trouble.KEYS
    return Trouble.THROTTLED if raw.status == 429 else Trouble.OUTAGE


def _json(raw: RawAnswer) -> Any:
    """Return the JSON value, None when there is none (also a cut or too deep one)."""
    if raw.truncated or not (raw.content_type.endswith("json") or raw.body[:1] in (b"{", b"[")):
        return None
    try:
        return json.loads(raw.text)
    except (ValueError, RecursionError):
        return None


def _json_object(raw: RawAnswer) -> Mapping[str, Any] | None:
    value = _json(raw)
    return value if isinstance(value, dict) else None


def _text(value: Mapping[str, Any], name: str) -> str:
    """Return a field as text, cut where no honest one ends; a null or another type is ""."""
    found = value.get(name)
    return found[:_TEXT_LIMIT] if isinstance(found, str) else ""
