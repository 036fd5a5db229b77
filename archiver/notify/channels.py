"""What every way of telling somebody has in common."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from archiver.records import record


@record
class Parcel:
    """What is sent: bytes of JSON (UTF-8), and the id by which a second copy is known."""

    digest_id: str
    body: bytes


@record
class Outcome:
    """How one sending ended: `trouble` is None when it arrived, else a few plain words.

    The words are stored and logged: they never hold an address or a secret, and no more than
    one harmless line of what the other side wrote. `retry_after` is how long it asked us to wait.
    """

    trouble: str | None = None
    retry_after: timedelta | None = None

    @property
    def arrived(self) -> bool:
        """Say whether it arrived."""
        return self.trouble is None


class Channel(Protocol):
    """One way to tell somebody."""

    async def send(self, parcel: Parcel) -> Outcome:
        """Send it once, within a deadline; whatever goes wrong is the outcome."""
