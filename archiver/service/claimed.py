"""What a file claims to be archived, beside what really is: the nearest capture to a claim."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from archiver.archiving.addresses import CaptureAddress, read_capture_url
from archiver.archiving.claims import nearest_capture
from archiver.clock import to_stamp
from archiver.model import Capture, Claim
from archiver.service.desk import Desk
from archiver.store import as_captures
from archiver.urls import capture_identity

_UNTRUE = frozenset(
    {Claim.MISSING, Claim.REDIRECTS_ELSEWHERE, Claim.NOT_A_CAPTURE, Claim.WRONG_URL}
)


def _proposable(desk: Desk, row: Mapping[str, Any]) -> list[Capture]:
    """Return the captures of the cited address that no playback has spoken against."""
    identity = capture_identity(row["cited_url"])
    stored = desk.store.archive.captures(row["link_id"])
    hopeful = [one for one in stored if one["judged"] in (None, "ok")]
    return [
        each for each in as_captures(hopeful) if capture_identity(each.original_url) == identity
    ]


def _is_claimed(capture: Capture, address: CaptureAddress | None) -> bool:
    """Say whether a capture is the very one that the claim names, which is not true."""
    return (
        address is not None
        and capture.captured_at == address.captured_at
        and capture_identity(capture.original_url) == capture_identity(address.original)
    )


def with_nearest_captures(desk: Desk, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield rows of a report; one whose claim is not true gets `claim_nearest`.

    That is the real capture nearest to the claimed moment: `archive_url`, `captured_at` and
    `distance_days` (whole days, absolute).
    """
    base = desk.settings.archive.playback_url
    for row in rows:
        if row["archive_claim"] in _UNTRUE and row["link_id"] is not None:
            address = read_capture_url(row["archive_url_in_file"] or "", base)
            captures = [each for each in _proposable(desk, row) if not _is_claimed(each, address)]
            nearest = None if address is None else nearest_capture(captures, address.captured_at)
            if nearest is not None:
                row["claim_nearest"] = {
                    "archive_url": nearest.capture.archive_url,
                    "captured_at": to_stamp(nearest.capture.captured_at),
                    "distance_days": nearest.distance_days,
                }
        yield row
