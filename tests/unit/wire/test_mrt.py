"""Origins out of MRT routing tables, record by record."""

from __future__ import annotations

import struct
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teagent.errors import BadLength, LimitExceeded, Truncated, WireError
from teagent.wire import mrt

SEQUENCE, SET, CONFED = 2, 1, 3


def record(kind: int, subtype: int, body: bytes) -> bytes:
    return struct.pack(">IHHI", 1_700_000_000, kind, subtype, len(body)) + body


def as_path(*segments: tuple[int, list[int]], octets: int = 4) -> bytes:
    form = "I" if octets == 4 else "H"
    return b"".join(bytes([kind, len(asns)]) + struct.pack(f">{len(asns)}{form}", *asns) for kind, asns in segments)


def attribute(kind: int, value: bytes, *, extended: bool = False) -> bytes:
    size = struct.pack(">H", len(value)) if extended else bytes([len(value)])
    return bytes([0x50 if extended else 0x40, kind]) + size + value


def path(*segments: tuple[int, list[int]], octets: int = 4) -> bytes:
    """All attributes of an entry: an ORIGIN before, a NEXT_HOP after."""
    return attribute(1, b"\0") + attribute(2, as_path(*segments, octets=octets)) + attribute(3, bytes(4))


def peers(*asns: int) -> bytes:
    body = bytes(4) + struct.pack(">H", 3) + b"rib" + struct.pack(">H", len(asns))
    for number, asn in enumerate(asns):
        wide, v6 = asn > 65535, number % 2 == 1
        body += bytes([2 * wide + v6]) + bytes(4) + bytes(16 if v6 else 4) + struct.pack(">I" if wide else ">H", asn)
    return record(13, 1, body)


def rib(prefix: str, *attributes: bytes, peer: int = 0, add_path: bool = False) -> bytes:
    network = ip_network(prefix)
    octets = network.network_address.packed[: (network.prefixlen + 7) // 8]
    body = bytes(4) + bytes([network.prefixlen]) + octets + struct.pack(">H", len(attributes))
    for found in attributes:
        body += struct.pack(">HI", peer, 0) + (bytes(4) if add_path else b"") + struct.pack(">H", len(found)) + found
    subtype = {(4, False): 2, (6, False): 4, (4, True): 8, (6, True): 10}[network.version, add_path]
    return record(13, subtype, body)


def table_dump(prefix: str, attributes: bytes, *, peer: int = 64500) -> bytes:
    network = ip_network(prefix)
    address = network.network_address.packed
    body = bytes(4) + address + bytes([network.prefixlen, 1]) + bytes(4) + bytes(len(address))
    body += struct.pack(">HH", peer, len(attributes)) + attributes
    return record(12, 1 if network.version == 4 else 2, body)


def read(*pieces: bytes) -> list[mrt.Route]:
    return list(mrt.routes(mrt.records(pieces)))


def origins(*pieces: bytes) -> list[int]:
    return [route.asn for route in read(*pieces)]


@pytest.mark.parametrize("add_path", [False, True])
@pytest.mark.parametrize("prefix", ["198.51.100.0/24", "192.0.2.128/25", "0.0.0.0/0", "2001:db8:100::/44"])
def test_a_route_of_table_dump_v2_has_its_prefix_and_the_last_as_of_its_path(prefix, add_path):
    (route,) = read(peers(64500), rib(prefix, path((SEQUENCE, [64500, 4_200_000_000])), add_path=add_path))
    network = ip_network(prefix)
    assert route == (network.version, int(network.network_address), network.prefixlen, 4_200_000_000)


@pytest.mark.parametrize(
    ("segments", "asn"),
    [
        ([(SEQUENCE, [64500, 64501])], 64501),
        ([(SEQUENCE, [64500]), (SEQUENCE, [64502])], 64502),
        ([(SEQUENCE, [64500, 64501]), (SET, [64502])], 64502),
        ([(SEQUENCE, [64500, 64501]), (SET, [64502, 64503])], 64501),
        ([(SET, [64502, 64503])], 0),
        ([(SEQUENCE, [64500, 64501]), (CONFED, [65001])], 64501),
        ([(SEQUENCE, [64500, 23456])], 0),
        ([], 64510),  # the peer's own
    ],
)
def test_what_a_path_ends_with_is_the_origin(segments, asn):
    assert origins(peers(64510), rib("198.51.100.0/24", path(*segments))) == [asn]


def test_a_path_longer_than_255_octets_is_read():
    long = attribute(2, as_path((SEQUENCE, [64500] * 254 + [64501])), extended=True)
    assert origins(peers(64500), rib("198.51.100.0/24", long)) == [64501]


def test_most_peers_decide_and_those_that_know_nothing_do_not():
    seen = [path((SEQUENCE, [64500, asn])) for asn in (64511, 64501, 64501)]
    assert origins(peers(0), rib("198.51.100.0/24", path(), path(), *seen)) == [64501]


def test_numbers_of_two_octets_are_completed_by_as4_path():
    short = path((SEQUENCE, [64500, 23456, 23456]), octets=2)
    assert origins(table_dump("198.51.100.0/24", short)) == [0]
    whole = short + attribute(17, as_path((SEQUENCE, [70000, 70001])))
    assert origins(table_dump("2001:db8::/32", whole)) == [70001]


def test_an_as4_path_longer_than_the_path_is_ignored():
    """RFC 6793 section 4.2.3: somebody on the way took it for something else."""
    odd = path((SEQUENCE, [64500, 64501]), octets=2) + attribute(17, as_path((SEQUENCE, [1, 2, 3])))
    assert origins(table_dump("198.51.100.0/24", odd)) == [64501]


def test_an_empty_path_of_table_dump_is_the_peers_own():
    assert origins(table_dump("198.51.100.0/24", path(octets=2), peer=64510)) == [64510]


def test_records_come_in_pieces_of_any_size_and_other_kinds_are_read_over():
    whole = peers(64500) + record(16, 4, b"update") + rib("192.0.2.0/24", path((SEQUENCE, [64501])))
    assert origins(*(whole[i : i + 1] for i in range(len(whole)))) == [64501]


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (rib("192.0.2.0/24", path((SEQUENCE, [64501])))[:-1], Truncated),
        (peers(64500)[:10], Truncated),
        (struct.pack(">IHHI", 0, 13, 2, 1 << 30), LimitExceeded),
        (record(13, 2, bytes(4) + b"\x21" + bytes(20)), BadLength),
        (record(13, 2, bytes(4) + b"\x18\x0a"), Truncated),
        (record(13, 2, bytes(4) + b"\x08\x0a\0\x01" + bytes(6) + b"\xff\xff"), Truncated),
        (record(13, 1, bytes(4) + b"\xff\xff"), Truncated),
        (record(12, 1, bytes(10)), Truncated),
        (rib("192.0.2.0/24", attribute(2, b"\x02\x05abc")), Truncated),
        (rib("192.0.2.0/24", b"\x40\x02\xff"), Truncated),
    ],
)
def test_what_is_cut_short_or_too_long_is_a_wire_error(bad, error):
    with pytest.raises(error):
        read(bad)


@given(st.lists(st.tuples(st.sampled_from((12, 13, 16)), st.integers(0, 11), st.binary(max_size=80)), max_size=5))
def test_any_bytes_are_routes_or_a_wire_error(found):
    try:
        routes = read(*(record(*each) for each in found))
    except WireError:
        return
    assert len(routes) <= len(found)
