"""Keeping the database small, sound and copied; never a plain VACUUM, which would shut all out.

All of it blocks for as long as it takes: the daemon does it in a thread (`service.beside`).
"""

from __future__ import annotations

import contextlib
import re
import time
from datetime import datetime, timedelta
from pathlib import Path

from archiver.clock import CLOCK_TRUST, to_stamp
from archiver.errors import CannotWork, DatabaseUnusable
from archiver.service.desk import Desk, log
from archiver.store import HALF_COPY, Pruned, copy_database, settle_journal, sound

# Contract §1: a link nobody cites is kept for 90 days.
UNCITED_KEPT = timedelta(days=90)
# What a sibling probe told is used for 30 days (design §5).
PROBES_KEPT = timedelta(days=30)
HALF_COPIES_KEPT = timedelta(days=1)
# A command watches its request for a quarter of an hour; a person may look for it the day after.
REQUESTS_KEPT = timedelta(days=30)


def maintain(desk: Desk) -> str:
    """Do the daily round; returns a line for the status.

    Each part is tried whatever became of the others; the first trouble is raised at the end. A
    damaged database is neither copied over good copies nor pruned.
    """
    sound(desk.store.database)
    said: list[str] = []
    trouble: CannotWork | None = None
    for part in (_back_up, _prune, _settle):
        if desk.stopping:
            break
        try:
            said.append(part(desk))
        except CannotWork as error:
            log.warning("maintenance: %s", error)
            trouble = trouble or error
    text = "; ".join(filter(None, said))
    if text:
        log.info("maintenance: %s", text)
    if trouble is not None:
        raise trouble
    return f"last maintenance: {text}" if text else ""


def back_up(desk: Desk) -> Path | None:
    """Copy the database into `database.backup_directory` and drop copies beyond `backup_keep`.

    Returns the copy, None when no folder is configured. Raises DatabaseUnusable; then no older
    copy is dropped.
    """
    directory = desk.loaded.path("database.backup_directory")
    if directory is None:
        return None
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseUnusable(
            f"The folder for copies {directory} cannot be made: {error.strerror}.",
            "Check database.backup_directory and the permissions above it.",
            code="copy-unwritable",
        ) from error
    path = desk.store.database.path
    now = desk.clock.now()
    copy = directory / _copy_name(path, now)
    copy_database(desk.store.database, copy)
    _drop_old_copies(directory, path, desk.settings.database.backup_keep, now)
    return copy


def prune(desk: Desk) -> Pruned:
    """Forget what may be forgotten (design §7); stops between two steps when asked to."""
    store, now = desk.store, desk.clock.now()
    looks_kept_since = now - desk.settings.database.keep_looks
    links = store.citations.prune_uncited(now - UNCITED_KEPT)
    store.pruning.probes(now - PROBES_KEPT)
    store.pruning.requests(now - REQUESTS_KEPT)
    store.pruning.runs(looks_kept_since)
    looks = captures = 0
    for count in store.pruning.looks(looks_kept_since):
        looks += count
        if desk.stopping:
            break
    for count in store.pruning.captures():
        captures += count
        if desk.stopping:
            break
    return Pruned(looks, captures, links)


def _back_up(desk: Desk) -> str:
    copy = back_up(desk)
    return "" if copy is None else f"copied to {copy}"


def _prune(desk: Desk) -> str:
    pruned = prune(desk)
    return str(pruned) if pruned.anything else ""


def _settle(desk: Desk) -> str:
    desk.store.looks.release_stale(desk.clock.now())
    settle_journal(desk.store.database)
    return ""


def _copy_name(database: Path, now: datetime) -> str:
    """Name a copy by the moment it was made, so that names sort by age."""
    stamp = re.sub("[-:]", "", to_stamp(now))
    return f"{database.stem}-{stamp}{database.suffix or '.db'}"


def daily_copies(directory: Path, database: Path) -> list[Path]:
    """Return the copies of a database that maintenance has made in a folder, oldest first."""
    return _named(directory, _ours(database))


def _ours(database: Path, more: str = "") -> str:
    """Return the pattern of the names that maintenance gives to copies of a database."""
    stem, suffix = re.escape(database.stem), re.escape(database.suffix or ".db")
    return rf"{stem}-\d{{8}}T\d{{6}}Z{suffix}{more}"


def _named(directory: Path, pattern: str) -> list[Path]:
    try:
        return sorted(file for file in directory.iterdir() if re.fullmatch(pattern, file.name))
    except OSError:
        return []


def _drop_old_copies(directory: Path, database: Path, keep: int, now: datetime) -> None:
    """Drop the oldest copies of this database; nothing that is named otherwise is touched.

    A copy of a time that has not come was made by a clock that was ahead. Taken for the newest,
    it would stay for years, and every real one would be dropped in its stead.
    """
    ahead = _copy_name(database, now + CLOCK_TRUST)
    copies = sorted(daily_copies(directory, database), key=lambda file: file.name < ahead)
    halves = _named(directory, _ours(database, HALF_COPY))
    for file in (*copies[:-keep], *filter(_is_left_behind, halves)):
        try:
            file.unlink()
        except OSError as error:
            log.warning("the old copy %s cannot be removed: %s", file, error.strerror)


def _is_left_behind(half: Path) -> bool:
    """Say whether a half copy was left by a process that was killed: nobody copies for a day."""
    with contextlib.suppress(OSError):
        return time.time() - half.stat().st_mtime > HALF_COPIES_KEPT.total_seconds()
    return False
