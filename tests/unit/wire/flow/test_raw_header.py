from __future__ import annotations

import struct
from ipaddress import ip_address

import numpy as np
import pytest

from teagent.wire.flow.raw_header import MOST_LAYERS, FrameKind, Headers, parse
from tests.fakes.sflow import ethernet, ipv4, ipv6, udp

V4 = ("192.0.2.1", "198.51.100.7")
V6 = ("2001:db8::1", "2001:db8:100::7")
FOUR = ipv4(*V4, udp(1234, 53))
SIX = ipv6(*V6, udp(1234, 53))
MACS = bytes(12)


def headers(*frames: bytes, kind: int = FrameKind.ETHERNET) -> Headers:
    ends = np.cumsum([len(frame) for frame in frames])
    starts = ends - [len(frame) for frame in frames]
    return parse(b"".join(frames), starts, ends, np.full(len(frames), kind))


def packets(found: Headers) -> list[tuple]:
    """(frame, source, destination, protocol, ports, IP octets)"""
    rows = []
    for part in (found.ipv4, found.ipv6):
        for i, frame in enumerate(part.frame.tolist()):
            if part.family == 4:
                addresses = [int(column[i]) for column in (part.src, part.dst)]
            else:
                addresses = [int(column[i][0]) << 64 | int(column[i][1]) for column in (part.src, part.dst)]
            numbers = [int(column[i]) for column in (part.protocol, part.src_port, part.dst_port, part.octets)]
            rows.append((frame, *(str(ip_address(a)) for a in addresses), *numbers))
    return sorted(rows)


def only(frame: bytes, *, kind: int = FrameKind.ETHERNET) -> tuple:
    found = headers(frame, kind=kind)
    [row] = packets(found)
    assert (len(found.truncated), len(found.not_ip)) == (0, 0)
    return row[1:]


FOUR_ROW = (*V4, 17, 1234, 53, 48)
SIX_ROW = (*V6, 17, 1234, 53, 68)


def tag(kind: int, rest: bytes) -> bytes:
    return MACS + struct.pack(">H", kind) + rest


def ether(kind: int, rest: bytes) -> bytes:
    return struct.pack(">HH", 100, kind) + rest


PPPOE = bytes.fromhex("11000001") + struct.pack(">H", len(FOUR) + 2)
LABELS = struct.pack(">II", 16 << 12 | 64, 17 << 12 | 0x140)


@pytest.mark.parametrize(
    ("frame", "row"),
    [
        (ethernet(FOUR), FOUR_ROW),
        (ethernet(SIX), SIX_ROW),
        (ethernet(FOUR, vlans=(100,)), FOUR_ROW),
        (tag(0x88A8, ether(0x8100, ether(0x86DD, SIX))), SIX_ROW),
        (tag(0x9100, ether(0x9200, ether(0x0800, FOUR))), FOUR_ROW),
        (ethernet(FOUR, vlans=(1,) * MOST_LAYERS), FOUR_ROW),
        (ethernet(SIX, labels=(16, 17, 18)), SIX_ROW),
        (ethernet(FOUR, vlans=(7,), labels=(3,)), FOUR_ROW),
        (tag(0x8848, LABELS + FOUR), FOUR_ROW),
        (tag(0x8847, LABELS + bytes(4) + ethernet(FOUR)), FOUR_ROW),
        (tag(0x8847, LABELS + b"\0\0\0\7" + ethernet(SIX, vlans=(9, 10), labels=(5,))), SIX_ROW),
        (tag(0x8864, PPPOE + b"\x00\x21" + FOUR), FOUR_ROW),
        (tag(0x8864, PPPOE + b"\x00\x57" + SIX), SIX_ROW),
        (tag(0x8864, PPPOE + b"\x21" + FOUR), FOUR_ROW),
        (tag(0x8864, PPPOE + b"\x02\x81" + LABELS + FOUR), FOUR_ROW),
        (tag(len(FOUR) + 8, bytes.fromhex("aaaa03000000") + b"\x08\x00" + FOUR), FOUR_ROW),
        (tag(0x88E7, bytes(4) + ethernet(FOUR)), FOUR_ROW),
        (tag(0x88A8, struct.pack(">HH", 5, 0x88E7) + bytes(4) + ethernet(SIX, vlans=(9,))), SIX_ROW),
    ],
)
def test_the_ip_header_is_found_below_layers_of_the_link(frame, row):
    assert only(frame) == row


@pytest.mark.parametrize(
    ("kind", "frame", "row"),
    [
        (FrameKind.IPV4, FOUR, FOUR_ROW),
        (FrameKind.IPV6, SIX, SIX_ROW),
        (FrameKind.AAL5_IP, SIX, SIX_ROW),
        (FrameKind.MPLS, LABELS + SIX, SIX_ROW),
        (FrameKind.PPP, b"\x00\x21" + FOUR, FOUR_ROW),
        (FrameKind.PPP, b"\xff\x03\x00\x57" + SIX, SIX_ROW),
        (FrameKind.POS, b"\xff\x03\x02\x81" + LABELS + FOUR, FOUR_ROW),
        (FrameKind.POS, b"\x0f\x00\x08\x00" + FOUR, FOUR_ROW),
        (FrameKind.POS, b"\x0f\x00\x86\xdd" + SIX, SIX_ROW),
    ],
)
def test_frames_of_other_kinds_begin_with_their_own_header(kind, frame, row):
    assert only(frame, kind=kind) == row


def test_ports_stand_behind_ipv4_options_and_ipv6_extensions():
    assert only(ethernet(ipv4(*V4, udp(1, 2), options=bytes(8))))[3:5] == (1, 2)
    assert only(ethernet(ipv6(*V6, udp(1, 2), extensions=(0, 60, 43, 44))))[2:5] == (17, 1, 2)
    authentication = bytes([6, 4]) + bytes(22)
    assert only(ethernet(ipv6(*V6, authentication + udp(3, 4), protocol=51)))[2:5] == (6, 3, 4)
    for protocol in (6, 33, 132, 136):
        assert only(ethernet(ipv4(*V4, udp(1, 2), protocol=protocol)))[2:5] == (protocol, 1, 2)


def test_what_has_no_ports_gets_none():
    assert only(ethernet(ipv4(*V4, udp(1, 2), protocol=1)))[2:5] == (1, 0, 0)
    assert only(ethernet(ipv4(*V4, udp(1, 2), protocol=47)))[2:5] == (47, 0, 0)
    assert only(ethernet(ipv6(*V6, udp(1, 2), protocol=59)))[2:5] == (59, 0, 0)


def test_only_the_first_fragment_shows_its_ports():
    assert only(ethernet(ipv4(*V4, udp(1, 2), fragment=0x2000)))[3:5] == (1, 2)
    assert only(ethernet(ipv4(*V4, udp(1, 2), fragment=0x2001)))[2:5] == (17, 0, 0)
    later = bytes([17, 0]) + struct.pack(">HI", 8 | 1, 5)
    assert only(ethernet(ipv6(*V6, later + udp(1, 2), protocol=44)))[2:5] == (17, 0, 0)


def test_a_header_cut_behind_the_addresses_is_a_packet_without_ports():
    assert only(ethernet(FOUR)[: 14 + 22])[3:5] == (0, 0)
    assert only(ethernet(SIX)[: 14 + 40])[3:5] == (0, 0)
    assert only(ethernet(ipv6(*V6, udp(1, 2), extensions=(0,)))[: 14 + 44])[2:5] == (0, 0, 0)


def test_a_header_cut_before_the_addresses_end_is_truncated_wherever_it_is_cut():
    for frame, enough in (
        (ethernet(FOUR), 34),
        (ethernet(SIX), 54),
        (ethernet(SIX, vlans=(1, 2)), 62),
        (ethernet(FOUR, labels=(1, 2)), 42),
        (tag(0x8864, PPPOE + b"\x00\x21" + FOUR), 42),
        (tag(0x88E7, bytes(4) + ethernet(FOUR)), 52),
    ):
        cuts = [frame[:length] for length in range(enough + 1)]
        found = headers(*cuts)
        assert found.truncated.tolist() == list(range(enough))
        assert [row[0] for row in packets(found)] == [enough]


@pytest.mark.parametrize(
    "frame",
    [
        ethernet(bytes(46), kind=0x0806),
        ethernet(bytes(46), kind=0x88CC),
        ethernet(bytes(46), kind=46),
        ethernet(bytes.fromhex("fefe03") + bytes(43), kind=46),
        ethernet(bytes(60), labels=(16,)),
        ethernet(SIX, kind=0x0800),
        ethernet(FOUR + bytes(20), kind=0x86DD),
        ethernet(b"\x44" + FOUR[1:], kind=0x0800),
        ethernet(FOUR, vlans=(1,) * (MOST_LAYERS + 1)),
        tag(0x8864, PPPOE + b"\xc0\x21" + FOUR),
    ],
    ids=["arp", "lldp", "802.3", "isis", "pseudowire", "six as four", "four as six", "short ihl", "deep", "lcp"],
)
def test_anything_else_is_not_ip(frame):
    found = headers(ethernet(FOUR), frame, ethernet(SIX))
    assert found.not_ip.tolist() == [1]
    assert [row[0] for row in packets(found)] == [0, 2]


def test_frames_of_an_unknown_kind_are_not_ip():
    assert headers(FOUR, FOUR, kind=5).not_ip.tolist() == [0, 1]


def test_a_jumbogram_states_no_length():
    assert only(ethernet(SIX[:4] + bytes(2) + SIX[6:]))[-1] == 0


def test_many_frames_at_once_are_each_read_as_if_alone():
    frames = [
        ethernet(FOUR),
        ethernet(SIX, vlans=(1,)),
        ethernet(bytes(46), kind=0x0806),
        ethernet(FOUR, labels=(1, 2, 3)),
        ethernet(SIX)[:40],
        tag(0x8864, PPPOE + b"\x00\x57" + SIX),
        b"",
    ] * 7
    found = headers(*frames)
    alone = [headers(frame) for frame in frames]
    assert packets(found) == [(i, *row[1:]) for i, one in enumerate(alone) for row in packets(one)]
    assert found.truncated.tolist() == [i for i, one in enumerate(alone) if len(one.truncated)]
    assert found.not_ip.tolist() == [i for i, one in enumerate(alone) if len(one.not_ip)]
