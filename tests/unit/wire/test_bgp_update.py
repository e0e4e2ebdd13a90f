from __future__ import annotations

import struct
from ipaddress import ip_address, ip_network

import pytest

from teagent.errors import BadLength, BadVersion, Truncated
from teagent.model.bgp import LargeCommunity
from teagent.wire.bgp_notification import reason
from teagent.wire.bgp_open import add_path_families
from teagent.wire.bgp_update import Net, decode_update, origin_asn, path_attributes
from tests.fakes import bmp as b


def test_an_announcement_has_its_prefixes_and_what_decides_of_the_route():
    found = decode_update(
        b.update(["11.0.0.0/24", "12.0.0.0/23"], path=[64501, 65000], large=[(65000, 1, 11)], communities=[(64501, 9)])
    )
    assert [net.prefix() for net in found.announced] == [ip_network("11.0.0.0/24"), ip_network("12.0.0.0/23")]
    path = path_attributes(found.attributes)
    assert path.next_hop == ip_address("192.0.2.254")
    assert path.as_path == (64501, 65000)
    assert path.local_pref == 100
    assert path.med is None
    assert path.communities == {(64501, 9)}
    assert path.large_communities == {LargeCommunity(65000, 1, 11)}


def test_a_withdrawal_has_no_attributes():
    found = decode_update(b.update(withdrawn=["11.0.0.0/24"]))
    assert [net.prefix() for net in found.withdrawn] == [ip_network("11.0.0.0/24")]
    assert found.announced == ()
    assert found.end_of_rib is None


def test_ipv6_comes_by_the_multiprotocol_attributes():
    found = decode_update(b.update(["2001:db8:100::/44"], next_hop="2001:db8::254"))
    assert [net.prefix() for net in found.announced] == [ip_network("2001:db8:100::/44")]
    assert path_attributes(found.attributes).next_hop == ip_address("2001:db8::254")
    gone = decode_update(b.update(withdrawn=["2001:db8:100::/44"]))
    assert [net.prefix() for net in gone.withdrawn] == [ip_network("2001:db8:100::/44")]


def test_of_two_ipv6_next_hops_the_global_one_counts():
    both = ip_address("2001:db8::1").packed + ip_address("fe80::1").packed
    reach = b.attribute(14, struct.pack(">HBB", 2, 1, 32) + both + b"\0" + b.nets(["2001:db8::/32"]))
    found = decode_update(b.bgp(2, struct.pack(">HH", 0, len(reach)) + reach))
    assert path_attributes(found.attributes).next_hop == ip_address("2001:db8::1")


@pytest.mark.parametrize("family", [4, 6])
def test_the_end_of_a_table_is_told_by_family(family):
    assert decode_update(b.end_of_rib(family)).end_of_rib == family


def test_other_address_families_are_read_over():
    reach = b.attribute(14, struct.pack(">HBB", 1, 128, 4) + bytes(4) + b"\0" + bytes(15))
    found = decode_update(b.bgp(2, struct.pack(">HH", 0, len(reach)) + reach))
    assert found.announced == found.withdrawn == ()


def test_host_bits_of_a_prefix_are_left_out():
    octets = bytes((23, 12, 0, 1))
    found = decode_update(b.bgp(2, struct.pack(">HH", 0, 0) + octets))
    assert [net.prefix() for net in found.announced] == [ip_network("12.0.0.0/23")]


def test_additional_paths_keep_their_identifiers():
    found = decode_update(b.update(["11.0.0.0/24"], path_id=7), add_path={4})
    assert found.announced == (Net(4, 11 << 24, 24, 7),)


def test_a_path_of_two_octets_an_as_is_completed_by_as4_path():
    more = b.attribute(17, b.as_path(64501, 4_200_000_000), flags=0xC0)
    found = decode_update(b.update(["11.0.0.0/24"], path=[64501, 23456], as_octets=2, more=more))
    assert path_attributes(found.attributes, as_octets=2).as_path == (64501, 4_200_000_000)
    assert origin_asn(found.attributes, as_octets=2) == 4_200_000_000


def test_a_route_without_a_path_is_originated_by_its_peer():
    assert origin_asn(decode_update(b.update(["11.0.0.0/24"])).attributes, peer=65000) == 65000


def test_a_message_of_another_length_than_stated_is_refused():
    with pytest.raises(BadLength, match="states a length of 23, 24 octets"):
        decode_update(b.end_of_rib() + b"\0")


def test_what_is_no_update_is_refused():
    with pytest.raises(BadVersion, match="of type 3"):
        decode_update(b.bgp(3, bytes(10)))


def test_a_prefix_longer_than_its_family_is_refused():
    with pytest.raises(BadLength, match="length of 33"):
        decode_update(b.bgp(2, struct.pack(">HH", 0, 0) + bytes((33, 1, 2, 3, 4, 5))))


def test_a_message_that_ends_within_a_prefix_is_refused():
    with pytest.raises(Truncated, match="takes 3 octets"):
        decode_update(b.bgp(2, struct.pack(">HH", 0, 0) + bytes((24, 11, 0))))


def test_additional_paths_are_sent_where_one_end_sends_and_the_other_receives():
    sends = b.open_(capabilities=b.add_path((1, 1, 2), (2, 1, 3)))
    receives = b.open_(capabilities=b.add_path((1, 1, 1), (2, 1, 2)))
    assert add_path_families(sent=receives, received=sends) == {4}
    assert add_path_families(sent=b.open_(), received=sends) == frozenset()


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (b.notification(4), "hold timer expired"),
        (b.notification(6, 2), "cease, administrative shutdown"),
        (b.notification(2, 7), "open message error, subcode 7"),
        (b.notification(99), "notification 99"),
        (b"", ""),
    ],
)
def test_a_notification_is_said_in_words(message, said):
    assert reason(message) == said
