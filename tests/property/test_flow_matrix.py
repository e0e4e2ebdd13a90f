from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address, ip_network

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teagent.engine.measure.attribution import NOWHERE, Attribution, PrefixTable
from teagent.engine.measure.matrix import MatrixBuilder
from tests.fakes.flows import Flow, batch

AT = datetime(2026, 1, 12, 19, 40, tzinfo=UTC)
OURS = ("198.51.100.0/24", "198.51.100.128/25", "203.0.113.0/24")
ADDRESSES = ("198.51.100.1", "198.51.100.200", "203.0.113.7", "192.0.2.1", "192.0.2.250", "100.64.0.1")
FLOWS = st.lists(
    st.builds(
        Flow,
        src=st.sampled_from(ADDRESSES),
        dst=st.sampled_from(ADDRESSES),
        octets=st.integers(0, 10**9),
        packets=st.integers(0, 10**6),
        in_if=st.integers(0, 3),
        out_if=st.integers(0, 3),
        src_asn=st.sampled_from((0, 64500, 4_200_000_000)),
        rate=st.sampled_from((1.0, 1000.0, float("nan"))),
    ),
    min_size=1,
    max_size=60,
)


def attribution() -> Attribution:
    return Attribution(
        links=("a", "b"),
        interfaces={("edge", 1): "a", ("edge", 2): "b"},
        prefixes=map(ip_network, OURS),
        routers={"192.0.2.1": "edge"},
    )


def filled(flows: list[Flow], *, max_rows: int = 50_000, step: int = 1000) -> MatrixBuilder:
    builder = MatrixBuilder(attribution(), max_rows=max_rows)
    for i in range(0, len(flows), step):
        builder.add(batch(flows[i : i + step]))
        builder.counts()
    return builder


@given(FLOWS, st.integers(0, 10**12), st.integers(1, 300))
def test_what_came_by_a_link_sums_up_to_its_interface(flows, octets, seconds):
    matrix = filled(flows).build(at=AT, seconds=seconds, interface_octets={"a": octets})
    for i, link in enumerate(matrix.links):
        total = matrix.bps[matrix.link_index == i].sum() + matrix.unattributed_bps[link]
        if link == "a" and total > 0:
            assert total == pytest.approx(octets * 8 / seconds)
    assert (matrix.bps >= 0).all()
    assert matrix.coverage["b"] is None


@given(FLOWS, st.integers(1, 60))
def test_folding_and_batching_change_no_sum_by_link_and_prefix(flows, step):
    whole = filled(flows).build(at=AT, seconds=1, interface_octets={})
    folded = filled(flows, max_rows=2, step=step).build(at=AT, seconds=1, interface_octets={})
    assert folded.by_link_and_prefix() == pytest.approx(whole.by_link_and_prefix())
    assert folded.unattributed_bps == pytest.approx(whole.unattributed_bps)


@given(FLOWS)
def test_every_record_is_counted_somewhere_once(flows):
    counts = filled(flows).counts()
    assert counts.records == counts.demand + counts.unattributed + counts.outbound + counts.elsewhere == len(flows)


PREFIXES = st.sampled_from(("10.0.0.0/8", "2001:db8::/32")).flatmap(
    lambda root: st.lists(
        st.tuples(st.integers(0, 2**24 - 1), st.integers(0, 24)).map(lambda t: _within(root, *t)),
        max_size=20,
    )
)


def _within(root: str, bits: int, more: int):
    outer = ip_network(root)
    length = outer.prefixlen + more
    address = int(outer.network_address) | bits << (outer.max_prefixlen - outer.prefixlen - 24)
    return ip_network((address >> (outer.max_prefixlen - length) << (outer.max_prefixlen - length), length))


@given(PREFIXES, st.lists(st.integers(0, 2**24 - 1), min_size=1, max_size=30))
def test_the_table_agrees_with_trying_every_prefix(prefixes, suffixes):
    family = prefixes[0].version if prefixes else 4
    table = PrefixTable(family, prefixes)
    edges = [int(edge) for p in prefixes for edge in (p.network_address, p.broadcast_address)]
    top = 0x0A << 24 if family == 4 else 0x20010DB8 << 96
    shift = 0 if family == 4 else 80
    numbers = [top | suffix << shift for suffix in suffixes] + edges + [e + 1 for e in edges] + [e - 1 for e in edges]
    if family == 4:
        found = table.match(np.array(numbers, dtype=np.uint32))
    else:
        found = table.match(np.array([(n >> 64, n & (2**64 - 1)) for n in numbers], dtype=np.uint64))
    for number, index in zip(numbers, found, strict=True):
        address = ip_address(number)
        best = max((p for p in prefixes if address in p), key=lambda p: p.prefixlen, default=None)
        assert (table.prefixes[index] if index != NOWHERE else None) == best
