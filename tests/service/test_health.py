"""Health: which facts make the service unready, and the words that say so."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archiver.clock import RehearsalClock, to_stamp
from archiver.config import HostSettings, Loaded, ScheduleSettings, Settings, load_settings
from archiver.errors import DatabaseUnusable
from archiver.service.desk import Desk
from archiver.service.diary import DUTIES, Diary, Entry
from archiver.service.health import (
    STANDSTILL,
    Facts,
    database_answers,
    examine,
    gather,
    health,
    next_runs,
    standstill_allowed,
)
from archiver.service.status import status
from archiver.store import DaemonLock, Store

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
DEFAULTS = Settings()
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def well(ago: timedelta = MINUTE, **changed: Entry) -> dict[str, Entry]:
    """Return duties that all ended well a while ago, but for those given."""
    moment = NOW - ago
    entry = Entry(began_at=moment, moved_at=moment, ended_at=moment)
    return {**dict.fromkeys(DUTIES, entry), **changed}


def reasons(facts: Facts, given_settings: Settings = DEFAULTS) -> list[str]:
    return [reason.code for reason in examine(facts, given_settings, NOW).reasons]


def running(**facts) -> Facts:
    return Facts(**{"since": NOW - 2 * DAY, "online": True, "duties": well(), **facts})


def test_a_service_that_does_its_duties_is_ready():
    assert examine(running(), DEFAULTS, NOW).is_ready
    assert examine(running(online=None), DEFAULTS, NOW).is_ready


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        (Facts(trouble=DatabaseUnusable("Full.", "Free.", code="disk-full")), "disk-full"),
        (running(stopping=True), "stopping"),
        (running(online=False), "offline"),
        (running(since=NOW - MINUTE, duties={}), "starting"),
        (running(since=NOW, duties=well()), "starting"),
        (Facts(), "no-recent-run"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_each_trouble_has_its_word(facts, code):
    assert code in reasons(facts)


def test_offline_says_since_when():
    found = examine(running(online=False, offline_since=NOW - HOUR), DEFAULTS, NOW)
    assert "since 2026-11-24 11:00 UTC" in found.reasons[0].text


@pytest.mark.parametrize(
    ("name", "interval"),
    [
        *(("scan", 15 * MINUTE), ("check", 10 * MINUTE), ("archive", 2 * MINUTE)),
        *(("verify", 30 * MINUTE), ("report", DAY), ("maintenance", DAY)),
    ],
)
def test_a_duty_is_late_after_twice_its_interval_and_not_before(name, interval):
    def after(ago: timedelta) -> list[str]:
        moment = NOW - ago
        entry = Entry(began_at=moment, moved_at=moment, ended_at=moment)
        return reasons(running(since=NOW - 9 * DAY, duties=well(**{name: entry})))

    assert after(2 * interval) == []
    assert after(2 * interval + 3 * MINUTE) == [f"{name}-late"]


def test_a_daemon_that_has_just_started_is_not_late_for_what_the_last_one_left():
    scanned = Entry(began_at=NOW - MINUTE, moved_at=NOW - MINUTE, ended_at=NOW - MINUTE)
    facts = running(since=NOW - 2 * MINUTE, duties=well(9 * DAY, scan=scanned))
    assert reasons(facts) == []


def test_a_late_duty_says_how_its_last_try_ended():
    entry = Entry(
        began_at=NOW - MINUTE,
        ended_at=NOW - MINUTE,
        moved_at=NOW - 5 * HOUR,
        code="events-unreadable",
        trouble="The folder\nis gone.",
    )
    (reason,) = examine(running(duties=well(scan=entry)), DEFAULTS, NOW).reasons
    assert reason.code == "scan-late"
    assert "The folder\ufffdis gone." in reason.text


def test_a_duty_at_work_may_take_long_as_long_as_it_gets_forward():
    sweep = Entry(running=True, began_at=NOW - 9 * HOUR, moved_at=NOW - STANDSTILL + MINUTE)
    assert reasons(running(duties=well(check=sweep))) == []
    stuck = Entry(running=True, began_at=NOW - 9 * HOUR, moved_at=NOW - STANDSTILL - MINUTE)
    assert reasons(running(duties=well(check=stuck))) == ["check-stuck"]
    fresh = Entry(running=True, began_at=NOW - MINUTE, moved_at=NOW - 9 * HOUR)
    assert reasons(running(duties=well(check=fresh))) == []


def test_a_host_that_wants_long_pauses_makes_no_standstill():
    slow = Settings(hosts={"slow.example": HostSettings(delay="2h")})
    assert standstill_allowed(slow) == STANDSTILL + 4 * HOUR
    stuck = Entry(running=True, began_at=NOW - 9 * HOUR, moved_at=NOW - 3 * HOUR)
    assert reasons(running(duties=well(check=stuck)), slow) == []


def test_what_a_killed_daemon_left_running_is_not_taken_for_work():
    left = Entry(running=True, began_at=NOW - 5 * DAY, moved_at=NOW - 5 * DAY)
    assert reasons(running(duties=well(check=left))) == ["check-late"]


def test_a_full_disk_is_told_at_once_and_forgotten_once_there_is_room():
    full = Entry(began_at=NOW, moved_at=NOW, ended_at=NOW, code="disk-full", trouble="Full.")
    assert reasons(running(duties=well(check=full))) == ["disk-full"]
    assert reasons(running(duties=well())) == []


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (Facts(last_pass=NOW - 2 * DAY), []),
        (Facts(last_pass=NOW - 2 * DAY - MINUTE), ["no-recent-run"]),
        (Facts(duties=well(20 * MINUTE)), []),
        (Facts(duties=well(23 * MINUTE)), ["no-recent-run"]),
        (Facts(duties=well(9 * DAY), last_pass=NOW - HOUR), []),
        (Facts(last_pass=NOW - HOUR, online=False), ["offline"]),
    ],
)
def test_without_a_daemon_the_last_good_run_decides(facts, expected):
    assert reasons(facts) == expected


def test_what_the_archive_asks_for_is_said_but_makes_nothing_unready():
    facts = running(
        pauses={
            "reads": ("http-429", NOW + HOUR),
            "old": ("archive-outage", NOW - HOUR),
            "keys-spn2": ("keys-refused", None),
        }
    )
    found = examine(facts, DEFAULTS, NOW)
    assert found.is_ready
    assert [note.code for note in found.notes] == ["archive-refuses", "archive-pause"]
    assert "until 2026-11-24 13:00 UTC (http-429)" in found.notes[1].text


ENTRIES = st.builds(
    Entry,
    running=st.booleans(),
    began_at=st.none() | st.datetimes(timezones=st.just(UTC)),
    moved_at=st.none() | st.datetimes(timezones=st.just(UTC)),
    ended_at=st.none() | st.datetimes(timezones=st.just(UTC)),
    code=st.sampled_from(["", "disk-full", "mistake"]),
    trouble=st.text(max_size=5),
)


@given(
    since=st.none() | st.datetimes(timezones=st.just(UTC)),
    duties=st.dictionaries(st.sampled_from([*DUTIES, "requests", "unknown"]), ENTRIES),
    online=st.none() | st.booleans(),
    now=st.datetimes(timezones=st.just(UTC), max_value=datetime(9990, 1, 1)),
)
@settings(max_examples=150)
def test_every_set_of_facts_gets_a_verdict(since, duties, online, now):
    facts = Facts(since=since, duties=duties, online=online)
    found = examine(facts, DEFAULTS, now)
    assert found.is_ready is (not found.reasons)
    assert all(reason.code and reason.text for reason in found.reasons)
    assert (online is False) is any(reason.code == "offline" for reason in found.reasons)
    next_runs(facts, DEFAULTS, now)


# -- gathered from a real database ------------------------------------------------------------


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    return load_settings(None, {}, tmp_path)


@pytest.fixture
def desk(loaded: Loaded) -> Iterator[Desk]:
    store = Store.open(loaded.database_path)
    yield Desk(loaded, store, clock=RehearsalClock(NOW))
    store.close()


def test_facts_are_what_the_daemon_wrote(desk):
    lock = DaemonLock(desk.store.database.path)
    lock.take()
    diary = Diary(desk.store.journal, desk.clock, desk.progress)
    desk.store.journal.set_state("daemon", {"pid": 1, "since": to_stamp(NOW)})
    with diary.duty("scan"):
        pass
    try:
        facts = gather(desk)
        assert facts.since == NOW
        assert facts.duties["scan"].moved_at is not None
        assert health(desk).is_ready
        assert facts == gather(desk, diary.entries)
    finally:
        lock.give_back()
    assert gather(desk).since is None


def test_a_good_pass_counts_and_a_failed_one_does_not(desk):
    journal = desk.store.journal
    journal.end(journal.begin("once", NOW), NOW, "offline")
    assert [reason.code for reason in health(desk).reasons] == ["no-recent-run"]
    journal.end(journal.begin("once", NOW), NOW, "done")
    assert health(desk).is_ready


def test_a_pause_of_the_archive_is_found_but_not_one_of_a_single_host(desk):
    from archiver.archiving.breakers import Breaker

    rested = [
        Breaker("reads", NOW + HOUR, 1, "http-429"),
        Breaker("host-example.org", NOW + HOUR, 1, "host-refuses"),
        Breaker("keys-spn2", None, 1, "keys-refused", (), "mark"),
        Breaker("submits-anonymous"),
    ]
    desk.store.journal.set_state("breakers", {each.name: each.to_json() for each in rested})
    assert gather(desk).pauses == {
        "reads": ("http-429", NOW + HOUR),
        "keys-spn2": ("keys-refused", None),
    }


def test_a_database_of_a_newer_program_is_a_reason_of_its_own(desk):
    desk.store.database.execute(
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at)"
        " VALUES ('archiver', 'm999_future', '2030-01-01')"
    )
    assert [reason.code for reason in health(desk).reasons] == ["database-newer"]


def test_a_database_that_can_be_read_answers_also_under_a_lock(desk, tmp_path):
    path = desk.store.database.path
    assert database_answers(path)
    desk.store.database.execute("BEGIN EXCLUSIVE")
    assert database_answers(path)
    desk.store.database.execute("ROLLBACK")
    assert not database_answers(tmp_path / "nowhere.db")
    (tmp_path / "broken.db").write_bytes(b"no database" * 500)
    assert not database_answers(tmp_path / "broken.db")


def test_the_next_runs_follow_the_schedule():
    schedule = ScheduleSettings(check="10m", report="daily 06:00", maintenance="daily 23:30")
    given_settings = Settings(schedule=schedule)
    facts = running(duties=well(4 * MINUTE, scan=Entry(running=True, began_at=NOW)))
    found = next_runs(facts, given_settings, NOW)
    assert list(found) == list(DUTIES)
    assert found["scan"] is None
    assert found["check"] == "2026-11-24T12:06:00Z"
    assert found["archive"] == "2026-11-24T12:00:00Z"
    assert found["report"] == "2026-11-25T06:00:00Z"
    assert found["maintenance"] == "2026-11-24T23:30:00Z"
    assert next_runs(Facts(), given_settings, NOW) == {}


def test_the_status_carries_health_and_next_runs(desk):
    found = status(desk)
    assert found["health"]["ready"] is False
    assert found["health"]["reasons"][0]["code"] == "no-recent-run"
    assert found["next_runs"] == {}
