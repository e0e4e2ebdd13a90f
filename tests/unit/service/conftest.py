from __future__ import annotations

import pytest_asyncio

from tests.fakes.clock import FakeClock
from tests.unit.service.world import World


@pytest_asyncio.fixture
async def world(clock: FakeClock) -> World:
    world = World(clock)
    await world.store.start()
    return world


@pytest_asyncio.fixture
async def dry_world(clock: FakeClock) -> World:
    world = World(clock, live=False)
    await world.store.start()
    return world
