"""Another program holds the database: polling goes on, nothing is announced, and it is over when it is over."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from teagent.adapters.store import SqliteStore
from teagent.errors import StoreError
from tests.fakes.clock import FakeClock
from tests.unit.service.world import World

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def world(clock: FakeClock, tmp_path: Path) -> AsyncIterator[World]:
    store = SqliteStore(tmp_path / "teagent.db", busy_timeout_seconds=0.02)
    await store.start()
    yield World(clock, store=store)  # type: ignore[arg-type]
    await store.stop()


async def test_while_it_is_locked_polling_goes_on_and_nothing_is_announced(world: World, tmp_path: Path) -> None:
    proposal = await world.propose()
    await world.run(30)
    other = sqlite3.connect(tmp_path / "teagent.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        await world.observer.poll()
        world.clock.advance(10)
        await world.observer.poll()
        assert "is locked by another program" in world.observer.store_trouble
        assert {type(reading).__name__ for reading in world.observer.readings(world.clock.now()).values()} == {
            "Utilisation"
        }
        with pytest.raises(StoreError, match="is locked by another program") as caught:
            await world.approver.approve(proposal.id, digest=None, actor="kim")
        assert caught.value.hint == f"fuser {tmp_path / 'teagent.db'}"
        assert world.speaker.log == []
        assert world.state(proposal) == "pending"
    finally:
        other.close()
    await world.run(10)
    assert world.observer.store_trouble == ""
    await world.approver.approve(proposal.id, digest=None, actor="kim")
    assert world.on_wire()
