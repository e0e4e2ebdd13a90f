from __future__ import annotations

import math
import struct

import pytest

from teagent.errors import BadLength, BadVersion, LimitExceeded, Truncated, WireError
from teagent.wire.capture import LARGEST_BLOCK, LARGEST_FRAME, Frame, frames, is_capture
from teagent.wire.capture_udp import FRAGMENTS_SECONDS, MOST_FRAGMENTED, Datagram, Skipped, UdpReader
from tests.fakes.sflow import ethernet, ipv4, ipv6, udp

V4 = ("192.0.2.1", "192.0.2.250")
V6 = ("2001:db8::1", "2001:db8::250")
PACKET = ipv4(*V4, udp(50000, 2055, b"payload"))
SIX = ipv6(*V6, udp(50000, 6343, b"payload"))
AT = 1_700_000_000


def pcap(*octets: bytes, order: str = "<", nanoseconds: bool = False, link: int = 1, parts: int = 500_000) -> bytes:
    magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    head = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65535, link)
    return head + b"".join(struct.pack(f"{order}IIII", AT, parts, len(o), len(o)) + o for o in octets)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    length = struct.pack(f"{order}I", 12 + len(body))
    return struct.pack(f"{order}I", kind) + length + body + length


def section(order: str = "<") -> bytes:
    return block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(order: str = "<", *, link: int = 1, options: bytes = b"", snap: int = 0) -> bytes:
    return block(1, struct.pack(f"{order}HHI", link, 0, snap) + options, order)


def option(order: str, code: int, value: bytes) -> bytes:
    return struct.pack(f"{order}HH", code, len(value)) + value + bytes(-len(value) % 4)


def enhanced(octets: bytes, order: str = "<", *, number: int = 0, ticks: int = AT * 10**6) -> bytes:
    head = struct.pack(f"{order}IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(octets), len(octets))
    return block(6, head + octets + bytes(-len(octets) % 4) + bytes(4), order)


def read(octets: bytes, *, pieces: int = 1 << 16) -> list[Frame]:
    return list(frames(octets[i : i + pieces] for i in range(0, len(octets), pieces)))


def datagrams(*found: Frame) -> tuple[list[Datagram], dict[Skipped, int]]:
    reader = UdpReader()
    return list(reader.datagrams(found)), dict(reader.skipped)


def frame(octets: bytes, link: int = 1, *, length: int | None = None) -> Frame:
    return Frame(AT, link, octets, len(octets) if length is None else length)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nanoseconds", [False, True])
def test_pcap_is_read_in_both_byte_orders_and_resolutions(order, nanoseconds):
    parts = 500_000_000 if nanoseconds else 500_000
    octets = pcap(b"first", b"", b"third", order=order, nanoseconds=nanoseconds, parts=parts)
    assert is_capture(octets)
    assert read(octets) == [Frame(AT + 0.5, 1, o, len(o)) for o in (b"first", b"", b"third")]


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng_is_read_in_both_byte_orders(order):
    octets = section(order) + interface(order) + enhanced(b"first", order) + enhanced(b"2", order)
    assert is_capture(octets)
    assert read(octets) == [Frame(AT, 1, b"first", 5), Frame(AT, 1, b"2", 1)]


def test_interfaces_of_pcapng_have_their_own_link_resolution_and_offset():
    nanoseconds = option("<", 9, b"\x09")
    halves = option("<", 2, b"name") + option("<", 9, b"\x81") + option("<", 14, struct.pack("<q", 1000))
    octets = section() + interface(link=113, options=nanoseconds) + interface(options=halves + option("<", 0, b""))
    octets += enhanced(b"a", ticks=AT * 10**9 + 500_000_000) + enhanced(b"b", number=1, ticks=7)
    assert read(octets) == [Frame(AT + 0.5, 113, b"a", 1), Frame(1003.5, 1, b"b", 1)]


def test_other_blocks_and_packets_of_pcapng_are_understood():
    old = struct.pack("<HHIIII", 0, 9, AT * 10**6 >> 32, AT * 10**6 & 0xFFFFFFFF, 3, 8) + b"old"
    octets = section() + block(0xBAD, b"custom") + interface(snap=4)
    octets += block(3, struct.pack("<I", 6) + b"simp") + block(2, old) + block(5, b"statistics")
    simple, older = read(octets)
    assert math.isnan(simple.at)
    assert simple[1:] == (1, b"simp", 6)
    assert older == Frame(AT, 1, b"old", 8)


def test_a_new_section_begins_with_new_interfaces_and_byte_order():
    octets = section() + interface() + enhanced(b"a") + section(">") + interface(">", link=101) + enhanced(b"b", ">")
    assert [(f.link_type, f.octets) for f in read(octets)] == [(1, b"a"), (101, b"b")]


@pytest.mark.parametrize("whole", [pcap(b"first", b"second"), section() + interface() + enhanced(b"a") * 3])
def test_it_does_not_matter_how_a_file_is_cut_into_pieces(whole):
    for pieces in (1, 3, 7, 1000):
        assert read(whole, pieces=pieces) == read(whole)


@pytest.mark.parametrize("whole", [pcap(b"first", b"second"), section() + interface() + enhanced(b"a") * 3])
def test_a_file_that_ends_too_early_gives_what_was_before_and_says_so(whole):
    expected = read(whole)
    ends = []
    for length in range(4, len(whole)):
        source = frames([whole[:length]])
        found: list[Frame] = []
        try:
            found.extend(source)
        except Truncated:
            continue
        finally:
            assert found == expected[: len(found)]
        ends.append(length)
    assert len(ends) <= len(expected) + 2  # only where a header, a block or a packet ends


@pytest.mark.parametrize(
    ("octets", "error", "message"),
    [
        (b"", BadVersion, "neither a pcap nor a pcapng file: it begins with nothing"),
        (b"\x00\x05\x00\x01", BadVersion, "neither a pcap nor a pcapng file: it begins with 00050001"),
        (pcap()[:20], Truncated, "the file ends within the file's header"),
        (
            pcap() + struct.pack("<IIII", 0, 0, LARGEST_FRAME + 1, 0),
            LimitExceeded,
            "a packet of 262145 octets, the limit is 262144",
        ),
        (section() + struct.pack("<II", 6, 8), BadLength, "a block states a length of 8"),
        (section() + struct.pack("<II", 6, 13), BadLength, "a block states a length of 13"),
        (
            section() + struct.pack("<II", 9, LARGEST_BLOCK + 4),
            LimitExceeded,
            "a block of 16777220 octets, the limit is 16777216",
        ),
        (section()[:8] + bytes(20), BadVersion, "a section of unknown byte order"),
        (section() + enhanced(b"a"), BadLength, "a packet of interface 0, of which the file tells nothing"),
        (section() + block(1, b"1234"), Truncated, "an interface description of 4 octets"),
        (section() + interface() + block(6, b"1234"), Truncated, "a packet block of 4 octets"),
        (
            section() + interface() + block(6, struct.pack("<5I", 0, 0, 0, 99, 99)),
            Truncated,
            "a packet of 99 octets in a block that has room for 0",
        ),
    ],
)
def test_a_broken_file_says_what_is_wrong(octets, error, message):
    with pytest.raises(error) as caught:
        read(octets)
    assert caught.value.message == message


LINKS = [
    (1, ethernet(PACKET)),
    (1, ethernet(PACKET, vlans=(1, 2))),
    (1, ethernet(PACKET) + bytes(20)),
    (1, ethernet(PACKET, labels=(16,))),
    (1, ethernet(PACKET, vlans=(1,), labels=(16, 17, 18))),
    (1, bytes(12) + b"\x88\x64\x11\x00\x00\x01\x00\x25\x00\x21" + PACKET),
    (0, b"\x02\0\0\0" + PACKET),
    (108, b"\0\0\0\x02" + PACKET),
    (12, PACKET),
    (14, PACKET),
    (101, PACKET),
    (228, PACKET),
    (9, b"\xff\x03\x00\x21" + PACKET),
    (9, b"\x00\x21" + PACKET),
    (50, b"\xff\x03\x00\x21" + PACKET),
    (9, b"\x02\x81\x00\x01\x01\x40" + PACKET),
    (104, b"\x0f\x00\x08\x00" + PACKET),
    (113, bytes(14) + b"\x08\x00" + PACKET),
    (113, bytes(14) + b"\x81\x00\x00\x07\x08\x00" + PACKET),
    (276, b"\x08\x00" + bytes(18) + PACKET),
    (276, b"\x81\x00" + bytes(18) + b"\x00\x07\x08\x00" + PACKET),
]


@pytest.mark.parametrize(("link", "octets"), LINKS)
def test_udp_is_found_on_every_link(link, octets):
    assert datagrams(frame(octets, link)) == (
        [Datagram(AT, "192.0.2.1", 50000, "192.0.2.250", 2055, b"payload")],
        {},
    )


@pytest.mark.parametrize(
    ("link", "octets"),
    [
        (1, ethernet(SIX)),
        (101, ipv6(*V6, udp(50000, 6343, b"payload"), extensions=(0, 60, 44))),
        (229, SIX),
        (9, b"\x00\x57" + SIX),
        (1, ethernet(SIX, labels=(16, 17))),
        (276, b"\x86\xdd" + bytes(18) + SIX),
    ],
)
def test_udp_over_ipv6_is_found_behind_extensions(link, octets):
    expected = Datagram(AT, "2001:db8::1", 50000, "2001:db8::250", 6343, b"payload")
    assert datagrams(frame(octets, link)) == ([expected], {})


@pytest.mark.parametrize(
    ("octets", "link", "reason"),
    [
        (ethernet(bytes(46), kind=0x0806), 1, Skipped.NOT_UDP),
        (ethernet(ipv4(*V4, bytes(20), protocol=6)), 1, Skipped.NOT_UDP),
        (ethernet(ipv6(*V6, bytes(20), protocol=6)), 1, Skipped.NOT_UDP),
        (b"\x30" + bytes(60), 101, Skipped.NOT_UDP),
        (PACKET, 147, Skipped.LINK_TYPE),
        (ethernet(b"", labels=(16, 17))[:-4], 1, Skipped.NOT_UDP),
        (b"\x42" + PACKET[1:], 101, Skipped.DAMAGED),
        (ipv4(*V4, struct.pack(">HHHH", 1, 2, 7, 0)), 101, Skipped.DAMAGED),
        (PACKET[:12], 101, Skipped.CUT),
        (PACKET[:24], 101, Skipped.CUT),
        (SIX[:30], 101, Skipped.CUT),
    ],
)
def test_what_is_no_datagram_is_counted_by_reason(octets, link, reason):
    assert datagrams(frame(octets, link)) == ([], {reason: 1})


def test_the_link_types_that_are_not_known_are_named():
    reader = UdpReader()
    assert list(reader.datagrams([frame(PACKET, 147), frame(PACKET, 239), frame(PACKET, 239)])) == []
    assert (reader.skipped, reader.link_types) == ({Skipped.LINK_TYPE: 3}, {147: 1, 239: 2})


def test_a_payload_that_the_capture_cut_says_how_much_is_missing():
    [found], skipped = datagrams(frame(ethernet(PACKET)[:-3], length=len(ethernet(PACKET))))
    assert (found.payload, found.missing, skipped) == (b"payl", 3, {})


def four_parts(body: bytes, *, ident: int = 1) -> list[bytes]:
    sizes = [(0, 16), (16, 32), (32, len(body))]
    return [ipv4(*V4, body[a:b], fragment=a // 8 | (0x2000 if b < len(body) else 0), ident=ident) for a, b in sizes]


def six_parts(body: bytes) -> list[bytes]:
    return [
        ipv6(*V6, struct.pack(">BBHI", 17, 0, a | (b < len(body)), 5) + body[a:b], protocol=44)
        for a, b in ((0, 16), (16, 32), (32, len(body)))
    ]


LONG = udp(50000, 2055, bytes(range(60)))


@pytest.mark.parametrize("parts", [four_parts(LONG), six_parts(LONG)])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_fragments_are_put_together_in_any_order(parts, order):
    [found], skipped = datagrams(*(frame(parts[i], 101) for i in order))
    assert (found.payload, found.port, skipped) == (bytes(range(60)), 2055, {})


def test_fragments_of_several_datagrams_are_kept_apart():
    one, other = four_parts(LONG, ident=1), four_parts(udp(1, 2, bytes(60)), ident=2)
    found, skipped = datagrams(*(frame(p, 101) for pair in zip(one, other, strict=True) for p in pair))
    assert ([d.port for d in found], skipped) == ([2055, 2], {})


def test_fragments_of_long_before_are_not_put_together_with_those_of_a_later_datagram_of_that_number():
    old, new = four_parts(udp(50000, 2055, bytes(60))), four_parts(LONG)
    later = [frame(part, 101)._replace(at=AT + FRAGMENTS_SECONDS + 1) for part in new]
    [found], skipped = datagrams(frame(old[0], 101), frame(old[1], 101), *later)
    assert (found.payload, skipped) == (bytes(range(60)), {Skipped.FRAGMENTS: 2})


def test_missing_overlapping_and_impossible_fragments_are_counted():
    first, second, _ = four_parts(LONG)
    assert datagrams(frame(first, 101), frame(second, 101)) == ([], {Skipped.FRAGMENTS: 2})
    assert datagrams(frame(first, 101), frame(first, 101)) == ([], {Skipped.DAMAGED: 1, Skipped.FRAGMENTS: 1})
    beyond = ipv4(*V4, bytes(16), fragment=0x1FFF)
    uneven = ipv4(*V4, bytes(15), fragment=0x2000)
    assert datagrams(frame(beyond, 101), frame(uneven, 101)) == ([], {Skipped.DAMAGED: 2})
    overlapping = [ipv4(*V4, bytes(1 << 15), fragment=0x2000 | at) for at in (0, 1, 2)]
    assert datagrams(*(frame(p, 101) for p in overlapping)) == ([], {Skipped.FRAGMENTS: 3})


def test_datagrams_that_wait_for_fragments_are_bounded():
    starts = [frame(ipv4(*V4, bytes(16), fragment=0x2000, ident=i), 101) for i in range(MOST_FRAGMENTED + 9)]
    reader = UdpReader()
    run = reader.datagrams(starts)
    assert list(run) == []
    assert reader.skipped == {Skipped.FRAGMENTS: MOST_FRAGMENTED + 9}
    reader = UdpReader()
    for start in starts:
        assert reader._read(start) is None
    assert len(reader._fragments) == MOST_FRAGMENTED


def test_a_broken_capture_is_a_wire_error():
    with pytest.raises(WireError):
        read(b"junk that is no capture")
