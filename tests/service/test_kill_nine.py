"""`kill -9` at random moments under load, many times: laws 6 and 8 hold, the database opens.

`ARCHIVER_TEST_KILLS` says how many times (`make test-faults` kills much more often than the tests
of every day), `ARCHIVER_TEST_SEED` with which moments.
"""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from tests.service import kills
from tests.service.kills import KEYS, Lives
from tests.service.town import Place, Town, open_town, stopped, until

KILLS = int(os.environ.get("ARCHIVER_TEST_KILLS", "5"))
SEED = int(os.environ.get("ARCHIVER_TEST_SEED", "20261124"))
# A life: long enough to be killed at the start, in the first looks, and in the middle of much.
LIFE_SECONDS = (0.05, 2.6)


@pytest.fixture
async def city() -> AsyncIterator[Town]:
    async with open_town((*kills.HOSTS, *kills.BUSY_HOSTS, kills.STRICT_HOST)) as town:
        # Requests are on the wire, and jobs under way, at most moments.
        town.lag = 0.15
        town.archive.job_time = timedelta(seconds=0.5)
        town.archive.slots = 8
        yield town


@pytest.mark.parametrize(
    ("mode", "at_once", "work", "least"), [("off", 4, "looks", 25), ("auto", 2, "jobs", 2)]
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
        **{f'hosts."{kills.STRICT_HOST}"__delay': '"3s"'},
    )
    lives = Lives(place, city, random.Random(SEED), at_once)
    print(f"seed {SEED}, {KILLS} kills")
    for _ in range(KILLS):
        await lives.one(lives.chance.uniform(*LIFE_SECONDS))
    await lives.one_killed_on_the_wire()
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

    def done_enough() -> bool:
        lives.see()
        much = known.count(work) > max(before, least) and lives.asked(kills.STRICT_HOST) > 1
        return much and lives.all_pauses_are_stored()

    await until(done_enough, f"more {work}", service, within=40.0)
    done = await stopped(service)
    assert done.code == 0, done.err
    assert "Traceback" not in done.err
    lives.see()
    assert place.value("SELECT count(*) FROM links WHERE claimed_by LIKE 'run:%'") == 0
    assert place.value("SELECT count(*) FROM runs WHERE ended_at IS NULL") == 0
