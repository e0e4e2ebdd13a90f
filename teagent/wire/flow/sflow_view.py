"""sFlow v5 datagrams with all that is in them: flow and counter samples and their records, by the specification's
names, and the sampled packet by IANA's. For people and programs that look at exports; the matrix takes SFlowReader.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final

import numpy as np

from teagent.errors import Truncated, WireError
from teagent.wire.flow import raw_header, sflow, sflow_sample, sflow_walk
from teagent.wire.flow.record_view import packet_fields
from teagent.wire.flow.records import Undecoded, reason_of
from teagent.wire.flow.sflow_structures import COUNTER_RECORDS, FLOW_RECORDS, Structure, members_of
from teagent.wire.flow.values import Value

EXPANDED: Final = frozenset({sflow_walk.FLOW_SAMPLE_EXPANDED, sflow.COUNTERS_SAMPLE_EXPANDED, sflow.DISCARDED_PACKET})
FLOWS: Final = frozenset({sflow_walk.FLOW_SAMPLE, sflow_walk.FLOW_SAMPLE_EXPANDED})
COUNTERS: Final = frozenset({sflow.COUNTERS_SAMPLE, sflow.COUNTERS_SAMPLE_EXPANDED})
SAMPLES: Final = FLOWS | COUNTERS | {sflow.DISCARDED_PACKET}
INTERFACE_FORMATS: Final = {0: "single", 1: "discarded", 2: "multiple"}


@dataclass(frozen=True, slots=True)
class Interface:
    """`value` is an ifIndex, a reason for discarding, or a number of interfaces (0: not known how many)."""

    format: int
    value: int

    @property
    def if_index(self) -> int | None:
        single = self.format == sflow_sample.SINGLE_INTERFACE and self.value not in {
            0,
            sflow_sample.INTERNAL,
            sflow_sample.INTERNAL_EXPANDED,
        }
        return self.value if single else None

    def __str__(self) -> str:
        if self.if_index is not None:
            return str(self.value)
        if self.format == sflow_sample.SINGLE_INTERFACE:
            return "unknown" if self.value == 0 else "internal"
        return INTERFACE_FORMATS.get(self.format, f"format {self.format}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Of a structure that is not known here `members` has its `octets` in hexadecimal."""

    name: str
    members: Mapping[str, Value]


@dataclass(slots=True, kw_only=True)
class Sample:
    """A counter sample where `input` is None; else a flow sample, or a packet that was not forwarded, for the
    `reason` of sflow.org/sflow_drops.txt. `fields` are IANA's elements of the packet.
    """

    sequence: int
    source_class: int
    source_index: int
    records: list[Record] = field(default_factory=list)
    sampling_rate: int = 0
    pool: int = 0
    drops: int = 0
    input: Interface | None = None
    output: Interface | None = None
    reason: int | None = None
    fields: dict[str, Value] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Datagram:
    """`undecoded` is what could not be read, as (reason, text)."""

    agent: str | None
    sub_agent: int
    sequence: int
    uptime_milliseconds: int
    samples: list[Sample] = field(default_factory=list)
    undecoded: list[tuple[Undecoded, str]] = field(default_factory=list)


def view(datagram: bytes) -> Datagram:
    """Raises Truncated and BadVersion where not even the header can be read."""
    (agent, sub_agent), sequence, count, at = sflow.head(datagram, 0)
    (uptime,) = struct.unpack_from(">I", datagram, at - 8)
    found = Datagram(
        agent=str(ip_address(agent)) if agent else None,
        sub_agent=sub_agent,
        sequence=sequence,
        uptime_milliseconds=uptime,
    )
    for number in range(count):
        kind, length = sflow.PAIR.unpack_from(datagram, at) if len(datagram) - at >= 8 else (0, 0)
        body = datagram[at + 8 : at + 8 + length]
        if len(datagram) - at < 8 or len(body) < length:
            found.undecoded.append((Undecoded.TRUNCATED, f"the datagram ends within sample {number + 1} of {count}"))
            break
        at += 8 + (length + 3 & ~3)
        if kind not in SAMPLES:
            found.undecoded.append((Undecoded.NO_ADDRESSES, f"sample type {_format(kind)} is not read"))
            continue
        try:
            found.samples.append(_sample(kind, body, found.undecoded))
        except WireError as error:
            found.undecoded.append((reason_of(error), error.message))
    else:
        if at < len(datagram):
            text = f"{len(datagram) - at} octets after the last of {count} samples"
            found.undecoded.append((Undecoded.BAD_LENGTH, text))
    _look_into_headers(found)
    return found


def _format(number: int) -> str:
    return f"{number >> 12}:{number & 0xFFF}"


def _sample(kind: int, body: bytes, undecoded: list[tuple[Undecoded, str]]) -> Sample:
    expanded, flow = kind in EXPANDED, kind in FLOWS
    words = 8 if kind == sflow.DISCARDED_PACKET else 3 + expanded + (5 + 2 * expanded) * flow
    if len(body) < 4 * words:
        raise Truncated(f"a sample of {len(body)} octets, its fixed part takes {4 * words}")
    values = list(struct.unpack_from(f">{words}I", body))
    sequence = values.pop(0)
    if expanded:
        source_class, source_index = values.pop(0), values.pop(0)
    else:
        source_class, source_index = values[0] >> 24, values.pop(0) & 0xFFFFFF
    sample = Sample(sequence=sequence, source_class=source_class, source_index=source_index)
    if flow:
        sample.sampling_rate, sample.pool, sample.drops = values[:3]
        if expanded:
            sample.input, sample.output = Interface(*values[3:5]), Interface(*values[5:7])
        else:
            sample.input, sample.output = (Interface(v >> 30, v & sflow_sample.INTERNAL) for v in values[3:5])
    elif kind == sflow.DISCARDED_PACKET:
        sample.drops, sample.reason = values[0], values[3]
        sample.input, sample.output = (Interface(sflow_sample.SINGLE_INTERFACE, value) for value in values[1:3])
    structures = COUNTER_RECORDS if kind in COUNTERS else FLOW_RECORDS
    _records(sample, body[4 * words :], values[-1], structures, undecoded)
    return sample


def _records(
    sample: Sample,
    body: bytes,
    count: int,
    structures: Mapping[int, Structure],
    undecoded: list[tuple[Undecoded, str]],
) -> None:
    at = 0
    for _ in range(count):
        if len(body) - at < 8:
            undecoded.append((Undecoded.TRUNCATED, "the sample ends before its last record"))
            return
        kind, length = sflow.PAIR.unpack_from(body, at)
        octets = body[at + 8 : at + 8 + length]
        if len(octets) < length:
            text = f"record {_format(kind)} states {length} octets, {len(octets)} are left in the sample"
            undecoded.append((Undecoded.TRUNCATED, text))
            return
        at += 8 + (length + 3 & ~3)
        structure = structures.get(kind)
        if structure is None:
            sample.records.append(Record(name=f"record {_format(kind)}", members={"octets": octets.hex()}))
            continue
        try:
            sample.records.append(Record(name=structure.name, members=members_of(structure, octets)))
        except WireError as error:
            undecoded.append((reason_of(error), f"{structure.name}: {error.message}"))
            continue
        if structure.name == "sampled_header":
            claimed, there = int.from_bytes(octets[12:16], "big"), len(octets) - 16
            if claimed > there:
                text = f"sampled_header: {claimed} octets are wanted, {there} are left in the record"
                undecoded.append((Undecoded.TRUNCATED, text))


def _look_into_headers(found: Datagram) -> None:
    """Fills in `fields` of all samples, by one look at all headers."""
    with_header: list[tuple[Sample, bytes, int]] = []
    for sample in found.samples:
        for record in sample.records:
            if record.name == "sampled_header":
                header, kind = bytes.fromhex(str(record.members["header"])), record.members["header_protocol"]
                sample.fields["dataLinkFrameSize"] = record.members["frame_length"]
                with_header.append((sample, header, int(str(kind))))
            elif record.name in {"sampled_ipv4", "sampled_ipv6"}:
                sample.fields |= _of_ip(record.members, "IPv4" if record.name == "sampled_ipv4" else "IPv6")
            elif record.name == "sampled_ethernet":
                sample.fields |= _of_ethernet(record.members)
            elif record.name == "extended_gateway":
                sample.fields |= _of_gateway(record.members)
    if not with_header:
        return
    ends = np.cumsum([len(header) for _, header, _ in with_header])
    starts = np.concatenate(([0], ends[:-1]))
    kinds = np.array([kind for _, _, kind in with_header])
    headers = raw_header.parse(b"".join(header for _, header, _ in with_header), starts, ends, kinds)
    for packets in (headers.ipv4, headers.ipv6):
        for place, frame in enumerate(packets.frame.tolist()):
            with_header[frame][0].fields |= packet_fields(packets, place)
    for frames, reason, text in (
        (headers.truncated, Undecoded.TRUNCATED, "the sampled header ends before the addresses"),
        (headers.not_ip, Undecoded.NOT_IP, "the sampled header is not IP"),
    ):
        found.undecoded += [(reason, f"sample {with_header[frame][0].sequence}: {text}") for frame in frames.tolist()]


def _of_ip(members: Mapping[str, Value], family: str) -> dict[str, Value]:
    return {
        f"source{family}Address": members["src_ip"],
        f"destination{family}Address": members["dst_ip"],
        "protocolIdentifier": members["protocol"],
        "sourceTransportPort": members["src_port"],
        "destinationTransportPort": members["dst_port"],
        "ipTotalLength": members["length"],
    }


def _of_ethernet(members: Mapping[str, Value]) -> dict[str, Value]:
    return {
        "dataLinkFrameSize": members["length"],
        "sourceMacAddress": members["src_mac"],
        "destinationMacAddress": members["dst_mac"],
        "ethernetType": members["type"],
    }


def _of_gateway(members: Mapping[str, Value]) -> dict[str, Value]:
    last: Value = members["as"]
    path = members["dst_as_path"]
    while isinstance(path, list) and path:
        last = path = path[-1]
    return {"bgpSourceAsNumber": members["src_as"], "bgpDestinationAsNumber": last}
