"""Are we online? Asked before a batch of looks is judged (design §5)."""

from __future__ import annotations

import asyncio
import secrets
import string
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from archiver.checking.fetch import Fetcher
from archiver.checking.online import (
    Ballot,
    Canaries,
    Vote,
    ask_canaries,
    forges_names,
    has_route,
    resolver_answers,
    vote,
)
from archiver.checking.resolver import SystemResolver
from archiver.clock import to_stamp
from archiver.model import ALIVE
from archiver.service.desk import Desk, log

if TYPE_CHECKING:
    from archiver.service.checking import Seen

# Reference checking §6: four canaries, an answer holds for a minute.
_CANARIES = 4
# Links that stand in for canaries may die themselves: fewer than three decide nothing.
_FEWEST_STAND_INS = 3
_CANARY_HOLDS_SECONDS = 60.0
_LATELY = timedelta(days=14)
# Pages that many hosts share for good reasons.
_SHARED_PAGES = frozenset({"parked", "challenge", "default-page", "suspended", "maintenance"})
# While offline: again after 1, 2, 5, 10, then every 15 minutes.
_RETRIES = (1, 2, 5, 10, 15)


class Watch:
    """Watches whether this machine has a way out."""

    def __init__(self, desk: Desk, fetcher: Fetcher) -> None:
        """Ask through the process's own fetcher, with its guard and manners."""
        self._desk = desk
        self._fetcher = fetcher
        self._canaries: Canaries | None = None
        self._asked_at = float("-inf")
        self._times_offline = 0
        self._forges = False
        self._forgery_asked_at = float("-inf")
        self.offline = False
        self.why = ""

    async def vote(self, batch: Sequence[Seen]) -> Vote:
        """Say which looks of a batch are no evidence, and remember whether we are online."""
        ballots = [self._ballot(seen) for seen in batch]
        first_run = not self._desk.store.looks.any_answer()
        failed = any(one.failed_below_http for one in ballots)
        suspicious = failed or bool(self._desk.settings.check.canaries)
        canaries = await self._ask(batch) if suspicious else None
        result = vote(
            ballots,
            canaries=canaries,
            first_run=first_run,
            has_route=not failed or has_route(),
            resolver_answers=await self._resolver_answers(ballots),
        )
        if ballots:
            self._remember(result)
        return result

    def _ballot(self, seen: Seen) -> Ballot:
        observation, link = seen.observation, seen.link
        belief = link.belief
        last = belief.last_alive_at
        lately = (
            belief.verdict in ALIVE and last is not None and observation.looked_at - last <= _LATELY
        )
        return Ballot(
            observation,
            carries_title=seen.carries_title,
            is_known_page=seen.finding.reason in _SHARED_PAGES,
            failed_alike_before=observation.error is not None
            and belief.reason == observation.error,
            host_seen_before=link.host_answered_at is not None,
            ok_lately=lately,
            network=self._fetcher.network_of(link.host),
        )

    async def _ask(self, batch: Sequence[Seen]) -> Canaries | None:
        """Ask the configured canaries, else links that were fine; None when there are none."""
        now = self._desk.clock.monotonic()
        if self._canaries is not None and now - self._asked_at < _CANARY_HOLDS_SECONDS:
            return self._canaries
        urls = list(self._desk.settings.check.canaries)
        if not urls:
            hosts = {seen.link.host for seen in batch}
            urls = self._desk.store.looks.canaries(hosts, _CANARIES)
            if len(urls) < _FEWEST_STAND_INS:
                return None
        if not urls:
            return None
        self._canaries = await ask_canaries(self._fetcher, urls, self._desk.clock)
        self._asked_at = self._desk.clock.monotonic()
        return self._canaries

    async def _resolver_answers(self, ballots: Sequence[Ballot]) -> bool:
        """Ask the resolver for well-known names, only when every look failed at names."""
        errors = {one.observation.error for one in ballots}
        if not ballots or not errors <= {"dns-error", "dns-timeout"}:
            return True
        resolver = self._desk.resolver or SystemResolver(threads=2)
        try:
            return await asyncio.wait_for(resolver_answers(resolver), 10)
        except TimeoutError:
            return False
        finally:
            if self._desk.resolver is None:
                await resolver.close()

    async def forges_names(self) -> bool:
        """Say whether the resolver invents addresses for names that cannot exist."""
        now = self._desk.clock.monotonic()
        if now - self._forgery_asked_at < _CANARY_HOLDS_SECONDS:
            return self._forges
        self._forgery_asked_at = now
        letters = "".join(secrets.choice(string.ascii_lowercase) for _ in range(24))
        resolver = self._desk.resolver or SystemResolver(threads=1)
        try:
            self._forges = await forges_names(resolver, f"{letters}.example.com")
        finally:
            if self._desk.resolver is None:
                await resolver.close()
        return self._forges

    def _remember(self, result: Vote) -> None:
        """Keep in the store whether we are online, since when, and when to try again."""
        now, journal = self._desk.clock.now(), self._desk.store.journal
        was = journal.state("online", {})
        self.offline = result.label.is_offline
        self.why = result.why
        if not self.offline:
            self._times_offline = 0
            if was.get("online") is not True:
                journal.set_state("online", {"online": True, "since": to_stamp(now)})
            return
        minutes = _RETRIES[min(self._times_offline, len(_RETRIES) - 1)]
        self._times_offline += 1
        since = was["since"] if was.get("online") is False else to_stamp(now)
        again = to_stamp(now + timedelta(minutes=minutes))
        journal.set_state("online", {"online": False, "since": since, "again_at": again})
        log.warning(
            "offline (%s): these looks count for nothing; tried again at %s", result.why, again
        )
