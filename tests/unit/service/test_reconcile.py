"""After a crash of any of us, the routers end up with what somebody stands for."""

from __future__ import annotations

import pytest

from teagent.model.announcement import HeldOverride, Override
from teagent.model.link import NoData
from tests.unit.service.world import HEAVY, OTHER, World

pytestmark = pytest.mark.asyncio


async def test_a_restart_during_active_announces_nothing_new(world: World) -> None:
    proposal = await world.active()
    before = list(world.speaker.log)
    await world.restart()
    await world.settle()

    assert world.state(proposal) == "active"
    assert world.speaker.log == before


async def test_an_active_override_that_the_relay_lost_is_put_back(world: World) -> None:
    await world.active()
    world.speaker.held.clear()
    await world.restart()
    await world.settle()

    assert world.on_wire() == {str(HEAVY): {"a": 1, "b": 0}}
    assert world.speaker.held[HEAVY].deadline is None


async def test_a_daemon_killed_while_applying_goes_home_when_it_is_back(world: World) -> None:
    proposal = await world.propose()

    async def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    announce, world.speaker.announce = world.speaker.announce, die  # type: ignore[method-assign,assignment]
    with pytest.raises(KeyboardInterrupt):
        await world.approver.approve(proposal.id, digest=None, actor="kim")
    world.speaker.announce = announce  # type: ignore[method-assign]
    await world.restart()
    assert world.state(proposal) == "applying"
    await world.settle()

    assert world.state(proposal) == "reverted"
    assert world.speaker.log[-1] == ("withdraw", str(HEAVY))


async def test_a_confirming_change_whose_deadline_passed_meanwhile_goes_home(world: World) -> None:
    proposal = await world.applied()
    world.clock.advance(1000)
    await world.restart()
    await world.settle()
    await world.watcher.tick(world.clock.now())

    assert world.state(proposal) == "reverted"
    assert world.on_wire() == {}


async def test_a_confirming_change_in_its_window_is_kept(world: World) -> None:
    proposal = await world.applied()
    world.clock.advance(100)
    await world.restart()
    await world.settle()
    await world.watcher.tick(world.clock.now())

    assert world.state(proposal) == "confirming"
    assert set(world.on_wire()) == {str(HEAVY)}


async def test_an_override_that_nobody_stands_for_is_withdrawn(world: World) -> None:
    world.speaker.held[OTHER] = HeldOverride(
        override=Override.of(OTHER, {"a": 3, "b": 0}), owner="p-gone", deadline=None, acknowledged=True
    )
    await world.settle()

    assert world.on_wire() == {}


async def test_while_the_relay_is_away_live_is_not_known(world: World) -> None:
    world.speaker.down = True
    await world.settle()

    assert isinstance(world.routes.live(), NoData)


async def test_a_stuck_change_is_left_to_the_operator(world: World) -> None:
    proposal = await world.active()
    world.speaker.down = True
    await world.approver.revert(proposal.id, actor="kim", reason="")
    await world.run(60)
    world.speaker.down = False
    calls = len(world.speaker.log)
    await world.settle()

    assert world.state(proposal) == "stuck"
    assert len(world.speaker.log) == calls
