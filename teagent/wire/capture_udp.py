"""UDP datagrams out of captured frames. IP fragments are put together again, within bounds.

Link types (tcpdump.org/linktypes.html): loopback, Ethernet, PPP, Cisco HDLC, raw IP, Linux cooked; VLAN tags, PPPoE
and MPLS labels in them. What is of another kind, no UDP, or damaged is counted by reason.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple

from teagent.wire.capture import Frame

MOST_FRAGMENTED: Final = 256  # datagrams that wait for fragments
FRAGMENTS_SECONDS: Final = 60.0  # RFC 8200 section 4.5; later ones of this number are of another datagram
LARGEST_PACKET: Final = 65_535
UDP: Final = 17
IPV6_FRAGMENT: Final = 44
IPV6_EXTENSIONS: Final = frozenset({0, 43, 60})
VLAN: Final = frozenset({0x8100, 0x88A8, 0x9100, 0x9200})
MPLS: Final = frozenset({0x8847, 0x8848})
PPPOE_SESSION: Final = 0x8864
IPV4: Final = 0x0800
IPV6: Final = 0x86DD

LOOPBACK: Final = frozenset({0, 108})  # NULL, in the byte order of the machine that captured; LOOP, big endian
RAW_IP: Final = frozenset({12, 14, 101, 228, 229})
ETHERTYPE_AT: Final = {1: 12, 104: 2, 113: 14}  # Ethernet, Cisco HDLC, Linux cooked
COOKED_2: Final = 276  # has it at the beginning, and what it announces behind its other fields
COOKED_2_OCTETS: Final = 20
PPP: Final = frozenset({9, 50})
PPP_PROTOCOLS: Final = {b"\x00\x21": IPV4, b"\x00\x57": IPV6, b"\x02\x81": 0x8847, b"\x02\x83": 0x8848}


class Skipped(StrEnum):
    """Why a frame gave no datagram."""

    LINK_TYPE = "unknown_link_type"
    NOT_UDP = "not_udp"
    CUT = "cut_by_capture"
    DAMAGED = "damaged"
    FRAGMENTS = "fragments_missing"


class Datagram(NamedTuple):
    """A UDP payload; `missing` octets of its end were cut off by the capture."""

    at: float
    source: str
    source_port: int
    destination: str
    port: int
    payload: bytes
    missing: int = 0


@dataclass(slots=True, eq=False)
class _Fragments:
    at: float
    parts: dict[int, bytes] = field(default_factory=dict)
    octets: int = 0  # of all parts
    end: int | None = None

    def whole(self) -> bytes | None:
        """None while some are missing; overlapping ones never become whole (RFC 5722)."""
        if self.octets != self.end:
            return None
        joined = bytearray()
        for offset in sorted(self.parts):
            if offset != len(joined):
                return None
            joined += self.parts[offset]
        return bytes(joined)


class UdpReader:
    """`skipped` counts the frames that gave no datagram, by reason; a fragment counts when it is given up. Frames of
    link types that are not known are in `link_types`, too, by number.
    """

    def __init__(self) -> None:
        self.skipped: Counter[Skipped] = Counter()
        self.link_types: Counter[int] = Counter()
        self._fragments: dict[tuple[bytes, bytes, int], _Fragments] = {}

    def datagrams(self, frames: Iterable[Frame]) -> Iterator[Datagram]:
        for frame in frames:
            found = self._read(frame)
            if isinstance(found, Skipped):
                self.skipped[found] += 1
                if found is Skipped.LINK_TYPE:
                    self.link_types[frame.link_type] += 1
            elif found is not None:
                yield found
        self.skipped[Skipped.FRAGMENTS] += sum(len(waiting.parts) for waiting in self._fragments.values())
        self._fragments.clear()
        self.skipped += Counter()  # drops what is 0

    def _read(self, frame: Frame) -> Datagram | Skipped | None:
        packet = _packet(frame)
        if isinstance(packet, Skipped):
            return packet
        if not packet:
            return Skipped.CUT if len(frame.octets) < frame.length else Skipped.NOT_UDP
        version = packet[0] >> 4
        if version == 4:
            return self._ipv4(frame.at, packet)
        return self._ipv6(frame.at, packet) if version == 6 else Skipped.NOT_UDP

    def _ipv4(self, at: float, packet: bytes) -> Datagram | Skipped | None:
        header = (packet[0] & 15) * 4
        if len(packet) < max(header, 20):
            return Skipped.CUT
        length, identification, fragment = struct.unpack_from(">HHH", packet, 2)
        if header < 20 or (length and length < header):
            return Skipped.DAMAGED
        if packet[9] != UDP:
            return Skipped.NOT_UDP
        addresses = packet[12:16], packet[16:20]
        body = packet[header : length or None]
        if fragment & 0x3FFF == 0:
            return _udp(at, addresses, body)
        if len(packet) < length:
            return Skipped.CUT
        return self._fragment(at, (*addresses, identification), fragment & 0x1FFF, body, more=bool(fragment & 0x2000))

    def _ipv6(self, at: float, packet: bytes) -> Datagram | Skipped | None:
        if len(packet) < 40:
            return Skipped.CUT
        length, protocol = struct.unpack_from(">HB", packet, 4)
        addresses = packet[8:24], packet[24:40]
        start, end = 40, 40 + length if length else len(packet)
        while protocol in IPV6_EXTENSIONS or protocol == IPV6_FRAGMENT:
            if len(packet) < start + 8:
                return Skipped.CUT
            here, protocol = protocol, packet[start]
            if here == IPV6_FRAGMENT:
                word, identification = struct.unpack_from(">HI", packet, start + 2)
                if word & 0xFFF9 == 0:  # an atomic fragment (RFC 6946)
                    start += 8
                    continue
                if protocol != UDP:
                    return Skipped.NOT_UDP
                if len(packet) < end:
                    return Skipped.CUT
                body = packet[start + 8 : end]
                return self._fragment(at, (*addresses, identification), word >> 3, body, more=bool(word & 1))
            start += packet[start + 1] * 8 + 8
        return _udp(at, addresses, packet[start:end]) if protocol == UDP else Skipped.NOT_UDP

    def _fragment(
        self, at: float, key: tuple[bytes, bytes, int], offset: int, body: bytes, *, more: bool
    ) -> Datagram | Skipped | None:
        offset *= 8
        if offset + len(body) > LARGEST_PACKET or (more and len(body) % 8) or not body:
            return Skipped.DAMAGED
        if key in self._fragments and at - self._fragments[key].at > FRAGMENTS_SECONDS:
            self._give_up(key)
        waiting = self._fragments.setdefault(key, _Fragments(at))
        if offset in waiting.parts:  # the same once more
            return Skipped.DAMAGED
        waiting.parts[offset] = body
        waiting.octets += len(body)
        if not more:
            waiting.end = offset + len(body)
        whole = waiting.whole()
        if whole is not None:
            del self._fragments[key]
            return _udp(at, key[:2], whole)
        if waiting.octets > LARGEST_PACKET:
            self._give_up(key)
        elif len(self._fragments) > MOST_FRAGMENTED:
            self._give_up(next(iter(self._fragments)))
        return None

    def _give_up(self, key: tuple[bytes, bytes, int]) -> None:
        self.skipped[Skipped.FRAGMENTS] += len(self._fragments.pop(key).parts)


def _packet(frame: Frame) -> bytes | Skipped:
    """The IP packet of a frame, empty where it holds another protocol."""
    octets, link = frame.octets, frame.link_type
    if link in RAW_IP:
        return octets
    if link in LOOPBACK:
        return octets[4:]
    if link in PPP:
        return _of_ppp(octets)
    if link == COOKED_2:
        return _of_type(_number(octets, 0), octets[COOKED_2_OCTETS:])
    at = ETHERTYPE_AT.get(link)
    return Skipped.LINK_TYPE if at is None else _of_type(_number(octets, at), octets[at + 2 :])


def _number(octets: bytes, at: int) -> int:
    return int.from_bytes(octets[at : at + 2], "big")


def _of_type(kind: int, octets: bytes) -> bytes:
    """The IP packet in what an EtherType announces."""
    at = 0
    while kind in VLAN:
        kind = _number(octets, at + 2)
        at += 4
    if kind in MPLS:
        return _below_labels(octets, at)
    if kind == PPPOE_SESSION:
        return _of_ppp(octets[at + 6 :])
    return octets[at:] if kind in {IPV4, IPV6} else b""


def _below_labels(octets: bytes, at: int) -> bytes:
    """RFC 3032 section 2.1; what is below shows in its version, which is looked at later."""
    while at + 4 <= len(octets):
        at += 4
        if octets[at - 2] & 1:
            return octets[at:]
    return b""


def _of_ppp(octets: bytes) -> bytes:
    octets = octets.removeprefix(b"\xff\x03")
    kind = PPP_PROTOCOLS.get(octets[:2], 0)
    return _of_type(kind, octets[2:])


def _udp(at: float, addresses: tuple[bytes, bytes], body: bytes) -> Datagram | Skipped:
    if len(body) < 8:
        return Skipped.CUT
    source_port, port, length, _ = struct.unpack_from(">HHHH", body)
    if length == 0:  # a jumbogram, or a length that the hardware was to fill in
        length = len(body)
    if length < 8:
        return Skipped.DAMAGED
    source, destination = (str(IPv4Address(a) if len(a) == 4 else IPv6Address(a)) for a in addresses)
    return Datagram(at, source, source_port, destination, port, body[8:length], max(0, length - len(body)))
