"""UDP payloads out of a libpcap file, as tests need them: Ethernet (VLAN too), Linux cooked, raw IP; no fragments."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

LINK_OFFSETS = {1: 12, 113: 14, 12: None, 101: None, 228: None}  # where the ethertype stands


@dataclass(frozen=True, slots=True)
class Datagram:
    at: float
    source: str
    source_port: int
    port: int
    payload: bytes


def datagrams(path: Path, *, port: int | None = None) -> list[Datagram]:
    return [d for d in _all(path.read_bytes()) if port is None or d.port == port]


def _all(data: bytes) -> Iterator[Datagram]:
    order = {0xA1B2C3D4: ">", 0xD4C3B2A1: "<", 0xA1B23C4D: ">", 0x4D3CB2A1: "<"}[int.from_bytes(data[:4], "big")]
    fraction = 1e-9 if data[:4] in {b"\xa1\xb2\x3c\x4d", b"\x4d\x3c\xb2\xa1"} else 1e-6
    link = struct.unpack_from(f"{order}I", data, 20)[0] & 0xFFFF
    at = 24
    while at < len(data):
        seconds, parts, caught, _ = struct.unpack_from(f"{order}IIII", data, at)
        frame = data[at + 16 : at + 16 + caught]
        at += 16 + caught
        packet = _packet(frame, LINK_OFFSETS[link])
        if packet:
            yield from _udp(packet, seconds + parts * fraction)


def _packet(frame: bytes, offset: int | None) -> bytes:
    if offset is None:
        return frame
    while frame[offset : offset + 2] in {b"\x81\x00", b"\x88\xa8"}:
        offset += 4
    return frame[offset + 2 :] if frame[offset : offset + 2] in {b"\x08\x00", b"\x86\xdd"} else b""


def _udp(packet: bytes, at: float) -> Iterator[Datagram]:
    if packet[0] >> 4 == 4:
        header, protocol, source = (packet[0] & 15) * 4, packet[9], ip_address(packet[12:16])
    else:
        header, protocol, source = 40, packet[6], ip_address(packet[8:24])
    if protocol == 17:
        source_port, port, length, _ = struct.unpack_from(">HHHH", packet, header)
        yield Datagram(at, str(source), source_port, port, packet[header + 8 : header + length])
