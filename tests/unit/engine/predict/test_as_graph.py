"""The graph of all ASes."""

from __future__ import annotations

import numpy as np
import pytest

from teagent.engine.predict.as_graph import Adjacency, AsGraph, RouteClass
from teagent.errors import NotFound
from tests.unit.engine.predict.as_graphs import graph_of

# A ladder: 1 and 2 at the top peer, 10 and 11 in the middle, 100 and 101 at the edge.
LADDER = graph_of("1 - 2", "1 > 10", "2 > 11", "10 > 100", "11 > 100", "11 > 101", "10 - 11")


def neighbors(graph: AsGraph, adjacency: Adjacency, asn: int) -> list[int]:
    return graph.asn[adjacency[graph.node(asn)]].tolist()


def relations(graph: AsGraph) -> tuple[set[tuple[int, int]], set[tuple[int, int]]]:
    transit, peering = graph.transit_pairs(), graph.peering_pairs()
    return (
        set(zip(*(side.tolist() for side in transit), strict=True)),
        set(zip(*(side.tolist() for side in peering), strict=True)),
    )


def test_every_relation_is_seen_from_both_ends() -> None:
    assert neighbors(LADDER, LADDER.providers, 100) == [10, 11]
    assert neighbors(LADDER, LADDER.customers, 11) == [100, 101]
    assert neighbors(LADDER, LADDER.peers, 10) == [11]
    assert neighbors(LADDER, LADDER.peers, 11) == [10]
    assert neighbors(LADDER, LADDER.peers, 100) == []


def test_the_pairs_are_those_that_it_was_made_of() -> None:
    assert relations(LADDER) == ({(1, 10), (2, 11), (10, 100), (11, 100), (11, 101)}, {(1, 2), (10, 11)})


def test_stubs_are_those_without_customers() -> None:
    assert LADDER.asn[LADDER.is_stub()].tolist() == [100, 101]


def test_an_unknown_as_is_refused_by_name() -> None:
    with pytest.raises(NotFound, match="there is no AS 64500 in the graph"):
        LADDER.node(64500)
    assert 64500 not in LADDER
    assert 100 in LADDER


def test_many_as_numbers_are_looked_up_at_once() -> None:
    assert LADDER.nodes(np.array([100, 5, 1, 4294967295])).tolist() == [4, -1, 0, -1]
    empty = AsGraph.of(transit=(np.array([]), np.array([])), peering=(np.array([]), np.array([])))
    assert empty.nodes(np.array([1])).tolist() == [-1]


def test_an_as_may_stand_alone() -> None:
    none = np.zeros(0, dtype=np.int64)
    graph = AsGraph.of(transit=(none, none), peering=(none, none), alone=np.array([7]))
    assert graph.asn.tolist() == [7]
    assert len(graph.providers[0]) == 0
    assert graph.cycles() == ()
    assert graph.ranks().tolist() == [0]


def test_an_as_that_is_related_to_itself_is_refused() -> None:
    one = np.array([1])
    with pytest.raises(ValueError, match="itself"):
        AsGraph.of(transit=(one, one), peering=(one, one + 1))


def test_grafting_replaces_all_that_the_file_says_of_us() -> None:
    grafted = LADDER.with_neighbors(
        100, [(2, RouteClass.CUSTOMER), (10, RouteClass.PEER), (64499, RouteClass.PROVIDER)]
    )
    transit, peering = relations(grafted)
    assert transit == {(1, 10), (2, 11), (11, 101), (2, 100), (100, 64499)}
    assert peering == {(1, 2), (10, 11), (10, 100)}


def test_grafting_leaves_the_graph_that_it_was_made_of_alone() -> None:
    before = relations(LADDER)
    LADDER.with_neighbors(100, [(2, RouteClass.CUSTOMER)])
    assert relations(LADDER) == before


def test_an_as_that_is_new_is_grafted_on() -> None:
    grafted = LADDER.with_neighbors(64500, [(11, RouteClass.CUSTOMER)])
    assert neighbors(grafted, grafted.providers, 64500) == [11]
    assert len(grafted) == len(LADDER) + 1


def test_an_as_whose_neighbors_all_go_stays_in_the_graph() -> None:
    grafted = LADDER.with_neighbors(11, [])
    assert 101 in grafted
    assert neighbors(grafted, grafted.providers, 101) == []


def test_two_sessions_of_one_kind_are_one_relation() -> None:
    grafted = LADDER.with_neighbors(64500, [(11, RouteClass.CUSTOMER), (11, RouteClass.CUSTOMER)])
    assert neighbors(grafted, grafted.providers, 64500) == [11]


@pytest.mark.parametrize("kind", [RouteClass.OWN, RouteClass.NONE])
def test_a_neighbor_hears_us_as_something(kind: RouteClass) -> None:
    with pytest.raises(ValueError, match="customer, peer or provider"):
        LADDER.with_neighbors(64500, [(11, kind)])


def test_a_sound_graph_has_no_cycles() -> None:
    assert LADDER.cycles() == ()


def test_each_group_of_ases_that_are_each_others_providers_is_reported() -> None:
    graph = graph_of("1 > 2", "2 > 3", "3 > 1", "3 > 9", "20 > 21", "22 > 20", "21 > 22", "9 > 10")
    assert graph.cycles() == ((1, 2, 3), (20, 21, 22))


def test_a_rank_is_one_more_than_that_of_the_highest_customer() -> None:
    graph = graph_of("1 > 2", "2 > 3", "1 > 4", "5 - 1")
    assert dict(zip(graph.asn.tolist(), graph.ranks().tolist(), strict=True)) == {1: 2, 2: 1, 3: 0, 4: 0, 5: 0}


def test_a_cycle_shares_a_rank() -> None:
    graph = graph_of("1 > 2", "2 > 3", "3 > 1", "3 > 9", "7 > 1")
    assert dict(zip(graph.asn.tolist(), graph.ranks().tolist(), strict=True)) == {1: 1, 2: 1, 3: 1, 7: 2, 9: 0}
