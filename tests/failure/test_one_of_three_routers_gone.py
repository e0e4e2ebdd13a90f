"""One router of three does not answer any more: what it concerns is taken back, and nobody else notices."""

from __future__ import annotations

from dataclasses import replace

import pytest
import pytest_asyncio

from teagent.errors import SnmpTimeout
from teagent.model.link import NoData, Utilisation
from tests.fakes.clock import FakeClock
from tests.fakes.telemetry import FakeTelemetry
from tests.unit.service.world import M, World, network

pytestmark = pytest.mark.asyncio


class ThreeRouters(World):
    """Links a and b, which the change is about, on edge1 and edge2; link c on edge3."""

    def __post_init__(self) -> None:
        two = network()
        a, b = two.links["a"], two.links["b"]
        c = replace(a, name="c", id=9, router="edge3", interface="eth3")
        self.network = replace(two, links={"a": a, "b": replace(b, router="edge2"), "c": c})
        self.home = self.network.home()
        self.telemetry = FakeTelemetry(
            self.clock, {"edge1": {"eth1": 40 * M}, "edge2": {"eth2": 100 * M}, "edge3": {"eth3": 10 * M}}
        )
        self.build()


@pytest_asyncio.fixture
async def world(clock: FakeClock) -> World:
    world = ThreeRouters(clock)
    await world.store.start()
    return world


def gone(world: World, router: str) -> None:
    world.telemetry.errors[router] = SnmpTimeout(f"{router} does not answer within 2s")


@pytest.mark.parametrize(("router", "silent"), [("edge1", "a"), ("edge2", "b"), ("edge3", "c")])
async def test_only_its_own_links_have_no_data(world: World, router: str, silent: str) -> None:
    await world.run(30)
    gone(world, router)
    await world.run(60)
    readings = world.observer.readings(world.clock.now())
    assert isinstance(readings[silent], NoData)
    assert all(isinstance(reading, Utilisation) for name, reading in readings.items() if name != silent)


@pytest.mark.parametrize("router", ["edge1", "edge2"])
async def test_a_change_to_its_links_goes_home_when_it_has_been_silent_for_long_enough(
    world: World, router: str
) -> None:
    proposal = await world.active()
    await world.run(30)
    gone(world, router)
    await world.run(150)
    assert world.state(proposal) == "reverted"
    assert world.on_wire() == {}
    trip = next(entry for entry in world.book.get(proposal.id).history if entry.actor == "guard:no_data")
    assert "does not answer" in trip.reason


async def test_a_change_that_does_not_concern_it_stays(world: World) -> None:
    proposal = await world.active()
    await world.run(30)
    gone(world, "edge3")
    await world.run(600)
    assert world.state(proposal) == "active"
