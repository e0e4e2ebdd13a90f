"""Averages over buckets of time, out of readings that fall where they fall.

A reading says what the load was over the seconds that end at its time, so it is shared out over the buckets that
those seconds touch. Buckets keep sums of bits and of the seconds that readings covered: sums add up whatever the
order in which readings come, and a bucket without readings is not there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from teagent.model.link import Utilisation

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
FIVE_MINUTES_US = 300 * 10**6
HOUR_US = 3600 * 10**6


@dataclass(slots=True)
class Bucket:
    """Sums over the readings of one link; `seconds` is what they covered, which a gap makes less than the bucket."""

    seconds: float = 0.0
    in_bits: float = 0.0
    out_bits: float = 0.0

    def add(self, seconds: float, in_bits: float, out_bits: float) -> None:
        self.seconds += seconds
        self.in_bits += in_bits
        self.out_bits += out_bits


Buckets = dict[tuple[str, int], Bucket]
"""By link and end of the bucket in microseconds since 1970."""


def microseconds(at: datetime) -> int:
    """Since 1970, exactly. Raises ValueError for a naive time."""
    if at.tzinfo is None:
        raise ValueError(f"{at} has no time zone")
    return (at - EPOCH) // MICROSECOND


def time_at(at_us: int) -> datetime:
    return EPOCH + at_us * MICROSECOND


def fill(buckets: Buckets, readings: Iterable[Utilisation], width_us: int) -> None:
    """Adds each reading to the buckets that it touches; a reading over no time adds nothing."""
    for reading in readings:
        end = microseconds(reading.at)
        start = end - round(reading.seconds * 10**6)
        bucket_end = (start // width_us + 1) * width_us
        while start < end:
            seconds = (min(end, bucket_end) - start) / 10**6
            bucket = buckets.setdefault((reading.link, bucket_end), Bucket())
            bucket.add(seconds, reading.in_bps * seconds, reading.out_bps * seconds)
            start, bucket_end = bucket_end, bucket_end + width_us


def averages(buckets: Buckets) -> list[Utilisation]:
    """Oldest first, then by link. `seconds` is what was covered."""
    return [
        Utilisation(
            link=link,
            at=time_at(end),
            in_bps=bucket.in_bits / bucket.seconds,
            out_bps=bucket.out_bits / bucket.seconds,
            seconds=bucket.seconds,
        )
        for (link, end), bucket in sorted(buckets.items(), key=lambda item: (item[0][1], item[0][0]))
        if bucket.seconds > 0
    ]
