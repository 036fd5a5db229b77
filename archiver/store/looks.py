"""Looks and beliefs: what is due, what was seen, what is held.

`looks` and `changes` are append-only. A batch of looks, the beliefs that follow from them, the
flips and the hosts' last answers are one transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime, timedelta
from typing import Any

from archiver.clock import CLOCK_TRUST, to_stamp
from archiver.model import Belief, Finding, Observation, Vantage
from archiver.records import record
from archiver.store.codec import as_json, belief_text, read_belief
from archiver.store.database import Database

# A claim this old was left by a process that died.
CLAIM_LIFETIME = timedelta(hours=1)


@record
class KnownLink:
    """What the store knows of a link when it is about to be looked at.

    `first_good` and `last_good` are what the judge kept of good looks, `chosen` what it kept of
    the capture chosen for the citation; all opaque here. `as_stored`: the columns of its belief
    and its archive record, to see without reading them whether anything moved.
    """

    link_id: int
    url: str
    wire: str
    host: str
    belief: Belief
    archive_state: str
    titles: tuple[str, ...] = ()
    publishers: tuple[str, ...] = ()
    first_good: Mapping[str, Any] | None = None
    last_good: Mapping[str, Any] | None = None
    host_answered_at: str | None = None
    cited: bool = True
    archive_record: str = "{}"
    chosen: Mapping[str, Any] | None = None
    as_stored: tuple[Any, ...] = ()


@record
class RecordedLook:
    """One look with all that follows from it."""

    link: KnownLink
    observation: Observation
    finding: Finding
    belief: Belief
    facts: Mapping[str, Any] = field(default_factory=dict)
    good: Mapping[str, Any] | None = None
    wake_archive: bool = False


_KNOWN = """
SELECT l.verdict, l.reason, l.verdict_since, l.last_look_at, l.next_look_at,
       l.last_seen_alive_at, l.last_seen_alive_by, l.belief, l.archive_record,
       l.id, l.url, l.wire, l.host, l.archive_state,
       l.first_good, l.last_good, l.cited, h.last_answer_at AS host_answered_at,
       (SELECT json_group_array(json_array(c.source_title, c.publisher)) FROM citations c
         WHERE c.link_id = l.id AND c.gone_at IS NULL) AS cited_as,
       (SELECT k.page FROM citations c JOIN captures k ON k.id = c.chosen_capture_id
         WHERE c.link_id = l.id AND c.gone_at IS NULL AND k.page IS NOT NULL
         ORDER BY c.id LIMIT 1) AS chosen
  FROM links l LEFT JOIN hosts h ON h.host = l.host
"""


# The columns that both queries begin with.
_BELIEF_AND_RECORD = 9
_HELD = """
SELECT verdict, reason, verdict_since, last_look_at, next_look_at, last_seen_alive_at,
       last_seen_alive_by, belief, archive_record, id
  FROM links WHERE id IN (SELECT value FROM json_each(?))
"""


class Looks:
    """Claims links, records looks."""

    def __init__(self, database: Database) -> None:
        """Work on an open, migrated database."""
        self._database = database

    def claim_due(self, now: datetime, limit: int, holder: str) -> list[KnownLink]:
        """Take up to `limit` due links that nobody holds."""
        # After a power cut nobody holds them, whether the disk knows of the claim or not.
        with self._database.unhurried(), self._database.atomic():
            rows = self._database.fetch(
                "UPDATE links SET claimed_by = ?, claimed_at = ? WHERE id IN ("
                " SELECT id FROM links WHERE cited = 1 AND next_look_at <= ?"
                " AND claimed_by IS NULL ORDER BY next_look_at, id LIMIT ?) RETURNING id",
                [holder, to_stamp(now), to_stamp(now), limit],
            )
        return self.known([row[0] for row in rows])

    def still_due(self, link_ids: Iterable[int], now: datetime) -> set[int]:
        """Return which of these links, claimed as due, still are: nobody looked meanwhile."""
        found = self._database.rows(
            "SELECT id FROM links WHERE id IN (SELECT value FROM json_each(?))"
            " AND cited = 1 AND next_look_at <= ?",
            [json.dumps(list(link_ids)), to_stamp(now)],
        )
        return {row[0] for row in found}

    def known(self, link_ids: Sequence[int]) -> list[KnownLink]:
        """Return what is known of links, in the order of their ids."""
        marks = ", ".join("?" * len(link_ids))
        query = f"{_KNOWN} WHERE l.id IN ({marks}) ORDER BY l.id"
        return [_known_link(row) for row in self._database.rows(query, list(link_ids))]

    def held(self, links: Iterable[KnownLink]) -> list[KnownLink]:
        """Return links with what is believed of them now, the same object where nothing moved.

        Call it inside the transaction that records what follows from it.
        """
        asked = list(links)
        ids = json.dumps([link.link_id for link in asked])
        rows = {row["id"]: row for row in self._database.rows(_HELD, [ids])}
        current: list[KnownLink] = []
        for link in asked:
            row = rows.get(link.link_id)
            stored = link.as_stored if row is None else tuple(row)[:_BELIEF_AND_RECORD]
            if row is None or stored == link.as_stored:
                current.append(link)
            else:
                moved = replace(link, belief=read_belief(row), as_stored=stored)
                current.append(replace(moved, archive_record=row["archive_record"]))
        return current

    def release(self, holder: str, link_ids: Iterable[int] | None = None) -> None:
        """Give claims back unused: these, or all of a holder."""
        if link_ids is None:
            self._database.execute(
                "UPDATE links SET claimed_by = NULL, claimed_at = NULL WHERE claimed_by = ?",
                [holder],
            )
            return
        self._database.execute_many(
            "UPDATE links SET claimed_by = NULL, claimed_at = NULL WHERE id = ? AND claimed_by = ?",
            [(link_id, holder) for link_id in link_ids],
        )

    def release_stale(self, now: datetime, holders: str | None = None) -> None:
        """Free claims of processes that died: old ones, and those whose holder starts so.

        Those of a clock that was ahead are as old.
        """
        ahead = to_stamp(now + CLOCK_TRUST)
        self._database.execute(
            "UPDATE links SET claimed_by = NULL, claimed_at = NULL WHERE claimed_by IS NOT NULL"
            " AND (claimed_at < ? OR claimed_at > ? OR claimed_by GLOB ?)",
            [to_stamp(now - CLAIM_LIFETIME), ahead, f"{holders}*" if holders else ""],
        )

    def plan_anew(self, now: datetime, longest: timedelta) -> None:
        """Make due what nobody has planned, or what a clock that was ahead has.

        That clock looked at it lately, or planned the next look later than any look is.
        """
        self._database.execute(
            "UPDATE links SET next_look_at = ?1 WHERE cited = 1"
            " AND (next_look_at > ?2 OR next_look_at IS NULL OR last_look_at > ?3)",
            [to_stamp(now), to_stamp(now + longest), to_stamp(now + CLOCK_TRUST)],
        )

    def postpone(self, link_ids: Iterable[int], until: datetime) -> None:
        """Look later at links whose host the operator asked to leave alone."""
        self._database.execute_many(
            "UPDATE links SET next_look_at = ?, claimed_by = NULL, claimed_at = NULL WHERE id = ?",
            [(to_stamp(until), link_id) for link_id in link_ids],
        )

    def spread(self, now: datetime, over: timedelta) -> int:
        """Spread links that are due evenly over a while from now, in the order they were due.

        Returns how many there are.
        """
        with self._database.atomic():
            due = [
                row[0]
                for row in self._database.fetch(
                    "SELECT id FROM links WHERE cited = 1 AND next_look_at <= ?"
                    " AND claimed_by IS NULL ORDER BY next_look_at, id",
                    [to_stamp(now)],
                )
            ]
            step = over / max(1, len(due))
            self._database.execute_many(
                "UPDATE links SET next_look_at = ? WHERE id = ?",
                [(to_stamp(now + step * place), link_id) for place, link_id in enumerate(due, 1)],
            )
        return len(due)

    def record(self, looks: Sequence[RecordedLook], run_id: int | None) -> None:
        """Store looks and what follows from them, and release their claims: one transaction."""
        if not looks:
            return
        with self._database.atomic():
            first_id = 1 + int(self._database.value("SELECT coalesce(max(id), 0) FROM looks") or 0)
            numbered = list(enumerate(looks, first_id))
            # Plain statements: rows as dictionaries cost several times the insert itself.
            self._database.execute_many(
                _INSERT_LOOK, [_look_row(look_id, look, run_id) for look_id, look in numbered]
            )
            self._update_links(looks)
            self._note_changes(numbered)
            self._note_answers(looks)

    def _update_links(self, looks: Sequence[RecordedLook]) -> None:
        self._database.execute_many(_UPDATE_LINK, [_link_row(look) for look in looks])
        self._database.execute_many(
            "UPDATE links SET archive_next_at = CASE WHEN archive_next_at IS NULL"
            " OR archive_next_at > ?1 THEN ?1 ELSE archive_next_at END WHERE id = ?2",
            [
                (to_stamp(look.observation.looked_at), look.link.link_id)
                for look in looks
                if look.wake_archive
            ],
        )

    def _note_changes(self, looks: Iterable[tuple[int, RecordedLook]]) -> None:
        self._database.execute_many(
            "INSERT INTO changes (link_id, changed_at, from_verdict, to_verdict, reason, look_id)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            [
                (
                    *(look.link.link_id, to_stamp(look.observation.looked_at)),
                    *(look.link.belief.verdict.value, look.belief.verdict.value),
                    *(look.belief.reason, look_id),
                )
                for look_id, look in looks
                if look.belief.verdict is not look.link.belief.verdict
            ],
        )

    def _note_answers(self, looks: Sequence[RecordedLook]) -> None:
        """Remember when a host last gave an HTTP answer: a silent host may be gone (design §5)."""
        answered = {
            look.link.host: to_stamp(look.observation.looked_at)
            for look in looks
            if look.finding.answered
            and look.observation.answered
            and look.observation.vantage is Vantage.HERE
            and look.finding.verdict is not None
        }
        self._database.execute_many(
            "INSERT INTO hosts (host, last_answer_at) VALUES (?, ?)"
            " ON CONFLICT (host) DO UPDATE SET last_answer_at ="
            " max(coalesce(last_answer_at, ''), excluded.last_answer_at)",
            list(answered.items()),
        )

    def history(self, link_id: int) -> Iterator[sqlite3.Row]:
        """Stream a link's looks, oldest first."""
        return self._database.rows("SELECT * FROM looks WHERE link_id = ? ORDER BY id", [link_id])

    def other_paths_on_page(self, host: str, final_url: str, link_id: int) -> int:
        """Count other cited links of the host whose last look ended on this same page."""
        return int(
            self._database.value(
                "SELECT count(*) FROM links WHERE host = ? AND final_url = ? AND id <> ?"
                " AND url <> ? AND cited = 1",
                [host, final_url, link_id, final_url],
            )
        )

    def put_right(self, link_id: int, belief: Belief) -> None:
        """Store a belief that was folded anew; when to look next stays as it is."""
        self._database.execute(
            "UPDATE links SET verdict = ?, reason = ?, verdict_since = ?, last_look_at = ?,"
            " next_look_at = coalesce(next_look_at, ?), last_seen_alive_at = ?,"
            " last_seen_alive_by = ?, belief = ? WHERE id = ?",
            [*_belief_columns(belief), link_id],
        )

    def set_ignored(self, link_id: int, ignored: bool) -> None:
        """Leave a link out of reports and failures, or take it back in."""
        self._database.execute("UPDATE links SET ignored = ? WHERE id = ?", [int(ignored), link_id])

    def probe(self, host: str, directory: str, not_before: datetime | None = None) -> str | None:
        """Return what a sibling probe of this directory told, when it is young enough."""
        row = self._database.row(
            "SELECT facts FROM probes WHERE host = ? AND directory = ? AND asked_at >= ?",
            [host, directory, to_stamp(not_before) if not_before else ""],
        )
        return None if row is None else row["facts"]

    def remember_probe(self, host: str, directory: str, facts: str, now: datetime) -> None:
        """Keep what a sibling probe told."""
        self._database.execute(
            "INSERT OR REPLACE INTO probes (host, directory, asked_at, facts) VALUES (?, ?, ?, ?)",
            [host, directory, to_stamp(now), facts],
        )

    def canaries(self, hosts: Iterable[str], limit: int) -> list[str]:
        """Return wire URLs of links that were plainly fine in their last three looks.

        At other hosts than these, one a host, chosen anew each time so that no host is asked
        more often than others; encrypted ones first, for no portal can answer in their place.
        """
        return [
            row["wire"]
            for row in self._database.rows(
                "SELECT l.wire, random() AS place FROM links l WHERE l.cited = 1"
                " AND l.verdict = 'ok' AND l.reason = 'ok' AND l.http_status = 200"
                " AND l.final_url = l.wire"
                " AND l.host NOT IN (SELECT value FROM json_each(?))"
                " AND (SELECT count(*) FROM (SELECT reason FROM looks k WHERE k.link_id = l.id"
                "      AND k.vantage = 'here' ORDER BY k.id DESC LIMIT 3) WHERE reason = 'ok') = 3"
                " GROUP BY l.host ORDER BY l.wire LIKE 'https:%' DESC, place LIMIT ?",
                [json.dumps(sorted(hosts)), limit],
            )
        ]


def _known_link(row: sqlite3.Row) -> KnownLink:
    cited_as = json.loads(row["cited_as"])
    return KnownLink(
        link_id=row["id"],
        url=row["url"],
        wire=row["wire"],
        host=row["host"],
        belief=read_belief(row),
        archive_state=row["archive_state"],
        titles=tuple(dict.fromkeys(title for title, _ in cited_as if title)),
        publishers=tuple(dict.fromkeys(publisher for _, publisher in cited_as if publisher)),
        first_good=None if row["first_good"] is None else json.loads(row["first_good"]),
        last_good=None if row["last_good"] is None else json.loads(row["last_good"]),
        host_answered_at=row["host_answered_at"],
        cited=bool(row["cited"]),
        archive_record=row["archive_record"],
        chosen=None if row["chosen"] is None else json.loads(row["chosen"]),
        as_stored=tuple(row)[:_BELIEF_AND_RECORD],
    )


def _stamp(moment: datetime | None) -> str | None:
    return None if moment is None else to_stamp(moment)


_UPDATE_LINK = """
UPDATE links SET verdict = ?, reason = ?, verdict_since = ?, last_look_at = ?, next_look_at = ?,
       last_seen_alive_at = ?, last_seen_alive_by = ?, belief = ?,
       final_url = iif(?9, ?10, final_url), http_status = iif(?9, ?11, http_status),
       first_good = coalesce(first_good, ?12), last_good = coalesce(?12, last_good),
       claimed_by = NULL, claimed_at = NULL
 WHERE id = ?13
"""


def _link_row(look: RecordedLook) -> tuple[Any, ...]:
    """Return what a look changes of its link; what others saw, or nobody, is no last answer."""
    seen = look.observation
    counts = seen.vantage is Vantage.HERE and look.finding.verdict is not None
    return (
        *_belief_columns(look.belief),
        *(counts, seen.final_url, seen.status),
        *(None if look.good is None else as_json(look.good), look.link.link_id),
    )


def _belief_columns(belief: Belief) -> tuple[Any, ...]:
    return (
        *(belief.verdict.value, belief.reason, _stamp(belief.since)),
        *(_stamp(belief.last_look_at), _stamp(belief.next_look_at)),
        *(_stamp(belief.last_alive_at), belief.last_alive_by, belief_text(belief)),
    )


_INSERT_LOOK = """
INSERT INTO looks (id, link_id, looked_at, vantage, status, error, final_url, redirects,
       duration, content_type, title, verdict, reason, facts, run_id, strength)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


def _look_row(look_id: int, look: RecordedLook, run_id: int | None) -> tuple[Any, ...]:
    seen, finding = look.observation, look.finding
    hops = seen.redirects
    return (
        *(look_id, look.link.link_id, to_stamp(seen.looked_at), seen.vantage.value),
        *(seen.status, seen.error, seen.final_url),
        "[]" if not hops else as_json([[hop.status, hop.url] for hop in hops]),
        *(round(seen.duration, 3), seen.content_type, seen.page.title if seen.page else None),
        *(None if finding.verdict is None else finding.verdict.value, finding.reason),
        *(as_json(look.facts), run_id, finding.strength.value),
    )
