"""AS paths, the cones of customers, and where the sessions come from."""

from __future__ import annotations

from ipaddress import ip_address

import numpy as np
import pytest

from teagent.engine.predict.as_graph import RouteClass
from teagent.engine.predict.paths import Paths
from teagent.engine.predict.propagation import Propagator
from teagent.engine.predict.sessions import (
    Session,
    exchange_sessions,
    graft,
    sessions_in_graph,
    sessions_of_links,
)
from teagent.engine.predict.synthetic import FIRST_ASN, Shape, internet
from teagent.engine.predict.upstreams import Upstreams, cut_by_failure
from teagent.errors import NotFound
from teagent.model.link import Link, LinkKind
from tests.unit.engine.predict.as_graphs import graph_of

US = 64500
TWO = graph_of(
    "1 - 2", "1 > 10", "2 > 20", "10 > 64500", "20 > 64500", "10 > 11", "20 > 21", "10 > 30", "20 > 30", "30 - 40"
)


def paths(vector: dict[str, int]) -> Paths:
    return Paths(Propagator(TWO, US, sessions_in_graph(TWO, US)), vector)


class TestPaths:
    def test_a_path_ends_with_our_copies(self) -> None:
        assert paths({"AS10": 0, "AS20": 2}).path(21) == (20, US, US, US)

    def test_ties_are_shown_and_broken_by_the_lowest_as_number(self) -> None:
        found = paths({"AS10": 0, "AS20": 0})
        assert found.next_hops(30) == (10, 20)
        assert found.path(30) == (10, US)

    def test_a_neighbor_hears_us_directly(self) -> None:
        assert paths({"AS10": 1, "AS20": 0}).path(10) == (US, US)

    def test_over_the_top(self) -> None:
        assert paths({"AS20": 0}).path(11) == (10, 1, 2, 20, US)

    def test_there_is_no_path_for_us_nor_where_nothing_arrives(self) -> None:
        found = paths({"AS10": 0})
        assert found.path(US) == found.path(40) == ()
        assert found.next_hops(US) == found.next_hops(40) == ()

    def test_one_that_ignores_prepends_has_the_direct_path(self) -> None:
        graph = graph_of("10 > 64500", "20 > 64500", "10 > 20")
        special = (
            Session(link="a", neighbor=10, heard_as=RouteClass.CUSTOMER, ignores_prepends=True),
            Session(link="b", neighbor=20, heard_as=RouteClass.CUSTOMER),
        )
        assert Paths(Propagator(graph, US, special), {"a": 2, "b": 0}).path(10) == (US, US, US)

    def test_an_unknown_as_is_refused(self) -> None:
        with pytest.raises(NotFound):
            paths({"AS10": 0}).path(64499)


class TestUpstreams:
    ABOVE = Upstreams(TWO)

    def test_a_cone_holds_the_as_and_all_below_it(self) -> None:
        assert self.ABOVE.customer_cone(1) == {1, 10, 11, 30, US}
        assert self.ABOVE.customer_cone(40) == {40}

    def test_upstreams_are_all_above_it(self) -> None:
        assert self.ABOVE.upstreams(US) == {10, 20, 1, 2}
        assert self.ABOVE.upstreams(1) == frozenset()

    def test_two_links_meet_where_their_ways_up_do(self) -> None:
        assert self.ABOVE.shared_upstreams(10, 20) == frozenset()
        assert self.ABOVE.shared_upstreams(10, 30) == {10, 1}

    def test_an_unknown_as_is_refused(self) -> None:
        with pytest.raises(NotFound):
            self.ABOVE.customer_cone(64499)

    def test_a_failure_cuts_off_what_has_no_other_way(self) -> None:
        assert cut_by_failure(TWO, US, sessions_in_graph(TWO, US), 20) == {21}
        assert cut_by_failure(TWO, US, sessions_in_graph(TWO, US), 30) == frozenset()

    def test_our_own_failure_cuts_everybody_off(self) -> None:
        graph = graph_of("10 > 64500", "1 > 10", "1 > 11", "2 > 20")
        assert cut_by_failure(graph, US, sessions_in_graph(graph, US), US) == {1, 10, 11}

    def test_a_path_that_nobody_would_sell_does_not_help(self) -> None:
        graph = graph_of("10 > 64500", "10 > 30", "20 - 30", "20 > 21", "10 - 20")
        assert cut_by_failure(graph, US, sessions_in_graph(graph, US), 10) == {20, 21, 30}


def link(name: str, kind: LinkKind, peer_asn: int) -> Link:
    return Link(
        name=name,
        id=1,
        kind=kind,
        router="edge1",
        interface="eth0",
        neighbor=ip_address("192.0.2.1"),
        peer_asn=peer_asn,
        capacity_bps=1e9,
    )


class TestSessions:
    LINKS = (
        link("t", LinkKind.TRANSIT, 10),
        link("p", LinkKind.PEERING, 40),
        link("x", LinkKind.IX, 64510),
        link("c", LinkKind.CUSTOMER, 64511),
    )

    def test_the_kind_of_a_link_says_what_we_are_to_its_neighbor(self) -> None:
        found = [(s.link, s.neighbor, s.heard_as) for s in sessions_of_links(self.LINKS)]
        assert found == [
            ("t", 10, RouteClass.CUSTOMER),
            ("p", 40, RouteClass.PEER),
            ("x", 64510, RouteClass.PEER),
            ("c", 64511, RouteClass.PROVIDER),
        ]

    def test_what_is_known_of_neighbors_is_on_their_sessions_alone(self) -> None:
        found = sessions_of_links(self.LINKS, prefers_us=[10], ignores_prepends=[40])
        assert [(s.prefers_us, s.ignores_prepends) for s in found] == [
            (True, False),
            (False, True),
            (False, False),
            (False, False),
        ]

    def test_what_the_file_knows_of_us_is_a_link_for_each_neighbor(self) -> None:
        assert {(s.link, s.heard_as) for s in sessions_in_graph(TWO, 30)} == {
            ("AS10", RouteClass.CUSTOMER),
            ("AS20", RouteClass.CUSTOMER),
            ("AS40", RouteClass.PEER),
        }

    def test_the_configuration_overrides_the_file(self) -> None:
        sessions = sessions_of_links(self.LINKS)
        assert {s.neighbor for s in sessions_in_graph(graft(TWO, US, sessions), US)} == {10, 40, 64510, 64511}

    def test_peers_that_no_link_names_are_behind_the_one_exchange(self) -> None:
        graph = graph_of("10 > 64500", "64500 - 40", "64500 - 50", "64500 - 60")
        found = exchange_sessions(graph, US, self.LINKS)
        assert [(s.link, s.neighbor, s.heard_as) for s in found] == [
            ("x", 50, RouteClass.PEER),
            ("x", 60, RouteClass.PEER),
        ]

    def test_of_two_exchanges_nobody_knows_which(self) -> None:
        graph = graph_of("64500 - 50")
        assert exchange_sessions(graph, US, [*self.LINKS, link("y", LinkKind.IX, 64509)]) == ()
        assert exchange_sessions(graph, US, self.LINKS[:2]) == ()
        assert exchange_sessions(graph, 64499, self.LINKS) == ()


class TestSynthetic:
    def test_the_same_seed_gives_the_same_internet_and_another_another(self) -> None:
        one, same, other = (internet(np.random.default_rng(seed)) for seed in (1, 1, 2))
        assert one.customers.target.tolist() == same.customers.target.tolist()
        assert one.peers.target.tolist() == same.peers.target.tolist()
        assert one.customers.target.tolist() != other.customers.target.tolist()

    def test_it_has_the_shape_of_the_real_one(self) -> None:
        graph = internet(np.random.default_rng(3), Shape(ases=2000, tier1=10, transit=300))
        bought = graph.providers.counts()
        assert len(graph) == 2000
        assert graph.cycles() == ()
        assert graph.asn[bought == 0].tolist() == list(range(FIRST_ASN, FIRST_ASN + 10))
        assert all(set(range(10)) - {n} <= set(graph.peers[n].tolist()) for n in range(10))
        assert graph.is_stub().sum() > 1600
        assert 0.3 < (bought[graph.is_stub()] > 1).mean() < 0.7
        assert len(graph.peers.target) > len(graph.customers.target)

    def test_everybody_reaches_everybody(self) -> None:
        graph = internet(np.random.default_rng(4), Shape(ases=300, tier1=4, transit=40))
        for asn in graph.asn[[0, 20, 299]].tolist():
            sessions = sessions_in_graph(graph, asn)
            reach = Propagator(graph, asn, sessions).reach({s.link for s in sessions})
            assert RouteClass.NONE not in reach.route_class

    def test_nobody_buys_from_whom_it_peers_with(self) -> None:
        graph = internet(np.random.default_rng(5), Shape(ases=200, tier1=3, transit=50, exchange_members=0.6))
        sold = set(zip(*(side.tolist() for side in graph.transit_pairs()), strict=True))
        met = set(zip(*(side.tolist() for side in graph.peering_pairs()), strict=True))
        assert not sold & (met | {(b, a) for a, b in met})

    @pytest.mark.parametrize(
        "wrong",
        [
            {"ases": 5, "tier1": 6},
            {"ases": 100, "transit": 100},
            {"tier1": 0},
            {"providers_max": 0},
            {"exchange_peering": 1.5},
            {"exchange_members": -0.1},
            {"exchanges": -1},
        ],
    )
    def test_an_impossible_shape_is_refused(self, wrong: dict[str, int]) -> None:
        with pytest.raises(ValueError):
            Shape(**wrong)

    def test_the_smallest_ones_are_possible(self) -> None:
        assert len(internet(np.random.default_rng(1), Shape(ases=1, tier1=1, transit=0))) == 1
        assert len(internet(np.random.default_rng(1), Shape(ases=3, tier1=1, transit=0, exchanges=1))) == 3
