"""`archiver archive`: a capture on demand, and the line to paste."""

from __future__ import annotations

import re
from datetime import timedelta

from archiver.demo.wayback import Scripted
from tests.service.town import SECOND, Place, Town, stamps

NEWS = "/news/harbour-dredging-contract-awarded-without-tender"
OTHER = "/news/council-sold-the-waterworks-to-its-own-treasurer"
ATTEMPT = [
    *("id", "link_id", "url", "archive", "started_at", "ended_at", "http_status", "job_id"),
    *("outcome", "code", "message", "capture_url"),
]


async def test_the_answer_in_json_has_the_shape_of_the_contract(place: Place, town: Town) -> None:
    place.cite(town.url(NEWS))
    place.configure(town)
    done = await place.run("archive", town.url(NEWS), "--wait", "--json")
    assert done.code == 0, done.err
    answer = done.json
    assert list(answer) == ["schema", "ok", "results"]
    [result] = answer["results"]
    assert list(result) == ["url", "link_id", "archive", "attempt", "text"]
    assert list(result["archive"]) == ["state", "url", "captured_at"]
    assert result["archive"]["state"] == "captured"
    stamps([result["archive"]["captured_at"]])
    assert list(result["attempt"])[: len(ATTEMPT)] == ATTEMPT
    assert result["attempt"]["outcome"] == "captured"
    assert result["text"] == f"archive_url: {result['archive']['url']}  # captured"
    assert re.fullmatch(
        re.escape(town.archive.playback_url) + r"/\d{14}/" + re.escape(town.url(NEWS)),
        result["archive"]["url"],
    )


async def test_the_line_to_paste_is_all_there_is_on_standard_output(
    place: Place, town: Town
) -> None:
    place.cite(town.url(NEWS))
    place.configure(town)
    done = await place.run("archive", town.url(NEWS))
    assert done.code == 0
    assert re.fullmatch(r"archive_url: http\S+  # captured\n", done.out)


async def test_asked_for_twice_it_is_saved_once(place: Place, town: Town) -> None:
    place.cite(town.url(NEWS))
    place.configure(town)
    first = await place.run("archive", town.url(NEWS))
    second = await place.run("archive", town.url(NEWS))
    assert first.out == second.out
    assert len(town.archive.asked("save")) == 1


async def test_a_page_nobody_cites_can_be_archived(place: Place, town: Town) -> None:
    place.configure(town)
    done = await place.run("archive", town.url(OTHER, SECOND), "--json")
    assert done.code == 0, done.err
    assert done.json["results"][0]["archive"]["state"] == "captured"
    assert place.value("SELECT count(*) FROM source_status") == 0


async def test_a_refused_submission_is_told_as_what_it_is(place: Place, town: Town) -> None:
    place.cite(town.url(NEWS))
    place.configure(town)
    town.archive.script("save", ".*", Scripted(429, headers={"Retry-After": "60"}))
    done = await place.run("archive", town.url(NEWS), "--json")
    [result] = done.json["results"]
    assert result["archive"]["state"] not in ("captured", "archived")
    assert result["archive"]["url"] is None
    assert result["attempt"]["outcome"] == "throttled"
    assert "ask again after" in result["text"]


async def test_a_link_that_waits_for_its_turn_tells_when_that_comes(
    place: Place, town: Town
) -> None:
    place.cite(town.url(NEWS), town.url(OTHER, SECOND))
    place.configure(town, archive__anonymous_per_minute="1")
    done = await place.run("archive", town.url(NEWS), town.url(OTHER, SECOND), "--json")
    first, second = done.json["results"]
    assert second["archive"]["state"] == "queued"
    [again] = stamps([second["text"].rpartition("ask again after ")[2]])
    [sent] = stamps([first["attempt"]["started_at"]])
    assert timedelta(seconds=50) < again - sent <= timedelta(seconds=61)


async def test_an_archive_that_is_not_reached_is_told_in_words(place: Place, town: Town) -> None:
    place.cite(town.url(NEWS))
    place.configure(town)
    await town.archive.stop()
    done = await place.run("archive", town.url(NEWS))
    assert done.code == 0
    assert ": searching (the archive refuses our connections); ask again after" in done.out


async def test_missing_means_the_links_without_a_capture(place: Place, town: Town) -> None:
    place.cite(town.url(NEWS), town.url(OTHER, SECOND))
    place.configure(town, archive__mode='"lookup"')
    town.archive.add_capture(town.url(NEWS), stamps(["2020-01-02T03:04:05Z"])[0])
    assert (await place.run("run", "--once")).code == 0
    done = await place.run("archive", "--missing", "--json")
    assert [result["url"] for result in done.json["results"]] == [town.url(OTHER, SECOND)]


async def test_with_mode_off_it_says_so_and_exits_2(place: Place, town: Town) -> None:
    place.cite(town.url(NEWS))
    place.configure(town, archive__mode='"off"')
    done = await place.run("archive", town.url(NEWS), "--json")
    assert done.code == 2
    assert "archive.mode" in done.json["error"]["message"]
    assert town.archive.requests == []


async def test_an_unknown_target_exits_2_before_anything_is_sent(place: Place, town: Town) -> None:
    place.cite(town.url(NEWS))
    place.configure(town)
    done = await place.run("archive", town.url(NEWS), "no-such-event", "--json")
    assert done.code == 2
    assert list(done.json["error"]) == ["code", "message", "next"]
    assert town.archive.requests == []
