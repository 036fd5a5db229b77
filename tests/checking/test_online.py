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

from archiver.checking.names import HONEST, Forgery, addresses_of, ask_forgery, resolver_answers
from archiver.checking.online import Ballot, Canaries, Label, ask_canaries, has_route, vote
from archiver.clock import RehearsalClock
from archiver.model import Hop, Observation, PageFacts
from tests.checking.servers import (
    OK,
    Connection,
    Names,
    RawServer,
    answering,
    fetching,
    look,
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


LOSES_NAMES = Forgery(frozenset({"198.51.100.7"}))
LEADS_ALL_ASTRAY = replace(LOSES_NAMES, everywhere=True)


def led_to(*places: str, host: str = "lost.example", **facts: Any) -> Ballot:
    """A look whose names resolved, hop by hop, to these addresses and no others."""
    facts.setdefault("status", None if "error" in facts else 200)
    found = tuple(frozenset(place.split()) for place in places)
    return seen(host, observation={"addresses": found}, **facts)


def test_one_look_led_to_an_invented_address_is_void_among_healthy_ones() -> None:
    for lost in (
        led_to("198.51.100.7"),
        led_to("198.51.100.7", status=404),
        led_to("198.51.100.7", error="refused"),
        led_to("198.51.100.7", "192.0.2.1"),
        led_to("192.0.2.1", "198.51.100.7"),
    ):
        for known in ({}, {"canaries": FINE}):
            found = vote([*fine(3), lost, *fine(3)], forgery=LOSES_NAMES, **known)
            assert found.label is Label.ONLINE
            assert dict(found.looks) == {3: Label.OFFLINE}
            assert found.spoilt == {3}


def test_the_same_look_counts_where_no_name_is_forged() -> None:
    assert voided([*fine(3), led_to("198.51.100.7")]) == (Label.ONLINE, [])


def test_a_look_that_carries_its_title_came_from_the_site_whatever_its_address() -> None:
    found = vote([led_to("198.51.100.7", carries_title=True)], forgery=LEADS_ALL_ASTRAY)
    assert (found.label, dict(found.looks), found.spoilt) == (Label.ONLINE, {}, frozenset())


def test_a_name_that_has_an_address_beside_the_invented_one_is_no_forgery() -> None:
    batch = [led_to("198.51.100.7 192.0.2.1"), led_to("192.0.2.1"), led_to()]
    assert voided(batch, forgery=LEADS_ALL_ASTRAY) == (Label.ONLINE, [])


def test_where_names_are_forged_the_word_that_one_is_gone_is_doubted() -> None:
    found = vote([*fine(3), *failing(1)], forgery=LOSES_NAMES)
    assert (dict(found.looks), found.spoilt) == ({}, {3})
    assert vote([*fine(3), *failing(1)]).spoilt == frozenset()


def test_when_every_name_leads_to_the_forger_we_are_offline() -> None:
    batch = [led_to("198.51.100.7", host=f"h{number}.example") for number in range(3)]
    for astray in (batch, [*batch, *failing(2, "refused")]):
        found = vote(astray, forgery=LEADS_ALL_ASTRAY)
        assert found.label is Label.CAPTIVE_PORTAL
        assert sorted(found.looks) == list(range(len(astray)))
    answered = [*batch, seen("odd.example", status=200)]
    assert voided(answered, forgery=LEADS_ALL_ASTRAY) == (Label.ONLINE, [0, 1, 2])
    many = [led_to("198.51.100.7", host=f"h{number}.example") for number in range(9)]
    answered = [*many, seen("odd.example", status=200)]
    assert voided(answered, forgery=LEADS_ALL_ASTRAY) == (Label.CAPTIVE_PORTAL, [*range(9)])


def test_where_every_name_has_always_led_to_one_place_its_answers_are_judged_like_any() -> None:
    gateway = LEADS_ALL_ASTRAY.beside({"198.51.100.7"})
    answered = [led_to("198.51.100.7", host=f"h{number}.example") for number in range(3)]
    assert voided(answered, forgery=gateway) == (Label.ONLINE, [])
    refused = led_to("198.51.100.7", error="private-address")
    assert voided([*answered, refused], forgery=gateway) == (Label.ONLINE, [3])
    assert voided([refused], forgery=gateway) == (Label.CAPTIVE_PORTAL, [0])
    moved = LEADS_ALL_ASTRAY.beside({"198.51.100.7", "192.0.2.1"})
    assert voided(answered, forgery=moved) == (Label.CAPTIVE_PORTAL, [0, 1, 2])


def test_nothing_but_lost_names_in_a_batch_is_not_being_offline() -> None:
    batch = [led_to("198.51.100.7", host=f"h{number}.example") for number in range(6)]
    assert voided(batch, forgery=LOSES_NAMES) == (Label.ONLINE, [0, 1, 2, 3, 4, 5])
    assert voided(batch, forgery=LEADS_ALL_ASTRAY, canaries=FINE)[0] is Label.ONLINE
    found = vote(batch, forgery=LOSES_NAMES, canaries=WRONG)
    assert set(found.looks.values()) == {Label.OFFLINE}
    assert found.label is Label.OFFLINE


def test_what_the_forger_answered_is_no_voice_about_the_others() -> None:
    lost = [
        led_to("198.51.100.7", host=f"h{number}.example", error="refused") for number in range(5)
    ]
    assert voided([*lost, *fine(1), *failing(3)], forgery=LOSES_NAMES) == (
        Label.ONLINE,
        [0, 1, 2, 3, 4],
    )


_ERRORS = st.sampled_from([None, "dns-gone", "refused", "dns-error", "local-trouble", "reset"])


@given(
    st.lists(st.tuples(_ERRORS, st.integers(0, 9), st.booleans(), st.booleans()), max_size=30),
    st.sampled_from([None, FINE, WRONG, Canaries(2, 1), Canaries(1, 1)]),
    st.booleans(),
    st.sampled_from([HONEST, LOSES_NAMES, LEADS_ALL_ASTRAY]),
)
def test_a_look_that_carries_its_title_is_never_void(
    batch: list[tuple[str | None, int, bool, bool]],
    canaries: Canaries | None,
    first: bool,
    forgery: Forgery,
) -> None:
    ballots = [
        seen(
            f"h{host}.example",
            error,
            status=None if error else 200,
            carries_title=good and not error,
            failed_alike_before=before,
            observation={"addresses": (frozenset({"198.51.100.7"}),) if host % 2 else ()},
        )
        for error, host, good, before in batch
    ]
    found = vote(ballots, canaries=canaries, first_run=first, forgery=forgery)
    for index in {*found.looks, *found.spoilt}:
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


LOST = "x.example.com"
_INVENTED = [("198.51.100.7", 80), ("2001:db8::7", 80)]
_FORGED = frozenset({"198.51.100.7", "2001:db8::7"})


async def test_a_resolver_that_invents_addresses_is_found_out_with_all_of_them() -> None:
    assert await addresses_of(Names({LOST: _INVENTED}), LOST) == _FORGED
    assert await ask_forgery(Names({}), LOST) == HONEST
    assert await ask_forgery(Names({LOST: OSError("silence")}), LOST) == HONEST
    assert await ask_forgery(Names({LOST: []}), LOST) == HONEST


async def test_of_an_honest_resolver_nothing_but_the_lost_name_is_asked() -> None:
    names = Names({})
    await ask_forgery(names, LOST)
    assert names.asked == [LOST]


async def test_a_resolver_that_leads_old_names_elsewhere_forges_lost_names_only() -> None:
    old = {"iana.org": [("192.0.2.8", 80)]}
    assert await ask_forgery(Names({LOST: _INVENTED, **old}), LOST) == Forgery(_FORGED)
    portal = Names({LOST: _INVENTED, "iana.org": _INVENTED[:1], "example.com": _INVENTED})
    assert await ask_forgery(portal, LOST) == Forgery(_FORGED, everywhere=True)


async def test_a_look_knows_what_every_name_on_its_way_resolved_to() -> None:
    to_end = status_line("302 Found", "Location: http://end.example/")
    async with RawServer(answering(to_end)) as first, RawServer(answering(OK), "127.0.0.2") as last:
        table = {
            "start.example": [(first.address, first.port), ("127.0.0.3", first.port)],
            "end.example": [(last.address, last.port)],
        }
        async with fetching(resolver=Names(table)) as fetcher:
            found = await look(fetcher, "http://start.example/")
            assert found.addresses == (
                frozenset({"127.0.0.1", "127.0.0.3"}),
                frozenset({"127.0.0.2"}),
            )
            assert (await look(fetcher, last.url())).addresses == (), "there was no name"


async def test_over_a_kept_connection_a_look_knows_it_too() -> None:
    async def twice(connection: Connection) -> None:
        await connection.send(OK)
        await connection.reader.readuntil(b"\r\n\r\n")
        await connection.send(OK)

    async with RawServer(twice) as server:
        names = Names({"kept.example": [(server.address, server.port)]})
        async with fetching(resolver=names) as fetcher:
            for _ in range(2):
                found = await look(fetcher, "http://kept.example/")
                assert found.addresses == (frozenset({server.address}),)
        assert len(server.visits) == 1


async def test_a_look_that_was_refused_knows_what_its_name_resolved_to() -> None:
    table = {
        "closed.example": [("127.0.0.1", unused_port())],
        "private.example": [("10.0.0.1", 80)],
    }
    async with fetching(resolver=Names(table)) as fetcher:
        closed = await look(fetcher, "http://closed.example/")
        assert (closed.error, closed.addresses) == ("refused", (frozenset({"127.0.0.1"}),))
        private = await look(fetcher, "http://private.example/")
        assert (private.error, private.addresses) == (
            "private-address",
            (frozenset({"10.0.0.1"}),),
        )


async def test_a_canary_that_the_forger_answers_for_is_not_right() -> None:
    clock = RehearsalClock(NOW, speed=1000)
    async with RawServer(answering(OK)) as server:
        names = Names({"canary.example": [(server.address, server.port)]})
        async with fetching(clock=clock, resolver=names) as fetcher:
            urls = ["http://canary.example/"]
            assert (await ask_canaries(fetcher, urls, clock)).fine
            forged = Forgery(frozenset({server.address}))
            assert await ask_canaries(fetcher, urls, clock, forged) == Canaries(1, 0, portal=True)


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
