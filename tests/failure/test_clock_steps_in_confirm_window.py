"""The clock is set while a change waits for its confirmation: the relay's own clock, which cannot be set, wins."""

from __future__ import annotations

import pytest
import pytest_asyncio

from teagent.errors import DiskFull
from tests.fakes.clock import FakeClock
from tests.unit.service.world import HEAVY, M, World

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def world(clock: FakeClock) -> World:
    world = World(clock)
    world.telemetry.rates["edge1"]["eth1"] = 40 * M
    await world.store.start()
    return world


async def reconcile(world: World) -> None:
    async with world.book.lock:
        await world.reconciler.cycle(world.clock.now())
    await world.watcher.tick(world.clock.now())


async def test_set_back_the_relay_brings_it_home_in_time_and_it_is_not_announced_again(world: World) -> None:
    proposal = await world.applied()
    await world.run(100)
    world.clock.step(-7200)
    await world.run(100)
    assert world.state(proposal) == "confirming"
    world.clock.advance(150)
    del world.speaker.held[HEAVY]  # five minutes have passed, by the relay's clock
    calls = len(world.speaker.log)

    await reconcile(world)
    await world.run(60)
    assert world.state(proposal) == "reverted"
    assert world.on_wire() == {}
    assert "announce" not in [name for name, _ in world.speaker.log[calls:]]
    reasons = [entry.reason for entry in world.book.get(proposal.id).history]
    assert "the relay does not hold it any more" in reasons


async def test_set_forward_it_goes_home_early_and_not_late(world: World) -> None:
    proposal = await world.applied()
    world.clock.step(7200)
    await reconcile(world)
    assert world.state(proposal) == "reverted"
    assert world.on_wire() == {}
    # and that is why, not that its readings are two hours old now
    assert "nobody confirmed it in its window" in [entry.reason for entry in world.book.get(proposal.id).history]


async def test_given_up_on_a_full_disk_it_is_not_announced_again_either(world: World) -> None:
    proposal = await world.applied()
    del world.speaker.held[HEAVY]
    world.store.fail_with = DiskFull("teagent.db cannot grow")
    async with world.book.lock:
        await world.reconciler.cycle(world.clock.now())
    assert world.on_wire() == {}
    world.store.fail_with = None
    await reconcile(world)
    assert world.state(proposal) == "reverted"


async def test_an_active_change_that_the_relay_lost_is_put_back_all_the_same(world: World) -> None:
    proposal = await world.active()
    world.clock.step(-7200)
    del world.speaker.held[HEAVY]
    await reconcile(world)
    assert world.state(proposal) == "active"
    assert set(world.on_wire()) == {str(HEAVY)}
