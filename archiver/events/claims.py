"""What can be said of an `archive_url` without asking the archive."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

from archiver.text import shown
from archiver.urls import (
    Address,
    ArchivedAddress,
    BadAddress,
    capture_identity,
    parse_archive_url,
    read_address,
)

_ARCHIVE_LIKE = re.compile(r"^https?://[^/]+/.*?([0-9]{14})[a-z_]{0,4}/(https?:/.+)$", re.I)
_SEARCH = "look for the right capture on https://web.archive.org, or remove the line."


def claim_problems(claim: str, address: Address | None) -> Iterator[tuple[str, str]]:
    """Yield (problem name, message) of a claim beside the address it is of.

    `archive-url-mismatch`: malformed, with a wildcard, or of another URL (design §2);
    `invented-timestamp`: it ends in 000000, which a crawler meets once in a million seconds.
    """
    mismatch = _mismatch(claim, address)
    if mismatch is not None:
        yield "archive-url-mismatch", f"The archive_url {mismatch}; {_SEARCH}"
    archived = parse_archive_url(claim)
    if archived is not None and (archived.timestamp or "").rstrip("*").endswith("000000"):
        when = shown(archived.timestamp, 20)
        message = f"The timestamp {when} of the archive_url looks made up; {_SEARCH}"
        yield "invented-timestamp", message


def _mismatch(claim: str, address: Address | None) -> str | None:
    read = read_address(claim)
    if isinstance(read, BadAddress):
        return "is no http(s) URL"
    archived = parse_archive_url(claim)
    if archived is None:
        match = _ARCHIVE_LIKE.match(claim)
        if match is None:
            return "is no address of a capture"
        archived = ArchivedAddress(read.host, match[1], "", match[2])
    if archived.archive == "web.archive.org":
        malformed = _malformed_timestamp(archived.timestamp)
        if malformed:
            return malformed
    if archived.original and address and not _is_of(archived.original, address):
        return f"is of another URL, {shown(archived.original, 120)}"
    return None


def _malformed_timestamp(stamp: str | None) -> str | None:
    """Return what is wrong with a Wayback timestamp; a shortened one is left to the archive."""
    if stamp is None:
        return "has no timestamp"
    if "*" in stamp:
        return "has a wildcard (*), which is a search and no capture"
    if len(stamp) == 14:
        try:
            datetime.strptime(stamp, "%Y%m%d%H%M%S")
        except ValueError:
            return f"has the timestamp {stamp}, which is no date and time"
    return None


def _is_of(original: str, address: Address) -> bool:
    """Say whether a capture's original is the cited URL, or the page an archive link stands for."""
    wanted = {capture_identity(address.cited), capture_identity(address.wire)}
    inner = parse_archive_url(address.cited)
    if inner is not None and inner.original:
        wanted.add(capture_identity(inner.original))
    return capture_identity(original) in wanted
