"""Values of fields as JSON has them."""

from __future__ import annotations

import math
import struct
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Final, TypeAlias

from teagent.model.units import format_time
from teagent.wire.flow.element_names import DataType
from teagent.wire.flow.layout import NTP_EPOCH

Value: TypeAlias = int | float | str | bool | list["Value"] | dict[str, "Value"] | None

LARGEST_NUMBER: Final = 32  # octets, of unsigned256 (RFC 9740 section 8.3.1)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
LAST_TIME: Final = 253_402_300_799  # the year 9999


def shown(octets: bytes, kind: DataType | None) -> Value:
    """A value as JSON has it: numbers as they are, times in ISO 8601, octets in hexadecimal; also where a value does
    not have the length of its type.
    """
    match kind:
        case DataType.UNSIGNED if len(octets) <= LARGEST_NUMBER:
            return int.from_bytes(octets, "big")
        case DataType.SIGNED if len(octets) <= 8:
            return int.from_bytes(octets, "big", signed=True)
        case DataType.FLOAT if len(octets) in {4, 8}:
            (number,) = struct.unpack(">f" if len(octets) == 4 else ">d", octets)
            return float(number) if math.isfinite(number) else None
        case DataType.BOOLEAN if octets in {b"\x01", b"\x02"}:
            return octets == b"\x01"
        case DataType.IPV4_ADDRESS if len(octets) == 4:
            return str(IPv4Address(octets))
        case DataType.IPV6_ADDRESS if len(octets) == 16:
            return str(IPv6Address(octets))
        case DataType.MAC_ADDRESS if len(octets) == 6:
            return octets.hex(":")
        case DataType.STRING:
            return octets.rstrip(b"\0").decode("utf-8", "replace")
        case DataType.SECONDS | DataType.MILLISECONDS | DataType.MICROSECONDS | DataType.NANOSECONDS if octets:
            return _time(octets, kind)
        case _:
            return octets.hex()


def _time(octets: bytes, kind: DataType) -> Value:
    """RFC 7011 sections 6.1.7 to 6.1.10. What is no time of ours is left a number."""
    number = int.from_bytes(octets, "big")
    if kind == DataType.SECONDS:
        micros = number * 1_000_000
    elif kind == DataType.MILLISECONDS:
        micros = number * 1000
    elif len(octets) == 8:
        micros = ((number >> 32) - NTP_EPOCH) * 1_000_000 + ((number & 0xFFFFFFFF) * 1_000_000 >> 32)
    else:
        return number
    if not 0 <= micros < LAST_TIME * 1_000_000:
        return number
    return (EPOCH + timedelta(microseconds=micros)).isoformat().replace("+00:00", "Z")


def time_text(unix: float) -> str | None:
    """None for NaN, and for what is no time of ours."""
    if math.isnan(unix) or not 0 <= unix < LAST_TIME:
        return None
    return format_time(EPOCH + timedelta(seconds=unix))
