"""What comes between a look's beginning and its end is not lost, and what recovers is gentle."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from archiver.checking.failures import LOCAL_TROUBLE
from archiver.checking.robots import Robots
from archiver.checking.wire import Answer, Failure, Wire
from archiver.clock import to_stamp
from archiver.demo.sites import ALIVE, GONE, Site, soft
from archiver.errors import DatabaseUnusable
from archiver.model import OFFLINE, HostState, Verdict
from archiver.service import rounds
from archiver.service.checking import Checking, Seen
from archiver.service.duties import Duties
from archiver.service.explain import why_in_words
from archiver.service.marking import mark
from archiver.service.rebuild import differences
from archiver.service.robots_memory import StoredRobots
from archiver.service.rounds import Summary
from archiver.service.scan import scan
from tests.service.small_web import START, small_web

GONE_PAGE = Site("gone.example", "Lighthouse keepers refuse automation", GONE, "", "", "")
PAGES = [
    Site(f"page-{number}.example", f"Harbour report number {number}", ALIVE, "", "", "")
    for number in range(12)
]


async def test_a_mark_made_while_a_look_is_under_way_is_kept(tmp_path: Path) -> None:
    async with small_web(tmp_path, [GONE_PAGE]) as service:
        await scan(service.desk)
        [link] = service.desk.store.looks.known([service.link(GONE_PAGE)])
        async with Checking(service.desk) as checking:
            seen = await checking.see(link)
            assert isinstance(seen, Seen)
            mark(service.desk, GONE_PAGE.url, "alive")
            await checking.settle([seen], None)
        assert service.word(GONE_PAGE) == "ok/marked-alive"
        assert list(differences(service.desk, rejudge=False)) == []


async def test_what_robots_txt_said_is_remembered_by_the_next_process(tmp_path: Path) -> None:
    async with small_web(tmp_path, PAGES[:1]) as service:
        said = Robots(service.clock.now(), ((False, "/private"), (True, "/")))
        StoredRobots(service.desk).put("https://page-0.example", said)
        assert StoredRobots(service.desk).get("https://page-0.example") == said
        assert StoredRobots(service.desk).get("http://page-0.example") is None


async def test_the_backlog_of_an_offline_time_is_spread_over_an_hour(tmp_path: Path) -> None:
    async with small_web(tmp_path, PAGES) as service:
        await scan(service.desk)
        service.at(24)
        now = service.clock.now()
        count = service.desk.store.looks.spread(now, timedelta(hours=1))
        assert count >= len(PAGES)
        late = to_stamp(now + timedelta(hours=1))
        assert service.count("SELECT count(*) FROM links WHERE next_look_at > ?", late) == 0
        half = to_stamp(now + timedelta(minutes=30))
        first = service.count("SELECT count(*) FROM links WHERE next_look_at <= ?", half)
        assert abs(first - count / 2) <= 1


async def test_a_clock_that_was_years_ahead_for_a_while_stops_no_look(tmp_path: Path) -> None:
    ahead = timedelta(days=4000)
    async with small_web(tmp_path, PAGES[:1]) as service, Duties(service.desk) as duties:
        await scan(service.desk)
        service.clock.jump(ahead)
        await duties.check()
        offline = {"online": False, "since": to_stamp(START), "again_at": to_stamp(START + ahead)}
        service.desk.store.journal.set_state("online", offline)
        service.clock.jump(-ahead)
        await duties.check()
        seen = "SELECT count(*) FROM looks WHERE looked_at < ?"
        assert service.count(seen, to_stamp(START + timedelta(days=1))) >= 1


@pytest.mark.parametrize("planned_by", ["scan", "spread"])
async def test_what_a_clock_that_was_ahead_planned_without_a_look_is_due_all_the_same(
    tmp_path: Path, planned_by: str
) -> None:
    ahead = timedelta(days=365)
    async with small_web(tmp_path, PAGES[:1]) as service, Duties(service.desk) as duties:
        service.clock.jump(ahead if planned_by == "scan" else timedelta(0))
        await scan(service.desk)
        if planned_by == "spread":
            service.clock.jump(ahead)
            service.desk.store.looks.spread(service.clock.now(), timedelta(hours=1))
        service.clock.jump(-ahead)
        await duties.check()
        assert service.belief(PAGES[0]).verdict is Verdict.OK


async def test_a_link_that_meets_a_trouble_of_ours_alone_is_not_asked_at_every_tick(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    get = Wire.get

    async def fails_for_one(self: Wire, wire: str, **options: Any) -> Answer | Failure:
        if PAGES[0].host in wire:
            return Failure(LOCAL_TROUBLE, heard=False)
        return await get(self, wire, **options)

    monkeypatch.setattr(Wire, "get", fails_for_one)
    async with small_web(tmp_path, PAGES) as service:
        summary = await service.look()
        assert not summary.offline
        belief = service.belief(PAGES[0])
        assert belief.verdict is Verdict.UNCHECKED
        row = service.desk.store.queries.link_by_url(PAGES[0].url)
        assert row is not None
        assert row["next_look_at"] > to_stamp(service.clock.now() + timedelta(hours=4))


async def test_what_a_person_asked_for_outlives_a_service_that_was_to_end_before_its_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with small_web(tmp_path, PAGES[:2]) as service, Duties(service.desk) as duties:
        await scan(service.desk)
        looked, journal, now = service.link(PAGES[0]), service.desk.store.journal, START
        asked = [journal.ask(service.link(page), "check", now) for page in PAGES[:2]]

        async def ends_in_the_middle(*_: object) -> Summary:
            service.desk.stopping = True
            return Summary(findings={looked: OFFLINE})

        monkeypatch.setattr(rounds, "look_at", ends_in_the_middle)
        await duties.requests()
        journal.reopen_requests()  # as the next service does when it begins
        assert [journal.request_state(one) for one in asked] == ["done", "queued"]


async def test_the_lease_of_a_dead_daemon_is_freed_and_its_delay_still_holds(
    tmp_path: Path,
) -> None:
    async with small_web(tmp_path, PAGES[:1]) as service:
        hosts, later = service.desk.store.hosts, START + timedelta(minutes=5)
        hosts.lease("a.example", "run:1:x", START, later)
        hosts.lease("b.example", "command:2:x", START, later)
        hosts.free("run:", START)
        assert hosts.holder("a.example", START) is None
        assert hosts.holder("b.example", START) == "command:2:x"
        state = hosts.lease("a.example", "run:3:x", START, later)
        assert state is not None
        assert state.last_request_at is not None
        assert state.last_request_at >= START


async def test_leases_that_a_full_disk_took_back_are_not_taken_for_granted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with small_web(tmp_path, PAGES[:2]) as service:
        await scan(service.desk)
        hosts, now = service.desk.store.hosts, START
        links = service.desk.store.looks.known([service.link(page) for page in PAGES[:2]])
        lease = hosts.lease

        def fills_the_disk(host: str, *rest: Any) -> HostState | None:
            if host == links[1].host:
                raise DatabaseUnusable("The disk is full.", "Free some space.", code="disk-full")
            return lease(host, *rest)

        async with Checking(service.desk) as checking:
            monkeypatch.setattr(hosts, "lease", fills_the_disk)
            with pytest.raises(DatabaseUnusable):
                checking.lease(links)
            assert lease(links[0].host, "command:2", now, now + timedelta(hours=1)) is not None
            assert not checking._lanes.claim(links[0].host)


@pytest.mark.parametrize("put_off", [False, True])
async def test_a_link_marked_before_its_look_was_due_is_looked_at_after_a_rebuild_and_a_clear(
    tmp_path: Path, put_off: bool
) -> None:
    async with small_web(tmp_path, PAGES[:1]) as service:
        await scan(service.desk)
        if put_off:
            until = START + timedelta(days=1)
            service.desk.store.looks.postpone([service.link(PAGES[0])], until)
        mark(service.desk, PAGES[0].url, "gone")
        assert list(differences(service.desk, rejudge=False)) == []
        service.desk.store.database.execute(
            "UPDATE links SET verdict = 'ok' WHERE reason = 'marked-gone'"
        )
        assert len(list(differences(service.desk, rejudge=False))) == 1
        mark(service.desk, PAGES[0].url, "clear")
        assert list(differences(service.desk, rejudge=False)) == []
        service.at(25)
        await service.look()
        assert service.word(PAGES[0]) == "ok/ok"


async def test_a_cited_link_that_nobody_has_planned_a_look_of_is_looked_at(
    tmp_path: Path,
) -> None:
    async with small_web(tmp_path, PAGES[:1]) as service, Duties(service.desk) as duties:
        await scan(service.desk)
        service.desk.store.database.execute("UPDATE links SET next_look_at = NULL")
        await duties.check()
        assert service.belief(PAGES[0]).verdict is Verdict.OK


async def test_after_90_days_a_mark_ends_and_the_findings_since_decide(tmp_path: Path) -> None:
    async with small_web(tmp_path, [GONE_PAGE]) as service:
        await service.look()
        mark(service.desk, GONE_PAGE.url, "alive")
        for day in (4, 8, 12, 89):
            service.at(24 * day)
            await service.look()
            assert service.word(GONE_PAGE) == "ok/marked-alive"
        service.at(24 * 91)
        await service.look()
        assert service.word(GONE_PAGE) == "dead/http-404"
        assert list(differences(service.desk, rejudge=False)) == []


async def test_why_names_the_signs_that_fired(tmp_path: Path) -> None:
    site = Site("soft.example", "Lighthouse keepers refuse automation", soft("en"), "", "", "")
    async with small_web(tmp_path, [site]) as service:
        await service.look()
        [look] = service.desk.store.looks.history(service.link(site))
        signs = json.loads(look["facts"])["finding"]["signs"]
        assert len(signs) >= 2
        told = "\n".join(why_in_words(service.desk, service.link(site)))
        assert f"signs: {', '.join(signs)}" in told


async def test_the_note_of_a_mark_stands_in_the_explanation(tmp_path: Path) -> None:
    async with small_web(tmp_path, [GONE_PAGE]) as service:
        await service.look()
        mark(service.desk, GONE_PAGE.url, "alive", note="opens in my browser")
        told = "\n".join(why_in_words(service.desk, service.link(GONE_PAGE)))
        assert "opens in my browser" in told
        assert "A person's mark holds until" in told
        mark(service.desk, GONE_PAGE.url, "clear")
        assert service.word(GONE_PAGE) == "failing/http-404"
