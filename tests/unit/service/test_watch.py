"""Every change undoes itself unless it is confirmed, and earlier when a guard trips."""

from __future__ import annotations

import pytest

from teagent.errors import SnmpTimeout
from tests.unit.service.world import HEAVY, M, World

pytestmark = pytest.mark.asyncio


async def test_an_unconfirmed_change_goes_home_at_its_deadline(world: World) -> None:
    world.telemetry.rates["edge1"]["eth1"] = 40 * M
    proposal = await world.applied()
    await world.run(290)
    assert world.state(proposal) == "confirming"

    await world.run(20)
    assert world.state(proposal) == "reverted"
    assert world.on_wire() == {}
    events = [(entry.event and entry.event.value, entry.actor) for entry in world.book.get(proposal.id).history]
    assert ("timeout", "daemon") in events


async def test_a_link_that_stays_full_trips_the_guard_after_settling(world: World) -> None:
    world.telemetry.rates["edge1"]["eth1"] = 99 * M
    proposal = await world.applied()
    await world.run(60)
    assert world.state(proposal) == "confirming"

    await world.run(20)
    assert world.state(proposal) == "reverted"
    trip = next(e for e in world.book.get(proposal.id).history if e.actor == "guard:in_utilisation")
    assert trip.reason == "a in_utilisation 99% of 100M is above 95%"


async def test_an_active_change_is_guarded_too(world: World) -> None:
    world.telemetry.rates["edge1"]["eth1"] = 40 * M
    proposal = await world.active()
    await world.run(400)
    assert world.state(proposal) == "active"

    world.telemetry.rates["edge1"]["eth2"] = 990 * M
    await world.run(20)
    assert world.state(proposal) == "reverted"


@pytest.mark.parametrize(("shrinks", "state"), [("eth2", "reverted"), ("eth1", "active")])
async def test_a_bundle_that_lost_a_member_is_guarded_by_what_is_left_where_the_change_brought_traffic_to_it(
    world: World, shrinks: str, state: str
) -> None:
    """One link is half of what it was, and full: taking the change back would relieve it only if it gained by it."""
    world.telemetry.speeds = {"eth1": 100 * M, "eth2": 1000 * M}
    world.telemetry.rates["edge1"] |= {"eth1": 40 * M, "eth2": 150 * M}
    proposal = await world.active()
    await world.run(100)
    world.telemetry.speeds[shrinks] /= 2
    world.telemetry.rates["edge1"][shrinks] = world.telemetry.speeds[shrinks]
    await world.run(30)
    assert world.state(proposal) == state
    tripped = [e.reason for e in world.book.get(proposal.id).history if e.actor == "guard:in_utilisation"]
    assert tripped == (["b in_utilisation 100% of 500M is above 95%"] if state == "reverted" else [])


async def test_silence_of_an_affected_link_trips_and_is_not_taken_for_zero(world: World) -> None:
    world.telemetry.rates["edge1"]["eth1"] = 40 * M
    proposal = await world.applied()
    await world.run(30)
    world.telemetry.errors["edge1"] = SnmpTimeout("edge1 does not answer within 2s")
    await world.run(60)
    assert world.state(proposal) == "confirming"

    await world.run(60)
    assert world.state(proposal) == "reverted"
    trip = next(e for e in world.book.get(proposal.id).history if e.actor == "guard:no_data")
    assert "does not answer" in trip.reason


async def test_a_pending_proposal_expires_by_itself(world: World) -> None:
    proposal = await world.propose()
    await world.run(610)

    assert world.state(proposal) == "expired"


async def test_a_revert_that_fails_three_times_is_stuck_until_an_operator_looks(world: World) -> None:
    proposal = await world.active()
    world.speaker.down = True
    await world.approver.revert(proposal.id, actor="kim", reason="")
    assert world.state(proposal) == "reverting"
    await world.run(60)
    assert world.state(proposal) == "stuck"

    world.speaker.down = False
    await world.run(60)
    assert world.state(proposal) == "stuck"
    await world.approver.revert(proposal.id, actor="kim", reason="relay is back")
    assert world.state(proposal) == "reverted"
    assert world.on_wire() == {}


async def test_a_passing_failure_of_a_revert_is_retried(world: World) -> None:
    proposal = await world.active()
    world.speaker.down = True
    await world.approver.revert(proposal.id, actor="kim", reason="")
    world.speaker.down = False
    await world.run(20)

    assert world.state(proposal) == "reverted"


async def test_the_outcome_is_measured_beside_the_prediction(world: World) -> None:
    world.telemetry.rates["edge1"] = {"eth1": 42 * M, "eth2": 300 * M}
    proposal = await world.applied()
    await world.run(120)

    outcome = world.scorer.outcome(proposal.id)
    assert outcome is not None
    rows = {row.link: row for row in outcome.links}
    assert rows["a"].realised_bps == pytest.approx(42 * M, rel=0.01)
    assert rows["a"].within_band is True
    assert rows["b"].within_band is False
    await world.restart()
    assert world.scorer.outcome(proposal.id) == outcome


async def test_stopping_reverts_the_unconfirmed_and_leaves_the_active(world: World) -> None:
    active = await world.active()
    from tests.unit.service.world import OTHER

    unconfirmed = await world.applied({OTHER: {"a": 1, "b": 0}})
    await world.approver.revert_unconfirmed(reason="the daemon stops")

    assert world.state(active) == "active"
    assert world.state(unconfirmed) == "reverted"
    assert set(world.on_wire()) == {str(HEAVY)}


async def test_one_reading_that_holds_what_belongs_to_another_trips_no_guard(world: World) -> None:
    world.telemetry.rates["edge1"]["eth1"] = 60 * M
    proposal = await world.applied()
    await world.run(70)
    for rate in (99 * M, 30 * M, 99 * M, 60 * M):
        world.telemetry.rates["edge1"]["eth1"] = rate
        await world.run(10)
    assert world.state(proposal) == "confirming"


async def test_a_first_reading_above_a_guard_asks_for_a_second_one_soon_and_once(world: World) -> None:
    world.telemetry.rates["edge1"]["eth1"] = 40 * M
    proposal = await world.applied()
    await world.run(90)
    assert world.watcher.unsure(world.clock.now()) == frozenset()

    world.telemetry.rates["edge1"]["eth1"] = 99 * M
    await world.run(10)
    assert world.state(proposal) == "confirming"
    assert world.watcher.unsure(world.clock.advance(2)) == frozenset()
    assert world.watcher.unsure(world.clock.advance(1)) == {"a"}
    await world.observer.poll({"edge1"})
    await world.watcher.tick(world.clock.now())
    assert world.state(proposal) == "reverted"


async def test_a_second_look_that_is_not_above_ends_it(world: World) -> None:
    world.telemetry.rates["edge1"]["eth1"] = 40 * M
    proposal = await world.applied()
    await world.run(90)
    world.telemetry.rates["edge1"]["eth1"] = 99 * M
    await world.run(10)
    world.telemetry.rates["edge1"]["eth1"] = 40 * M
    world.clock.advance(3)
    await world.observer.poll({"edge1"})
    assert world.watcher.unsure(world.clock.advance(3)) == frozenset()
    await world.run(30)
    assert world.state(proposal) == "confirming"


async def test_what_is_above_before_the_change_has_settled_asks_for_nothing(world: World) -> None:
    world.telemetry.rates["edge1"]["eth1"] = 99 * M
    await world.applied()
    await world.run(50)
    assert world.watcher.unsure(world.clock.advance(5)) == frozenset()


async def test_only_the_routers_that_are_asked_for_are_polled(world: World) -> None:
    before = world.telemetry.reads
    await world.observer.poll({"edge2"})
    assert world.telemetry.reads == before
    await world.observer.poll({"edge1"})
    assert world.telemetry.reads == before + 1
