"""Counter samples to rates, and the reasons for having none."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from teagent.engine.measure.counters import difference, no_counters, was_reset
from teagent.model.link import CounterSample, Interface, NoData, Utilisation

T0 = datetime(2026, 1, 12, 19, 40, tzinfo=UTC)
GBPS = 1e9


def sample(seconds: float = 0.0, *, octets: int = 0, out: int | None = None, **changes) -> CounterSample:
    """One taken `seconds` after T0 of an agent that was up for 1000 s then."""
    values = {
        "at": T0 + timedelta(seconds=seconds),
        "sys_uptime_seconds": 1000.0 + seconds,
        "if_index": 7,
        "in_octets": octets,
        "out_octets": octets if out is None else out,
        "bits": 64,
        "discontinuity": 0,
    }
    return CounterSample(**{**values, **changes})


def between(previous: CounterSample | None, current: CounterSample, *, capacity_bps: float = GBPS, **limits):
    return difference(previous, current, capacity_bps=capacity_bps, link="transit-a", **limits)


def reason(previous: CounterSample | None, current: CounterSample, **options) -> str:
    result = between(previous, current, **options)
    assert isinstance(result, NoData), result
    assert result.since == current.at
    return result.reason


def test_rate_is_bits_over_the_interval():
    result = between(sample(octets=1000, out=5000), sample(30, octets=1000 + 3_750_000, out=5000 + 375_000))
    assert result == Utilisation(
        link="transit-a", at=T0 + timedelta(seconds=30), in_bps=1_000_000.0, out_bps=100_000.0, seconds=30.0
    )


def test_zero_traffic_is_zero_and_not_absent():
    result = between(sample(octets=5), sample(30, octets=5))
    assert isinstance(result, Utilisation)
    assert (result.in_bps, result.out_bps) == (0.0, 0.0)


def test_first_reading_gives_no_rate():
    assert reason(None, sample()) == "first reading, the next one gives a rate"


@pytest.mark.parametrize("bits", [32, 64])
def test_wrap_of_both_counters_gives_the_true_rate(bits):
    top = 2**bits
    previous = sample(octets=top - 1_000_000, bits=bits)
    current = sample(30, octets=2_750_000, bits=bits)
    result = between(previous, current, capacity_bps=10e6)
    assert isinstance(result, Utilisation)
    assert result.in_bps == pytest.approx(1e6)


def test_counter_at_its_very_top_wraps_to_zero():
    result = between(sample(octets=2**32 - 1, bits=32), sample(30, octets=0, bits=32), capacity_bps=10e6)
    assert isinstance(result, Utilisation)
    assert result.in_bps == pytest.approx(8 / 30)


def test_reset_of_a_64_bit_counter_is_not_taken_for_a_wrap():
    assert reason(sample(octets=10**12), sample(30, octets=5000)) == "in counter went back from 1000000000000 to 5000"


def test_reset_of_a_32_bit_counter_is_seen_when_a_wrap_would_be_above_line_rate():
    previous = sample(octets=1_000_000_000, out=0, bits=32)
    current = sample(30, octets=1000, out=0, bits=32)
    assert "went back" in reason(previous, current, capacity_bps=100e6)


def test_32_bit_counter_that_may_wrap_twice_gives_no_rate():
    text = reason(sample(bits=32), sample(60, octets=1000, bits=32), capacity_bps=10 * GBPS)
    assert text == "32-bit counter may wrap unseen within 1m at 10.0Gbps"


def test_32_bit_counter_on_a_slow_line_gives_a_rate_over_a_long_interval():
    assert isinstance(between(sample(bits=32), sample(300, octets=1000, bits=32), capacity_bps=10e6), Utilisation)


def test_physical_speed_decides_over_a_lower_configured_capacity():
    previous = sample(if_high_speed_bps=10 * GBPS)
    current = sample(30, octets=3_750_000_000, if_high_speed_bps=10 * GBPS)
    result = between(previous, current, capacity_bps=100e6)
    assert isinstance(result, Utilisation)
    assert result.in_bps == pytest.approx(GBPS)


def test_rate_above_line_rate_is_not_believed():
    text = reason(sample(), sample(30, octets=30 * 10**9, out=0))
    assert text == "in rate 8.00Gbps is above line rate 1.00Gbps"


def test_outbound_direction_is_checked_as_well():
    assert reason(sample(), sample(30, octets=0, out=30 * 10**9)).startswith("out rate")


def test_saturated_line_with_a_late_counter_refresh_is_believed():
    """An agent that refreshes its counters every 3 s shows up to 3 s more than the interval has."""
    result = between(sample(), sample(30, octets=33 * 10**9 // 8))
    assert isinstance(result, Utilisation)
    assert result.in_bps == pytest.approx(1.1 * GBPS)


def test_agent_restart_gives_no_rate_although_the_counter_grew():
    previous = sample(octets=100, sys_uptime_seconds=5000.0)
    current = sample(30, octets=200, sys_uptime_seconds=12.0)
    assert reason(previous, current) == "agent restarted, it is up for 12s"


def test_wrap_of_sysuptime_after_497_days_is_not_a_restart():
    top = 2**32 / 100
    previous = sample(octets=0, sys_uptime_seconds=top - 10)
    current = sample(30, octets=3_750_000, sys_uptime_seconds=20.0)
    result = between(previous, current)
    assert isinstance(result, Utilisation)
    assert result.seconds == pytest.approx(30.0, abs=0.01)


def test_interval_is_the_agents_own_where_the_clocks_agree():
    """The answer came 2 s late, the counters are of the agent's time."""
    current = sample(32, octets=3_750_000, sys_uptime_seconds=1030.0)
    result = between(sample(), current)
    assert isinstance(result, Utilisation)
    assert (result.seconds, result.in_bps) == (30.0, 1e6)


def test_clock_set_forward_gives_no_rate():
    current = sample(3630, octets=1000, sys_uptime_seconds=1030.0)
    assert reason(sample(), current) == "agent's clock advanced 30s while ours advanced 1h, one of them was set"


def test_clock_set_back_gives_no_rate():
    assert reason(sample(), sample(-10, octets=1000, sys_uptime_seconds=1030.0)) == "our clock stepped back"


def test_two_readings_at_one_time_give_no_rate():
    assert reason(sample(), sample()) == "two readings at the same time"


def test_same_reading_again_is_no_zero_rate():
    repeated = sample(30, octets=500, sys_uptime_seconds=1000.0)
    assert reason(sample(octets=500), repeated) == "agent gave the same reading again"


def test_our_clock_serves_where_sysuptime_stands_still():
    result = between(sample(octets=0), sample(30, octets=3_750_000, sys_uptime_seconds=1000.0))
    assert isinstance(result, Utilisation)
    assert result.seconds == 30.0


def test_our_clock_serves_where_the_agent_has_no_time():
    previous = sample(octets=0, sys_uptime_seconds=None)
    result = between(previous, sample(30, octets=3_750_000, sys_uptime_seconds=None))
    assert isinstance(result, Utilisation)
    assert result.in_bps == 1e6


def test_too_short_an_interval_gives_no_rate():
    assert reason(sample(), sample(0.5, octets=10)) == "only 500ms since the last reading, it takes 1s"


def test_too_long_an_interval_gives_no_rate():
    assert reason(sample(), sample(1800, octets=10)) == "last reading was 30m ago, limit 15m"


def test_limits_of_the_interval_are_the_callers():
    assert isinstance(between(sample(), sample(1800, octets=10), max_seconds=3600), Utilisation)
    assert "it takes 40s" in reason(sample(), sample(30, octets=10), min_seconds=40)


def test_changed_discontinuity_time_gives_no_rate():
    current = sample(30, octets=10**6, discontinuity=101_500)
    assert reason(sample(), current) == "agent reports a discontinuity of the counters"


def test_discontinuity_soon_after_another_is_seen():
    previous = sample(octets=100, sys_uptime_seconds=10.0, discontinuity=990)
    current = sample(30, octets=200, sys_uptime_seconds=40.0, discontinuity=1010)
    assert "discontinuity" in reason(previous, current)


def test_discontinuity_time_that_trembles_is_none():
    previous = sample(discontinuity=5000)
    assert isinstance(between(previous, sample(30, octets=10**6, discontinuity=5001)), Utilisation)


def test_discontinuity_time_that_appears_is_none():
    assert isinstance(between(sample(discontinuity=None), sample(30, octets=10, discontinuity=0)), Utilisation)


@pytest.mark.parametrize("state", ["down", "notPresent", "lowerLayerDown", "testing", "dormant"])
def test_interface_that_passes_nothing_has_no_data(state):
    assert reason(sample(), sample(30, if_oper_status=state)) == f"interface is {state}"


def test_interface_of_unknown_state_is_measured():
    """Tunnels and agents without ifOperStatus."""
    assert isinstance(between(sample(), sample(30, if_oper_status="unknown")), Utilisation)


def test_moved_index_gives_no_rate():
    assert reason(sample(), sample(30, if_index=8)) == "interface has moved from ifIndex 7 to 8"


def test_changed_counter_width_gives_no_rate():
    assert reason(sample(bits=32), sample(30)) == "counters were 32-bit and are now 64-bit"


def test_value_that_does_not_fit_its_counter_gives_no_rate():
    current = sample(30, octets=2**40, bits=32)
    assert reason(sample(bits=32), current, capacity_bps=10e6) == "counter does not fit its 32 bits"


def test_interface_without_counters_is_named():
    row = Interface(if_index=7, if_name="", if_descr="Null0", if_alias="", if_high_speed_bps=None, if_oper_status="up")
    assert no_counters(row, T0) == NoData(since=T0, reason="agent has no octet counters for Null0")
    assert no_counters(replace(row, if_descr=""), T0).reason.endswith("ifIndex:7")


@pytest.mark.parametrize(
    "current",
    [
        sample(60, octets=500, discontinuity=101_000),
        sample(60, octets=500, sys_uptime_seconds=3.0),
        sample(60, octets=500, out=1_000),
        sample(60, octets=1_000, out=500),
    ],
)
def test_an_agent_that_began_to_count_anew_is_seen(current):
    assert was_reset(sample(octets=1_000), current)


@pytest.mark.parametrize(
    ("previous", "current"),
    [
        (None, sample(60)),
        (sample(octets=1_000), sample(60, octets=1_000)),
        (sample(octets=1_000), sample(60, octets=500, if_index=8)),
        # may be a wrap, and is not told from one without the speed of the line
        (sample(octets=1_000, bits=32), sample(60, octets=500, bits=32)),
        (sample(octets=1_000, bits=32), sample(60, octets=500, bits=64)),
        # sysUpTime itself wraps after 497 days
        (sample(sys_uptime_seconds=42_949_662.96), sample(60, octets=5, sys_uptime_seconds=50.0)),
    ],
)
def test_what_may_have_another_cause_is_no_reset(previous, current):
    assert not was_reset(previous, current)
