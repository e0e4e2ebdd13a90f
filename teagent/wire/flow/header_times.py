"""What the header of a datagram says of time: when it was exported, and when its exporter booted."""

from __future__ import annotations

import struct
from typing import Final

import numpy as np

from teagent.model.traffic import Column

OCTETS: Final = {5: 24, 9: 20, 10: 16}  # of a header, by version
AS_OCTETS: Final = {version: np.dtype(f"V{octets}") for version, octets in OCTETS.items()}
_AT: Final = {5: {"uptime": 4, "seconds": 8, "nanoseconds": 12}, 9: {"uptime": 4, "seconds": 8}, 10: {"seconds": 4}}
_FIELDS: Final = {
    version: np.dtype(
        {"names": [*at], "formats": [">u4"] * len(at), "offsets": [*at.values()], "itemsize": OCTETS[version]}
    )
    for version, at in _AT.items()
}


_SECONDS: Final = struct.Struct(">I")
_NANOSECONDS: Final = struct.Struct(">II")


def exported_at(version: int, header: bytes) -> float:
    if version == 5:
        seconds, nanoseconds = _NANOSECONDS.unpack_from(header, 8)
        return float(seconds + nanoseconds * 1e-9)
    return float(_SECONDS.unpack_from(header, _AT[version]["seconds"])[0])


def header_times(version: int, headers: bytes) -> tuple[Column, Column]:
    """(exported_at, boot) of each of the headers, which stand one after the other: unix seconds, float64. The boot
    time of the exporter is NaN in IPFIX, where only options tell it.
    """
    fields = np.frombuffer(headers, _FIELDS[version])
    seconds = fields["seconds"].astype(np.float64)
    if version == 5:
        seconds += fields["nanoseconds"] * 1e-9
    boot = np.full(len(fields), np.nan) if version == 10 else seconds - fields["uptime"] / 1000
    return seconds, boot
