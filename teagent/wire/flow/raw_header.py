"""IP packets out of the first octets of frames, many frames at once: what sFlow's sampled_header and IPFIX's
dataLinkFrameSection carry.

Down to the IP header through VLAN tags (802.1Q, 802.1ad, the older ones), 802.1ah, LLC/SNAP, PPPoE, PPP and Cisco HDLC,
and MPLS label stacks, with the Ethernet of a pseudowire below them; ports through IPv4 options and IPv6 extension
headers. Of a tunnel only the outer header is looked at. A frame takes at most MOST_LAYERS steps.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from teagent.model.traffic import Column

MOST_LAYERS: Final = 16
MOST_EXTENSIONS: Final = 8

Offsets = npt.NDArray[np.int64]


class FrameKind(IntEnum):
    """What a frame begins with; numbers as in sFlow's header_protocol."""

    ETHERNET = 1
    PPP = 7
    AAL5_IP = 10
    IPV4 = 11
    IPV6 = 12
    MPLS = 13
    POS = 14


class Packets(NamedTuple):
    """IP packets of one family. `frame` says which of the frames, ascending; `begin` is the octet at which its IP
    header begins; addresses are as in FlowBatch; ports are 0 where the header does not show them; `octets` is the
    length that the IP header states, 0 where it states none.
    """

    family: int
    frame: Offsets
    begin: Offsets
    src: Column
    dst: Column
    protocol: Column
    src_port: Column
    dst_port: Column
    octets: Column


class Headers(NamedTuple):
    """Every frame is in one of the four: `truncated` before its addresses, or `not_ip`, both as frame numbers."""

    ipv4: Packets
    ipv6: Packets
    truncated: Offsets
    not_ip: Offsets


IPV4: Final = 0x0800
IPV6: Final = 0x86DD
PPP: Final = 0x880B
MPLS: Final = (0x8847, 0x8848)
PPPOE_SESSION: Final = 0x8864
SERVICE_INSTANCE: Final = 0x88E7  # 802.1ah: a tag, then the customer's own Ethernet header
PSEUDOWIRE: Final = SERVICE_INSTANCE  # the same behind a control word in place of the tag (RFC 4448 section 4.6)
VLAN: Final = (0x8100, 0x88A8, 0x9100, 0x9200, 0x9300)
LARGEST_LENGTH: Final = 0x05FF  # of IEEE 802.3; anything above is an EtherType
NOT_IP: Final = 0x10000
CUT: Final = 0x10001

PPP_PROTOCOLS: Final = {0x21: IPV4, 0x57: IPV6, 0x281: MPLS[0], 0x283: MPLS[1]}
HDLC_ADDRESSES: Final = (0x0F00, 0x8F00)  # Cisco's framing, with EtherTypes
FRAGMENT: Final = 44
AUTHENTICATION: Final = 51


def _table(*numbers: int) -> npt.NDArray[np.bool_]:
    table = np.zeros(256, dtype=bool)
    table[list(numbers)] = True
    return table


WITH_PORTS: Final = _table(6, 17, 33, 132, 136)  # TCP, UDP, DCCP, SCTP, UDP-Lite
EXTENSIONS: Final = _table(0, 43, FRAGMENT, AUTHENTICATION, 60, 135, 139, 140)  # RFC 8200, mobility, HIP, Shim6


def _none(family: int) -> Packets:
    none, port = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.uint16)
    address = np.zeros(0, dtype=np.uint32) if family == 4 else np.zeros((0, 2), dtype=np.uint64)
    return Packets(family, none, none, address, address, none.astype(np.uint8), port, port, none)


NO_PACKETS: Final = {family: _none(family) for family in (4, 6)}
NO_FRAMES: Final = np.zeros(0, dtype=np.int64)


def parse(octets: bytes, starts: Offsets, ends: Offsets, kinds: Column, *, whole: bool = True) -> Headers:
    """The frames `octets[starts[i]:ends[i]]`, which must lie within `octets`, of kind `kinds[i]` (a FrameKind; of any
    other kind they are not IP). What is not `whole` leaves protocols and ports 0, which spares most of the work.
    """
    data = np.frombuffer(octets, np.uint8)
    at = starts.astype(np.int64)
    types = _begin(data, at, ends, kinds)
    lanes = np.flatnonzero(_wrapped(types))
    for _ in range(MOST_LAYERS):
        if not len(lanes):
            break
        _unwrap(data, at, ends, types, lanes)
        lanes = lanes.compress(_wrapped(types.take(lanes)))
    types[lanes] = NOT_IP
    ipv4, ipv6 = _ipv4(data, at, ends, types, whole=whole), _ipv6(data, at, ends, types, whole=whole)
    if len(ipv4.frame) + len(ipv6.frame) == len(types):
        return Headers(ipv4, ipv6, NO_FRAMES, NO_FRAMES)
    cut = types == CUT
    return Headers(ipv4, ipv6, np.flatnonzero(cut), np.flatnonzero(~cut & (types != IPV4) & (types != IPV6)))


def _u16(data: Column, at: Offsets) -> Offsets:
    value: Offsets = data.take(at).astype(np.int64)
    value <<= 8
    value |= data.take(at + 1)
    return value


def _cut(data: Column, at: Offsets, octets: int) -> Column:
    """(N, octets): those that stand at each place, all of which must be there."""
    windows: Column = np.ndarray((len(data) - octets + 1,), f"V{octets}", data, strides=(1,))
    return windows[at].view(np.uint8).reshape(-1, octets)


def _have(at: Offsets, ends: Offsets, types: Offsets, which: Column, octets: int) -> Offsets:
    """Of the frames `which`, those that go on for so many octets; the others are cut."""
    return _of_those(at, ends, types, np.flatnonzero(which), octets)


def _of_those(at: Offsets, ends: Offsets, types: Offsets, lanes: Offsets, octets: int) -> Offsets:
    enough = at.take(lanes) + octets <= ends.take(lanes)
    if np.count_nonzero(enough) == len(lanes):
        return lanes
    types[lanes[~enough]] = CUT
    return lanes[enough]


def _begin(data: Column, at: Offsets, ends: Offsets, kinds: Column) -> Offsets:
    """What stands at `at`, as EtherTypes; moves `at` behind Ethernet headers."""
    ethernet = kinds == FrameKind.ETHERNET
    if len(at) and np.count_nonzero(ethernet) == len(at) and (ends - at).min() >= 14:
        at += 14
        return _u16(data, at - 2)
    types = np.full(len(at), NOT_IP, dtype=np.int64)
    ethernet = _have(at, ends, types, ethernet, 14)
    types[ethernet] = _u16(data, at.take(ethernet) + 12)
    at[ethernet] += 14
    types[(kinds == FrameKind.PPP) | (kinds == FrameKind.POS)] = PPP
    types[kinds == FrameKind.MPLS] = MPLS[0]
    bare = (kinds == FrameKind.AAL5_IP) | (kinds == FrameKind.IPV4) | (kinds == FrameKind.IPV6)
    lanes = _have(at, ends, types, bare, 1)
    types[lanes] = _by_version(data, at[lanes])
    return types


def _by_version(data: Column, at: Offsets) -> Offsets:
    version = data[at] >> 4
    types: Offsets = np.where(version == 4, IPV4, np.where(version == 6, IPV6, NOT_IP))
    return types


def _wrapped(types: Offsets) -> Column:
    wrapped: Column = (types != IPV4) & (types != IPV6) & (types < NOT_IP)
    return wrapped


def _unwrap(data: Column, at: Offsets, ends: Offsets, types: Offsets, wrapped: Offsets) -> None:
    """Takes one layer off each of the frames `wrapped`, which are not at their IP header yet."""
    before = types.take(wrapped)
    types[wrapped] = NOT_IP  # unless one of these knows it
    for kinds, octets, step in _LAYERS:
        of_kind = before == kinds[0]
        for kind in kinds[1:]:
            of_kind |= before == kind
        if of_kind.any():
            lanes = _of_those(at, ends, types, wrapped.compress(of_kind), octets)
            types[lanes] = step(data, at, lanes)
    lengths = before <= LARGEST_LENGTH
    if lengths.any():
        lanes = _of_those(at, ends, types, wrapped.compress(lengths), 8)
        types[lanes] = _snap(data, at, lanes)


def _vlan(data: Column, at: Offsets, lanes: Offsets) -> Offsets:
    inner = _u16(data, at[lanes] + 2)
    at[lanes] += 4
    return inner


def _service_instance(data: Column, at: Offsets, lanes: Offsets) -> Offsets:
    inner = _u16(data, at[lanes] + 16)
    at[lanes] += 18
    return inner


def _pppoe(_data: Column, at: Offsets, lanes: Offsets) -> Offsets:
    at[lanes] += 6
    return np.full(len(lanes), PPP, dtype=np.int64)


def _ppp(data: Column, at: Offsets, lanes: Offsets) -> Offsets:
    """RFC 1661 section 2, RFC 1662 section 3.1: address and control may stand before the protocol or not."""
    first = _u16(data, at[lanes])
    at[lanes[first == 0xFF03]] += 2
    protocol = _u16(data, at[lanes])
    short = protocol >> 8 & 1 == 1  # protocol field compression
    number = np.where(short, protocol >> 8, protocol)
    types = np.full(len(lanes), NOT_IP, dtype=np.int64)
    for value, inner in PPP_PROTOCOLS.items():
        types[number == value] = inner
    hdlc = np.isin(first, HDLC_ADDRESSES)
    types[hdlc] = _u16(data, at[lanes[hdlc]] + 2)
    at[lanes] += np.where(hdlc, 4, np.where(short, 1, 2))
    return types


def _mpls(data: Column, at: Offsets, lanes: Offsets) -> Offsets:
    """One label (RFC 3032 section 2.1). What is below the last one shows in its first four bits (RFC 4928): the version
    of IP, or 0 of the control word of a pseudowire, which is Ethernet's here.
    """
    bottom = data[at[lanes] + 2] & 1 == 1
    at[lanes] += 4
    below = np.where(data[at[lanes]] >> 4 == 0, PSEUDOWIRE, _by_version(data, at[lanes]))
    types: Offsets = np.where(bottom, below, MPLS[0])
    return types


def _snap(data: Column, at: Offsets, lanes: Offsets) -> Offsets:
    """IEEE 802.2 with a SNAP header of no organisation; anything else is not IP."""
    begin = at[lanes]
    snap = (_u16(data, begin) == 0xAAAA) & (_u16(data, begin + 2) == 0x0300) & (_u16(data, begin + 4) == 0)
    inner = _u16(data, begin + 6)
    at[lanes] += 8
    types: Offsets = np.where(snap & (inner > LARGEST_LENGTH), inner, NOT_IP)
    return types


_LAYERS: Final = (
    (VLAN, 4, _vlan),
    (MPLS, 5, _mpls),
    ((PPPOE_SESSION,), 6, _pppoe),
    ((PPP,), 4, _ppp),
    ((SERVICE_INSTANCE,), 18, _service_instance),
)


def _ipv4(data: Column, at: Offsets, ends: Offsets, types: Offsets, *, whole: bool) -> Packets:
    lanes = _have(at, ends, types, types == IPV4, 20)
    if not len(lanes):
        return NO_PACKETS[4]
    begin = at.take(lanes)
    first = data.take(begin)
    sound = (first >= 0x45) & (first <= 0x4F)
    if np.count_nonzero(sound) < len(lanes):
        types[lanes[~sound]] = NOT_IP
        lanes, begin, first = lanes[sound], begin[sound], first[sound]
    addresses = _cut(data, begin + 12, 8).view(">u4").astype(np.uint32)
    octets = _u16(data, begin + 2).astype(np.uint32)
    protocol, source, destination = _nothing(len(lanes)) if not whole else _ipv4_ports(data, begin, ends[lanes], first)
    return Packets(4, lanes, begin, addresses[:, 0], addresses[:, 1], protocol, source, destination, octets)


def _nothing(count: int) -> tuple[Column, Column, Column]:
    """(protocol, src_port, dst_port)"""
    return np.zeros(count, dtype=np.uint8), *np.zeros((2, count), dtype=np.uint16)


def _ipv4_ports(data: Column, begin: Offsets, ends: Offsets, first: Column) -> tuple[Column, Column, Column]:
    """(protocol, src_port, dst_port); `first` is the first octet of each header."""
    protocol = data.take(begin + 9)
    fragment = _u16(data, begin + 6) & 0x1FFF
    ports = _ports(data, begin + (first & 15).astype(np.int64) * 4, ends, np.where(fragment == 0, protocol, 0))
    return protocol, *ports


def _ipv6(data: Column, at: Offsets, ends: Offsets, types: Offsets, *, whole: bool) -> Packets:
    lanes = _have(at, ends, types, types == IPV6, 40)
    if not len(lanes):
        return NO_PACKETS[6]
    begin = at.take(lanes)
    sound = data.take(begin) >> 4 == 6
    if np.count_nonzero(sound) < len(lanes):
        types[lanes[~sound]] = NOT_IP
        lanes, begin = lanes[sound], begin[sound]
    addresses = _cut(data, begin + 8, 32).view(">u8").astype(np.uint64)
    payload = _u16(data, begin + 4)
    octets = np.where(payload > 0, payload + 40, 0).astype(np.uint32)  # 0 is a jumbogram's (RFC 2675), or none
    protocol, source, destination = _nothing(len(lanes)) if not whole else _ipv6_ports(data, begin, ends[lanes])
    return Packets(6, lanes, begin, addresses[:, :2], addresses[:, 2:], protocol, source, destination, octets)


def _ipv6_ports(data: Column, begin: Offsets, ends: Offsets) -> tuple[Column, Column, Column]:
    """(protocol, src_port, dst_port)"""
    protocol, transport, first = _past_extensions(data, begin + 40, ends, data.take(begin + 6).astype(np.int64))
    return protocol.astype(np.uint8), *_ports(data, transport, ends, np.where(first, protocol, 0))


def _past_extensions(data: Column, at: Offsets, ends: Offsets, protocol: Offsets) -> tuple[Offsets, Offsets, Column]:
    """(upper protocol, where it begins, whether it is there) of IPv6 packets whose extensions begin at `at`."""
    first = np.ones(len(at), dtype=bool)
    for _ in range(MOST_EXTENSIONS):
        more = first & EXTENSIONS[protocol]
        if not more.any():
            break
        lanes = np.flatnonzero(more & (at + 8 <= ends))
        first[more & (at + 8 > ends)] = False
        here, kind = at[lanes], protocol[lanes]
        length = data[here + 1].astype(np.int64)
        fragments = kind == FRAGMENT
        first[lanes[fragments & (_u16(data, here + 2) >> 3 != 0)]] = False
        protocol[lanes] = data[here]
        at[lanes] += np.where(fragments, 8, np.where(kind == AUTHENTICATION, length * 4 + 8, length * 8 + 8))
    return protocol, at, first


def _ports(data: Column, at: Offsets, ends: Offsets, protocol: Column) -> tuple[Column, Column]:
    lanes = np.flatnonzero(WITH_PORTS[protocol] & (at + 4 <= ends))
    source, destination = np.zeros((2, len(at)), dtype=np.uint16)
    at = at.take(lanes)
    source[lanes], destination[lanes] = _u16(data, at), _u16(data, at + 2)
    return source, destination
