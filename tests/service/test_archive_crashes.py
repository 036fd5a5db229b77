"""Killed with SIGKILL at every step of the archive pipeline, with an account: nothing is lost,
nothing is submitted twice (law 8)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from archiver.demo.wayback import Scripted
from tests.service.town import Place, Town, article, until

NEWS = "/news/a-source-that-is-cited-by-an-event"
KEYS = {"IA_ACCESS_KEY": "access-word-of-sixteen", "IA_SECRET_KEY": "secret-word-of-sixteen"}


def posts(town: Town) -> int:
    return len(town.archive.asked("spn2"))


async def killed_when(place: Place, true: Callable[[], object], what: str, *arguments: str) -> None:
    """Start a pass and kill it the moment something is so."""
    child = await place.start(*(arguments or ("run", "--once")), **KEYS)
    await until(true, what, child)
    child.kill()
    await child.communicate()


def prepared(place: Place, town: Town) -> str:
    url = town.url(NEWS)
    place.cite(url)
    place.configure(town, check__host_delay='"0s"')
    return url


async def test_killed_at_the_post_its_outcome_is_unknown_and_it_is_not_posted_again(
    place: Place, town: Town
) -> None:
    url = prepared(place, town)
    town.archive.script("spn2", ".", Scripted(200, "", hang=5.0))
    await killed_when(place, lambda: posts(town), "the post")
    assert place.rows("SELECT url, archive, outcome FROM attempts") == [(url, "spn2", None)]
    town.archive.clear_scripts()
    again = await place.run("run", "--once", **KEYS)
    assert again.code == 0, again.err
    assert posts(town) == 1
    assert place.value("SELECT archive_state FROM links") == "pending"


async def test_killed_while_a_job_runs_it_is_asked_for_by_its_stored_id(
    place: Place, town: Town
) -> None:
    prepared(place, town)
    town.archive.job_time = timedelta(seconds=6)
    await killed_when(
        place, lambda: place.value("SELECT job_id FROM attempts"), "the job id in the database"
    )
    town.archive.job_time = timedelta(0)
    job = place.value("SELECT job_id FROM attempts")
    again = await place.run("run", "--once", **KEYS)
    assert again.code == 0, again.err
    assert posts(town) == 1
    asked = [request.target for request in town.archive.requests]
    assert any(job in target for target in asked), asked
    assert place.rows("SELECT outcome FROM attempts") == [("captured",)]
    assert place.value("SELECT archive_state FROM links") == "captured"


async def test_killed_while_a_capture_is_played_back_it_is_played_again(
    place: Place, town: Town
) -> None:
    url = prepared(place, town)
    place.configure(town, check__host_delay='"0s"', archive__refresh_after='"never"')
    town.archive.add_capture(url, datetime(2016, 12, 1, tzinfo=UTC), 200, article(NEWS))
    town.archive.script("playback", ".", Scripted(200, "", hang=5.0))
    await killed_when(place, lambda: town.archive.asked("playback"), "the playback")
    assert place.value("SELECT archive_state FROM links") == "captured"
    town.archive.clear_scripts()
    again = await place.run("run", "--once", **KEYS)
    assert again.code == 0, again.err
    assert place.value("SELECT archive_state FROM links") == "archived"
    assert posts(town) == 0


async def test_two_commands_at_once_never_submit_the_same_page_twice(
    place: Place, town: Town
) -> None:
    url = prepared(place, town)
    first = await place.run("run", "--once", "--for", "1s", **KEYS)
    assert first.code == 0, first.err
    done = posts(town)
    children = [await place.start("archive", url, **KEYS) for _ in range(3)]
    for child in children:
        out, err = await asyncio.wait_for(child.communicate(), 40)
        assert child.returncode == 0, (out + err).decode()
    assert done <= posts(town) <= 1
    assert place.value("SELECT count(*) FROM attempts") == posts(town) == 1


async def test_the_keys_stand_nowhere(place: Place, town: Town) -> None:
    prepared(place, town)
    done = await place.run("run", "--once", "-vv", **KEYS)
    assert done.code == 0, done.err
    assert any(request.authorized for request in town.archive.asked("spn2"))
    files = [path for path in place.folder.rglob("*") if path.is_file()]
    for secret in KEYS.values():
        assert secret not in done.out + done.err
        assert all(secret.encode() not in path.read_bytes() for path in files)


@pytest.mark.parametrize("status", [401, 403])
async def test_refused_keys_cost_one_request_and_end_no_pass(
    place: Place, town: Town, status: int
) -> None:
    place.cite(*(town.url(f"/news/a-cited-source-number-{number}") for number in range(4)))
    place.configure(town, check__host_delay='"0s"')
    for service in ("spn2", "user", "status"):
        town.archive.script(service, ".*", Scripted(status, "no"))
    done = await place.run("run", "--once", **KEYS)
    assert done.code == 0, done.err
    asked = posts(town) + len(town.archive.asked("user"))
    assert asked == 1
    assert place.value("SELECT count(*) FROM links WHERE archive_state = 'archived'") == 0
    again = await place.run("run", "--once", **KEYS)
    assert again.code == 0, again.err
    assert posts(town) + len(town.archive.asked("user")) == 1


async def test_archive_with_refused_keys_exits_4(place: Place, town: Town) -> None:
    url = prepared(place, town)
    for service in ("spn2", "user"):
        town.archive.script(service, ".*", Scripted(401, "no"))
    done = await place.run("archive", url, **KEYS)
    assert done.code == 4, done.out + done.err
    assert "refused the account keys" in done.err
