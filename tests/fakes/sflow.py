"""sFlow agents in miniature: datagrams, samples and records, and the frames in them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

INTERNAL = 0x3FFFFFFF


def opaque(octets: bytes) -> bytes:
    return struct.pack(">I", len(octets)) + octets + bytes(-len(octets) % 4)


def record(kind: int, body: bytes) -> bytes:
    return struct.pack(">I", kind) + opaque(body)


def datagram(
    *samples: bytes, sequence: int = 1, agent: str = "192.0.2.1", sub_agent: int = 0, count: int | None = None
) -> bytes:
    six = ":" in agent
    address = IPv6Address(agent).packed if six else IPv4Address(agent).packed
    head = struct.pack(">II", 5, 2 if six else 1) + address
    head += struct.pack(">4I", sub_agent, sequence, 60_000, len(samples) if count is None else count)
    return head + b"".join(samples)


def flow_sample(
    *records: bytes,
    sequence: int = 1,
    source: int = 3,
    rate: int = 1000,
    drops: int = 0,
    in_if: tuple[int, int] = (0, 3),
    out_if: tuple[int, int] = (0, 4),
    expanded: bool = False,
    count: int | None = None,
) -> bytes:
    """Interfaces are (format, value)."""
    many = len(records) if count is None else count
    if expanded:
        words = (sequence, 0, source, rate, rate * sequence % 2**32, drops, *in_if, *out_if, many)
    else:
        packed = [kind << 30 | value for kind, value in (in_if, out_if)]
        words = (sequence, source, rate, rate * sequence % 2**32, drops, *packed, many)
    return record(3 if expanded else 1, struct.pack(f">{len(words)}I", *words) + b"".join(records))


def counter_sample(*records: bytes, sequence: int = 1, source: int = 3, expanded: bool = False) -> bytes:
    words = (sequence, 0, source, len(records)) if expanded else (sequence, source, len(records))
    return record(4 if expanded else 2, struct.pack(f">{len(words)}I", *words) + b"".join(records))


def discarded_packet(*records: bytes, sequence: int = 1, reason: int = 257, in_if: int = 3, out_if: int = 0) -> bytes:
    return record(5, struct.pack(">8I", sequence, 0, in_if, 0, in_if, out_if, reason, len(records)) + b"".join(records))


def sampled_header(frame: bytes, *, protocol: int = 1, length: int | None = None, stripped: int = 4) -> bytes:
    """`length` is frame_length, else the frame's with its checksum."""
    head = struct.pack(">III", protocol, len(frame) + stripped if length is None else length, stripped)
    return record(1, head + opaque(frame))


def sampled_ipv4(src: str, dst: str, *, length: int = 1500, ports: tuple[int, int] = (1000, 443)) -> bytes:
    addresses = IPv4Address(src).packed + IPv4Address(dst).packed
    return record(3, struct.pack(">II", length, 6) + addresses + struct.pack(">4I", *ports, 16, 0))


def sampled_ipv6(src: str, dst: str, *, length: int = 1500, ports: tuple[int, int] = (1000, 443)) -> bytes:
    addresses = IPv6Address(src).packed + IPv6Address(dst).packed
    return record(4, struct.pack(">II", length, 6) + addresses + struct.pack(">4I", *ports, 16, 0))


def gateway(src_asn: int, path: Sequence[int], *, own: int = 64500) -> bytes:
    body = struct.pack(">I", 1) + IPv4Address("192.0.2.9").packed + struct.pack(">III", own, src_asn, src_asn)
    body += struct.pack(">I", 1) + struct.pack(f">II{len(path)}I", 2, len(path), *path) if path else bytes(4)
    return record(1003, body + struct.pack(">II", 0, 100))


def if_counters(if_index: int, *, in_octets: int = 10**12) -> bytes:
    head = struct.pack(">IIQII", if_index, 6, 10**10, 1, 3)
    return record(1, head + struct.pack(">Q6I", in_octets, *range(6)) + struct.pack(">Q6I", 1, *range(6)))


def udp(source: int, destination: int, payload: bytes = b"x" * 20) -> bytes:
    return struct.pack(">HHHH", source, destination, 8 + len(payload), 0) + payload


def ipv4(
    src: str, dst: str, body: bytes, *, protocol: int = 17, fragment: int = 0, options: bytes = b"", ident: int = 7
) -> bytes:
    """`fragment` is the field with flags and offset."""
    length = 20 + len(options) + len(body)
    head = struct.pack(">BBHHHBBH", 0x45 + len(options) // 4, 0, length, ident, fragment, 64, protocol, 0)
    return head + IPv4Address(src).packed + IPv4Address(dst).packed + options + body


def ipv6(src: str, dst: str, body: bytes, *, protocol: int = 17, extensions: Sequence[int] = ()) -> bytes:
    """`extensions` are headers of 8 octets, one after the other."""
    chain = [*extensions, protocol]
    extra = b"".join(bytes([following, 0]) + bytes(6) for following in chain[1:])
    head = struct.pack(">IHBB", 6 << 28, len(extra) + len(body), chain[0], 64)
    return head + IPv6Address(src).packed + IPv6Address(dst).packed + extra + body


def ethernet(packet: bytes, *, vlans: Sequence[int] = (), labels: Sequence[int] = (), kind: int | None = None) -> bytes:
    ethertype = 0x0800 if packet[:1] and packet[0] >> 4 == 4 else 0x86DD
    frame = bytes.fromhex("02000000000202000000000a")
    for vlan in vlans:
        frame += struct.pack(">HH", 0x8100, vlan)
    if labels:
        stack = [label << 12 | 64 for label in labels]
        stack[-1] |= 0x100
        return frame + struct.pack(f">H{len(stack)}I", 0x8847, *stack) + packet
    return frame + struct.pack(">H", ethertype if kind is None else kind) + packet
