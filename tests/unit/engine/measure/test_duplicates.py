"""A flow counts once, whatever number of our routers and interfaces export it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_network

import numpy as np
import pytest

from teagent.engine.measure.attribution import Attribution
from teagent.engine.measure.matrix import MatrixBuilder
from teagent.engine.measure.windows import flow_octets
from teagent.model.link import NoData
from teagent.model.traffic import TrafficMatrix
from tests.fakes.flows import Flow, batch

AT = datetime(2026, 1, 12, 19, 40, tzinfo=UTC)
INGRESS, EGRESS = 0, 1
LINK, INTERNAL, ELSEWHERE = 1, 9, 8
INBOUND = Flow(src="192.0.2.9", dst="198.51.100.1", octets=986, packets=1, in_if=LINK, out_if=INTERNAL)
OCTETS = 1000.0  # with the header of Ethernet


def builder() -> MatrixBuilder:
    return MatrixBuilder(
        Attribution(
            links=("a", "b"),
            interfaces={("edge1", LINK): "a", ("edge2", LINK): "b"},
            prefixes=[ip_network("198.51.100.0/24")],
            routers={"192.0.2.1": "edge1", "192.0.2.2": "edge2", "192.0.2.3": "edge2"},
        )
    )


def window(
    made: MatrixBuilder,
    flows: list[tuple[Flow, int]],
    *,
    interface: float | NoData | None = OCTETS,
    exporter: str = "192.0.2.1",
) -> TrafficMatrix:
    """One window of flows with their directions, judged at its end as Ingest does."""
    found = batch([flow for flow, _ in flows], exporter=exporter)
    made.add(replace(found, direction=np.array([direction for _, direction in flows], dtype="u1")))
    matrix = made.build(at=AT, seconds=8, interface_octets={})
    octets = {} if interface is None else {"a": interface}
    made.sieve.judge(flow_octets(matrix), octets)
    return matrix


def on_a(matrix: TrafficMatrix) -> float:
    return flow_octets(matrix)["a"]


def test_a_flow_through_two_border_routers_counts_at_the_one_whose_link_it_came_in_by():
    made = builder()
    made.add(batch([INBOUND], exporter="192.0.2.1"))
    made.add(batch([replace(INBOUND, in_if=INTERNAL, out_if=ELSEWHERE)], exporter="192.0.2.2"))
    assert made.counts().elsewhere == 1
    assert flow_octets(made.build(at=AT, seconds=8, interface_octets={})) == {"a": OCTETS, "b": 0.0}


def test_egress_records_beside_ingress_records_are_left_out_from_the_next_window_on():
    made = builder()
    both = [(INBOUND, INGRESS), (INBOUND, EGRESS)]
    assert on_a(window(made, both)) == 2 * OCTETS
    assert made.sieve.left_out == ("a",)
    assert [on_a(window(made, both)) for _ in range(3)] == [OCTETS] * 3


def test_egress_records_alone_are_all_that_there_is_and_count():
    made = builder()
    assert [on_a(window(made, [(INBOUND, EGRESS)])) for _ in range(3)] == [OCTETS] * 3


def test_directions_that_do_not_mean_what_they_say_are_left_alone():
    """softflowd names one interface for both and calls the second half of a conversation egress."""
    made = builder()
    wrong = replace(INBOUND, out_if=LINK)
    assert [on_a(window(made, [(INBOUND, INGRESS), (wrong, EGRESS)], interface=2 * OCTETS)) for _ in range(3)] == [
        2 * OCTETS
    ] * 3
    assert [on_a(window(made, [(wrong, INGRESS), (wrong, EGRESS)])) for _ in range(2)] == [2 * OCTETS] * 2


def test_records_of_both_directions_that_do_not_overlap_all_count():
    made = builder()
    halves = [(INBOUND, INGRESS), (INBOUND, EGRESS)]
    assert [on_a(window(made, halves, interface=2 * OCTETS)) for _ in range(3)] == [2 * OCTETS] * 3


def test_when_the_ingress_records_end_the_egress_records_count_again():
    made = builder()
    window(made, [(INBOUND, INGRESS), (INBOUND, EGRESS)])
    window(made, [(INBOUND, EGRESS)])
    assert made.sieve.left_out == ()
    assert on_a(window(made, [(INBOUND, EGRESS)])) == OCTETS


@pytest.mark.parametrize("interface", [None, NoData(since=AT, reason="silent"), 0.0])
def test_without_counters_nothing_changes(interface):
    made = builder()
    both = [(INBOUND, INGRESS), (INBOUND, EGRESS)]
    assert [on_a(window(made, both, interface=interface)) for _ in range(2)] == [2 * OCTETS] * 2
    window(made, both)
    assert on_a(window(made, both, interface=interface)) == OCTETS
    assert made.sieve.left_out == ("a",)


def test_what_was_found_of_a_link_is_kept_when_others_come():
    made = builder()
    window(made, [(INBOUND, INGRESS), (INBOUND, EGRESS)])
    made.use(
        Attribution(
            links=("0", "a"),
            interfaces={("edge1", LINK): "a"},
            prefixes=[ip_network("198.51.100.0/24")],
            routers={"192.0.2.1": "edge1"},
        )
    )
    assert made.sieve.left_out == ("a",)
    assert on_a(window(made, [(INBOUND, INGRESS), (INBOUND, EGRESS)])) == OCTETS


def test_one_router_that_exports_from_two_addresses_shows_as_twice_its_counters():
    """Nothing in the records tells a copy from as much traffic again; coverage does, and is not trusted."""
    made = builder()
    for exporter in ("192.0.2.2", "192.0.2.3"):
        made.add(batch([INBOUND], exporter=exporter))
    matrix = made.build(at=AT, seconds=8, interface_octets={"b": OCTETS})
    assert matrix.coverage["b"] == 2.0
    assert flow_octets(matrix)["b"] == OCTETS
