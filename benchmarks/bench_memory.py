"""Peak memory of one pass: scan a timeline, look at every link, judge, record.

    python benchmarks/bench_memory.py

A child process makes the pass against a web on loopback to which all names lead, over real TLS
where the link says https, and reads its own peak (`VmHWM` of /proc/self/status) at the end. The
corpus' 3,258 links must stay within 150 MB; lists of two lengths show what a link costs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from corpus import make_corpus, shared_corpus
from links import desk, settings
from web import pin, serving

LIMIT_MB = 150


def peak_mb() -> float:
    """Return the most memory this process ever had resident, in MB (10^6 bytes)."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError("no VmHWM here; this benchmark needs Linux")


async def one_pass(timeline: Path, folder: Path, ports: dict[int, int]) -> dict[str, float]:
    """Scan and look, and say how much memory each step had needed by its end."""
    from archiver.service.checking import Checking
    from archiver.service.rounds import look_at_due
    from archiver.service.scan import scan
    from archiver.store import Store

    loaded = peak_mb()
    store = Store.open(folder / "pass.db")
    chosen = settings(
        # As shipped, but for the delay: 32 in flight, one to a host.
        check={"host_delay": timedelta(0), "concurrency": 32},
        events={"paths": [str(timeline)]},
        network={"ca_file": str(folder / "authority.pem")},
    )
    work = desk(store, ports, folder, chosen)
    found = await scan(work)
    scanned = peak_mb()
    started = time.perf_counter()
    async with Checking(work) as checking:
        summary = await look_at_due(checking)
    untrusted = store.database.value("SELECT count(*) FROM looks WHERE error GLOB 'tls-*'")
    if untrusted:
        sys.exit(f"{untrusted} looks did not trust the web's certificates")
    result = {
        "links": found.links,
        "looks": summary.looks,
        "loaded": loaded,
        "scanned": scanned,
        "peak": peak_mb(),
        "seconds": time.perf_counter() - started,
        "database": (folder / "pass.db").stat().st_size / 1e6,
    }
    store.close()
    return result


def measure(label: str, timeline: Path) -> float:
    """Make one pass in a process of its own, print its row, return its peak in MB."""
    with tempfile.TemporaryDirectory() as folder, serving(tls=Path(folder)) as web:
        command = [sys.executable, __file__, "--timeline", str(timeline), "--folder", folder]
        command += ["--ports", json.dumps(web.ports)]
        process = subprocess.run(command, check=True, capture_output=True, text=True)
        result = json.loads(process.stdout)
        requests, _ = web.counts()
    if result["looks"] != result["links"]:
        sys.exit(f"{result['looks']} looks at {result['links']} links: {process.stderr}")
    print(
        f"{label:26} {result['links']:7,} {requests:9,} {result['loaded']:8.1f}"
        f" {result['scanned']:8.1f} {result['peak']:8.1f} {result['database']:8.1f}"
        f" {result['seconds']:8.1f}",
        flush=True,
    )
    return float(result["peak"])


def main() -> int:
    """Print the table; fail when the corpus needs more than the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--timeline", type=Path)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--ports")
    given = parser.parse_args()
    if given.ports:
        pin(1)
        ports = {int(name): port for name, port in json.loads(given.ports).items()}
        print(json.dumps(asyncio.run(one_pass(given.timeline, given.folder, ports))))
        return 0
    print(
        f"{'one pass, peak MB after':26} {'links':>7} {'requests':>9} {'imports':>8} {'scan':>8}"
        f" {'looks':>8} {'db MB':>8} {'seconds':>8}"
    )
    with tempfile.TemporaryDirectory() as folder:
        timeline = shared_corpus()
        if timeline is None:
            print("The shared corpus is absent; a made one of the same size stands in.")
            timeline = make_corpus(Path(folder) / "made")
        peak = measure("the corpus", timeline)
        for count in (3_258, 13_032):
            made = make_corpus(Path(folder) / str(count), count, scheme="http")
            measure(f"made, {count:,}, no TLS", made)
    if peak > LIMIT_MB:
        print(f"More than the {LIMIT_MB} MB a pass over the corpus may need.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
