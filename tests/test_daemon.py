"""`archiver run` as a service: a child process on real servers, stopped, reloaded and killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
from contextlib import closing
from itertools import pairwise

import pytest

from tests.service.children import ROOT
from tests.service.town import SECOND, THIRD, Place, Town, ended, stopped, until

NEWS = "/news/harbour-dredging-contract-awarded-without-tender"
OTHER = "/news/council-sold-the-waterworks-to-its-own-treasurer"
GONE = "/gone/ferry-operator-hid-inspection-reports-for-years"
SLOW = "/slow/a-page-that-takes-its-time"


def looks(place: Place) -> int:
    """Count the looks of our own that are stored."""
    return place.value("SELECT count(*) FROM looks WHERE vantage = 'here'") or 0


def state(place: Place, url: str) -> str | None:
    """Return how far the archiving of a link is."""
    found: str | None = place.value("SELECT archive_state FROM links WHERE url = ?", url)
    return found


def claims(place: Place) -> int:
    """Count the links that a process says it is looking at."""
    return place.value("SELECT count(*) FROM links WHERE claimed_by IS NOT NULL") or 0


def is_sound(place: Place) -> bool:
    """Say whether the database opens, has its constraints, and can be written."""
    with closing(sqlite3.connect(place.database)) as connection, connection:
        intact = connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.execute("UPDATE state SET value = value")
        return intact and connection.execute("PRAGMA foreign_key_check").fetchall() == []


async def test_the_service_scans_looks_archives_reports_and_stops_cleanly(
    place: Place, town: Town
) -> None:
    place.cite(town.url(NEWS), town.url(GONE, SECOND))
    place.configure(town)
    child = await place.start("run", fresh=True)
    report = place.folder / "report" / "report.html"
    await until(lambda: looks(place) == 2, "two looks", child)
    await until(lambda: state(place, town.url(NEWS)) == "captured", "a capture", child)
    await until(report.exists, "the report", child)
    status = await place.run("status", "--json")
    assert status.json["daemon"]["running"] is True
    assert status.json["daemon"]["pid"] == child.pid
    done = await stopped(child)
    assert done.code == 0, done.err
    assert "Traceback" not in done.err
    assert claims(place) == 0
    assert place.value("SELECT count(*) FROM runs WHERE ended_at IS NULL") == 0
    assert place.value("SELECT count(*) FROM hosts WHERE leased_by IS NOT NULL") == 0
    status = await place.run("status", "--json")
    assert status.json["daemon"] == {
        "running": False,
        "pid": None,
        "since": None,
        "last_run": status.json["daemon"]["last_run"],
    }
    assert is_sound(place)


async def test_sigint_ends_the_service_like_sigterm(place: Place, town: Town) -> None:
    place.cite(town.url(NEWS))
    place.configure(town, archive__mode='"off"')
    child = await place.start("run")
    await until(lambda: looks(place), "a look", child)
    assert (await stopped(child, signal.SIGINT)).code == 0


async def test_a_look_in_flight_is_finished_and_recorded_when_the_service_stops(
    place: Place, town: Town
) -> None:
    place.cite(town.url(SLOW))
    place.configure(town, archive__mode='"off"')
    child = await place.start("run")
    await until(lambda: town.visits, "the request", child)
    child.send_signal(signal.SIGTERM)
    await asyncio.sleep(0.2)
    town.gate.set()
    done = await ended(child)
    assert done.code == 0, done.err
    assert place.rows("SELECT verdict FROM looks") == [("ok",)]
    assert claims(place) == 0


async def test_a_duty_that_takes_longer_than_to_its_next_tick_is_no_warning(
    place: Place, town: Town
) -> None:
    place.cite(town.url(SLOW))
    place.configure(town, archive__mode='"off"', schedule__scan='"1s"', schedule__check='"1s"')
    child = await place.start("run")
    await until(lambda: town.visits, "the request", child)
    # The scan's ticks go on beside it: by its second file at least one of the check is left out.
    for number in range(2):
        place.cite(town.url(NEWS, SECOND), event=f"2017-01-0{number + 1}--later")
        files = f"SELECT count(*) = {number + 2} FROM files"
        await until(lambda files=files: place.value(files), "a scan", child)
    town.gate.set()
    done = await stopped(child)
    assert done.code == 0
    assert "warning" not in done.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_command_that_is_asked_to_end_leaves_no_link_claimed(
    place: Place, town: Town, number: signal.Signals
) -> None:
    place.cite(town.url(SLOW))
    place.configure(town, archive__mode='"off"')
    child = await place.start("check", "--due")
    await until(lambda: town.visits, "the request", child)
    assert claims(place) == 1
    child.send_signal(number)
    town.gate.set()
    assert (await ended(child)).code == 130
    assert claims(place) == 0


async def test_a_service_that_finds_no_internet_stays_and_says_so(place: Place) -> None:
    place.cite(*(f"https://paper-{number}.example/news/a-story-of-its-own" for number in range(6)))
    place.configure()
    child = await place.start("run", **place.take_the_internet_away())
    await until(lambda: looks(place), "the looks that count for nothing", child)
    status = await place.run("status", "--json")
    assert status.json["online"] is False
    assert status.json["verdicts"]["unchecked"] == 6
    assert child.returncode is None
    assert (await stopped(child)).code == 0
    assert place.value("SELECT count(*) FROM attempts") == 0


async def test_on_demand_checks_beside_the_service_never_meet_it_at_a_host(
    place: Place, town: Town
) -> None:
    pages = [f"/news/story-number-{number}-of-the-harbour-files" for number in range(8)]
    place.cite(town.url(SLOW), *(town.url(page) for page in pages))
    place.configure(town, archive__mode='"off"')
    child = await place.start("run")
    await until(lambda: town.asked(SLOW), "the service to hold the host", child)
    checks = [await place.start("check", town.url(page), "--json") for page in pages[:2]]
    taken = "SELECT count(*) FROM requests WHERE taken_at IS NOT NULL"
    await until(lambda: place.value(taken) == len(checks), "the service to know of it", child)
    town.gate.set()
    answers = [await ended(check) for check in checks]
    for page, answer in zip(pages, answers, strict=False):
        assert answer.code == 0, answer.err
        [result] = answer.json["results"]
        assert result["url"] == town.url(page)
        assert result["belief"]["verdict"] == "ok"
    await until(lambda: looks(place) == len(pages) + 1, "every look", child)
    assert town.overlaps() == []
    assert (await stopped(child)).code == 0
    # What a person had looked at was due no more when its turn came.
    assert [len(town.asked(page)) for page in pages] == [1] * len(pages)
    assert looks(place) == len(pages) + 1


async def test_a_command_beside_the_service_keeps_the_hosts_delay_too(
    place: Place, town: Town
) -> None:
    pages = [f"/news/story-number-{number}-of-the-harbour-files" for number in range(3)]
    place.cite(*(town.url(page) for page in pages))
    place.configure(town, archive__mode='"off"', check__host_delay='"1s"')
    child = await place.start("run")
    await until(lambda: town.visits, "the service to ask the host", child)
    answer = await place.run("check", town.url(pages[0]), "--json")
    assert answer.code == 0, answer.err
    await until(lambda: len(town.visits) == len(pages) + 1, "every look", child)
    assert (await stopped(child)).code == 0
    visits = sorted(town.visits, key=lambda visit: visit.started)
    gaps = [later.started - (earlier.ended or later.started) for earlier, later in pairwise(visits)]
    # The server ends an answer a moment before we have read it: the gap it sees is no shorter.
    assert min(gaps) >= 1.0, gaps


async def test_a_good_configuration_is_taken_over_and_a_bad_one_is_not(
    place: Place, town: Town
) -> None:
    place.cite(town.url(NEWS))
    place.configure(town, archive__mode='"off"', schedule__scan='"1s"')
    child = await place.start("run", "-v")
    await until(lambda: looks(place) == 1, "the first look", child)
    place.configure(town, archive__mode='"of"', schedule__scan='"1s"')
    child.send_signal(signal.SIGHUP)
    place.cite(town.url(OTHER), event="2017-01-01--second")
    await until(
        lambda: looks(place) == 1 and place.value("SELECT count(*) FROM links") == 2, "scan", child
    )
    assert town.archive.requests == []
    place.configure(town, archive__mode='"lookup"', schedule__scan='"1s"', schedule__check='"1s"')
    child.send_signal(signal.SIGHUP)
    await until(lambda: looks(place) == 2, "a look by the new schedule", child)
    await until(lambda: town.archive.asked("cdx"), "a question by the new mode", child)
    done = await stopped(child)
    assert done.code == 0
    [refusal] = [line for line in done.err.splitlines() if "was not reloaded" in line]
    assert "archive.mode" in refusal
    assert "\ufffd" not in refusal, "all that is wrong stands in one line of the log"
    assert "the configuration was reloaded" in done.err


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("network__ca_file", '"nowhere.pem"', "network.ca_file names a file that cannot be read"),
        ("events__paths", '["nowhere"]', "The events folder nowhere cannot be read"),
        ("database__path", '"other.db"', "database.path cannot change under a running service"),
    ],
)
async def test_a_reload_that_names_what_is_not_there_changes_nothing(
    place: Place, town: Town, option: str, value: str, said: str
) -> None:
    place.cite(town.url(NEWS))
    place.configure(town, archive__mode='"off"', schedule__scan='"1s"')
    child = await place.start("run")
    await until(lambda: looks(place) == 1, "the first look", child)
    place.configure(town, archive__mode='"off"', schedule__scan='"1d"', **{option: value})
    child.send_signal(signal.SIGHUP)
    place.cite(town.url(OTHER), event="2017-01-01--second")
    links = "SELECT count(*) FROM links"
    await until(lambda: place.value(links) == 2, "a scan by the old schedule", child)
    done = await stopped(child)
    assert done.code == 0
    assert said in done.err
    assert "mistake" not in done.err


async def test_the_log_follows_a_reload(place: Place, town: Town) -> None:
    place.cite(town.url(NEWS))
    place.configure(town, archive__mode='"off"')
    child = await place.start("run")
    await until(lambda: looks(place) == 1, "the first look", child)
    place.configure(
        town,
        archive__mode='"off"',
        schedule__scan='"1s"',
        log__level='"debug"',
        log__format='"json"',
    )
    child.send_signal(signal.SIGHUP)
    place.cite(town.url(OTHER), event="2017-01-01--second")
    await until(lambda: place.value("SELECT count(*) FROM links") == 2, "a scan", child)
    done = await stopped(child)
    lines = [json.loads(line) for line in done.err.splitlines() if line.startswith("{")]
    assert any("the configuration was reloaded" in line["message"] for line in lines)


async def test_a_reload_in_the_middle_of_a_round_costs_no_look(place: Place, town: Town) -> None:
    place.cite(town.url(SLOW), town.url(NEWS))
    place.configure(town, archive__mode='"lookup"', schedule__archive='"1s"')
    child = await place.start("run")
    await until(lambda: town.asked(SLOW), "the round", child)
    place.configure(town, archive__mode='"lookup"', schedule__archive='"2s"')
    child.send_signal(signal.SIGHUP)
    # The archive's duty comes round and takes the new settings while the look is under way.
    await asyncio.sleep(1.0)
    await asyncio.sleep(1.0)
    town.gate.set()
    await until(lambda: looks(place) == 2, "both looks", child)
    assert place.rows("SELECT DISTINCT verdict, reason FROM looks") == [("ok", "ok")]
    done = await stopped(child)
    assert done.code == 0
    assert "mistake" not in done.err


async def test_killed_in_the_middle_nothing_acknowledged_is_lost(place: Place, town: Town) -> None:
    place.cite(town.url(NEWS), town.url(OTHER, SECOND), town.url(SLOW, THIRD))
    place.configure(town, archive__mode='"off"')
    acknowledged = await place.run("check", town.url(NEWS), "--json")
    seen = acknowledged.json["results"][0]["observation"]
    child = await place.start("run")
    await until(lambda: town.asked(SLOW) and town.asked(OTHER), "looks under way", child)
    assert claims(place) >= 1
    assert (await stopped(child, signal.SIGKILL)).code == -signal.SIGKILL
    assert is_sound(place)
    [kept] = place.rows("SELECT looked_at, status FROM looks WHERE reason = 'ok' LIMIT 1")
    assert kept == (seen["looked_at"], seen["status"])
    town.gate.set()
    again = await place.run("run", "--once")
    assert again.code == 0, again.err
    assert claims(place) == 0
    verdicts = place.rows("SELECT DISTINCT verdict FROM links")
    assert verdicts == [("ok",)]
    assert place.value("SELECT count(*) FROM runs WHERE ended_at IS NULL") == 0
    assert is_sound(place)


async def test_killed_while_the_archive_saves_nothing_is_submitted_twice(
    place: Place, town: Town
) -> None:
    place.cite(town.url(NEWS))
    place.configure(town)
    child = await place.start("run", "--once")
    town.on_save.append(lambda _: child.kill())
    await until(lambda: child.returncode is not None, "the kill")
    await child.communicate()
    assert is_sound(place)
    assert place.rows("SELECT url, outcome FROM attempts") == [(town.url(NEWS), None)]
    assert state(place, town.url(NEWS)) == "pending"
    town.on_save.clear()
    for _ in range(2):
        again = await place.run("run", "--once")
        assert again.code == 0, again.err
    assert len(town.archive.asked("save")) == 1
    assert place.value("SELECT count(*) FROM attempts") == 1
    assert state(place, town.url(NEWS)) == "pending"


async def test_a_locked_database_does_not_end_the_service(place: Place, town: Town) -> None:
    place.cite(town.url(NEWS))
    place.configure(town, archive__mode='"off"', schedule__scan='"1s"')
    child = await place.start("run")
    await until(lambda: looks(place) == 1, "the first look", child)
    with closing(sqlite3.connect(place.database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        place.cite(town.url(OTHER), event="2017-01-01--second")
        await asyncio.sleep(1.0)
        connection.execute("ROLLBACK")
    await until(
        lambda: place.value("SELECT count(*) FROM links") == 2, "the scan after the lock", child
    )
    assert (await stopped(child)).code == 0


@pytest.mark.parametrize("bad", ["file", "events"])
async def test_a_bad_configuration_ends_the_service_at_its_start(place: Place, bad: str) -> None:
    if bad == "file":
        place.configure(check__host_delay='"soon"')
    else:
        place.configure(events__paths='["nowhere"]')
    done = await place.run("run")
    assert done.code == 3
    assert "Traceback" not in done.err


async def test_the_log_is_one_json_object_a_line_on_request(place: Place, town: Town) -> None:
    place.cite(town.url(NEWS))
    place.configure(town, archive__mode='"off"', check__contact='"https://example.org/me"')
    child = await place.start("run", "--log-format", "json", "-v")
    await until(lambda: looks(place) == 1, "the look", child)
    second = await place.run("run", "--log-format", "json")
    done = await stopped(child)
    lines = [json.loads(line) for line in done.err.splitlines()]
    assert any("the service is running" in str(line) for line in lines)
    assert any("Created the database" in line["message"] for line in lines)
    [looked] = [line for line in lines if line["message"] == "looked"]
    assert (looked["url"], looked["status"]) == (town.url(NEWS), 200)
    told = [json.loads(line) for line in second.err.splitlines()]
    assert [line["level"] for line in told[-2:]] == ["error", "error"]
    assert f"pid {child.pid}" in told[-2]["message"]


async def test_every_change_of_a_verdict_is_one_line_of_the_log(place: Place, town: Town) -> None:
    place.cite(town.url(NEWS))
    place.configure(town, archive__mode='"off"')
    assert (await place.run("check", "--due")).code == 0
    town.gone.add(NEWS)
    done = await place.run("check", town.url(NEWS), "--fail-on", "never")
    [line] = [line for line in done.err.splitlines() if "verdict changed" in line]
    assert f"url={town.url(NEWS)} was=ok now=failing reason=http-404" in line


async def test_under_the_journal_what_ends_a_start_has_the_priority_of_an_error(
    place: Place,
) -> None:
    place.configure(check__host_delay='"soon"')
    log = place.folder / "journal"
    with log.open("wb") as stream:
        place_of_log = os.fstat(stream.fileno())
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "archiver", "run"),
            cwd=place.folder,
            env={
                "PYTHONPATH": str(ROOT),
                "JOURNAL_STREAM": f"{place_of_log.st_dev}:{place_of_log.st_ino}",
            },
            stderr=stream,
        )
        place.children.append(child)
        assert await asyncio.wait_for(child.wait(), 20) == 3
    lines = log.read_text().splitlines()
    assert len(lines) == 3
    assert all(line.startswith("<3>") for line in lines), lines
