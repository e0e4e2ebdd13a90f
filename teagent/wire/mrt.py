"""MRT routing tables (RFC 6396): which AS originates which prefix.

TABLE_DUMP, and of TABLE_DUMP_V2 the unicast RIBs, with additional paths (RFC 8050) or without. Updates and states that
a file also holds are read over. The origin is what a path ends with:

- a sequence: its last AS, with AS4_PATH put in where the path has two octets an AS (RFC 6793 section 4.2.3);
- a set of one AS: that; a larger set: who made it, the AS before it, since one of the set cannot be told;
- confederation segments are the peer's own affair and are left out (RFC 5065);
- nothing: the peer itself.

Of the entries of a prefix the first few vote, so that one peer with an odd view does not decide.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from teagent.errors import BadLength, LimitExceeded, Truncated

HEADER: Final = struct.Struct(">IHHI")
TABLE_DUMP: Final = 12
TABLE_DUMP_V2: Final = 13
PEER_INDEX_TABLE: Final = 1
RIBS: Final = {2: (4, False), 4: (6, False), 8: (4, True), 10: (6, True)}
"""Subtype of TABLE_DUMP_V2 -> (family, additional paths)."""
ADDRESS_OCTETS: Final = {4: 4, 6: 16}
LONGEST_RECORD: Final = 16 << 20
VOTES: Final = 5
AS_TRANS: Final = 23456  # RFC 6793: stands for a number that has no room
AS_PATH: Final = 2
AS4_PATH: Final = 17
AS_SET: Final = 1
AS_SEQUENCE: Final = 2
CONFED_SEGMENTS: Final = frozenset({3, 4})


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
            votes[_origin(body, offset, offset + size, own, as_octets=4)] += 1
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
    return Route(family, network, length, _origin(body, begin, begin + size, peer, as_octets=2))


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


def _origin(body: bytes, offset: int, end: int, peer: int, *, as_octets: int) -> int:
    """Out of the path attributes of one entry (RFC 4271 section 4.3), 0 where none can be told."""
    path = path4 = None
    while offset + 3 <= end:
        flags, kind = body[offset], body[offset + 1]
        if flags & 0x10:
            size, offset = body[offset + 2] << 8 | body[offset + 3], offset + 4
        else:
            size, offset = body[offset + 2], offset + 3
        if offset + size > end:
            raise Truncated(f"bgp attribute {kind} states {size} octets, {end - offset} are there", offset=offset)
        if kind == AS_PATH:
            path = body[offset : offset + size]
        elif kind == AS4_PATH:
            path4 = body[offset : offset + size]
        offset += size
    if path is None:
        return 0
    if not path:
        return peer
    segments = _segments(path, as_octets)
    if as_octets == 2 and path4 is not None:
        segments4 = _segments(path4, 4)
        if segments4 and _hops(segments4) <= _hops(segments):
            segments = segments4
    origin = _last(segments)
    return 0 if origin == AS_TRANS else origin


Segments = list[tuple[int, tuple[int, ...]]]


def _segments(path: bytes, as_octets: int) -> Segments:
    segments, offset = [], 0
    while offset + 2 <= len(path):
        kind, count = path[offset], path[offset + 1]
        offset += 2
        if offset + count * as_octets > len(path):
            raise Truncated(f"as path segment states {count} numbers of {as_octets} octets", offset=offset)
        numbers = struct.unpack_from(f">{count}{'I' if as_octets == 4 else 'H'}", path, offset)
        offset += count * as_octets
        if numbers and kind not in CONFED_SEGMENTS:
            segments.append((kind, numbers))
    return segments


def _hops(segments: Segments) -> int:
    """A set counts as one (RFC 4271 section 9.1.2.2)."""
    return sum(1 if kind == AS_SET else len(numbers) for kind, numbers in segments)


def _last(segments: Segments) -> int:
    for kind, numbers in reversed(segments):
        if kind == AS_SEQUENCE or len(numbers) == 1:
            return numbers[-1]
    return 0
