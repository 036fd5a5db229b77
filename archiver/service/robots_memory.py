"""What robots.txt files said, remembered over restarts: asked once a month (design §5)."""

from __future__ import annotations

import json
from datetime import timedelta

from archiver.checking.robots import Robots
from archiver.clock import from_stamp, to_stamp
from archiver.service.desk import Desk

# Kept beside the sibling probes, under a name that no directory of a site has.
_PLACE = "/robots.txt"
# The fetcher decides how long an answer is believed; older ones are of no use to anybody.
_KEPT = timedelta(days=60)


class StoredRobots:
    """The fetcher's memory of robots.txt, in the store."""

    def __init__(self, desk: Desk) -> None:
        """Remember in the desk's store."""
        self._desk = desk

    def get(self, origin: str, /) -> Robots | None:
        """Return what this origin said last, if it was asked."""
        earliest = self._desk.clock.now() - _KEPT
        text = self._desk.store.looks.probe(origin, _PLACE, earliest)
        if text is None:
            return None
        stored = json.loads(text)
        rules = tuple((bool(allow), str(pattern)) for allow, pattern in stored["rules"])
        return Robots(from_stamp(stored["asked_at"]), rules)

    def put(self, origin: str, robots: Robots, /) -> None:
        """Keep what this origin says now."""
        stored = {"asked_at": to_stamp(robots.asked_at), "rules": robots.rules}
        text = json.dumps(stored)
        self._desk.store.looks.remember_probe(origin, _PLACE, text, robots.asked_at)
