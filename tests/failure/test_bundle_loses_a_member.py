"""A bundle that loses a member carries less than is configured: nothing is decided on shares of what is not there."""

from __future__ import annotations

from dataclasses import replace

import pytest
import pytest_asyncio

from teagent.errors import StalePlan
from teagent.model.link import BundleMember
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


def member(index: int, state: str = "up") -> BundleMember:
    return BundleMember(if_index=index, if_name=f"xe-{index}", if_high_speed_bps=50 * M, state=state)


@pytest_asyncio.fixture
async def listed(world: DecidingWorld) -> DecidingWorld:
    """Its agent lists the members, and keeps the speed of the bundle as it was."""
    world.telemetry.members = {"eth1": (member(1), member(2))}
    await world.windows(1)
    assert doubts(world) == []
    return world


@pytest.mark.parametrize("state", ["down", "lowerLayerDown", "detached"])
async def test_a_member_that_is_not_up_is_named_where_the_speed_stays(listed: DecidingWorld, state: str) -> None:
    listed.telemetry.members["eth1"] = (member(1), member(2, state))
    await listed.run(10)
    assert doubts(listed) == [
        f"a has lost capacity: 1 of 2 members of its bundle not up (xe-2 {state}), 50.0M are left, configured are 100M"
    ]
    listed.telemetry.members["eth1"] = (member(1), member(2))
    await listed.run(10)
    assert doubts(listed) == []


async def test_a_member_that_is_not_listed_any_more_is_gone(listed: DecidingWorld) -> None:
    listed.telemetry.members["eth1"] = (member(1),)
    await listed.run(10)
    assert "1 of 2 members of its bundle not up (xe-2 gone)" in doubts(listed)[0]


async def test_an_agent_that_lists_nothing_any_more_has_lost_no_member(listed: DecidingWorld) -> None:
    listed.telemetry.members = {}
    await listed.run(10)
    assert doubts(listed) == []


async def test_a_member_that_was_down_from_the_beginning_is_named_too(world: DecidingWorld) -> None:
    world.telemetry.members = {"eth1": (member(1), member(2, "down"))}
    await world.windows(1)
    assert len(doubts(world)) == 1


async def test_a_spare_member_that_is_down_takes_nothing_away(world: DecidingWorld) -> None:
    world.telemetry.members = {"eth1": (member(1), member(2), member(3, "down"))}
    await world.windows(1)
    assert doubts(world) == []


async def test_members_without_a_speed_say_nothing_of_what_is_left(listed: DecidingWorld) -> None:
    silent = [replace(each, if_high_speed_bps=None) for each in (member(1), member(2, "down"))]
    listed.telemetry.members["eth1"] = tuple(silent)
    await listed.run(10)
    assert doubts(listed) == []


async def test_a_speed_that_was_always_less_than_configured_is_no_loss(world: DecidingWorld) -> None:
    world.telemetry.speeds["eth1"] = 50 * M
    await world.windows(2)
    assert doubts(world) == []
