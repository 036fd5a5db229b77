"""How much has rotted: the figures of reference linkrot §2.1 as pure functions.

Rates differ by definition, age and denominator, so three are given beside each other: what is
proven, what is possible at most, and the share among those we could judge.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from archiver.model import ALIVE, ArchiveState, Verdict
from archiver.records import record

# The 97.5 % point of the normal distribution, for two-sided intervals of 95 %.
Z = 1.959963984540054

Interval = tuple[float, float]


@record
class Counts:
    """What was counted; the unit of all but `citations`, `problems` and `events*` is the link.

    `verdicts` and `archive` map a verdict or archive state to the number of its links.
    `rescued` are dead links with a played-back capture that is not older than the source,
    `at_risk` are links not dead for which no capture is known. `events_touched` have at least one
    dead source, `events_lost` only dead ones. `mending` maps a mending group
    (`report.MendingGroup`) to its number of citations.
    """

    citations: int
    links: int
    verdicts: Mapping[str, int]
    archive: Mapping[str, int]
    problems: int = 0
    rescued: int = 0
    at_risk: int = 0
    events: int = 0
    events_touched: int = 0
    events_lost: int = 0
    mending: Mapping[str, int] = field(default_factory=dict)


def wilson(hits: int, number: int) -> Interval | None:
    """Return the 95 % Wilson score interval of `hits` of `number`; None when there are none.

    Wilson 1927, as given in reference linkrot §2.1.
    """
    if number <= 0:
        return None
    share = hits / number
    squared = Z * Z
    scale = 1 + squared / number
    centre = (share + squared / (2 * number)) / scale
    half = Z / scale * math.sqrt(share * (1 - share) / number + squared / (4 * number * number))
    return max(0.0, centre - half), min(1.0, centre + half)


def proven(verdicts: Mapping[str, int]) -> float | None:
    """Return the share of all links that is believed dead: D/N."""
    number = sum(verdicts.values())
    return verdicts.get(Verdict.DEAD, 0) / number if number else None


def bounds(verdicts: Mapping[str, int]) -> Interval | None:
    """Return the least and the largest share that can be dead, nothing assumed of the unseen."""
    number = sum(verdicts.values())
    if not number:
        return None
    dead = verdicts.get(Verdict.DEAD, 0)
    unseen = (Verdict.FAILING, Verdict.BLOCKED, Verdict.UNCHECKED)
    possible = dead + sum(verdicts.get(verdict, 0) for verdict in unseen)
    return dead / number, possible / number


def decided(verdicts: Mapping[str, int]) -> int:
    """Return how many links could be judged: dead, ok or moved."""
    return sum(verdicts.get(verdict, 0) for verdict in (Verdict.DEAD, *ALIVE))


def among_decided(verdicts: Mapping[str, int]) -> float | None:
    """Return the dead share of the links we could judge: D/(D+O+M)."""
    number = decided(verdicts)
    return verdicts.get(Verdict.DEAD, 0) / number if number else None


def totals(counts: Counts) -> dict[str, Any]:
    """Return the `totals` object of the report (contract §4).

    Shares are fractions rounded to four places. An interval of nothing is an empty list, a
    share of nothing is None.
    """
    verdicts = {verdict.value: counts.verdicts.get(verdict, 0) for verdict in Verdict}
    dead = verdicts[Verdict.DEAD]
    return {
        "citations": counts.citations,
        "links": counts.links,
        "verdicts": verdicts,
        "archive": {state.value: counts.archive.get(state, 0) for state in ArchiveState},
        "problems": counts.problems,
        "dead_proven": _rounded(proven(verdicts)),
        "bounds": _pair(bounds(verdicts)),
        "among_decided": _rounded(among_decided(verdicts)),
        "wilson": _pair(wilson(dead, decided(verdicts))),
        "rescued": counts.rescued,
        "rescued_share": _rounded(counts.rescued / dead if dead else None),
        "at_risk": counts.at_risk,
        "events": counts.events,
        "events_touched": counts.events_touched,
        "events_lost": counts.events_lost,
        "mending": dict(counts.mending),
    }


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)


def _pair(interval: Interval | None) -> list[float]:
    return [] if interval is None else [round(end, 4) for end in interval]


def percent(share: float | None) -> str:
    """Write a share as `7.2 %`; `< 0.1 %` rather than a rounded 0, `—` when there is none.

    The space is a no-break space: number and sign stay on one line.
    """
    if share is None:
        return "—"
    if 0 < share < 0.0005:
        return "<\u00a00.1\u00a0%"
    if 0.9995 <= share < 1:
        return ">\u00a099.9\u00a0%"
    digits = 1 if 0 < share < 1 else 0
    return f"{share * 100:.{digits}f}\u00a0%"
