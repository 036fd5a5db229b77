from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from archiver.config import Loaded, load_settings
from archiver.service.desk import Desk
from archiver.service.diary import Diary
from archiver.store import Store
from archiver.web.server import WebServer

Configure = Callable[[str], Loaded]


@pytest.fixture
def configure(tmp_path: Path) -> Configure:
    """Return a function that writes a `[web]` section and loads it."""

    def load(text: str) -> Loaded:
        file = tmp_path / "config" / "archiver.toml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"[web]\n{text}\n", encoding="utf-8")
        return load_settings(file, {}, tmp_path)

    return load


@pytest.fixture
def desk(tmp_path: Path, configure: Configure) -> Iterator[Desk]:
    loaded = configure('enabled = true\nbind = "127.0.0.1:0"')
    store = Store.open(loaded.database_path)
    yield Desk(loaded, store)
    store.close()


@asynccontextmanager
async def serving(desk: Desk) -> AsyncIterator[tuple[WebServer, Diary, int]]:
    """Run a web server on a desk; gives it with its diary and its port."""
    diary = Diary(desk.store.journal, desk.clock, desk.progress)
    async with WebServer(desk, diary) as server:
        yield server, diary, server.addresses[0][1]
