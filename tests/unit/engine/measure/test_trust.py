from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from teagent.engine.measure.trust import distrust
from teagent.model.link import NoData, Utilisation
from teagent.model.traffic import TrafficMatrix
from tests.golden.case import CASES, NOW, load, snapshot_of

SNAPSHOT = snapshot_of(load(CASES / "two-transit.yaml"))


def reasons(**change: Any) -> tuple[str, ...]:
    given = {
        "now": NOW,
        "links": ["transit-a", "transit-b"],
        "latest": SNAPSHOT.latest,
        "matrix": SNAPSHOT.matrix,
        "covered": ["transit-a"],
    }
    return distrust(**(given | change))


def matrix(**change: Any) -> TrafficMatrix:
    assert isinstance(SNAPSHOT.matrix, TrafficMatrix)
    return replace(SNAPSHOT.matrix, **change)


def test_good_telemetry_is_trusted() -> None:
    assert reasons() == ()


def test_a_clock_that_stepped_back_is_said() -> None:
    assert reasons(previous=NOW + timedelta(hours=2)) == ("the clock stepped back by 2h",)
    assert reasons(previous=NOW - timedelta(seconds=5)) == ()


def test_no_matrix_and_an_old_one_and_one_from_the_future() -> None:
    assert reasons(matrix=NoData(since=NOW, reason="no flows")) == ("no traffic matrix: no flows",)
    assert reasons(matrix=matrix(at=NOW - timedelta(minutes=16))) == ("the traffic matrix is 16m old, limit 15m",)
    assert reasons(matrix=matrix(at=NOW + timedelta(minutes=1))) == ("the traffic matrix is 1m ahead of the clock",)


def test_a_link_without_data_matters_only_where_it_is_involved() -> None:
    latest = dict(SNAPSHOT.latest) | {"transit-b": NoData(since=NOW - timedelta(minutes=2), reason="timed out")}
    assert reasons(latest=latest) == ("transit-b has no data for 2m: timed out",)
    assert reasons(latest=latest, links=["transit-a"]) == ()
    assert reasons(latest=latest, links=[], covered=[]) == ()


def test_a_stale_reading_is_no_reading() -> None:
    old = Utilisation(link="transit-b", at=NOW - timedelta(minutes=4), in_bps=1, out_bps=1, seconds=60)
    assert reasons(latest=dict(SNAPSHOT.latest) | {"transit-b": old}) == (
        "the reading of transit-b is 4m old, limit 3m",
    )
    ahead = replace(old, at=NOW + timedelta(minutes=4))
    assert reasons(latest=dict(SNAPSHOT.latest) | {"transit-b": ahead}) == (
        "the reading of transit-b is 4m ahead of the clock",
    )


def test_a_link_that_was_never_read() -> None:
    assert reasons(links=["transit-z"]) == ("transit-z was never read",)


def test_flows_that_do_not_fit_the_counters() -> None:
    low = matrix(coverage={"transit-a": 0.3})
    assert reasons(matrix=low) == ("flows are 30% of what the interface of transit-a counts, limits 50% to 150%",)
    assert reasons(matrix=low, covered=["transit-b"]) == (
        "the flows of transit-b could not be compared with its interface counters",
    )
