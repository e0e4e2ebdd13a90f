"""What is forgotten when, and what becomes of it."""

from __future__ import annotations

import pytest

from teagent.ports import Store
from tests.contract.store.stored import at, decision, matrix, reading

pytestmark = pytest.mark.asyncio


async def test_old_readings_become_hours_and_buckets_stay_as_they_were(store: Store) -> None:
    """Two hours a minute apart; the first hour is older than a week when the store is pruned."""
    await store.add_utilisation([reading(s, s, seconds=60) for s in range(60, 7201, 60)])
    before = await store.five_minute_buckets(link="transit-a", since=at(0), until=at(7200))
    deleted = await store.prune(now=at(7 * 86400 + 3600 + 1799))
    after = await store.five_minute_buckets(link="transit-a", since=at(0), until=at(7200))
    assert deleted["utilisation"] == 60
    assert after == before
    rows = await store.utilisation(since=at(0), until=at(7200))
    assert [(row.at, row.seconds) for row in rows[:2]] == [(at(3600), 3600), (at(3660), 60)]
    assert rows[0].in_bps == pytest.approx(sum(range(60, 3601, 60)) / 60)
    assert len(rows) == 61


async def test_a_reading_over_the_border_of_retention_is_counted_once(store: Store) -> None:
    rows = [reading(3590, 100, seconds=3590), reading(3620, 400)]
    await store.add_utilisation(rows)
    before = await store.five_minute_buckets(link="transit-a", since=at(0), until=at(3900))
    await store.prune(now=at(7 * 86400 + 3600))
    await store.prune(now=at(7 * 86400 + 2 * 3600))
    after = await store.five_minute_buckets(link="transit-a", since=at(0), until=at(3900))
    assert [(b.at, b.seconds) for b in after] == [(b.at, b.seconds) for b in before]
    assert [b.in_bps for b in after] == pytest.approx([b.in_bps for b in before])
    total = sum(row.in_bps * row.seconds for row in await store.utilisation(since=at(0), until=at(7200)))
    assert total == pytest.approx(3590 * 100 + 30 * 400)


async def test_pruning_again_deletes_nothing_more(store: Store) -> None:
    await store.add_utilisation([reading(60, 1)])
    now = at(30 * 86400)
    assert (await store.prune(now=now))["utilisation"] == 1
    assert set((await store.prune(now=now)).values()) == {0}


async def test_what_is_older_than_its_retention_goes(store: Store) -> None:
    await store.add_utilisation([reading(300, 1, seconds=300)])
    await store.add_matrix(matrix(at(300)))
    await store.save_decision(decision(when=at(0), message="older"))
    await store.save_decision(decision(when=at(300), message="newest"))
    assert (await store.prune(now=at(6 * 86400)))["matrix"] == 0
    deleted = await store.prune(now=at(401 * 86400))
    one_each = {"utilisation", "utilisation_5m", "utilisation_hourly", "matrix", "matrix_hourly", "decision"}
    assert deleted == {"matrix_short": 0, "learned": 0, "scorecard": 0, **dict.fromkeys(one_each, 1)}
    assert await store.five_minute_buckets(link="transit-a", since=at(0), until=at(300)) == []
    assert await store.latest_matrix() is None
    last = await store.last_decision("transit-balance")
    assert last is not None
    assert last.message == "newest"
