"""A place to run the program in, and the town beside it."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import strategies

from tests.service.rehearsed import Rehearsed, rehearse_once
from tests.service.town import Place, Town, open_town


@pytest.fixture(scope="session", autouse=True)
def _all_characters() -> None:
    # On a fresh machine the first text drawn builds Hypothesis' table of all characters, which
    # takes seconds and would count as a slow draw of whichever test happens to be first.
    strategies.text().validate()


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    # Behind a shell's `&` SIGINT is ignored, and by all that is started from there, too.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    async with open_town() as opened:
        yield opened


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    made = Place(tmp_path)
    (tmp_path / "events").mkdir()
    yield made
    await made.stop_all()


@pytest.fixture(scope="session")
def rehearsed(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Rehearsed:
    base = tmp_path_factory.getbasetemp()
    # Workers side by side have folders side by side; the rehearsal is the same for all.
    return rehearse_once((base if worker_id == "master" else base.parent) / "rehearsed")
