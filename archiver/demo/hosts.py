"""The table of the small web: one row per host (a few hosts have two), one misbehaviour each.

Names end in `.example` or `.test` (RFC 2606), so that no row can ever reach a real host.
Finding and belief follow design §5 and reference checking §§4, 5, 7; the beliefs hold after
`REHEARSAL_DAYS` days of looks at the intervals of design §5.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from archiver.demo.behaviours import Fault, Outcome, Visit
from archiver.demo.certificates import Certificate
from archiver.demo.hosts_alive import ALIVE_SITES
from archiver.demo.hosts_failing import FAILING_SITES
from archiver.demo.hosts_gone import GONE_SITES
from archiver.demo.hosts_refused import REFUSED_SITES
from archiver.demo.sites import Site

# Weak evidence needs 30 days to kill (design §5); two more weeks let the looks fall due.
REHEARSAL_DAYS = 44

SITES: tuple[Site, ...] = ALIVE_SITES + REFUSED_SITES + GONE_SITES + FAILING_SITES


class Directory:
    """Which rows live on which host, and what a visit there meets."""

    def __init__(self, sites: Sequence[Site]) -> None:
        """File the rows under their host and the further hosts they use."""
        self._by_host: dict[str, list[Site]] = defaultdict(list)
        for site in sites:
            for host in (site.host, *site.also):
                self._by_host[host].append(site)

    def outcome(self, visit: Visit) -> Outcome:
        """Return what a visit meets; an unknown host does not exist."""
        rows = self._by_host.get(visit.host)
        if not rows:
            return Fault.NAME_GONE
        site = next((row for row in rows if row.address.target == visit.target), rows[0])
        return site.behaviour(site.address, visit)

    def outcome_of_host(self, host: str, day: int) -> Outcome:
        """Return what the cited page of a host gives on a day (for faults below HTTP)."""
        rows = self._by_host.get(host)
        if not rows:
            return Fault.NAME_GONE
        address = rows[0].address
        return self.outcome(Visit(address.scheme, host, address.target, day))

    def names_by_certificate(self) -> dict[Certificate, list[str]]:
        """Return which host names each kind of certificate stands for."""
        names: dict[Certificate, list[str]] = defaultdict(list)
        for host, rows in self._by_host.items():
            names[rows[0].certificate].append(host)
        return names

    def certificate_of(self, host: str) -> Certificate:
        """Return the kind of certificate a host shows."""
        rows = self._by_host.get(host)
        return rows[0].certificate if rows else Certificate.GOOD
