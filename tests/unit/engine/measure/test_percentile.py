"""The billing percentile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from teagent.engine.measure.percentile import month_span, percentile_95
from teagent.model.link import NoData, Percentile, Utilisation

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
END = datetime(2026, 12, 1, tzinfo=UTC)


def bucket(slot: int, in_bps: float, out_bps: float = 0.0, *, link: str = "transit-a", seconds: float = 300.0):
    return Utilisation(
        link=link,
        at=BEGIN + timedelta(seconds=300 * slot + seconds),
        in_bps=in_bps,
        out_bps=out_bps,
        seconds=seconds,
    )


def bill(rows, *, series=Percentile.IN, now=END):
    return percentile_95(rows, link="transit-a", month="2026-11", series=series, now=now)


def test_top_five_percent_of_a_month_are_free():
    rows = [bucket(slot, float(slot)) for slot in range(8640)]
    result = bill(rows)
    assert (result.bps, result.buckets, result.missing) == (8640 - 432 - 1, 8640, 0)


def test_five_percent_are_rounded_down():
    assert bill([bucket(slot, float(slot)) for slot in range(19)]).bps == 18.0
    assert bill([bucket(slot, float(slot)) for slot in range(20)]).bps == 18.0


def test_order_of_rows_does_not_matter():
    rows = [bucket(slot, float(slot)) for slot in range(100)]
    assert bill(rows[::-1]) == bill(rows)


def test_missing_buckets_are_counted_and_not_taken_for_zero():
    result = bill([bucket(slot, 100.0) for slot in range(10)], now=BEGIN + timedelta(hours=1))
    assert (result.bps, result.buckets, result.missing) == (100.0, 10, 2)


def test_bucket_that_is_not_over_is_not_missing():
    result = bill([bucket(0, 1.0)], now=BEGIN + timedelta(seconds=599))
    assert result.missing == 0


@pytest.mark.parametrize(
    ("series", "bps"), [(Percentile.IN, 9.0), (Percentile.OUT, 7.0), (Percentile.MAX_OF_IN_OUT, 9.0)]
)
def test_series_decides_what_is_billed(series, bps):
    rows = [bucket(slot, 9.0, 1.0) for slot in range(2)] + [bucket(slot, 5.0, 7.0) for slot in range(2, 20)]
    assert bill(rows, series=series).bps == bps


def test_larger_direction_is_taken_bucket_by_bucket():
    rows = [bucket(slot, 9.0 if slot % 2 else 1.0, 1.0 if slot % 2 else 8.0) for slot in range(20)]
    assert bill(rows, series=Percentile.MAX_OF_IN_OUT).bps == 9.0
    assert bill(rows, series=Percentile.OUT).bps == 8.0


def test_bucket_belongs_to_the_month_in_which_it_begins():
    before, last, after = bucket(-1, 1000.0), bucket(8639, 5.0), bucket(8640, 1000.0)
    result = bill([before, last, after])
    assert (result.bps, result.buckets) == (5.0, 1)


def test_rows_of_other_links_do_not_count():
    assert bill([bucket(0, 5.0), bucket(1, 1000.0, link="transit-b")]).bps == 5.0


def test_rows_in_one_bucket_are_averaged_by_their_length():
    rows = [
        bucket(0, 10.0, seconds=100.0),
        Utilisation(link="transit-a", at=BEGIN + timedelta(seconds=300), in_bps=40.0, out_bps=0.0, seconds=200.0),
    ]
    result = bill(rows)
    assert (result.bps, result.buckets) == (30.0, 1)


def test_month_without_data_has_no_percentile():
    assert bill([]) == NoData(since=BEGIN, reason="no 5-minute bucket of 2026-11 has data")


def test_months_have_their_length():
    assert month_span("2026-12")[1] == datetime(2027, 1, 1, tzinfo=UTC)
    assert month_span("2028-02")[1] == datetime(2028, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize("month", ["2026", "2026-13", "november"])
def test_month_that_is_none_is_refused(month):
    with pytest.raises(ValueError):
        month_span(month)
