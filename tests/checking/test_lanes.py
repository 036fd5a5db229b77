"""Manners (law 6), measured where it matters: on the servers' side."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from archiver.checking.fetch import Fetcher
from archiver.checking.lanes import (
    HostUnavailable,
    Lanes,
    lane_of,
    settings_for,
)
from archiver.checking.ledger import MemoryHostLedger
from archiver.checking.wire import Answer
from archiver.clock import RehearsalClock, SystemClock
from archiver.config import CheckSettings, HostSettings, NetworkSettings
from tests.checking.servers import (
    OK,
    Connection,
    Names,
    RawServer,
    Visit,
    answering,
    check_settings,
    fetching,
    look,
    status_line,
)

DELAY = 0.1
START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def _by_host(visits: Iterable[Visit]) -> dict[str, list[Visit]]:
    grouped: dict[str, list[Visit]] = defaultdict(list)
    for visit in visits:
        grouped[lane_of((visit.header("Host") or "").partition(":")[0])].append(visit)
    for found in grouped.values():
        found.sort(key=lambda visit: visit.began)
    return grouped


def _assert_manners(visits: Iterable[Visit], delay: float) -> None:
    for host, found in _by_host(visits).items():
        for before, after in itertools.pairwise(found):
            gap = after.began - before.ended
            assert gap >= delay, f"{host}: {gap:.3f} s after the last answer"


def _most_at_once(visits: Iterable[Visit]) -> int:
    turns = sorted([(visit.began, 1) for visit in visits] + [(visit.ended, -1) for visit in visits])
    most = now = 0
    for _, step in turns:
        now += step
        most = max(most, now)
    return most


async def _slowly(connection: Connection) -> None:
    await asyncio.sleep(0.02)
    await connection.send(OK)


async def test_no_host_sees_two_requests_at_once_or_too_soon_under_load() -> None:
    async with RawServer(_slowly) as server:
        hosts = [f"h{number}.example" for number in range(12)]
        names = Names({host: [("127.0.0.1", server.port)] for host in hosts})
        check = check_settings(host_delay="1s", concurrency=4)
        clock = RehearsalClock(START, speed=1 / DELAY)
        async with fetching(check, resolver=names, clock=clock) as fetcher:
            # In the order of a file: all links of a host together.
            urls = [f"http://{host}/{turn}" for host in hosts for turn in range(5)]
            seen = await asyncio.gather(*(look(fetcher, url) for url in urls))
        assert [one.status for one in seen] == [200] * 60
        _assert_manners(server.visits, DELAY)
        assert 1 < _most_at_once(server.visits) <= 4
        # Waiting in line is nobody's slowness.
        assert max(one.duration for one in seen) < 1


async def test_redirects_to_and_fro_between_hosts_keep_manners_and_never_deadlock() -> None:
    async def onward(connection: Connection) -> None:
        await asyncio.sleep(0.01)
        host = (connection.visit.header("Host") or "").partition(":")[0]
        step = int(connection.visit.target.removeprefix("/"))
        if step == 0:
            await connection.send(OK)
            return
        other = {"a.example": "b.example", "b.example": "www.a.example"}
        line = f"Location: http://{other.get(host, 'b.example')}/{step - 1}"
        await connection.send(status_line("302 Found", line))

    async with RawServer(onward) as server:
        hosts = ("a.example", "b.example", "www.a.example")
        names = Names({host: [("127.0.0.1", server.port)] for host in hosts})
        check = check_settings(host_delay="1s", concurrency=3)
        clock = RehearsalClock(START, speed=1 / DELAY)
        async with fetching(check, resolver=names, clock=clock) as fetcher:
            urls = [f"http://{host}/{step}" for host in hosts for step in (0, 1, 2, 3)]
            seen = await asyncio.wait_for(
                asyncio.gather(*(look(fetcher, url) for url in urls)), timeout=20
            )
        assert [one.status for one in seen] == [200] * 12
        assert len(server.visits) == 30
        _assert_manners(server.visits, DELAY)


async def test_a_hop_to_the_same_host_or_its_twin_follows_before_anybody_else() -> None:
    async def onward(connection: Connection) -> None:
        host = connection.visit.header("Host") or ""
        if connection.visit.target == "/first" and not host.startswith("www."):
            await connection.send(status_line("301", "Location: http://www.news.example/first"))
        else:
            await connection.send(OK)

    async with RawServer(onward) as server:
        names = Names(
            {host: [("127.0.0.1", server.port)] for host in ("news.example", "www.news.example")}
        )
        async with fetching(resolver=names) as fetcher:
            await asyncio.gather(
                look(fetcher, "http://news.example/first"),
                look(fetcher, "http://news.example/second"),
                look(fetcher, "http://www.news.example/third"),
            )
        asked = [(one.header("Host"), one.target) for one in server.visits]
        assert asked == [
            ("news.example", "/first"),
            ("www.news.example", "/first"),
            ("news.example", "/second"),
            ("www.news.example", "/third"),
        ]


async def test_a_second_try_and_a_second_handshake_wait_for_the_hosts_delay_too() -> None:
    async def first_time_broken(connection: Connection) -> None:
        if len(server.visits) > 1:
            await connection.send(OK)

    clock = RehearsalClock(START, speed=1 / DELAY)
    async with RawServer(first_time_broken) as server:
        async with fetching(check_settings(host_delay="2s"), clock=clock) as fetcher:
            seen = await look(fetcher, server.url())
        assert seen.status == 200
        _assert_manners(server.visits, 2 * DELAY)


async def test_a_host_with_its_own_settings_keeps_them() -> None:
    hosts = {
        "slow.example": HostSettings(delay="3s", headers={"X-Friend": "yes"}),
        "wide.example": HostSettings(concurrency=2, delay="1s"),
        "never.example": HostSettings(skip=True),
    }
    clock = RehearsalClock(START, speed=1 / DELAY)
    async with RawServer(_slowly) as server:
        table = ("a.slow.example", "wide.example", "never.example", "go.example")
        names = Names({host: [("127.0.0.1", server.port)] for host in table})
        check = check_settings(host_delay="0s")
        async with fetching(check, resolver=names, clock=clock, hosts=hosts) as fetcher:
            await asyncio.gather(
                *(look(fetcher, f"http://a.slow.example/{turn}") for turn in range(3)),
                *(look(fetcher, f"http://wide.example/{turn}") for turn in range(4)),
            )
            skipped = await look(fetcher, "http://sub.never.example/")
        assert skipped.error == "skipped"
        grouped = _by_host(server.visits)
        assert set(grouped) == {"a.slow.example", "wide.example"}
        _assert_manners(grouped["a.slow.example"], 3 * DELAY)
        assert {one.header("X-Friend") for one in grouped["a.slow.example"]} == {"yes"}
        assert {one.header("X-Friend") for one in grouped["wide.example"]} == {None}
        wide = grouped["wide.example"]
        starts = [after.began - before.began for before, after in itertools.pairwise(wide)]
        assert min(starts) >= DELAY * 0.95
        assert _most_at_once(wide) <= 2


def test_the_longest_name_that_fits_gives_a_hosts_settings() -> None:
    wide, narrow = HostSettings(delay="1s"), HostSettings(delay="2s")
    hosts = {"example.org": wide, "news.example.org": narrow}
    assert settings_for(hosts, "example.org") is wide
    assert settings_for(hosts, "a.b.example.org") is wide
    assert settings_for(hosts, "www.news.example.org") is narrow
    assert settings_for(hosts, "notexample.org") is None
    assert settings_for({"127.0.0.1": wide}, "127.0.0.1") is wide


def test_a_host_and_its_twin_share_a_lane_and_nothing_else_does() -> None:
    assert lane_of("www.News.Example") == lane_of("news.example.") == "news.example"
    assert lane_of("www.com") == "www.com"
    assert lane_of("m.news.example") == "m.news.example"
    assert lane_of("127.0.0.1") == "127.0.0.1"


async def test_the_host_with_the_longest_queue_goes_first() -> None:
    lanes = Lanes(check_settings(concurrency=1), {}, SystemClock())
    order: list[str] = []

    async def ask(host: str) -> None:
        async with lanes.hold(host) as lane, lane.request():
            order.append(host)
            await asyncio.sleep(0)

    queue = ["one"] + ["two"] * 2 + ["six"] * 6 + ["four"] * 4
    await asyncio.gather(*(ask(host) for host in queue))
    # "one" came first and found the place free; from then on the longest queue decides, and
    # "two" is not asked before the others have shrunk to its length.
    assert order[:2] == ["one", "six"]
    assert order.count("six") == 6
    before_two = order[: order.index("two")]
    assert before_two.count("six") >= 3
    assert before_two.count("four") >= 2


async def test_a_retry_after_closes_the_host_for_everybody_and_across_a_restart() -> None:
    data = status_line("429 Too Many", "Retry-After: 3600")
    ledger = MemoryHostLedger()
    clock = RehearsalClock(START)
    async with RawServer(answering(data)) as server:
        async with fetching(ledger=ledger, clock=clock) as fetcher:
            first, *others = await asyncio.gather(
                *(look(fetcher, server.url(f"/{turn}")) for turn in range(3)),
                return_exceptions=True,
            )
            assert not isinstance(first, BaseException)
            assert (first.status, first.retry_after) == (429, 3600)
            assert [type(one) for one in others] == [HostUnavailable] * 2
        clock.jump(timedelta(minutes=50))
        async with fetching(ledger=ledger, clock=clock) as fetcher:
            with pytest.raises(HostUnavailable) as refused:
                await look(fetcher, server.url())
            assert refused.value.until is not None
            assert refused.value.until - START >= timedelta(hours=1)
            assert len(server.visits) == 1
            clock.jump(timedelta(minutes=11))
            seen = await look(fetcher, server.url())
            assert seen.status == 429


async def test_another_archive_that_asks_for_patience_is_left_alone_too() -> None:
    data = status_line("429 Too Many", "Retry-After: 3600")
    async with RawServer(answering(data)) as server, fetching() as fetcher:
        first = await fetcher.get(server.url("/a"), seconds=5, max_body=100)
        assert isinstance(first, Answer)
        with pytest.raises(HostUnavailable):
            await fetcher.get(server.url("/b"), seconds=5, max_body=100)
    assert len(server.visits) == 1


async def test_a_short_pause_is_waited_for_and_forgotten_after_a_good_answer() -> None:
    async def busy_once(connection: Connection) -> None:
        busy = status_line("503 Busy", "Retry-After: 5")
        await connection.send(busy if len(server.visits) == 1 else OK)

    ledger = MemoryHostLedger()
    clock = RehearsalClock(START, speed=200)
    async with RawServer(busy_once) as server:
        async with fetching(ledger=ledger, clock=clock) as fetcher:
            assert (await look(fetcher, server.url())).status == 503
            assert ledger.lease("127.0.0.1", "another", clock.now(), clock.now()) is None
            assert (await look(fetcher, server.url())).status == 200
        # Sixty seconds are the least a pause lasts (reference checking §7.2).
        assert server.visits[1].began - server.visits[0].ended >= 59 / 200
        later = clock.now() + timedelta(days=1)
        state = ledger.lease("127.0.0.1", "another", later, later)
        assert state is not None
        assert (state.consecutive_pauses, state.not_before) == (0, None)


async def test_two_processes_that_share_a_ledger_are_as_polite_as_one() -> None:
    ledger = MemoryHostLedger()
    async with RawServer(_slowly) as server:
        hosts = [f"h{number}.example" for number in range(4)]
        names = Names({host: [("127.0.0.1", server.port)] for host in hosts})
        check = check_settings(host_delay="1s")
        clock = RehearsalClock(START, speed=1 / DELAY)

        async def process(first: int) -> None:
            lanes = Lanes(check, {}, clock, ledger)
            network = NetworkSettings(allow_private=["127.0.0.0/8"])
            async with Fetcher(check, network, {}, clock, lanes, resolver=names) as fetcher:
                turned = hosts[first:] + hosts[:first]
                for host in turned:
                    await asyncio.gather(
                        *(look(fetcher, f"http://{host}/{turn}") for turn in range(3))
                    )
                    lanes.release_idle()

        await asyncio.wait_for(asyncio.gather(process(0), process(2), process(0)), timeout=20)
        assert len(server.visits) == 36
        _assert_manners(server.visits, DELAY)


async def test_after_a_crash_a_host_is_left_alone_until_its_lease_is_over() -> None:
    ledger = MemoryHostLedger()
    clock = RehearsalClock(START, speed=400)
    check = check_settings(host_delay="5s")
    crashed = Lanes(check, {}, clock, ledger)
    assert crashed.claim("news.example")
    survivor = Lanes(check, {}, clock, ledger)
    assert not survivor.claim("news.example")
    began = clock.monotonic()
    async with survivor.hold("www.news.example") as lane, lane.request():
        waited = clock.monotonic() - began
    # The lease covers a request (2 s), the delay (5 s), and a reserve of a quarter of a minute.
    assert 20 <= waited <= 60


async def test_looks_do_not_wait_for_ever_for_another_processes_host() -> None:
    ledger = MemoryHostLedger()
    clock = RehearsalClock(START, speed=100)
    ledger.lease("news.example", "another", START, START + timedelta(hours=1))
    lanes = Lanes(check_settings(), {}, clock, ledger, patience=timedelta(seconds=20))

    async def ask() -> None:
        async with lanes.hold("news.example") as lane, lane.request():
            pass

    ended = await asyncio.gather(*(ask() for _ in range(50)), return_exceptions=True)
    assert {type(one) for one in ended} == {HostUnavailable}
    # The patience is the lane's, not each look's.
    assert clock.monotonic() < 100
    ledger.release("news.example", "another", clock.now() - timedelta(hours=1))
    await ask()


async def test_what_another_process_did_while_our_lease_had_lapsed_is_taken_over() -> None:
    ledger = MemoryHostLedger()
    clock = RehearsalClock(START, speed=50)
    lanes = Lanes(check_settings(host_delay="10s"), {}, clock, ledger)
    async with lanes.hold("news.example") as lane:
        async with lane.request():
            pass
        # The machine sleeps; meanwhile another process asks the host.
        clock.jump(timedelta(hours=1))
        await clock.sleep(11)
        now = clock.now()
        assert ledger.lease("news.example", "another", now, now + timedelta(minutes=1))
        ledger.release("news.example", "another", now)
        began = clock.monotonic()
        async with lane.request():
            assert clock.monotonic() - began >= 9


async def test_a_release_that_the_ledger_lost_shortens_no_delay() -> None:
    class FullDisk(MemoryHostLedger):
        def release(self, host, holder, last_request_at):  # type: ignore[no-untyped-def]
            """Be taken back with the rest of its transaction."""

    clock = RehearsalClock(START, speed=200)
    lanes = Lanes(check_settings(host_delay="60s"), {}, clock, FullDisk())
    async with lanes.hold("news.example") as lane, lane.request():
        pass
    ended = clock.monotonic()
    lanes.release_idle()
    async with lanes.hold("news.example") as lane, lane.request():
        assert clock.monotonic() - ended >= 60


async def test_leases_cost_the_store_two_writes_for_a_host_however_many_links_it_has() -> None:
    class Counting(MemoryHostLedger):
        leases = releases = 0

        def lease(self, host, holder, now, until):  # type: ignore[no-untyped-def]
            Counting.leases += 1
            return super().lease(host, holder, now, until)

        def release(self, host, holder, last_request_at):  # type: ignore[no-untyped-def]
            Counting.releases += 1
            super().release(host, holder, last_request_at)

    ledger = Counting()
    lanes = Lanes(check_settings(), {}, SystemClock(), ledger)
    for _ in range(20):
        async with lanes.hold("news.example") as lane, lane.request():
            pass
    lanes.release_idle()
    assert (Counting.leases, Counting.releases) == (1, 1)


async def test_a_cancelled_look_leaves_its_lane_and_its_place_to_others() -> None:
    lanes = Lanes(check_settings(concurrency=1, host_delay="0s"), {}, SystemClock())
    done: list[str] = []

    async def ask(host: str, seconds: float) -> None:
        async with lanes.hold(host) as lane, lane.request():
            await asyncio.sleep(seconds)
            done.append(host)

    holder = asyncio.create_task(ask("a.example", 5))
    in_lane = asyncio.create_task(ask("a.example", 5))
    for_place = asyncio.create_task(ask("b.example", 5))
    last = asyncio.create_task(ask("a.example", 0))
    await asyncio.sleep(0.01)
    for task in (in_lane, for_place, holder):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    await asyncio.wait_for(last, timeout=2)
    await asyncio.wait_for(ask("b.example", 0), timeout=2)
    assert done == ["a.example", "b.example"]


async def test_an_order_to_cancel_that_comes_with_the_turn_passes_the_turn_on() -> None:
    lanes = Lanes(check_settings(concurrency=1), {}, SystemClock())
    entered = asyncio.Event()

    async def hold(until: asyncio.Event) -> None:
        async with lanes.hold("a.example") as lane, lane.request():
            entered.set()
            await until.wait()

    leave = asyncio.Event()
    first = asyncio.create_task(hold(leave))
    await entered.wait()
    second = asyncio.create_task(hold(asyncio.Event()))
    third = asyncio.create_task(hold(leave))
    await asyncio.sleep(0)
    leave.set()
    await first
    second.cancel()
    await asyncio.wait_for(third, timeout=2)


async def test_the_lanes_cost_little() -> None:
    lanes = Lanes(check_settings(), {}, SystemClock())
    began = time.process_time()
    for turn in range(2000):
        async with lanes.hold(f"h{turn % 50}.example") as lane, lane.request():
            pass
    each = (time.process_time() - began) / 2000
    assert each < 200e-6, f"{each * 1e6:.0f} µs a look"


async def test_what_a_person_waits_for_goes_to_the_front_of_its_lane() -> None:
    lanes = Lanes(CheckSettings(host_delay=timedelta(0)), {}, SystemClock())
    order: list[str] = []

    async def look(name: str, *, urgent: bool) -> None:
        async with lanes.hold("h.example", urgent=urgent) as lane, lane.request():
            order.append(name)
            await asyncio.sleep(0.01)

    due = [asyncio.create_task(look(f"due {number}", urgent=False)) for number in range(5)]
    await asyncio.sleep(0.005)
    await asyncio.gather(look("asked first", urgent=True), look("asked second", urgent=True), *due)
    assert order[:3] == ["due 0", "asked first", "asked second"]
    assert len(order) == 7
