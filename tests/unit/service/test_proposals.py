"""The book: in the store before in memory, and nothing in memory that is not in the store."""

from __future__ import annotations

import pytest

from teagent.errors import DiskFull, IllegalTransition, NotFound
from teagent.model.proposal import ProposalEvent
from tests.unit.service.world import HEAVY, OTHER, World

pytestmark = pytest.mark.asyncio

FULL = DiskFull("teagent.db cannot grow")


async def test_a_proposal_that_cannot_be_stored_does_not_exist(world: World) -> None:
    world.store.fail_with = FULL
    with pytest.raises(DiskFull):
        await world.propose()
    assert world.book.all() == []


async def test_a_step_that_cannot_be_stored_is_not_taken(world: World) -> None:
    proposal = await world.propose()
    world.store.fail_with = FULL
    with pytest.raises(DiskFull):
        await world.book.move(proposal, ProposalEvent.REJECT, actor="kim")
    assert world.state(proposal) == "pending"


async def test_each_step_is_in_the_log_with_the_state_that_it_led_to(world: World) -> None:
    proposal = await world.applied()
    told = [(event.kind, event.fields["state"]) for event in await world.store.events(subject=proposal.id)]
    assert told[::-1] == [
        ("proposal.proposed", "pending"),
        ("proposal.approved", "approved"),
        ("proposal.applying", "applying"),
        ("proposal.confirming", "confirming"),
    ]


async def test_a_step_that_cannot_be_stored_is_not_in_the_log_either(world: World) -> None:
    proposal = await world.propose()
    world.store.fail_with = FULL
    with pytest.raises(DiskFull):
        await world.book.move(proposal, ProposalEvent.REJECT, actor="kim")
    assert [event.kind for event in await world.store.events(subject=proposal.id)] == ["proposal.proposed"]


async def test_an_event_that_the_state_does_not_take_changes_nothing(world: World) -> None:
    proposal = await world.propose()
    with pytest.raises(IllegalTransition):
        await world.book.move(proposal, ProposalEvent.CONFIRM, actor="kim")
    assert world.state(proposal) == "pending"


async def test_the_book_is_the_same_after_a_restart(world: World) -> None:
    active = await world.active()
    waiting = await world.propose({OTHER: {"a": 1, "b": 0}})
    changed = world.book.changed_at(HEAVY)
    before = world.book.all()
    await world.restart()
    assert world.book.all() == before
    assert world.book.owner(HEAVY) == active
    assert world.book.changed_at(HEAVY) == changed is not None
    assert world.book.find(waiting.id) == waiting


async def test_what_happened_is_in_the_log_with_its_actor(world: World) -> None:
    proposal = await world.active()
    rows = [(event.kind, event.actor) for event in await world.store.events(subject=proposal.id)]
    assert rows == [
        ("proposal.active", "kim"),
        ("proposal.confirming", "daemon"),
        ("proposal.applying", "kim"),
        ("proposal.approved", "kim"),
        ("proposal.proposed", "policy:relief"),
    ]


async def test_an_unknown_id_is_told_with_what_there_is(world: World) -> None:
    with pytest.raises(NotFound):
        world.book.find("p-ffff")
    with pytest.raises(NotFound):
        world.book.get("p-ffff")


async def test_a_change_and_its_way_back_are_two_moves_and_failed_attempts_are_none(world: World) -> None:
    proposal = await world.applied()
    assert len(world.book.moves()[HEAVY]) == 1
    world.clock.advance(60)
    world.speaker.down = True
    await world.approver.revert(proposal.id, actor="kim", reason="")
    for _ in range(30):
        await world.watcher.tick(world.clock.advance(1))
    assert world.state(proposal) == "stuck"
    world.speaker.down = False
    await world.approver.revert(proposal.id, actor="kim", reason="")
    assert world.state(proposal) == "reverted"
    assert len(world.book.moves()[HEAVY]) == 2
    await world.restart()
    assert len(world.book.moves()[HEAVY]) == 2
    world.clock.advance(8 * 86400)
    assert world.book.moves() == {}
