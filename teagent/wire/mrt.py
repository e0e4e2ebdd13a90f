"""MRT routing tables (RFC 6396): which AS originates which prefix.

TABLE_DUMP, and of TABLE_DUMP_V2 the unicast RIBs, with additional paths (RFC 8050) or without. Updates and states that
a file also holds are read over. The origin is that of wire.as_path; where a path is empty, the peer itself.

Of the entries of a prefix the first few vote, so that one peer with an odd view does not decide.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from teagent.errors import BadLength, LimitExceeded, Truncated
from teagent.wire.bgp_update import origin_asn

HEADER: Final = struct.Struct(">IHHI")
TABLE_DUMP: Final = 12
TABLE_DUMP_V2: Final = 13
PEER_INDEX_TABLE: Final = 1
RIBS: Final = {2: (4, False), 4: (6, False), 8: (4, True), 10: (6, True)}
"""Subtype of TABLE_DUMP_V2 -> (family, additional paths)."""
ADDRESS_OCTETS: Final = {4: 4, 6: 16}
LONGEST_RECORD: Final = 16 << 20
VOTES: Final = 5


class Record(NamedTuple):
    kind: int
    subtype: int
    body: bytes


class Route(NamedTuple):
    """`network` is the address as a number, of IPv6 all 128 bits. `asn` 0: the path names no origin."""

    family: int
    network: int
    length: int
    asn: int


def records(chunks: Iterable[bytes]) -> Iterator[Record]:
    """The records of a file that comes in pieces. Raises Truncated where it ends within one, and LimitExceeded."""
    held, offset, before = b"", 0, 0
    for chunk in chunks:
        before += offset
        held, offset = held[offset:] + chunk, 0
        while len(held) - offset >= HEADER.size:
            _, kind, subtype, length = HEADER.unpack_from(held, offset)
            if length > LONGEST_RECORD:
                raise LimitExceeded(
                    f"mrt record states a length of {length}, limit {LONGEST_RECORD}", offset=before + offset
                )
            end = offset + HEADER.size + length
            if end > len(held):
                break
            yield Record(kind, subtype, held[offset + HEADER.size : end])
            offset = end
    if offset < len(held):
        raise Truncated(
            f"the file ends within an mrt record, {len(held) - offset} octets of it", offset=before + offset
        )


def routes(found: Iterable[Record]) -> Iterator[Route]:
    """One for each record of a routing table; records of other kinds are left out. Raises Truncated and BadLength."""
    peers: list[int] = []
    for record in found:
        if record.kind == TABLE_DUMP_V2:
            if record.subtype == PEER_INDEX_TABLE:
                peers = list(_peers(record.body))
            elif record.subtype in RIBS:
                family, add_path = RIBS[record.subtype]
                yield _rib(record.body, family, peers, add_path=add_path)
        elif record.kind == TABLE_DUMP and record.subtype in {1, 2}:
            yield _table_dump(record.body, 4 if record.subtype == 1 else 6)


def _peers(body: bytes) -> Iterator[int]:
    """AS numbers of the peers, in the order of the index (RFC 6396 section 4.3.1)."""
    try:
        (name,) = struct.unpack_from(">H", body, 4)
        offset = 6 + name
        (count,) = struct.unpack_from(">H", body, offset)
        offset += 2
        for _ in range(count):
            kind = body[offset]
            offset += 5 + (16 if kind & 1 else 4)
            (asn,) = struct.unpack_from(">I" if kind & 2 else ">H", body, offset)
            offset += 4 if kind & 2 else 2
            yield asn
    except (struct.error, IndexError) as error:
        raise Truncated(f"mrt peer index ends within a peer, {len(body)} octets are there", offset=0) from error


def _rib(body: bytes, family: int, peers: list[int], *, add_path: bool) -> Route:
    """RFC 6396 section 4.3.2, RFC 8050 section 4."""
    try:
        length = body[4]
        octets = _prefix_octets(length, family)
        network = _network(body[5 : 5 + octets], octets, family)
        offset = 5 + octets
        (count,) = struct.unpack_from(">H", body, offset)
        offset += 2
        votes: Counter[int] = Counter()
        for _ in range(min(count, VOTES)):
            (peer,) = struct.unpack_from(">H", body, offset)
            offset += 10 if add_path else 6
            (size,) = struct.unpack_from(">H", body, offset)
            offset += 2
            if offset + size > len(body):
                raise Truncated(f"mrt entry states {size} octets of attributes", offset=offset)
            own = peers[peer] if peer < len(peers) else 0
            votes[origin_asn(body[offset : offset + size], as_octets=4, peer=own)] += 1
            offset += size
    except (struct.error, IndexError) as error:
        raise Truncated(f"mrt rib record ends within an entry, {len(body)} octets are there", offset=0) from error
    return Route(family, network, length, _elected(votes))


def _elected(votes: Counter[int]) -> int:
    del votes[0]
    return votes.most_common(1)[0][0] if votes else 0


def _table_dump(body: bytes, family: int) -> Route:
    """RFC 6396 section 4.2: one entry a record."""
    octets = ADDRESS_OCTETS[family]
    begin = 4 + octets + 1 + 1 + 4 + octets + 2 + 2
    if len(body) < begin:
        raise Truncated(f"mrt table dump takes {begin} octets, {len(body)} are there", offset=0)
    peer, size = struct.unpack_from(">HH", body, begin - 4)
    if begin + size > len(body):
        raise Truncated(f"mrt entry states {size} octets of attributes", offset=begin)
    length = body[4 + octets]
    network = _network(body[4 : 4 + _prefix_octets(length, family)], _prefix_octets(length, family), family)
    return Route(family, network, length, origin_asn(body[begin : begin + size], as_octets=2, peer=peer))


def _prefix_octets(length: int, family: int) -> int:
    if length > ADDRESS_OCTETS[family] * 8:
        raise BadLength(
            f"mrt prefix has a length of {length}, the family's limit is {ADDRESS_OCTETS[family] * 8}", offset=4
        )
    return (length + 7) // 8


def _network(prefix: bytes, octets: int, family: int) -> int:
    if len(prefix) < octets:
        raise Truncated(f"mrt prefix takes {octets} octets, {len(prefix)} are there", offset=5)
    return int.from_bytes(prefix, "big") << 8 * (ADDRESS_OCTETS[family] - octets)
