"""Whatever happened: bands are never made narrower, and a widened band holds what the band held."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from teagent.engine.predict.scoring import WIDEST, widening
from teagent.engine.predict.widen import widened
from teagent.model.plan import Band, DryRun, LinkForecast
from tests.unit.engine.predict.test_scoring import outcome

loads = st.floats(0, 1e12)


@given(st.lists(st.builds(outcome, st.floats(0, 1e4), misprojected=st.floats(0, 1)), max_size=60))
def test_bands_are_widened_within_bounds(cards) -> None:
    assert 1.0 <= widening(cards) <= WIDEST


@given(st.tuples(loads, loads, loads).map(sorted), loads, loads, st.floats(1, WIDEST))
def test_a_widened_band_holds_the_band_and_the_worst_case_holds_both(edges, capacity, before, times) -> None:
    low, expected, high = edges
    band = Band(low=low, expected=expected, high=high)
    row = LinkForecast(
        link="a", capacity_bps=capacity + 1, before_bps=before, after=band, worst_bps=max(before, high), target_bps=1.0
    )
    found = widened(DryRun(links=(row,), shifts=(), moved=band, assumption=""), times).links[0]
    assert 0 <= found.after.low <= low * (1 + 1e-9)
    assert found.after.expected == expected
    assert found.after.high >= high * (1 - 1e-9)
    assert found.worst_bps >= row.worst_bps
