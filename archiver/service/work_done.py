"""What a round of archive work came to."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(slots=True)
class Done:
    """How many requests of each kind were made, and why the round ended (reason: until).

    `others` are links whose next step is of a kind that another duty does; `next_turn` is when
    one of those that wait to submit has its turn, None when none waited in the last round.
    """

    lookups: int = 0
    submissions: int = 0
    polls: int = 0
    verifications: int = 0
    claims: int = 0
    waits: dict[str, datetime] = field(default_factory=dict)
    others: set[int] = field(default_factory=set)
    next_turn: datetime | None = None

    @property
    def anything(self) -> int:
        """Return how many requests of any kind were made."""
        return self.lookups + self.submissions + self.polls + self.verifications + self.claims

    def __str__(self) -> str:
        return (
            f"{self.lookups} look-ups, {self.submissions} submissions,"
            f" {self.verifications} captures played back, {self.claims} claims checked"
        )
