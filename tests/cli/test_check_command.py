"""`archiver check`: what a maintainer asks for on demand, and what a script may rely on."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from tests.service.town import FIRST, SECOND, THIRD, Place, Town, ended, stamps, title_of, until

NEWS = "/news/harbour-dredging-contract-awarded-without-tender"
OTHER = "/news/council-sold-the-waterworks-to-its-own-treasurer"
GONE = "/gone/ferry-operator-hid-inspection-reports-for-years"
WALL = "/wall/police-bought-location-data-from-brokers"

# Contract §4, to the letter and in its order.
TOP = ["schema", "ok", "offline", "results"]
RESULT = ["url", "link_id", "citations", "observation", "finding", "belief", "archive"]
OBSERVATION = [
    *("looked_at", "status", "error", "final_url", "redirects"),
    *("duration", "content_type", "title"),
]
BELIEF = ["verdict", "reason", "since", "next_look_at", "confirmations", "needed"]


async def test_the_answer_in_json_has_the_shape_of_the_contract(place: Place, town: Town) -> None:
    path = place.cite(town.url(NEWS), town.url(GONE))
    place.configure(town)
    done = await place.run("check", town.url(NEWS), town.url(GONE), "--json")
    assert done.code == 1  # this very look is strong evidence, and targets were named
    answer = done.json
    assert list(answer) == TOP
    assert (answer["schema"], answer["ok"], answer["offline"]) == (1, False, False)
    alive, gone = answer["results"]
    for result in (alive, gone):
        assert list(result) == RESULT
        assert list(result["observation"]) == OBSERVATION
        assert list(result["finding"]) == ["verdict", "reason", "text"]
        assert list(result["belief"]) == BELIEF
        assert list(result["archive"]) == ["state", "url"]
        stamps([result["observation"]["looked_at"], result["belief"]["next_look_at"]])
        assert result["observation"]["redirects"] == []
    assert alive["url"] == town.url(NEWS)
    assert alive["citations"] == [
        {"path": f"events/{path.name}", "line": 7, "event_id": "2016-11-30--example"}
    ]
    assert alive["observation"]["status"] == 200
    assert alive["observation"]["title"] == title_of(NEWS)
    assert alive["belief"]["verdict"] == "ok"
    assert (alive["belief"]["confirmations"], alive["belief"]["needed"]) == (0, None)
    assert alive["archive"] == {"state": "none", "url": None}
    assert (gone["finding"]["verdict"], gone["finding"]["reason"]) == ("failing", "http-404")
    assert (gone["belief"]["confirmations"], gone["belief"]["needed"]) == (1, 3)
    assert gone["belief"]["since"] == gone["observation"]["looked_at"]


@pytest.mark.parametrize(
    ("page", "fail_on", "code"),
    [
        (NEWS, "failing", 0),
        (GONE, None, 1),
        (GONE, "gone", 1),
        (GONE, "dead", 0),
        (GONE, "failing", 1),
        (GONE, "never", 0),
        (WALL, "failing", 0),
    ],
)
async def test_fail_on_decides_the_exit_code(
    place: Place, town: Town, page: str, fail_on: str | None, code: int
) -> None:
    place.cite(town.url(page))
    place.configure(town)
    extra = ("--fail-on", fail_on) if fail_on else ()
    done = await place.run("check", town.url(page), *extra)
    assert done.code == code, done.err


async def test_a_look_that_counts_for_nothing_is_called_so(place: Place, town: Town) -> None:
    url = town.url("/login/harbour-dredging-contract-awarded-without-tender")
    place.cite(url)
    place.configure(town)
    done = await place.run("check", url)
    assert done.code == 0, done.err
    assert f"unchecked {url}  never-looked" in done.out
    assert "This look counts for nothing. A network login stood between us" in done.out


async def test_without_targets_one_bad_look_at_what_is_due_fails_nothing(
    place: Place, town: Town
) -> None:
    place.cite(town.url(NEWS), town.url(GONE))
    place.configure(town)
    done = await place.run("check")
    assert done.code == 0, done.err
    assert f"failing   {town.url(GONE)}  http-404" in done.out
    again = await place.run("check", "--json")
    assert again.json["results"] == []
    assert len(town.visits) == 2


async def test_targets_are_urls_files_and_events_each_looked_at_once(
    place: Place, town: Town
) -> None:
    place.cite(town.url(NEWS), event="first")
    place.cite(town.url(NEWS), town.url(OTHER), event="second")
    place.cite(town.url(WALL), event="third")
    place.configure(town)
    done = await place.run("check", town.url(NEWS), "events/second.md", "third", "--json")
    assert [result["url"] for result in done.json["results"]] == [
        town.url(NEWS),
        town.url(OTHER),
        town.url(WALL),
    ]
    assert len(done.json["results"][0]["citations"]) == 2
    assert len(town.visits) == 3


@pytest.mark.parametrize(
    "unknown",
    [
        *("no-such-event", "events/nothing.md", "http://", "ftp://x/y"),
        "",  # an empty variable of a script, and no name of the working directory
        "long-" * 60,
        "no-text-\udcff",
    ],
)
async def test_an_unknown_target_exits_2_before_anything_is_sent(
    place: Place, town: Town, unknown: str
) -> None:
    place.cite(town.url(NEWS))
    place.configure(town)
    done = await place.run("check", town.url(NEWS), unknown, "--json")
    assert done.code == 2
    error = done.json["error"]
    assert list(error) == ["code", "message", "next"]
    assert error["next"] in done.err
    assert town.visits == []


async def test_a_file_named_like_a_pattern_is_that_file(place: Place, town: Town) -> None:
    place.cite(town.url(NEWS), event="part[1]")
    place.cite(town.url(OTHER), event="part1")
    place.configure(town)
    done = await place.run("check", "events/part[1].md", "--json")
    assert [result["url"] for result in done.json["results"]] == [town.url(NEWS)]


@pytest.mark.parametrize("name", [b"no-text-\xff.md", "hidden-\u200e-mark.md".encode()])
async def test_a_file_is_found_whatever_its_name(place: Place, town: Town, name: bytes) -> None:
    path = place.cite(town.url(NEWS))
    odd = path.with_name(os.fsdecode(name))
    path.rename(odd)
    place.configure(town)
    done = await place.run("check", f"events/{odd.name}", "--json")
    assert done.code == 0, done.err
    assert [result["url"] for result in done.json["results"]] == [town.url(NEWS)]


@pytest.mark.parametrize(
    ("given", "sent"), [("\udcc3\udcbcber-das-wehr", "%C3%BCber"), ("\udcff-das-wehr", "%EF%BF%BD")]
)
async def test_a_url_is_read_as_utf_8_whatever_the_locale(
    place: Place, town: Town, given: str, sent: str
) -> None:
    place.configure(town)
    done = await place.run("check", town.url(f"/news/{given}"), "--json")
    assert done.code == 0, done.err
    assert done.json["results"][0]["url"] == town.url(f"/news/{sent}-das-wehr")


async def test_a_page_nobody_cites_is_looked_at_and_kept_out_of_every_view(
    place: Place, town: Town
) -> None:
    place.cite(town.url(NEWS))
    place.configure(town)
    done = await place.run("check", town.url(OTHER), "--json")
    assert done.code == 0
    [result] = done.json["results"]
    assert result["citations"] == []
    assert result["belief"]["verdict"] == "ok"
    urls = {row[0] for row in place.rows("SELECT cited_url FROM source_status")}
    assert urls == {town.url(NEWS)}
    assert place.value("SELECT sum(links) FROM by_host") == 1
    assert place.value("SELECT count(*) FROM links") == 2


async def test_all_and_host_choose_among_the_cited_links(place: Place, town: Town) -> None:
    place.cite(town.url(NEWS), town.url(OTHER, SECOND), town.url(WALL, THIRD))
    place.configure(town)
    assert (await place.run("check")).code == 0
    done = await place.run("check", "--host", SECOND, "--json")
    assert [result["url"] for result in done.json["results"]] == [town.url(OTHER, SECOND)]
    done = await place.run("check", "--all", "--json")
    assert len(done.json["results"]) == 3
    assert [len(town.asked(path)) for path in (NEWS, OTHER, WALL)] == [2, 3, 2]
    assert town.overlaps() == []


async def test_without_internet_it_exits_4_and_the_object_says_so(place: Place) -> None:
    urls = [f"https://paper-{number}.example/news/a-story-of-its-own" for number in range(6)]
    place.cite(*urls)
    place.configure()
    done = await place.run("check", *urls, "--json", **place.take_the_internet_away())
    assert done.code == 4
    assert list(done.json) == TOP
    assert (done.json["ok"], done.json["offline"]) == (False, True)
    assert {result["belief"]["verdict"] for result in done.json["results"]} == {"unchecked"}
    assert "offline" in done.err


async def test_an_address_that_is_not_public_is_refused_before_the_wire(
    place: Place, town: Town
) -> None:
    place.cite(town.url(NEWS))
    place.configure(town, network__allow_private="[]")
    done = await place.run("check", town.url(NEWS), "--json")
    assert done.code == 0
    [result] = done.json["results"]
    assert result["belief"]["verdict"] == "blocked"
    assert result["belief"]["reason"] == "private-address"
    assert town.visits == []
    assert place.value("SELECT count(*) FROM problems") == 0


async def test_a_changed_event_file_is_read_first(place: Place, town: Town) -> None:
    place.cite(town.url(NEWS))
    place.configure(town)
    assert (await place.run("check")).code == 0
    place.cite(town.url(OTHER), event="a-new-one")
    done = await place.run("check", "a-new-one", "--json")
    assert [result["url"] for result in done.json["results"]] == [town.url(OTHER)]
    assert done.json["results"][0]["citations"][0]["path"] == "events/a-new-one.md"


async def test_the_host_is_compared_as_it_is_stored(place: Place, town: Town) -> None:
    url = f"http://LOCALHOST:{town.ports[FIRST]}/news/a-story-of-its-own"
    place.cite(url)
    place.configure(town)
    for written in ("localhost", "LocalHost", "localhost."):
        done = await place.run("check", "--host", written, "--json", "--fail-on", "never")
        assert len(done.json["results"]) == 1, written


async def test_a_host_is_named_as_the_view_by_host_shows_it(place: Place, town: Town) -> None:
    place.cite("http://[2001:db8::1]/minutes-of-the-harbour-board")
    place.configure(town)
    assert (await place.run("check")).code == 0
    done = await place.run("check", "--host", place.value("SELECT host FROM by_host"), "--json")
    assert [result["url"] for result in done.json["results"]] == [
        "http://[2001:db8::1]/minutes-of-the-harbour-board"
    ]


@pytest.mark.parametrize("host", ["", "127.0.0.2:80", "127.0.0.2/news", "*.example"])
async def test_what_is_no_host_exits_2_before_anything_is_sent(
    place: Place, town: Town, host: str
) -> None:
    place.cite(town.url(NEWS))
    place.configure(town)
    assert (await place.run("check", "--host", host)).code == 2
    assert town.visits == []


async def test_commands_side_by_side_never_meet_at_a_host(place: Place, town: Town) -> None:
    pages = [f"/news/story-number-{number}-of-the-harbour-files" for number in range(4)]
    place.cite(*(town.url(page) for page in pages), town.url("/slow/a-page-that-takes-its-time"))
    place.configure(town)
    first = await place.start("check", town.url("/slow/a-page-that-takes-its-time"))
    await until(lambda: town.visits, "the slow look", first)
    others = [await place.start("check", town.url(page)) for page in pages]
    await asyncio.sleep(0.5)
    assert len(town.visits) == 1
    town.gate.set()
    for child in (first, *others):
        done = await ended(child)
        assert done.code == 0, done.err
    assert [len(town.asked(page)) for page in pages] == [1] * len(pages)
    assert town.overlaps() == []


async def test_an_interrupted_check_exits_130(place: Place, town: Town) -> None:
    place.cite(town.url("/slow/a-page-that-takes-its-time"))
    place.configure(town)
    child = await place.start("check", "--json")
    await until(lambda: town.visits, "the look", child)
    child.send_signal(signal.SIGINT)
    town.gate.set()
    done = await ended(child)
    assert done.code == 130
    assert "Traceback" not in done.err
    assert place.value("SELECT count(*) FROM links WHERE claimed_by IS NOT NULL") == 0
