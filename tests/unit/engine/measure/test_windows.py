"""Windows that follow each other as one, and the scaling to the interface counters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from teagent.engine.measure.windows import combined, flow_octets, scaled
from teagent.model.bgp import parse_prefix
from teagent.model.link import NoData
from teagent.model.traffic import Demand, Source, TrafficMatrix, build_matrix

AT = datetime(2026, 1, 12, 19, 40, tzinfo=UTC)
HEAVY, OTHER = parse_prefix("198.51.100.0/24"), parse_prefix("2001:db8::/32")
ONE, TWO, NEAR = Source(asn=64501), Source(asn=64502), Source(prefix="192.0.2.0/24")


def matrix(
    *rows: tuple[Source, str, float], at: datetime = AT, seconds: float = 60, coverage=None, unattributed=None
) -> TrafficMatrix:
    return build_matrix(
        [Demand(source=source, prefix=HEAVY, link=link, bps=bps) for source, link, bps in rows],
        at=at,
        seconds=seconds,
        coverage={"a": None, "b": None} if coverage is None else coverage,
        unattributed_bps={"a": 0.0, "b": 0.0} | (unattributed or {}),
    )


def rows(found: TrafficMatrix) -> list[tuple[Source, str, float]]:
    return [(d.source, d.link, d.bps) for d in found.demands()]


def test_the_mean_is_weighted_by_the_seconds_and_ends_where_the_last_ends():
    first = matrix((ONE, "a", 100.0), (NEAR, "b", 30.0), seconds=60, unattributed={"a": 12.0})
    second = matrix((ONE, "a", 400.0), (TWO, "a", 9.0), seconds=30, at=AT + timedelta(seconds=30))
    whole = combined([first, second], max_rows=100)
    assert rows(whole) == [(ONE, "a", 200.0), (TWO, "a", 3.0), (NEAR, "b", 20.0)]
    assert (whole.at, whole.seconds) == (second.at, 90)
    assert whole.unattributed_bps == {"a": 8.0, "b": 0.0}


def test_links_prefixes_and_sources_that_came_or_went_are_all_there():
    more = build_matrix([Demand(source=TWO, prefix=OTHER, link="c", bps=6.0)], at=AT, seconds=60)
    whole = combined([matrix((ONE, "a", 2.0)), more], max_rows=100)
    assert {(d.source, d.prefix, d.link, d.bps) for d in whole.demands()} == {
        (ONE, HEAVY, "a", 1.0),
        (TWO, OTHER, "c", 3.0),
    }
    assert whole.sources == (ONE, TWO)


def test_past_the_bound_the_small_sources_go_to_the_rest_of_their_link_and_prefix():
    parts = [matrix((ONE, "a", 8.0), (TWO, "a", 2.0), (Source(), "a", 1.0), (NEAR, "b", 1.0)) for _ in range(2)]
    whole = combined(parts, max_rows=1)
    assert rows(whole) == [(Source(), "a", 3.0), (ONE, "a", 8.0), (Source(), "b", 1.0)]


def test_nothing_cannot_be_combined_and_empty_ones_can():
    with pytest.raises(ValueError, match="no matrix"):
        combined([], max_rows=10)
    assert len(combined([matrix(), matrix()], max_rows=10)) == 0


def test_a_sum_of_raw_windows_scales_as_one_window_would():
    parts = [matrix((ONE, "a", 100.0)), matrix((ONE, "a", 300.0), (TWO, "b", 50.0))]
    whole = scaled(combined(parts, max_rows=10), {"a": 400.0 * 120 / 8, "b": NoData(since=AT, reason="silent")})
    assert rows(whole) == [(ONE, "a", 400.0), (TWO, "b", 25.0)]
    assert whole.coverage == {"a": 0.5, "b": None}


def test_coverage_of_scaled_windows_is_that_of_their_octets():
    parts = [
        matrix((ONE, "a", 300.0), coverage={"a": 1.0, "b": None}),
        matrix((ONE, "a", 100.0), coverage={"a": 0.2, "b": 1.0}),
    ]
    assert combined(parts, max_rows=10).coverage == {"a": pytest.approx(0.8), "b": 1.0}
    unknown = [matrix(coverage={"a": None}), matrix(coverage={"a": None}), matrix(coverage={"a": 1.0})]
    assert combined(unknown, max_rows=10).coverage["a"] is None


def test_the_unattributed_counts_for_the_link_and_is_scaled_with_it():
    found = matrix((ONE, "a", 60.0), unattributed={"a": 40.0})
    assert flow_octets(found) == {"a": 100.0 * 60 / 8, "b": 0.0}
    whole = scaled(found, {"a": 200.0 * 60 / 8, "b": 0.0})
    assert whole.unattributed_bps == {"a": 80.0, "b": 0.0}
    assert whole.coverage == {"a": 0.5, "b": 1.0}
    assert np.array_equal(whole.bps, [120.0])
