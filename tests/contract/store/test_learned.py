"""What was learned and predicted."""

from __future__ import annotations

import numpy as np
import pytest

from teagent.ports import LearnedKind, Store
from tests.contract.store.stored import at, scorecard

pytestmark = pytest.mark.asyncio


ARRAYS = {"facts": np.frombuffer(b"{}", dtype=np.uint8), "bps": np.array([[1.5, 2.5]], dtype=np.float32)}


async def test_arrays_are_read_as_they_were_written(store: Store) -> None:
    await store.keep_learned(LearnedKind.OBSERVATION, "one", at(10), ARRAYS)
    [row] = await store.learned(LearnedKind.OBSERVATION)
    assert (row.key, row.at) == ("one", at(10))
    assert row.arrays is not None
    assert {name: (array.dtype, array.tolist()) for name, array in row.arrays.items()} == {
        name: (array.dtype, array.tolist()) for name, array in ARRAYS.items()
    }


async def test_learned_rows_come_oldest_first_from_a_time_on_and_the_newest_of_many(store: Store) -> None:
    for second in (30, 10, 20):
        await store.keep_learned(LearnedKind.OBSERVATION, f"at {second}", at(second), ARRAYS)
    await store.keep_learned(LearnedKind.PREDICTION, "p-7f3c", at(15), ARRAYS)
    assert [row.key for row in await store.learned(LearnedKind.OBSERVATION, since=at(10))] == ["at 20", "at 30"]
    assert [row.key for row in await store.learned(LearnedKind.OBSERVATION, limit=2)] == ["at 20", "at 30"]


async def test_a_key_has_one_row_and_a_model_is_one(store: Store) -> None:
    for key, second in (("current", 10), ("current", 20), ("other", 30)):
        await store.keep_learned(LearnedKind.INGRESS_MODEL, key, at(second), ARRAYS)
    assert [(row.key, row.at) for row in await store.learned(LearnedKind.INGRESS_MODEL)] == [("other", at(30))]


async def test_what_is_set_aside_is_out_of_the_way_and_not_lost(store: Store) -> None:
    await store.keep_learned(LearnedKind.INGRESS_MODEL, "current", at(10), ARRAYS)
    await store.set_learned_aside(LearnedKind.INGRESS_MODEL, "current")
    await store.set_learned_aside(LearnedKind.INGRESS_MODEL, "never there")
    assert await store.learned(LearnedKind.INGRESS_MODEL) == []
    [row] = await store.learned(LearnedKind.SET_ASIDE)
    assert row.key.startswith("ingress_model current ")


async def test_what_is_forgotten_is_gone(store: Store) -> None:
    for key in ("one", "two"):
        await store.keep_learned(LearnedKind.PREDICTION, key, at(10), ARRAYS)
    await store.forget_learned(LearnedKind.PREDICTION, ["one", "three"])
    assert [row.key for row in await store.learned(LearnedKind.PREDICTION)] == ["two"]


async def test_scorecards_are_read_as_they_were_written_oldest_first(store: Store) -> None:
    cards = [scorecard(300), scorecard(600, subject=""), scorecard(900)]
    for card in (cards[2], cards[0], cards[1]):
        await store.add_scorecard(card)
    assert await store.scorecards(since=at(0)) == cards
    assert await store.scorecards(since=at(300)) == cards[1:]
    assert await store.scorecards(since=at(0), limit=1) == cards[2:]


async def test_what_was_learned_goes_with_its_age_but_for_the_model(store: Store) -> None:
    for kind in (LearnedKind.OBSERVATION, LearnedKind.INGRESS_MODEL):
        await store.keep_learned(kind, "one", at(10), ARRAYS)
    await store.add_scorecard(scorecard(300))
    deleted = await store.prune(now=at(401 * 86400))
    assert (deleted["learned"], deleted["scorecard"]) == (1, 1)
    assert len(await store.learned(LearnedKind.INGRESS_MODEL)) == 1
