"""Two forecasters in one: who has an AS is asked of the learned one."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from teagent.engine.predict.ingress import empty
from teagent.engine.predict.ingress_forecast import Learned
from teagent.engine.predict.known_senders import KnownSenders
from teagent.engine.predict.movement import summed
from teagent.engine.predict.scene import prepare
from teagent.engine.predict.shares import TIES_STICK
from teagent.engine.predict.simulate import simulate
from teagent.model.bgp import parse_prefix
from teagent.model.plan import Candidate
from tests.golden.case import CASES, load, snapshot_of

HEAVY = parse_prefix("11.0.0.0/24")
BEFORE, AFTER = {"transit-a": 0, "transit-b": 2}, {"transit-a": 1, "transit-b": 0}


def test_each_demand_has_the_shares_of_its_own_forecaster() -> None:
    scene = prepare(snapshot_of(load(CASES / "many-senders.yaml")))
    learned = Learned(empty(scene.links))
    columns = scene.demands[HEAVY]
    both = KnownSenders(empty(scene.links)).forecast_shares(columns, BEFORE, AFTER).of_demands()
    numbered = [bool(columns.sources[k].asn) for k in columns.source_index]
    assert any(numbered)
    assert not all(numbered)
    own, stated = (one.forecast_shares(columns, BEFORE, AFTER).of_demands().tolist() for one in (learned, TIES_STICK))
    wanted = [mine if known else theirs for known, mine, theirs in zip(numbered, own, stated, strict=True)]
    assert both == pytest.approx(np.array(wanted), abs=1e-9)


def test_a_dry_run_rests_on_it() -> None:
    snapshot = snapshot_of(load(CASES / "many-senders.yaml"))
    candidate = Candidate(vectors=((HEAVY, tuple(AFTER.items())),))
    found = simulate(snapshot, candidate, forecaster=KnownSenders(empty(tuple(snapshot.network.links))))
    assert found.assumption.startswith("learned from 0 announcement vectors")


def test_of_demands_that_nobody_can_move_nothing_is_looked_for() -> None:
    scene = prepare(snapshot_of(load(CASES / "many-senders.yaml")))
    live = scene.vectors[HEAVY]
    demands, afters = scene.demands[HEAVY], [{name: 3 * (name == hot) for name in live} for hot in live]
    assert TIES_STICK.movement(demands, live, afters).mean.any()
    fixed = replace(demands, kinds=replace(demands.kinds, movable=np.zeros_like(demands.kinds.movable)))
    found, wanted = (
        TIES_STICK.movement(fixed, live, afters),
        summed(fixed, TIES_STICK.forecast_each(fixed, live, afters)),
    )
    for each in fields(found):
        assert np.array_equal(getattr(found, each.name), getattr(wanted, each.name))
