from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime
from ipaddress import ip_network

import numpy as np
import pytest

from teagent.engine.measure.attribution import Attribution
from teagent.engine.measure.matrix import MatrixBuilder
from teagent.engine.measure.origin import OriginTable
from teagent.engine.measure.record_buffer import MANY
from teagent.model.link import NoData
from teagent.model.origin import OriginRanges, OriginRoutes
from teagent.model.traffic import Source
from tests.fakes.flows import Flow, batch

AT = datetime(2026, 1, 12, 19, 40, tzinfo=UTC)
ROUTERS = {"192.0.2.1": "edge-1"}
INTERFACES = {("edge-1", 1): "transit-a", ("edge-1", 2): "transit-b"}
OURS = ("198.51.100.0/24", "203.0.113.0/24", "2001:db8:1::/48")


def attribution(links=("transit-a", "transit-b"), interfaces=INTERFACES, prefixes=OURS):
    return Attribution(links=links, interfaces=interfaces, prefixes=[ip_network(p) for p in prefixes], routers=ROUTERS)


@pytest.fixture
def builder() -> MatrixBuilder:
    return MatrixBuilder(attribution())


def inbound(src="192.0.2.77", dst="198.51.100.5", **fields):
    return Flow(src=src, dst=dst, **fields)


def rows(matrix):
    return {(d.link, str(d.prefix), str(d.source)): d.bps for d in matrix.demands()}


def build(builder, seconds=10, **interface_octets):
    named = {name.replace("_", "-"): octets for name, octets in interface_octets.items()}
    return builder.build(at=AT, seconds=seconds, interface_octets=named)


def test_a_link_sums_up_to_what_its_interface_counted(builder):
    builder.add(
        batch(
            [
                inbound(octets=6000, packets=10, src_asn=64500),
                inbound(octets=2000, packets=10, src_asn=64501, dst="203.0.113.9"),
                inbound(octets=1000, packets=2, dst="192.0.2.200"),
            ]
        )
    )
    matrix = build(builder, transit_a=20_000, transit_b=0)
    total = sum(rows(matrix).values()) + matrix.unattributed_bps["transit-a"]
    assert total == pytest.approx(20_000 * 8 / 10)
    assert matrix.coverage["transit-a"] == pytest.approx((9000 + 22 * 14) / 20_000)


def test_small_packets_weigh_more_than_their_l3_octets_say(builder):
    builder.add(
        batch([inbound(octets=4000, packets=100, src_asn=64500), inbound(octets=4000, packets=3, src_asn=64501)])
    )
    matrix = build(builder, transit_a=4000 + 1400 + 4000 + 42)
    assert rows(matrix) == pytest.approx(
        {
            ("transit-a", "198.51.100.0/24", "AS64500"): 5400 * 0.8,
            ("transit-a", "198.51.100.0/24", "AS64501"): 4042 * 0.8,
        }
    )
    assert matrix.coverage["transit-a"] == pytest.approx(1)


def test_octets_that_were_counted_on_layer_2_get_no_more(builder):
    builder.add(batch([inbound(octets=1000, packets=10)], layer2=True))
    builder.add(batch([inbound(octets=1000, packets=10)]))
    assert build(builder, transit_a=2140).coverage["transit-a"] == pytest.approx(1)


def test_a_source_without_as_is_its_covering_prefix_in_both_families(builder):
    builder.add(batch([inbound(src="192.0.2.77"), inbound(src="192.0.2.78"), inbound(src="192.0.3.1")]))
    builder.add(batch([inbound(src="2001:db8:f:1::1", dst="2001:db8:1::5")]))
    builder.add(batch([inbound(src="2001:db8:f:2::1", dst="2001:db8:1::5", src_asn=64500)]))
    assert set(rows(build(builder))) == {
        ("transit-a", "198.51.100.0/24", "192.0.2.0/24"),
        ("transit-a", "198.51.100.0/24", "192.0.3.0/24"),
        ("transit-a", "2001:db8:1::/48", "2001:db8:f::/48"),
        ("transit-a", "2001:db8:1::/48", "AS64500"),
    }


@pytest.mark.parametrize("asn", [23456, 65535, 4294967295])
def test_a_number_that_is_nobodys_is_no_as_and_its_senders_go_by_their_prefix(builder, asn):
    builder.add(batch([inbound(octets=986, src_asn=asn), inbound(octets=986, src_asn=asn, src="192.0.3.1")]))
    assert rows(build(builder)) == {
        ("transit-a", "198.51.100.0/24", "192.0.2.0/24"): 800.0,
        ("transit-a", "198.51.100.0/24", "192.0.3.0/24"): 800.0,
    }


@pytest.mark.parametrize("records", [1, MANY])
def test_where_records_tell_no_as_their_senders_go_by_their_prefix_and_by_its_origin(records):
    ranges = OriginRanges(
        first=np.array([0xC0000200], "u8"), last=np.array([0xC00002FF], "u8"), asn=np.array([64999], "u4")
    )
    none = OriginRanges(first=np.zeros(0, "u8"), last=np.zeros(0, "u8"), asn=np.zeros(0, "u4"))
    builder = MatrixBuilder(attribution(), records_tell_as=False)
    builder.use_origins(OriginTable(OriginRoutes(ipv4=ranges, ipv6=none, skipped={})))
    from_transit = [inbound(octets=986, src_asn=64496), inbound(octets=986, src_asn=64496, src="192.0.3.1")]
    builder.add(batch(from_transit * records))
    assert rows(build(builder)) == {
        ("transit-a", "198.51.100.0/24", "AS64999"): 800.0 * records,
        ("transit-a", "198.51.100.0/24", "192.0.3.0/24"): 800.0 * records,
    }


def test_sampling_multiplies_and_unknown_sampling_counts_as_one_and_is_told(builder):
    builder.add(batch([inbound(octets=100, packets=0, rate=1000, src_asn=64500)]))
    builder.add(batch([inbound(octets=100, packets=0, rate=float("nan"), src_asn=64501)]))
    assert builder.counts().unknown_sampling == 1
    matrix = build(builder)
    assert rows(matrix) == {
        ("transit-a", "198.51.100.0/24", "AS64500"): 80_000.0,
        ("transit-a", "198.51.100.0/24", "AS64501"): 80.0,
    }


def test_a_link_without_a_reading_stays_unscaled_and_says_so(builder):
    builder.add(batch([inbound(octets=986, packets=1), inbound(octets=986, packets=1, in_if=2)]))
    missing = NoData(since=AT, reason="timeout")
    matrix = build(builder, transit_a=missing, transit_b=2000)
    assert matrix.coverage == {"transit-a": None, "transit-b": 0.5}
    assert {key[0]: bps for key, bps in rows(matrix).items()} == {"transit-a": 800.0, "transit-b": 1600.0}


def test_coverage_far_from_one_is_reported_not_hidden(builder):
    builder.add(batch([inbound(octets=9986, packets=1)]))
    assert build(builder, transit_a=1000).coverage["transit-a"] == 10.0
    assert build(builder, transit_a=1000).coverage["transit-a"] == 0.0
    assert build(builder, transit_a=0).coverage["transit-a"] == 1.0


def test_zero_stays_zero(builder):
    builder.add(batch([inbound(octets=0, packets=0, src_asn=64500), inbound(octets=50, packets=1, src_asn=64501)]))
    matrix = build(builder, transit_a=64_000_000)
    assert rows(matrix)["transit-a", "198.51.100.0/24", "AS64500"] == 0.0


def test_outbound_and_other_interfaces_are_in_no_figure(builder):
    builder.add(
        batch(
            [
                inbound(src="198.51.100.5", dst="192.0.2.77", out_if=1),
                inbound(in_if=44),
                inbound(),
                inbound(dst="192.0.2.9"),
            ]
        )
    )
    counts = builder.counts()
    assert (counts.records, counts.demand, counts.unattributed, counts.outbound, counts.elsewhere) == (4, 1, 1, 1, 1)
    assert len(build(builder)) == 1


def test_a_window_begins_empty(builder):
    builder.add(batch([inbound()]))
    build(builder)
    matrix = build(builder)
    assert len(matrix) == 0
    assert matrix.unattributed_bps == {"transit-a": 0.0, "transit-b": 0.0}
    assert builder.counts().records == 0


def test_large_and_small_batches_give_the_same_matrix():
    rng = np.random.default_rng(5)
    flows = [
        inbound(src=f"192.0.{rng.integers(0, 50)}.1", octets=int(rng.integers(40, 1500)), in_if=int(rng.integers(1, 4)))
        for _ in range(300)
    ]
    whole, pieces = MatrixBuilder(attribution()), MatrixBuilder(attribution())
    for _ in range(300):  # 90,000 records: more than are looked at together
        whole.add(batch(flows))
        pieces.add(batch(flows[100:]))
        pieces.add(batch(flows[:100]))
    assert rows(build(whole)) == rows(build(pieces))


@pytest.mark.parametrize(("ours", "other"), [("198.51.100.5", "192.0.2.{}"), ("2001:db8:1::5", "2001:db8:ff{:02x}::1")])
def test_a_batch_that_goes_past_the_buffer_gives_the_matrix_and_the_counts_of_small_ones(ours, other):
    rng = np.random.default_rng(6)
    flows = []
    for number in rng.integers(0, 250, 400).tolist():
        stranger = other.format(number)
        src, dst = (ours, stranger) if number % 9 == 0 else (stranger, ours)
        flows.append(
            Flow(
                src=src,
                dst=other.format(7) if number % 11 == 0 else dst,
                octets=number + 40,
                in_if=1 + number % 3,
                src_asn=0 if number % 5 == 0 else 64_500 + number,
                rate=float("nan") if number % 13 == 0 else float(1 + number % 3),
            )
        )
    small = batch(flows)
    many = replace(
        small,
        **{
            f.name: np.concatenate([getattr(small, f.name)] * 100)  # 40,000 records, more than are looked at together
            for f in fields(small)
            if isinstance(getattr(small, f.name), np.ndarray)
        },
    )
    whole, pieces = MatrixBuilder(attribution()), MatrixBuilder(attribution())
    whole.add(many)
    for _ in range(100):
        pieces.add(small)
    assert whole.counts() == pieces.counts()
    assert rows(build(whole)) == rows(build(pieces))


def test_a_flood_of_sources_is_folded_into_the_rest_and_heavy_ones_are_kept():
    builder = MatrixBuilder(attribution(), max_rows=100)
    for i in range(40):
        flood = [inbound(src=f"{i + 20}.{j}.0.1", octets=10, packets=0) for j in range(200)]
        builder.add(batch([*flood, inbound(src_asn=64500, octets=500, packets=0)]))
        assert builder.counts().records == (i + 1) * 201  # looks at what came so far
    assert builder.counts().folded >= 200 * 40 - 100
    matrix = build(builder)
    assert len(matrix) <= 101
    demands = rows(matrix)
    assert demands["transit-a", "198.51.100.0/24", "AS64500"] == 40 * 500 * 0.8
    assert sum(demands.values()) == pytest.approx((40 * 500 + 40 * 200 * 10) * 0.8)
    assert Source() in matrix.sources


def test_a_reload_within_the_window_keeps_what_was_counted_for_what_is_still_there(builder):
    builder.add(batch([inbound(octets=986), inbound(octets=986, dst="203.0.113.1"), inbound(octets=986, in_if=2)]))
    builder.add(batch([inbound(octets=986, dst="192.0.2.9")]))
    builder.use(
        attribution(links=("ix-1", "transit-a"), interfaces={("edge-1", 7): "transit-a"}, prefixes=("198.51.100.0/24",))
    )
    builder.add(batch([inbound(octets=986, in_if=7), inbound(octets=986, in_if=1)]))
    matrix = build(builder)
    assert matrix.links == ("ix-1", "transit-a")
    assert rows(matrix) == {("transit-a", "198.51.100.0/24", "192.0.2.0/24"): 1600.0}
    assert matrix.unattributed_bps == {"ix-1": 0.0, "transit-a": 800.0}


def test_rows_are_in_order_of_link_prefix_and_source(builder):
    builder.add(batch([inbound(in_if=2, src_asn=64501), inbound(in_if=2), inbound(dst="203.0.113.1"), inbound()]))
    builder.add(batch([inbound(src="2001:db8:f::1", dst="2001:db8:1::5")]))
    matrix = build(builder)
    keys = list(zip(matrix.link_index, matrix.prefix_index, matrix.source_index, strict=True))
    assert keys == sorted(keys)
    assert matrix.sources == tuple(sorted(matrix.sources))
    assert matrix.by_link_and_prefix().sum() == pytest.approx(matrix.bps.sum())


def test_ipv6_sources_get_coarser_where_links_times_prefixes_are_very_many():
    prefixes = [ip_network((0x20010DB8 << 96 | i << 80, 48)) for i in range(4000)]
    many = Attribution(
        links=[f"l{i:02}" for i in range(20)], interfaces={("edge-1", 1): "l00"}, prefixes=prefixes, routers=ROUTERS
    )
    builder = MatrixBuilder(many)
    builder.add(
        batch([inbound(src="2600:1:2::1", dst="2001:db8:f9f::5"), inbound(src="2600:1:3::1", dst="2001:db8::5")])
    )
    assert set(rows(build(builder))) == {
        ("l00", "2001:db8::/48", "2600:1::/46"),
        ("l00", "2001:db8:f9f::/48", "2600:1::/46"),
    }


def test_the_length_to_which_senders_are_gathered_is_the_operators_choice():
    builder = MatrixBuilder(attribution(), source_prefix_ipv4=32, source_prefix_ipv6=32)
    builder.add(batch([inbound(src="192.0.2.77"), inbound(src="192.0.2.78")]))
    builder.add(batch([inbound(src="2001:db8:f::1", dst="2001:db8:1::5")]))
    assert {source for _, _, source in rows(build(builder))} == {"192.0.2.77/32", "192.0.2.78/32", "2001:db8::/32"}
