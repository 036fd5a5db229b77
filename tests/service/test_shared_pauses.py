"""What an archive asks of one process holds for all on the same database: pace and pauses."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from itertools import pairwise

import pytest

from archiver.archiving.pacing import ReadPace
from archiver.clock import SystemClock
from archiver.service.breakers import Breakers
from archiver.service.desk import Desk
from tests.service.desk import START, open_desk
from tests.service.town import Place

GAP = 0.1


@pytest.fixture
def desks(place: Place) -> Iterator[list[Desk]]:
    """Two desks on one database, as a service and a command have."""
    place.configure()
    with ExitStack() as opened:
        yield [opened.enter_context(open_desk(place, SystemClock())) for _ in range(2)]


async def test_a_service_and_a_command_share_one_pace_of_reads(desks: list[Desk]) -> None:
    turns: list[tuple[float, str]] = []

    def take_turn(name: str, desk: Desk, gap: timedelta) -> timedelta:
        now = desk.clock.now()
        wait = desk.store.journal.take_turn("reads", name, now, gap)
        turns.append(((now + wait).timestamp(), name))
        return wait

    async def read(name: str, desk: Desk) -> None:
        pace = ReadPace(desk.clock, round(60 / GAP), partial(take_turn, name, desk))
        for _ in range(5):
            async with pace:
                pass

    await asyncio.gather(*(read(f"run:{place}", desk) for place, desk in enumerate(desks)))
    assert sorted(name for _, name in turns) == ["run:0"] * 5 + ["run:1"] * 5
    gaps = [later - earlier for (earlier, _), (later, _) in pairwise(sorted(turns))]
    # A hair less: the pace inside a process goes by another clock.
    assert min(gaps) > GAP - 0.005


def test_a_clock_that_was_set_back_holds_no_read_up(desks: list[Desk]) -> None:
    journal, gap = desks[0].store.journal, timedelta(seconds=3)
    assert journal.take_turn("reads", "run:1", START + timedelta(days=1), gap) == timedelta(0)
    assert journal.take_turn("reads", "command:2", START, gap) == timedelta(0)
    assert journal.take_turn("reads", "run:1", START, gap) == gap


def test_no_pause_is_lost_when_two_processes_note_one_at_once(place: Place) -> None:
    place.configure()
    with open_desk(place):
        pass

    def note(name: str) -> None:
        with open_desk(place) as desk:
            for number in range(25):
                Breakers(desk).note_host(f"{name}-{number}.example", refused=True, pause=None)

    threads = [threading.Thread(target=note, args=(name,)) for name in ("service", "command")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with open_desk(place) as desk:
        assert len(Breakers(desk).all()) == 50
