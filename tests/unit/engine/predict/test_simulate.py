from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from teagent.engine.predict.looks import look
from teagent.engine.predict.scene import prepare
from teagent.engine.predict.shares import TIES_STICK, DemandColumns, Floats
from teagent.engine.predict.simulate import simulate
from teagent.errors import NotFound, Refused
from teagent.model.bgp import parse_prefix
from teagent.model.plan import Candidate, DryRun
from teagent.model.traffic import Source, TrafficMatrix
from tests.fakes.forecaster import Fixed
from tests.golden.case import CASES, load, merged, snapshot_of

BASE = load(CASES / "two-transit.yaml")
HEAVY = parse_prefix("11.0.0.0/24")


def candidate(prefix: str = "11.0.0.0/24", **vector: int) -> Candidate:
    named = tuple((link.replace("_", "-"), n) for link, n in vector.items())
    return Candidate(vectors=((parse_prefix(prefix), named),))


TO_B = candidate(transit_a=1, transit_b=0)
TIE = candidate(transit_a=0, transit_b=0)


def run(change: dict[str, Any] | None = None, what: Candidate = TO_B) -> DryRun:
    return simulate(snapshot_of(merged(BASE, change or {})), what)


def test_a_tie_is_expected_to_move_nothing_but_may() -> None:
    result = run(what=TIE)
    assert result.moved.expected == 0
    assert result.moved.high > 6.9e6
    assert result.link("transit-a").after.expected == 10e6


def test_one_prepend_more_is_expected_to_move_the_sender_as_a_whole() -> None:
    result = run({"links": {"transit-a": {"load": "9Mbps"}}})
    assert result.moved.expected == pytest.approx(6.9e6 * 0.9)
    assert result.moved.low == 0
    assert any("198.18.3.0/24 alone is 100%" in w for w in result.warnings)
    shift = result.shifts[0]
    assert (shift.source, shift.from_link, shift.to_link) == (Source(prefix="198.18.3.0/24"), "transit-a", "transit-b")
    assert result.sources == 1


def test_a_full_link_is_reckoned_to_be_offered_more_than_it_carries() -> None:
    full, not_full = run(), run({"links": {"transit-a": {"load": "9.4Mbps"}}})
    assert full.moved.expected == pytest.approx(6.9e6 * 1.25)
    assert full.moved.high == pytest.approx(6.9e6 * 1.6)
    assert not_full.moved.high == pytest.approx(6.9e6 * 0.94)
    assert any("transit-a is full" in w for w in full.warnings)
    assert not any("is full" in w for w in not_full.warnings)


def test_a_link_that_flickers_around_full_is_full() -> None:
    loads = ["10Mbps", "9.9Mbps", "10Mbps", "9.8Mbps", "9.3Mbps"]
    assert any("is full" in w for w in run({"links": {"transit-a": {"load": None, "loads": loads}}}).warnings)


def test_demands_never_sum_to_more_than_the_link_carries_now() -> None:
    result = run({"links": {"transit-a": {"load": "5Mbps"}}})
    assert result.moved.high == pytest.approx(3.45e6)
    assert result.link("transit-a").after.low >= 0


def test_what_no_flow_explains_stays_and_is_said() -> None:
    result = run({"links": {"transit-a": {"load": "30Mbps", "capacity": "100Mbps"}}})
    assert result.moved.high == pytest.approx(6.9e6)
    assert any("20.0M of 30.0M on transit-a is in no flow record" in w for w in result.warnings)


def test_unknown_senders_are_taken_to_stay() -> None:
    traffic = {"transit-a": {"11.0.0.0/24": {"198.18.3.0/24": None, "rest": "6.9Mbps"}}}
    result = run({"traffic": traffic})
    assert result.moved.high == 0
    assert any("6.90M towards 11.0.0.0/24 comes from senders that are not known" in w for w in result.warnings)
    assert any("nothing is expected to move" in w for w in result.warnings)


def test_stray_traffic_and_poor_coverage_are_said() -> None:
    result = run({"unattributed": {"transit-a": "2Mbps"}, "coverage": {"transit-a": "71%"}})
    assert any("goes to none of our prefixes" in w for w in result.warnings)
    assert any("flows cover 71% of transit-a" in w for w in result.warnings)


def test_a_link_without_data_is_left_out_and_said_not_taken_as_zero() -> None:
    result = run({"links": {"transit-b": {"no_data": "router timed out"}}})
    assert [f.link for f in result.links] == ["transit-a"]
    assert any("transit-b has no data (router timed out)" in w for w in result.warnings)


def test_traffic_where_we_do_not_announce_stays() -> None:
    traffic = {"transit-a": {"12.0.0.0/24": {"AS64500": "1Mbps"}}}
    result = run({"traffic": traffic}, candidate("12.0.0.0/24", transit_b=3))
    assert result.moved.high == 0


def test_a_prefix_without_traffic_moves_nothing_and_says_so() -> None:
    prefixes = {"13.0.0.0/24": {"home": {"transit-a": 0, "transit-b": 0}}}
    result = run({"prefixes": prefixes}, candidate("13.0.0.0/24", transit_a=1, transit_b=0))
    assert result.moved.high == 0
    assert any("no traffic was seen" in w for w in result.warnings)


def test_the_worst_case_is_that_all_that_moves_lands_there() -> None:
    result = run({"links": {"transit-a": {"load": "9Mbps"}}})
    assert result.link("transit-b").worst_bps == pytest.approx(1.05 * 22e6 + result.moved.high)
    assert result.link("transit-a").worst_bps == 9e6


def test_what_is_unlikely_to_move_is_not_in_the_worst_case() -> None:
    """A hundred senders that may each move alone: hardly all of them do."""
    senders = {f"AS{64600 + number}": "0.069Mbps" for number in range(100)}
    traffic = {"transit-a": {"11.0.0.0/24": {"198.18.3.0/24": None, **senders}}}
    result = run({"traffic": traffic, "links": {"transit-a": {"load": "9Mbps"}}}, TIE)
    assert result.moved.high < 0.9 * 6.9e6 * 0.9
    assert result.link("transit-b").worst_bps == pytest.approx(1.05 * 22e6 + result.moved.high)


def test_the_worst_case_holds_all_senders_that_nobody_knows() -> None:
    traffic = {"transit-a": {"11.0.0.0/24": {"198.18.3.0/24": "2.9Mbps", "rest": "4Mbps"}}}
    result = run({"traffic": traffic, "links": {"transit-a": {"load": "9Mbps"}}})
    known = result.moved.high
    assert known == pytest.approx(2.9e6 * 0.9)
    assert result.link("transit-b").worst_bps == pytest.approx(1.05 * 22e6 + known + 4e6 * 0.9)


def test_wider_bands_make_the_worst_case_worse_up_to_all_that_may_land() -> None:
    senders = {f"AS{64600 + number}": "0.069Mbps" for number in range(100)}
    traffic = {"transit-a": {"11.0.0.0/24": {"198.18.3.0/24": None, **senders}}}
    snapshot = snapshot_of(merged(BASE, {"traffic": traffic, "links": {"transit-a": {"load": "9Mbps"}}}))
    once, twice, often = (simulate(replace(snapshot, widening=times), TIE) for times in (1.0, 2.0, 50.0))
    wider = once.moved.expected + 2 * (once.moved.high - once.moved.expected)
    assert twice.link("transit-b").worst_bps == pytest.approx(1.05 * 22e6 + min(wider, 6.9e6 * 0.9))
    assert twice.link("transit-b").worst_bps > once.link("transit-b").worst_bps
    assert often.link("transit-b").worst_bps >= 1.05 * 22e6 + 6.9e6 * 0.9


def test_going_back_home_moves_back_what_went() -> None:
    case = merged(BASE, {"overrides": {"11.0.0.0/24": {"transit-a": 1, "transit-b": 0}}})
    case["traffic"] = {"transit-b": {"11.0.0.0/24": {"198.18.3.0/24": "9Mbps"}}, "transit-a": {}}
    case["links"]["transit-a"]["load"] = "3Mbps"
    result = simulate(snapshot_of(case), candidate(transit_a=0, transit_b=2))
    assert result.link("transit-a").after.expected == pytest.approx(12e6)


def test_a_tie_does_not_bring_back_what_went() -> None:
    case = merged(BASE, {"overrides": {"11.0.0.0/24": {"transit-a": 1, "transit-b": 0}}})
    case["traffic"] = {"transit-b": {"11.0.0.0/24": {"198.18.3.0/24": "9Mbps"}}, "transit-a": {}}
    assert simulate(snapshot_of(case), TIE).moved.expected == 0


def test_what_a_sender_shows_on_one_prefix_is_believed_of_it_on_others() -> None:
    stayed = run({"overrides": {"10.0.0.0/24": {"transit-a": 1, "transit-b": 0}}})
    assert stayed.moved.expected == 0


def test_targets_default_to_the_capacity() -> None:
    snapshot = snapshot_of(BASE)
    assert simulate(snapshot, TO_B).link("transit-a").target_bps == 10e6
    assert simulate(snapshot, TO_B, targets={"transit-a": 7e6}).link("transit-a").target_bps == 7e6


def test_the_quick_look_agrees_with_the_mean() -> None:
    scene = prepare(snapshot_of(merged(BASE, {"links": {"transit-a": {"load": "9Mbps"}}})))
    ((prefix, vector),) = TO_B.vectors
    change = look(scene, prefix, [dict(vector)], TIES_STICK).change[0, :2]
    assert change.sum() == pytest.approx(0, abs=1)
    assert 0.7 * 6.21e6 < change[1] < 0.8 * 6.21e6


@pytest.mark.parametrize(
    ("what", "error", "message"),
    [
        (candidate("192.0.2.0/24", transit_a=1), NotFound, "there is no announced prefix 192.0.2.0/24"),
        (candidate(transit_a=1, transit_x=0), NotFound, "there is no link transit-x"),
        (candidate(transit_a=1), Refused, "11.0.0.0/24 is carried by transit-a, transit-b, the change names transit-a"),
        (candidate("12.0.0.0/24", transit_a=1, transit_b=0), Refused, "12.0.0.0/24 is carried by transit-b"),
        (candidate(transit_a=6, transit_b=0), Refused, "prepend 6 is not in 0 to 5"),
    ],
)
def test_a_change_that_cannot_be_is_refused_by_name(what: Candidate, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        run(what=what)


def test_without_a_matrix_nothing_is_predicted() -> None:
    with pytest.raises(Refused, match="there is no traffic matrix: no flows"):
        run({"no_matrix": "no flows"})


def test_links_of_the_matrix_that_are_not_configured_any_more_are_ignored() -> None:
    snapshot = snapshot_of(BASE)
    matrix = snapshot.matrix
    assert isinstance(matrix, TrafficMatrix)
    with_old = replace(
        matrix,
        links=(*matrix.links, "transit-old"),
        link_index=np.append(matrix.link_index, len(matrix.links)),
        prefix_index=np.append(matrix.prefix_index, 0),
        source_index=np.append(matrix.source_index, 0),
        bps=np.append(matrix.bps, 5e6),
    )
    assert simulate(replace(snapshot, matrix=with_old), TO_B) == simulate(snapshot, TO_B)


def just_above_one(demands: DemandColumns) -> Floats:
    """All go to the second link, with a chance that rounding has put above 1."""
    expected = np.zeros((len(demands.bps), len(demands.links)), dtype=np.float32)
    expected[:, 1] = np.nextafter(np.float32(1), np.float32(2))
    return expected


def test_a_chance_that_rounding_puts_above_one_is_as_good_as_one() -> None:
    scene = prepare(snapshot_of(BASE))
    ((prefix, vector),) = TO_B.vectors
    looks = look(scene, prefix, [dict(vector)], Fixed(just_above_one))
    assert np.isfinite(looks.swing).all()
    assert (looks.variance >= 0).all()


def hardly_moving(demands: DemandColumns) -> Floats:
    """All stay but for a chance of 3 %, as the learned model says of those who have no other way."""
    expected = np.full((len(demands.bps), len(demands.links)), 0.03)
    expected[np.arange(len(expected)), demands.link_index] = 0.97
    return expected


def test_who_stays_as_good_as_certainly_is_not_said_to_decide_the_outcome() -> None:
    result = simulate(snapshot_of(BASE), TO_B, forecaster=Fixed(hardly_moving))
    assert result.sources == 0
    assert not any("of what may move" in w for w in result.warnings)
    assert "nothing is expected to move: no sender does so with a chance of more than 5%" in result.warnings
