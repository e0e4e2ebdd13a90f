"""Reasons not to decide on what was measured. No data is not zero, and doubtful data is no data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from teagent.model.link import NoData, Reading
from teagent.model.traffic import TrafficMatrix
from teagent.model.units import format_age, format_duration, format_share


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustBounds:
    """`polls_stale`: a reading older than this many polls, and than `stale_after_seconds`, is stale.

    `windows_old`: a matrix older than this many of its windows, and than `matrix_after_seconds`, is too old.
    """

    polls_stale: float = 3
    stale_after_seconds: float = 90
    windows_old: float = 3
    matrix_after_seconds: float = 180
    ahead_seconds: float = 5


DEFAULT_BOUNDS = TrustBounds()
COVERAGE_LIMITS = (0.5, 1.5)
"""Flow bytes / interface bytes: sampling, header octets and windows that do not quite match leave it near 1; far from
it the flows are not those of the link.
"""


def distrust(
    *,
    now: datetime,
    links: Iterable[str],
    latest: Mapping[str, Reading],
    matrix: TrafficMatrix | NoData,
    covered: Iterable[str] = (),
    counter_doubts: Mapping[str, Sequence[str]] | None = None,
    flow_doubts: Mapping[str, Sequence[str]] | None = None,
    coverage_limits: tuple[float, float] = COVERAGE_LIMITS,
    previous: datetime | None = None,
    bounds: TrustBounds = DEFAULT_BOUNDS,
) -> tuple[str, ...]:
    """Why a decision that rests on `links` must not be made now; empty when it may.

    With no `links` only what concerns all decisions is looked at: the clock and the age of the matrix. Readings
    and `counter_doubts` are asked of `links`, flow coverage and `flow_doubts` of `covered` (the links that traffic is
    to be moved from): one dead router holds up only those decisions that its links are part of. `previous` is when the
    last snapshot was taken.
    """
    reasons: list[str] = []
    if previous is not None and now < previous:
        reasons.append(f"the clock stepped back by {format_age(now, previous)}")
    reasons += _matrix(matrix, now, bounds)
    for link in links:
        reasons += _reading(link, latest.get(link), now, bounds)
        reasons += (counter_doubts or {}).get(link, ())
    for link in covered:
        if not isinstance(matrix, NoData):
            reasons += _coverage(link, matrix, coverage_limits)
        reasons += (flow_doubts or {}).get(link, ())
    return tuple(reasons)


def _matrix(matrix: TrafficMatrix | NoData, now: datetime, bounds: TrustBounds) -> list[str]:
    if isinstance(matrix, NoData):
        return [f"no traffic matrix: {matrix.reason}"]
    allowed = max(bounds.windows_old * matrix.seconds, bounds.matrix_after_seconds)
    return _age("the traffic matrix", matrix.at, now, allowed_seconds=allowed, ahead_seconds=bounds.ahead_seconds)


def _reading(link: str, reading: Reading | None, now: datetime, bounds: TrustBounds) -> list[str]:
    if reading is None:
        return [f"{link} was never read"]
    if isinstance(reading, NoData):
        return [f"{link} has no data for {format_age(reading.since, now)}: {reading.reason}"]
    allowed = max(bounds.polls_stale * reading.seconds, bounds.stale_after_seconds)
    what = f"the reading of {link}"
    return _age(what, reading.at, now, allowed_seconds=allowed, ahead_seconds=bounds.ahead_seconds)


def _age(what: str, at: datetime, now: datetime, *, allowed_seconds: float, ahead_seconds: float) -> list[str]:
    if at - now > timedelta(seconds=ahead_seconds):
        return [f"{what} is {format_age(now, at)} ahead of the clock"]
    if (now - at).total_seconds() > allowed_seconds:
        return [f"{what} is {format_age(at, now)} old, limit {format_duration(allowed_seconds)}"]
    return []


def _coverage(link: str, matrix: TrafficMatrix, between: tuple[float, float]) -> list[str]:
    coverage = matrix.coverage.get(link)
    if coverage is None:
        return [f"the flows of {link} could not be compared with its interface counters"]
    disagreement = disagreements(matrix, between).get(link)
    return [] if disagreement is None else [disagreement]


def disagreements(matrix: TrafficMatrix | NoData, between: tuple[float, float]) -> dict[str, str]:
    """By link, those whose flows are not what their interface counts, in words. A link whose interface was not read is
    none of them.
    """
    low, high = between
    limits = f"{format_share(low)} to {format_share(high)}"
    return {
        link: f"flows are {format_share(share)} of what the interface of {link} counts, limits {limits}"
        for link, share in ({} if isinstance(matrix, NoData) else matrix.coverage).items()
        if share is not None and not low <= share <= high
    }
