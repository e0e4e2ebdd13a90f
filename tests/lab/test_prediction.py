"""A prediction on real routers, scored by flows: held against what the networks' own routers say they chose."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from labs.internet import Internet, load_internet
from labs.internet.changes import LabChange
from labs.internet.scenario import flows
from labs.prediction import DIRECTORY, predict, result
from labs.runner import Lab
from labs.runner.images import missing
from labs.runner.state import ROOT as LABS_RUNNING
from tests.lab.choices import Chosen, chosen
from tests.lab.test_demo import namespaces

pytestmark = [pytest.mark.lab, pytest.mark.slow]

SEED = 1
SHARE_TOLERANCE = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    change: LabChange
    card: Mapping[str, Any]
    routers: Chosen


@pytest.fixture(scope="module")
def internet() -> Internet:
    return load_internet(DIRECTORY / "internet.yaml")


@pytest.fixture(scope="module")
def scored(root: None, internet: Internet, tmp_path_factory: pytest.TempPathFactory) -> Scored:
    topology = Lab.from_file(DIRECTORY / "three-transit.clab.yml").topology
    if lacking := sorted({program for node in topology.nodes for program, _ in missing(node)}):
        pytest.skip(f"not installed: {', '.join(lacking)}")
    seen: list[Scored] = []

    def look(lab: Lab, change: LabChange, card: Mapping[str, Any]) -> None:
        seen.append(Scored(change=change, card=card, routers=chosen(lab, internet, change.prefix)))

    predict(changes=1, seed=SEED, logs=tmp_path_factory.mktemp("prediction"), look=look)
    [one] = seen
    return one


def test_the_prediction_is_right_enough(scored: Scored) -> None:
    found = result([(scored.change, scored.card)], seed=SEED)
    assert found["met"], found


def test_flows_tell_what_the_routers_did(scored: Scored, internet: Internet) -> None:
    own = next(own for own in internet.prefixes if own.prefix == scored.change.prefix)
    bps: Counter[str] = Counter()
    for flow in flows(internet, seed=SEED):
        if flow.destination == own.address:
            bps[scored.routers[flow.host]] += flow.bps
    for row in scored.card["links"]:
        expected = bps[row["link"]] / bps.total()
        assert row["realised_share"] == pytest.approx(expected, abs=SHARE_TOLERANCE), row["link"]


def test_who_was_missed_came_by_the_link_that_its_router_chose(scored: Scored, internet: Internet) -> None:
    names = {network.asn: network.name for network in internet.senders()}
    for row in scored.card["missed"]:
        if row["realised_link"] != row["predicted_link"]:
            assert row["realised_link"] == scored.routers[names[row["source"]["asn"]]]


def test_nothing_of_the_lab_is_left(scored: Scored) -> None:
    instance = f"prediction-{os.getpid()}"
    assert namespaces(instance) == []
    assert not (LABS_RUNNING / instance).exists()
