"""A bundle that loses a member carries less than is configured: nothing is decided on shares of what is not there."""

from __future__ import annotations

import pytest
import pytest_asyncio

from teagent.errors import StalePlan
from tests.fakes.clock import FakeClock
from tests.unit.service.deciding import DecidingWorld
from tests.unit.service.world import M

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def world(clock: FakeClock) -> DecidingWorld:
    """Link a is a bundle of 100 Mbps, and full."""
    world = DecidingWorld(clock)
    world.telemetry.speeds = {"eth1": 100 * M}
    await world.store.start()
    await world.routes.refresh()
    return world


def doubts(world: DecidingWorld) -> list[str]:
    return [reason for reason in world.decider.distrust(world.clock.now()) if "lost capacity" in reason]


async def test_while_all_members_are_there_nothing_is_said(world: DecidingWorld) -> None:
    await world.windows(3)
    assert doubts(world) == []


async def test_a_lost_member_is_named_with_both_figures_until_it_is_back(world: DecidingWorld) -> None:
    await world.windows(1)
    world.telemetry.speeds["eth1"] = 50 * M
    await world.run(10)
    assert doubts(world) == [
        "a has lost capacity: its interface has 50.0M, configured are 100M; a member of its bundle may be down"
    ]
    world.telemetry.speeds["eth1"] = 100 * M
    await world.run(10)
    assert doubts(world) == []


async def test_nothing_new_is_proposed_meanwhile(world: DecidingWorld) -> None:
    await world.windows(1)
    world.telemetry.speeds["eth1"] = 50 * M
    await world.windows(3)
    await world.decider.cycle()
    assert world.pending() == []


async def test_what_was_pending_is_not_applied_and_says_why(world: DecidingWorld) -> None:
    await world.windows(4)
    await world.decider.cycle()
    (waiting,) = world.pending()
    world.telemetry.speeds["eth1"] = 50 * M
    await world.run(10)
    with pytest.raises(StalePlan, match="lost capacity"):
        await world.approver.approve(waiting, digest=None, actor="kim")
    assert world.speaker.held == {}


async def test_a_speed_that_was_always_less_than_configured_is_no_loss(world: DecidingWorld) -> None:
    world.telemetry.speeds["eth1"] = 50 * M
    await world.windows(2)
    assert doubts(world) == []
