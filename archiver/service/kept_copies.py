"""What there is of copies of our own: for reports and the status, which make none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath
from typing import Any

from archiver.service.desk import Desk

# The name of the state that holds at which use and limit copying stopped.
FULL = "local_copies_full"


def directory_of(desk: Desk) -> Path:
    """Return the folder of the copies, absolute."""
    directory = desk.loaded.path("archive.local.directory")
    assert directory is not None
    return directory


def summary(desk: Desk) -> dict[str, Any]:
    """Return what `status --json` says of the copies; sizes in bytes."""
    settings = desk.settings.archive.local
    return {
        "enabled": settings.enabled,
        "pages": desk.store.copies.count(),
        "bytes": desk.store.copies.total(),
        "max_total": settings.max_total,
        "full": is_full(desk),
    }


def with_local_copies(desk: Desk, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield rows of a report with `local_copy`: where a copy of our own stands, or None.

    `file` is written with the folder as configured. Rows stay as they are where no copy is kept.
    """
    copies = desk.store.copies
    if not copies.count():
        yield from rows
        return
    folder = PurePath(desk.settings.archive.local.directory)
    for row in rows:
        found = None if row["link_id"] is None else copies.of_link(row["link_id"])
        if found is not None:
            row["local_copy"] = {
                "file": str(folder / found["file"]),
                "offset": found["offset"],
                "captured_at": found["captured_at"],
                "truncated": found["truncated"],
            }
        else:
            row["local_copy"] = None
        yield row


def is_full(desk: Desk) -> bool:
    """Say whether copying has stopped at `max_total`."""
    state = desk.store.journal.state(FULL, {})
    limit = desk.settings.archive.local.max_total
    if not state or limit > state["max_total"]:
        return False
    return desk.store.copies.total() >= int(state["total"])
