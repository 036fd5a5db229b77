"""What is told: one digest a run, the most important first, never more than twenty items.

Pure. Every string that came from an event file or the web passes `shown()` here; the text for
people holds addresses and places only, so that no title can speak in our name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from archiver.clock import to_stamp
from archiver.notify.channels import Parcel
from archiver.reasons import advice, in_words
from archiver.records import record
from archiver.text import shown

SCHEMA = 1
MOST_ITEMS = 20
# Addresses must stay whole to be of use; longer ones are cut so that a digest stays small.
_ADDRESS_LIMIT = 2_000
_ADDRESS_LIMIT_IN_TEXT = 500


class Kind(StrEnum):
    """Whether a digest tells how things stand at the start, or what changed since the last."""

    BASELINE = "baseline"
    CHANGES = "changes"


# occasion: (word before an address, what one did, what several did), most urgent first
_OCCASIONS: Mapping[str, tuple[str, str, str]] = {
    "dead": ("Dead", "1 link died", "{} links died"),
    "archive-failed": (
        "Not archived",
        "1 link has no archived copy to rely on",
        "{} links have no archived copy to rely on",
    ),
    "recovered": ("Back", "1 link is back", "{} links are back"),
}
_STANDING: Mapping[str, tuple[str, str]] = {
    "dead": ("1 is dead", "{} are dead"),
    "archive-failed": (
        "1 has no archived copy to rely on",
        "{} have no archived copy to rely on",
    ),
}
# What to do about a dead link without a copy: none is to be had, or none is known so far.
_NO_COPY = "Replace the source."
_NO_COPY_YET = (
    "Wait for a copy to be found ('archiver why URL' says how far it is), or replace the source."
)
# archive state: (what was seen, what a person does next)
_STATES: Mapping[str, tuple[str, str]] = {
    "lost": (
        "The archived copy was there and cannot be played back any more.",
        "Look for another copy ('archiver why URL'), or replace the source.",
    ),
    "excluded": (
        "The site is excluded from the archive.",
        "Keep a copy of your own, or cite another source beside it.",
    ),
    "unarchivable": (
        "The archive could not capture the page, or is not asked for such an address.",
        "Capture it by hand if it matters, or cite another source beside it.",
    ),
    "unrecoverable": (
        "The page is gone and no archive that was asked has a copy.",
        _NO_COPY,
    ),
}


@record
class Notice:
    """One link worth telling of, with the first place that cites it (None when unknown)."""

    occasion: str
    url: str
    verdict: str
    reason: str
    since: str | None
    archive_state: str
    archive_url: str | None = None
    path: str | None = None
    line: int | None = None
    event_id: str | None = None
    title: str | None = None
    citations: int = 0


@record
class Digest:
    """One message: `body` is the JSON that goes out, at most half a MiB, mostly a few KiB."""

    id: str
    kind: Kind
    body: bytes

    @property
    def parcel(self) -> Parcel:
        """Return it as it is sent."""
        return Parcel(self.id, self.body)


def build(
    kind: Kind,
    digest_id: str,
    made_at: datetime,
    notices: Sequence[Notice],
    counts: Mapping[str, int],
    links: int = 0,
) -> Digest:
    """Build a digest of the first twenty notices; `counts` are all there are, by occasion.

    `links` is how many links are watched. The order of the notices is kept.
    """
    told = notices[:MOST_ITEMS]
    total = sum(counts.values())
    summary = _summary(kind, counts, links)
    message: dict[str, Any] = {
        "schema": SCHEMA,
        "id": digest_id,
        "kind": kind.value,
        "made_at": to_stamp(made_at),
        "summary": summary,
        "links": links,
        "counts": {occasion: counts.get(occasion, 0) for occasion in _OCCASIONS},
        "total": total,
        "left_out": total - len(told),
        "items": [_item(notice) for notice in told],
        "text": _text(summary, told, total - len(told)),
    }
    return Digest(digest_id, kind, json.dumps(message, ensure_ascii=False).encode())


def _summary(kind: Kind, counts: Mapping[str, int], links: int) -> str:
    if kind is Kind.BASELINE:
        watched = _counted(links, "1 link is watched", "{} links are watched")
        parts = [_counted(counts[word], *_STANDING[word]) for word in _STANDING if counts.get(word)]
        return f"How it stands: {watched}; {', '.join(parts) or 'none is known to be dead'}."
    parts = [
        _counted(counts[word], *_OCCASIONS[word][1:]) for word in _OCCASIONS if counts.get(word)
    ]
    return f"{', '.join(parts)}." if parts else "Nothing changed."


def _counted(number: int, one: str, many: str) -> str:
    return one if number == 1 else many.format(number)


def _item(notice: Notice) -> dict[str, Any]:
    what, next_step = _words(notice)
    return {
        "occasion": notice.occasion,
        "url": shown(notice.url, _ADDRESS_LIMIT),
        "verdict": notice.verdict,
        "reason": shown(notice.reason),
        "reason_text": what,
        "since": notice.since,
        "archive_state": notice.archive_state,
        "archive_url": _or_none(notice.archive_url, _ADDRESS_LIMIT),
        "path": _or_none(notice.path),
        "line": notice.line,
        "event_id": _or_none(notice.event_id),
        "title": _or_none(notice.title),
        "citations": notice.citations,
        "next_step": next_step,
    }


def _words(notice: Notice) -> tuple[str, str]:
    """Return what happened and what a person does next."""
    if notice.occasion == "archive-failed" and notice.archive_state in _STATES:
        return _STATES[notice.archive_state]
    if notice.occasion == "dead" and notice.archive_url is None:
        known = notice.archive_state in _STATES
        return in_words(notice.reason), _NO_COPY if known else _NO_COPY_YET
    if notice.occasion == "recovered":
        return in_words(notice.reason), "Nothing to do."
    return in_words(notice.reason), advice(notice.reason)


def _or_none(value: str | None, limit: int = 300) -> str | None:
    return None if value is None else shown(value, limit)


def _text(summary: str, notices: Sequence[Notice], left_out: int) -> str:
    """Return the digest as plain text for mail and chat."""
    parts = [summary]
    for notice in notices:
        what, next_step = _words(notice)
        lines = [f"{_OCCASIONS[notice.occasion][0]}: {_address(notice.url)}"]
        if notice.path is not None:
            lines.append(f"  {_place(notice)}")
        lines.append(f"  {_unaddressed(what)} {next_step}")
        if notice.occasion == "dead" and notice.archive_url is not None:
            lines.append(f"  {_address(notice.archive_url)}")
        parts.append("\n".join(lines))
    if left_out:
        parts.append(f"And {left_out} more: 'archiver report' has them all.")
    return "\n\n".join(parts)


def _place(notice: Notice) -> str:
    others = notice.citations - 1
    place = f"{_unaddressed(notice.path or '')}:{notice.line}"
    return (
        f"{place} and {_counted(others, '1 other place', '{} other places')}"
        if others > 0
        else place
    )


def _unaddressed(text: str) -> str:
    """Return text that mentions nobody and links nowhere in chats (`@all`, `<!channel>`)."""
    return shown(text).replace("@", "＠").replace("<", "‹").replace(">", "›").replace("`", "'")


def _address(url: str) -> str:
    """Return an address that mentions nobody; percent-escapes mean the same to the server."""
    text = shown(url, _ADDRESS_LIMIT_IN_TEXT)
    for character in "@<>`":
        text = text.replace(character, f"%{ord(character):02X}")
    return text
