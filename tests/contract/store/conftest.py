"""Every Store keeps to the same: the one in memory and SQLite in a file."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from teagent.adapters.store import SqliteStore
from tests.fakes.store import MemoryStore


@pytest_asyncio.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path) -> AsyncIterator[MemoryStore | SqliteStore]:
    made = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "teagent.db")
    await made.start()
    yield made
    await made.stop()
