"""Decoded records with every field under its name in IANA's registry, for people and programs that look at exports."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from typing import Final, TypeAlias

import numpy as np

from teagent.errors import WireError
from teagent.model.traffic import Column
from teagent.wire.flow import frames
from teagent.wire.flow.element_names import name_and_type
from teagent.wire.flow.layout import Batching, Layout
from teagent.wire.flow.raw_header import Headers, Packets
from teagent.wire.flow.records import RecordSet, Undecoded, reason_of
from teagent.wire.flow.structured import LISTS, Layouts, list_value
from teagent.wire.flow.template import VARIABLE, Decoded, Field
from teagent.wire.flow.values import Value, shown

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


Troubles: TypeAlias = Counter[tuple[Undecoded, str]]


def views(found: RecordSet, troubles: Troubles) -> Iterator[RecordView]:
    """The records of a data set, in order. Sampling rates are those known by now. What cannot be read within a field is
    left in hexadecimal, and counted in `troubles` by reason and text.
    """
    layout, decoded = found.layout, found.decode()
    batching = Batching(exporter="", boot=math.nan, exported_at=found.exported_at)
    packets = _packets(found, decoded, troubles)
    columns = layout.columns(decoded.rows, found.rates, batching)
    for record, fields in enumerate(_fields(layout, decoded, 0, layouts=found.domain.layouts, troubles=troubles)):
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


def _fields(
    layout: Layout, decoded: Decoded, depth: int, *, layouts: Layouts, troubles: Troubles
) -> Iterator[dict[str, Value]]:
    """The fields of each record; `depth` counts the lists around it."""
    template = layout.template
    names = [name_and_type(f) for f in template.fields]
    columns = [_values(f, index, decoded) for index, f in enumerate(template.fields)]
    records_of = partial(_fields, layouts=layouts, troubles=troubles)
    for record in range(len(decoded.rows)):
        fields: dict[str, Value] = {}
        for f, (name, kind), column in zip(template.fields, names, columns, strict=True):
            if column is None or (f.element == PADDING and not f.enterprise):
                continue
            value = shown(column[record], kind)
            if kind in LISTS and column[record]:
                try:
                    value = list_value(kind, column[record], layouts, records_of, depth)
                except WireError as error:
                    troubles[reason_of(error), f"{name} of template {template.id}: {error.message}"] += 1
            _put(fields, name, value)
        yield fields


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


def _packets(found: RecordSet, decoded: Decoded, troubles: Troubles) -> dict[int, dict[str, Value]]:
    """What the records' packet sections show, by record."""
    if found.layout.section is None:
        return {}
    headers = frames.headers(found.layout.template, found.layout.section, decoded)
    _count(headers, found.layout.template.id, troubles)
    return {
        record: packet_fields(packets, place)
        for packets in (headers.ipv4, headers.ipv6)
        for place, record in enumerate(packets.frame.tolist())
    }


def _count(headers: Headers, template: int, troubles: Troubles) -> None:
    for which, reason, text in (
        (headers.truncated, Undecoded.TRUNCATED, "ends before the addresses"),
        (headers.not_ip, Undecoded.NOT_IP, "is not IP"),
    ):
        if len(which):
            troubles[reason, f"the packet in a record of template {template} {text}"] += len(which)


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
