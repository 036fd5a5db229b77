"""The servers' side of good manners: what was asked when, and who came too close."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from archiver.records import record


@dataclass(slots=True)
class Served:
    """One request as its server saw it; times are monotonic seconds of the rehearsal's clock.

    `ended` is None while the answer is still under way; `location` is where the answer sent the
    client, None when it was no redirect.
    """

    host: str
    scheme: str
    target: str
    started: float
    ended: float | None = None
    location: str | None = None

    @property
    def url(self) -> str:
        """Return the absolute URL that was asked for."""
        return f"{self.scheme}://{self.host}{self.target}"


@record
class Violation:
    """Two requests to one host that overlapped (`gap` negative) or came too close, in seconds."""

    host: str
    first: str
    second: str
    gap: float


def violations(
    served: Iterable[Served], delay: float, *, tolerance: float = 0.05, hops_may_follow: bool = True
) -> list[Violation]:
    """Return every pair of consecutive requests to a host closer than `delay` seconds.

    The gap counts from the end of one answer to the start of the next; `tolerance` allows for
    the time between a client's seeing the end of an answer and the server's. A hop that follows
    a redirect on the same host is part of one look (design §5, "Manners") and is left out unless
    `hops_may_follow` is false; it must not overlap in any case.
    """
    by_host: dict[str, list[Served]] = defaultdict(list)
    for request in served:
        by_host[request.host].append(request)
    found = []
    for host, requests in by_host.items():
        requests.sort(key=lambda request: request.started)
        for first, second in pairwise(requests):
            gap = second.started - (second.started if first.ended is None else first.ended)
            is_hop = hops_may_follow and first.location == second.url
            least = 0.0 if is_hop else delay
            if first.ended is None or gap < least - tolerance:
                found.append(Violation(host, first.url, second.url, gap))
    return found
