from __future__ import annotations

from ipaddress import ip_address, ip_network

import numpy as np
import pytest

from teagent.engine.measure.attribution import NOWHERE, Attribution, PrefixTable
from tests.fakes.flows import Flow, batch

OURS = tuple(map(ip_network, ("198.51.100.0/24", "203.0.113.0/24", "2001:db8:1::/48", "2001:db8:2::/48")))


@pytest.fixture
def attribution() -> Attribution:
    return Attribution(
        links=("transit-b", "transit-a"),
        interfaces={("edge-1", 1): "transit-a", ("edge-1", 2): "transit-b", ("edge-2", 1): "transit-b"},
        prefixes=OURS,
        routers={"192.0.2.1": "edge-1", "192.0.2.2": "edge-2"},
    )


def brute_force(prefixes, address):
    covering = [p for p in prefixes if ip_address(address) in p]
    return max(covering, key=lambda p: p.prefixlen, default=None)


def matched(table, texts):
    numbers = [int(ip_address(t)) for t in texts]
    if table.family == 4:
        found = table.match(np.array(numbers, dtype=np.uint32))
    else:
        found = table.match(np.array([(n >> 64, n & (2**64 - 1)) for n in numbers], dtype=np.uint64))
    return [table.prefixes[i] if i != NOWHERE else None for i in found]


def test_the_longest_of_nested_prefixes_wins_and_the_outer_one_continues_after_it():
    prefixes = [ip_network(p) for p in ("10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.255.0/24", "10.2.0.0/16")]
    table = PrefixTable(4, prefixes)
    texts = ["9.255.255.255", "10.0.0.0", "10.1.0.1", "10.1.2.255", "10.1.3.0", "10.1.255.255", "10.2.0.0", "10.3.0.0"]
    texts += ["10.255.255.255", "11.0.0.0", "0.0.0.0", "255.255.255.255"]
    assert matched(table, texts) == [brute_force(prefixes, t) for t in texts]


def test_ipv6_prefixes_longer_than_64_bits_are_told_apart():
    prefixes = [ip_network(p) for p in ("2001:db8::/32", "2001:db8::1:0/112", "2001:db8:0:1::/64")]
    table = PrefixTable(6, prefixes)
    texts = ["2001:db8::1:0", "2001:db8::1:ffff", "2001:db8::2:0", "2001:db8:0:1::5", "2001:db7::", "2001:db9::", "::"]
    assert matched(table, texts) == [brute_force(prefixes, t) for t in texts]


@pytest.mark.parametrize("spread", [1 << 20, 1 << 40, 1 << 63])
@pytest.mark.parametrize("to_the_end", [False, True])
def test_ipv6_prefixes_near_each_other_and_far_apart_are_found_alike(spread, to_the_end):
    rng = np.random.default_rng(1)
    first = 0x2001_0DB8 << 32
    prefixes = [
        ip_network(((first + start) >> (64 - length) << (128 - length), length))
        for start, length in zip(
            rng.integers(0, spread, 12).tolist(), rng.choice([44, 48, 52], 12).tolist(), strict=True
        )
    ]
    if to_the_end:
        prefixes.append(ip_network("ffff:ffff:ffff::/48"))
    highs = [0, 2**64 - 1, first, *(int(p.network_address) >> 64 for p in prefixes)]
    highs += [int(p.broadcast_address) >> 64 for p in prefixes] + [high - 1 for high in highs if high]
    highs += [first + start for start in rng.integers(0, spread, 50).tolist()]
    texts = [str(ip_address(high << 64 | 1)) for high in highs]
    assert matched(PrefixTable(6, prefixes), texts) == [brute_force(prefixes, t) for t in texts]


def test_a_prefix_at_the_very_end_of_the_space_and_the_default_route_match():
    assert matched(PrefixTable(4, [ip_network("255.255.255.0/24")]), ["255.255.255.255"]) == [
        ip_network("255.255.255.0/24")
    ]
    assert (
        matched(PrefixTable(4, [ip_network("0.0.0.0/0")]), ["0.0.0.0", "255.255.255.255"])
        == [ip_network("0.0.0.0/0")] * 2
    )
    assert matched(PrefixTable(6, [ip_network("::/0")]), ["::", "ffff::1"]) == [ip_network("::/0")] * 2


def test_no_prefix_at_all_matches_nothing():
    assert matched(PrefixTable(4, []), ["192.0.2.1"]) == [None]
    assert matched(PrefixTable(6, []), ["2001:db8::1"]) == [None]


def attributed(attribution, flow, exporter="192.0.2.1"):
    result = attribution.attribute(batch([flow], exporter=exporter))
    link, prefix = int(result.link[0]), int(result.prefix[0])
    family = ip_address(flow.dst).version
    return (
        attribution.links[link] if link != NOWHERE else None,
        str(attribution.tables[family].prefixes[prefix]) if prefix != NOWHERE else None,
        bool(result.inbound[0]),
    )


@pytest.mark.parametrize(
    ("flow", "expected"),
    [
        (Flow(src="192.0.2.77", dst="198.51.100.5"), ("transit-a", "198.51.100.0/24", True)),
        (Flow(src="192.0.2.77", dst="203.0.113.5", in_if=2), ("transit-b", "203.0.113.0/24", True)),
        (Flow(src="2001:db8:f::1", dst="2001:db8:2::1"), ("transit-a", "2001:db8:2::/48", True)),
        (Flow(src="192.0.2.77", dst="192.0.2.99"), ("transit-a", None, True)),
        (Flow(src="198.51.100.5", dst="192.0.2.99"), ("transit-a", None, False)),
        (Flow(src="198.51.100.5", dst="203.0.113.5"), ("transit-a", None, True)),
        (Flow(src="198.51.100.5", dst="203.0.113.5", out_if=1), ("transit-a", None, False)),
        (Flow(src="192.0.2.77", dst="198.51.100.5", out_if=1), ("transit-a", "198.51.100.0/24", True)),
        (Flow(src="192.0.2.77", dst="198.51.100.5", in_if=7), (None, None, False)),
        (Flow(src="192.0.2.77", dst="198.51.100.5", in_if=7, physical=2), ("transit-b", "198.51.100.0/24", True)),
        (Flow(src="192.0.2.77", dst="198.51.100.5", in_if=1, physical=2), ("transit-a", "198.51.100.0/24", True)),
    ],
    ids=[
        "inbound to ours",
        "inbound by the other link",
        "inbound IPv6",
        "inbound to none of ours",
        "outbound",
        "between our prefixes through the link",
        "between our prefixes with one interface",
        "inbound with one interface for both, as softflowd writes it",
        "an interface that is no link",
        "a physical port under an unknown logical one",
        "the logical interface before its physical port",
    ],
)
def test_a_record_is_classified_by_its_interface_and_whose_addresses_it_has(attribution, flow, expected):
    assert attributed(attribution, flow) == expected


def test_one_ifindex_means_another_link_at_another_router(attribution):
    flow = Flow(src="192.0.2.77", dst="198.51.100.5")
    assert attributed(attribution, flow, exporter="192.0.2.2")[0] == "transit-b"


def test_an_exporter_of_no_known_router_attributes_nothing(attribution):
    flow = Flow(src="192.0.2.77", dst="198.51.100.5")
    assert attributed(attribution, flow, exporter="192.0.2.3") == (None, None, False)
