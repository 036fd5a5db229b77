"""Looking at links: fetched in lanes, judged with what else is known, believed, recorded.

Before a batch is judged we ask whether it was us who were offline; then looks, beliefs, flips
and the wish for an archive's answer are one transaction.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from functools import partial
from types import TracebackType

from archiver.archiving.record import from_json
from archiver.checking.belief import Known, needs_archive_answer, settle
from archiver.checking.brief import Reader
from archiver.checking.case import Case
from archiver.checking.context import Context, GoodLook, SiblingFacts, good_look
from archiver.checking.fetch import Fetcher
from archiver.checking.journey import NotWanted
from archiver.checking.lanes import HostUnavailable, Lanes
from archiver.checking.online import Label
from archiver.checking.page import read_page
from archiver.checking.policy import Policy
from archiver.checking.rules import case_wants_probe, judge, judge_case, vouches
from archiver.checking.tape import Tape
from archiver.clock import from_stamp
from archiver.errors import CannotWork
from archiver.model import ALIVE, OFFLINE, Finding, Observation
from archiver.records import record
from archiver.service.desk import Desk
from archiver.service.facts import look_facts
from archiver.service.online import Watch
from archiver.service.robots_memory import StoredRobots
from archiver.store import KnownLink, RecordedLook
from archiver.urls import directory_of

# A sibling probe is remembered for 30 days (design §5).
_PROBE_HOLDS = timedelta(days=30)
# A host that cannot be asked now, without saying until when, is tried again this much later.
_BUSY_HOST = timedelta(minutes=10)


@record
class Seen:
    """One link with what was seen of it, and what that says as long as nobody doubts it."""

    link: KnownLink
    observation: Observation
    context: Context
    finding: Finding
    carries_title: bool


@record
class Busy:
    """One link whose host may not be asked before `until`; nothing was sent."""

    link: KnownLink
    until: datetime


class Checking:
    """Looks at links; one per process, for its lanes are the process's manners."""

    def __init__(self, desk: Desk) -> None:
        """Work at a desk; nothing is opened yet."""
        self.desk = desk
        self._policy = Policy.from_settings(desk.settings.check)
        self._lanes = Lanes(
            desk.settings.check,
            desk.settings.hosts,
            desk.clock,
            desk.store.hosts,
            holder=f"{desk.holder}:{id(self):x}",
        )
        self._fetcher = Fetcher(
            desk.settings.check,
            desk.settings.network,
            desk.settings.hosts,
            desk.clock,
            self._lanes,
            resolver=desk.resolver,
            robots=StoredRobots(desk),
        )
        self.watch = Watch(desk, self._fetcher)
        # Links that a round of this process has begun to look at, and has not stored yet.
        self.in_hand: set[int] = set()

    async def __aenter__(self) -> Checking:
        await self._fetcher.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.rest()
        await self._fetcher.__aexit__(kind, error, trace)

    def rest(self) -> None:
        """Give back the leases of hosts that nobody here is waiting for."""
        with self.desk.store.atomic():
            self._lanes.release_idle()

    def lease(self, links: Iterable[KnownLink]) -> None:
        """Lease the hosts of links that are about to be looked at, as far as they are free."""
        try:
            with self.desk.store.hosts.together():
                for host in dict.fromkeys(link.host for link in links):
                    self._lanes.claim(host)
        except CannotWork:
            self._lanes.doubt_leases()
            raise

    async def see(
        self, link: KnownLink, *, urgent: bool = False, begin: Callable[[], bool] | None = None
    ) -> Seen | Busy | None:
        """Look at one link, and once at a sibling where the rules want to compare.

        `urgent`: a person waits for it, so it stands in front of what is merely due. `begin` is
        asked when the host's turn has come; None is returned when it says no.
        """
        context = self._context(link)
        reader = Reader(partial(vouches, link.wire, context, self._policy))
        try:
            observation = await self._fetcher.look(
                link.wire, on_page=reader, urgent=urgent, host=link.host, begin=begin
            )
        except NotWanted:
            return None
        except HostUnavailable as busy:
            return Busy(link, busy.until or self.desk.clock.now() + _BUSY_HOST)
        observation = reader.completed(observation)
        case = Case(observation, context, self._policy)
        if observation.redirects and not case.is_vouched_for:
            context = self._with_neighbours(link, observation, context)
            case = Case(observation, context, self._policy)
        finding = judge_case(case)
        if case_wants_probe(case, finding) and not await self.watch.was_misled(observation):
            with contextlib.suppress(HostUnavailable):
                context = await self._with_sibling(link, context, urgent=urgent)
            finding = judge(observation, context, self._policy)
        return Seen(link, observation, context, finding, case.carries_title)

    async def record(self, link: KnownLink, tape: Tape) -> tuple[Observation, Finding]:
        """Fetch a link once more, everything kept on a tape, and judge what came.

        No look: no belief moves. Raises HostUnavailable when nothing may be sent now.
        """
        observation = await self._fetcher.record(link.wire, tape, on_page=read_page)
        context = self._with_neighbours(link, observation, self._context(link))
        case = Case(observation, context, self._policy)
        if not case.carries_title and await self.watch.was_misled(observation):
            return observation, OFFLINE
        return observation, judge_case(case)

    def _context(self, link: KnownLink) -> Context:
        first, last = link.first_good, link.last_good
        return Context(
            cited_titles=link.titles,
            publishers=link.publishers,
            first_good=None if first is None else GoodLook.from_facts(first),
            last_good=None if last is None else GoodLook.from_facts(last),
            chosen=None if link.chosen is None else GoodLook.from_facts(link.chosen),
        )

    def _with_neighbours(
        self, link: KnownLink, observation: Observation, context: Context
    ) -> Context:
        """Count the cited paths of this host that ended on the very same page."""
        if not observation.redirects or not observation.final_url:
            return context
        others = self.desk.store.looks.other_paths_on_page(
            link.host, observation.final_url, link.link_id
        )
        return replace(context, same_page_count=1 + others)

    async def _with_sibling(self, link: KnownLink, context: Context, *, urgent: bool) -> Context:
        """Ask for a random address beside this one, unless that was asked within 30 days."""
        looks, now = self.desk.store.looks, self.desk.clock.now()
        directory = directory_of(link.wire)
        known = looks.probe(link.host, directory, now - _PROBE_HOLDS)
        if known is not None:
            return replace(context, sibling=SiblingFacts(**json.loads(known)))
        probed = await self._fetcher.probe(link.wire, on_page=read_page, urgent=urgent)
        if probed is None:
            return context
        sibling = SiblingFacts.of(probed)
        if sibling.is_lasting:
            looks.remember_probe(link.host, directory, json.dumps(asdict(sibling)), now)
        return replace(context, sibling=sibling)

    async def settle(self, batch: Sequence[Seen], run_id: int | None) -> list[RecordedLook]:
        """Ask whether we were offline, judge, believe, and store: one transaction."""
        vote = await self.watch.vote(batch)
        with self.desk.store.atomic():
            batch = self._up_to_date(batch)
            answered = self._answers(batch)
            recorded = [
                self._believe(
                    self._labelled(seen, vote.looks.get(place), spoilt=place in vote.spoilt),
                    answered,
                )
                for place, seen in enumerate(batch)
            ]
            self.desk.store.looks.record(recorded, run_id)
            self._forget_siblings([batch[place] for place in vote.looks])
            if not vote.label.is_offline:
                self._put_off(recorded)
        return recorded

    def _forget_siblings(self, void: Sequence[Seen]) -> None:
        """Forget the probes beside looks that never reached their sites: nor did these."""
        if not void:
            return
        since = min(seen.observation.looked_at for seen in void)
        self.desk.store.hosts.forget_siblings({seen.link.host for seen in void}, since)

    def _put_off(self, looks: Iterable[RecordedLook]) -> None:
        """Give void looks some hours while we are online: a resolver, a proxy or we must mend them.

        The belief does not move, so the link stays due: the same round would claim it again and
        again, and every later one too. When to look next may be put off, as by a host's pause.
        """
        until = self.desk.clock.now() + self._policy.interval_outage
        waiting = [
            look.link.link_id
            for look in looks
            if look.finding.reason == OFFLINE.reason
            and (look.belief.next_look_at or until) <= until
        ]
        self.desk.store.looks.postpone(waiting, until)

    def _up_to_date(self, batch: Sequence[Seen]) -> list[Seen]:
        """Take up what became of the links since they were claimed.

        A person's mark, an archive's answer or an on-demand look may have come meanwhile, from
        another process too; a belief is one fold over all looks in the order they are stored.
        """
        held = self.desk.store.looks.held(seen.link for seen in batch)
        return [
            seen if link is seen.link else replace(seen, link=link)
            for seen, link in zip(batch, held, strict=True)
        ]

    def _labelled(self, seen: Seen, label: Label | None, *, spoilt: bool) -> Seen:
        """Judge again what turned out to be no evidence about its link."""
        if label is None and not spoilt:
            return seen
        word = None if label is None else label.value
        context = replace(seen.context, label=word, forged_names=spoilt)
        finding = judge(seen.observation, context, self._policy)
        return replace(seen, context=context, finding=finding)

    def _answers(self, batch: Iterable[Seen]) -> dict[str, datetime]:
        """Return when each host of the batch last gave an HTTP answer, by what was known."""
        return {
            seen.link.host: from_stamp(seen.link.host_answered_at)
            for seen in batch
            if seen.link.host_answered_at
        }

    def _believe(self, seen: Seen, answered: dict[str, datetime]) -> RecordedLook:
        link, observation, finding = seen.link, seen.observation, seen.finding
        known = self.known(link, answered.get(link.host))
        at = observation.looked_at
        belief = settle(link.belief, finding, known, at, self._policy, url=link.url)
        # A void look may have had an answer, but not from this host.
        if finding.answered and finding.verdict is not None:
            answered[link.host] = at
        return RecordedLook(
            link,
            observation,
            finding,
            belief,
            look_facts(observation, seen.context, known, finding),
            good=good_look(observation).to_facts() if finding.verdict in ALIVE else None,
            wake_archive=belief.verdict is not link.belief.verdict
            or needs_archive_answer(belief, at, self._policy),
        )

    def known(self, link: KnownLink, host_answered_at: datetime | None) -> Known:
        """Return what else is known of a link when a look of it is settled."""
        off = self.desk.settings.archive.mode == "off"
        untouched = link.archive_record in ("", "{}")
        living = None if untouched else from_json(link.archive_record).living_at
        return Known(
            host_answered_at=host_answered_at,
            archive="off" if off else "asked",
            living_capture_at=living,
        )
