"""Starting, decisions, the log, small facts, and the chain that all rows are in."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from teagent.adapters.store import SqliteStore
from teagent.engine.audit import verify_chain
from teagent.engine.lifecycle import advance
from teagent.errors import StoreError
from teagent.model.proposal import ProposalEvent
from teagent.ports import Store
from tests.contract.store.stored import decision, event
from tests.fakes.proposals import NOW, example_proposal
from tests.fakes.store import MemoryStore

pytestmark = pytest.mark.asyncio


async def test_starting_and_stopping_twice_is_the_same_as_once(store: Store) -> None:
    await store.start()
    await store.set_fact("frozen", value=True)
    await store.stop()
    await store.stop()
    await store.start()
    assert await store.fact("frozen") is True


async def test_a_store_that_is_not_open_says_so(store: Store) -> None:
    await store.stop()
    with pytest.raises(StoreError, match="is not open"):
        await store.fact("frozen")
    with pytest.raises(StoreError, match="is not open"):
        await store.set_fact("frozen", value=True)


async def test_a_decision_comes_back_as_it_was(store: Store) -> None:
    await store.save_decision(decision())
    assert await store.last_decision("transit-balance") == decision()


async def test_the_last_decision_of_a_policy_is_the_one_saved_last(store: Store) -> None:
    assert await store.last_decision("transit-balance") is None
    await store.save_decision(decision(message="first"))
    await store.save_decision(decision("cost-95th", message="of another"))
    await store.save_decision(decision(message="second", when=NOW - timedelta(hours=1)))
    last = await store.last_decision("transit-balance")
    assert last is not None
    assert last.message == "second"


async def test_the_history_of_decisions_is_bounded(store: MemoryStore | SqliteStore) -> None:
    await store.save_decision(decision("cost-95th"))
    for number in range(103):
        await store.save_decision(replace(decision(), chosen=None, considered=(), message=str(number)))
    kept = await store.decisions("transit-balance")
    assert [d.message for d in kept] == [str(n) for n in range(102, 2, -1)]
    assert len(await store.decisions("cost-95th")) == 1


async def test_events_come_back_newest_first_and_by_subject(store: Store) -> None:
    await store.log(event("transit-a", "first"))
    await store.log(event("p-7f3c", "second"))
    await store.log(event("transit-a", "third", NOW - timedelta(hours=1)))
    assert [e.message for e in await store.events()] == ["third", "second", "first"]
    assert [e.message for e in await store.events(limit=1)] == ["third"]
    assert await store.events(subject="p-7f3c") == [event("p-7f3c", "second")]


async def test_an_event_with_fields_that_json_cannot_hold_is_refused(store: Store) -> None:
    with pytest.raises(TypeError):
        await store.log(replace(event(), fields={"at": NOW}))
    assert await store.events() == []


@pytest.mark.parametrize("value", [None, True, 0, -1.5, "", "text", [1, [2]], {"since": "now", "by": None}])
async def test_a_fact_comes_back_as_it_was(store: Store, value: object) -> None:
    await store.set_fact("frozen", "before")
    await store.set_fact("frozen", value)
    assert await store.fact("frozen") == value


async def test_an_unknown_fact_is_none(store: Store) -> None:
    assert await store.fact("frozen") is None


async def test_a_fact_that_json_cannot_hold_is_refused(store: Store) -> None:
    with pytest.raises(TypeError):
        await store.set_fact("frozen", NOW)
    assert await store.fact("frozen") is None


async def test_the_chains_hold_every_row_that_was_added(store: MemoryStore | SqliteStore) -> None:
    pending = example_proposal()
    await store.add_proposal(pending)
    await store.save_proposals(advance(pending, ProposalEvent.APPROVE, actor="alice", now=NOW))
    await store.log(event())
    history, log = await store.verify_chain()
    assert (history.rows, history.broken_at) == (2, None)
    assert (log.rows, log.broken_at) == (1, None)
    await store.log(event())
    assert (await store.verify_chain())[1].head != log.head


async def test_the_rows_of_a_chain_come_in_pieces_and_can_be_checked_by_anybody(
    store: MemoryStore | SqliteStore,
) -> None:
    for number in range(5):
        await store.log(event(message=f"message {number}"))
    first = await store.chain_rows("event", after=0, limit=3)
    rest = await store.chain_rows("event", after=3, limit=3)
    assert [row.position for row in (*first, *rest)] == [1, 2, 3, 4, 5]
    assert verify_chain("event", (*first, *rest)) == (await store.verify_chain())[1]
    assert await store.chain_rows("event", after=5, limit=3) == []
