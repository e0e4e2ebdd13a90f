"""What the worst case of a dry run promises, whatever a forecaster says of where senders go."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teagent.engine.choose.optimise import gains
from teagent.engine.predict.bands import VOLUME_ERROR
from teagent.engine.predict.scene import HIDDEN_HIGH
from teagent.engine.predict.shares import DemandColumns, Floats
from teagent.engine.predict.simulate import simulate
from teagent.model.bgp import parse_prefix
from teagent.model.plan import Candidate, DryRun
from tests.fakes.forecaster import Fixed
from tests.golden.case import snapshot_of

pytestmark = pytest.mark.slow

LINKS = ("a", "b", "c")
PREFIXES = ("10.0.0.0/24", "11.0.0.0/24")
SENDERS = ("AS64496", "AS64497", "AS64498", "AS64499", "rest")
NEAR = 1 + 1e-6


@dataclass(frozen=True)
class Told:
    """A sender that is known goes where the table (senders, links) says."""

    table: tuple[tuple[float, ...], ...]

    def __call__(self, demands: DemandColumns) -> Floats:
        asn = np.array([source.asn for source in demands.sources])[demands.source_index]
        expected = np.array(self.table)[np.maximum(asn - 64496, 0)]
        expected[asn == 0] = np.eye(len(LINKS))[demands.link_index[asn == 0]]
        return expected


@st.composite
def worlds(draw: st.DrawFn) -> tuple[dict[str, Any], Told]:
    """Three links, two prefixes; most senders have some chance on every link."""
    megabits = st.integers(1, 40)
    traffic: dict[str, Any] = {}
    for link in LINKS:
        traffic[link] = {p: {s: f"{draw(megabits) / 10}Mbps" for s in SENDERS if draw(st.booleans())} for p in PREFIXES}
    links = {link: {"capacity": "40Mbps", "load": f"{draw(st.sampled_from([30, 34, 38, 39.6]))}Mbps"} for link in LINKS}
    weights = st.sampled_from([0.0, 0.002, 0.02, 0.3, 1.0])
    rows = [tuple(draw(weights) for _ in LINKS) for _ in SENDERS[:-1]]
    chances = tuple(tuple(w / sum(row) for w in row) if sum(row) else (1.0, 0.0, 0.0) for row in rows)
    home = {p: {"home": dict.fromkeys(LINKS, 0)} for p in PREFIXES}
    return {"links": links, "prefixes": home, "traffic": traffic, "policy": {}}, Told(chances)


def run(world: tuple[dict[str, Any], Told], *, times: float = 1.0, prefixes: int = 2) -> DryRun:
    vector = (("a", 1), ("b", 0), ("c", 0))
    candidate = Candidate(vectors=tuple((parse_prefix(p), vector) for p in PREFIXES[:prefixes]))
    snapshot = replace(snapshot_of(world[0]), widening=times)
    return simulate(snapshot, candidate, forecaster=Fixed(world[1]))


def may_land_bps(world: tuple[dict[str, Any], Told], onto: str, *, unknown: bool) -> float:
    """All that has any chance there, or of unknown senders may come for a path that became shorter; as much hidden as
    may be.
    """
    case, told = world
    total = 0.0
    for link, of_prefix in case["traffic"].items():
        hidden = HIDDEN_HIGH if float(case["links"][link]["load"][:-4]) >= 38 else 0.0
        for senders in of_prefix.values():
            for sender, bps in senders.items():
                megabits = float(bps[:-4]) * (1 + hidden)
                if link == onto:
                    continue
                if sender == "rest":
                    total += megabits if link == "a" else 0.0
                elif not unknown and told.table[int(sender[2:]) - 64496][LINKS.index(onto)] > 0:
                    total += megabits
    return total * 1e6


@settings(max_examples=100, deadline=None)
@given(world=worlds(), times=st.sampled_from([1.0, 1.5, 3.0]))
def test_the_worst_case_is_no_better_than_the_band_and_no_worse_than_all_that_may_land(
    world: tuple[dict[str, Any], Told], times: float
) -> None:
    found = run(world, times=times)
    for forecast in found.links:
        if not gains(forecast):
            continue
        assert forecast.worst_bps >= forecast.after.high >= forecast.after.expected
        own = forecast.before_bps * (1 + VOLUME_ERROR)
        whole = own + may_land_bps(world, forecast.link, unknown=False)
        assert forecast.worst_bps <= max(whole, forecast.after.high) * NEAR
        # Were all that moves up to its high end to land there, with all of those that nobody knows.
        moved = own + found.moved.high + may_land_bps(world, forecast.link, unknown=True)
        assert forecast.worst_bps == pytest.approx(max(min(whole, moved), forecast.after.high), rel=1e-6)


@settings(max_examples=100, deadline=None)
@given(world=worlds())
def test_a_link_that_does_not_gain_is_foreseen_to_carry_no_more_than_now(
    world: tuple[dict[str, Any], Told],
) -> None:
    """Within the thousandth of its capacity that counts as nothing, or the noise of its own load."""
    found = run(world)
    for forecast in found.links:
        if not gains(forecast):
            assert forecast.worst_bps == forecast.before_bps
            load, room = forecast.before_bps, 0.001 * forecast.capacity_bps
            ceiling = max(load * (1 + VOLUME_ERROR), forecast.capacity_bps if load >= 38e6 else 0.0)
            assert forecast.after.expected <= (max(load, forecast.capacity_bps) if load >= 38e6 else load) + room
            assert forecast.after.high <= ceiling + room


@settings(max_examples=100, deadline=None)
@given(world=worlds(), times=st.sampled_from([1.5, 3.0]))
def test_the_worst_case_grows_with_what_moves(world: tuple[dict[str, Any], Told], times: float) -> None:
    """With a second prefix, and with bands that are made wider; unless the band's own end is worse, for what leaves."""
    one = run(world, prefixes=1)
    for more in (run(world, prefixes=2), run(world, prefixes=1, times=times)):
        if more.moved.high < one.moved.high:
            continue
        for before, after in zip(one.links, more.links, strict=True):
            if gains(before) and gains(after) and before.worst_bps > before.after.high:
                assert after.worst_bps * NEAR >= before.worst_bps
