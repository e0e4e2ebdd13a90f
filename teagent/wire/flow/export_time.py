"""When a datagram was exported, by the exporter's own clock."""

from __future__ import annotations

import struct

SECONDS = struct.Struct(">I")
OFFSETS = {5: 8, 9: 8, 10: 4}
"""Protocol version -> where its header has the unix time; sFlow (a version of 32 bits) has none."""


def export_time(datagram: bytes) -> float | None:
    """Unix seconds, None where the datagram does not tell it: sFlow, or what is no flow datagram."""
    if len(datagram) < 16:
        return None
    offset = OFFSETS.get(datagram[0] << 8 | datagram[1])
    if offset is None:
        return None
    (seconds,) = SECONDS.unpack_from(datagram, offset)
    return float(seconds) or None
