"""`kill -9` at random moments under load, many times: laws 6 and 8 hold, the database opens.

`ARCHIVER_TEST_KILLS` says how many times (`make test-faults` kills much more often than the tests
of every day), `ARCHIVER_TEST_SEED` with which moments.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from tests.service import kills
from tests.service.kills import KEYS, Lives
from tests.service.town import Place, Town, open_town, stopped

KILLS = int(os.environ.get("ARCHIVER_TEST_KILLS", "8"))
SEED = int(os.environ.get("ARCHIVER_TEST_SEED", "20261124"))
# A life: long enough to be killed at the start, in the first looks, and in the middle of much.
LIFE_SECONDS = (0.05, 3.0)


@pytest.fixture
async def city() -> AsyncIterator[Town]:
    async with open_town((*kills.HOSTS, *kills.BUSY_HOSTS)) as town:
        # Requests are on the wire, and jobs under way, at most moments.
        town.lag = 0.15
        town.archive.job_time = timedelta(seconds=0.5)
        town.archive.slots = 8
        yield town


@pytest.mark.parametrize(
    ("mode", "at_once", "work", "least"), [("off", 4, "looks", 25), ("auto", 2, "jobs", 3)]
)
async def test_killed_again_and_again_it_loses_nothing_and_keeps_its_manners(
    place: Place, city: Town, mode: str, at_once: int, work: str, least: int
) -> None:
    place.configure(
        city,
        check__host_delay='"1s"',
        schedule__scan='"1s"',
        schedule__check='"1s"',
        schedule__archive='"1s"',
        schedule__maintenance='"2s"',
        database__backup_directory='"backups"',
        database__backup_keep="2",
        archive__mode=f'"{mode}"',
        archive__reads_per_minute="600",
        archive__submits_per_minute="60",
        archive__slots="8",
    )
    lives = Lives(place, city, random.Random(SEED), at_once)
    print(f"seed {SEED}, {KILLS} kills")
    for _ in range(KILLS):
        await lives.one(lives.chance.uniform(*LIFE_SECONDS))
    await last_life(lives, work, least)
    await lives.hear_commands()
    kills.expect_sound(place)
    kills.expect_manners(lives)
    kills.expect_single_submissions(lives)
    rebuilt = await place.run("db", "rebuild")
    assert (rebuilt.code, rebuilt.out) == (0, ""), rebuilt.out
    assert "0 differences" in rebuilt.err


async def last_life(lives: Lives, work: str, least: int) -> None:
    """Let the service work in peace until much is done, and end it as a person would."""
    place, known = lives.place, lives.acknowledged
    service = await place.start("run", **KEYS)
    before = known.count(work)
    print(f"{before} {work} and {len(lives.town.visits)} requests before the last life")
    lives.cite_more()
    end = time.monotonic() + 40
    while known.count(work) <= max(before, least):
        assert service.returncode is None, (await service.communicate())[1].decode()
        assert time.monotonic() < end, "the last life got nothing done"
        await asyncio.sleep(0.2)
        known.read(place)
    done = await stopped(service)
    assert done.code == 0, done.err
    assert "Traceback" not in done.err
    known.read(place)
    assert place.value("SELECT count(*) FROM links WHERE claimed_by LIKE 'run:%'") == 0
    assert place.value("SELECT count(*) FROM runs WHERE ended_at IS NULL") == 0
