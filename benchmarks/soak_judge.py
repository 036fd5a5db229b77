"""What a soak must show: samples of every simulated day, and the gates they are judged by.

Pure functions of the samples, so that a test can show that each gate fails when it should. What
the database may grow by is read from docs/operating.md, where operators read it too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

MONTH = 30


@dataclass(frozen=True, slots=True)
class Firing:
    """How one schedule fired over the whole soak.

    `due` is how often its interval fits in, `times` how often it came (also when the run before
    was still at work: `held`), `late` by how many seconds at the worst, and `strayed` by how
    many its last time lies off the grid that its first time began.
    """

    due: int
    times: int
    held: int
    late: float
    strayed: float


@dataclass(frozen=True, slots=True)
class Sample:
    """What one simulated day left behind.

    `rss_mb` is the median of the day's hours and `peak_mb` the most so far; `descriptors` and
    `tasks` are the fewest of the day's hours, so that work under way is not counted; `rows` are
    those of the tables. `looks` were made of which `looks_due` had fallen due by the schedule;
    `looks_late` is the worst of the day in seconds, `overdue` the links still waiting.
    """

    day: int
    rss_mb: float
    peak_mb: float
    descriptors: int
    threads: int
    tasks: int
    database: int
    journal: int
    rows: Mapping[str, int]
    looks: int = 0
    looks_due: int = 0
    looks_late: float = 0.0
    overdue: int = 0


@dataclass(frozen=True, slots=True)
class Soak:
    """All that was seen; `servers_mb` is what is not the service's own."""

    samples: Sequence[Sample]
    firings: Mapping[str, Firing]
    servers_mb: float = 0.0
    requests: int = 0
    too_close: int = 0
    mistakes: Sequence[str] = ()
    wrong: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Promise:
    """What the documents say a row costs, in bytes, and the most memory, in MB."""

    link: float
    citation: float
    capture: float
    look: float
    memory_mb: float

    def bytes_of(self, rows: Mapping[str, int]) -> float:
        """Return how large the documents expect a database of so many rows to be."""
        return (
            self.link * rows["links"]
            + self.citation * rows["citations"]
            + self.capture * rows["captures"]
            + self.look * rows["looks"]
        )


def promise(document: str) -> Promise:
    """Read the promise out of docs/operating.md; raise ValueError when it is not there."""
    number = r"([\d.]+)"
    row = re.search(
        rf"\| disk \| {number} kB a link, {number} kB a citation, {number} kB a capture,"
        rf" {number} kB a look",
        document,
    )
    memory = re.search(rf"^\| memory \|.*\| under {number} MB", document, re.M)
    if row is None or memory is None:
        raise ValueError("docs/operating.md does not say what a row costs, or not in these words")
    return Promise(*(float(text) * 1000 for text in row.groups()), float(memory[1]))


@dataclass(frozen=True, slots=True)
class Judged:
    """One gate: what was seen, what is allowed, and what to do when it is missed."""

    name: str
    met: bool
    seen: str
    allowed: str
    advice: str


@dataclass(frozen=True, slots=True)
class Limits:
    """What is allowed, and why so much.

    Memory: caches of titles and phrases fill in the first month; what SQLite keeps of a growing
    database (32 MB at most) needs no more than this. Descriptors: a look or an archive request
    may be under way in every hour of a day. Lateness of a schedule: how long the loop may be
    held by one settled batch. Lateness of a look: the check's interval of ten minutes, and the
    queue of the host with the most links.
    """

    memory_mb: float = 5.0
    memory_share: float = 0.05
    descriptors: int = 4
    threads: int = 2
    tasks: int = 4
    schedule_late: float = 5.0
    schedule_strayed: float = 1.0
    looks_missing: float = 0.02
    look_late: float = 1800.0
    growth: float = 0.25


Gate = Callable[[Soak, Promise, Limits], Judged]


def judge(soak: Soak, promised: Promise, limits: Limits | None = None) -> list[Judged]:
    """Judge a soak by every gate. Raises ValueError for one of less than two months."""
    if len(soak.samples) < MONTH + MONTH // 2:
        raise ValueError("a soak of less than a month and a half shows nothing about growth")
    return [gate(soak, promised, limits or Limits()) for gate in GATES]


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the slope of a line through points, as the median over all pairs of them.

    Memory goes up and down by some MB from day to day; single days move this hardly.
    """
    return median(
        (second[1] - first[1]) / (second[0] - first[0]) for first, second in combinations(points, 2)
    )


def _memory(soak: Soak, _promised: Promise, limits: Limits) -> Judged:
    days = soak.samples[MONTH:]
    first, *_, end = (median(one.rss_mb for one in month) for month in months(soak.samples))
    a_month = MONTH * slope([(one.day, one.rss_mb) for one in days])
    most = max(limits.memory_mb, limits.memory_share * median(one.rss_mb for one in days))
    return Judged(
        "memory after the first month",
        a_month <= most,
        f"{a_month:+.1f} MB a month ({first:.0f} MB in the first, {end:.0f} MB in the last)",
        f"+{most:.1f} MB a month",
        "something is kept for ever: run with --trace and see which lines allocate it",
    )


def _peak(soak: Soak, promised: Promise, _limits: Limits) -> Judged:
    peak = soak.samples[-1].peak_mb - soak.servers_mb
    return Judged(
        "peak memory of the service",
        peak <= promised.memory_mb,
        f"{peak:.0f} MB, beside {soak.servers_mb:.0f} MB of web, archive and soak",
        f"{promised.memory_mb:.0f} MB (docs/operating.md)",
        "find what a duty holds at once, or correct the document",
    )


def _flat(
    name: str, advice: str, of: Callable[[Sample], int], most: Callable[[Limits], int]
) -> Gate:
    """Return a gate: a count at the end of the soak is what it was after the first day."""

    def gate(soak: Soak, _promised: Promise, limits: Limits) -> Judged:
        week = soak.samples[1:8]
        before = max(of(one) for one in week)
        after = max(of(one) for one in soak.samples[-7:])
        return Judged(
            name,
            after - before <= most(limits),
            f"{before} in the first week, {after} in the last",
            f"+{most(limits)}",
            advice,
        )

    return gate


_descriptors = _flat(
    "open descriptors",
    "something is opened and not closed: look at /proc/PID/fd of a long run",
    lambda one: one.descriptors,
    lambda limits: limits.descriptors,
)
_threads = _flat(
    "threads",
    "a thread does not end: print threading.enumerate()",
    lambda one: one.threads,
    lambda limits: limits.threads,
)
_tasks = _flat(
    "tasks of the event loop",
    "a task is never finished: print asyncio.all_tasks()",
    lambda one: one.tasks,
    lambda limits: limits.tasks,
)


def _lateness(soak: Soak, _promised: Promise, limits: Limits) -> Judged:
    name, worst = max(soak.firings.items(), key=lambda item: item[1].late)
    return Judged(
        "lateness of the schedules",
        worst.late <= limits.schedule_late,
        f"{worst.late:.2f} s at the worst ({name})",
        f"{limits.schedule_late:g} s",
        "something holds the event loop: run with PYTHONASYNCIODEBUG=1, which names it",
    )


def _drift(soak: Soak, _promised: Promise, limits: Limits) -> Judged:
    name, worst = max(soak.firings.items(), key=lambda item: abs(item[1].strayed))
    missing = {name: one for name, one in soak.firings.items() if abs(one.due - one.times) > 1}
    told = "".join(f"; {name}: {one.times} of {one.due}" for name, one in missing.items())
    return Judged(
        "drift of the schedules",
        abs(worst.strayed) <= limits.schedule_strayed and not missing,
        f"{worst.strayed:+.2f} s off the grid at the end ({name}){told}",
        f"{limits.schedule_strayed:g} s, no firing missing",
        "a schedule counts from its last run instead of from its last time",
    )


def _looks_made(soak: Soak, _promised: Promise, limits: Limits) -> Judged:
    days = soak.samples[1:]
    made, due = sum(one.looks for one in days), sum(one.looks_due for one in days)
    return Judged(
        "looks made of those due",
        abs(made - due) <= limits.looks_missing * due,
        f"{made:,} of {due:,}; {soak.samples[-1].overdue} links overdue at the end",
        f"±{limits.looks_missing:.0%}",
        "looks fall behind or are made twice: see the table, day by day",
    )


def _looks_late(soak: Soak, _promised: Promise, limits: Limits) -> Judged:
    worst = max(soak.samples[1:], key=lambda one: one.looks_late)
    return Judged(
        "lateness of looks after the first sweep",
        worst.looks_late <= limits.look_late,
        f"{worst.looks_late / 60:.1f} min at the worst, on day {worst.day}",
        f"{limits.look_late / 60:.0f} min",
        "see what the check round of that day waited for",
    )


def _size(soak: Soak, promised: Promise, limits: Limits) -> Judged:
    end = soak.samples[-1]
    return _grown("size of the database", end.database, promised.bytes_of(end.rows), limits)


def _growth(soak: Soak, promised: Promise, limits: Limits) -> Judged:
    first, end = soak.samples[MONTH - 1], soak.samples[-1]
    return _grown(
        "its growth after the first month",
        end.database - first.database,
        promised.bytes_of(end.rows) - promised.bytes_of(first.rows),
        limits,
    )


def _grown(name: str, size: float, expected: float, limits: Limits) -> Judged:
    return Judged(
        name,
        abs(size - expected) <= limits.growth * expected,
        f"{size / 1e6:.1f} MB, {expected / 1e6:.1f} MB by docs/operating.md"
        f" ({size / expected - 1:+.0%})",
        f"±{limits.growth:.0%}",
        "see the bytes of each table below, then mend the store or the document",
    )


def _manners(soak: Soak, _promised: Promise, _limits: Limits) -> Judged:
    return Judged(
        "requests closer than the host's delay",
        soak.too_close == 0 and soak.requests > 0,
        f"{soak.too_close} of {soak.requests:,}",
        "0",
        "a request was sent without its lane's turn",
    )


def _listed(name: str, advice: str, of: Callable[[Soak], Sequence[str]]) -> Gate:
    """Return a gate: a list of complaints is empty."""

    def gate(soak: Soak, _promised: Promise, _limits: Limits) -> Judged:
        found = of(soak)
        seen = f"{len(found)}" + "".join(f"; {text[:200]}" for text in found[:3])
        return Judged(name, not found, seen, "0", advice)

    return gate


_mistakes = _listed(
    "mistakes of the program in its log", "run with --log to see where", lambda soak: soak.mistakes
)
_wrong = _listed(
    "links of which the wrong thing is believed at the end",
    "see `archiver why` of one, or what the soak's clock did to its looks",
    lambda soak: soak.wrong,
)


GATES: Sequence[Gate] = (
    *(_memory, _peak, _descriptors, _threads, _tasks),
    *(_lateness, _drift, _looks_made, _looks_late),
    *(_size, _growth, _manners, _mistakes, _wrong),
)


def months(samples: Sequence[Sample]) -> Iterator[Sequence[Sample]]:
    """Part samples into months of thirty days."""
    for start in range(0, len(samples), MONTH):
        yield samples[start : start + MONTH]
