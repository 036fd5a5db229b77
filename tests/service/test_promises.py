"""Promises of SECURITY.md that only the whole program can keep."""

from __future__ import annotations

from pathlib import Path

from tests.service.town import FIRST, SECOND, Place, Town

ACCESS, SECRET = "Zm9vYWNjZXNza2V5", "c2VjcmV0a2V5YmFy"
KEYS = {"IA_ACCESS_KEY": ACCESS, "IA_SECRET_KEY": SECRET}
PAGE = "/news/harbour-dredging-contract-awarded-without-tender"
WALL = "/wall/police-bought-location-data-from-brokers"
FORMATS = '["html", "md", "csv", "json", "junit", "sarif", "github", "atom", "badge", "prometheus"]'


def everything_below(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return time stamp and content of every file and folder."""
    return {
        str(path.relative_to(folder)): (
            path.stat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in (folder, *folder.rglob("*"))
    }


async def test_nothing_is_ever_written_among_the_event_files(place: Place, town: Town) -> None:
    place.cite(town.url(PAGE), town.url(WALL, SECOND))
    place.configure(town)
    before = everything_below(place.folder / "events")
    assert len(before) == 2
    for command in (("run", "--once"), ("check", "--all"), ("archive",), ("report",)):
        done = await place.run(*command)
        assert done.code == 0, done.err
    assert everything_below(place.folder / "events") == before


async def test_the_account_keys_stand_in_nothing_printed_stored_or_reported(
    place: Place, town: Town
) -> None:
    place.cite(town.url(PAGE, FIRST), town.url(WALL, SECOND))
    place.configure(town, report__formats=FORMATS, archive__submits_per_minute="60")
    printed = []
    for command in (
        ("run", "--once", "--for", "5s", "-vv", "--log-format", "json"),
        ("why", town.url(PAGE), "--json"),
        ("status",),
        ("config", "show", "--origin"),
        ("config", "check"),
    ):
        done = await place.run(*command, **KEYS)
        assert done.code == 0, done.err
        printed.append(done.out + done.err)
    # Without this the test would prove nothing: the keys were used, in their one place.
    authorized = {asked.service for asked in town.archive.requests if asked.authorized}
    assert "spn2" in authorized
    assert authorized <= {"spn2", "status", "user"}
    files = [path.read_bytes() for path in place.folder.rglob("*") if path.is_file()]
    assert len(files) > len(printed)
    for secret in (ACCESS, SECRET):
        assert not [text for text in printed if secret in text]
        assert not [data for data in files if secret.encode() in data]
