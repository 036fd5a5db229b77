"""What the archive pipeline must know of a link, gathered from what the store knows."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from archiver.archiving.choose import Wanted
from archiver.archiving.eligibility import refusal
from archiver.archiving.pipeline import Situation
from archiver.checking.belief import needs_archive_answer
from archiver.checking.policy import Policy
from archiver.clock import from_stamp
from archiver.config import Settings
from archiver.model import Belief
from archiver.store import ArchiveTask


def situation_of(
    task: ArchiveTask,
    citations: Sequence[sqlite3.Row],
    *,
    mode: str,
    settings: Settings,
    policy: Policy,
    now: datetime,
) -> Situation:
    """Describe one link to the pipeline; `mode` is already resolved."""
    belief = task.belief
    asked = task.link["asked_at"]
    return Situation(
        url=task.wire,
        verdict=belief.verdict,
        strong=_is_strong(belief),
        failing_since=belief.first_bad_at,
        mode=mode,
        refused=refused(task, settings),
        wanted=tuple(wanted_of(row) for row in sorted(citations, key=_importance)),
        answer_wanted_since=answer_wanted_since(belief, now, policy),
        asked_at=from_stamp(asked) if asked else None,
        tier=task.link["best_tier"],
        importance=task.link["importance"],
    )


def wanted_of(citation: sqlite3.Row) -> Wanted:
    """Return what a citation says about time."""
    return Wanted(
        published=citation["source_date"],
        accessed=citation["access_date"],
        first_seen=from_stamp(citation["first_seen_at"]),
    )


def answer_wanted_since(belief: Belief, now: datetime, policy: Policy) -> datetime | None:
    """Return since when an archive's answer is wanted before a death is believed, or None."""
    if not needs_archive_answer(belief, now, policy):
        return None
    last = belief.archive_answered_at
    return belief.first_bad_at if last is None else last + policy.archive_answer_holds


def _importance(citation: sqlite3.Row) -> tuple[int, int]:
    tier = citation["tier"]
    return (tier if isinstance(tier, int) else 99, citation["id"])


def _is_strong(belief: Belief) -> bool:
    """Say whether the last counted bad look was strong evidence of death."""
    strong, weak = belief.strong.last_at, belief.weak.last_at
    return strong is not None and (weak is None or strong >= weak)


def refused(task: ArchiveTask, settings: Settings) -> str | None:
    """Return why a link is never submitted, or None when it may be."""
    if task.belief.reason == "private-address":
        return "private-address"
    return refusal(
        task.wire,
        private_allowed=settings.network.allow_private,
        save_url=settings.archive.save_url,
    )
