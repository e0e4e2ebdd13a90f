"""What was measured cannot be trusted: nothing new is proposed, what waits is marked and not applied, and why is said.

Each way of it, from a good world and back to one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest
import pytest_asyncio

from teagent.errors import SnmpTimeout, StalePlan
from tests.fakes.clock import FakeClock
from tests.unit.service.deciding import WINDOW_SECONDS, DecidingWorld
from tests.unit.service.world import POLICY, M

pytestmark = pytest.mark.asyncio


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """`breaks` makes it so, `said` is part of the reason, `heals` ends it."""

    breaks: Callable[[DecidingWorld], Awaitable[None]]
    said: str
    heals: Callable[[DecidingWorld], Awaitable[None]]


async def silent(world: DecidingWorld) -> None:
    world.telemetry.errors["edge1"] = SnmpTimeout("edge1 does not answer within 2s")
    await world.run(10)


async def answering(world: DecidingWorld) -> None:
    world.telemetry.errors.clear()
    await world.windows(3)


async def without_flows(world: DecidingWorld) -> None:
    """No window closes any more, as where the collector's thread hangs."""
    await world.run(4 * WINDOW_SECONDS)


async def with_flows(world: DecidingWorld) -> None:
    await world.windows(2)


async def stepped_back(world: DecidingWorld) -> None:
    await world.decider.snapshot()
    world.clock.step(-3600)


async def gone_on(world: DecidingWorld) -> None:
    await world.decider.snapshot()
    await world.windows(3)


async def reset_again_and_again(world: DecidingWorld) -> None:
    for _ in range(3):
        await world.run(20)
        world.telemetry.restart("edge1")
    await world.run(20)
    world.send(80)
    await world.ingest.close_window()


async def quiet_for_long_enough(world: DecidingWorld) -> None:
    await world.windows(16)


async def member_lost(world: DecidingWorld) -> None:
    world.telemetry.speeds["eth1"] = 50 * M
    await world.run(10)


async def member_back(world: DecidingWorld) -> None:
    world.telemetry.speeds["eth1"] = 100 * M
    await world.run(10)


async def disagreeing(world: DecidingWorld) -> None:
    """The exporter tells of a third of what the interface counts."""
    await world.run(WINDOW_SECONDS)
    world.send(WINDOW_SECONDS / 3)
    await world.ingest.close_window()


WAYS = {
    "stale counters": Way(breaks=silent, said="does not answer", heals=answering),
    "stale flows": Way(breaks=without_flows, said="the last window of flows closed 240s ago", heals=with_flows),
    "clock stepped back": Way(breaks=stepped_back, said="the clock stepped back by 1h", heals=gone_on),
    "reset storm": Way(
        breaks=reset_again_and_again,
        said="the counters of a began anew 3 times within 15m, limit 2",
        heals=quiet_for_long_enough,
    ),
    "member of a bundle lost": Way(breaks=member_lost, said="a has lost capacity", heals=member_back),
    "counters and flows disagree": Way(
        breaks=disagreeing, said="flows are 33% of what the interface of a counts", heals=with_flows
    ),
}


@pytest_asyncio.fixture
async def world(clock: FakeClock) -> DecidingWorld:
    """Link a is full, all is measured, and the next cycle proposes something."""
    world = DecidingWorld(clock)
    world.telemetry.speeds = {"eth1": 100 * M}
    await world.store.start()
    await world.routes.refresh()
    await world.windows(4)
    return world


@pytest.mark.parametrize("name", WAYS)
async def test_nothing_new_is_proposed_and_it_is_said_why(world: DecidingWorld, name: str) -> None:
    await WAYS[name].breaks(world)
    await world.decider.cycle()
    assert world.pending() == []
    assert WAYS[name].said in world.decider.last()[POLICY.name].message


@pytest.mark.parametrize("name", WAYS)
async def test_what_waits_is_marked_with_the_reason_as_long_as_it_holds(world: DecidingWorld, name: str) -> None:
    await world.decider.cycle()
    [waiting] = world.pending()
    assert world.decider.doubts(world.book.get(waiting)) == ()
    await WAYS[name].breaks(world)
    assert any(WAYS[name].said in reason for reason in world.decider.doubts(world.book.get(waiting)))
    await WAYS[name].heals(world)
    assert not any(WAYS[name].said in reason for reason in world.decider.doubts(world.book.get(waiting)))


@pytest.mark.parametrize("name", WAYS)
async def test_what_waits_is_not_applied(world: DecidingWorld, name: str) -> None:
    await world.decider.cycle()
    [waiting] = world.pending()
    await WAYS[name].breaks(world)
    with pytest.raises(StalePlan, match=WAYS[name].said):
        await world.approver.approve(waiting, digest=None, actor="kim")
    assert world.on_wire() == {}


async def test_two_resets_are_what_an_operator_does(world: DecidingWorld) -> None:
    for _ in range(2):
        await world.run(20)
        world.telemetry.restart("edge1")
    await world.run(20)
    assert world.observer.doubts() == {}


async def test_only_what_waits_for_an_answer_is_marked(world: DecidingWorld) -> None:
    await world.decider.cycle()
    [waiting] = world.pending()
    await world.approver.reject(waiting, actor="kim", reason="not now")
    await disagreeing(world)
    assert world.decider.doubts(world.book.get(waiting)) == ()
