"""What a robots.txt allows, by RFC 9309. Pure.

The standard library's parser takes the first matching rule instead of the longest and knows no
wildcards, so it allows what a site forbade; a probe must not depend on that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Protocol
from urllib.parse import urlsplit

from archiver.records import record

# RFC 9309 §2.5 asks for at least 500 KiB; rules beyond ours are not read.
MAX_BYTES = 512 * 1024
_TOKEN = re.compile(r"^[A-Za-z_-]+")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")


@record
class Robots:
    """What a host said to robots, and when: its rules for us as (allow, pattern)."""

    asked_at: datetime
    rules: tuple[tuple[bool, str], ...] = ()

    def allows(self, url: str) -> bool:
        """Say whether the address may be asked; the longest matching rule decides (§2.2.2)."""
        parts = urlsplit(url)
        path = _comparable((parts.path or "/") + ("?" + parts.query if parts.query else ""))
        length, allowed = -1, True
        for allow, pattern in self.rules:
            better = len(pattern) > length or (len(pattern) == length and allow)
            if better and _matches(pattern, path):
                length, allowed = len(pattern), allow
        return allowed


class RobotsMemory(Protocol):
    """Where answers about robots.txt are remembered, by origin (`https://host:port`)."""

    def get(self, origin: str, /) -> Robots | None:
        """Return what this origin said last, if it was asked."""

    def put(self, origin: str, robots: Robots, /) -> None:
        """Keep what this origin says now."""


class MemoryRobots:
    """A memory as long as the process lives."""

    def __init__(self) -> None:
        """Begin with no origin asked."""
        self._known: dict[str, Robots] = {}

    def get(self, origin: str, /) -> Robots | None:
        """Return what this origin said last, if it was asked."""
        return self._known.get(origin)

    def put(self, origin: str, robots: Robots, /) -> None:
        """Keep what this origin says now."""
        self._known[origin] = robots


FORBIDDEN = ((False, "/"),)


def read_robots(status: int | None, body: bytes, agent: str, asked_at: datetime) -> Robots:
    """Read an answer to a request for robots.txt; `agent` is our whole User-Agent.

    RFC 9309 §2.3.1: a client error means there are no rules, a server error or no answer at
    all (and a 429, which is no statement about rules) means that nothing is allowed.
    """
    if status is None or status == 429 or status >= 500:
        return Robots(asked_at, FORBIDDEN)
    if not 200 <= status < 300:
        return Robots(asked_at, () if status >= 400 else FORBIDDEN)
    text = body[:MAX_BYTES].decode("utf-8", "replace").removeprefix("\ufeff")
    return Robots(asked_at, tuple(_rules_for(text, _token(agent))))


def _token(agent: str) -> str:
    match = _TOKEN.match(agent)
    return match[0].lower() if match else ""


def _rules_for(text: str, token: str) -> list[tuple[bool, str]]:
    """Return the rules of all groups that name us, else of all groups for everybody."""
    ours: list[tuple[bool, str]] = []
    everybodys: list[tuple[bool, str]] = []
    named = False
    for agents, rules in _groups(text):
        if token in agents:
            named = True
            ours += rules
        elif "*" in agents:
            everybodys += rules
    return ours if named else everybodys


def _groups(text: str) -> Iterator[tuple[set[str], list[tuple[bool, str]]]]:
    agents: set[str] = set()
    rules: list[tuple[bool, str]] = []
    listing_agents = False
    for line in re.split(r"\r\n|\r|\n", text):
        name, colon, value = line.partition("#")[0].partition(":")
        name, value = name.strip().lower(), value.strip()
        if not colon:
            continue
        if name == "user-agent":
            if not listing_agents:
                if agents:
                    yield agents, rules
                agents, rules = set(), []
            listing_agents = True
            agents.add("*" if value == "*" else _token(value))
        elif name in ("allow", "disallow"):
            listing_agents = False
            if value and agents:
                rules.append((name == "allow", _comparable(value)))
    if agents:
        yield agents, rules


def _comparable(path: str) -> str:
    """Percent-encode what is not ASCII and spell escapes alike (RFC 9309 §2.2.2)."""
    encoded = "".join(
        character if character.isascii() else _encoded(character) for character in path
    )
    return _ESCAPE.sub(_respell, encoded)


def _encoded(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))


def _respell(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    plain = character.isascii() and (character.isalnum() or character in "-._~")
    return character if plain else match[0].upper()


def _matches(pattern: str, path: str) -> bool:
    """Match `*` and a final `$`, in linear steps: no pattern of a stranger can take long."""
    anchored = pattern.endswith("$")
    first, *others = pattern.removesuffix("$").split("*")
    if not path.startswith(first):
        return False
    if not others:
        return not anchored or path == first
    position = len(first)
    last = others.pop() if anchored else None
    for piece in others:
        found = path.find(piece, position)
        if found < 0:
            return False
        position = found + len(piece)
    return last is None or (path.endswith(last) and len(path) - len(last) >= position)
