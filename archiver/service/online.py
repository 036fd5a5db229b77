"""Are we online? Asked before a batch of looks is judged (design §5)."""

from __future__ import annotations

import asyncio
import secrets
import string
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from archiver.checking.fetch import Fetcher
from archiver.checking.names import (
    HONEST,
    OLD_NAMES,
    Forgery,
    ask_forgery,
    may_be_spoilt,
    resolver_answers,
)
from archiver.checking.online import (
    Ballot,
    Canaries,
    Vote,
    ask_canaries,
    has_route,
    vote,
)
from archiver.checking.portals import may_have_answered
from archiver.checking.resolver import lent
from archiver.clock import to_stamp
from archiver.model import ALIVE, Observation
from archiver.service.desk import Desk, log

if TYPE_CHECKING:
    from archiver.service.checking import Seen

# Reference checking §6: four canaries, an answer holds for a minute.
_CANARIES = 4
# Links that stand in for canaries may die themselves: fewer than three decide nothing.
_FEWEST_STAND_INS = 3
_ANSWER_HOLDS_SECONDS = 60.0
# That there is no canary holds so long: to look for stand-ins reads every link.
_NONE_HOLDS_SECONDS = 5.0
_RESOLVER_SECONDS = 10.0
# A few tell already that not every name leads to one place.
_MOST_ADDRESSES = 64
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
        self._forgery = HONEST
        self._forgery_asked_at = float("-inf")
        self._asking_forgery = asyncio.Lock()
        self._addresses: set[str] = set()
        self.offline = False
        self.why = ""

    async def vote(self, batch: Sequence[Seen]) -> Vote:
        """Say which looks of a batch are no evidence, and remember whether we are online."""
        ballots = [self._ballot(seen) for seen in batch]
        first_run = not self._desk.store.hosts.any_answer()
        self._note_addresses(seen.observation for seen in batch)
        forgery = await self._forgery_behind(ballots)
        failed = any(one.failed_below_http for one in ballots)
        misled = any(forgery.misled(one.observation) for one in ballots)
        asked_always = bool(self._desk.settings.check.canaries)
        suspicious = failed or misled or asked_always or may_have_answered(ballots)
        canaries = await self._ask(batch, forgery) if suspicious else None
        result = vote(
            ballots,
            canaries=canaries,
            first_run=first_run,
            has_route=not failed or has_route(),
            resolver_answers=await self._resolver_answers(ballots),
            forgery=forgery,
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

    async def _ask(self, batch: Sequence[Seen], forgery: Forgery) -> Canaries | None:
        """Ask the configured canaries, else links that were fine; None when there are none."""
        now = self._desk.clock.monotonic()
        holds = _NONE_HOLDS_SECONDS if self._canaries is None else _ANSWER_HOLDS_SECONDS
        if now - self._asked_at < holds:
            return self._canaries
        urls = self._desk.settings.check.canaries or self._stand_ins(batch)
        self._canaries = (
            await ask_canaries(self._fetcher, urls, self._desk.clock, forgery) if urls else None
        )
        self._asked_at = self._desk.clock.monotonic()
        return self._canaries

    def _stand_ins(self, batch: Sequence[Seen]) -> list[str]:
        """Return links of other hosts that were fine lately, or none when they are too few."""
        hosts = {seen.link.host for seen in batch}
        urls = self._desk.store.looks.canaries(hosts, _CANARIES)
        return urls if len(urls) >= _FEWEST_STAND_INS else []

    async def _resolver_answers(self, ballots: Sequence[Ballot]) -> bool:
        """Ask the resolver for well-known names, only when every look failed at names."""
        errors = {one.observation.error for one in ballots}
        if not ballots or not errors <= {"dns-error", "dns-timeout"}:
            return True
        try:
            async with asyncio.timeout(_RESOLVER_SECONDS), lent(self._desk.resolver) as resolver:
                return await resolver_answers(resolver)
        except TimeoutError:
            return False

    async def _forgery_behind(self, ballots: Sequence[Ballot]) -> Forgery:
        """Ask what the resolver invents, where that could change what a look of the batch says.

        Not about looks that carry their title, for they came from the real site, nor about
        addresses without a name. Any other may be the one lost name among healthy ones, and no
        look tells that of itself. It is one question a minute, to our own resolver.
        """
        doubtful = any(not one.carries_title and may_be_spoilt(one.observation) for one in ballots)
        return await self.forgery() if doubtful else HONEST

    async def forgery(self) -> Forgery:
        """Return what the resolver invents for names that do not exist, asked within a minute."""
        async with self._asking_forgery:
            now = self._desk.clock.monotonic()
            if now - self._forgery_asked_at >= _ANSWER_HOLDS_SECONDS:
                self._know_forgery(await self._ask_forgery())
                self._forgery_asked_at = now
            return self._forgery.beside(self._addresses)

    def _note_addresses(self, looks: Iterable[Observation]) -> None:
        """Remember some of the addresses that names led to."""
        for look in looks:
            if len(self._addresses) < _MOST_ADDRESSES:
                self._addresses.update(*look.addresses)

    async def was_misled(self, seen: Observation) -> bool:
        """Say whether a look ended where only names that do not exist lead: not at its site."""
        return bool(seen.addresses) and (await self.forgery()).misled(seen)

    async def _ask_forgery(self) -> Forgery:
        letters = "".join(secrets.choice(string.ascii_lowercase) for _ in range(24))
        known = (*OLD_NAMES, *self._desk.store.hosts.that_answered(_FEWEST_STAND_INS))
        try:
            async with asyncio.timeout(_RESOLVER_SECONDS), lent(self._desk.resolver) as resolver:
                return await ask_forgery(resolver, f"{letters}.example.com", known)
        except TimeoutError:
            return HONEST

    def _know_forgery(self, found: Forgery) -> None:
        if found == self._forgery:
            return
        self._forgery = found
        # What a canary said is worth nothing if it was the forger who said it.
        self._canaries, self._asked_at = None, float("-inf")
        if found.addresses:
            log.warning(
                "the resolver leads names that do not exist to %s: looks that end there count"
                " for nothing",
                ", ".join(sorted(found.addresses)),
            )

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
