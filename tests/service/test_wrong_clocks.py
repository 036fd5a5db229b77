"""What a clock that was years ahead for an hour leaves behind: nothing that lasts for years."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from archiver.demo.behaviours import Address, Behaviour, Fault, Outcome, Visit
from archiver.demo.sites import ALIVE, GONE, Site
from archiver.model import Verdict
from archiver.service.duties import Duties
from archiver.service.rebuild import differences
from tests.service.small_web import Service, small_web

_YEARS = timedelta(days=4000)


def until(is_over: Callable[[], bool], before: Behaviour, after: Behaviour) -> Behaviour:
    """Behave in one way, and in another from some moment on."""

    def behave(cited: Address, visit: Visit) -> Outcome:
        return (after if is_over() else before)(cited, visit)

    return behave


def refused(_cited: Address, _visit: Visit) -> Outcome:
    """Refuse every connection."""
    return Fault.REFUSED


async def look_for_days(service: Service, duties: Duties, first: int, last: int) -> None:
    for day in range(first, last):
        service.at(24 * day)
        await duties.check()


async def test_after_a_clock_was_years_ahead_what_is_gone_dies_in_its_usual_time(
    tmp_path: Path,
) -> None:
    over = False
    gone = Site("gone.example", "A page that is not there", GONE, "", "", "")
    silent = Site(
        "silent.example", "A host that goes", until(lambda: over, ALIVE, refused), "", "", ""
    )
    lives = [Site(f"lives-{n}.example", f"Page number {n}", ALIVE, "", "", "") for n in range(5)]
    async with (
        small_web(tmp_path, [gone, silent, *lives]) as service,
        Duties(service.desk) as duties,
    ):
        await duties.scan()
        service.clock.jump(_YEARS)
        await duties.check()
        service.clock.jump(-_YEARS)
        over = True
        await look_for_days(service, duties, 0, 5)
        assert service.belief(gone).verdict is Verdict.DEAD
        await look_for_days(service, duties, 5, 45)
        assert service.belief(silent).verdict is Verdict.DEAD
        assert all(service.word(site) == "ok/ok" for site in lives)
        assert list(differences(service.desk, rejudge=False)) == []
