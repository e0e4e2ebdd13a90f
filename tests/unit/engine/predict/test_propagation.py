"""Which of our links each AS would choose, on graphs that fit on a page."""

from __future__ import annotations

import numpy as np
import pytest

from teagent.engine.predict.as_graph import RouteClass
from teagent.engine.predict.propagation import Propagator
from teagent.engine.predict.sessions import Session, graft, sessions_in_graph
from teagent.errors import NotFound
from tests.unit.engine.predict.as_graphs import NOTHING, graph_of, row, spread

US = 64500
CUSTOMER, PEER, PROVIDER = RouteClass.CUSTOMER, RouteClass.PEER, RouteClass.PROVIDER


def only(*links: str) -> frozenset[str]:
    return frozenset(links)


def session(link: str, neighbor: int, heard_as: RouteClass = CUSTOMER, **known: bool) -> Session:
    return Session(link=link, neighbor=neighbor, heard_as=heard_as, **known)


# Two transits of ours, 10 and 20, under two tier 1 that peer; 11, 21 and 30 buy below.
TWO = graph_of("1 - 2", "1 > 10", "2 > 20", "10 > 64500", "20 > 64500", "10 > 11", "20 > 21", "10 > 30", "20 > 30")


def test_customers_routes_go_up_and_everything_goes_down() -> None:
    seen = spread(graph_of("1 > 10", "10 > 64500", "1 > 2", "2 > 3"), US)
    assert seen == {
        US: ("own", 0, only()),
        10: ("customer", 1, only("AS10")),
        1: ("customer", 2, only("AS10")),
        2: ("provider", 3, only("AS10")),
        3: ("provider", 4, only("AS10")),
    }


def test_a_peers_route_goes_to_customers_alone() -> None:
    seen = spread(graph_of("10 - 64500", "10 - 20", "10 > 11", "30 > 10"), US)
    assert seen[10] == ("peer", 1, only("AS10"))
    assert seen[11] == ("provider", 2, only("AS10"))
    assert seen[20] == seen[30] == NOTHING


def test_a_providers_route_goes_to_customers_alone() -> None:
    seen = spread(graph_of("64500 > 10", "10 - 20", "10 > 11", "30 > 10"), US)
    assert seen[10] == ("provider", 1, only("AS10"))
    assert seen[11] == ("provider", 2, only("AS10"))
    assert seen[20] == seen[30] == NOTHING


def test_a_customers_route_goes_over_one_peering_and_not_over_two() -> None:
    seen = spread(graph_of("10 > 64500", "10 - 20", "20 - 30", "20 > 21"), US)
    assert seen[20] == ("peer", 2, only("AS10"))
    assert seen[21] == ("provider", 3, only("AS10"))
    assert seen[30] == NOTHING


def test_a_long_route_of_a_customer_is_preferred_to_a_short_one_of_a_peer() -> None:
    seen = spread(graph_of("10 > 64500", "1 > 5", "5 > 10", "1 - 20", "20 > 64500"), US)
    assert seen[1] == ("customer", 3, only("AS10"))


def test_a_long_route_of_a_peer_is_preferred_to_a_short_one_of_a_provider() -> None:
    seen = spread(graph_of("20 > 64500", "20 > 30", "10 > 64500", "5 > 10", "30 - 5"), US)
    assert seen[30] == ("peer", 3, only("AS10"))


def test_what_an_as_prefers_is_what_its_customers_hear_though_it_is_longer() -> None:
    seen = spread(graph_of("10 > 64500", "5 > 10", "4 > 5", "4 - 20", "20 > 64500", "4 > 40"), US)
    assert seen[40] == ("provider", 4, only("AS10"))


def test_equally_good_links_are_all_kept() -> None:
    seen = spread(TWO, US)
    assert seen[30] == ("provider", 2, only("AS10", "AS20"))
    assert seen[11] == ("provider", 2, only("AS10"))


def test_a_prepend_breaks_a_tie() -> None:
    assert spread(TWO, US, {"AS10": 1, "AS20": 0})[30] == ("provider", 2, only("AS20"))


def test_a_prepend_makes_a_tie_and_counts_in_the_length() -> None:
    graph = graph_of("10 > 64500", "20 > 64500", "20 > 21", "10 > 30", "21 > 30")
    assert spread(graph, US)[30] == ("provider", 2, only("AS10"))
    assert spread(graph, US, {"AS10": 1, "AS20": 0})[30] == ("provider", 3, only("AS10", "AS20"))
    assert spread(graph, US, {"AS10": 2, "AS20": 0})[30] == ("provider", 3, only("AS20"))


def test_a_prepend_does_not_move_an_as_to_a_class_that_it_likes_less() -> None:
    seen = spread(TWO, US, {"AS10": 5, "AS20": 0})
    assert seen[10] == ("customer", 6, only("AS10"))
    assert seen[1] == ("customer", 7, only("AS10"))


def test_a_transit_goes_over_its_customer_when_we_prepend_to_it() -> None:
    graph = graph_of("10 > 64500", "20 > 64500", "10 > 20")
    assert spread(graph, US)[10] == ("customer", 1, only("AS10"))
    assert spread(graph, US, {"AS10": 1, "AS20": 0})[10] == ("customer", 2, only("AS10", "AS20"))
    assert spread(graph, US, {"AS10": 2, "AS20": 0})[10] == ("customer", 2, only("AS20"))


def test_a_withheld_link_is_heard_of_by_nobody() -> None:
    seen = spread(TWO, US, {"AS20": 0})
    assert seen[10] == ("provider", 4, only("AS20"))
    assert seen[11] == ("provider", 5, only("AS20"))
    assert all("AS10" not in links for _, _, links in seen.values())


def test_nothing_announced_is_nothing_heard() -> None:
    seen = spread(TWO, US, {})
    assert seen.pop(US) == ("own", 0, only())
    assert set(seen.values()) == {NOTHING}


def test_we_pass_nobodys_traffic_on() -> None:
    # 10 and 20 have each other only over us: what one hears from us must be told by us, not by the other.
    seen = spread(graph_of("10 > 64500", "64500 > 20", "64500 > 21", "20 - 22"), US, {"AS10": 0})
    assert seen[20] == seen[21] == seen[22] == NOTHING


def test_ases_that_are_each_others_providers_do_not_keep_it_busy_for_ever() -> None:
    seen = spread(graph_of("1 > 2", "2 > 3", "3 > 1", "3 > 64500", "2 > 9"), US)
    assert seen[3] == ("customer", 1, only("AS3"))
    assert seen[2] == ("customer", 2, only("AS3"))
    assert seen[1] == ("customer", 3, only("AS3"))
    assert seen[9] == ("provider", 3, only("AS3"))


def test_two_links_to_one_neighbor_are_told_apart() -> None:
    both = [session("east", 10), session("west", 10), session("other", 20)]
    assert spread(TWO, US, {"east": 0, "west": 0, "other": 0}, both)[11] == ("provider", 2, only("east", "west"))
    assert spread(TWO, US, {"east": 1, "west": 0, "other": 0}, both)[11] == ("provider", 2, only("west"))


def test_one_link_may_reach_several_neighbors() -> None:
    graph = graph_of("10 - 64500", "20 - 64500", "10 > 11", "20 > 21", "30 > 64500", "30 > 21")
    shared = [session("ix", 10, PEER), session("ix", 20, PEER), session("transit", 30)]
    seen = spread(graph, US, {"ix": 0, "transit": 0}, shared)
    assert seen[11] == ("provider", 2, only("ix"))
    assert seen[21] == ("provider", 2, only("ix", "transit"))


def test_a_neighbor_that_we_buy_from_and_peer_with_keeps_what_it_prefers() -> None:
    graph = graft(graph_of("1 > 10"), US, mixed := [session("paid", 10), session("free", 10, PEER)])
    seen = spread(graph, US, {"paid": 3, "free": 0}, mixed)
    assert seen[10] == ("customer", 4, only("paid"))
    assert spread(graph, US, {"free": 0}, mixed)[1] == NOTHING


class TestNeighborsThatAreSpecial:
    GRAPH = graph_of("10 > 64500", "20 > 64500", "10 > 20", "10 > 11", "1 > 10")

    def test_one_that_ignores_prepends_stays_and_passes_them_on(self) -> None:
        special = [session("a", 10, ignores_prepends=True), session("b", 20)]
        seen = spread(self.GRAPH, US, {"a": 3, "b": 0}, special)
        assert seen[10] == ("customer", 4, only("a"))
        assert seen[11] == ("provider", 5, only("a"))
        assert seen[1] == ("customer", 5, only("a"))

    def test_one_that_ignores_prepends_follows_when_nothing_is_announced_to_it(self) -> None:
        special = [session("a", 10, ignores_prepends=True), session("b", 20)]
        assert spread(self.GRAPH, US, {"b": 0}, special)[10] == ("customer", 2, only("b"))

    def test_all_links_to_one_that_ignores_prepends_are_equal_and_the_shortest_is_passed_on(self) -> None:
        special = [session("a", 10, ignores_prepends=True), session("c", 10, ignores_prepends=True), session("b", 20)]
        seen = spread(self.GRAPH, US, {"a": 3, "c": 1, "b": 0}, special)
        assert seen[10] == ("customer", 2, only("a", "c"))
        assert seen[11] == ("provider", 3, only("a", "c"))

    def test_ignoring_prepends_does_not_change_the_class(self) -> None:
        graph = graph_of("10 - 64500", "20 > 64500", "10 > 20")
        special = [session("a", 10, PEER, ignores_prepends=True), session("b", 20)]
        assert spread(graph, US, {"a": 0, "b": 0}, special)[10] == ("customer", 2, only("b"))

    def test_one_that_prefers_us_takes_our_peering_before_its_customers_route(self) -> None:
        graph = graph_of("10 - 64500", "20 > 64500", "10 > 20", "1 > 10", "10 > 11")
        special = [session("a", 10, PEER, prefers_us=True), session("b", 20)]
        seen = spread(graph, US, {"a": 2, "b": 0}, special)
        assert seen[10] == ("peer", 3, only("a"))
        assert seen[11] == ("provider", 4, only("a"))
        assert seen[1] == NOTHING

    def test_one_that_prefers_us_still_takes_the_shorter_of_its_links_to_us(self) -> None:
        special = [session("a", 10, prefers_us=True), session("c", 10, prefers_us=True), session("b", 20)]
        assert spread(self.GRAPH, US, {"a": 3, "c": 2, "b": 0}, special)[10] == ("customer", 3, only("c"))


class TestManyVectors:
    VECTORS = ({"AS10": 0, "AS20": 0}, {"AS10": 1, "AS20": 0}, {"AS20": 0}, {}, {"AS10": 0, "AS20": 4})

    def test_a_batch_is_what_each_vector_gives_alone(self) -> None:
        propagator = Propagator(TWO, US, sessions_in_graph(TWO, US))
        batch = propagator.propagate(self.VECTORS)
        assert [row(batch, n) for n in range(len(self.VECTORS))] == [
            row(propagator.propagate([vector])) for vector in self.VECTORS
        ]

    def test_no_vectors_are_no_rows(self) -> None:
        assert Propagator(TWO, US, sessions_in_graph(TWO, US)).propagate([]).length.shape == (0, len(TWO))

    def test_the_hops_hold_for_any_prepends(self) -> None:
        reach = Propagator(TWO, US, sessions_in_graph(TWO, US)).reach(["AS10", "AS20"])
        hops = dict(zip(reach.columns, reach.hops[:, TWO.node(30)].tolist(), strict=True))
        assert hops == {("AS10", None): 2, ("AS20", None): 2}

    @pytest.mark.parametrize(("links", "kind"), [(8, np.uint8), (9, np.uint16), (33, np.uint64), (64, np.uint64)])
    def test_a_mask_has_room_for_every_link(self, links: int, kind: type[np.unsignedinteger]) -> None:
        graph = graph_of(*(f"{n} > 64500" for n in range(1, links + 1)), *(f"{n} > 99" for n in range(1, links + 1)))
        routes = Propagator(graph, US, sessions_in_graph(graph, US)).propagate([{f"AS{links}": 0, "AS1": 0}])
        assert routes.ingress.dtype == kind
        assert row(routes)[99] == ("provider", 2, only("AS1", f"AS{links}"))

    def test_more_links_than_bits_are_refused_but_can_be_asked_one_by_one(self) -> None:
        graph = graph_of(*(f"{n} > 64500" for n in range(1, 71)), *(f"{n} > 99" for n in range(1, 71)))
        propagator = Propagator(graph, US, sessions_in_graph(graph, US))
        vector = {link: int(link == "AS7") for link in propagator.links}
        with pytest.raises(ValueError, match="70 links do not fit"):
            propagator.propagate([vector])
        route_class, length, best = propagator.shortest(vector)
        edge = graph.node(99)
        assert (route_class[edge], length[edge]) == (PROVIDER, 2)
        assert {s.link for s, nodes in best if edge in nodes} == set(propagator.links) - {"AS7"}


class TestMistakes:
    def test_a_link_that_is_not_ours_is_refused(self) -> None:
        with pytest.raises(ValueError, match="AS99 is not among the links AS10, AS20"):
            spread(TWO, US, {"AS99": 0})

    @pytest.mark.parametrize("prepend", [-1, 1001])
    def test_a_prepend_out_of_range_is_refused(self, prepend: int) -> None:
        with pytest.raises(ValueError, match="not in 0 to 1000"):
            spread(TWO, US, {"AS10": prepend})

    def test_the_longest_prepends_still_fit(self) -> None:
        assert spread(TWO, US, {"AS10": 1000, "AS20": 1000})[30] == ("provider", 1002, only("AS10", "AS20"))

    def test_a_session_that_the_graph_does_not_hold_is_refused(self) -> None:
        with pytest.raises(ValueError, match="graft it"):
            Propagator(TWO, US, [session("x", 10, PEER)])

    def test_an_as_that_the_graph_does_not_know_is_refused(self) -> None:
        with pytest.raises(NotFound, match="there is no AS 64499 in the graph"):
            Propagator(TWO, 64499, [])


def test_a_failed_as_is_gone_with_what_only_it_served() -> None:
    sessions = sessions_in_graph(TWO, US)
    seen = row(Propagator(TWO, US, sessions, failed=[20]).propagate([{"AS10": 0, "AS20": 0}]))
    assert seen[20] == seen[21] == NOTHING
    assert seen[30] == ("provider", 2, only("AS10"))
    assert seen[2] == ("peer", 3, only("AS10"))
