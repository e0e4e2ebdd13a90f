"""Readings, their buckets, and traffic matrices."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest

from teagent.model.traffic import MatrixSpan, TrafficMatrix, build_matrix
from teagent.ports import Store
from tests.contract.store.stored import at, matrix, reading

pytestmark = pytest.mark.asyncio


async def test_readings_come_back_oldest_first_and_exactly_as_they_were(store: Store) -> None:
    rows = [reading(60, 1 / 3), reading(30, 9.31e9, seconds=29.997), reading(60, 2.5, link="ix-1")]
    await store.add_utilisation(rows)
    assert await store.utilisation(since=at(0), until=at(60)) == [rows[1], rows[2], rows[0]]


async def test_readings_of_one_link_only(store: Store) -> None:
    await store.add_utilisation([reading(30, 1), reading(30, 2, link="ix-1")])
    assert await store.utilisation(since=at(0), until=at(60), link="ix-1") == [reading(30, 2, link="ix-1")]


async def test_a_range_begins_after_since_and_ends_with_until(store: Store) -> None:
    await store.add_utilisation([reading(s, s) for s in (30, 60, 90, 120)])
    assert [row.in_bps for row in await store.utilisation(since=at(30), until=at(90))] == [60, 90]


async def test_microseconds_of_a_reading_are_kept(store: Store) -> None:
    row = reading(30.123456, 1)
    await store.add_utilisation([row])
    assert [r.at for r in await store.utilisation(since=at(0), until=at(60))] == [row.at]


async def test_a_reading_in_another_time_zone_is_the_same_moment(store: Store) -> None:
    zone = timezone(timedelta(hours=2))
    await store.add_utilisation([replace(reading(30, 1), at=at(30).astimezone(zone))])
    assert [r.at for r in await store.utilisation(since=at(0), until=at(60))] == [at(30)]


async def test_a_second_reading_of_the_same_moment_takes_the_place_of_the_first(store: Store) -> None:
    await store.add_utilisation([reading(30, 1)])
    await store.add_utilisation([reading(30, 2)])
    assert await store.utilisation(since=at(0), until=at(60)) == [reading(30, 2)]


async def test_a_reading_without_time_zone_is_refused_and_none_of_its_batch_is_kept(store: Store) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        await store.add_utilisation([replace(reading(30, 1), at=datetime(2026, 1, 12))])  # noqa: DTZ001
    assert await store.utilisation(since=at(0), until=at(86400)) == []


async def test_nothing_is_added_from_no_rows(store: Store) -> None:
    await store.add_utilisation([])
    assert await store.utilisation(since=at(0), until=at(60)) == []


async def test_a_bucket_is_the_average_of_its_readings_weighted_by_their_seconds(store: Store) -> None:
    await store.add_utilisation([reading(200, 100, seconds=200), reading(300, 400, seconds=100)])
    (bucket,) = await store.five_minute_buckets(link="transit-a", since=at(0), until=at(300))
    assert (bucket.at, bucket.in_bps, bucket.out_bps, bucket.seconds) == (at(300), 200, 20, 300)


async def test_a_reading_over_a_border_is_shared_out_by_its_seconds(store: Store) -> None:
    await store.add_utilisation([reading(310, 100, seconds=40)])
    buckets = await store.five_minute_buckets(link="transit-a", since=at(0), until=at(600))
    assert [(b.at, b.in_bps, b.seconds) for b in buckets] == [(at(300), 100, 30), (at(600), 100, 10)]


async def test_a_gap_stays_a_gap(store: Store) -> None:
    await store.add_utilisation([reading(300, 100, seconds=300), reading(1200, 300, seconds=300)])
    buckets = await store.five_minute_buckets(link="transit-a", since=at(0), until=at(1200))
    assert [(b.at, b.in_bps) for b in buckets] == [(at(300), 100), (at(1200), 300)]


async def test_buckets_are_those_that_end_in_the_range_and_of_one_link(store: Store) -> None:
    await store.add_utilisation([reading(s, s, seconds=300) for s in (300, 600, 900, 1200)])
    await store.add_utilisation([reading(600, 7, link="ix-1", seconds=300)])
    buckets = await store.five_minute_buckets(link="transit-a", since=at(300), until=at(1000))
    assert [b.at for b in buckets] == [at(600), at(900)]


async def test_the_first_bucket_of_a_range_is_whole(store: Store) -> None:
    await store.add_utilisation([reading(s, 100) for s in range(30, 601, 30)])
    buckets = await store.five_minute_buckets(link="transit-a", since=at(300), until=at(600))
    assert [(b.at, b.seconds) for b in buckets] == [(at(600), 300)]
    # Also where the range begins in the middle of a bucket.
    buckets = await store.five_minute_buckets(link="transit-a", since=at(450), until=at(600))
    assert [(b.at, b.seconds) for b in buckets] == [(at(600), 300)]


def same(one: TrafficMatrix | None, other: TrafficMatrix | None) -> bool:
    if one is None or other is None:
        return one is other
    columns = ("link_index", "prefix_index", "source_index", "bps")
    return all(
        np.array_equal(getattr(one, c), getattr(other, c)) and getattr(one, c).dtype == getattr(other, c).dtype
        for c in columns
    ) and all(
        getattr(one, f) == getattr(other, f)
        for f in ("at", "seconds", "links", "prefixes", "sources", "coverage", "unattributed_bps")
    )


async def test_there_is_no_latest_matrix_at_first(store: Store) -> None:
    assert await store.latest_matrix() is None


async def test_a_matrix_comes_back_as_it_was(store: Store) -> None:
    await store.add_matrix(matrix(at(300)))
    assert same(await store.latest_matrix(), matrix(at(300)))


async def test_an_empty_matrix_comes_back_as_it_was(store: Store) -> None:
    empty = build_matrix([], at=at(300), seconds=300)
    await store.add_matrix(empty)
    assert same(await store.latest_matrix(), empty)


async def test_the_latest_matrix_is_the_latest_by_its_time(store: Store) -> None:
    for second in (600, 900, 300):
        await store.add_matrix(matrix(at(second)))
    latest = await store.latest_matrix()
    assert latest is not None
    assert latest.at == at(900)
    assert [m.at for m in await store.matrices(since=at(300), until=at(900))] == [at(600), at(900)]


async def test_matrices_of_the_spans_are_apart(store: Store) -> None:
    await store.add_matrix(matrix(at(300)))
    await store.add_matrix(matrix(at(360)), span=MatrixSpan.SHORT)
    newest = [await store.latest_matrix(span=span) for span in MatrixSpan]
    assert [None if found is None else found.at for found in newest] == [at(360), at(300), None]
    assert [m.at for m in await store.matrices(since=at(0), until=at(900), span=MatrixSpan.SHORT)] == [at(360)]


async def test_an_hour_that_has_ended_is_rolled_up_once_and_the_windows_stay(store: Store) -> None:
    for second in (300, 3600, 3900):
        await store.add_matrix(matrix(at(second)))
    for _ in range(2):
        await store.prune(now=at(7199))
    (hour,) = await store.matrices(since=at(0), until=at(86400), span=MatrixSpan.HOUR)
    assert (hour.at, hour.seconds) == (at(3600), 600)
    assert list(hour.demands()) == list(matrix(at(300)).demands())
    assert len(await store.matrices(since=at(0), until=at(86400))) == 3
    await store.prune(now=at(7200))
    assert [m.at for m in await store.matrices(since=at(0), until=at(86400), span=MatrixSpan.HOUR)] == [
        at(3600),
        at(7200),
    ]


async def test_short_windows_are_kept_for_their_own_time(store: Store) -> None:
    for span in (MatrixSpan.SHORT, MatrixSpan.WINDOW):
        await store.add_matrix(matrix(at(300)), span=span)
    deleted = await store.prune(now=at(86400 + 300))
    assert (deleted["matrix_short"], deleted["matrix"]) == (1, 0)
