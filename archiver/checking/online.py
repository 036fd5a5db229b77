"""Is it them or us? The vote over a batch of looks, and the questions it rests on.

`vote` is pure (design §5 "Are we online?", reference checking §6): given what a batch saw, what
the canaries answered, what the resolver invents and whether there is a way out at all, it says
which looks are no evidence about their links. Asking canaries and the routing table is the I/O
below it; `names` asks the resolver.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import field, replace
from enum import StrEnum

from archiver.checking.failures import LOCAL_TROUBLE
from archiver.checking.fetch import Fetcher
from archiver.checking.lanes import HostUnavailable, lane_of
from archiver.checking.names import HONEST, Forgery
from archiver.clock import Clock
from archiver.model import Observation, PageFacts
from archiver.records import record
from archiver.urls import host_of, site_of

# Reference checking §6, steps 2, 6 and 7.
ENOUGH_HOSTS = 5
_SHARE = 0.8
_SECOND_ASKING = 15.0
_CANARY_SECONDS = 5.0
_CANARY_BODY = 2048
# Cloudflare's own errors: the host behind it failed, or Cloudflare itself (§6 step 7).
_RELAY_STATUSES = frozenset({520, 521, 522, 523, 524, 525, 526, 530})
_PORTAL_STATUS = 511  # RFC 6585 §6
_TLS = "tls-"


class Label(StrEnum):
    """What a batch of looks, or one look of it, turned out to be."""

    ONLINE = "online"
    OFFLINE = "offline"
    CAPTIVE_PORTAL = "captive-portal"
    PARTIAL_OUTAGE = "partial-outage"
    PROVIDER_OUTAGE = "provider-outage"

    @property
    def is_offline(self) -> bool:
        """Say whether it was this machine that had no way out."""
        return self in (Label.OFFLINE, Label.CAPTIVE_PORTAL)


@record
class Ballot:
    """One look of a batch, as the vote sees it.

    `carries_title`: the page carries the cited title. `is_known_page`: it is a parking,
    challenge or default page, which many hosts share for good reasons. `failed_alike_before`:
    the previous look of this host failed in the same way. `host_seen_before`: the host has ever
    given an answer. `ok_lately`: the link was ok within 14 days. `network`: where the host
    lives (`Fetcher.network_of`), to recognise one provider's outage.
    """

    observation: Observation
    carries_title: bool = False
    is_known_page: bool = False
    failed_alike_before: bool = False
    host_seen_before: bool = True
    ok_lately: bool = False
    network: str | None = None

    @property
    def host(self) -> str:
        """Return the host that was cited."""
        return host_of(self.observation.url)

    @property
    def failed_below_http(self) -> bool:
        """Say whether no HTTP answer came, or one that only a portal gives."""
        seen = self.observation
        return seen.error in _NO_ANSWER if seen.status is None else seen.status == _PORTAL_STATUS


# The failures that a missing way out would also produce. What we refused ourselves, or what a
# server answered however badly, says that there is a way out or nothing about it.
_NO_ANSWER = frozenset(
    {
        *("dns-gone", "dns-no-address", "dns-error", "dns-timeout", "refused", "unreachable"),
        *("connect-timeout", "empty-answer", "reset", "read-timeout", "tls-handshake", "tls-old"),
        *("tls-expired", "tls-not-yet", "tls-self-signed", "tls-chain", "tls-name"),
        *("client-cert", LOCAL_TROUBLE),
    }
)


@record
class Canaries:
    """What the canaries said: how many of those asked answered right, and whether it smells
    of a portal (plain ones answered wrongly while encrypted ones failed)."""

    asked: int
    right: int
    portal: bool = False

    @property
    def fine(self) -> bool:
        """Say whether enough answered right: two, or the only one (reference checking §6)."""
        return self.asked > 0 and self.right >= min(2, self.asked)


@record
class Vote:
    """The batch's label, and the label of every look that is no evidence, by its index.

    Offline labels (`Label.is_offline`) mean a void look; `partial-outage` and
    `provider-outage` one that is recorded and counts for nothing. `spoilt`: the looks that rest
    on a name the resolver may have lied about.
    """

    label: Label
    looks: Mapping[int, Label] = field(default_factory=dict)
    why: str = ""
    spoilt: frozenset[int] = frozenset()


def vote(
    batch: Sequence[Ballot],
    *,
    canaries: Canaries | None = None,
    first_run: bool = False,
    has_route: bool = True,
    resolver_answers: bool = True,
    forgery: Forgery = HONEST,
) -> Vote:
    """Say which looks of a batch are no evidence about their links.

    Where there are canaries they decide; where there are none, the batch itself does, if it
    spans at least five hosts; otherwise only a missing route or a resolver that answers for no
    name mean offline. `first_run`: no look ever got an answer, so unknown hosts count too.
    What a forging resolver led astray is void, and no voice about all the others.
    """
    own_fault = {
        index: Label.OFFLINE
        for index, one in enumerate(batch)
        if one.observation.error == LOCAL_TROUBLE
    }
    astray = [index for index in _unsound(batch) if forgery.misled(batch[index].observation)]
    rest = sorted({*range(len(batch))}.difference(astray))
    if forgery.everywhere and _all_astray(batch, astray, canaries):
        silent = [index for index in rest if batch[index].failed_below_http]
        found = _all(Label.CAPTIVE_PORTAL, silent, "the resolver leads every name to one place")
    else:
        others = [batch[index] for index in rest]
        found = _judge(others, canaries, first_run, has_route, resolver_answers)
        found = replace(found, looks={rest[place]: word for place, word in found.looks.items()})
    void = dict.fromkeys(astray, found.label if found.label.is_offline else Label.OFFLINE)
    spoilt = frozenset(
        place for place in _unsound(batch) if forgery.spoils(batch[place].observation)
    )
    return replace(found, looks={**found.looks, **void, **own_fault}, spoilt=spoilt)


def _all_astray(batch: Sequence[Ballot], astray: Sequence[int], canaries: Canaries | None) -> bool:
    """Say whether nothing but invented addresses answered, or for most of five hosts at least.

    Where there are canaries they know better.
    """
    if not astray or (canaries is not None and canaries.asked):
        return False
    places = set(astray)
    others = [one for index, one in enumerate(batch) if index not in places]
    misled = {batch[index].host for index in places}
    hosts = {one.host for one in batch}
    return all(one.failed_below_http for one in others) or _most(len(misled), len(hosts))


def _judge(
    batch: Sequence[Ballot],
    canaries: Canaries | None,
    first_run: bool,
    has_route: bool,
    resolver_answers: bool,
) -> Vote:
    failed = [index for index, one in enumerate(batch) if one.failed_below_http]
    if canaries is not None and canaries.asked and not canaries.fine:
        label = Label.CAPTIVE_PORTAL if canaries.portal else Label.OFFLINE
        return _all(label, _unsound(batch), "the canaries do not answer as they should")
    mostly_failed = _mostly_failed(batch, first_run)
    if canaries is not None and canaries.fine:
        if mostly_failed:
            why = "most hosts failed although the canaries answer"
            return _all(Label.PARTIAL_OUTAGE, failed, why)
        return _provider_outage(batch)
    if mostly_failed:
        return _all(Label.OFFLINE, failed, "most hosts failed below HTTP")
    portal = _one_answer_for_all(batch)
    if portal:
        # What failed below HTTP in the portal's reign, a missing name too, proves nothing either.
        void = sorted({*portal, *failed})
        return _all(Label.CAPTIVE_PORTAL, void, "most hosts gave one and the same answer")
    if batch and len(failed) == len(batch) and _no_way_out(batch, has_route, resolver_answers):
        return _all(Label.OFFLINE, failed, "there is no route, or the resolver does not answer")
    return _provider_outage(batch)


def _all(label: Label, looks: Iterable[int], why: str) -> Vote:
    return Vote(label, dict.fromkeys(looks, label), why)


def _unsound(batch: Sequence[Ballot]) -> list[int]:
    """Return the looks that a machine without a way out could have had.

    An answer that carries the cited title came from the real site, whatever came after it.
    """
    return [index for index, one in enumerate(batch) if not one.carries_title]


def _mostly_failed(batch: Sequence[Ballot], first_run: bool) -> bool:
    """Say whether at least five hosts were asked and most of them failed below HTTP.

    Hosts that failed the same way last time, and hosts never seen (but on a first run), say
    nothing about today: without this the usual batch of sick links would always look like an
    outage, and nothing could ever die (reference checking §6 step 6).
    """
    failed: dict[str, bool] = {}
    for one in batch:
        below = one.failed_below_http
        known = one.host_seen_before or first_run
        if below and (one.failed_alike_before or not known):
            continue
        host = lane_of(one.host)
        failed[host] = failed.get(host, True) and below
    return _most(sum(failed.values()), len(failed))


def _most(part: int, whole: int) -> bool:
    return whole >= ENOUGH_HOSTS and part >= _SHARE * whole


def _one_answer_for_all(batch: Sequence[Ballot]) -> list[int]:
    """Return the looks that ended on one foreign host, or in one body, if most did."""
    hosts = {one.host for one in batch}
    strange = {one.host for one in batch if not (one.carries_title or one.is_known_page)}
    if not _most(len(strange), len(hosts)):
        return []
    for key_of in (_foreign_end, _body):
        groups: dict[Hashable, list[int]] = defaultdict(list)
        for index, one in enumerate(batch):
            key = None if one.carries_title or one.is_known_page else key_of(one)
            if key is not None:
                groups[key].append(index)
        for looks in groups.values():
            if _most(len({batch[index].host for index in looks}), len(hosts)):
                return looks
    return []


def _foreign_end(one: Ballot) -> Hashable | None:
    seen = one.observation
    end = host_of(seen.final_url or "")
    return end if seen.redirects and end and site_of(end) != site_of(one.host) else None


def _body(one: Ballot) -> Hashable | None:
    seen = one.observation
    if seen.page is None or seen.status is None:
        return None
    if not 200 <= seen.status < 300 and seen.status != _PORTAL_STATUS:
        # A server's stock error page is the same everywhere.
        return None
    page = seen.page
    if page.kind != "html" or not (page.text_length or page.title):
        return None
    return (page.title, page.headings, page.opening, page.text_length, page.fingerprint)


def _no_way_out(batch: Sequence[Ballot], has_route: bool, resolver_answers: bool) -> bool:
    errors = {one.observation.error for one in batch}
    if not has_route and errors <= {"unreachable", "dns-error", "dns-timeout"}:
        return True
    return not resolver_answers and errors <= {"dns-error", "dns-timeout"}


def _provider_outage(batch: Sequence[Ballot]) -> Vote:
    """Find at least five healthy hosts of one provider that began to fail alike."""
    hosts: dict[tuple[str, str], set[str]] = defaultdict(set)
    keys: dict[int, tuple[str, str]] = {}
    healthy: Counter[tuple[str, str]] = Counter()
    for index, one in enumerate(batch):
        key = _shared_failure(one)
        if key is not None:
            keys[index] = key
            hosts[key].add(one.host)
            healthy[key] += one.ok_lately
    out = {
        key
        for key, members in hosts.items()
        if len(members) >= ENOUGH_HOSTS
        and healthy[key] == sum(other == key for other in keys.values())
    }
    looks = [index for index, key in keys.items() if key in out]
    if not looks:
        return Vote(Label.ONLINE)
    return _all(Label.PROVIDER_OUTAGE, looks, "hosts of one provider began to fail alike")


def _shared_failure(one: Ballot) -> tuple[str, str] | None:
    seen = one.observation
    if seen.status in _RELAY_STATUSES:
        return ("cloudflare", str(seen.status))
    if one.failed_below_http and one.network and seen.error:
        return (one.network, seen.error)
    return None


async def ask_canaries(
    fetcher: Fetcher, urls: Sequence[str], clock: Clock, forgery: Forgery = HONEST
) -> Canaries:
    """Ask all canaries at once, and once more after 15 s when only one of several is right.

    Right is a status below 500 that is neither a redirect to another host nor 511
    (contract §3), from an address that no `forgery` invented. They pass the address guard and
    the lanes like every look; one whose host may not be asked now is not counted.
    """
    if not urls:
        return Canaries(0, 0)
    first = await _ask_all(fetcher, urls, forgery)
    if first.fine or first.right == 0:
        return first
    await clock.sleep(_SECOND_ASKING)
    return await _ask_all(fetcher, urls, forgery)


async def _ask_all(fetcher: Fetcher, urls: Sequence[str], forgery: Forgery) -> Canaries:
    answers = await asyncio.gather(*(_ask(fetcher, url) for url in urls))
    seen = [one for one in answers if one is not None]
    right = [one for one in seen if is_right(one) and not forgery.misled(one)]
    wrong = [one for one in seen if one not in right]
    wrong_plain = any(one.url.startswith("http://") and one.answered for one in wrong)
    encrypted = [one for one in seen if one.url.startswith("https://")]
    broken = all(
        one.status is None or (one.error or "").startswith(_TLS) or forgery.misled(one)
        for one in encrypted
    )
    portal = any(one.status == _PORTAL_STATUS for one in seen)
    return Canaries(len(seen), len(right), portal or (wrong_plain and broken))


def is_right(seen: Observation) -> bool:
    """Say whether a canary answered as it should (contract §3, `canaries`).

    A host and its `www.` twin are one, here as in the lanes.
    """
    if seen.status is None or seen.error is not None:
        return False
    if seen.status >= 500:
        return False
    target = host_of(seen.headers.get("location", ""))
    return not target or lane_of(target) == lane_of(host_of(seen.url))


async def _ask(fetcher: Fetcher, url: str) -> Observation | None:
    try:
        return await fetcher.glance(
            url,
            seconds=_CANARY_SECONDS,
            max_body=_CANARY_BODY,
            max_redirects=0,
            on_page=lambda *_, **__: PageFacts(),
        )
    except HostUnavailable:
        return None


def has_route(connect: Callable[[socket.socket, tuple[str, int]], None] | None = None) -> bool:
    """Say whether the routing table knows a way to the internet; nothing is sent.

    Connecting a datagram socket only chooses a route. `connect` is for tests.
    """
    choose = connect or (lambda opened, place: opened.connect(place))
    for family, place in (
        (socket.AF_INET, ("198.41.0.4", 53)),  # a.root-servers.net
        (socket.AF_INET6, ("2001:503:ba3e::2:30", 53)),
    ):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as opened:
                choose(opened, place)
                return True
        except OSError:
            continue
    return False
