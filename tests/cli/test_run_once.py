"""`archiver run --once` as a new user meets it: a real process, real servers, a real database."""

from __future__ import annotations

import asyncio
import re
import signal
import sqlite3
import time
from contextlib import closing

import pytest

from archiver.demo.wayback import Scripted
from tests.service.town import FIRST, SECOND, THIRD, Place, Town, ended, stamps, stopped, until

NEWS = "/news/harbour-dredging-contract-awarded-without-tender"
OTHER = "/news/council-sold-the-waterworks-to-its-own-treasurer"
GONE = "/gone/ferry-operator-hid-inspection-reports-for-years"
WALL = "/wall/police-bought-location-data-from-brokers"


def everything(place: Place, town: Town, mode: str = "lookup") -> None:
    """Cite an article, another, a missing page and a wall, on three hosts."""
    place.cite(town.url(NEWS), town.url(OTHER, SECOND), town.url(GONE, THIRD), town.url(WALL))
    place.configure(town, archive__mode=f'"{mode}"')


async def test_one_pass_scans_looks_archives_and_says_where_the_report_is(
    place: Place, town: Town
) -> None:
    place.cite(town.url(NEWS), town.url(GONE, THIRD), town.url(WALL))
    place.configure(town)
    done = await place.run("run", "--once", fresh=True)
    assert done.code == 0, done.err
    assert done.out == ""
    assert f"Created the database {place.database}" in done.err
    assert "Scanned 1 files: 3 citations of 3 links" in done.err
    report = place.folder / "report" / "report.html"
    assert f"The report is in {report}" in done.err
    assert "Harbour dredging contract" in report.read_text(encoding="utf-8")
    status = dict(place.rows("SELECT cited_url, verdict || '/' || reason FROM source_status"))
    assert status == {
        town.url(NEWS): "ok/ok",
        town.url(GONE, THIRD): "failing/http-404",
        town.url(WALL): "blocked/http-403",
    }
    assert place.value("SELECT count(*) FROM looks WHERE vantage = 'here'") == 3
    states = dict(place.rows("SELECT cited_url, archive_state FROM source_status"))
    # A not-found page is not worth a capture; a living page without one is saved at once, and
    # the archive's crawler met the same wall as we.
    assert states == {
        town.url(NEWS): "captured",
        town.url(GONE, THIRD): "queued",
        town.url(WALL): "pending",
    }
    outcomes = dict(place.rows("SELECT url, outcome FROM attempts"))
    assert outcomes == {
        town.url(NEWS): "captured",
        town.url(WALL): "unknown",
    }
    stamps(row[0] for row in place.rows("SELECT looked_at FROM looks"))
    assert place.rows("SELECT kind, outcome FROM runs") == [("once", "done")]
    assert place.value("SELECT count(*) FROM links WHERE claimed_by IS NOT NULL") == 0
    assert town.overlaps() == []


async def test_a_second_pass_within_the_hour_asks_nobody_again(place: Place, town: Town) -> None:
    place.cite(town.url(NEWS), town.url(GONE, THIRD))
    place.configure(town)
    assert (await place.run("run", "--once")).code == 0
    looks, visits = place.rows("SELECT * FROM looks"), len(town.visits)
    saves = len(town.archive.asked("save"))
    again = await place.run("run", "--once")
    assert again.code == 0, again.err
    assert "Made 0 looks" in again.err
    assert "Created the database" not in again.err
    assert place.rows("SELECT * FROM looks") == looks
    assert len(town.visits) == visits
    assert len(town.archive.asked("save")) == saves == 1


async def test_an_attempt_is_in_the_database_before_the_archive_hears_of_it(
    place: Place, town: Town
) -> None:
    place.cite(town.url(NEWS))
    place.configure(town)
    before: list[tuple[object, ...]] = []

    def look_into_the_database(url: str) -> None:
        before.extend(
            place.rows(
                "SELECT a.url, a.archive, a.outcome, a.ended_at, l.archive_state"
                " FROM attempts a JOIN links l ON l.id = a.link_id WHERE l.url = ?",
                url,
            )
        )

    town.on_save.append(look_into_the_database)
    assert (await place.run("run", "--once")).code == 0
    assert before == [(town.url(NEWS), "anonymous", None, None, "pending")]
    after = place.rows("SELECT outcome, ended_at IS NOT NULL, capture_url FROM attempts")
    assert [row[:2] for row in after] == [("captured", 1)]
    assert after[0][2].startswith(town.archive.playback_url)


async def test_without_internet_it_exits_4_after_one_paragraph_and_judges_nothing(
    place: Place,
) -> None:
    place.cite(*(f"https://paper-{number}.example/news/a-story-of-its-own" for number in range(6)))
    place.configure()
    done = await place.run("run", "--once", **place.take_the_internet_away())
    assert done.code == 4
    assert done.out == ""
    [paragraph] = re.findall(r"^archiver: .*\n.*$", done.err, re.M)
    assert "offline" in paragraph
    assert "nothing was judged and nothing was submitted" in paragraph
    assert "make demo" in paragraph
    assert "Traceback" not in done.err
    assert set(place.rows("SELECT verdict, reason FROM looks")) <= {(None, "offline")}
    assert place.rows("SELECT DISTINCT verdict FROM links") == [("unchecked",)]
    assert place.value("SELECT count(*) FROM attempts") == 0
    assert place.value("SELECT count(*) FROM changes") == 0
    assert place.value("SELECT outcome FROM runs") == "offline"
    assert not (place.folder / "report").exists()


async def test_one_host_and_no_internet_is_still_offline(place: Place) -> None:
    place.cite("https://paper.example/news/a-story-of-its-own")
    place.configure()
    done = await place.run("run", "--once", **place.take_the_internet_away())
    assert done.code == 4
    assert place.value("SELECT verdict FROM links") == "unchecked"


async def test_with_refused_keys_no_time_is_named_in_which_the_rest_would_be_done(
    place: Place, town: Town
) -> None:
    place.cite(town.url(NEWS))
    place.configure(town)
    town.archive.script("user", ".*", Scripted(401))
    town.archive.script("spn2", ".*", Scripted(401))
    done = await place.run("run", "--once", IA_ACCESS_KEY="an-access", IA_SECRET_KEY="a-secret")
    assert done.code == 0, done.err
    assert "nothing more is submitted until you give others" in done.err
    assert "1 submissions are left; archive.mode, a daily budget of 0 or refused" in done.err


async def test_a_dry_run_says_what_is_due_and_writes_nothing(place: Place, town: Town) -> None:
    everything(place, town)
    done = await place.run("run", "--once", "--dry-run")
    assert done.code == 0, done.err
    assert f"look {town.url(NEWS)}\n" in done.out
    assert f"archive (lookup, none) {town.url(NEWS)}\n" in done.out
    assert sorted(path.name for path in place.folder.iterdir()) == ["config", "events"]
    assert town.visits == town.archive.requests == []


async def test_a_dry_run_asks_no_archive_for_an_address_that_is_never_shown_to_one(
    place: Place, town: Town
) -> None:
    place.cite("http://10.0.0.1/minutes-of-the-harbour-board")
    place.configure(town)
    done = await place.run("run", "--dry-run")
    assert "look http://10.0.0.1/" in done.out
    assert "archive (" not in done.out


async def test_a_dry_run_leaves_an_existing_database_as_it_is(place: Place, town: Town) -> None:
    everything(place, town)
    assert (await place.run("run", "--once")).code == 0
    place.cite(town.url("/news/a-second-event-with-a-source"), event="2017-01-01--second")
    before = {path: path.read_bytes() for path in place.folder.glob("archiver.db*")}
    visits = len(town.visits)
    done = await place.run("run", "--dry-run")
    assert done.code == 0, done.err
    assert [line for line in done.out.splitlines() if line.startswith("look ")] == [
        f"look {town.url('/news/a-second-event-with-a-source')}"
    ]
    assert {path: path.read_bytes() for path in place.folder.glob("archiver.db*")} == before
    assert len(town.visits) == visits


async def test_a_bad_configuration_exits_3_and_names_every_problem(place: Place) -> None:
    place.configure(check__timeot='"1s"', archive__mode='"of"')
    done = await place.run("run", "--once")
    assert done.code == 3
    assert "did you mean check.timeout?" in done.err
    assert "archive.mode" in done.err
    assert not place.database.exists()


async def test_an_events_folder_that_cannot_be_read_exits_3(place: Place) -> None:
    place.configure(events__paths='["nowhere"]')
    done = await place.run("run", "--once")
    assert done.code == 3
    assert "nowhere" in done.err
    assert not place.database.exists()


async def test_bad_event_files_never_fail_a_pass(place: Place, town: Town) -> None:
    everything(place, town)
    (place.folder / "events" / "broken.md").write_text("---\nsources: [\n", encoding="utf-8")
    (place.folder / "events" / "deep.yaml").write_text("[" * 60_000, encoding="utf-8")
    (place.folder / "events" / "no-utf8.json").write_bytes(b"\xff\xfe{}")
    done = await place.run("run", "--once")
    assert done.code == 0, done.err
    assert "Scanned 4 files: 4 citations" in done.err
    problems = dict(place.rows("SELECT path, name FROM problems WHERE level = 'error'"))
    assert set(problems) == {"events/broken.md", "events/deep.yaml", "events/no-utf8.json"}


async def test_a_second_run_on_the_same_database_exits_4_and_names_the_first(
    place: Place, town: Town
) -> None:
    place.cite(town.url("/slow/a-page-that-takes-its-time"))
    place.configure(town)
    first = await place.start("run", "--once")
    await until(lambda: town.visits, "the first run's look")
    second = await place.run("run", "--once")
    assert second.code == 4
    assert f"pid {first.pid}" in second.err
    assert "archiver check" in second.err  # what to do next
    town.gate.set()
    done = await ended(first)
    assert done.code == 0, done.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_an_interrupted_pass_keeps_what_it_saw_and_exits_130(
    place: Place, town: Town, number: int
) -> None:
    place.cite(town.url(NEWS), town.url("/slow/a-page-that-takes-its-time", SECOND))
    place.configure(town)
    child = await place.start("run", "--once")
    await until(lambda: len(town.visits) == 2 and town.asked(NEWS)[0].ended, "both looks")
    await asyncio.sleep(0.2)
    child.send_signal(number)
    await asyncio.sleep(0.1)
    town.gate.set()  # the request in flight is allowed to finish
    done = await ended(child)
    assert done.code == 130, done.err
    assert "Traceback" not in done.err
    assert place.value("SELECT count(*) FROM looks") == 2
    assert place.value("SELECT count(*) FROM links WHERE claimed_by IS NOT NULL") == 0
    assert place.value("SELECT outcome FROM runs") == "interrupted"
    assert town.archive.requests == []


async def test_a_second_interrupt_does_not_wait(place: Place, town: Town) -> None:
    place.cite(town.url("/slow/a-page-that-takes-its-time"))
    place.configure(town)
    child = await place.start("run", "--once")
    await until(lambda: town.visits, "the look")
    child.send_signal(signal.SIGINT)
    await asyncio.sleep(0.1)
    began = time.monotonic()
    done = await stopped(child, signal.SIGINT)
    assert done.code == 130, done.err
    assert time.monotonic() - began < 3
    assert not town.gate.is_set()
    assert place.value("SELECT count(*) FROM links WHERE claimed_by IS NOT NULL") == 0


async def test_an_archive_that_is_out_of_order_never_fails_a_pass(place: Place, town: Town) -> None:
    everything(place, town)
    await town.archive.stop()
    done = await place.run("run", "--once")
    assert done.code == 0, done.err
    assert "are left" in done.err
    assert place.value("SELECT count(*) FROM attempts") == 0
    states = {row[0] for row in place.rows("SELECT archive_state FROM source_status")}
    # Silence is no answer: nothing is said to be absent.
    assert states <= {"none", "searching"}


async def test_mode_off_asks_no_archive(place: Place, town: Town) -> None:
    everything(place, town)
    place.configure(town, archive__mode='"off"')
    assert (await place.run("run", "--once")).code == 0
    assert town.archive.requests == []
    assert place.value("SELECT count(*) FROM looks") == 4


async def test_mode_lookup_submits_nothing(place: Place, town: Town) -> None:
    everything(place, town)
    place.configure(town, archive__mode='"lookup"')
    assert (await place.run("run", "--once")).code == 0
    assert town.archive.asked("cdx")
    assert not town.archive.asked("save")
    assert place.value("SELECT count(*) FROM attempts") == 0


async def test_a_database_of_a_newer_version_is_refused_and_left_alone(
    place: Place, town: Town
) -> None:
    everything(place, town)
    assert (await place.run("run", "--once")).code == 0
    with closing(sqlite3.connect(place.database)) as connection, connection:
        connection.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at)"
            " VALUES ('archiver', 'm999_from_the_future', '2099-01-01')"
        )
    done = await place.run("run", "--once")
    assert done.code == 4
    assert "newer" in done.err
    assert "Upgrade" in done.err


async def test_a_file_that_is_no_database_is_refused_and_left_alone(
    place: Place, town: Town
) -> None:
    everything(place, town)
    place.database.write_bytes(b"This is somebody's diary." * 100)
    done = await place.run("run", "--once")
    assert done.code == 4
    assert "Traceback" not in done.err
    assert place.database.read_bytes() == b"This is somebody's diary." * 100


async def test_the_user_agent_names_the_program_and_the_contact(place: Place, town: Town) -> None:
    place.cite(town.url(NEWS))
    place.configure(town)
    await place.run("run", "--once")
    agents = {request.user_agent for request in town.archive.requests}
    assert agents
    assert all("archiver" in agent and "https://example.org/me" in agent for agent in agents)


async def test_every_start_without_a_contact_warns(place: Place, town: Town) -> None:
    place.cite(town.url(NEWS))
    place.configure(town, check__contact='""')
    done = await place.run("run", "--once")
    assert done.code == 0
    assert "contact" in done.err


async def test_the_port_is_no_part_of_the_host(place: Place, town: Town) -> None:
    everything(place, town)
    await place.run("run", "--once")
    assert {row[0] for row in place.rows("SELECT host FROM by_host")} == {FIRST, SECOND, THIRD}


async def test_the_archive_part_ends_when_its_time_is_over_and_says_what_is_left(
    place: Place, town: Town
) -> None:
    place.cite(*(town.url(f"/news/story-number-{number}-of-the-harbour") for number in range(4)))
    place.configure(town)
    done = await place.run("run", "--once", "--for", "1s")
    assert done.code == 0, done.err
    assert len(town.archive.asked("save")) == 1
    assert "3 submissions are left" in done.err
    states = place.rows("SELECT archive_state, count(*) FROM links GROUP BY 1 ORDER BY 1")
    assert states == [("captured", 1), ("queued", 3)]


@pytest.mark.parametrize("span", ["soon", "0s", "-1m", "5"])
async def test_a_span_that_is_none_is_a_usage_error(place: Place, span: str) -> None:
    place.configure()
    done = await place.run("run", "--once", "--for", span)
    assert done.code == 2
    assert "--for" in done.err


async def test_removals_can_be_accepted_at_once(place: Place, town: Town) -> None:
    everything(place, town)
    place.configure(town, archive__mode='"off"')
    assert (await place.run("run", "--once")).code == 0
    place.cite(town.url(NEWS))
    done = await place.run("run", "--once")
    assert "kept for now" in done.err
    assert place.value("SELECT count(*) FROM source_status") == 4
    done = await place.run("run", "--once", "--accept-removals")
    assert done.code == 0, done.err
    assert place.rows("SELECT cited_url FROM source_status") == [(town.url(NEWS),)]
    assert place.value("SELECT count(*) FROM looks") == 4


async def test_a_report_folder_that_cannot_be_made_exits_4(place: Place, town: Town) -> None:
    place.cite(town.url(NEWS))
    (place.folder / "occupied").write_text("a file, not a folder", encoding="utf-8")
    place.configure(town, archive__mode='"off"', report__directory='"occupied"')
    done = await place.run("run", "--once")
    assert done.code == 4
    assert "report" in done.err
    assert place.value("SELECT count(*) FROM looks") == 1
