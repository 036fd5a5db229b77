"""A place to run the program in, and the town beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.service.town import Place, Town, open_town


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
