"""Manners between real processes on one real database, one of them killed (laws 6 and 8)."""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from pathlib import Path

from archiver.store.database import connect
from archiver.store.migrating import migrate
from tests.checking.servers import OK, Connection, RawServer

SPEED = 20.0
DELAY = 4  # seconds of the processes' clock: a fifth of a real one

# Looks at all addresses at once, on a clock that all processes share, and gives its leases back.
CHILD = """
import asyncio, sys, time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from archiver.checking.fetch import Fetcher
from archiver.checking.lanes import Lanes
from archiver.clock import RehearsalClock
from archiver.config import CheckSettings, NetworkSettings
from archiver.model import PageFacts
from archiver.store.database import connect
from archiver.store.hosts import Hosts

path, zero, speed, delay, *urls = sys.argv[1:]
begin = datetime(2026, 11, 24, tzinfo=UTC)
elapsed = (time.time() - float(zero)) * float(speed)
clock = RehearsalClock(begin + timedelta(seconds=elapsed), speed=float(speed))

async def main():
    check = CheckSettings(host_delay=f"{delay}s", timeout="5s", connect_timeout="1s")
    network = NetworkSettings(allow_private=["127.0.0.0/8"])
    ledger = Hosts(connect(Path(path)))
    lanes = Lanes(check, {}, clock, ledger)
    read = lambda *_, **__: PageFacts()
    async with Fetcher(check, network, {}, clock, lanes) as fetcher:
        seen = await asyncio.gather(*(fetcher.look(url, on_page=read) for url in urls))
    assert all(one.status == 200 for one in seen), seen
    lanes.release_idle()

asyncio.run(main())
"""


async def test_processes_on_one_database_never_crowd_a_host_even_when_one_is_killed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "archiver.db"
    database = connect(path)
    migrate(database)
    database.close()

    under_way = asyncio.Event()

    async def slowly(connection: Connection) -> None:
        if len(server.visits) == 4:
            under_way.set()
        await asyncio.sleep(0.03)
        await connection.send(OK)

    async with RawServer(slowly, address="0.0.0.0") as server:
        zero = str(time.time())

        def urls(name: str, count: int) -> list[str]:
            return [
                f"http://127.0.0.{host}:{server.port}/{name}/{turn}"
                for host in (2, 3)
                for turn in range(count)
            ]

        async def start(name: str, count: int) -> asyncio.subprocess.Process:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", CHILD, str(path), zero, str(SPEED), str(DELAY)),
                *urls(name, count),
            )

        victim = await start("victim", 30)
        await asyncio.wait_for(under_way.wait(), 20)
        others = [await start("one", 3), await start("two", 3)]
        try:
            await asyncio.sleep(0.6)
            victim.kill()
            ended = [await asyncio.wait_for(one.wait(), 20) for one in others]
        finally:
            for process in (victim, *others):
                if process.returncode is None:
                    process.kill()
                await process.wait()
        assert ended == [0, 0]
        for host in ("127.0.0.2", "127.0.0.3"):
            visits = [one for one in server.visits if (one.header("Host") or "").startswith(host)]
            visits.sort(key=lambda visit: visit.began)
            assert sum("victim" not in one.target for one in visits) == 6
            for before, after in itertools.pairwise(visits):
                gap = (after.began - before.ended) * SPEED
                assert gap >= DELAY * 0.95, f"{host}: {before.target} {after.target} {gap:.2f} s"
