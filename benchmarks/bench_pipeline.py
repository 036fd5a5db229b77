"""The whole pipeline beside a bare aiohttp client, on the same list, on one core.

    python benchmarks/bench_pipeline.py [--links N] [--rounds N] [--known N ...]

*pipeline*: claim, fetch, page facts, judge, settle, record (`service.rounds.look_at_due`).
*bare*: one session, a fixed pool of workers, `URL(u, encoded=True)`, redirects followed by
aiohttp, body read to 128 KiB; nothing is read from the page and nothing is kept.
*bare, close*: the same with a new connection for every request, as the pipeline does where a host
is asked a second or more apart; with the delay of 0 measured here it keeps connections.

Every measurement is a process of its own on core 1 (the web is on core 0), which first warms up
on 300 other links; wall and CPU are those of the event loop while it works. Rounds are
interleaved, ratios are paired. The gate of the issue is 0.4 of bare by CPU.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from links import desk, make_database, settings, some_links
from web import Resolver, behaviour_of, pin, serving

GATE = 0.4
IN_FLIGHT = 100
_BODY = 128 * 1024
_WARM_UP = 300


async def bare(links: list[str], ports: dict[int, int], *, close: bool) -> Counter[str]:
    """Ask every link with a bare client; count the statuses."""
    import aiohttp
    from yarl import URL

    connector = aiohttp.TCPConnector(
        limit=IN_FLIGHT, resolver=Resolver(ports), use_dns_cache=True, force_close=close
    )
    queue = iter(links)
    seen: Counter[str] = Counter()

    async def worker(session: aiohttp.ClientSession) -> None:
        for url in queue:
            try:
                async with session.get(URL(url, encoded=True)) as response:
                    left = _BODY
                    async for piece in response.content.iter_any():
                        left -= len(piece)
                        if left <= 0:
                            break
                    seen[str(response.status)] += 1
            except (aiohttp.ClientError, OSError):
                seen["none"] += 1

    async with aiohttp.ClientSession(connector=connector) as session:
        await asyncio.gather(*(worker(session) for _ in range(IN_FLIGHT)))
    return seen


async def pipeline(database: Path, ports: dict[int, int]) -> Counter[str]:
    """Look at everything that is due; count the statuses."""
    from archiver.service.checking import Checking
    from archiver.service.rounds import look_at_due
    from archiver.store import Store

    store = Store.open(database)
    try:
        work = desk(store, ports, database.parent, settings(check={"concurrency": IN_FLIGHT}))
        before = store.database.value("SELECT coalesce(max(id), 0) FROM looks")
        async with Checking(work) as checking:
            await look_at_due(checking)
        rows = store.database.rows(
            "SELECT coalesce(status, 'none'), count(*) FROM looks WHERE id > ? GROUP BY 1",
            [before],
        )
        return Counter({str(status): count for status, count in rows})
    finally:
        store.close()


def timed(work: Coroutine[Any, Any, Counter[str]]) -> dict[str, Any]:
    """Run one piece of work in a fresh loop and say what it took, in seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    seen = asyncio.run(work)
    return {
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "seen": dict(seen),
    }


def measure_one(given: argparse.Namespace) -> None:
    """Be the process that is measured."""
    from archiver.checking.wire import raise_descriptor_limit

    pin(1)
    raise_descriptor_limit()
    ports = {80: given.port}
    if given.measure == "pipeline":
        asyncio.run(pipeline(given.warm_up, ports))
        result = timed(pipeline(given.database, ports))
    else:
        close = given.measure == "bare, close"
        asyncio.run(bare(some_links(_WARM_UP), ports, close=close))
        result = timed(bare(some_links(given.links), ports, close=close))
    print(json.dumps(result))


def expected(links: list[str]) -> Counter[str]:
    """Return the statuses a correct client finds."""
    words = {"missing": "404", "forbidden": "403", "broken": "500", "gone": "410"}
    kinds = (behaviour_of("/" + url.split("/", 3)[3]) for url in links)
    return Counter(words.get(kind, "none" if kind == "dropped" else "200") for kind in kinds)


def run(kind: str, given: argparse.Namespace, port: int, database: Path, warm: Path) -> Any:
    """Measure once, in a process of its own; a wrong answer ends the benchmark."""
    command = [sys.executable, __file__, "--measure", kind, "--port", str(port)]
    command += ["--links", str(given.links), "--database", str(database), "--warm-up", str(warm)]
    result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    wanted = expected(some_links(given.links))
    if Counter(result["seen"]) != wanted:
        sys.exit(f"{kind} saw {result['seen']}, but {dict(wanted)} was served")
    return result


def compare(given: argparse.Namespace, port: int, folder: Path, known: int) -> float:
    """Measure the rounds beside one size of database, print the rows, return the CPU ratio."""
    kinds = ["bare", "pipeline"] + ([] if known else ["bare, close"])
    template, warm_template = folder / "template.db", folder / "warm-up.db"
    template.unlink(missing_ok=True)
    make_database(template, some_links(given.links), known)
    if not warm_template.exists():
        make_database(warm_template, some_links(_WARM_UP))
    results: dict[str, list[Any]] = {kind: [] for kind in kinds}
    for _ in range(given.rounds):
        for kind in kinds:
            database, warm = folder / "measured.db", folder / "warm.db"
            if kind == "pipeline":
                for copy, source in ((database, template), (warm, warm_template)):
                    for leftover in folder.glob(copy.name + "*"):
                        leftover.unlink()
                    shutil.copy(source, copy)
            results[kind].append(run(kind, given, port, database, warm))
    ratio = 0.0
    for kind in kinds:
        label = f"pipeline, {given.links + known:,} links known" if kind == "pipeline" else kind
        ratio = _print_row(label, results[kind], results["bare"], given.links)
        if kind == "pipeline":
            found = ratio
    return found


def _print_row(label: str, ours: list[Any], bare_ones: list[Any], links: int) -> float:
    def paired(clock: str) -> list[float]:
        return [b[clock] / o[clock] for o, b in zip(ours, bare_ones, strict=True)]

    by_wall, by_cpu = paired("wall"), paired("cpu")
    best = min(b["cpu"] for b in bare_ones) / min(o["cpu"] for o in ours)
    rate = links / statistics.median(one["wall"] for one in ours)
    cost = statistics.median(one["cpu"] for one in ours) / links * 1e6
    print(
        f"{label:34} {rate:7.0f} {cost:9.0f}"
        f"  {statistics.median(by_wall):5.2f} ({min(by_wall):.2f}-{max(by_wall):.2f})"
        f"  {statistics.median(by_cpu):5.2f} ({min(by_cpu):.2f}-{max(by_cpu):.2f}) {best:6.2f}",
        flush=True,
    )
    return statistics.median(by_cpu)


def main() -> int:
    """Print the table; fail when the pipeline is below the gate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--links", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--known", type=int, nargs="*", default=[0, 100_000])
    parser.add_argument("--measure")
    parser.add_argument("--port", type=int)
    parser.add_argument("--database", type=Path)
    parser.add_argument("--warm-up", type=Path)
    given = parser.parse_args()
    if given.measure:
        measure_one(given)
        return 0
    print(f"{given.links:,} links, {IN_FLIGHT} in flight, {given.rounds} interleaved rounds")
    print(f"{'':34} {'links/s':>7} {'µs CPU':>9}  {'by wall':>17}  {'by CPU':>17} {'best':>6}")
    with tempfile.TemporaryDirectory() as folder, serving() as web:
        ratios = [compare(given, web.ports[80], Path(folder), known) for known in given.known]
        requests, connections = web.counts()
    print(f"{requests:,} requests over {connections:,} connections in all")
    if ratios[0] < GATE:
        print(f"Below the gate of {GATE} of bare aiohttp.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
