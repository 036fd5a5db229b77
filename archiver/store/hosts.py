"""Hosts: whose turn it is, and how long they asked us to wait.

A host is leased to one process at a time; the lease outlives the request it covers, so after a
crash nobody asks that host before it is over (laws 6 and 8).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from archiver.clock import CLOCK_TRUST, from_stamp, to_stamp
from archiver.model import HostState
from archiver.store.database import Database

# A host's Retry-After is capped at 24 h (design §5): a pause that seems longer was noted by a
# clock that was ahead, and would close the host until that time comes.
_LONGEST_PAUSE = timedelta(hours=24, minutes=1)


class Hosts:
    """The ledger of hosts."""

    def __init__(self, database: Database) -> None:
        """Work on an open, migrated database."""
        self._database = database

    def lease(self, host: str, holder: str, now: datetime, until: datetime) -> HostState | None:
        """Take or extend a host's lease; None while another process holds it."""
        # A lease need not outlive a power cut: the machine takes longer to come back than a host
        # is kept closed. Without waiting for the disk it costs a tenth, and comes before a look.
        with self._database.unhurried():
            rows = self._database.fetch(
                "INSERT INTO hosts (host, leased_by, leased_until) VALUES (?1, ?2, ?4)"
                " ON CONFLICT (host) DO UPDATE SET leased_by = ?2, leased_until = ?4,"
                " not_before = min(not_before, ?5)"
                " WHERE leased_by IS NULL OR leased_by = ?2 OR leased_until <= ?3"
                " OR leased_until > ?6"
                " RETURNING not_before, last_request_at, consecutive_pauses",
                [
                    *(host, holder, to_stamp(now), to_stamp(until)),
                    *(to_stamp(now + _LONGEST_PAUSE), to_stamp(until + CLOCK_TRUST)),
                ],
            )
        return HostState(_moment(rows[0][0]), _moment(rows[0][1]), rows[0][2]) if rows else None

    @contextmanager
    def together(self) -> Iterator[None]:
        """Take the leases of the block in one transaction: each alone costs several times more."""
        with self._database.unhurried(), self._database.atomic():
            yield

    def release(self, host: str, holder: str, last_request_at: datetime) -> None:
        """Give a lease back, noting when the host's last answer ended."""
        self._database.execute(
            "UPDATE hosts SET leased_by = NULL, leased_until = NULL,"
            " last_request_at = max(coalesce(last_request_at, ''), ?)"
            " WHERE host = ? AND leased_by = ?",
            [to_stamp(last_request_at), host, holder],
        )

    def free(self, holders: str, now: datetime) -> None:
        """Take back the leases of processes that are known to be dead: whose name starts so.

        The last of them may have asked its host this very moment, so the delay runs from now.
        """
        self._database.execute(
            "UPDATE hosts SET leased_by = NULL, leased_until = NULL,"
            " last_request_at = max(coalesce(last_request_at, ''), ?)"
            " WHERE leased_by GLOB ? AND leased_until > ?",
            [to_stamp(now + timedelta(seconds=1)), f"{holders}*", to_stamp(now)],
        )

    def put_right(self, now: datetime) -> None:
        """Let no host have answered at a time that has not come: a silent one would never die.

        What a sibling of a page told then would be taken for new until that time.
        """
        ahead = to_stamp(now + CLOCK_TRUST)
        self._database.execute(
            "UPDATE hosts SET last_answer_at = ? WHERE last_answer_at > ?",
            [to_stamp(now - timedelta(seconds=1)), ahead],
        )
        self._database.execute("DELETE FROM probes WHERE asked_at > ?", [ahead])

    def forget_siblings(self, hosts: Iterable[str], since: datetime) -> None:
        """Forget what siblings of these hosts' pages, and their robots.txt, told since then."""
        self._database.execute_many(
            "DELETE FROM probes WHERE host = ? AND asked_at >= ?",
            [
                (asked, to_stamp(since))
                for host in hosts
                for asked in (host, f"http://{host}", f"https://{host}")
            ],
        )

    def pause(self, host: str, not_before: datetime) -> None:
        """Keep a Retry-After: nobody asks this host before then, also after a restart."""
        # Stored moments are whole seconds: cutting would let the host be asked too early.
        not_before += timedelta(microseconds=-not_before.microsecond % 1_000_000)
        self._database.execute(
            "INSERT INTO hosts (host, not_before, consecutive_pauses) VALUES (?1, ?2, 1)"
            " ON CONFLICT (host) DO UPDATE SET consecutive_pauses = consecutive_pauses + 1,"
            " not_before = max(coalesce(not_before, ''), ?2)",
            [host, to_stamp(not_before)],
        )

    def forgive(self, host: str) -> None:
        """Forget a host's pauses: it answered again."""
        self._database.execute(
            "UPDATE hosts SET consecutive_pauses = 0, not_before = NULL"
            " WHERE host = ? AND consecutive_pauses > 0",
            [host],
        )

    def holder(self, host: str, now: datetime) -> str | None:
        """Return who leases this host now, if anybody."""
        found: str | None = self._database.value(
            "SELECT leased_by FROM hosts WHERE host = ? AND leased_until > ?",
            [host, to_stamp(now)],
        )
        return found

    def captures_known(self, host: str) -> bool:
        """Say whether it is known that an archive has, or has not, anything of this host."""
        found = self._database.value("SELECT has_captures FROM hosts WHERE host = ?", [host])
        return found is not None

    def note_captures(self, host: str, present: bool) -> None:
        """Remember whether an archive holds anything of this host (suspect citations)."""
        self._database.execute(
            "INSERT INTO hosts (host, has_captures) VALUES (?1, ?2)"
            " ON CONFLICT (host) DO UPDATE SET has_captures = ?2",
            [host, int(present)],
        )

    def that_answered(self, limit: int) -> list[str]:
        """Return some of the hosts that gave an answer last."""
        return [
            row["host"]
            for row in self._database.rows(
                "SELECT host FROM hosts WHERE last_answer_at IS NOT NULL"
                " ORDER BY last_answer_at DESC LIMIT ?",
                [limit],
            )
        ]

    def any_answer(self) -> bool:
        """Say whether any host ever gave us an answer."""
        return bool(
            self._database.value("SELECT count(*) FROM hosts WHERE last_answer_at IS NOT NULL")
        )


def _moment(text: str | None) -> datetime | None:
    return from_stamp(text) if text else None
