"""sFlow version 5 (sflow.org/sflow_version_5.txt, July 2004): flow samples as columns.

Structures are called as in the specification. A datagram is walked once for where its samples and records stand; the
columns of all samples that came together are then gathered at once. Counter samples are walked over here;
teagent.wire.flow.sflow_records shows them, and every other record.
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from teagent.errors import BadVersion, Truncated
from teagent.model.traffic import Column, FlowBatch
from teagent.wire.flow import raw_header
from teagent.wire.flow.frames import unusable
from teagent.wire.flow.raw_header import FrameKind, Packets
from teagent.wire.flow.records import Undecoded
from teagent.wire.flow.sequence import MODULUS, RESTART, Sequences

VERSION: Final = 5
MOST_AGENTS: Final = 64  # agents and their sub-agents behind one exporter address
MOST_SOURCES: Final = 1024  # data sources of one of them
LATE: Final = 1024  # samples by which one may come after a later one

FLOW_SAMPLE: Final = 1
COUNTERS_SAMPLE: Final = 2
FLOW_SAMPLE_EXPANDED: Final = 3
COUNTERS_SAMPLE_EXPANDED: Final = 4
DISCARDED_PACKET: Final = 5  # sflow.org/sflow_drops.txt: that it was not forwarded, which is no sample of the traffic
SAMPLED_HEADER: Final = 1
SAMPLED_IPV4: Final = 3
SAMPLED_IPV6: Final = 4
EXTENDED_GATEWAY: Final = 1003

INTERNAL: Final = 0x3FFFFFFF  # interface: there is none, the packet begins or ends in the device itself
INTERNAL_EXPANDED: Final = 0xFFFFFFFF  # the same, as some write it in 32 bits
SINGLE_INTERFACE: Final = 0  # the other formats are 1, discarded, and 2, several

PAIR: Final = struct.Struct(">II")
WORD: Final = struct.Struct(">I")
ADDRESS_LENGTHS: Final = {0: 0, 1: 4, 2: 16}  # address_type UNKNOWN, IP_V4, IP_V6
SAMPLE: Final = struct.Struct(">8I")
SAMPLE_EXPANDED: Final = struct.Struct(">11I")
LAYOUTS: Final = {FLOW_SAMPLE: SAMPLE, FLOW_SAMPLE_EXPANDED: SAMPLE_EXPANDED}


class SampleCounts(NamedTuple):
    """As in DecodeResult; `lost` counts datagrams."""

    lost: int
    samples: int
    samples_lost: int
    samples_dropped: int


@dataclass(slots=True, eq=False)
class _Source:
    """What the last sample of a data source said."""

    sequence: int
    drops: int
    missing: int = 0


@dataclass(slots=True, eq=False)
class _Agent:
    """What one agent, or sub-agent, has told so far; its data sources by their number."""

    sequences: Sequences = field(default_factory=Sequences)
    sources: dict[int, _Source] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class _Found:
    """Where things stand in `data`, as word numbers, one a sample; -1 where there is none."""

    data: bytearray = field(default_factory=bytearray)
    samples: list[int] = field(default_factory=list)
    expanded: list[bool] = field(default_factory=list)
    record: list[int] = field(default_factory=list)
    format: list[int] = field(default_factory=list)
    src_asn: list[int] = field(default_factory=list)
    dst_asn: list[int] = field(default_factory=list)


class SFlowReader:
    """The sFlow of one exporter address. `rate` overrides what the samples say of their sampling."""

    def __init__(self, exporter: str, *, rate: float | None = None) -> None:
        self._exporter = exporter
        self._rate = rate
        self._agents: dict[tuple[bytes, int], _Agent] = {}
        self._found = _Found()
        self._undecoded: Counter[str] = Counter()
        self._lost = 0  # these four since `taken`
        self._samples = 0
        self._samples_lost = 0
        self._samples_dropped = 0

    def read(self, datagram: bytes, start: int, stream: int) -> int:
        """Takes the samples of the sample_datagram_v5 that begins at `start`; returns the datagram's end, because what
        stands after the last sample that is counted is of no use. What is wrong in a sample loses that sample. Raises
        Truncated and BadVersion.
        """
        key, sequence, count, at = head(datagram, start)
        agent = self._agents.pop(key, None)
        if agent is None:
            if len(self._agents) >= MOST_AGENTS:
                del self._agents[next(iter(self._agents))]
            agent = _Agent()
        self._agents[key] = agent
        self._lost += agent.sequences.lost(stream, sequence, 1)
        base = len(self._found.data)
        self._found.data += datagram[start:] if start else datagram
        self._found.data += bytes(-len(self._found.data) % 4)
        end = len(datagram)
        for _ in range(count):
            if end - at < 8:
                self._undecoded[Undecoded.TRUNCATED] += 1
                return end
            kind, length = PAIR.unpack_from(datagram, at)
            at += 8
            stop = at + (length + 3 & ~3)
            if stop > end:
                self._undecoded[Undecoded.TRUNCATED] += 1
                return end
            if kind in LAYOUTS:
                self._flow_sample(datagram, at, stop, base - start, agent.sources, LAYOUTS[kind])
            at = stop
        return end

    def _flow_sample(
        self, datagram: bytes, at: int, stop: int, base: int, sources: dict[int, _Source], layout: struct.Struct
    ) -> None:
        expanded = layout is SAMPLE_EXPANDED
        if stop - at < layout.size:
            self._undecoded[Undecoded.TRUNCATED] += 1
            return
        if expanded:
            sequence, kind, index, _, _, drops, _, _, _, _, count = layout.unpack_from(datagram, at)
            source = kind << 32 | index
        else:
            sequence, source, _, _, drops, _, _, count = layout.unpack_from(datagram, at)
            source = (source >> 24) << 32 | source & 0xFFFFFF
        self._samples += 1
        self._follow(sources, source, sequence, drops)
        found = self._found
        record, record_format, src_asn, dst_asn = -1, 0, 0, 0
        place = at + layout.size
        for _ in range(count):
            if stop - place < 8:
                self._undecoded[Undecoded.TRUNCATED] += 1
                break
            kind, length = PAIR.unpack_from(datagram, place)
            place += 8
            if place + length > stop:
                self._undecoded[Undecoded.TRUNCATED] += 1
                break
            if kind == EXTENDED_GATEWAY:
                src_asn, dst_asn = _gateway(datagram, place, place + length)
            elif kind in _LEAST and (record < 0 or kind == SAMPLED_HEADER) and length >= _LEAST[kind]:
                record, record_format = place, kind
            place += length + 3 & ~3
        if record < 0:
            self._undecoded[Undecoded.NO_ADDRESSES] += 1
            return
        found.samples.append(base + at >> 2)
        found.expanded.append(expanded)
        found.record.append(base + record >> 2)
        found.format.append(record_format)
        found.src_asn.append(src_asn)
        found.dst_asn.append(dst_asn)

    def _follow(self, sources: dict[int, _Source], source: int, sequence: int, drops: int) -> None:
        """Counts the samples that are missing before this one of its data source, and those that the agent dropped."""
        last = sources.get(source)
        if last is None:
            if len(sources) >= MOST_SOURCES:
                del sources[next(iter(sources))]
            sources[source] = _Source(sequence, drops)
            return
        if sequence == last.sequence + 1 and drops == last.drops:
            last.sequence = sequence
            return
        gap = (sequence - last.sequence - 1) % MODULUS
        if gap >= MODULUS - LATE and last.missing:
            last.missing -= 1
            self._samples_lost -= 1
            return
        if gap <= RESTART:
            last.missing += gap
            self._samples_lost += gap
            more = (drops - last.drops) % MODULUS
            self._samples_dropped += more if more <= RESTART else 0
        last.sequence, last.drops = sequence, drops

    @property
    def pending(self) -> int:
        """Samples that `batches` has not handed over."""
        return len(self._found.samples)

    def taken(self) -> SampleCounts:
        """Since it was asked before."""
        counts = SampleCounts(self._lost, self._samples, self._samples_lost, self._samples_dropped)
        self._lost = self._samples = self._samples_lost = self._samples_dropped = 0
        return counts

    def batches(self, undecoded: Counter[str]) -> Iterator[FlowBatch]:
        """The samples of all datagrams read since it was asked before; what could not be used is added to
        `undecoded`.
        """
        found, self._found = self._found, _Found()
        undecoded.update(self._undecoded)
        self._undecoded.clear()
        if not found.samples:
            return
        columns = _Columns(self._exporter, found, self._rate)
        yield from columns.of_headers(undecoded)
        for record_format in (SAMPLED_IPV4, SAMPLED_IPV6):
            yield from columns.of_ip(record_format)


_LEAST: Final = {SAMPLED_HEADER: 16, SAMPLED_IPV4: 32, SAMPLED_IPV6: 56}


def is_sflow(datagram: bytes, start: int = 0) -> bool:
    """Whether the version is written in 32 bits, as in no NetFlow."""
    return datagram[start : start + 2] == b"\0\0"


def head(datagram: bytes, start: int) -> tuple[tuple[bytes, int], int, int, int]:
    """((agent address, sub-agent id), sequence number, number of samples, where the first begins). Raises Truncated
    and BadVersion.
    """
    if len(datagram) - start < 8:
        raise Truncated(f"sflow header takes at least 24 octets, {len(datagram) - start} are there", offset=start)
    version, address_type = PAIR.unpack_from(datagram, start)
    if version != VERSION:
        raise BadVersion(f"sflow version {version} is not 5", offset=start, found=version, known=[VERSION])
    length = ADDRESS_LENGTHS.get(address_type)
    if length is None:
        raise BadVersion(f"sflow agent address type {address_type} is unknown", offset=start + 4, found=address_type)
    at = start + 8 + length
    if len(datagram) - at < 16:
        raise Truncated(
            f"sflow header takes {24 + length} octets, {len(datagram) - start} are there", offset=len(datagram)
        )
    sub_agent, sequence, _, count = struct.unpack_from(">4I", datagram, at)
    return (datagram[at - length : at], sub_agent), sequence, count, at + 16


def _gateway(datagram: bytes, at: int, stop: int) -> tuple[int, int]:
    """(src_as, last of dst_as_path) of an extended_gateway, 0 where unknown. An empty path is the router's own AS.
    Of a record that is cut what stands before counts.
    """
    if stop - at < 4:
        return 0, 0
    at += 4 + ADDRESS_LENGTHS.get(WORD.unpack_from(datagram, at)[0], stop)
    if stop - at < 16:
        return 0, 0
    own, src_asn, _, segments = struct.unpack_from(">4I", datagram, at)
    dst_asn = own
    at += 16
    for _ in range(segments):
        if stop - at < 8:
            break
        _, count = PAIR.unpack_from(datagram, at)
        at += 8 + 4 * count
        if at > stop:
            break
        if count:
            dst_asn = WORD.unpack_from(datagram, at - 4)[0]
    return src_asn, dst_asn


class _Columns:
    """Gathers columns out of what was found."""

    def __init__(self, exporter: str, found: _Found, rate: float | None) -> None:
        self._exporter = exporter
        self._octets = bytes(found.data)
        self._words = np.frombuffer(self._octets, dtype=">u4")
        sample = np.array(found.samples, dtype=np.int64)
        self._record = np.array(found.record, dtype=np.int64)
        self._format = np.array(found.format, dtype=np.int64)
        self._asn = np.array((found.src_asn, found.dst_asn), dtype=np.uint32)
        expanded = np.array(found.expanded, dtype=bool)
        wider = expanded.astype(np.int64)  # by one word before the rate, and three in all before the output
        self._rate = self._sampling(sample + 2 + wider, rate)
        self._in_if = self._interface(sample + 5 + wider, expanded)
        self._out_if = self._interface(sample + 6 + 2 * wider, expanded)
        self._egress = self._taken_at(sample + 1, expanded, self._out_if) & (self._out_if != self._in_if)

    def _at(self, words: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return self._words[words].astype(np.int64)

    def _sampling(self, at: npt.NDArray[np.int64], override: float | None) -> Column:
        if override is not None:
            return np.full(len(at), override)
        stated = self._words[at].astype(np.float64)
        stated[stated == 0] = math.nan
        return stated

    def _interface(self, at: npt.NDArray[np.int64], expanded: Column) -> Column:
        """ifIndex, 0 for what is not one interface: unknown, the device itself, discarded, several."""
        first = self._at(at)
        value = np.where(expanded, self._at(at + expanded), first & INTERNAL)
        kind = np.where(expanded, first, first >> 30)
        one = (kind == SINGLE_INTERFACE) & (value != INTERNAL) & (value != INTERNAL_EXPANDED)
        return np.where(one, value, 0).astype(np.uint32)

    def _taken_at(self, at: npt.NDArray[np.int64], expanded: Column, if_index: Column) -> Column:
        """Whether the data source of a sample is this interface (sflow_data_source of class 0 is an ifIndex)."""
        first = self._at(at)
        kind = np.where(expanded, first, first >> 24)
        index = np.where(expanded, self._at(at + expanded), first & 0xFFFFFF)
        same: Column = (kind == 0) & (index == if_index) & (index != 0)
        return same

    def of_headers(self, undecoded: Counter[str]) -> Iterator[FlowBatch]:
        which = np.flatnonzero(self._format == SAMPLED_HEADER)
        if not len(which):
            return
        record = self._record[which]
        kinds, length, _, size = self._at(record[:, None] + np.arange(4)).T
        begin = (record + 4) * 4
        stop = record * 4 + self._at(record - 1)  # a header that claims more than there is ends with its record
        headers = raw_header.parse(self._octets, begin, np.minimum(begin + size, stop), kinds)
        undecoded.update(unusable(headers))
        for packets in (headers.ipv4, headers.ipv6):
            if not len(packets.frame):
                continue
            ethernet = kinds[packets.frame] == FrameKind.ETHERNET
            layer2 = np.where(
                length[packets.frame] > 0, length[packets.frame], packets.begin - begin[packets.frame] + packets.octets
            )
            layer3 = np.where(packets.octets > 0, packets.octets, length[packets.frame])
            for mask, octets, is_layer2 in ((ethernet, layer2, True), (~ethernet, layer3, False)):
                if mask.any():
                    part = Packets(packets.family, *(column[mask] for column in packets[1:]))
                    yield self._batch(part, which[part.frame], octets[mask], layer2=is_layer2)

    def of_ip(self, record_format: int) -> Iterator[FlowBatch]:
        """sampled_ipv4 and sampled_ipv6, for samples without a header."""
        which = np.flatnonzero(self._format == record_format)
        if not len(which):
            return
        record = self._record[which]
        length, protocol = self._at(record[:, None] + np.arange(2)).T
        family, wide = (4, 1) if record_format == SAMPLED_IPV4 else (6, 4)
        raw = self._words[record[:, None] + 2 + np.arange(2 * wide)]
        if family == 4:
            src, dst = raw.astype(np.uint32).T
        else:
            pairs = np.ascontiguousarray(raw).view(">u8").astype(np.uint64)
            src, dst = pairs[:, :2], pairs[:, 2:]
        src_port, dst_port = self._at(record[:, None] + 2 + 2 * wide + np.arange(2)).T.astype(np.uint16)
        packets = Packets(family, which, record, src, dst, protocol.astype(np.uint8), src_port, dst_port, length)
        yield self._batch(packets, which, length, layer2=False)

    def _batch(
        self, packets: Packets, sample: npt.NDArray[np.int64], octets: npt.NDArray[np.int64], *, layer2: bool
    ) -> FlowBatch:
        count = len(sample)
        egress = self._egress[sample]
        unknown = np.full(count, np.nan)  # samples carry no time of their own
        return FlowBatch(
            exporter=self._exporter,
            family=packets.family,
            in_if=self._in_if[sample],
            out_if=self._out_if[sample],
            src=packets.src,
            dst=packets.dst,
            protocol=packets.protocol,
            src_port=packets.src_port,
            dst_port=packets.dst_port,
            src_asn=self._asn[0][sample],
            dst_asn=self._asn[1][sample],
            octets=octets.astype(np.uint64),
            packets=np.ones(count, dtype=np.uint64),
            sampling_rate=self._rate[sample],
            start=unknown,
            end=unknown,
            direction=egress.astype(np.uint8) if egress.any() else None,
            layer2=layer2,
        )
