"""Decisions by the learned model, which gives every sender some chance on every link."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from teagent.engine.choose.decide import decide
from teagent.engine.choose.optimise import gains
from teagent.engine.choose.search import Task, consider
from teagent.engine.predict.bands import VOLUME_ERROR
from teagent.engine.predict.ingress import IngressModel, Observation, empty
from teagent.engine.predict.ingress_learning import learn
from teagent.engine.predict.known_senders import KnownSenders
from teagent.engine.predict.scene import prepare
from teagent.engine.predict.senders import Distances
from teagent.engine.predict.shares import DemandColumns, Shares, TiesStick, Vector
from teagent.model.bgp import parse_prefix
from teagent.model.plan import Candidate, Considered, RefusedVerdict
from tests.golden.case import NOW, policies_of, snapshot_of

LINKS = ("a", "b", "c")
PREFIX = "10.0.0.0/24"
OTHER = "11.0.0.0/24"
FIRST = 64496


@lru_cache
def taught() -> IngressModel:
    """Forty senders on each link. Of those on `a` half go to `b` when it gets longer, the others to `c`; nobody else
    has gone anywhere.
    """
    count = 40
    asn = np.arange(FIRST, FIRST + 3 * count)
    main = np.repeat([0, 1, 2], count)
    follows = np.where(np.arange(3 * count) % 2, 1, 2)
    hops = np.full((len(asn), 3), 4)
    hops[np.arange(len(asn)), main] = 2
    hops[main == 0, follows[main == 0]] = 2
    distances = Distances(
        links=LINKS, asn=asn, hops=hops, start=np.arange(len(asn) + 1), upstream=np.full(len(asn), 3356)
    )
    model, before = empty(LINKS, distances), np.full(len(asn), -1)
    for number, longer in enumerate((0, 1, 2, 0)):
        on = np.where((main == 0) & (longer > 0), follows, main)
        observation = Observation(
            at=NOW - timedelta(hours=20 - number),
            links=LINKS,
            vector={"a": longer, "b": 0, "c": 0},
            asn=asn,
            share=np.eye(3)[on],
            before=before,
            bps=np.ones(len(asn)),
        )
        model, before = learn(model, observation), on
    return model


def case(capacity: str) -> dict[str, Any]:
    """Both prefixes are coarse: 4 of the 8.6 Mbit/s on `a`, and 4 on each of the others. `capacity` is theirs."""
    traffic = {
        link: {p: {f"AS{FIRST + 40 * place + n}": "0.1Mbps" for n in range(40)} for p in (PREFIX, OTHER)}
        for place, link in enumerate(LINKS)
    }
    return {
        "links": {
            "a": {"capacity": "10Mbps", "load": "8.6Mbps"},
            "b": {"capacity": capacity, "load": "8Mbps"},
            "c": {"capacity": capacity, "load": "8Mbps"},
        },
        "prefixes": {p: {"home": dict.fromkeys(LINKS, 0)} for p in (PREFIX, OTHER)},
        "traffic": traffic,
        "policy": {"limits": {"prefixes_per_plan": 1, "headroom": "5%"}},
    }


def weighed(capacity: str) -> Considered:
    """One prepend on `a`: half of what leaves comes to `b`, half to `c`."""
    snapshot, (policy,) = snapshot_of(case(capacity)), policies_of(case(capacity))
    task = Task(scene=prepare(snapshot), policy=policy, triggered=("a",), now=NOW, forecaster=KnownSenders(taught()))
    return consider(task, Candidate(vectors=((parse_prefix(PREFIX), (("a", 1), ("b", 0), ("c", 0))),)))


def test_what_moves_of_a_coarse_prefix_is_accepted_where_all_of_it_fits_anywhere() -> None:
    found = weighed("14Mbps")
    assert not isinstance(found.verdict, RefusedVerdict)
    gaining = [forecast for forecast in found.dry_run.links if gains(forecast)]
    assert [forecast.link for forecast in gaining] == ["b", "c"]
    for forecast in gaining:
        own = forecast.before_bps * (1 + VOLUME_ERROR)
        assert forecast.worst_bps == pytest.approx(own + found.dry_run.moved.high, rel=1e-6)
        # All of the prefix that is elsewhere would not fit, and every sender has some chance to come.
        assert own + 8e6 > forecast.capacity_bps


def test_it_is_refused_where_the_bands_fit_and_all_that_moves_does_not_fit_on_one_link() -> None:
    verdict = weighed("12Mbps").verdict
    assert isinstance(verdict, RefusedVerdict)
    assert {reason.rule for reason in verdict.failed()} == {"worst_case"}


def test_a_link_that_is_relieved_is_not_held_to_what_might_come_to_it() -> None:
    relieved = weighed("14Mbps").dry_run.link("a")
    assert relieved.worst_bps == relieved.before_bps
    assert not gains(relieved)


def test_a_plan_is_found() -> None:
    (decision,) = decide(
        snapshot_of(case("14Mbps")), policies_of(case("14Mbps")), NOW, forecaster=KnownSenders(taught())
    )
    assert decision.chosen is not None
    assert decision.chosen.score.excess_bps == 0


class RoughlyRight(TiesStick):
    """Looked at closely, nobody leaves under the vectors that are `against`."""

    def __init__(self, against: Callable[[Mapping[str, int]], bool]) -> None:
        self._against = against

    def forecast_shares(
        self, demands: DemandColumns, before: Vector, after: Vector, *, roughly: bool = False
    ) -> Shares:
        closely = not roughly and self._against(after)
        return super().forecast_shares(demands, before, before if closely else after)


def test_what_only_a_rough_look_allows_is_not_chosen() -> None:
    snapshot, policies = snapshot_of(case("14Mbps")), policies_of(case("14Mbps"))
    (rough,) = decide(snapshot, policies, NOW)
    assert rough.chosen is not None
    first = rough.chosen.plan.after.vector(rough.chosen.plan.prefixes()[0])
    (decision,) = decide(snapshot, policies, NOW, forecaster=RoughlyRight(lambda vector: vector == first))
    assert decision.chosen is not None
    assert decision.chosen.plan.after.vector(decision.chosen.plan.prefixes()[0]) != first
    assert decision.chosen.dry_run.moved.high > 0


def test_where_nothing_stands_a_closer_look_the_figures_of_that_look_are_shown() -> None:
    (decision,) = decide(
        snapshot_of(case("14Mbps")), policies_of(case("14Mbps")), NOW, forecaster=RoughlyRight(lambda _: True)
    )
    assert decision.chosen is None
    assert decision.considered[0].dry_run.moved.high == 0
    assert "relief" in decision.message
