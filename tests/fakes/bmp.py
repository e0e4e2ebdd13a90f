"""BMP and BGP messages made by hand: what a router would send."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, ip_address, ip_network

ROUTER_ID = IPv4Address("10.0.0.1")
MARKER = b"\xff" * 16
VIEW_FLAGS = {"pre_policy": 0, "post_policy": 0x40, "out_pre_policy": 0x10, "out_post_policy": 0x50, "loc_rib": 0}


def message(kind: int, body: bytes) -> bytes:
    return struct.pack(">BIB", 3, 6 + len(body), kind) + body


def peer(
    address: str = "192.0.2.66",
    *,
    view: str = "pre_policy",
    asn: int = 65000,
    distinguisher: int = 0,
    at: float = 0.0,
    two_octet_as: bool = False,
) -> bytes:
    six = ":" in address
    packed = bytes(16) if view == "loc_rib" else ip_address(address).packed.rjust(16, b"\0")
    flags = VIEW_FLAGS[view] | (0x80 if six else 0) | (0x20 if two_octet_as else 0)
    kind = 3 if view == "loc_rib" else 0
    seconds = int(at)
    return struct.pack(
        ">BBQ16sI4sII",
        kind,
        flags,
        distinguisher,
        packed,
        asn,
        ROUTER_ID.packed,
        seconds,
        round((at - seconds) * 1e6),
    )


def bgp(kind: int, body: bytes) -> bytes:
    return MARKER + struct.pack(">HB", 19 + len(body), kind) + body


def attribute(kind: int, value: bytes, *, flags: int = 0x40) -> bytes:
    if len(value) > 255:
        return struct.pack(">BBH", flags | 0x10, kind, len(value)) + value
    return struct.pack(">BBB", flags, kind, len(value)) + value


def nets(prefixes: Iterable[str], *, path_id: int | None = None) -> bytes:
    octets = b""
    for text in prefixes:
        net = ip_network(text)
        head = b"" if path_id is None else struct.pack(">I", path_id)
        octets += head + bytes((net.prefixlen,)) + net.network_address.packed[: (net.prefixlen + 7) // 8]
    return octets


def as_path(*numbers: int, size: int = 4) -> bytes:
    if not numbers:
        return b""
    return struct.pack(f">BB{len(numbers)}{'I' if size == 4 else 'H'}", 2, len(numbers), *numbers)


def update(
    announced: Sequence[str] = (),
    withdrawn: Sequence[str] = (),
    *,
    next_hop: str = "192.0.2.254",
    path: Sequence[int] = (),
    as_octets: int = 4,
    local_pref: int | None = 100,
    communities: Sequence[tuple[int, int]] = (),
    large: Sequence[tuple[int, int, int]] = (),
    path_id: int | None = None,
    more: bytes = b"",
) -> bytes:
    """Prefixes of one family at a time; IPv6 goes into MP_REACH_NLRI and MP_UNREACH_NLRI."""
    six = any(":" in text for text in (*announced, *withdrawn))
    attributes = b""
    if announced:
        attributes += attribute(1, b"\0") + attribute(2, as_path(*path, size=as_octets))
        if not six:
            attributes += attribute(3, ip_address(next_hop).packed)
        if local_pref is not None:
            attributes += attribute(5, struct.pack(">I", local_pref))
        if communities:
            attributes += attribute(8, b"".join(struct.pack(">HH", *row) for row in communities), flags=0xC0)
        if large:
            attributes += attribute(32, b"".join(struct.pack(">III", *row) for row in large), flags=0xC0)
        attributes += more
    if six and announced:
        hop = ip_address(next_hop).packed
        reach = struct.pack(">HBB", 2, 1, len(hop)) + hop + b"\0" + nets(announced, path_id=path_id)
        attributes += attribute(14, reach, flags=0x80)
    if six and withdrawn:
        attributes += attribute(15, struct.pack(">HB", 2, 1) + nets(withdrawn, path_id=path_id), flags=0x80)
    gone = b"" if six else nets(withdrawn, path_id=path_id)
    come = b"" if six else nets(announced, path_id=path_id)
    return bgp(2, struct.pack(">H", len(gone)) + gone + struct.pack(">H", len(attributes)) + attributes + come)


def end_of_rib(family: int = 4) -> bytes:
    if family == 4:
        return update()
    empty = attribute(15, struct.pack(">HB", 2, 1), flags=0x80)
    return bgp(2, struct.pack(">HH", 0, len(empty)) + empty)


def monitoring(update_: bytes, address: str = "192.0.2.66", **more: object) -> bytes:
    return message(0, peer(address, **more) + update_)  # type: ignore[arg-type]


def open_(asn: int = 65000, *, capabilities: bytes = b"") -> bytes:
    options = bytes((2, len(capabilities))) + capabilities if capabilities else b""
    body = struct.pack(">BHH4sB", 4, asn, 30, ROUTER_ID.packed, len(options))
    return bgp(1, body + options)


def add_path(*rows: tuple[int, int, int]) -> bytes:
    """(afi, safi, mode)."""
    value = b"".join(struct.pack(">HBB", *row) for row in rows)
    return bytes((69, len(value))) + value


def peer_up(
    address: str = "192.0.2.66", *, local: str = "192.0.2.65", sent: bytes | None = None, received: bytes | None = None
) -> bytes:
    ends = ip_address(local).packed.rjust(16, b"\0") + struct.pack(">HH", 179, 40000)
    return message(3, peer(address) + ends + (sent or open_()) + (received or open_()))


def peer_down(address: str = "192.0.2.66", *, code: int = 1, data: bytes = b"") -> bytes:
    return message(2, peer(address) + bytes((code,)) + data)


def notification(code: int, subcode: int = 0) -> bytes:
    return bgp(3, bytes((code, subcode)))


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack(">HH", kind, len(value)) + value


def initiation(name: str = "edge", description: str = "a router") -> bytes:
    return message(4, tlv(1, description.encode()) + tlv(2, name.encode()))


def termination(reason: int = 0) -> bytes:
    return message(5, tlv(1, struct.pack(">H", reason)))


def statistics(values: Mapping[int, int], address: str = "192.0.2.66") -> bytes:
    rows = b"".join(tlv(kind, struct.pack(">I", value)) for kind, value in values.items())
    return message(1, peer(address) + struct.pack(">I", len(values)) + rows)
