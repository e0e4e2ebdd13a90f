"""AS_PATH (RFC 4271 section 4.3) and AS4_PATH (RFC 6793), as segments; and which AS a path comes from.

The origin is what a path ends with:

- a sequence: its last AS, with AS4_PATH put in where the path has two octets an AS (RFC 6793 section 4.2.3);
- a set of one AS: that; a larger set: who made it, the AS before it, since one of the set cannot be told;
- confederation segments are the peer's own affair and are left out (RFC 5065).
"""

from __future__ import annotations

import struct
from typing import Final

from teagent.errors import Truncated
from teagent.model.bgp import AS_TRANS

AS_SET: Final = 1
AS_SEQUENCE: Final = 2
CONFED_SEGMENTS: Final = frozenset({3, 4})

Segments = list[tuple[int, tuple[int, ...]]]


def segments(path: bytes, path4: bytes | None, *, as_octets: int) -> Segments:
    """Of a path whose numbers have `as_octets`, 2 or 4. Raises Truncated."""
    found = _segments(path, as_octets)
    if as_octets == 2 and path4 is not None:
        found4 = _segments(path4, 4)
        if found4 and _hops(found4) <= _hops(found):
            return found4
    return found


def origin(found: Segments) -> int:
    """0 where none can be told."""
    for kind, numbers in reversed(found):
        if kind == AS_SEQUENCE or len(numbers) == 1:
            return 0 if numbers[-1] == AS_TRANS else numbers[-1]
    return 0


def _segments(path: bytes, as_octets: int) -> Segments:
    found, offset = [], 0
    while offset + 2 <= len(path):
        kind, count = path[offset], path[offset + 1]
        offset += 2
        if offset + count * as_octets > len(path):
            raise Truncated(f"as path segment states {count} numbers of {as_octets} octets", offset=offset)
        numbers = struct.unpack_from(f">{count}{'I' if as_octets == 4 else 'H'}", path, offset)
        offset += count * as_octets
        if numbers and kind not in CONFED_SEGMENTS:
            found.append((kind, numbers))
    return found


def _hops(found: Segments) -> int:
    """A set counts as one (RFC 4271 section 9.1.2.2)."""
    return sum(1 if kind == AS_SET else len(numbers) for kind, numbers in found)
