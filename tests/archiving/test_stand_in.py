"""The stand-in's own shapes, where the clients of this project do not ask for them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import aiohttp
import pytest
import yarl

from archiver.demo.wayback import Scripted
from archiver.demo.wayback_memory import surt
from tests.archiving.conftest import START, World

URL = "https://news.example/story"


def day(number: int) -> datetime:
    return datetime(2020, 1, number, tzinfo=UTC)


async def get(address: str, **headers: str) -> tuple[int, str, dict[str, str]]:
    async with aiohttp.ClientSession() as session:
        target = yarl.URL(address, encoded=True)
        async with session.get(target, allow_redirects=False, headers=headers) as answer:
            return answer.status, await answer.text(), dict(answer.headers)


async def stamps(world: World, parameters: str) -> list[str]:
    address = f"{world.archive.cdx_url}?url={quote(URL, safe='')}&{parameters}"
    _, text, _ = await get(address + "&output=json&fl=timestamp")
    return [row[0][:8] for row in json.loads(text)[1:]]


@pytest.mark.parametrize(
    ("parameters", "days"),
    [
        ("limit=2", [1, 1]),
        ("limit=-1", [4]),
        ("limit=-2", [3, 4]),
        ("from=20200103", [3, 4]),
        ("to=20200101", [1, 1]),
        ("to=2020", [1, 1, 2, 3, 4]),
        ("filter=statuscode:200", [1, 1, 2, 4]),
        ("filter=!statuscode:200", [3]),
        ("filter=statuscode:2", []),
        ("collapse=timestamp:8", [1, 2, 3, 4]),
        ("collapse=digest", [1, 2, 3, 4]),
        ("from=20200102&to=20200103&limit=1", [2]),
    ],
)
async def test_the_index_answers_as_the_real_one(
    world: World, parameters: str, days: list[int]
) -> None:
    for number, hour, status, body in (
        (1, 0, 200, "a"),
        (1, 1, 200, "a"),
        (2, 0, 200, "b"),
        (3, 0, 404, "c"),
        (4, 0, 200, "d"),
    ):
        world.archive.add_capture(URL, day(number) + timedelta(hours=hour), status, body)
    assert await stamps(world, parameters) == [f"202001{number:02}" for number in days]


async def test_the_text_form_has_seven_columns(world: World) -> None:
    world.archive.add_capture(URL, day(1))
    _, text, _ = await get(f"{world.archive.cdx_url}?url={quote(URL, safe='')}")
    assert text.split(" ")[:3] == ["example,news)/story", "20200101000000", URL]
    assert len(text.split()) == 7


async def test_a_new_capture_stays_out_of_the_index_for_a_while(world: World) -> None:
    world.archive.index_lag = timedelta(hours=6)
    world.pages.put(URL)
    status, _, headers = await get(f"{world.archive.save_url}/{URL}")
    assert status == 302
    assert (await get(headers["Location"]))[0] == 200
    assert await stamps(world, "limit=1") == []
    world.jump(hours=7)
    assert await stamps(world, "limit=1") == [START.strftime("%Y%m%d")]


async def test_availability_names_the_closest_capture(world: World) -> None:
    world.archive.add_capture(URL, day(1))
    world.archive.add_capture(URL, day(20))
    asked = f"{world.archive.availability_url}?url={quote(URL, safe='')}&timestamp=20200103"
    _, text, _ = await get(asked)
    closest = json.loads(text)["archived_snapshots"]["closest"]
    assert (closest["timestamp"], closest["status"]) == ("20200101000000", "200")
    _, text, _ = await get(f"{world.archive.availability_url}?url=other.example")
    assert json.loads(text)["archived_snapshots"] == {}


async def test_a_captured_redirect_without_flag_is_shown_as_a_page(world: World) -> None:
    address = world.archive.add_capture(URL, day(1), 301, b"", {"location": "/b"})
    status, text, headers = await get(address)
    assert status == 200
    assert "Got an HTTP 301 response" in text
    assert "Memento-Datetime" not in headers


async def test_a_memento_has_the_recorded_headers(world: World) -> None:
    address = world.archive.add_capture(URL, day(1), headers={"server": "nginx"})
    _, _, headers = await get(address)
    assert headers["Memento-Datetime"] == "Wed, 01 Jan 2020 00:00:00 GMT"
    assert f'<{URL}>; rel="original"' in headers["Link"]
    assert headers["X-Archive-Orig-server"] == "nginx"


async def test_scripts_run_out(world: World) -> None:
    world.pages.put(URL)
    world.archive.script("save", "story", Scripted(429), times=2)
    statuses = [(await get(f"{world.archive.save_url}/{URL}"))[0] for _ in range(3)]
    assert statuses == [429, 429, 302]
    with pytest.raises(ValueError, match="no such service"):
        world.archive.script("sav", "x", Scripted())


def test_index_keys_lose_what_the_real_ones_lose() -> None:
    key = surt("https://WWW.News.example:443/Story/?b=2&a=1#x")
    assert key == surt("http://news.example/story?a=1&b=2")
    assert key == "example,news)/story?a=1&b=2"
