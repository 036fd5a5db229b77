"""A scan of a real timeline: the numbers of the database are those of `events lint`."""

from __future__ import annotations

import json
import os
import shutil
import time
from datetime import timedelta
from pathlib import Path

import pytest

from archiver.cli import main
from archiver.clock import RehearsalClock
from archiver.service.scan import scan
from tests.service.desk import START, open_desk
from tests.service.town import Place

SHARED = Path(os.environ.get("ARCHIVER_SHARED") or Path(__file__).parents[3] / "shared")
TIMELINE = SHARED / "corpus" / "timeline"
pytestmark = pytest.mark.skipif(not TIMELINE.is_dir(), reason="needs the shared corpus")


@pytest.fixture
def timeline(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.configure(events__paths=json.dumps([str(TIMELINE)]), archive__mode='"off"')
    return place


async def test_the_database_and_lint_count_the_same(
    timeline: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_desk(timeline) as desk:
        found = await scan(desk)
    assert (found.files, found.read, found.citations) == (1128, 1128, 3745)
    assert (found.links, found.removals.removed) == (3258, 0)
    by_key = dict(timeline.rows("SELECT source_key, count(*) FROM source_status GROUP BY 1"))
    assert by_key == {"sources": 3674, "citations": 71}
    assert timeline.value("SELECT count(*) FROM source_status WHERE link_id IS NULL") == 61
    assert timeline.value("SELECT count(DISTINCT link_id) FROM source_status") == 3258
    twice = "SELECT count(DISTINCT event_id) FROM events WHERE event_id IN"
    twice += " (SELECT event_id FROM events GROUP BY 1 HAVING count(*) > 1)"
    assert timeline.value(twice) == 35
    main(["events", "lint", str(TIMELINE), "-f", "json"])
    lint = json.loads(capsys.readouterr().out)
    assert (lint["files"], lint["citations"], lint["links"]) == (1128, 3745, 3258)
    stored = timeline.rows(
        "SELECT path, line, position, name, level, message FROM problems ORDER BY 1, 2, 4, 3, 6"
    )
    columns = ("path", "line", "position", "name", "level", "message")
    told = [tuple(problem[name] for name in columns) for problem in lint["problems"]]
    assert sorted(map(repr, told)) == sorted(map(repr, stored))


async def test_an_unchanged_timeline_is_not_read_again(timeline: Place) -> None:
    with open_desk(timeline) as desk:
        await scan(desk)
        before = desk.store.database.connection.total_changes
        began = time.monotonic()
        again = await scan(desk)
        assert time.monotonic() - began < 1.0
        assert (again.read, again.citations, again.links) == (0, 3745, 3258)
        assert desk.store.database.connection.total_changes == before


async def test_a_changed_file_alone_is_read_again(timeline: Place, tmp_path: Path) -> None:
    copy = tmp_path / "timeline"
    shutil.copytree(TIMELINE, copy)
    timeline.configure(events__paths='["timeline"]', archive__mode='"off"')
    with open_desk(timeline) as desk:
        await scan(desk)
        first = sorted(copy.rglob("*.md"))[0]
        first.write_text(first.read_text(encoding="utf-8") + "\nA line.\n", encoding="utf-8")
        again = await scan(desk)
        assert (again.read, again.citations, again.links) == (1, 3745, 3258)


async def test_files_that_are_away_for_a_moment_and_come_back_unchanged_lose_nothing(
    timeline: Place, tmp_path: Path
) -> None:
    copy = tmp_path / "timeline"
    shutil.copytree(TIMELINE, copy)
    timeline.configure(events__paths='["timeline"]', archive__mode='"off"')
    clock = RehearsalClock(START)
    with open_desk(timeline, clock) as desk:
        await scan(desk)
        aside = tmp_path / "aside"
        copy.rename(aside)
        copy.mkdir()
        gone = await scan(desk)
        assert (gone.citations, gone.removals.removed) == (3745, 0)
        assert gone.removals.held_back == 3745
        copy.rmdir()
        aside.rename(copy)
        back = await scan(desk)
        assert (back.citations, back.removals.held_back) == (3745, 0)
        clock.jump(timedelta(minutes=11))
        later = await scan(desk)
        assert (later.read, later.citations, later.removals.removed) == (0, 3745, 0)
        # A few files less are believed at once; their looks and captures would stay.
        for path in sorted(copy.rglob("*.md"))[:3]:
            path.unlink()
        fewer = await scan(desk)
        assert 0 < fewer.removals.removed == 3745 - fewer.citations
        assert desk.store.database.value("SELECT count(*) FROM links") == 3258
