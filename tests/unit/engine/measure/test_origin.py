"""Senders by the AS that originates them, in the matrix."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_network

import numpy as np

from teagent.engine.measure.attribution import Attribution
from teagent.engine.measure.matrix import MatrixBuilder
from teagent.engine.measure.origin import OriginTable
from teagent.model.origin import OriginRanges, OriginRoutes
from teagent.model.traffic import Source, TrafficMatrix
from tests.fakes.flows import Flow, batch

AT = datetime(2026, 1, 12, 19, 40, tzinfo=UTC)


def origins(**asns: int) -> OriginTable:
    """By prefix, with _ for . and / in a name that Python takes."""
    columns: dict[int, list[tuple[int, int, int]]] = {4: [], 6: []}
    for prefix, asn in asns.items():
        network = ip_network(prefix)
        down = 64 if network.version == 6 else 0
        columns[network.version].append((int(network[0]) >> down, int(network[-1]) >> down, asn))
    ranges = [
        OriginRanges(
            first=np.array([row[0] for row in columns[family]], dtype="u8"),
            last=np.array([row[1] for row in columns[family]], dtype="u8"),
            asn=np.array([row[2] for row in columns[family]], dtype="u4"),
        )
        for family in (4, 6)
    ]
    return OriginTable(OriginRoutes(ipv4=ranges[0], ipv6=ranges[1], skipped={}))


TABLE = origins(**{"10.0.0.0/8": 64501, "10.2.0.0/16": 64502, "2001:db8:1::/48": 4_200_000_000})


def builder(**settings: int) -> MatrixBuilder:
    return MatrixBuilder(
        Attribution(
            links=("a",),
            interfaces={("192.0.2.1", 1): "a"},
            prefixes=[ip_network("198.51.100.0/24"), ip_network("2001:db8:ffff::/48")],
        ),
        frame_overhead_octets=0,
        **settings,
    )


def sources(matrix: TrafficMatrix) -> dict[Source, float]:
    return {d.source: d.bps for d in matrix.demands()}


def from_(*senders: str, asn: int = 0) -> list[Flow]:
    ours = "2001:db8:ffff::1" if ":" in senders[0] else "198.51.100.1"
    return [Flow(src=src, dst=ours, octets=1000, src_asn=asn) for src in senders]


def test_a_sender_without_an_as_gets_the_one_of_the_longest_prefix_and_joins_who_is_known():
    made = builder()
    made.use_origins(TABLE)
    made.add(batch(from_("10.1.1.1", "10.1.9.1", "10.2.1.1", "192.0.2.1")))
    made.add(batch(from_("10.9.9.9", asn=64502)))
    made.add(batch(from_("2001:db8:1:2::3", "2001:db8:2::1")))
    assert sources(made.build(at=AT, seconds=8, interface_octets={})) == {
        Source(asn=64501): 2000,
        Source(asn=64502): 2000,
        Source(prefix="192.0.2.0/24"): 1000,
        Source(asn=4_200_000_000): 1000,
        Source(prefix="2001:db8:2::/48"): 1000,
    }


def test_the_record_is_believed_before_the_table():
    made = builder()
    made.use_origins(TABLE)
    made.add(batch(from_("10.1.1.1", asn=64999)))
    assert list(sources(made.build(at=AT, seconds=8, interface_octets={}))) == [Source(asn=64999)]


def test_a_new_table_holds_from_the_moment_that_it_is_there_and_none_is_none():
    made = builder()
    made.use_origins(TABLE)
    made.add(batch(from_("10.1.1.1")))
    made.use_origins(origins(**{"10.1.0.0/16": 64511}))
    assert list(sources(made.build(at=AT, seconds=8, interface_octets={}))) == [Source(asn=64511)]
    made.use_origins(None)
    made.add(batch(from_("10.1.1.1")))
    assert list(sources(made.build(at=AT, seconds=8, interface_octets={}))) == [Source(prefix="10.1.1.0/24")]


def test_a_hundred_thousand_prefixes_of_one_as_are_one_row_and_nothing_is_folded():
    """They are named before any of them would go to the rest."""
    made = builder(max_rows=100)
    made.use_origins(TABLE)
    for block in range(0, 100_000, 1000):
        flows = from_("10.1.1.1") * 1000
        columns = batch(flows)
        src = (10 << 24) + (np.arange(block, block + 1000, dtype="u4") % 65_536 << 8).astype("u4")
        made.add(type(columns)(**{name: getattr(columns, name) for name in columns.__slots__} | {"src": src}))
    assert made.counts().folded == 0
    found = sources(made.build(at=AT, seconds=8, interface_octets={}))
    assert set(found) == {Source(asn=64501), Source(asn=64502)}
    assert sum(found.values()) == 100_000 * 1000
