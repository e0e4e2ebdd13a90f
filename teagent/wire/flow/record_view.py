"""Decoded records with every field under its name in IANA's registry, for people and programs that look at exports."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, TypeAlias

import numpy as np

from teagent.model.traffic import Column
from teagent.model.units import format_time
from teagent.wire.flow import frames
from teagent.wire.flow.element_names import DataType, name_and_type
from teagent.wire.flow.layout import NTP_EPOCH, Batching
from teagent.wire.flow.raw_header import Packets
from teagent.wire.flow.records import RecordSet
from teagent.wire.flow.template import VARIABLE, Decoded, Field

Value: TypeAlias = int | float | str | bool | list["Value"] | None

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
LAST_TIME: Final = 253_402_300_799  # the year 9999
PADDING: Final = 210


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordView:
    """One record. `options` tells records of options templates from flows. The interfaces are ifIndex values, None
    where unknown; `sampling_rate` is the one that applies, None where unknown; `fields` in the template's order.
    """

    version: int
    domain: int
    template: int
    options: bool
    exported_at: float
    input_interface: int | None
    output_interface: int | None
    sampling_rate: float | None
    fields: dict[str, Value]


def views(found: RecordSet) -> Iterator[RecordView]:
    """The records of a data set, in order. Sampling rates are those known by now."""
    layout = found.layout
    decoded = found.decode()
    names = [name_and_type(f) for f in layout.template.fields]
    values = [_values(f, index, decoded) for index, f in enumerate(layout.template.fields)]
    batching = Batching(exporter="", boot=math.nan, exported_at=found.exported_at)
    packets = _packets(found, decoded)
    columns = layout.columns(decoded.rows, found.rates, batching)
    for record in range(len(decoded.rows)):
        fields: dict[str, Value] = {}
        for f, (name, kind), column in zip(layout.template.fields, names, values, strict=True):
            if column is not None and (f.element != PADDING or f.enterprise):
                _put(fields, name, shown(column[record], kind))
        fields |= {name: value for name, value in packets.get(record, {}).items() if name not in fields}
        rate = float(columns["sampling_rate"][record])
        yield RecordView(
            version=found.domain.version,
            domain=found.domain.number,
            template=layout.template.id,
            options=layout.template.options,
            exported_at=found.exported_at,
            input_interface=int(columns["in_if"][record]) or _port(columns, record),
            output_interface=int(columns["out_if"][record]) or None,
            sampling_rate=None if layout.template.options or math.isnan(rate) else rate,
            fields=fields,
        )


def _port(columns: dict[str, Column], record: int) -> int | None:
    """The physical port that it came in by, None where unknown."""
    ports = columns.get("in_physical_if")
    return None if ports is None else int(ports[record]) or None


def packet_fields(packets: Packets, place: int) -> dict[str, Value]:
    """IANA's elements of one packet that was read out of a header."""
    family = f"IPv{packets.family}"
    return {
        f"source{family}Address": str(ip_address(_octets(packets.src[place]))),
        f"destination{family}Address": str(ip_address(_octets(packets.dst[place]))),
        "protocolIdentifier": int(packets.protocol[place]),
        "sourceTransportPort": int(packets.src_port[place]),
        "destinationTransportPort": int(packets.dst_port[place]),
        "ipTotalLength": int(packets.octets[place]),
    }


def _octets(halves: Column) -> bytes:
    """An address of a Packets as octets."""
    return b"".join(int(half).to_bytes(8 if halves.ndim else 4, "big") for half in np.atleast_1d(halves))


def _packets(found: RecordSet, decoded: Decoded) -> dict[int, dict[str, Value]]:
    """What the records' packet sections show, by record."""
    if found.layout.section is None:
        return {}
    headers = frames.headers(found.layout.template, found.layout.section, decoded)
    return {
        record: packet_fields(packets, place)
        for packets in (headers.ipv4, headers.ipv6)
        for place, record in enumerate(packets.frame.tolist())
    }


def _put(fields: dict[str, Value], name: str, value: Value) -> None:
    """A template may have an element several times: then it is a list."""
    if name not in fields:
        fields[name] = value
        return
    before = fields[name]
    fields[name] = [*before, value] if isinstance(before, list) else [before, value]


def _values(field: Field, index: int, decoded: Decoded) -> list[bytes] | None:
    """The octets of a field in each record, None where it has none."""
    if field.length == VARIABLE:
        return decoded.variable[index]
    if field.length == 0:
        return None
    octets = np.ascontiguousarray(decoded.rows[f"f{index}"]).tobytes()
    return [octets[at : at + field.length] for at in range(0, len(octets), field.length)]


def shown(octets: bytes, kind: DataType | None) -> Value:
    """A value as JSON has it: numbers as they are, times in ISO 8601, octets in hexadecimal; also where a value does
    not have the length of its type.
    """
    match kind:
        case DataType.UNSIGNED if len(octets) <= 8:
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
