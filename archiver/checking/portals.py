"""What a captive portal can answer in a site's place: only what comes without encryption.

Reference checking §6: a portal cannot fake TLS.
"""

from __future__ import annotations

from collections.abc import Sequence

from archiver.checking.online import ENOUGH_HOSTS, Ballot
from archiver.urls import host_of, site_of


def may_have_answered(batch: Sequence[Ballot]) -> bool:
    """Say whether a portal may have answered a batch of too few hosts to tell by itself."""
    few = len({one.host for one in batch}) < ENOUGH_HOSTS
    return few and any(map(_may_be_of_a_portal, batch))


def _may_be_of_a_portal(one: Ballot) -> bool:
    seen = one.observation
    if seen.status is None or seen.status >= 400 or one.carries_title or one.is_known_page:
        return False
    end = seen.final_url or seen.url
    own = end.startswith("https:") and site_of(host_of(end)) == site_of(one.host)
    return seen.url.startswith("http:") and not own
