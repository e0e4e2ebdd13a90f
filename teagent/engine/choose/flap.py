"""Flap protection: how often a prefix may move in a day, all prefixes together, and damping of one that keeps moving.

The damping is RFC 2439's idea with our own numbers: each move adds 1 to a penalty that halves every half-life; above a
threshold the prefix is left alone until the penalty is below another. The way home is never held up by any of this, be
it a revert or a plan that goes home, but it is a move as well: what is held up is the next way out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import log2

from teagent.model.bgp import Prefix
from teagent.model.plan import Reason
from teagent.model.policy import Damping, Limits
from teagent.model.snapshot import Busy
from teagent.model.units import format_duration

DAY = timedelta(days=1)
HOMEWARD = ", which does not hold up the way home"


@dataclass(frozen=True, slots=True, kw_only=True)
class Penalty:
    """`free_in_seconds` is 0 for a prefix that is not suppressed."""

    value: float
    free_in_seconds: float


def penalty(moves: Iterable[datetime], damping: Damping, now: datetime) -> Penalty:
    """From all moves up to `now`. RFC 2439, sections 4.2 and 4.8.6: the ceiling bounds how long anything is held."""
    ceiling = damping.reuse_below * 2 ** (damping.at_most_seconds / damping.half_life_seconds)
    value, suppressed, last = 0.0, False, now
    for at in sorted(move for move in moves if move <= now):
        value = value * 2 ** (-(at - last).total_seconds() / damping.half_life_seconds) if value else 0.0
        suppressed = suppressed and value >= damping.reuse_below
        value, last = min(value + 1, ceiling), at
        suppressed = suppressed or value > damping.suppress_above
    value *= 2 ** (-(now - last).total_seconds() / damping.half_life_seconds)
    if not suppressed or value < damping.reuse_below:
        return Penalty(value=value, free_in_seconds=0.0)
    return Penalty(value=value, free_in_seconds=damping.half_life_seconds * log2(value / damping.reuse_below))


def within_a_day(moves: Iterable[datetime], now: datetime) -> int:
    return sum(now - move < DAY for move in moves)


def prefix_reasons(
    prefix: Prefix, moves: Sequence[datetime], limits: Limits, now: datetime, *, going_home: bool = False
) -> Iterator[Reason]:
    """The opinions of `moves_per_day` and `damping` on one prefix; the figures are told of one that goes home too."""
    count = within_a_day(moves, now)
    allowed = HOMEWARD if going_home else ""
    yield Reason(
        rule="moves_per_day",
        ok=going_home or count < limits.moves_per_day,
        message=f"{prefix} has moved {count} times in 24h, limit {limits.moves_per_day}{allowed}",
        value=count,
        limit=limits.moves_per_day,
    )
    found = penalty(moves, limits.damping, now)
    held = f", left alone for {format_duration(found.free_in_seconds)} more" if found.free_in_seconds else ""
    yield Reason(
        rule="damping",
        ok=going_home or not found.free_in_seconds,
        message=f"{prefix} has a penalty of {found.value:.1f}, limit {limits.damping.suppress_above:g}"
        f"{allowed or held}",
        value=found.value,
        limit=limits.damping.suppress_above,
    )


def budget_reason(busy: Iterable[Busy], limits: Limits, now: datetime, *, going_home: bool = False) -> Reason:
    """The opinion of `all_moves_per_day` on all prefixes together."""
    count = sum(within_a_day(each.moves, now) for each in busy)
    return Reason(
        rule="all_moves_per_day",
        ok=going_home or count < limits.all_moves_per_day,
        message=f"all prefixes together have moved {count} times in 24h, limit {limits.all_moves_per_day}"
        f"{HOMEWARD if going_home else ''}",
        value=count,
        limit=limits.all_moves_per_day,
    )
