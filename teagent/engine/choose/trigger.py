"""Does a policy's condition hold on a link: hold time and hysteresis, walked over the readings.

There is no state beside the readings: whoever holds them gets the same answer, now or a year later.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from teagent.model.link import Link, NoData, Reading, Utilisation
from teagent.model.plan import TriggerStatus
from teagent.model.policy import Policy, Trigger
from teagent.model.units import format_age, format_duration, format_share

POLLS_MISSED = 3
"""More than this many polls without a reading are a gap: what lies before it counts no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hold:
    """Where the walk stands: above since when, and whether that was long enough already."""

    above_since: datetime | None = None
    firing: bool = False
    last: Utilisation | None = None


def evaluate(
    policy: Policy, link: Link, history: Sequence[Utilisation], latest: Reading, now: datetime
) -> TriggerStatus:
    """Where `policy.when` stands on `link` at `now`.

    It fires when in_utilisation stayed above `above` for `for_seconds`, and from then on until it falls below
    `clear_below`. A gap of more than a few polls, or a clock that stepped back, starts the hold anew. Readings later
    than `now` are not looked at. `history` must reach back further than `for_seconds`, oldest first.
    """
    when = policy.when
    if isinstance(latest, NoData):
        since = format_age(latest.since, now)
        return _status(link, _Hold(), None, f"no data for {since}: {latest.reason}")
    hold = _Hold()
    for reading in _readings(history, latest, now):
        hold = _step(when, link, hold, reading)
    if hold.last is None:
        return _status(link, _Hold(), None, "no reading yet")
    share = hold.last.in_bps / link.capacity_bps
    if now - hold.last.at > _longest_gap(hold.last, hold.last):
        return _status(link, _Hold(), share, f"the last reading is {format_age(hold.last.at, now)} old")
    return _status(link, hold, share, _message(when, hold, share))


def _readings(history: Sequence[Utilisation], latest: Utilisation, now: datetime) -> Iterator[Utilisation]:
    """The history and the latest reading, which may or may not be in it already."""
    last: Utilisation | None = None
    for reading in history:
        if reading.at <= now:
            yield reading
            last = reading
    if latest.at <= now and (last is None or latest.at > last.at):
        yield latest


def _step(when: Trigger, link: Link, hold: _Hold, reading: Utilisation) -> _Hold:
    last = hold.last
    if last is not None and reading.at == last.at:
        return hold
    begins = reading.at - timedelta(seconds=reading.seconds)
    if last is not None and (reading.at < last.at or reading.at - last.at > _longest_gap(last, reading)):
        hold = _Hold()
    elif last is not None:
        begins = max(begins, last.at)
    share = reading.in_bps / link.capacity_bps
    if hold.firing:
        cleared = share < when.clear_below
        return _Hold(last=reading) if cleared else _Hold(above_since=hold.above_since, firing=True, last=reading)
    if share <= when.above:
        return _Hold(last=reading)
    since = hold.above_since or begins
    held = (reading.at - since).total_seconds() >= when.for_seconds
    return _Hold(above_since=since, firing=held, last=reading)


def _longest_gap(before: Utilisation, after: Utilisation) -> timedelta:
    return timedelta(seconds=POLLS_MISSED * max(before.seconds, after.seconds))


def _message(when: Trigger, hold: _Hold, share: float) -> str:
    if hold.last is None or hold.above_since is None:
        return f"at {format_share(share)}, not above {format_share(when.above)}"
    held = format_duration((hold.last.at - hold.above_since).total_seconds())
    needs = format_duration(when.for_seconds)
    if not hold.firing:
        return f"above {format_share(when.above)} for {held} (needs {needs})"
    if share > when.above:
        return f"above {format_share(when.above)} for {held} (needs {needs})"
    return (
        f"at {format_share(share)}, was above {format_share(when.above)} and has not fallen below "
        f"{format_share(when.clear_below)} for {held}"
    )


def _status(link: Link, hold: _Hold, share: float | None, message: str) -> TriggerStatus:
    return TriggerStatus(
        link=link.name,
        firing=hold.firing,
        above_since=hold.above_since,
        in_utilisation=share,
        message=message,
    )
