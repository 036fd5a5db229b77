"""The best capture for each citation of a link, stored beside the citation."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from archiver.archiving.choose import choose, is_usable
from archiver.archiving.record import ArchiveRecord
from archiver.model import ArchiveState, Capture
from archiver.service.elsewhere import CITED
from archiver.service.situations import wanted_of
from archiver.store import ArchiveTask
from archiver.store.archive import Archive
from archiver.urls import capture_identity


def choose_for_citations(
    archive: Archive,
    task: ArchiveTask,
    record: ArchiveRecord,
    captures: Sequence[Capture],
    rows: Sequence[sqlite3.Row],
) -> None:
    """Choose among what may be offered: of an archived link only captures that played back.

    Never a close variant's: those are kept as hints, and are of another address.
    """
    identity = capture_identity(task.wire)
    offered = [
        capture
        for capture in captures
        if _may_be_offered(record, capture)
        and (capture.source == CITED or capture_identity(capture.original_url) == identity)
    ]
    ids = {row["archive_url"]: row["id"] for row in rows}
    for citation in archive.citations(task.link_id):
        choice = choose(offered, wanted_of(citation))
        if choice is None:
            archive.choose(citation["id"], None, None, None)
        else:
            archive.choose(
                citation["id"],
                ids[choice.capture.archive_url],
                choice.distance_days,
                choice.flags[0] if choice.flags else None,
            )


def _may_be_offered(record: ArchiveRecord, capture: Capture) -> bool:
    if not is_usable(capture) or capture.archive_url in record.rejected:
        return False
    if record.state is not ArchiveState.ARCHIVED:
        return True
    best = record.best.archive_url if record.best else None
    return capture.archive_url == best or capture.archive_url in record.played
