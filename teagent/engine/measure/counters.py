"""From two readings of a counter to a rate, or to the reason why there is none.

Wraps are told from resets by what the line can carry (RFC 2863 section 3.1.6), the interval is the agent's own, and
whatever cannot be true becomes NoData: a wrong rate would move traffic.
"""

from __future__ import annotations

from datetime import datetime

from teagent.model.link import CounterSample, Interface, NoData, Utilisation
from teagent.model.units import format_bps, format_duration

MIN_SECONDS = 1.0
MAX_SECONDS = 900.0
# Agents refresh counters every few seconds (net-snmp every 3), so an interval may hold that much more than it says.
REFRESH_SECONDS = 3.0
HEADROOM = 1.1
# sysUpTime counts hundredths of a second in 32 bits: it starts again after 497 days (RFC 3418).
UPTIME_WRAP_SECONDS = 2**32 / 100
# How far the agent's interval and ours may differ: answers take their time, and clocks drift.
CLOCK_SLACK_SECONDS = 5.0
CLOCK_SLACK_SHARE = 0.2
# Some agents compute the time of discontinuity anew from the wall clock, and it trembles.
DISCONTINUITY_JITTER_TICKS = 100
TICKS_PER_SECOND = 100
BITS_THAT_DO_NOT_WRAP = 64
NOT_PASSING = frozenset({"down", "notPresent", "lowerLayerDown", "testing", "dormant"})


def difference(
    previous: CounterSample | None,
    current: CounterSample,
    *,
    capacity_bps: float,
    link: str,
    min_seconds: float = MIN_SECONDS,
    max_seconds: float = MAX_SECONDS,
) -> Utilisation | NoData:
    """The mean load between two samples of the same interface.

    `capacity_bps` is the configured one; the line is believed to carry the larger of it and ifHighSpeed. Never
    negative and never above what the line can carry; otherwise NoData since `current.at`, with the reason.
    """
    reason = _not_comparable(previous, current)
    if reason is not None or previous is None:
        return NoData(since=current.at, reason=reason or "first reading, the next one gives a rate")
    seconds = _interval(previous, current, min_seconds=min_seconds, max_seconds=max_seconds)
    if isinstance(seconds, str):
        return NoData(since=current.at, reason=seconds)
    line_bps = max(capacity_bps, current.if_high_speed_bps or 0.0)
    rates: list[float] = []
    for direction, before, after in (
        ("in", previous.in_octets, current.in_octets),
        ("out", previous.out_octets, current.out_octets),
    ):
        rate = _rate(direction, before, after, bits=current.bits, seconds=seconds, line_bps=line_bps)
        if isinstance(rate, str):
            return NoData(since=current.at, reason=rate)
        rates.append(rate)
    return Utilisation(link=link, at=current.at, in_bps=rates[0], out_bps=rates[1], seconds=seconds)


def was_reset(previous: CounterSample | None, current: CounterSample) -> bool:
    """Whether the agent began to count anew between two samples of an interface: by its own word
    (ifCounterDiscontinuityTime), because it restarted, or because a 64-bit counter, which does not wrap in a lifetime
    (RFC 2863 section 3.1.6), went back.
    """
    if previous is None or previous.if_index != current.if_index:
        return False
    if _discontinuity(previous, current):
        return True
    before, after = previous.sys_uptime_seconds, current.sys_uptime_seconds
    if before is not None and after is not None and after < before:
        return isinstance(_agent_interval(previous, current, (current.at - previous.at).total_seconds()), str)
    went_back = current.in_octets < previous.in_octets or current.out_octets < previous.out_octets
    return previous.bits == current.bits == BITS_THAT_DO_NOT_WRAP and went_back


def no_counters(interface: Interface, at: datetime) -> NoData:
    """For an interface of which the agent counts nothing."""
    name = interface.if_name or interface.if_descr or f"ifIndex:{interface.if_index}"
    return NoData(since=at, reason=f"agent has no octet counters for {name}")


def _not_comparable(previous: CounterSample | None, current: CounterSample) -> str | None:
    if current.if_oper_status in NOT_PASSING:
        return f"interface is {current.if_oper_status}"
    if previous is None:
        return None
    if previous.if_index != current.if_index:
        return f"interface has moved from ifIndex {previous.if_index} to {current.if_index}"
    if previous.bits != current.bits:
        return f"counters were {previous.bits}-bit and are now {current.bits}-bit"
    read = (previous.in_octets, previous.out_octets, current.in_octets, current.out_octets)
    if any(not 0 <= octets < 2**current.bits for octets in read):
        return f"counter does not fit its {current.bits} bits"
    if _discontinuity(previous, current):
        return "agent reports a discontinuity of the counters"
    return None


def _discontinuity(previous: CounterSample, current: CounterSample) -> bool:
    before, after = previous.discontinuity, current.discontinuity
    if before is None or after is None or before == after:
        return False
    if abs(after - before) > DISCONTINUITY_JITTER_TICKS:
        return True
    uptime = previous.sys_uptime_seconds
    return uptime is not None and after > uptime * TICKS_PER_SECOND


def _interval(
    previous: CounterSample, current: CounterSample, *, min_seconds: float, max_seconds: float
) -> float | str:
    """Seconds between the samples by the agent's clock where it has one, or why they cannot be told."""
    ours = (current.at - previous.at).total_seconds()
    if ours <= 0:
        return "our clock stepped back" if ours < 0 else "two readings at the same time"
    agents = _agent_interval(previous, current, ours)
    if isinstance(agents, str):
        return agents
    seconds = ours
    if agents is not None and agents > 0:
        if abs(agents - ours) > max(CLOCK_SLACK_SECONDS, CLOCK_SLACK_SHARE * ours):
            return (
                f"agent's clock advanced {format_duration(agents)} while ours advanced {format_duration(ours)}, "
                "one of them was set"
            )
        seconds = agents
    if seconds < min_seconds:
        return f"only {format_duration(seconds)} since the last reading, it takes {format_duration(min_seconds)}"
    if seconds > max_seconds:
        return f"last reading was {format_duration(seconds)} ago, limit {format_duration(max_seconds)}"
    return seconds


def _agent_interval(previous: CounterSample, current: CounterSample, ours: float) -> float | str | None:
    """Seconds by sysUpTime; None where it tells nothing; text when the agent restarted or repeated itself."""
    before, after = previous.sys_uptime_seconds, current.sys_uptime_seconds
    if before is None or after is None:
        return None
    if after == before:
        same = (previous.in_octets, previous.out_octets) == (current.in_octets, current.out_octets)
        return "agent gave the same reading again" if same else None
    if after > before:
        return after - before
    wrapped = after - before + UPTIME_WRAP_SECONDS
    if abs(wrapped - ours) <= max(CLOCK_SLACK_SECONDS, CLOCK_SLACK_SHARE * ours):
        return wrapped
    return f"agent restarted, it is up for {format_duration(after)}"


def _rate(direction: str, before: int, after: int, *, bits: int, seconds: float, line_bps: float) -> float | str:
    """Bits per second, or why the counters give none."""
    most = line_bps / 8 * (seconds + REFRESH_SECONDS) * HEADROOM
    if line_bps / 8 * seconds >= 2**bits:
        return f"{bits}-bit counter may wrap unseen within {format_duration(seconds)} at {format_bps(line_bps)}bps"
    octets = after - before
    if octets < 0:
        octets += 2**bits
        if octets > most:
            return f"{direction} counter went back from {before} to {after}"
    if octets > most:
        return f"{direction} rate {format_bps(octets * 8 / seconds)}bps is above line rate {format_bps(line_bps)}bps"
    return octets * 8 / seconds
