"""Whatever happens to a counter, no rate is negative and none is more than the line can carry."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from teagent.engine.measure.counters import HEADROOM, REFRESH_SECONDS, UPTIME_WRAP_SECONDS, difference
from teagent.model.link import CounterSample, NoData, Utilisation

T0 = datetime(2026, 1, 12, 19, 40, tzinfo=UTC)
BITS = st.sampled_from([32, 64])
LINE = st.sampled_from([1e6, 1e8, 1e9, 1e11])


def sample(at: float, uptime: float | None, octets: int, bits: int, **changes) -> CounterSample:
    values = {
        "at": T0 + timedelta(seconds=at),
        "sys_uptime_seconds": uptime,
        "if_index": 1,
        "in_octets": octets,
        "out_octets": octets,
        "bits": bits,
        "discontinuity": None,
    }
    return CounterSample(**{**values, **changes})


@st.composite
def any_samples(draw) -> tuple[list[CounterSample], float]:
    """Samples without any sense in them: values, clocks, widths and states at random."""
    bits, line = draw(BITS), draw(LINE)
    count = draw(st.integers(2, 6))
    rows = []
    for _ in range(count):
        width = draw(st.sampled_from([bits, bits, bits, 32, 64]))
        rows.append(
            sample(
                draw(st.floats(-1e5, 1e6)),
                draw(st.none() | st.floats(0, 2**32 / 100)),
                draw(st.integers(0, 2**64 - 1) | st.integers(0, 2**32 - 1)),
                width,
                out_octets=draw(st.integers(0, 2**64 - 1) | st.integers(0, 2**32 - 1)),
                discontinuity=draw(st.none() | st.integers(0, 2**32 - 1)),
                if_oper_status=draw(st.sampled_from(["up", "up", "down", "unknown"])),
                if_high_speed_bps=draw(st.none() | st.just(line)),
            )
        )
    return rows, line


@given(any_samples())
def test_no_rate_is_negative_or_impossible_whatever_the_samples(case):
    rows, line = case
    for previous, current in pairwise(rows):
        result = difference(previous, current, capacity_bps=line, link="a")
        assert isinstance(result, Utilisation | NoData)
        if isinstance(result, Utilisation):
            most = line * HEADROOM * (result.seconds + REFRESH_SECONDS) / result.seconds
            assert 0 <= result.in_bps <= most * (1 + 1e-9)
            assert 0 <= result.out_bps <= most * (1 + 1e-9)
            assert result.seconds > 0


@st.composite
def real_traffic(draw) -> tuple[list[CounterSample], list[float | None], float]:
    """A line at up to its rate, polled at intervals, with wraps by nature and restarts now and then.

    Beside each sample its true rate since the one before, None where a restart lies between.
    """
    bits = draw(BITS)
    line = draw(st.sampled_from([1e6, 1e7, 1e8]))
    octets = draw(st.integers(0, 2**bits - 1))
    uptime, at = draw(st.floats(100, 2**32 / 100 - 1)), 0.0
    rows, truth = [sample(at, uptime, octets, bits)], [None]
    for _ in range(draw(st.integers(1, 8))):
        seconds = draw(st.integers(5, 300))
        moved = int(line / 8 * seconds * draw(st.floats(0, 1)))
        at += seconds
        restarted = draw(st.integers(0, 5)) == 0
        if restarted:
            uptime, octets = draw(st.floats(0, seconds - 1)), draw(st.integers(0, moved))
        else:
            uptime, octets = (uptime + seconds) % (2**32 / 100), (octets + moved) % 2**bits
        rows.append(sample(at, uptime, octets, bits))
        truth.append(None if restarted else moved * 8 / seconds)
    return rows, truth, line


@given(real_traffic())
def test_wraps_are_counted_right_and_restarts_give_no_rate(case):
    rows, truth, line = case
    for previous, current, true_bps in zip(rows, rows[1:], truth[1:], strict=False):
        result = difference(previous, current, capacity_bps=line, link="a")
        if isinstance(result, Utilisation) and true_bps is not None:
            assert abs(result.in_bps - true_bps) <= 1e-3 * max(true_bps, 1.0)
        if isinstance(result, NoData):
            ambiguous = "may wrap unseen" in result.reason
            assert true_bps is None or ambiguous or "same reading" in result.reason, result
        # An agent that restarts when its clock would soon begin anew by itself has the same to show.
        if true_bps is None and 1000 < previous.sys_uptime_seconds < UPTIME_WRAP_SECONDS - 1000:
            assert isinstance(result, NoData), result
