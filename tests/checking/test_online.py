"""Is it them or us: the vote, and the questions it rests on."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.checking.online import (
    Ballot,
    Canaries,
    Label,
    ask_canaries,
    forges_names,
    has_route,
    resolver_answers,
    vote,
)
from archiver.clock import RehearsalClock
from archiver.model import Hop, Observation, PageFacts
from tests.checking.servers import (
    OK,
    Names,
    RawServer,
    answering,
    fetching,
    status_line,
    unused_port,
)

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
FINE = Canaries(asked=4, right=4)
WRONG = Canaries(asked=4, right=0)


def seen(host: str, error: str | None = None, status: int | None = None, **facts: Any) -> Ballot:
    facts.setdefault("observation", {})
    more = facts.pop("observation")
    url = f"http://{host}/a"
    return Ballot(Observation(url, NOW, status=status, error=error, final_url=url, **more), **facts)


def failing(count: int, error: str = "dns-gone", **facts: Any) -> list[Ballot]:
    return [seen(f"f{number}.example", error, **facts) for number in range(count)]


def fine(count: int) -> list[Ballot]:
    return [seen(f"g{number}.example", status=200, carries_title=True) for number in range(count)]


def voided(batch: Sequence[Ballot], **known: Any) -> tuple[Label, list[int]]:
    found = vote(batch, **known)
    return found.label, sorted(found.looks)


def test_an_ordinary_batch_is_online_and_every_look_counts() -> None:
    assert voided(fine(8) + failing(2)) == (Label.ONLINE, [])
    assert voided([]) == (Label.ONLINE, [])


def test_without_canaries_most_of_five_hosts_failing_means_offline() -> None:
    assert voided(failing(5)) == (Label.OFFLINE, [0, 1, 2, 3, 4])
    assert voided(fine(1) + failing(4)) == (Label.OFFLINE, [1, 2, 3, 4])
    assert voided(fine(2) + failing(4)) == (Label.ONLINE, [])


def test_without_canaries_fewer_than_five_hosts_are_findings_about_their_links() -> None:
    for error in ("dns-gone", "refused", "reset", "connect-timeout", "unreachable", "dns-error"):
        assert voided(failing(4, error)) == (Label.ONLINE, [])
        assert voided(failing(1, error)) == (Label.ONLINE, [])


def test_five_links_of_one_host_are_one_host() -> None:
    batch = [seen("www.one.example", "refused"), *[seen("one.example", "refused")] * 6]
    assert voided(batch) == (Label.ONLINE, [])


def test_without_a_route_or_a_resolver_one_look_is_enough() -> None:
    one = failing(1, "unreachable")
    assert voided(one, has_route=False) == (Label.OFFLINE, [0])
    assert voided(failing(1, "refused"), has_route=False) == (Label.ONLINE, [])
    assert voided(failing(2, "dns-error"), resolver_answers=False) == (Label.OFFLINE, [0, 1])
    assert voided(failing(1, "dns-gone"), resolver_answers=False) == (Label.ONLINE, [])
    mixed = failing(2, "dns-error") + fine(1)
    assert voided(mixed, resolver_answers=False) == (Label.ONLINE, [])


def test_where_there_are_canaries_they_decide() -> None:
    assert voided(failing(1), canaries=FINE) == (Label.ONLINE, [])
    assert voided(failing(1), canaries=WRONG) == (Label.OFFLINE, [0])
    assert voided(failing(3) + fine(2), canaries=WRONG) == (Label.OFFLINE, [0, 1, 2])
    assert voided(failing(9), canaries=FINE)[0] is Label.PARTIAL_OUTAGE
    assert voided(failing(9), canaries=Canaries(0, 0))[0] is Label.OFFLINE


def test_a_page_that_carries_its_title_stands_even_when_the_canaries_say_offline() -> None:
    portal = seen("p.example", status=200)
    assert voided([*fine(1), portal], canaries=WRONG) == (Label.OFFLINE, [1])


def test_a_partial_outage_is_recorded_and_counts_for_nothing() -> None:
    found = vote(failing(8) + fine(2), canaries=FINE)
    assert found.label is Label.PARTIAL_OUTAGE
    assert set(found.looks.values()) == {Label.PARTIAL_OUTAGE}
    assert sorted(found.looks) == list(range(8))
    assert not found.label.is_offline


def test_the_usual_batch_of_sick_links_is_no_outage() -> None:
    sick = failing(12, "connect-timeout", failed_alike_before=True)
    assert voided(sick) == (Label.ONLINE, [])
    assert voided(sick, canaries=FINE) == (Label.ONLINE, [])
    assert voided(sick + failing(4, "refused")) == (Label.ONLINE, [])


def test_hosts_never_seen_count_on_a_first_run_only() -> None:
    unknown = failing(8, host_seen_before=False)
    assert voided(unknown) == (Label.ONLINE, [])
    assert voided(unknown, first_run=True)[0] is Label.OFFLINE


def test_an_answer_however_bad_says_that_there_is_a_way_out() -> None:
    batch = [seen(f"h{number}.example", status=503) for number in range(9)]
    assert voided(batch) == (Label.ONLINE, [])
    unreadable = failing(9, "unreadable-http") + failing(9, "private-address")
    assert voided(unreadable) == (Label.ONLINE, [])


def test_a_portal_that_redirects_everybody_is_recognised() -> None:
    def caught(number: int, **facts: Any) -> Ballot:
        url = f"http://h{number}.example/a"
        observation = Observation(
            url,
            NOW,
            status=200,
            final_url="http://login.portal.example/",
            redirects=(Hop(302, url),),
        )
        return Ballot(observation, **facts)

    batch = [caught(number) for number in range(5)]
    assert voided(batch) == (Label.CAPTIVE_PORTAL, [0, 1, 2, 3, 4])
    assert voided(batch[:4]) == (Label.ONLINE, [])
    assert voided(batch + fine(2)) == (Label.ONLINE, [])
    assert voided([caught(number, is_known_page=True) for number in range(9)])[0] is Label.ONLINE
    assert voided([caught(number, carries_title=True) for number in range(9)])[0] is Label.ONLINE


def test_a_portal_that_answers_for_everybody_is_recognised() -> None:
    page = PageFacts(title="Welcome to our hotel", text_length=80, opening="Please log in")

    def caught(number: int, status: int = 200, **facts: Any) -> Ballot:
        return seen(f"h{number}.example", status=status, observation={"page": page}, **facts)

    assert voided([caught(number) for number in range(6)])[0] is Label.CAPTIVE_PORTAL
    assert voided([caught(number, 511) for number in range(6)])[0].is_offline
    # A server's stock page for errors is the same everywhere.
    assert voided([caught(number, 404) for number in range(6)]) == (Label.ONLINE, [])
    known = [caught(number, is_known_page=True) for number in range(6)]
    assert voided(known) == (Label.ONLINE, [])
    empty = seen("e.example", status=200, observation={"page": PageFacts(kind="empty")})
    assert voided([replace(empty) for _ in range(6)]) == (Label.ONLINE, [])


def test_what_this_machine_lacks_voids_the_look_whatever_the_vote() -> None:
    found = vote([*fine(9), *failing(1, "local-trouble")], canaries=FINE)
    assert found.label is Label.ONLINE
    assert dict(found.looks) == {9: Label.OFFLINE}


def test_one_provider_going_down_is_told_from_many_dead_hosts() -> None:
    relay = [seen(f"c{number}.example", status=522, ok_lately=True) for number in range(5)]
    batch = fine(20) + relay
    assert voided(batch) == (Label.PROVIDER_OUTAGE, [20, 21, 22, 23, 24])
    assert voided(fine(20) + relay[:4]) == (Label.ONLINE, [])
    sick = [replace(one, ok_lately=False) for one in relay]
    assert voided(fine(20) + sick) == (Label.ONLINE, [])
    same = failing(5, "refused", ok_lately=True, network="198.51.100.0/24")
    assert voided(fine(20) + same)[0] is Label.PROVIDER_OUTAGE
    assert voided(fine(20) + failing(5, "refused", ok_lately=True)) == (Label.ONLINE, [])


_ERRORS = st.sampled_from([None, "dns-gone", "refused", "dns-error", "local-trouble", "reset"])


@given(
    st.lists(st.tuples(_ERRORS, st.integers(0, 9), st.booleans(), st.booleans()), max_size=30),
    st.sampled_from([None, FINE, WRONG, Canaries(2, 1), Canaries(1, 1)]),
    st.booleans(),
)
def test_a_look_that_carries_its_title_is_never_void(
    batch: list[tuple[str | None, int, bool, bool]], canaries: Canaries | None, first: bool
) -> None:
    ballots = [
        seen(
            f"h{host}.example",
            error,
            status=None if error else 200,
            carries_title=good and not error,
            failed_alike_before=before,
        )
        for error, host, good, before in batch
    ]
    found = vote(ballots, canaries=canaries, first_run=first)
    for index in found.looks:
        assert not ballots[index].carries_title


async def test_canaries_are_right_below_500_and_without_a_hop_elsewhere() -> None:
    answers = {
        "fine": (OK, True),
        "empty": (b"HTTP/1.1 204 No Content\r\n\r\n", True),
        "forbidden": (status_line("403 Forbidden"), True),
        "own redirect": (status_line("302 Found", "Location: /here"), True),
        "hop elsewhere": (status_line("302 Found", "Location: http://portal.example/"), False),
        "portal": (status_line("511 Network Authentication Required"), False),
        "broken": (status_line("500 Broken"), False),
    }
    clock = RehearsalClock(NOW, speed=1000)
    async with fetching(clock=clock) as fetcher:
        for name, (data, right) in answers.items():
            async with RawServer(answering(data)) as server:
                found = await ask_canaries(fetcher, [server.url()], clock)
                assert (name, found.fine, found.asked) == (name, right, 1)
                assert found.portal is (not right and name != "unknown")
        dead = f"http://127.0.0.1:{unused_port()}/"
        assert await ask_canaries(fetcher, [dead], clock) == Canaries(1, 0, False)
        assert await ask_canaries(fetcher, [], clock) == Canaries(0, 0)


async def test_canaries_pass_the_address_guard() -> None:
    clock = RehearsalClock(NOW, speed=1000)
    async with fetching(clock=clock) as fetcher:
        found = await ask_canaries(fetcher, ["http://169.254.169.254/"], clock)
        assert not found.fine


async def test_one_right_canary_of_several_is_asked_about_again() -> None:
    clock = RehearsalClock(NOW, speed=1000)
    dead = f"http://127.0.0.2:{unused_port()}/"
    async with RawServer(answering(OK)) as server, fetching(clock=clock) as fetcher:
        began = clock.monotonic()
        found = await ask_canaries(fetcher, [server.url(), dead], clock)
        assert (found.asked, found.right, found.fine) == (2, 1, False)
        assert len(server.visits) == 2
        assert clock.monotonic() - began >= 15


async def test_a_resolver_answers_when_any_name_gets_a_definite_answer() -> None:
    busy = socket.gaierror(socket.EAI_AGAIN, "try again")
    assert await resolver_answers(Names({}), ["a.example"])
    assert await resolver_answers(Names({"a.example": [("1.1.1.1", 80)]}), ["a.example"])
    assert await resolver_answers(Names({"a.example": busy}), ["a.example", "b.example"])
    assert not await resolver_answers(Names({"a.example": busy}), ["a.example"])
    silent = Names({"a.example": OSError("silence")})
    assert not await resolver_answers(silent, ["a.example"])


async def test_a_resolver_that_invents_addresses_is_found_out() -> None:
    assert await forges_names(Names({"x.example.com": [("1.1.1.1", 80)]}), "x.example.com")
    assert not await forges_names(Names({}), "x.example.com")


@pytest.mark.parametrize(
    ("fails", "known"), [((), True), ((socket.AF_INET,), True), ((socket.AF_INET6,), True)]
)
def test_a_route_over_either_family_is_a_way_out(fails: tuple[int, ...], known: bool) -> None:
    def choose(opened: socket.socket, place: tuple[str, int]) -> None:
        if opened.family in fails:
            raise OSError(errno.ENETUNREACH, "no route")

    assert has_route(choose) is known


def test_no_route_over_any_family_is_no_way_out() -> None:
    def choose(opened: socket.socket, place: tuple[str, int]) -> None:
        raise OSError(errno.ENETUNREACH, "no route")

    assert not has_route(choose)
