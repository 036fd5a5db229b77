"""The heartbeat: a sign of life for a dead man's switch, in the manner of healthchecks.

POST to the address itself after a good run, to `/start` below it when a run begins and to
`/fail` when it failed; the body is a sentence (https://healthchecks.io/docs/http_api/). A sign
of life that is late is worth nothing: it is tried a few times, never kept.
"""

from __future__ import annotations

from enum import Enum
from urllib.parse import urlsplit, urlunsplit

from archiver.clock import Clock
from archiver.notify.channels import Outcome
from archiver.notify.poster import Poster

# Seconds before the second and the third try.
_PAUSES = (1.0, 4.0)
_LONGEST_TEXT = 2_000


class Beat(Enum):
    """What a sign of life says; the value is what is added to the path."""

    START = "/start"
    SUCCESS = ""
    FAIL = "/fail"


class Heartbeat:
    """Signs of life to one address."""

    def __init__(self, poster: Poster, url: str, clock: Clock) -> None:
        """Send to `url`; pauses between tries are of `clock`."""
        self._poster = poster
        self._url = url
        self._clock = clock

    async def beat(self, beat: Beat, words: str = "") -> Outcome:
        """Send one sign of life; three tries, then it is forgotten."""
        url = below(self._url, beat.value)
        body = words[:_LONGEST_TEXT].encode("utf-8", "replace")
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        outcome = await self._poster.post(url, body, headers)
        for pause in _PAUSES:
            if outcome.arrived:
                break
            await self._clock.sleep(pause)
            outcome = await self._poster.post(url, body, headers)
        return outcome


def below(url: str, suffix: str) -> str:
    """Return the address with `suffix` after its path; a query stays where it was."""
    if not suffix:
        return url
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + suffix))
