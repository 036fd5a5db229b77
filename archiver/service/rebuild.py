"""Folding stored looks again: what beliefs should be, and what today's rules would say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from archiver.checking.belief import Known, fold
from archiver.checking.policy import Policy
from archiver.checking.rules import judge
from archiver.model import Belief, Finding
from archiver.service.desk import Desk
from archiver.service.facts import stored_finding, stored_observation
from archiver.store import KnownLink
from archiver.text import shown


def differences(desk: Desk, *, rejudge: bool) -> Iterator[str]:
    """Yield one line for every link whose folded belief differs from the stored one.

    Without `rejudge` the stored findings are folded, and differing beliefs are put right; with
    it the stored facts are judged by today's rules, and nothing is changed.
    """
    policy = Policy.from_settings(desk.settings.check)
    for link_id in desk.store.queries.all_links():
        [link] = desk.store.looks.known([link_id])
        folded = fold(_looks(desk, link, policy, rejudge=rejudge), policy, url=link.url)
        if _same(folded, link.belief, rejudge=rejudge):
            continue
        if not rejudge:
            desk.store.looks.put_right(link_id, _as_planned(folded, link.belief))
        yield (
            f"{shown(link.url, 2000)}: {link.belief.verdict} ({link.belief.reason})"
            f" -> {folded.verdict} ({folded.reason})"
        )


def _looks(
    desk: Desk, link: KnownLink, policy: Policy, *, rejudge: bool
) -> Iterator[tuple[Finding, Known, datetime]]:
    for row in desk.store.looks.history(link.link_id):
        finding, known, at = stored_finding(row)
        if rejudge and row["vantage"] == "here" and row["verdict"] is not None:
            finding = judge(*stored_observation(link.wire, row), policy)
        yield finding, known, at


def _same(folded: Belief, stored: Belief, *, rejudge: bool) -> bool:
    if rejudge:
        return (folded.verdict, folded.reason) == (stored.verdict, stored.reason)
    return _without_plan(folded) == _without_plan(stored)


def _without_plan(belief: Belief) -> Belief:
    """Leave out when to look next: a host's pause or the operator may have put it off since."""
    below = belief.underlying
    if below is not None:
        below = replace(below, next_look_at=None)
    return replace(belief, next_look_at=None, underlying=below)


def _as_planned(folded: Belief, stored: Belief) -> Belief:
    """Keep when to look next below a mark too; no look has planned a link's first one."""
    if folded.underlying is None:
        return folded
    planned = (stored.underlying or stored).next_look_at
    below = replace(folded.underlying, next_look_at=planned or folded.underlying.next_look_at)
    return replace(folded, underlying=below)
