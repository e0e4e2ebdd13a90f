"""The disk fills up while a change is under way: nothing is announced without its row, nothing is left behind."""

from __future__ import annotations

import pytest
import pytest_asyncio

from teagent.errors import DiskFull
from teagent.ports import SpeakerState
from tests.fakes.clock import FakeClock
from tests.unit.service.world import HEAVY, OTHER, M, World

pytestmark = pytest.mark.asyncio

FULL = DiskFull("teagent.db cannot grow")


@pytest_asyncio.fixture
async def world(clock: FakeClock) -> World:
    world = World(clock)
    world.telemetry.rates["edge1"]["eth1"] = 40 * M
    await world.store.start()
    return world


def fill_after(world: World, calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full from so many stored steps of proposals on."""
    save = world.store.save_proposals
    left = [calls]

    async def limited(*proposals, **more):
        if left[0] == 0:
            world.store.fail_with = FULL
        left[0] -= 1
        await save(*proposals, **more)

    monkeypatch.setattr(world.store, "save_proposals", limited)


async def test_a_change_whose_row_cannot_be_written_is_not_announced(world: World) -> None:
    proposal = await world.propose()
    world.store.fail_with = FULL
    with pytest.raises(DiskFull):
        await world.approver.approve(proposal.id, digest=None, actor="kim")
    assert world.state(proposal) == "pending"
    assert world.speaker.log == []
    world.store.fail_with = None
    await world.run(620)
    assert world.state(proposal) == "expired"


async def test_full_after_the_announcement_the_change_is_taken_back_when_there_is_room(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    proposal = await world.propose()
    fill_after(world, 1, monkeypatch)  # applying is stored and announced, confirming is not
    with pytest.raises(DiskFull):
        await world.approver.approve(proposal.id, digest=None, actor="kim")
    assert world.on_wire() == {str(HEAVY): {"a": 1, "b": 0}}
    assert world.speaker.held[HEAVY].deadline is not None  # the relay brings it home without us
    with pytest.raises(DiskFull):
        await world.watcher.tick(world.clock.now())

    world.store.fail_with = None
    monkeypatch.undo()
    await world.run(10)
    assert world.state(proposal) == "reverted"
    assert world.on_wire() == {}


async def test_one_change_that_cannot_be_stored_keeps_no_other_from_its_turn(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await world.applied()
    second = await world.applied({OTHER: {"a": 1, "b": 0}})
    save = world.store.save_proposals

    async def refuse_one(*proposals, **more):
        if any(proposal.id == second.id for proposal in proposals):
            raise FULL
        await save(*proposals, **more)

    monkeypatch.setattr(world.store, "save_proposals", refuse_one)
    with pytest.raises(DiskFull):
        await world.run(310, every=310)
    assert world.state(first) == "reverted"
    assert world.state(second) == "confirming"
    assert set(world.on_wire()) == {str(OTHER)}


async def test_what_is_past_its_window_goes_home_although_nothing_can_be_stored(world: World) -> None:
    await world.applied()
    world.clock.advance(301)
    world.store.fail_with = FULL
    async with world.book.lock:
        await world.reconciler.cycle(world.clock.now())
    assert world.on_wire() == {}


async def test_a_confirmation_that_cannot_be_stored_is_not_one(world: World) -> None:
    proposal = await world.applied()
    world.store.fail_with = FULL
    with pytest.raises(DiskFull):
        await world.approver.confirm(proposal.id, actor="kim")
    world.store.fail_with = None
    await world.run(310)
    assert world.state(proposal) == "reverted"
    assert world.on_wire() == {}


async def test_a_revert_that_cannot_be_stored_is_tried_again_and_not_every_moment(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    proposal = await world.active()
    fill_after(world, 1, monkeypatch)  # reverting is stored, reverted is not
    with pytest.raises(DiskFull):
        await world.approver.revert(proposal.id, actor="kim", reason="")
    state = await world.speaker.state()
    assert isinstance(state, SpeakerState)
    assert state.overrides == ()
    await world.watcher.tick(world.clock.now())  # within the pause
    assert world.state(proposal) == "reverting"
    world.store.fail_with = None
    monkeypatch.undo()
    await world.run(10)
    assert world.state(proposal) == "reverted"
