"""Rounds of decisions: what becomes a proposal, what is not asked twice, and what holds a round up."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from teagent.engine.choose.decide import decide
from teagent.errors import DiskFull, SnmpTimeout, StalePlan
from teagent.model.plan import Decision
from teagent.model.policy import Approval
from tests.fakes.clock import FakeClock
from tests.unit.service.deciding import DecidingWorld
from tests.unit.service.test_exporters import health
from tests.unit.service.world import HEAVY, POLICY, M

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def world(clock: FakeClock) -> DecidingWorld:
    world = DecidingWorld(clock)
    await world.store.start()
    await world.routes.refresh()
    return world


@pytest_asyncio.fixture
async def congested(world: DecidingWorld) -> DecidingWorld:
    await world.windows(3)
    return world


def message(world: DecidingWorld) -> str:
    return world.decider.last()[POLICY.name].message


async def test_a_congested_link_makes_one_proposal_and_no_second(congested: DecidingWorld) -> None:
    await congested.decider.cycle()
    [proposal] = congested.pending()
    for _ in range(3):
        await congested.run(10)
        await congested.decider.cycle()
    assert congested.pending() == [proposal]
    assert congested.on_wire() == {}


async def test_the_daemon_goes_on_while_a_decision_is_made(
    congested: DecidingWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = threading.Event()

    def decide_later(*args: Any, **named: Any) -> tuple[Decision, ...]:
        assert goes_on.wait(30), "nothing else ran before the decision was made"
        return decide(*args, **named)

    monkeypatch.setattr("teagent.service.decide.decide", decide_later)
    asyncio.get_running_loop().call_soon(goes_on.set)
    [decision] = await congested.decider.compute(None)
    assert decision.chosen is not None


async def test_computing_proposes_and_remembers_nothing(congested: DecidingWorld) -> None:
    [decision] = await congested.decider.compute(None)
    assert decision.chosen is not None
    assert congested.pending() == []
    assert congested.decider.last() == {}
    assert await congested.decider.compute("another") == ()


async def test_a_rejected_plan_is_not_asked_again_before_its_cooldown(congested: DecidingWorld) -> None:
    await congested.decider.cycle()
    [first] = congested.pending()
    await congested.approver.reject(first, actor="kim", reason="not now")
    await congested.windows(1)
    await congested.decider.cycle()
    assert congested.pending() == []
    await congested.windows(10)
    await congested.decider.cycle()
    assert len(congested.pending()) == 1


async def test_frozen_nothing_is_proposed_and_why_is_still_known(congested: DecidingWorld) -> None:
    await congested.freeze.freeze(actor="kim", reason="maintenance")
    await congested.decider.cycle()
    assert congested.pending() == []
    assert POLICY.name in congested.decider.last()


async def test_an_approval_rests_on_what_is_now(congested: DecidingWorld) -> None:
    await congested.decider.cycle()
    [proposal] = congested.pending()
    congested.telemetry.rates["edge1"]["eth1"] = 5 * M
    await congested.run(60)
    with pytest.raises(StalePlan, match="a in_utilisation"):
        await congested.approver.approve(proposal, digest=None, actor="kim")
    assert congested.on_wire() == {}


async def test_a_policy_that_needs_no_approval_approves_in_its_own_name(congested: DecidingWorld) -> None:
    automatic = replace(POLICY, approval=Approval(required=False, expires_after_seconds=600))
    congested.decide_with(automatic)
    await congested.decider.cycle()
    assert str(HEAVY) in congested.on_wire() or congested.on_wire()
    [proposal] = congested.book.on_wire()
    assert proposal.history[-2].actor == f"policy:{POLICY.name}"


async def test_a_disabled_policy_says_so_and_proposes_nothing(congested: DecidingWorld) -> None:
    congested.decide_with(replace(POLICY, enabled=False))
    await congested.decider.cycle()
    assert message(congested) == "the policy is not enabled"
    assert congested.pending() == []
    [decision] = await congested.decider.compute(POLICY.name)
    assert decision.chosen is None


async def test_a_router_without_data_stops_the_decision_and_not_the_round(congested: DecidingWorld) -> None:
    congested.telemetry.errors["edge1"] = SnmpTimeout("edge1 does not answer")
    await congested.windows(1)
    await congested.decider.cycle()
    assert "edge1 does not answer" in message(congested)
    assert congested.pending() == []


async def test_a_doubted_exporter_stops_the_decision_until_it_does_well_again(congested: DecidingWorld) -> None:
    good = health("192.0.2.1", "edge1", congested.clock)
    congested.source.health = (replace(good, clock_skew_seconds=3600.0),)
    await congested.decider.cycle()
    assert message(congested) == "telemetry is not trusted: the clock of 192.0.2.1 is 1h ahead of ours, limit 2m"
    assert congested.pending() == []
    congested.source.health = (good,)
    await congested.decider.cycle()
    assert len(congested.pending()) == 1


async def test_an_exporter_of_another_router_stops_nothing(congested: DecidingWorld) -> None:
    bad = replace(health("192.0.2.2", "edge2", congested.clock), clock_skew_seconds=3600.0)
    congested.source.health = (health("192.0.2.1", "edge1", congested.clock), bad)
    await congested.decider.cycle()
    assert len(congested.pending()) == 1


async def test_where_coverage_is_off_it_is_said_whose_sampling_is_not_known(congested: DecidingWorld) -> None:
    await congested.run(60)
    congested.send(0.6)  # a hundredth, as a sampled export that does not say so
    await congested.ingest.close_window()
    congested.source.health = (health("192.0.2.1", "edge1", congested.clock, sampling_rate=None),)
    await congested.decider.cycle()
    assert "flows are 1% of what the interface of a counts, limits 50% to 150%" in message(congested)
    assert "the sampling rate of 192.0.2.1 is not known" in message(congested)
    assert congested.pending() == []


async def test_after_a_step_back_of_the_clock_nothing_fires_until_the_hold_is_filled_again(
    congested: DecidingWorld,
) -> None:
    await congested.decider.snapshot()
    congested.clock.step(-7200)
    assert any("clock stepped back" in reason for reason in congested.decider.distrust(congested.clock.now()))
    rounds = []
    for _ in range(12):
        await congested.run(10)
        congested.send(10)
        if congested.clock.monotonic() % 60 == 0:
            await congested.ingest.close_window()
        await congested.decider.cycle()
        rounds.append(bool(congested.pending()))
    assert rounds[:7] == [False] * 7
    assert rounds[-1]


async def test_with_a_full_disk_nothing_is_proposed_and_it_is_said_why(congested: DecidingWorld) -> None:
    congested.store.fail_with = DiskFull("teagent.db cannot grow")
    await congested.run(10)
    with capture_logs() as logs:
        await congested.decider.cycle()
        await congested.decider.cycle()
    assert congested.pending() == []
    assert "the store cannot be written: teagent.db cannot grow" in message(congested)
    assert [line["event"] for line in logs] == ["decided", "decision could not be stored"]
    congested.store.fail_with = None
    await congested.run(10)
    await congested.decider.cycle()
    assert len(congested.pending()) == 1


async def test_while_the_relay_is_away_nothing_is_proposed(congested: DecidingWorld) -> None:
    congested.speaker.down = True
    await congested.routes.refresh()
    await congested.decider.cycle()
    assert "live announcements are not known" in message(congested)
    assert congested.pending() == []


async def test_an_override_that_no_longer_helps_is_proposed_to_go_home(congested: DecidingWorld) -> None:
    await congested.decider.cycle()
    [first] = congested.pending()
    await congested.approver.approve(first, digest=None, actor="kim")
    await congested.approver.confirm(first, actor="kim")
    held = congested.on_wire()
    assert held
    congested.telemetry.rates["edge1"] = {"eth1": 10 * M, "eth2": 20 * M}
    for _ in range(40):
        await congested.run(60)
        congested.send(60, towards={"198.51.100.7": 5 * M, "203.0.113.7": 5 * M})
        await congested.ingest.close_window()
        await congested.decider.cycle()
        if congested.pending():
            break
    [release] = congested.pending()
    await congested.approver.approve(release, digest=None, actor="kim")
    assert congested.on_wire() == {}


async def test_the_last_decision_is_known_after_a_restart(congested: DecidingWorld) -> None:
    await congested.decider.cycle()
    told = message(congested)
    congested.build()
    await congested.decider.load()
    assert message(congested) == told
