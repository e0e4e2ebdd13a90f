"""Bits are neither made nor lost on the way from readings to buckets and hours."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from teagent.adapters.store import SqliteStore
from teagent.adapters.store.rollup import FIVE_MINUTES_US, HOUR_US, Buckets, averages, fill, microseconds, time_at
from teagent.model.link import Utilisation
from tests.fakes.store import MemoryStore

unhurried = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)  # the machine is shared
START = datetime(2026, 1, 12, tzinfo=UTC)
widths = st.sampled_from([FIVE_MINUTES_US, HOUR_US])


@st.composite
def series(draw: st.DrawFn) -> list[Utilisation]:
    """Readings of one link one after the other, some with a gap between them, none overlapping."""
    at, rows = START + timedelta(microseconds=draw(st.integers(0, 10**10))), []
    for _ in range(draw(st.integers(1, 30))):
        length = timedelta(microseconds=draw(st.integers(1, 2 * 10**9)))
        at += draw(st.sampled_from([timedelta(0), timedelta(seconds=30), timedelta(minutes=17)])) + length
        rates = draw(st.tuples(st.integers(0, 10**12), st.integers(0, 10**12)))
        rows.append(
            Utilisation(link="transit-a", at=at, in_bps=rates[0], out_bps=rates[1], seconds=length.total_seconds())
        )
    return rows


def bits(rows: list[Utilisation]) -> tuple[float, float, float]:
    return (
        math.fsum(row.in_bps * row.seconds for row in rows),
        math.fsum(row.out_bps * row.seconds for row in rows),
        math.fsum(row.seconds for row in rows),
    )


@unhurried
@given(series(), widths)
def test_buckets_hold_the_bits_and_seconds_of_the_readings(rows: list[Utilisation], width_us: int) -> None:
    buckets: Buckets = {}
    fill(buckets, rows, width_us)
    assert bits(averages(buckets)) == pytest.approx(bits(rows), rel=1e-9)


@unhurried
@given(series(), widths)
def test_a_bucket_is_never_filled_over_its_width_and_its_rate_is_between_those_of_its_readings(
    rows: list[Utilisation], width_us: int
) -> None:
    buckets: Buckets = {}
    fill(buckets, rows, width_us)
    for bucket in averages(buckets):
        assert microseconds(bucket.at) % width_us == 0
        assert 0 < bucket.seconds <= width_us / 1e6 * (1 + 1e-12)
        begin = bucket.at - timedelta(microseconds=width_us)
        inside = [r.in_bps for r in rows if r.at > begin and r.at - timedelta(seconds=r.seconds) < bucket.at]
        assert min(inside) * (1 - 1e-9) <= bucket.in_bps <= max(inside) * (1 + 1e-9)


@unhurried
@given(series(), widths, st.randoms(use_true_random=False))
def test_the_order_of_readings_does_not_matter(rows: list[Utilisation], width_us: int, order) -> None:
    one: Buckets = {}
    fill(one, rows, width_us)
    other: Buckets = {}
    fill(other, order.sample(rows, len(rows)), width_us)
    assert bits(averages(one)) == pytest.approx(bits(averages(other)), rel=1e-9)
    assert one.keys() == other.keys()


def test_a_reading_over_no_time_says_nothing() -> None:
    buckets: Buckets = {}
    fill(buckets, [Utilisation(link="transit-a", at=START, in_bps=5, out_bps=5, seconds=0)], FIVE_MINUTES_US)
    assert averages(buckets) == []


@unhurried
@given(st.integers(-(10**15), 10**16))
def test_a_microsecond_since_1970_is_a_time_and_back(at_us: int) -> None:
    assert microseconds(time_at(at_us)) == at_us


@settings(unhurried, max_examples=15)
@given(series(), st.lists(st.integers(0, 40), max_size=4))
def test_pruning_whenever_loses_no_bits_and_the_file_agrees_with_the_fake(
    rows: list[Utilisation], hours: list[int]
) -> None:
    async def check() -> None:
        with TemporaryDirectory() as directory:
            stores = (SqliteStore(Path(directory) / "teagent.db"), MemoryStore())
            seen = []
            for store in stores:
                await store.start()
                await store.add_utilisation(rows)
                for hour in sorted(hours):
                    await store.prune(now=START + timedelta(days=7, hours=hour))
                until = START + timedelta(days=30)
                seen.append(
                    (
                        list(await store.utilisation(since=START, until=until)),
                        list(await store.five_minute_buckets(link="transit-a", since=START, until=until)),
                    )
                )
                await store.stop()
            for kept in (*seen[0], *seen[1]):
                assert bits(kept) == pytest.approx(bits(rows), rel=1e-9)
            for real, fake in zip(*seen, strict=True):
                assert [row.at for row in real] == [row.at for row in fake]
                assert [row.in_bps for row in real] == pytest.approx([row.in_bps for row in fake])

    asyncio.run(check())
