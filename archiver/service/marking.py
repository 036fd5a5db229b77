"""A person's word: a look of vantage `human` (design §5)."""

from __future__ import annotations

from datetime import datetime

from archiver.checking.belief import MARK_CLEARED, MARKED_ALIVE, MARKED_GONE, Known, settle
from archiver.checking.context import Context
from archiver.checking.policy import Policy
from archiver.errors import UsageError
from archiver.model import Observation, Vantage
from archiver.service.desk import Desk
from archiver.service.facts import look_facts
from archiver.service.targets import known_link
from archiver.store import RecordedLook
from archiver.text import shown

_FINDINGS = {"alive": MARKED_ALIVE, "gone": MARKED_GONE, "clear": MARK_CLEARED}


def mark(desk: Desk, url: str, word: str, *, note: str = "", until: datetime | None = None) -> int:
    """Record what a person says of a link and return its id.

    `word` is `alive`, `gone`, `ignore` or `clear`. Raises UsageError (exit 2) for a URL the
    database does not know, and for an end that has passed.
    """
    link_id = known_link(desk, url)
    if link_id is None:
        raise UsageError(
            f"The database knows no link {shown(url)}.",
            "Check the spelling; 'archiver check URL' makes a link known.",
        )
    now = desk.clock.now()
    if until is not None and until <= now:
        raise UsageError("That date has passed.", "Name a later one with --until.")
    if word in ("ignore", "clear"):
        desk.store.looks.set_ignored(link_id, word == "ignore")
    if word in _FINDINGS:
        _record(desk, link_id, word, note, until)
    return link_id


def _record(desk: Desk, link_id: int, word: str, note: str, until: datetime | None) -> None:
    now = desk.clock.now()
    policy = Policy.from_settings(desk.settings.check)
    # A daemon may be settling a look of the same link at this moment.
    with desk.store.atomic():
        [link] = desk.store.looks.known([link_id])
        finding = _FINDINGS[word]
        seen = Observation(url=link.wire, looked_at=now, vantage=Vantage.HUMAN)
        term = None if word == "clear" else until or now + policy.human_term
        known = Known(until=term)
        belief = settle(link.belief, finding, known, now, policy, url=link.url)
        facts = look_facts(seen, Context(), known, finding)
        if note:
            facts["note"] = shown(note)
        changed = belief.verdict is not link.belief.verdict
        look = RecordedLook(link, seen, finding, belief, facts, wake_archive=changed)
        desk.store.looks.record([look], None)
