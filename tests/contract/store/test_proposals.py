"""Proposals and their histories."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from teagent.adapters.store import SqliteStore
from teagent.engine.lifecycle import advance
from teagent.errors import StoreError
from teagent.model.proposal import FINAL, ProposalEvent, ProposalState
from teagent.ports import Store
from tests.contract.store.stored import event
from tests.fakes.proposals import NOW, example_plan, example_proposal
from tests.fakes.store import MemoryStore

pytestmark = pytest.mark.asyncio


async def test_an_unknown_proposal_is_none(store: Store) -> None:
    assert await store.proposal("p-0000") is None


@pytest.mark.parametrize("state", list(ProposalState))
async def test_a_proposal_comes_back_as_it_was(store: Store, state: ProposalState) -> None:
    proposal = replace(
        example_proposal(state=state),
        confirm_deadline=NOW + timedelta(seconds=1200),
        restores="p-0001",
        revert_attempts=2,
    )
    await store.add_proposal(proposal)
    assert await store.proposal("p-7f3c") == proposal


async def test_a_saved_proposal_has_its_new_state_and_its_longer_history(store: Store) -> None:
    pending = example_proposal()
    await store.add_proposal(pending)
    approved = advance(pending, ProposalEvent.APPROVE, actor="alice", now=NOW, reason="seen the dry run")
    await store.save_proposals(approved)
    assert await store.proposal("p-7f3c") == approved


async def test_a_counted_attempt_is_saved_without_an_event(store: Store) -> None:
    reverting = example_proposal(state=ProposalState.REVERTING)
    await store.add_proposal(reverting)
    await store.save_proposals(replace(reverting, revert_attempts=1))
    assert await store.proposal("p-7f3c") == replace(reverting, revert_attempts=1)


async def test_a_proposal_is_added_once(store: Store) -> None:
    await store.add_proposal(example_proposal())
    with pytest.raises(StoreError, match="p-7f3c is in the store already"):
        await store.add_proposal(example_proposal(state=ProposalState.APPROVED))
    assert await store.proposal("p-7f3c") == example_proposal()


async def test_an_unknown_proposal_is_not_saved(store: Store) -> None:
    with pytest.raises(StoreError, match="there is no proposal p-7f3c"):
        await store.save_proposals(example_proposal())
    assert await store.proposals() == []


async def test_a_change_to_a_proposal_that_has_moved_on_is_refused(store: Store) -> None:
    pending = example_proposal()
    await store.add_proposal(pending)
    rejected = advance(pending, ProposalEvent.REJECT, actor="bob", now=NOW)
    await store.save_proposals(rejected)
    approved = advance(pending, ProposalEvent.APPROVE, actor="alice", now=NOW)
    with pytest.raises(StoreError, match="p-7f3c has moved on to rejected"):
        await store.save_proposals(approved)
    with pytest.raises(StoreError, match="has moved on"):
        await store.save_proposals(pending)
    assert await store.proposal("p-7f3c") == rejected


async def test_the_plan_of_a_stored_proposal_cannot_be_changed(store: Store) -> None:
    pending = example_proposal()
    await store.add_proposal(pending)
    other = replace(
        advance(pending, ProposalEvent.APPROVE, actor="alice", now=NOW),
        plan=example_plan(vector={"transit-a": 1, "transit-b": 0}),
    )
    with pytest.raises(StoreError, match="the plan of proposal p-7f3c is not the one"):
        await store.save_proposals(other)
    assert await store.proposal("p-7f3c") == pending


async def test_of_several_proposals_all_are_saved_or_none(store: Store) -> None:
    old, new = (
        example_proposal("p-0001", state=ProposalState.ACTIVE),
        example_proposal("p-0002", state=ProposalState.CONFIRMING),
    )
    await store.add_proposal(old)
    await store.add_proposal(new)
    replaced = advance(old, ProposalEvent.REPLACE, actor="daemon", now=NOW)
    confirmed = advance(new, ProposalEvent.CONFIRM, actor="alice", now=NOW)
    with pytest.raises(StoreError, match="there is no proposal p-0003"):
        await store.save_proposals(replaced, confirmed, example_proposal("p-0003"))
    assert await store.proposals() == [new, old]
    await store.save_proposals(replaced, confirmed)
    assert await store.proposals() == [confirmed, replaced]


async def test_a_step_is_saved_with_its_line_in_the_log_or_neither_is(store: Store) -> None:
    pending = example_proposal()
    await store.add_proposal(pending, events=[event("p-7f3c", "first")])
    rejected = advance(pending, ProposalEvent.REJECT, actor="bob", now=NOW)
    with pytest.raises(StoreError, match="there is no proposal p-0003"):
        await store.save_proposals(rejected, example_proposal("p-0003"), events=[event("p-7f3c", "second")])
    with pytest.raises(TypeError):
        await store.save_proposals(rejected, events=[replace(event("p-7f3c", "second"), fields={"at": NOW})])
    assert await store.proposal("p-7f3c") == pending
    assert [each.message for each in await store.events()] == ["first"]
    await store.save_proposals(rejected, events=[event("p-7f3c", "second")])
    assert await store.proposal("p-7f3c") == rejected
    assert [each.message for each in await store.events()] == ["second", "first"]


async def test_a_proposal_whose_history_does_not_lead_to_its_state_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="does not lead to approved"):
        await store.add_proposal(replace(example_proposal(), state=ProposalState.APPROVED))
    with pytest.raises(ValueError, match="does not lead to pending"):
        await store.add_proposal(replace(example_proposal(), history=()))
    assert await store.proposals() == []


async def test_proposals_come_newest_first_and_at_most_the_limit(store: Store) -> None:
    # The clock stepped back between the second and the third.
    for number, minutes in ((1, 0), (2, 10), (3, 5)):
        await store.add_proposal(example_proposal(f"p-000{number}", now=NOW + timedelta(minutes=minutes)))
    assert [p.id for p in await store.proposals()] == ["p-0003", "p-0002", "p-0001"]
    assert [p.id for p in await store.proposals(limit=2)] == ["p-0003", "p-0002"]


async def test_live_proposals_are_those_not_in_a_final_state(store: Store) -> None:
    for number, state in enumerate(ProposalState):
        await store.add_proposal(example_proposal(f"p-{number:04x}", state=state))
    live = await store.proposals(live_only=True)
    assert {p.state for p in live} == set(ProposalState) - FINAL
    assert [p.state for p in await store.proposals(live_only=True, limit=1)] == [live[0].state]


async def test_all_ids_are_known_without_reading_the_proposals(store: MemoryStore | SqliteStore) -> None:
    for number in (1, 2):
        await store.add_proposal(example_proposal(f"p-000{number}"))
    assert await store.proposal_ids() == ["p-0002", "p-0001"]
