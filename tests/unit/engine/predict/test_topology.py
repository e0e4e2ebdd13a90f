"""Our links grafted onto a graph, and who has no way but one of them."""

from __future__ import annotations

import numpy as np
import pytest

from teagent.engine.predict.as_graph import AsGraph
from teagent.engine.predict.topology import Topology
from tests.golden.case import CASES, load, snapshot_of

LINKS = ("transit-a", "transit-b", "transit-c")
NETWORK = snapshot_of(load(CASES / "three-links.yaml")).network


def topology(*lines: tuple[int, int], peers: tuple[tuple[int, int], ...] = ()) -> Topology:
    def pair(rows: tuple[tuple[int, int], ...]) -> tuple[np.ndarray, np.ndarray]:
        table = np.array(rows, dtype=np.int64).reshape(-1, 2)
        return table[:, 0], table[:, 1]

    return Topology.of(AsGraph.of(transit=pair(lines), peering=pair(peers)), NETWORK)


def only(found: Topology, *asns: int, announcing: tuple[str, ...] = LINKS) -> list[int]:
    return found.only_way(announcing, np.array(asns), LINKS).tolist()


def test_a_customer_of_one_transit_has_one_way_and_a_customer_of_two_has_two() -> None:
    found = topology((64501, 100), (64502, 101), (64501, 102), (64502, 102))
    assert only(found, 100, 101, 102) == [0, 1, -1]


def test_who_is_not_in_the_graph_has_none_and_we_have_none() -> None:
    assert only(topology((64501, 100)), 7, 65000) == [-1, -1]


def test_a_customers_route_is_always_preferred() -> None:
    # 64501 sells to us, so that it hears transit-b's announcement over its peer and never takes it.
    found = topology((64501, 100), peers=((64501, 64502),))
    assert only(found, 64501, 100) == [0, 0]


def test_a_link_that_does_not_announce_is_no_way() -> None:
    found = topology((64501, 100), (64502, 100))
    assert only(found, 100, announcing=("transit-a", "transit-c")) == [0]


def test_neighbors_that_the_file_does_not_know_are_said() -> None:
    assert topology((64501, 100), (64503, 100)).strangers == ("transit-b",)


@pytest.mark.parametrize("link", LINKS)
def test_each_link_reaches_its_own_neighbor(link: str) -> None:
    found = topology((64501, 100))
    reach = found.propagator.reach([link])
    assert reach.hops[0, found.propagator.graph.node(NETWORK.links[link].peer_asn)] == 1
