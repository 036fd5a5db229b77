"""Playing captures back, by the decision table of reference wayback §4.3.

A playback answer is a capture only when it carries `Memento-Datetime` (RFC 7089): its status is
then the archived one. Redirects are followed by hand, inside the configured archive only.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from archiver.archiving.addresses import (
    CaptureAddress,
    capture_url,
    join,
    read_capture_url,
    within_reach,
    write_stamp,
)
from archiver.archiving.answers import ArchivedHop, Playback, PlaybackAnswer
from archiver.archiving.links import is_rel, read_links
from archiver.archiving.verify import REDIRECT_WINDOW, SAME_MOMENT
from archiver.archiving.wire import ArchiveWire, Failure, RawAnswer, retry_after
from archiver.clock import Clock
from archiver.records import record
from archiver.urls import wire_target

TIMEOUT = timedelta(seconds=60)
BODY_LIMIT = 256 * 1024  # read so much, then close (reference wayback §4.3)
DECODED_LIMIT = 512 * 1024
MAX_HOPS = 5
_MAX_REQUESTS = 10
# What an archive that answers well may hold, without a page that can be judged.
LOOP, UNREADABLE = "redirect-loop", "unreadable-encoding"

_EXCLUSION = re.compile(
    r"AccessControlException|URL has been excluded|excluded from the Wayback Machine"
    r"|[Bb]locked by robots",
)
_PREFIX = "x-archive-orig-"


@record
class _Path:
    """How far a playback has come: where it stands, and the captured redirects behind it."""

    asked: str
    here: CaptureAddress
    hops: tuple[ArchivedHop, ...] = ()


class PlaybackClient:
    """Plays captures of one Wayback Machine."""

    def __init__(self, wire: ArchiveWire, clock: Clock, *, playback_url: str) -> None:
        """Play at `playback_url`."""
        self._wire, self._clock, self._base = wire, clock, playback_url.rstrip("/")

    async def play(self, archive_url: str, *, leeway: timedelta = SAME_MOMENT) -> PlaybackAnswer:
        """Play one capture and follow its captured redirects, at most five.

        `archive_url` is an address at the endpoint, or one of web.archive.org, which is then
        asked for at the endpoint. A nearest capture within `leeway` counts as the one asked for.
        """
        address = read_capture_url(archive_url, self._base)
        if address is None:
            return PlaybackAnswer(Playback.MISSING, archive_url, detail="no-capture-address")
        path: _Path | PlaybackAnswer = _Path(archive_url, address)
        for _ in range(_MAX_REQUESTS):
            if isinstance(path, PlaybackAnswer):
                return path
            path = await self._step(path, leeway)
        if isinstance(path, PlaybackAnswer):
            return path
        return PlaybackAnswer(Playback.TROUBLE, archive_url, detail=LOOP)

    async def _step(self, path: _Path, leeway: timedelta) -> _Path | PlaybackAnswer:
        # A file may spell it with spaces or umlauts, which are not for a request line.
        original = wire_target("/" + path.here.original).removeprefix("/")
        url = capture_url(self._base, path.here.stamp, original, "id_")
        raw = await self._wire.read(url, within=TIMEOUT, limit=BODY_LIMIT)
        captured_at = memento_datetime(raw.headers)
        if captured_at is not None and raw.status is not None:
            return self._memento(path, raw, captured_at)
        return self._own_answer(path, raw, leeway)

    def _memento(
        self, path: _Path, raw: RawAnswer, captured_at: datetime
    ) -> _Path | PlaybackAnswer:
        """Take an archived answer: a page, an error, or a redirect to follow."""
        original = original_of(raw.headers) or path.here.original
        stamp, status = write_stamp(captured_at), raw.status or 0
        location = raw.headers.get("location") or raw.headers.get(_PREFIX + "location")
        if 300 <= status < 400 and status != 304 and location:
            hops = (*path.hops, ArchivedHop(status, original, captured_at))
            target = read_capture_url(location, self._base) or CaptureAddress(
                stamp, join(original, location)
            )
            if len(hops) > MAX_HOPS or target.original in {hop.original for hop in hops}:
                return _unfinished(path.asked, self._base, hops, LOOP)
            return _Path(path.asked, CaptureAddress(target.stamp, target.original), hops)
        address = capture_url(self._base, stamp, original)
        return read_memento(raw, path.asked, address, original, path.hops)

    def _own_answer(self, path: _Path, raw: RawAnswer, leeway: timedelta) -> _Path | PlaybackAnswer:
        """Read an answer of the archive itself (no `Memento-Datetime`)."""
        nearest = None
        if raw.status is not None and 300 <= raw.status < 400:
            nearest = read_capture_url(raw.headers.get("location", ""), self._base)
            if nearest is not None:
                return self._nearest(path, nearest, leeway)
        outcome, detail = _own_outcome(raw)
        if path.hops and outcome is Playback.MISSING:
            return _unfinished(path.asked, self._base, path.hops, "target-not-captured")
        pause = retry_after(raw.headers, self._clock.now())
        return PlaybackAnswer(outcome, path.asked, retry_after=pause, detail=detail)

    def _nearest(
        self, path: _Path, nearest: CaptureAddress, leeway: timedelta
    ) -> _Path | PlaybackAnswer:
        """Follow "found capture at …" when it is near enough, else name it."""
        if nearest == path.here:
            return PlaybackAnswer(Playback.TROUBLE, path.asked, detail=LOOP)
        wanted = path.hops[0].captured_at if path.hops else path.here.captured_at
        near = abs(nearest.captured_at - wanted) <= (REDIRECT_WINDOW if path.hops else leeway)
        if near:
            return replace(path, here=nearest)
        if path.hops:
            return _unfinished(path.asked, self._base, path.hops, "target-not-captured")
        return PlaybackAnswer(
            Playback.ELSEWHERE,
            path.asked,
            archive_url=capture_url(self._base, nearest.stamp, nearest.original),
            captured_at=nearest.captured_at,
            original=nearest.original,
        )


def read_memento(
    raw: RawAnswer,
    asked: str,
    archive_url: str,
    original: str,
    hops: tuple[ArchivedHop, ...] = (),
) -> PlaybackAnswer:
    """Read an answer that carries `Memento-Datetime`; its own `rel="original"` goes first."""
    captured_at = memento_datetime(raw.headers)
    body, readable = decode(raw.body, raw.headers.get("content-encoding", ""))
    if not readable:
        return PlaybackAnswer(Playback.TROUBLE, asked, detail=UNREADABLE)
    archived = _archived_headers(raw.headers)
    return PlaybackAnswer(
        Playback.MEMENTO,
        asked,
        archive_url=archive_url,
        captured_at=captured_at,
        original=original_of(raw.headers) or original,
        status=raw.status,
        content_type=archived.get("content-type") or raw.headers.get("content-type"),
        headers=archived,
        body=body[:DECODED_LIMIT],
        truncated=raw.truncated or len(body) > DECODED_LIMIT,
        hops=hops,
    )


def decode(body: bytes, encoding: str) -> tuple[bytes, bool]:
    """Return (decoded body, True), or (body, False) for an encoding we cannot read.

    The header lies at times (two of them, the first empty): the bytes decide (§4.3).
    """
    if body.startswith(b"\x1f\x8b"):
        return _inflate(body, 31), True
    word = encoding.strip().lower()
    if word == "deflate":
        return _inflate(body, 15 if body[:1] == b"\x78" else -15), True
    return body, word in ("", "identity", "gzip", "x-gzip") or not body


def _inflate(body: bytes, window: int) -> bytes:
    """Inflate at most a little more than the limit; a cut or broken stream gives what it has."""
    inflater = zlib.decompressobj(window)
    decoded = b""
    try:
        decoded = inflater.decompress(body, DECODED_LIMIT + 1)
    except zlib.error:
        return decoded or body
    return decoded


def _own_outcome(raw: RawAnswer) -> tuple[Playback, str]:
    if raw.failure is not None:
        refused = raw.failure is Failure.REFUSED
        return Playback.REFUSED if refused else Playback.TROUBLE, raw.failure.value
    signs = raw.headers.get("x-archive-wayback-runtime-error", "")
    if raw.status in (200, 403, 404) and _EXCLUSION.search(signs + raw.text[:20_000]):
        return Playback.EXCLUDED, "excluded"
    if raw.status == 404:
        return Playback.MISSING, "missing"
    if raw.status == 429:
        return Playback.THROTTLED, "http-429"
    return Playback.TROUBLE, f"http-{raw.status}"


def _unfinished(
    asked: str, base: str, hops: tuple[ArchivedHop, ...], detail: str
) -> PlaybackAnswer:
    """Return a captured redirect that leads to no capture: a memento, but of no page."""
    last = hops[-1]
    return PlaybackAnswer(
        Playback.MEMENTO,
        asked,
        archive_url=capture_url(base, write_stamp(last.captured_at), last.original),
        captured_at=last.captured_at,
        original=last.original,
        status=last.status,
        hops=hops[:-1],
        detail=detail,
    )


def memento_datetime(headers: Mapping[str, str]) -> datetime | None:
    """Read `Memento-Datetime` (RFC 7089 §2.1.1); None makes an answer the archive's own."""
    try:
        return within_reach(parsedate_to_datetime(headers.get("memento-datetime", "")))
    except (ValueError, OverflowError):
        return None


def original_of(headers: Mapping[str, str]) -> str | None:
    """Return the URL that a memento says it is of (RFC 7089 §2.2.1), None when it says nothing."""
    links = read_links(headers.get("link", ""))
    return next((address for address, told in links if is_rel(told, "original")), None)


def _archived_headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix(_PREFIX): value
        for name, value in headers.items()
        if name.startswith(_PREFIX)
    }
