"""BGP UPDATE messages (RFC 4271 section 4.3), as BMP carries them: whole, with their header.

Unicast of both families: IPv4 in the message's own fields, either by MP_REACH_NLRI and MP_UNREACH_NLRI (RFC 4760),
with additional paths (RFC 7911) where they were negotiated. Other address families are read over. A message is a few
thousand octets (RFC 8654: 65,535), which bounds what it can make us build.

The attributes stay octets until somebody asks for them: of a full table only the prefixes are looked at.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final, NamedTuple

from teagent.errors import BadLength, BadVersion, Truncated
from teagent.model.bgp import Address, LargeCommunity, PathAttributes, Prefix
from teagent.wire import as_path

HEADER_OCTETS: Final = 19
MARKER: Final = b"\xff" * 16
UPDATE: Final = 2
UNICAST: Final = 1
FAMILY_OF_AFI: Final = {1: 4, 2: 6}
BITS: Final = {4: 32, 6: 128}

AS_PATH: Final = 2
NEXT_HOP: Final = 3
MED: Final = 4
LOCAL_PREF: Final = 5
COMMUNITIES: Final = 8
ORIGINATOR_ID: Final = 9
MP_REACH: Final = 14
MP_UNREACH: Final = 15
AS4_PATH: Final = 17
LARGE_COMMUNITIES: Final = 32
EXTENDED_LENGTH: Final = 0x10


class Net(NamedTuple):
    """`network` is the address as a number, without host bits. `path_id` 0: no additional paths."""

    family: int
    network: int
    length: int
    path_id: int = 0

    def prefix(self) -> Prefix:
        return IPv4Network(self[1:3]) if self.family == 4 else IPv6Network(self[1:3])


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """`end_of_rib` is the family whose table is complete with this message (RFC 4724), None for what is none.

    `attributes` are those of all that is announced, for `path_attributes` and `origin_asn`.
    """

    announced: tuple[Net, ...]
    withdrawn: tuple[Net, ...]
    attributes: bytes
    end_of_rib: int | None = None


def own_nets(prefixes: Iterable[Prefix]) -> dict[tuple[int, int, int], Prefix]:
    """Each prefix by what it is in an UPDATE."""
    return {(prefix.version, int(prefix.network_address), prefix.prefixlen): prefix for prefix in prefixes}


def decode_update(message: bytes, *, add_path: Collection[int] = ()) -> Update:
    """`message` with its header; `add_path` are the families whose prefixes carry path identifiers.

    Raises WireError: BadVersion for what is no UPDATE, BadLength and Truncated.
    """
    body = _body(message)
    withdrawn_octets = _two(body, 0)
    attributes_at = 2 + withdrawn_octets
    attributes_octets = _two(body, attributes_at)
    begin = attributes_at + 2
    end = begin + attributes_octets
    if end > len(body):
        raise Truncated(f"bgp update states {attributes_octets} octets of attributes", offset=begin)
    attributes = body[begin:end]
    with_id = 4 in add_path
    withdrawn = list(_nets(body, 2, attributes_at, 4, with_id=with_id))
    announced = list(_nets(body, end, len(body), 4, with_id=with_id))
    end_of_rib = 4 if len(body) == 4 else None
    for kind, at, size in _each(attributes):
        if kind == MP_REACH:
            announced += _reached(attributes, at, size, add_path)
        elif kind == MP_UNREACH:
            family, gone = _unreached(attributes, at, size, add_path)
            withdrawn += gone
            # End-of-RIB has this attribute, empty, and nothing else.
            end_of_rib = family if size == 3 and at + size == len(attributes) and at <= 4 else end_of_rib
    return Update(announced=tuple(announced), withdrawn=tuple(withdrawn), attributes=attributes, end_of_rib=end_of_rib)


def _body(message: bytes) -> bytes:
    if len(message) < HEADER_OCTETS + 4:
        raise Truncated(f"bgp update takes {HEADER_OCTETS + 4} octets, {len(message)} are there", offset=0)
    if message[:16] != MARKER or message[18] != UPDATE:
        raise BadVersion(f"bgp message is of type {message[18]}, an update is {UPDATE}", offset=18)
    length = _two(message, 16)
    if length != len(message):
        raise BadLength(f"bgp message states a length of {length}, {len(message)} octets are there", offset=16)
    return message[HEADER_OCTETS:]


def _two(octets: bytes, at: int) -> int:
    if at + 2 > len(octets):
        raise Truncated(f"bgp update ends within a length, {len(octets)} octets are there", offset=at)
    return octets[at] << 8 | octets[at + 1]


def _each(attributes: bytes) -> Iterator[tuple[int, int, int]]:
    """(kind, where its value begins, octets of the value). Raises Truncated."""
    at, end = 0, len(attributes)
    while at < end:
        head = 4 if attributes[at] & EXTENDED_LENGTH else 3
        if at + head > end:
            raise Truncated(f"bgp attributes end within a header, {end} octets are there", offset=at)
        kind = attributes[at + 1]
        size = attributes[at + 2] if head == 3 else attributes[at + 2] << 8 | attributes[at + 3]
        at += head
        if at + size > end:
            raise Truncated(f"bgp attribute {kind} states {size} octets, {end - at} are there", offset=at)
        yield kind, at, size
        at += size


def _nets(octets: bytes, at: int, end: int, family: int, *, with_id: bool) -> Iterator[Net]:
    """RFC 4271 section 4.3, RFC 7911 section 3. Raises Truncated and BadLength."""
    if end > len(octets):
        raise Truncated(f"bgp update states {end - at} octets of prefixes, {len(octets) - at} are there", offset=at)
    bits = BITS[family]
    path_id = 0
    while at < end:
        if with_id:
            if at + 4 >= end:
                raise Truncated("bgp update ends within a path identifier", offset=at)
            path_id = int.from_bytes(octets[at : at + 4], "big")
            at += 4
        length = octets[at]
        size = (length + 7) >> 3
        at += 1
        if length > bits:
            raise BadLength(f"bgp prefix has a length of {length}, the family's limit is {bits}", offset=at)
        if at + size > end:
            raise Truncated(f"bgp prefix takes {size} octets, {end - at} are there", offset=at)
        network = int.from_bytes(octets[at : at + size], "big") << (bits - (size << 3))
        if network & ((1 << (bits - length)) - 1):
            network = network >> (bits - length) << (bits - length)
        at += size
        yield Net(family, network, length, path_id)


def _reached(attributes: bytes, at: int, size: int, add_path: Collection[int]) -> Iterator[Net]:
    """RFC 4760 section 3."""
    family, hop_at, hop_octets = _reached_head(attributes, at, size)
    if family is not None:
        begin = hop_at + hop_octets + 1
        yield from _nets(attributes, begin, at + size, family, with_id=family in add_path)


def _reached_head(attributes: bytes, at: int, size: int) -> tuple[int | None, int, int]:
    """(family, None where it is not unicast; where the next hop begins; its octets)."""
    if size < 5:
        raise Truncated(f"bgp attribute {MP_REACH} takes 5 octets, {size} are there", offset=at)
    hop_octets = attributes[at + 3]
    if 5 + hop_octets > size:
        raise Truncated(f"bgp attribute {MP_REACH} states a next hop of {hop_octets} octets", offset=at)
    return _family(attributes, at), at + 4, hop_octets


def _unreached(attributes: bytes, at: int, size: int, add_path: Collection[int]) -> tuple[int | None, tuple[Net, ...]]:
    """RFC 4760 section 4."""
    if size < 3:
        raise Truncated(f"bgp attribute {MP_UNREACH} takes 3 octets, {size} are there", offset=at)
    family = _family(attributes, at)
    if family is None:
        return None, ()
    return family, tuple(_nets(attributes, at + 3, at + size, family, with_id=family in add_path))


def _family(attributes: bytes, at: int) -> int | None:
    afi, safi = attributes[at] << 8 | attributes[at + 1], attributes[at + 2]
    return FAMILY_OF_AFI.get(afi) if safi == UNICAST else None


def path_attributes(attributes: bytes, *, as_octets: int = 4) -> PathAttributes:
    """What decides of a route. Raises Truncated and BadLength."""
    values = {kind: (at, size) for kind, at, size in _each(attributes)}

    def value(kind: int) -> bytes | None:
        found = values.get(kind)
        return None if found is None else attributes[found[0] : found[0] + found[1]]

    path = as_path.segments(value(AS_PATH) or b"", value(AS4_PATH), as_octets=as_octets)
    return PathAttributes(
        next_hop=_next_hop(attributes, value(NEXT_HOP), values.get(MP_REACH)),
        as_path=tuple(number for _, numbers in path for number in numbers),
        med=_number(MED, value(MED)),
        local_pref=_number(LOCAL_PREF, value(LOCAL_PREF)),
        communities=frozenset(_rows(COMMUNITIES, value(COMMUNITIES), ">HH")),
        large_communities=frozenset(
            LargeCommunity(*row) for row in _rows(LARGE_COMMUNITIES, value(LARGE_COMMUNITIES), ">III")
        ),
        reflected=ORIGINATOR_ID in values,
    )


def origin_asn(attributes: bytes, *, as_octets: int = 4, peer: int = 0) -> int:
    """As wire.as_path tells it; `peer` where the path is empty. Raises Truncated."""
    path = path4 = None
    for kind, at, size in _each(attributes):
        if kind == AS_PATH:
            path = attributes[at : at + size]
        elif kind == AS4_PATH:
            path4 = attributes[at : at + size]
    if path is None:
        return 0
    return as_path.origin(as_path.segments(path, path4, as_octets=as_octets)) if path else peer


def _next_hop(attributes: bytes, plain: bytes | None, reached: tuple[int, int] | None) -> Address | None:
    """Of an IPv6 next hop with a link-local one beside it (RFC 2545), the global one."""
    if reached is not None:
        _, at, octets = _reached_head(attributes, *reached)
        hop = attributes[at : at + octets]
    else:
        hop = plain or b""
    if len(hop) == 4:
        return IPv4Address(hop)
    return IPv6Address(hop[:16]) if len(hop) in {16, 32} else None


def _number(kind: int, value: bytes | None) -> int | None:
    if value is None:
        return None
    if len(value) != 4:
        raise BadLength(f"bgp attribute {kind} takes 4 octets, {len(value)} are there", offset=0)
    return int.from_bytes(value, "big")


def _rows(kind: int, value: bytes | None, layout: str) -> Iterator[tuple[int, ...]]:
    if value is None:
        return
    size = struct.calcsize(layout)
    if len(value) % size:
        raise BadLength(f"bgp attribute {kind} takes {size} octets each, {len(value)} are there", offset=0)
    yield from struct.iter_unpack(layout, value)
