"""The whole pipeline against a real Wayback that records and replays the misbehaving web.

Not part of `make test`: `make test-wayback` installs pywb into an environment of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from archiver.archiving.addresses import capture_url, write_stamp
from archiver.archiving.answers import Lookup, Playback, PlaybackAnswer
from archiver.archiving.cdx import IndexClient
from archiver.archiving.playback import PlaybackClient
from archiver.archiving.wire import ArchiveWire
from archiver.clock import RehearsalClock, from_stamp
from archiver.config import Keys, load_settings
from archiver.demo.citations import write_events
from archiver.demo.hosts import SITES
from archiver.demo.raw import Pace
from archiver.demo.sites import Site
from archiver.demo.web import MisbehavingWeb
from archiver.service.checking import Checking
from archiver.service.desk import Desk
from archiver.service.local_copies import LocalCopies
from archiver.service.once import one_pass
from archiver.store import Store
from tests.wayback import machine
from tests.wayback.machine import Front, Pywb, wayback

pytestmark = pytest.mark.skipif(
    not machine.ENVIRONMENT, reason="make test-wayback says where pywb is (ARCHIVER_WAYBACK_BIN)"
)

KEPT = (
    *("alive.example", "alive-tls.example", "alive-pdf.example", "alive-japanese.example"),
    *("compressed.example", "http-to-https.example", "moved.example", "redirected.example"),
    "tls-expired.example",
)
NO_EVIDENCE = (
    *("just-a-moment.example", "login-wall.example"),
    *("gone-404.example", "soft-404.example"),
)
ARCHIVE_TIME = timedelta(minutes=5)
DAY_LATER = timedelta(hours=27)

SETTINGS = """\
[check]
contact = "https://example.org/who-we-are"
timeout = "2s"
connect_timeout = "1s"
host_delay = "0s"
[network]
allow_private = ["127.0.0.0/8"]
ca_file = "{authority}"
[archive]
mode = "{mode}"
save_url = "{origin}/save"
cdx_url = "{origin}/cdx/search/cdx"
playback_url = "{origin}/web"
availability_url = "{origin}/wayback/available"
anonymous_per_minute = 15
submits_per_minute = 60
slots = 20
reads_per_minute = 600
refresh_after = "never"
[archive.local]
enabled = {local}
max_body = "{max_body}"
"""


@dataclass
class World:
    """The small web, a real Wayback that sees it, and a desk between them."""

    folder: Path
    clock: RehearsalClock
    web: MisbehavingWeb
    pywb: Pywb
    front: Front
    desk: Desk

    def settle(self, **changed: Any) -> None:
        """Change the settings."""
        rows = {"mode": "off", "local": "false", "max_body": "20 MiB", **changed}
        file = self.folder / "archiver.toml"
        file.write_text(
            SETTINGS.format(
                authority=self.web.certificate_authority, origin=self.front.origin, **rows
            ),
            encoding="utf-8",
        )
        self.desk.loaded = load_settings(file, {}, self.folder)

    def states(self) -> dict[str, str]:
        """Return the archive state of every site by its host."""
        told = {}
        for site in self.web.sites:
            link = self.desk.store.queries.link_by_url(site.url)
            told[site.host] = "not cited" if link is None else link["archive_state"]
        return told

    def captures(self, site: Site) -> list[Any]:
        link = self.desk.store.queries.link_by_url(site.url)
        assert link is not None
        return self.desk.store.archive.captures(link["id"])

    @asynccontextmanager
    async def clients(self) -> AsyncIterator[tuple[IndexClient, PlaybackClient]]:
        """Open the room's own clients at the front."""
        ends = [self.front.cdx_url, self.front.playback_url]
        async with ArchiveWire(ends, user_agent="archiver-test") as wire:
            base = self.front.playback_url
            yield (
                IndexClient(wire, self.clock, cdx_url=self.front.cdx_url, playback_url=base),
                PlaybackClient(wire, self.clock, playback_url=base),
            )


def sites_of(hosts: Sequence[str]) -> tuple[Site, ...]:
    chosen = tuple(site for site in SITES if site.host in hosts)
    assert {site.host for site in chosen} == set(hosts)
    return chosen


@asynccontextmanager
async def a_world(
    folder: Path, hosts: Sequence[str], keys: Keys | None = None, **settings: Any
) -> AsyncIterator[World]:
    clock = RehearsalClock(machine.now())
    accepted = None if keys is None else (keys.access, keys.secret)
    async with MisbehavingWeb(clock, pace=Pace(hold=3.0, drip=0.02)) as web:
        web.sites = sites_of(hosts)
        write_events(folder / "events", web.sites, clock.now())
        resolver = web.resolver()
        async with wayback(folder / "wayback", resolver, clock, keys=accepted) as (pywb, front):
            store = Store.open(folder / "archiver.db")
            desk = Desk(
                load_settings(None, {}, folder),
                store,
                clock=clock,
                resolver=resolver,
                holder="run:test",
                keys=keys,
            )
            world = World(folder, clock, web, pywb, front, desk)
            world.settle(**settings)
            try:
                yield world
            finally:
                store.close()


FEW = ("alive.example", "alive-tls.example", "http-to-https.example", "moved.example")


@pytest.mark.parametrize(
    ("mode", "keys", "kept"),
    # Without keys pages go out four seconds apart at best, so fewer of them do.
    [("anonymous", None, FEW), ("spn2", Keys("access", "secret"), KEPT)],
    ids=["anonymous", "spn2"],
)
async def test_what_lives_ends_archived_and_nothing_else_does(
    tmp_path: Path, mode: str, keys: Keys | None, kept: tuple[str, ...]
) -> None:
    async with a_world(tmp_path, kept + NO_EVIDENCE, keys, mode=mode) as world:
        await one_pass(world.desk, archive_time=ARCHIVE_TIME)
        first = world.states()
        assert {first[host] for host in kept} == {"captured"}
        assert "archived" not in first.values()  # never before a playback a day later
        recorded = list(world.front.recorded)
        world.clock.jump(DAY_LATER)
        await one_pass(world.desk, archive_time=ARCHIVE_TIME)
        second = world.states()
        assert {host for host, state in second.items() if state == "archived"} == set(kept)
        assert world.front.recorded[: len(recorded)] == recorded
        again = [url for url, _ in world.front.recorded[len(recorded) :]]
        assert not [site.url for site in sites_of(kept) if site.url in again]
        for site in sites_of(kept):
            good = [row for row in world.captures(site) if row["judged"] == "ok"]
            assert good
            assert all(row["passed_at"] for row in good)


async def test_what_another_archived_is_found_and_not_submitted_again(tmp_path: Path) -> None:
    async with a_world(tmp_path, ("alive.example", "alive-tls.example")) as world:
        [first, second] = world.web.sites
        made, error = await world.front._capture(first.url)
        assert (len(made), error) == (1, "")
        world.clock.jump(DAY_LATER)
        world.settle(mode="anonymous")
        await one_pass(world.desk, archive_time=ARCHIVE_TIME)
        assert world.states()[first.host] == "archived"
        assert len(world.front.asked("save", first.url)) == 0
        assert len(world.front.asked("save", second.url)) == 1


async def test_a_capture_that_is_lost_is_not_called_archived_for_ever(tmp_path: Path) -> None:
    async with a_world(tmp_path, ("alive.example",), mode="anonymous") as world:
        await one_pass(world.desk, archive_time=ARCHIVE_TIME)
        world.clock.jump(DAY_LATER)
        await one_pass(world.desk, archive_time=ARCHIVE_TIME)
        assert world.states()["alive.example"] == "archived"
        for folder in ("archive", "indexes"):
            for file in (world.pywb.archive.parent / folder).iterdir():
                file.unlink()
        world.settle(mode="lookup")
        # Captures are played again after 90 days, spread by up to a tenth.
        for days in (100, 3, 3):
            world.clock.jump(timedelta(days=days))
            await one_pass(world.desk, archive_time=ARCHIVE_TIME)
        assert world.states()["alive.example"] in ("lost", "searching", "queued")


async def test_the_index_and_the_player_agree_about_what_was_recorded(tmp_path: Path) -> None:
    async with a_world(tmp_path, KEPT) as world, world.clients() as (index, player):
        for site in world.web.sites:
            made, error = await world.front._capture(site.url)
            assert error == ""
            answer = await index.look_up(site.url)
            assert answer.outcome is Lookup.FOUND
            found = [each for each in answer.captures if each.original_url == site.url]
            assert [each.captured_at for each in found] == [made[0].captured_at]
            played = await player.play(found[0].archive_url)
            assert (played.outcome, played.status) == (Playback.MEMENTO, 200)
            assert played.original == made[-1].original
            # http: and https: share one key: of the same second pywb plays the page at once.
            assert len(played.hops) in (0, len(made) - 1)
            seen = await world.web.see(made[-1].original)
            assert played.body == seen.body
        missing = await index.look_up("http://alive.example/never")
        assert missing.outcome is Lookup.NOTHING
        never = capture_url(world.front.playback_url, "20200101000000", "http://alive.example/no")
        assert (await player.play(never)).outcome is Playback.MISSING
        early = capture_url(world.front.playback_url, "20200101000000", world.web.sites[0].url)
        elsewhere = await player.play(early)
        assert elsewhere.outcome is Playback.ELSEWHERE
        assert (await index.look_up_host("alive.example")).outcome is Lookup.FOUND
        assert (await index.look_up_host("gone-404.example")).outcome is Lookup.NOTHING


# What we copied ourselves plays too: whole, behind redirects, over TLS, compressed.
COPIED = tuple(host for host in KEPT if host != "tls-expired.example")


async def test_our_own_copies_play_in_a_real_wayback(tmp_path: Path) -> None:
    async with a_world(tmp_path, COPIED, local="true") as world:
        result = await one_pass(world.desk)
        assert result.copies.copies == len(COPIED)
        await asyncio.sleep(1)  # captures are named by the second
        await copy_again(world)  # the same payloads again: revisits
        world.settle(local="true", max_body="1 KiB")
        await asyncio.sleep(1)
        await copy_again(world)  # and once more, cut
        rows = list(
            world.desk.store.database.rows(
                "SELECT c.*, l.url AS link FROM local_copies c JOIN links l ON l.id = c.link_id"
            )
        )
        kinds = {(row["kind"], row["truncated"]) for row in rows if row["is_page"]}
        assert kinds == {("response", None), ("revisit", None), ("response", "length")}
        for warc in (tmp_path / "captures").iterdir():
            world.pywb.add(warc)
        async with world.clients() as (index, player):
            for row in rows:
                if row["is_page"]:
                    await plays(world, index, player, row)


async def copy_again(world: World) -> None:
    world.desk.store.database.execute("DELETE FROM local_tries")
    async with Checking(world.desk) as checking, LocalCopies(checking) as copies:
        assert (await copies.work()).copies == len(COPIED)


async def plays(world: World, index: IndexClient, player: PlaybackClient, row: Any) -> None:
    moment = from_stamp(row["captured_at"])
    for _ in range(50):
        answer = await index.look_up(row["url"])
        if moment in {each.captured_at for each in answer.captures}:
            break
        await asyncio.sleep(0.1)
    else:
        pytest.fail(f"{row['url']} of {moment} is not in the index")
    address = capture_url(world.front.playback_url, write_stamp(moment), row["url"])
    played = await player.play(address)
    whole = (await world.web.see(row["url"])).body
    assert_plays(played, row, whole)
    if row["link"] != row["url"] and row["truncated"] is None:
        begun = capture_url(world.front.playback_url, write_stamp(moment), row["link"])
        through = await player.play(begun)
        assert (through.outcome, through.original) == (Playback.MEMENTO, row["url"])


def assert_plays(played: PlaybackAnswer, row: Any, whole: bytes) -> None:
    told = (row["url"], row["kind"], row["truncated"], played.detail)
    assert played.outcome is Playback.MEMENTO, told
    assert played.status == 200, told
    assert played.original == row["url"]
    if row["truncated"] is None:
        assert played.body == whole, told
    else:
        assert played.body, told
        assert whole.startswith(played.body), told
