"""The events folder goes away: nothing cited is forgotten, and it is read when it is back."""

from __future__ import annotations

import pytest

from tests.service.children import ForkedChild, Hardship
from tests.service.town import SECOND, Place, Town, stopped, until

NEWS = "/news/harbour-dredging-contract-awarded-without-tender"
OTHER = "/news/council-sold-the-waterworks-to-its-own-treasurer"
LATER = "/news/ferry-operator-hid-inspection-reports-for-years"
CITED = "SELECT cited_url, verdict FROM source_status ORDER BY cited_url"
LOOKS = "SELECT count(*) FROM looks"


def configured(place: Place, town: Town) -> None:
    place.cite(town.url(NEWS))
    place.cite(town.url(OTHER, SECOND), event="2017-01-01--second")
    place.configure(town, archive__mode='"off"', schedule__scan='"1s"', schedule__check='"1s"')


@pytest.mark.parametrize(
    "command", [("run",), ("run", "--once"), ("check",), ("run", "--dry-run")], ids=" ".join
)
async def test_a_folder_gone_before_the_start_is_exit_3_and_forgets_nothing(
    place: Place, town: Town, command: tuple[str, ...]
) -> None:
    configured(place, town)
    assert (await place.run("check")).code == 0
    known = place.rows(CITED)
    assert len(known) == 2
    (place.folder / "events").rename(place.folder / "away")
    done = await place.run(*command)
    assert done.code == 3, done.err
    assert "events" in done.err
    assert "events.paths" in done.err
    assert "Traceback" not in done.err
    assert place.rows(CITED) == known
    # What needs no event files still works.
    assert (await place.run("status")).code == 0
    (place.folder / "away").rename(place.folder / "events")
    assert (await place.run("check")).code == 0
    assert place.rows(CITED) == known
    assert len(town.visits) == 2


@pytest.mark.parametrize("emptied", [False, True], ids=["gone", "emptied"])
async def test_a_folder_gone_under_the_service_is_waited_for(
    place: Place, town: Town, emptied: bool
) -> None:
    configured(place, town)
    child = await place.start("run")
    assert isinstance(child, ForkedChild)
    await until(lambda: place.value(LOOKS) == 2, "the looks", child)
    known = place.rows(CITED)
    events, away = place.folder / "events", place.folder / "away"
    events.rename(away)
    if emptied:  # as a mount point is without its file system
        events.mkdir()
    word = "are gone from the event files at once" if emptied else "events cannot be read"
    await until(lambda: word in child.said(), "the word of it", child)
    assert place.rows(CITED) == known
    if emptied:
        events.rmdir()
    away.rename(events)
    place.cite(town.url(LATER), event="2018-01-01--third")
    await until(lambda: place.value(LOOKS) == 3, "the new look", child)
    done = await stopped(child)
    assert done.code == 0
    assert "Traceback" not in done.err
    assert set(known) < set(place.rows(CITED))
    assert len(town.visits) == 3
    if not emptied:
        assert done.err.count(word) == 1
        assert "scan: it works again" in done.err


async def test_what_is_cited_under_a_folder_that_cannot_be_read_stays_cited(
    place: Place, town: Town
) -> None:
    # One of many, so that no mass deletion is suspected.
    for number in range(9):
        place.cite(town.url(f"{NEWS}-{number}"), event=f"2016-01-0{number}--event")
    place.configure(town, archive__mode='"off"')
    year = place.folder / "events" / "2017"
    year.mkdir()
    place.cite(town.url(OTHER), event="2017/2017-01-01--second")
    assert (await place.run("check")).code == 0
    known = place.rows(CITED)
    assert len(known) == 10
    year.chmod(0)
    done = await place.run("check", hardship=Hardship(bound=True))
    assert done.code == 0, done.err
    assert place.rows(CITED) == known
    problem = "SELECT name FROM problems WHERE path = 'events/2017'"
    assert place.value(problem) == "unreadable-file"
    year.chmod(0o755)
    assert (await place.run("check")).code == 0
    assert place.rows(CITED) == known
    assert place.value(problem) is None
