"""What five days with the small misbehaving web leave in the database (laws 1, 2, 6 and 9)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from archiver.cli import main
from archiver.demo.hosts import SITES
from archiver.demo.sites import agrees
from tests.service.rehearsed import Rehearsed


@pytest.fixture
def database(rehearsed: Rehearsed) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"file:{rehearsed.database}?mode=ro", uri=True)) as connection:
        yield connection


def test_on_the_first_day_every_site_is_found_to_be_what_its_row_says(rehearsed: Rehearsed) -> None:
    believed = {url: (verdict, reason) for url, verdict, reason, _ in rehearsed.passes[0]["links"]}
    wrong = {
        site.host: (site.finding, believed[site.url])
        for site in SITES
        if not agrees(site.finding, *believed[site.url])
    }
    assert wrong == {}


def test_nothing_is_dead_after_one_pass_nor_within_three_days(rehearsed: Rehearsed) -> None:
    dead = {one["hours"]: one["dead"] for one in rehearsed.passes}
    assert all(count == 0 for hours, count in dead.items() if hours < 72)
    assert dead[112] > 10


def test_every_look_is_one_row(rehearsed: Rehearsed) -> None:
    rows = 0
    for one in rehearsed.passes:
        rows += one["made"]
        assert one["looks"] == rows
        assert one["claimed"] == 0


def test_every_save_request_has_its_attempt(rehearsed: Rehearsed) -> None:
    saved = 0
    for one in rehearsed.passes:
        saved += len(one["saved"])
        assert one["attempts"] == saved
        assert one["submissions"] == len(one["saved"])
    assert saved > 40


def test_no_page_is_submitted_twice_in_a_pass_nor_within_a_day(
    rehearsed: Rehearsed, database: sqlite3.Connection
) -> None:
    for one in rehearsed.passes:
        assert len(set(one["saved"])) == len(one["saved"])
    moments: dict[str, datetime] = {}
    for url, started_at in database.execute("SELECT url, started_at FROM attempts ORDER BY id"):
        at = datetime.fromisoformat(started_at)
        assert at - moments.get(url, datetime.min.replace(tzinfo=at.tzinfo)) >= timedelta(days=1)
        moments[url] = at


def test_no_more_is_submitted_a_day_than_the_budget_allows(database: sqlite3.Connection) -> None:
    by_day = database.execute(
        "SELECT substr(started_at, 1, 10), count(*) FROM attempts GROUP BY 1"
    ).fetchall()
    assert len(by_day) > 1
    assert all(count <= 50 for _, count in by_day)


def test_archived_is_only_what_was_played_back_a_day_after_its_capture(
    rehearsed: Rehearsed, database: sqlite3.Connection
) -> None:
    assert all(one["young"] == 0 and one["unseen"] == 0 for one in rehearsed.passes)
    rows = database.execute(
        "SELECT k.captured_at, k.passed_at, k.judged FROM source_status s JOIN captures k"
        " ON k.link_id = s.link_id AND k.archive_url = s.archive_url"
        " WHERE s.archive_state = 'archived'"
    ).fetchall()
    assert len(rows) > 10
    for captured_at, passed_at, judged in rows:
        age = datetime.fromisoformat(passed_at) - datetime.fromisoformat(captured_at)
        assert age >= timedelta(hours=24)
        assert judged == "ok"


def test_our_own_captures_wait_a_day_before_they_count(
    rehearsed: Rehearsed, database: sqlite3.Connection
) -> None:
    ours = {
        url for (url,) in database.execute("SELECT url FROM attempts WHERE outcome = 'captured'")
    }
    first = {url: state for url, _, _, state in rehearsed.passes[0]["links"] if url in ours}
    assert "archived" not in first.values()
    last = {url: state for url, _, _, state in rehearsed.passes[-1]["links"] if url in ours}
    assert sum(state == "archived" for state in last.values()) > 10


def test_a_failed_or_unknown_submission_is_never_called_archived(
    database: sqlite3.Connection,
) -> None:
    wrong = database.execute(
        "SELECT l.url, l.archive_state FROM links l WHERE l.archive_state IN"
        " ('captured', 'archived') AND NOT EXISTS"
        " (SELECT 1 FROM captures k WHERE k.link_id = l.id)"
    ).fetchall()
    assert wrong == []


def test_the_claims_of_the_files_are_told_apart(database: sqlite3.Connection) -> None:
    claims = dict(
        database.execute(
            "SELECT archive_claim, count(*) FROM source_status GROUP BY archive_claim"
        ).fetchall()
    )
    assert claims.keys() == {
        *("absent", "confirmed", "redirects-elsewhere"),
        *("not-a-capture", "other-archive", "wrong-url"),
    }
    confirmed = database.execute(
        "SELECT archive_state FROM source_status WHERE archive_claim = 'confirmed'"
    ).fetchall()
    assert confirmed
    assert set(confirmed) == {("archived",)}


def test_deaths_have_three_counted_looks_over_three_days(database: sqlite3.Connection) -> None:
    dead = database.execute("SELECT id, url FROM links WHERE verdict = 'dead'").fetchall()
    for link_id, url in dead:
        moments = [
            datetime.fromisoformat(at)
            for (at,) in database.execute(
                "SELECT looked_at FROM looks WHERE link_id = ? AND strength = 'strong' ORDER BY id",
                [link_id],
            )
        ]
        assert len(moments) >= 3, url
        assert moments[-1] - moments[0] >= timedelta(hours=72), url


def test_changes_tell_the_way_of_every_verdict(database: sqlite3.Connection) -> None:
    by_link: dict[int, list[tuple[str, str]]] = {}
    for link_id, before, after in database.execute(
        "SELECT link_id, from_verdict, to_verdict FROM changes ORDER BY id"
    ):
        by_link.setdefault(link_id, []).append((before, after))
    now = dict(database.execute("SELECT id, verdict FROM links").fetchall())
    for link_id, changes in by_link.items():
        assert changes[0][0] == "unchecked"
        assert all(first[1] == second[0] for first, second in pairwise(changes))
        assert changes[-1][1] == now[link_id]
    assert by_link.keys() == {link_id for link_id, verdict in now.items() if verdict != "unchecked"}


def test_by_day_counts_what_the_tables_hold(database: sqlite3.Connection) -> None:
    looks, dead, archived = database.execute(
        "SELECT sum(looks), sum(went_dead), sum(archived) FROM by_day"
    ).fetchone()
    assert (
        looks == database.execute("SELECT count(*) FROM looks WHERE verdict NOT NULL").fetchone()[0]
    )
    assert (
        dead
        == database.execute("SELECT count(*) FROM changes WHERE to_verdict = 'dead'").fetchone()[0]
    )
    assert (
        archived
        == database.execute("SELECT count(*) FROM captures WHERE passed_at NOT NULL").fetchone()[0]
    )


@pytest.mark.parametrize("extra", [[], ["--rejudge"]])
def test_folding_every_stored_look_again_finds_no_difference(
    rehearsed: Rehearsed, extra: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["-c", str(rehearsed.configuration), "db", "rebuild", *extra]) == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert "0 differences" in told.err
