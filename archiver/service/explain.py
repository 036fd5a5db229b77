"""Explaining a link: what was seen, what it says, what is believed, what would change that."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from archiver.checking.policy import Policy
from archiver.clock import from_stamp
from archiver.model import Belief, Verdict
from archiver.reasons import FORGED_NAME, OUR_REFUSALS, advice, in_words
from archiver.service.desk import Desk
from archiver.store.codec import read_belief

_NO_OBSERVATION: dict[str, Any] = {
    "looked_at": None,
    "status": None,
    "error": None,
    "final_url": None,
    "redirects": [],
    "duration": None,
    "content_type": None,
    "title": None,
}


def result(desk: Desk, link_id: int) -> dict[str, Any]:
    """Return one result of `check --json` (contract §4): the newest look and the belief."""
    queries = desk.store.queries
    link = queries.link(link_id)
    if link is None:
        raise LookupError(f"no link {link_id}")
    look = queries.last_look(link_id)
    belief = read_belief(link)
    return {
        "url": link["url"],
        "link_id": link_id,
        "citations": [dict(row) for row in queries.places(link_id)],
        "observation": _observation(look),
        "finding": {
            "verdict": None if look is None else look["verdict"],
            "reason": None if look is None else look["reason"],
            "text": None if look is None else _text(look, json.loads(look["facts"])),
        },
        "belief": _belief(link, belief),
        "archive": {"state": link["archive_state"], "url": archive_url(desk, link)},
    }


def _text(look: sqlite3.Row, facts: Mapping[str, Any]) -> str:
    """Say in plain words what one look said."""
    if look["verdict"] is None and facts.get("context", {}).get("forged_names"):
        return FORGED_NAME
    return in_words(look["reason"])


def _observation(look: sqlite3.Row | None) -> dict[str, Any]:
    if look is None:
        return dict(_NO_OBSERVATION)
    seen = {name: look[name] for name in _NO_OBSERVATION}
    seen["redirects"] = json.loads(look["redirects"])
    return seen


def _belief(link: sqlite3.Row, belief: Belief) -> dict[str, Any]:
    counts = belief.verdict in (Verdict.FAILING, Verdict.DEAD)
    return {
        "verdict": link["verdict"],
        "reason": link["reason"],
        "since": link["verdict_since"],
        "next_look_at": link["next_look_at"],
        "confirmations": belief.confirmations if counts else 0,
        "needed": belief.needed if counts and belief.needed else None,
    }


def archive_url(desk: Desk, link: sqlite3.Row) -> str | None:
    """Return the best capture's address in the states that may show one (contract §2)."""
    if link["archive_state"] not in ("captured", "archived"):
        return None
    capture = desk.store.queries.best_capture(link["id"])
    return None if capture is None else str(capture["archive_url"])


def why(desk: Desk, link_id: int) -> dict[str, Any]:
    """Return the object of `why --json`: a result with looks, captures and what would change."""
    looks = []
    for row in desk.store.looks.history(link_id):
        look = dict(row)
        look["redirects"] = json.loads(row["redirects"])
        look["facts"] = json.loads(row["facts"])
        look["text"] = _text(row, look["facts"])
        looks.append(look)
    captures = [dict(row) for row in desk.store.archive.captures(link_id)]
    return {
        "schema": 1,
        "ok": True,
        **result(desk, link_id),
        "looks": looks,
        "captures": captures,
        "would_change": would_change(desk, link_id),
    }


def would_change(desk: Desk, link_id: int) -> list[str]:
    """Say in plain words what would change the belief held of a link."""
    link = desk.store.queries.link(link_id)
    if link is None:
        return []
    belief = read_belief(link)
    policy = Policy.from_settings(desk.settings.check)
    said = _of_marked(belief) or list(_CHANGES[belief.verdict](belief, policy))
    if belief.next_look_at is not None:
        said.append(f"The next look is due at {belief.next_look_at:%Y-%m-%d %H:%M} UTC.")
    return said


def _of_marked(belief: Belief) -> list[str]:
    """Say what ends a person's mark: no look does, so nothing else would change the belief."""
    if belief.human_until is None or belief.underlying is None:
        return []
    return [
        "A person's mark holds until"
        f" {belief.human_until:%Y-%m-%d}; `archiver mark URL clear` takes it back.",
        f"Looks go on beneath it; without it the link would be {belief.underlying.verdict}.",
    ]


def _of_unchecked(_: Belief, __: Policy) -> list[str]:
    return ["The first look decides what is believed."]


def _of_alive(_: Belief, policy: Policy) -> list[str]:
    return [
        "A bad look makes it failing; nothing dies from one look.",
        f"Refusals over at least {_days(policy.blocked_gap.days)} make it blocked.",
    ]


def _of_blocked(belief: Belief, _: Policy) -> list[str]:
    if belief.reason in OUR_REFUSALS:
        return [advice(belief.reason)]
    return [
        "One good look makes it ok again. Refusals alone never make it dead.",
        "A person can say what they see: `archiver mark URL alive`.",
    ]


def _of_failing(belief: Belief, policy: Policy) -> list[str]:
    said = ["One good look makes it ok again and forgets the bad ones."]
    if belief.strong.count:
        said.append(
            f"It is dead after {policy.strong_looks} counted looks with strong evidence over at"
            f" least {policy.strong_span.days * 24} hours; {belief.strong.count} so far."
        )
    elif belief.weak.count:
        said.append(
            f"It is dead after {policy.weak_looks} counted looks over at least"
            f" {_days(policy.weak_span.days)} in which no page of its host answers;"
            f" {belief.weak.count} so far."
        )
    else:
        said.append("What was seen proves nothing about the page: it never becomes dead of that.")
    if belief.waiting_since is not None:
        said.append("The verdict waits for the archive's word, at most seven days.")
    return said


def _of_dead(_: Belief, __: Policy) -> list[str]:
    return ["One good look brings it back; dead links are looked at on."]


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"


_CHANGES = {
    Verdict.UNCHECKED: _of_unchecked,
    Verdict.OK: _of_alive,
    Verdict.MOVED: _of_alive,
    Verdict.BLOCKED: _of_blocked,
    Verdict.FAILING: _of_failing,
    Verdict.DEAD: _of_dead,
}


def why_in_words(desk: Desk, link_id: int) -> list[str]:
    """Explain a link to a person: every look, the rule that fired, and what would change it."""
    told = why(desk, link_id)
    belief, archive = told["belief"], told["archive"]
    lines = [
        told["url"],
        f"  {belief['verdict']} ({belief['reason']}): {in_words(belief['reason'])}",
    ]
    if belief["since"]:
        lines.append(f"  since {belief['since']}")
    if belief["needed"]:
        lines.append(f"  {belief['confirmations']} of {belief['needed']} confirmations")
    lines.append(
        f"  archive: {archive['state']}" + (f", {archive['url']}" if archive["url"] else "")
    )
    lines += [f"  cited at {place['path']}:{place['line']}" for place in told["citations"]]
    lines.append("looks:")
    lines += [_look_line(look) for look in told["looks"]] or ["  none yet"]
    if told["captures"]:
        lines.append("captures:")
        lines += [_capture_line(capture) for capture in told["captures"][:10]]
    lines.append("what would change it:")
    lines += [f"  {text}" for text in told["would_change"]]
    return lines


def _look_line(look: dict[str, Any]) -> str:
    seen = look["error"] or look["status"] or look["vantage"]
    verdict = look["verdict"] or "void"
    end = f" at {look['final_url']}" if look["redirects"] else ""
    signs = look["facts"].get("finding", {}).get("signs", [])
    fired = f"; signs: {', '.join(signs)}" if signs else ""
    note = f' "{look["facts"]["note"]}"' if look["facts"].get("note") else ""
    return (
        f"  {from_stamp(look['looked_at']):%Y-%m-%d %H:%M}  {seen}{end}: {verdict},"
        f" {look['reason']} ({look['text']}){fired}{note}"
    )


def _capture_line(capture: dict[str, Any]) -> str:
    judged = capture["judged"] or "not played back yet"
    return f"  {capture['captured_at'][:10]}  {capture['archive_url']}  {judged}"
