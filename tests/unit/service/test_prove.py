"""What routers refuse is taken back within seconds; what they cannot say is the policy's to judge."""

from __future__ import annotations

from dataclasses import replace

import pytest

from teagent.errors import DiskFull, Refused, SpeakerDown
from teagent.model.bgp import PathAttributes
from teagent.model.policy import Unproven
from teagent.model.proposal import Proposal
from teagent.model.witness import ProofState, WitnessKind
from tests.fakes.witness import FakeWitness
from tests.unit.service.world import HEAVY, POLICY, M, World

pytestmark = pytest.mark.asyncio


@pytest.fixture
def seen(world: World) -> World:
    """A world whose router tells what it holds."""
    world.telemetry.rates["edge1"]["eth1"] = 40 * M
    world.witness = FakeWitness(world.speaker, world.network, world.clock)
    world.build()
    return world


async def ticks(world: World, count: int) -> None:
    for _ in range(count):
        await world.watcher.tick(world.clock.advance(1))


def proof(world: World, proposal: Proposal) -> str | None:
    found = world.prover.proof(proposal.id)
    return None if found is None else found.state.value


def trip(world: World, proposal: Proposal) -> tuple[str, str]:
    return next((e.actor, e.reason) for e in world.book.get(proposal.id).history if e.actor.startswith("guard:"))


async def test_what_the_router_accepted_is_proven_and_the_log_says_so(seen):
    proposal = await seen.applied()
    await ticks(seen, 1)
    assert proof(seen, proposal) == "proven"
    events = [event for event in await seen.store.events() if event.kind == "proposal.proven"]
    assert [event.message for event in events] == ["edge1 has accepted it"]


async def test_what_the_router_drops_is_taken_back_within_ten_seconds(seen):
    seen.witness.drops.add("edge1")
    proposal = await seen.applied()
    await ticks(seen, 9)
    assert seen.state(proposal) == "reverted"
    assert seen.on_wire() == {}
    assert trip(seen, proposal)[0] == "guard:witness"
    assert trip(seen, proposal)[1].startswith("edge1 dropped it")
    assert proof(seen, proposal) == "rejected"


async def test_a_router_that_answers_right_when_told_again_is_believed_then(seen):
    seen.witness.late = True
    proposal = await seen.applied()
    await ticks(seen, 10)
    assert seen.state(proposal) == "confirming"
    assert proof(seen, proposal) == "proven"
    assert ("repeat", "") in seen.speaker.log


async def test_a_repetition_that_fails_leaves_the_first_word_standing(seen):
    seen.witness.drops.add("edge1")
    proposal = await seen.applied()
    seen.speaker.failures.append(SpeakerDown("the relay is away"))
    await ticks(seen, 9)
    assert seen.state(proposal) == "reverted"
    assert seen.prover.counters["repeat_failures"] == 1


async def test_what_was_not_received_is_waited_for_and_then_taken_back(seen):
    seen.witness.losing.add("edge1")
    proposal = await seen.applied()
    await ticks(seen, 15)
    assert seen.state(proposal) == "confirming"
    assert proof(seen, proposal) == "waiting"
    await ticks(seen, 10)
    assert trip(seen, proposal) == ("guard:witness", "edge1 has not received it")


async def test_a_loss_while_active_is_noticed(seen):
    proposal = await seen.applied()
    await ticks(seen, 2)
    await seen.approver.confirm(proposal.id, actor="kim")
    seen.witness.drops.add("edge1")
    await ticks(seen, 9)
    assert seen.state(proposal) == "reverted"
    assert seen.on_wire() == {}


async def test_home_that_goes_behind_an_active_override_brings_it_home(seen):
    seen.witness.home = True
    proposal = await seen.active()
    seen.witness.home = False
    await ticks(seen, 9)
    assert "has lost its own route of the prefix" in trip(seen, proposal)[1]


async def test_a_lost_bmp_connection_rejects_nothing(seen):
    proposal = await seen.applied()
    await ticks(seen, 2)
    seen.witness.silent = "sends no BMP: the connection was lost"
    await ticks(seen, 60)
    assert seen.state(proposal) == "confirming"
    assert proof(seen, proposal) == "unproven"
    seen.witness.silent = ""
    await ticks(seen, 1)
    assert proof(seen, proposal) == "proven"


@pytest.fixture
def on_a_session(seen: World) -> World:
    """Its router tells what it prefers, and nothing of its session with ExaBGP."""
    seen.witness.kind = WitnessKind.IBGP
    return seen


async def test_what_the_router_prefers_is_proven(on_a_session):
    proposal = await on_a_session.applied()
    await ticks(on_a_session, 1)
    assert proof(on_a_session, proposal) == "proven"


async def test_what_the_router_does_not_prefer_is_taken_back_within_ten_seconds(on_a_session):
    on_a_session.witness.drops.add("edge1")
    proposal = await on_a_session.applied()
    await ticks(on_a_session, 9)
    assert on_a_session.state(proposal) == "reverted"
    assert trip(on_a_session, proposal)[1].startswith("edge1 prefers another route of the prefix")


async def test_what_the_router_lost_with_its_session_is_not_taken_for_a_refusal(on_a_session):
    proposal = await on_a_session.active()
    await ticks(on_a_session, 2)
    on_a_session.witness.losing.add("edge1")
    on_a_session.speaker.neighbor = "down"
    await ticks(on_a_session, 60)
    assert on_a_session.state(proposal) == "active"
    assert proof(on_a_session, proposal) == "waiting"


async def test_while_the_relay_is_away_nobody_says_that_the_router_could_have_it(on_a_session):
    proposal = await on_a_session.active()
    on_a_session.witness.losing.add("edge1")
    on_a_session.speaker.down = True
    await ticks(on_a_session, 60)
    assert on_a_session.state(proposal) == "active"
    assert proof(on_a_session, proposal) == "unproven"


async def test_without_a_witness_a_change_is_unproven_and_may_be_confirmed(world):
    world.telemetry.rates["edge1"]["eth1"] = 40 * M
    proposal = await world.applied()
    await world.watcher.tick(world.clock.advance(1))
    assert proof(world, proposal) == "unproven"
    assert (await world.approver.confirm(proposal.id, actor="kim")).state.value == "active"


def refuse_unproven(world: World) -> None:
    world.policies[POLICY.name] = replace(POLICY, confirm=replace(POLICY.confirm, unproven=Unproven.REFUSE))


async def test_a_policy_may_refuse_to_approve_what_could_not_be_proven(world):
    refuse_unproven(world)
    with pytest.raises(Refused, match="would be unproven: edge1 has no witness"):
        await world.applied()
    assert world.on_wire() == {}


async def test_a_policy_may_refuse_to_confirm_what_is_not_proven(seen):
    refuse_unproven(seen)
    proposal = await seen.applied()
    with pytest.raises(Refused, match="is not proven: nobody has looked yet"):
        await seen.approver.confirm(proposal.id, actor="kim")
    await ticks(seen, 1)
    assert (await seen.approver.confirm(proposal.id, actor="kim")).state.value == "active"


async def test_a_proof_outlives_the_daemon(seen):
    proposal = await seen.applied()
    await ticks(seen, 1)
    before = seen.prover.proof(proposal.id)
    await seen.restart()
    assert seen.prover.proof(proposal.id) == before


async def test_what_is_on_the_wire_is_told_again_every_minute(seen):
    await seen.active()
    seen.speaker.log.clear()
    await seen.run(130, every=5)
    assert seen.speaker.log.count(("repeat", "")) == 2


async def test_an_override_that_nobody_owns_is_seen_and_only_once_it_has_lasted(seen):
    seen.witness.stale[HEAVY] = PathAttributes(
        next_hop=None, large_communities=frozenset(seen.prover._wanted(await seen.propose(), HEAVY) or ())
    )
    await ticks(seen, 5)
    assert list(seen.prover.stray()) == []
    await ticks(seen, 20)
    assert list(seen.prover.stray()) == [(HEAVY, "edge1")]


async def test_of_a_prefix_each_router_says_where_it_is(seen):
    assert [(row.router, row.state, row.reason) for row in seen.prover.at(HEAVY)] == [
        ("edge1", ProofState.PROVEN, "holds no override")
    ]
    await seen.applied()
    assert [row.reason for row in seen.prover.at(HEAVY)] == ["has accepted it"]


async def test_a_full_disk_does_not_keep_a_rejection_from_being_acted_on(seen, monkeypatch):
    seen.witness.drops.add("edge1")
    proposal = await seen.applied()

    async def full(_key: str, _value: object) -> None:
        raise DiskFull("no space left")

    monkeypatch.setattr(seen.store, "set_fact", full)
    await ticks(seen, 9)
    assert seen.state(proposal) == "reverted"
    assert seen.prover.counters["store_failures"] > 0


async def test_proofs_are_counted_by_state(seen):
    await seen.applied()
    assert seen.prover.count(ProofState.WAITING) == 1
    await ticks(seen, 1)
    assert seen.prover.count(ProofState.PROVEN) == 1


async def test_the_way_home_needs_no_proof(seen):
    await seen.active()
    refuse_unproven(seen)
    seen.witness.silent = "sends no BMP: the connection was lost"
    release = await seen.propose({HEAVY: seen.home.vector(HEAVY)})
    await seen.approver.approve(release.id, digest=None, actor="kim")
    assert (await seen.approver.confirm(release.id, actor="kim")).state.value == "reverted"
    assert seen.on_wire() == {}


async def test_a_restart_leaves_a_proof_alone_until_routers_have_had_time_to_connect(seen):
    proposal = await seen.applied()
    await ticks(seen, 1)
    seen.witness.silent = "sends no BMP: has not connected yet"
    await seen.restart()
    await ticks(seen, 10)
    assert proof(seen, proposal) == "proven"
    await ticks(seen, 10)
    assert proof(seen, proposal) == "unproven"
