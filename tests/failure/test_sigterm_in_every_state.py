"""The daemon is told to stop, whatever state a proposal is in: what nobody confirmed goes home, the rest stays put."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import pytest_asyncio

from teagent.engine.lifecycle import begin_apply
from teagent.errors import SpeakerDown
from teagent.model.proposal import FINAL, Proposal, ProposalEvent, ProposalState
from tests.fakes.clock import FakeClock
from tests.unit.service.world import HEAVY, M, World

pytestmark = pytest.mark.asyncio

Reach = Callable[[World], Awaitable[Proposal]]
ANNOUNCED = {str(HEAVY): {"a": 1, "b": 0}}


@pytest_asyncio.fixture
async def world(clock: FakeClock) -> World:
    world = World(clock)
    world.telemetry.rates["edge1"]["eth1"] = 40 * M
    await world.store.start()
    return world


async def pending(world: World) -> Proposal:
    return await world.propose()


async def approved(world: World) -> Proposal:
    return await world.book.move(await world.propose(), ProposalEvent.APPROVE, actor="kim")


async def applying(world: World) -> Proposal:
    """The row is there, and so is half of what it says."""
    row = begin_apply(await approved(world), actor="kim", now=world.clock.now(), confirm_window_seconds=300)
    await world.book.save(row)
    await world.applier._put(HEAVY, row.plan.after.vector(HEAVY), owner=row.id, deadline=row.confirm_deadline)
    return row


async def confirming(world: World) -> Proposal:
    return await world.applied()


async def active(world: World) -> Proposal:
    return await world.active()


async def reverting(world: World) -> Proposal:
    proposal = await world.active()
    world.speaker.failures.append(SpeakerDown("the relay is away"))
    return await world.approver.revert(proposal.id, actor="kim", reason="")


async def stuck(world: World) -> Proposal:
    proposal = await world.active()
    world.speaker.down = True
    await world.approver.revert(proposal.id, actor="kim", reason="")
    await world.run(60)
    world.speaker.down = False
    return world.book.get(proposal.id)


async def rejected(world: World) -> Proposal:
    return await world.approver.reject((await world.propose()).id, actor="kim", reason="")


async def expired(world: World) -> Proposal:
    proposal = await world.propose()
    await world.run(610)
    return proposal


async def superseded(world: World) -> Proposal:
    proposal = await world.propose()
    await world.propose({HEAVY: {"a": 2, "b": 0}})
    return proposal


async def stale(world: World) -> Proposal:
    return await world.book.move(await world.propose(), ProposalEvent.INVALIDATE, actor="daemon")


async def reverted(world: World) -> Proposal:
    return await world.approver.revert((await world.active()).id, actor="kim", reason="")


async def replaced(world: World) -> Proposal:
    proposal = await world.active()
    world.clock.advance(1)
    await world.active({HEAVY: {"a": 2, "b": 0}})
    return proposal


WAYS: dict[ProposalState, tuple[Reach, ProposalState, dict[str, dict[str, int]]]] = {
    # how it comes there, what it is after the stop, what the routers hear then
    ProposalState.PENDING: (pending, ProposalState.PENDING, {}),
    ProposalState.APPROVED: (approved, ProposalState.APPROVED, {}),
    ProposalState.APPLYING: (applying, ProposalState.REVERTED, {}),
    ProposalState.CONFIRMING: (confirming, ProposalState.REVERTED, {}),
    ProposalState.ACTIVE: (active, ProposalState.ACTIVE, ANNOUNCED),
    ProposalState.REVERTING: (reverting, ProposalState.REVERTING, ANNOUNCED),
    ProposalState.STUCK: (stuck, ProposalState.STUCK, ANNOUNCED),
    ProposalState.REJECTED: (rejected, ProposalState.REJECTED, {}),
    ProposalState.EXPIRED: (expired, ProposalState.EXPIRED, {}),
    ProposalState.SUPERSEDED: (superseded, ProposalState.SUPERSEDED, {}),
    ProposalState.STALE: (stale, ProposalState.STALE, {}),
    ProposalState.REVERTED: (reverted, ProposalState.REVERTED, {}),
    ProposalState.REPLACED: (replaced, ProposalState.REPLACED, {str(HEAVY): {"a": 2, "b": 0}}),
}


async def test_every_state_is_tried() -> None:
    assert set(WAYS) == set(ProposalState)


@pytest.mark.parametrize("state", ProposalState)
async def test_a_clean_stop_takes_back_what_nobody_confirmed_and_nothing_else(
    world: World, state: ProposalState
) -> None:
    reach, after, heard = WAYS[state]
    proposal = await reach(world)
    assert world.book.get(proposal.id).state is state
    await world.approver.revert_unconfirmed(reason="the daemon stops")
    assert world.book.get(proposal.id).state is after
    assert world.on_wire() == heard


@pytest.mark.parametrize("state", ProposalState)
async def test_the_next_daemon_ends_what_the_last_one_could_not(world: World, state: ProposalState) -> None:
    reach, after, heard = WAYS[state]
    proposal = await reach(world)
    await world.approver.revert_unconfirmed(reason="the daemon stops")
    await world.restart()
    await world.settle()
    ends = {ProposalState.APPROVED: ProposalState.STALE, ProposalState.REVERTING: ProposalState.REVERTED}
    assert world.book.get(proposal.id).state is ends.get(after, after)
    assert world.on_wire() == ({} if after is ProposalState.REVERTING else heard)


async def test_stopping_twice_is_the_same_as_once(world: World) -> None:
    proposal = await world.applied()
    for _ in range(2):
        await world.approver.revert_unconfirmed(reason="the daemon stops")
    assert world.book.get(proposal.id).state in FINAL
