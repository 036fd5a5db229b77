"""The soak's judgement can fail: each gate, fed with what it is there to catch."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
# Links, citations and captures of the samples below; looks come day by day.
ROWS = {"links": 2000, "citations": 2100, "captures": 2000}
LOOKS_A_DAY = 190


@pytest.fixture(scope="module")
def judging() -> Iterator[ModuleType]:
    """Import the module as the benchmark does, by its own name from its own folder."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        import soak_judge

        yield soak_judge
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))


@pytest.fixture
def good(judging: ModuleType) -> Any:
    """Return ninety days in which nothing grew but what should."""
    promised = judging.promise(DOCUMENT)
    samples = []
    for day in range(90):
        rows = {**ROWS, "looks": 2000 + LOOKS_A_DAY * day}
        samples.append(
            judging.Sample(
                *(day, 130.0 + day % 3, 140.0, 20, 2, 7),
                database=round(promised.bytes_of(rows)),
                journal=0,
                rows=rows,
                looks=LOOKS_A_DAY,
                looks_due=LOOKS_A_DAY,
                looks_late=600.0,
            )
        )
    firing = judging.Firing(due=8640, times=8640, held=3, late=0.2, strayed=0.0)
    return judging.Soak(samples, {"scan": firing, "check": firing}, 10.0, requests=30_000)


def missed(judging: ModuleType, soak: Any) -> list[str]:
    """Return the names of the gates that a soak misses."""
    return [one.name for one in judging.judge(soak, judging.promise(DOCUMENT)) if not one.met]


def later(soak: Any, **changed: Any) -> Any:
    """Change the samples from the fiftieth day on; a callable gets the sample."""
    samples = [
        one
        if one.day < 50
        else replace(
            one, **{name: how(one) if callable(how) else how for name, how in changed.items()}
        )
        for one in soak.samples
    ]
    return replace(soak, samples=samples)


def test_ninety_days_in_which_nothing_grows_meet_every_gate(judging: ModuleType, good: Any) -> None:
    assert missed(judging, good) == []
    assert len({one.name for one in judging.judge(good, judging.promise(DOCUMENT))}) == len(
        judging.GATES
    )


@pytest.mark.parametrize(
    ("changed", "gate"),
    [
        ({"rss_mb": lambda one: one.rss_mb + 0.3 * one.day}, "memory after the first month"),
        ({"peak_mb": 190.0}, "peak memory of the service"),
        ({"descriptors": lambda one: one.descriptors + one.day // 10}, "open descriptors"),
        ({"threads": 9}, "threads"),
        ({"tasks": lambda one: one.day}, "tasks of the event loop"),
        ({"looks": 120}, "looks made of those due"),
        ({"looks": 400}, "looks made of those due"),
        ({"looks_late": 7200.0}, "lateness of looks after the first sweep"),
        ({"database": lambda one: one.database * 1.4}, "size of the database"),
        ({"database": lambda one: one.database * 0.6}, "size of the database"),
    ],
)
def test_a_soak_fails_by_what_grows_or_falls_behind(
    judging: ModuleType, good: Any, changed: dict[str, Any], gate: str
) -> None:
    assert gate in missed(judging, later(good, **changed))


def test_a_database_that_grows_too_fast_after_the_first_month_fails(
    judging: ModuleType, good: Any
) -> None:
    more = later(good, database=lambda one: one.database + 100_000 * (one.day - 49))
    assert missed(judging, more) == ["its growth after the first month"]


@pytest.mark.parametrize(
    ("changed", "gate"),
    [
        ({"late": 12.0}, "lateness of the schedules"),
        ({"strayed": 95.0}, "drift of the schedules"),
        ({"strayed": -95.0}, "drift of the schedules"),
        ({"times": 8000}, "drift of the schedules"),
    ],
)
def test_a_soak_fails_by_a_schedule_that_is_late_drifts_or_stops(
    judging: ModuleType, good: Any, changed: dict[str, float], gate: str
) -> None:
    firings = {**good.firings, "scan": replace(good.firings["scan"], **changed)}
    assert missed(judging, replace(good, firings=firings)) == [gate]


@pytest.mark.parametrize(
    ("changed", "gate"),
    [
        ({"too_close": 1}, "requests closer than the host's delay"),
        ({"requests": 0}, "requests closer than the host's delay"),
        ({"mistakes": ("check ended in a mistake",)}, "mistakes of the program in its log"),
        (
            {"wrong": ("a page that lives is dead",)},
            "links of which the wrong thing is believed at the end",
        ),
    ],
)
def test_a_soak_fails_by_bad_manners_and_mistakes(
    judging: ModuleType, good: Any, changed: dict[str, Any], gate: str
) -> None:
    assert missed(judging, replace(good, **changed)) == [gate]


def test_a_soak_of_a_few_weeks_is_not_judged_at_all(judging: ModuleType, good: Any) -> None:
    with pytest.raises(ValueError, match="month and a half"):
        missed(judging, replace(good, samples=good.samples[:40]))


def test_a_shorter_soak_of_six_weeks_and_a_half_shows_growth_too(
    judging: ModuleType, good: Any
) -> None:
    short = replace(good, samples=good.samples[:46])
    assert missed(judging, short) == []
    grown = [replace(one, rss_mb=one.rss_mb + one.day) for one in short.samples]
    assert missed(judging, replace(short, samples=grown)) == ["memory after the first month"]


def test_the_documents_say_what_a_row_costs(judging: ModuleType) -> None:
    promised = judging.promise(DOCUMENT)
    # A link with its citation, its capture and its first look is a few kB, never hundreds.
    assert 2_000 < promised.bytes_of(dict.fromkeys((*ROWS, "looks"), 1)) < 20_000
    with pytest.raises(ValueError, match=r"docs/operating\.md"):
        judging.promise("| disk | some |")
