"""Exporters over the last few minutes, and whose links are doubted for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from teagent.ports import ExporterHealth
from teagent.service.exporters import ExporterWatch
from tests.fakes.clock import FakeClock
from tests.unit.service.deciding import FakeFlows

NOBODY: frozenset[str] = frozenset()
LINKS = {"a": "edge1", "b": "edge1", "c": "edge2"}


class World:
    def __init__(self, clock: FakeClock, *health: ExporterHealth, **settings: object) -> None:
        self.clock = clock
        self.source = FakeFlows()
        self.source.health = health
        self.watch = ExporterWatch(source=self.source, links=LINKS, clock=clock, samples=3, **settings)

    def become(self, **change: object) -> None:
        """Of the first exporter; all of them are heard now."""
        first, *others = (replace(each, last_at=self.clock.now()) for each in self.source.health)
        self.source.health = (replace(first, **change), *others)  # type: ignore[arg-type]

    def doubted(self, disagreeing: frozenset[str] = NOBODY) -> dict[str, Sequence[str]]:
        return dict(self.watch.link_doubts(self.clock.now(), disagreeing))


def health(exporter: str, router: str, clock: FakeClock, **more: object) -> ExporterHealth:
    given: dict[str, object] = {
        "last_at": clock.now(),
        "datagrams": 0,
        "records": 0,
        "lost": 0,
        "undecoded": {},
        "sampling_rate": 1.0,
        "templates": 1,
        "awaiting_template": 0,
    }
    return ExporterHealth(exporter=exporter, router=router, protocol="ipfix", **(given | more))  # type: ignore[arg-type]


@pytest.fixture
def world(clock: FakeClock) -> World:
    return World(clock, health("192.0.2.1", "edge1", clock), health("192.0.2.2", "edge2", clock))


def test_a_doubt_is_one_of_all_links_of_the_router_and_of_no_other(world: World) -> None:
    world.become(clock_skew_seconds=3600.0)
    why = "the clock of 192.0.2.1 is 1h ahead of ours, limit 2m"
    assert world.doubted() == {"a": (why,), "b": (why,)}


def test_shares_are_of_the_last_samples_and_old_losses_are_forgotten(world: World) -> None:
    world.watch.sample()
    world.become(expected=100, lost=50)
    assert "50% of flows of 192.0.2.1 were lost on the way, limit 5%" in world.doubted()["a"]
    for number in range(3):
        world.become(expected=200 + number, lost=50)
        world.watch.sample()
    assert world.doubted() == {}
    assert world.watch.figures()["192.0.2.1"].lost_share == 0.0


def test_what_came_late_after_all_is_not_a_negative_loss(world: World) -> None:
    world.become(expected=100, lost=50)
    world.watch.sample()
    world.become(expected=150, lost=10)
    assert world.watch.figures()["192.0.2.1"].lost_share == 0.0


def test_samples_that_the_agent_dropped_are_a_share_of_those_there_were(world: World) -> None:
    world.watch.sample()
    world.become(samples=90, samples_lost=4, samples_dropped=6)
    assert world.watch.figures()["192.0.2.1"].samples_missing_share == 0.1
    assert world.doubted()["a"] == ("10% of the samples of 192.0.2.1 were dropped by itself or lost, limit 5%",)


def test_undecoded_is_a_share_of_what_came_and_traffic_that_is_not_ip_is_none_of_it(world: World) -> None:
    world.watch.sample()
    world.become(datagrams=90, undecoded={"no_template": 10, "not_ip": 10_000, "no_addresses": 500})
    assert world.watch.figures()["192.0.2.1"].undecoded_share == 0.1
    assert len(world.doubted()["a"]) == 1


def test_a_silent_router_is_doubted_and_an_address_that_it_does_not_use_is_not(clock: FakeClock) -> None:
    world = World(
        clock,
        health("192.0.2.1", "edge1", clock),
        health("192.0.2.11", "edge1", clock, last_at=None),
        health("192.0.2.2", "edge2", clock, last_at=None),
    )
    assert world.doubted() == {}
    clock.advance(179)
    world.source.health = (replace(world.source.health[0], last_at=clock.now()), *world.source.health[1:])
    clock.advance(60)
    assert world.doubted() == {"c": ("192.0.2.2 has sent no flows ever, limit 3m",)}
    clock.advance(180)
    assert {len(reasons) for reasons in world.doubted().values()} == {1, 2}
    assert set(world.watch.doubts(clock.now())) == {"192.0.2.1", "192.0.2.11", "192.0.2.2"}


def test_the_configured_active_timeout_is_believed_before_the_records(clock: FakeClock) -> None:
    told = health("192.0.2.1", "edge1", clock, active_timeout_seconds=1800.0)
    assert World(clock, told).doubted() != {}
    assert World(clock, told, active_timeouts={"192.0.2.1": 60.0}).doubted() == {}


def test_unknown_sampling_is_said_where_flows_and_counters_disagree(clock: FakeClock) -> None:
    world = World(clock, health("192.0.2.1", "edge1", clock, sampling_rate=None))
    assert world.doubted() == {}
    assert world.doubted(frozenset({"a", "c"})) == {"a": ("the sampling rate of 192.0.2.1 is not known",)}


def test_an_exporter_has_the_disagreement_of_its_links_beside_its_own_doubts(clock: FakeClock) -> None:
    world = World(
        clock,
        health("192.0.2.1", "edge1", clock, sampling_rate=None, clock_skew_seconds=3600.0),
        health("192.0.2.11", "edge1", clock, last_at=None),
        health("192.0.2.2", "edge2", clock),
    )
    assert world.watch.all_doubts(clock.now(), {"a": "too little on a"}) == {
        "192.0.2.1": (
            "the clock of 192.0.2.1 is 1h ahead of ours, limit 2m",
            "too little on a",
            "the sampling rate of 192.0.2.1 is not known",
        )
    }
    assert world.watch.all_doubts(clock.now(), {"c": "too much on c"})["192.0.2.2"] == ("too much on c",)


def test_a_clock_that_steps_back_makes_nobody_silent(world: World) -> None:
    world.clock.step(-timedelta(hours=1).total_seconds())
    assert world.doubted() == {}
