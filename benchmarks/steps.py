"""What each pure step of a look costs by itself, warm, in microseconds.

    python benchmarks/steps.py [--profile]

In a running pipeline the same steps cost about half as much again: there the caches are cold.
`--profile` instead samples the stacks of a running pipeline by its CPU time and prints the share
of every function (with all it calls).
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
import time
import timeit
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import FrameType

import bench_pipeline
from links import make_database, some_links
from web import Site, pin, serving, title_of

from archiver.checking.belief import Known, settle
from archiver.checking.brief import Reader
from archiver.checking.context import Context
from archiver.checking.page import read_page
from archiver.checking.policy import Policy
from archiver.checking.rules import judge, vouches, wants_probe
from archiver.model import Belief, Observation
from archiver.service.facts import look_facts

_COUNT = 1000
_TYPE = "text/html; charset=utf-8"


def cost(name: str, work: Callable[[], Sequence[object]]) -> None:
    """Print the best of five runs over all pages."""
    seconds = min(timeit.repeat(work, number=1, repeat=5))
    print(f"{name:36} {seconds / len(work()) * 1e6:7.1f}")


def steps() -> None:
    """Measure the pure steps on good pages whose titles match."""
    pin(1)
    site, policy, now = Site(), Policy(), datetime.now(UTC)
    links = some_links(_COUNT)
    paths = ["/archive/" + url.split("/", 3)[3] for url in links]
    bodies = [site.body(path) for path in paths]
    looks = [
        Observation(
            url, now, 200, final_url=url, page=read_page(body, _TYPE, truncated=False, url=url)
        )
        for url, body in zip(links, bodies, strict=True)
    ]
    contexts = [Context(cited_titles=(title_of(path),)) for path in paths]
    brief = [
        partial(
            Reader(partial(vouches, url, context, policy)), body, _TYPE, truncated=False, url=url
        )
        for url, body, context in zip(links, bodies, contexts, strict=True)
    ]
    pairs = list(zip(looks, contexts, strict=True))
    findings = [judge(look, context, policy) for look, context in pairs]
    judged = [(*pair, finding) for pair, finding in zip(pairs, findings, strict=True)]
    cost("page facts", lambda: [read_page(one, _TYPE, truncated=False) for one in bodies])
    cost("page facts, by the cited title", lambda: [read() for read in brief])
    cost("judge", lambda: [judge(*pair, policy) for pair in pairs])
    cost("whether to probe a sibling", lambda: [wants_probe(*pair, policy) for pair in pairs])
    cost(
        "settle",
        lambda: [
            settle(Belief(), finding, Known(), now, policy, url=look.url)
            for look, _, finding in judged
        ],
    )
    cost("facts to store", lambda: [look_facts(a, b, Known(), c) for a, b, c in judged])


def profile(count: int = 4000, rows: int = 70) -> None:
    """Sample a running pipeline every few milliseconds of CPU time."""
    with_callees: Counter[tuple[str, str]] = Counter()
    samples = 0

    def tick(_: int, frame: FrameType | None) -> None:
        nonlocal samples
        samples += 1
        seen = set()
        while frame is not None:
            code = frame.f_code
            seen.add((Path(code.co_filename).name, code.co_qualname))
            frame = frame.f_back
        with_callees.update(seen)

    with tempfile.TemporaryDirectory() as folder, serving() as web:
        pin(1)
        database = Path(folder) / "profile.db"
        make_database(database, some_links(count))
        signal.signal(signal.SIGPROF, tick)
        signal.setitimer(signal.ITIMER_PROF, 0.001, 0.001)
        started = time.process_time()
        asyncio.run(bench_pipeline.pipeline(database, web.ports))
        signal.setitimer(signal.ITIMER_PROF, 0)
        per_link = (time.process_time() - started) / count * 1e6
    print(f"{per_link:.0f} µs CPU a link, {samples} samples")
    for (file, name), found in with_callees.most_common(rows):
        share = found / samples
        print(f"{share:6.1%} {share * per_link:7.0f} µs  {file}:{name}")


def main() -> int:
    """Print one table or the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", action="store_true")
    if parser.parse_args().profile:
        profile()
    else:
        steps()
    return 0


if __name__ == "__main__":
    sys.exit(main())
