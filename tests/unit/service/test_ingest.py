"""One window after the other: scaled to the counters, dropped where the clock lied, kept over a restart."""

from __future__ import annotations

import pytest
import pytest_asyncio

from teagent.errors import DiskFull, SnmpTimeout
from teagent.model.link import NoData
from teagent.model.traffic import TrafficMatrix
from tests.fakes.clock import FakeClock
from tests.unit.service.deciding import EXPORTER, WINDOW_SECONDS, DecidingWorld
from tests.unit.service.test_exporters import health
from tests.unit.service.world import HEAVY, M

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def world(clock: FakeClock) -> DecidingWorld:
    world = DecidingWorld(clock)
    await world.store.start()
    return world


def matrix(world: DecidingWorld) -> TrafficMatrix:
    latest = world.ingest.latest(world.clock.now())
    assert isinstance(latest, TrafficMatrix)
    return latest


def why(world: DecidingWorld) -> str:
    latest = world.ingest.latest(world.clock.now())
    assert isinstance(latest, NoData)
    return latest.reason


def heavy_bps(found: TrafficMatrix) -> float:
    return float(found.by_link_and_prefix()[found.links.index("a"), found.prefixes.index(HEAVY)])


async def test_before_the_first_window_there_is_no_matrix(world: DecidingWorld) -> None:
    assert why(world) == "no window of flows has closed yet"


async def test_a_window_is_scaled_to_what_the_interface_counted(world: DecidingWorld) -> None:
    await world.run(WINDOW_SECONDS)
    world.send(WINDOW_SECONDS, towards={"198.51.100.7": 30 * M, "203.0.113.7": 15 * M})  # half of it was sampled away
    await world.ingest.close_window()
    assert heavy_bps(matrix(world)) == pytest.approx(60 * M, rel=0.01)
    assert matrix(world).coverage["a"] == pytest.approx(0.5, rel=0.01)


async def test_flows_of_an_interface_that_is_no_link_are_in_no_figure(world: DecidingWorld) -> None:
    await world.run(WINDOW_SECONDS)
    world.send(WINDOW_SECONDS)
    world.telemetry.rates["edge1"] = {"eth9": M}
    await world.ingest.close_window()
    assert world.ingest.last_counts is not None
    assert world.ingest.last_counts.records == world.ingest.last_counts.demand == 2


async def test_flows_without_counters_are_kept_and_said_not_to_be_comparable(world: DecidingWorld) -> None:
    await world.run(20)
    world.telemetry.errors["edge1"] = SnmpTimeout("edge1 does not answer")
    await world.run(40)
    world.send(WINDOW_SECONDS)
    await world.ingest.close_window()
    assert matrix(world).coverage["a"] is None


@pytest.mark.parametrize("step", [-3600, -45, 3600])
async def test_a_window_over_which_the_clock_stepped_is_dropped_and_the_next_counts(
    world: DecidingWorld, step: float
) -> None:
    await world.run(WINDOW_SECONDS)
    world.send(WINDOW_SECONDS)
    world.clock.step(step)
    await world.ingest.close_window()
    assert world.ingest.counters["windows_dropped"] == 1
    assert why(world) == "no window of flows has closed yet"

    await world.windows(1)
    assert heavy_bps(matrix(world)) == pytest.approx(60 * M, rel=0.01)


async def test_an_old_matrix_is_no_data(world: DecidingWorld) -> None:
    await world.windows(1)
    world.clock.advance(3 * WINDOW_SECONDS + 1)
    assert why(world) == "the last window of flows closed 181s ago"


async def test_a_silent_exporter_is_a_matrix_without_demand_and_not_the_old_one(world: DecidingWorld) -> None:
    await world.windows(1)
    await world.windows(1, silent=True)
    assert heavy_bps(matrix(world)) == 0
    assert matrix(world).coverage["a"] == 0


async def test_a_matrix_that_cannot_be_stored_is_still_the_latest(world: DecidingWorld) -> None:
    world.store.fail_with = DiskFull("teagent.db cannot grow")
    await world.windows(1)
    assert heavy_bps(matrix(world)) > 0
    assert world.ingest.counters["store_failures"] == 1


async def test_a_restart_begins_with_the_last_matrix(world: DecidingWorld) -> None:
    await world.windows(1)
    before = matrix(world)
    world.build()
    await world.ingest.load()
    assert matrix(world).at == before.at
    assert heavy_bps(matrix(world)) == pytest.approx(heavy_bps(before))


@pytest.mark.parametrize(("in_bps", "doubted"), [(90 * M, True), (0.5 * M, False)])
async def test_an_exporter_is_doubted_for_its_links_but_not_for_one_that_is_next_to_idle(
    world: DecidingWorld, in_bps: float, doubted: bool
) -> None:
    world.telemetry.rates["edge1"] = {"eth1": in_bps, "eth2": 1000}
    world.source.health = (health(EXPORTER, "edge1", world.clock),)
    await world.run(WINDOW_SECONDS)
    world.source.health = (health(EXPORTER, "edge1", world.clock),)
    world.send(WINDOW_SECONDS, towards={"198.51.100.7": in_bps / 10})
    await world.ingest.close_window()
    said = world.ingest.exporter_doubts(world.clock.now())
    assert said == (
        {EXPORTER: ("flows are 10% of what the interface of a counts, limits 50% to 150%",)} if doubted else {}
    )
