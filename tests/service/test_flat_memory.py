"""Peak memory stays flat while the service looks at pages made to exhaust it (issue 4 line 8)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.service.town import ROOT

# A child process of its own: a peak can only be read, never taken back.
_CHILD = """\
import asyncio, sys
from pathlib import Path

from archiver.demo.behaviours import Delivery
from archiver.demo.sites import ALIVE, Site, bomb, delivered
from tests.service.small_web import small_web

KINDS = {
    "bomb": bomb,
    "endless": delivered(Delivery.ENDLESS),
    "trickling": delivered(Delivery.TRICKLING),
}


def rows(name, behaviour, count):
    return [
        Site(f"{name}-{n}.example", f"Harbour report number {n}", behaviour, "", "", "")
        for n in range(count)
    ]


def peak():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])


async def look(folder, sites):
    folder.mkdir()
    async with small_web(folder, sites) as service:
        await service.look()
        return service.count("SELECT count(*) FROM looks")


async def main(folder):
    fine = await look(folder / "fine", rows("fine", ALIVE, 9))
    # The servers' own preparations are none of the service's memory: one page of each kind first.
    for name, behaviour in KINDS.items():
        site = rows(name, behaviour, 1)[0]
        await look(folder / name, [site])
    before = peak()
    hostile = [site for name, kind in KINDS.items() for site in rows(name, kind, 8)]
    looks = await look(folder / "hostile", hostile)
    print(fine, looks, before, peak())


asyncio.run(main(Path(sys.argv[1])))
"""
# What eight times as many hostile pages may add, in KiB: eight bodies of the largest size that
# is read (512 KiB), twice (as bytes and as text), and room for the allocator.
_MAY_GROW = 24 * 1024


def test_many_hostile_pages_need_no_more_memory_than_few(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    fine, looks, before, after = map(int, done.stdout.split())
    assert fine >= 9
    assert looks >= 24
    assert after - before < _MAY_GROW
    assert after < 200 * 1024
