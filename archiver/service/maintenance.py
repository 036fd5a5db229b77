"""Keeping the database small and healthy."""

from __future__ import annotations

from datetime import timedelta

from archiver.service.desk import Desk, log

# Contract §1: a link nobody cites is kept for 90 days.
UNCITED_KEPT = timedelta(days=90)


def tidy(desk: Desk) -> None:
    """Drop links nobody ever cited, free claims of dead processes, shorten the journal."""
    store, now = desk.store, desk.clock.now()
    dropped = store.citations.prune_uncited(now - UNCITED_KEPT)
    store.looks.release_stale(now)
    store.database.pragmas(["optimize", "wal_checkpoint(TRUNCATE)"])
    log.info("maintenance: %d links that nobody cites were dropped", dropped)
