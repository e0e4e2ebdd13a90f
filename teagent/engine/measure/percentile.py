"""The billing percentile: the 95th of a month's 5-minute buckets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from teagent.model.link import P95, NoData, Percentile, Utilisation

BUCKET_SECONDS = 300
_DROPPED_PERCENT = 5


def percentile_95(
    buckets: Sequence[Utilisation], *, link: str, month: str, series: Percentile, now: datetime
) -> P95 | NoData:
    """What `link` would be billed for `month` (`2026-11`, in UTC) as it stands at `now`.

    The method of the trade: one mean rate per 5 minutes, sorted, the top 5 % (rounded down) dropped, the highest one
    left is billed. `max_of_in_out` takes the larger direction of each bucket. A bucket belongs where it begins; a row
    of another link or month does not count; several rows in one bucket are averaged by their length. Buckets without
    data are counted in `missing`, up to `now`, and are not taken for zero. NoData when there is none at all.
    """
    begin, end = month_span(month)
    totals: dict[int, tuple[float, float]] = {}
    for row in buckets:
        started = row.at - timedelta(seconds=row.seconds)
        if row.link != link or row.seconds <= 0 or not begin <= started < end:
            continue
        slot = int((started - begin).total_seconds() // BUCKET_SECONDS)
        bits, seconds = totals.get(slot, (0.0, 0.0))
        totals[slot] = (bits + _series_bps(row, series) * row.seconds, seconds + row.seconds)
    if not totals:
        return NoData(since=begin, reason=f"no 5-minute bucket of {month} has data")
    rates = sorted(bits / seconds for bits, seconds in totals.values())
    dropped = len(rates) * _DROPPED_PERCENT // 100
    expected = int((min(max(now, begin), end) - begin).total_seconds() // BUCKET_SECONDS)
    return P95(
        link=link,
        month=month,
        bps=rates[len(rates) - 1 - dropped],
        buckets=len(rates),
        missing=max(0, expected - len(rates)),
    )


def month_span(month: str) -> tuple[datetime, datetime]:
    """The first moment of the month and that of the next. Raises ValueError for what is not `YYYY-MM`."""
    begin = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    return begin, (begin + timedelta(days=32)).replace(day=1)


def _series_bps(row: Utilisation, series: Percentile) -> float:
    match series:
        case Percentile.IN:
            return row.in_bps
        case Percentile.OUT:
            return row.out_bps
        case Percentile.MAX_OF_IN_OUT:
            return max(row.in_bps, row.out_bps)
