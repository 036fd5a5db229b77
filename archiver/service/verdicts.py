"""What counts as a failure for scripts: `--fail-on` (contract §1)."""

from __future__ import annotations

from archiver.model import Strength, Verdict
from archiver.service.desk import Desk

# `failing` includes gone, `gone` includes dead.
_VERDICTS = {
    "dead": (Verdict.DEAD,),
    "gone": (Verdict.DEAD,),
    "failing": (Verdict.DEAD, Verdict.FAILING),
    "never": (),
}


def fails(fail_on: str, verdict: str | None, strength: str | None = None) -> bool:
    """Say whether one belief (and, for `gone`, this very look) makes a command exit 1."""
    if verdict in _VERDICTS[fail_on]:
        return True
    return fail_on == "gone" and strength == Strength.STRONG


def any_failing(desk: Desk, fail_on: str) -> bool:
    """Say whether any cited link, ignored ones aside, is in this state."""
    return any(
        desk.store.queries.counted_without_ignored(verdict.value) for verdict in _VERDICTS[fail_on]
    )
