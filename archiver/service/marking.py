"""A person's word: a look of vantage `human` (design §5)."""

from __future__ import annotations

from datetime import datetime

from archiver.checking.belief import (
    MARK_CLEARED,
    MARKED_ALIVE,
    MARKED_GONE,
    MARKED_IGNORED,
    Known,
    settle,
)
from archiver.checking.context import Context
from archiver.checking.policy import Policy
from archiver.errors import UsageError
from archiver.model import Observation, Vantage
from archiver.service.desk import Desk
from archiver.service.facts import look_facts
from archiver.service.targets import known_link
from archiver.store import RecordedLook
from archiver.text import shown

_FINDINGS = {
    "alive": MARKED_ALIVE,
    "gone": MARKED_GONE,
    "ignore": MARKED_IGNORED,
    "clear": MARK_CLEARED,
}
# Words about the page end by themselves; leaving a link out of reports is no word about it.
_ENDS = frozenset({"alive", "gone"})


def mark(desk: Desk, url: str, word: str, *, note: str = "", until: datetime | None = None) -> int:
    """Record what a person says of a link and return its id.

    `word` is `alive`, `gone`, `ignore` or `clear`. Raises UsageError (exit 2) for a URL the
    database does not know, for an end that has passed, and for an end of what has none.
    """
    link_id = known_link(desk, url)
    if link_id is None:
        raise UsageError(
            f"The database knows no link {shown(url)}.",
            "Check the spelling; 'archiver check URL' makes a link known.",
        )
    if until is not None and word not in _ENDS:
        raise UsageError(
            f"--until does not go with '{word}': only 'alive' and 'gone' end by themselves.",
            "Leave --until out; 'archiver mark URL clear' ends 'ignore'.",
        )
    if until is not None and until <= desk.clock.now():
        raise UsageError("That date has passed.", "Name a later one with --until.")
    # A daemon may be settling a look of the same link at this moment.
    with desk.store.atomic():
        if word not in _ENDS:
            desk.store.looks.set_ignored(link_id, word == "ignore")
        _record(desk, link_id, word, note, until)
    return link_id


def _record(desk: Desk, link_id: int, word: str, note: str, until: datetime | None) -> None:
    now = desk.clock.now()
    policy = Policy.from_settings(desk.settings.check)
    [link] = desk.store.looks.known([link_id])
    finding = _FINDINGS[word]
    seen = Observation(url=link.wire, looked_at=now, vantage=Vantage.HUMAN)
    known = Known(until=(until or now + policy.human_term) if word in _ENDS else None)
    belief = settle(link.belief, finding, known, now, policy, url=link.url)
    facts = look_facts(seen, Context(), known, finding)
    if note:
        facts["note"] = shown(note)
    changed = belief.verdict is not link.belief.verdict
    look = RecordedLook(link, seen, finding, belief, facts, wake_archive=changed)
    desk.store.looks.record([look], None)
