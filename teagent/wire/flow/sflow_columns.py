"""Flow samples of sFlow as columns, once it is known where they stand."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from teagent.model.traffic import Column, FlowBatch
from teagent.wire.flow import raw_header
from teagent.wire.flow.frames import unusable
from teagent.wire.flow.raw_header import FrameKind, Packets
from teagent.wire.flow.sflow_walk import SAMPLED_HEADER, SAMPLED_IPV4, SAMPLED_IPV6, Numbers

INTERNAL: Final = 0x3FFFFFFF  # interface: there is none, the packet begins or ends in the device itself
INTERNAL_EXPANDED: Final = 0xFFFFFFFF  # the same, as some write it in 32 bits
SINGLE_INTERFACE: Final = 0  # the other formats are 1, discarded, and 2, several


class SampleBlock(NamedTuple):
    """Flow samples whose records are in `octets`; `sample`, `record` are word numbers, `format` is the record's, `asn`
    has a row of src_as and one of the last of dst_as_path.
    """

    octets: bytes
    sample: Numbers
    expanded: Column
    record: Numbers
    format: Numbers
    asn: Column

    def only(self, which: Numbers) -> SampleBlock:
        octets, sample, expanded, record, record_format, asn = self
        return SampleBlock(octets, sample[which], expanded[which], record[which], record_format[which], asn[:, which])


class SampleColumns:
    """Gathers columns out of a block. `rate` overrides what the samples say of their sampling."""

    def __init__(self, exporter: str, block: SampleBlock, rate: float | None) -> None:
        self._exporter = exporter
        self._octets, sample, expanded, self._record, self._format, self._asn = block
        self._words = np.frombuffer(self._octets, dtype=">u4")
        wider = expanded.astype(np.int64)  # by one word before the rate, and three in all before the output
        self._rate = self._sampling(sample + 2 + wider, rate)
        self._in_if = self._interface(sample + 5 + wider, expanded)
        self._out_if = self._interface(sample + 6 + 2 * wider, expanded)
        self._egress = self._taken_at(sample + 1, expanded, self._out_if) & (self._out_if != self._in_if)

    def _at(self, words: Numbers) -> Numbers:
        return self._words[words].astype(np.int64)

    def _sampling(self, at: Numbers, override: float | None) -> Column:
        if override is not None:
            return np.full(len(at), override)
        stated = self._words[at].astype(np.float64)
        stated[stated == 0] = math.nan
        return stated

    def _interface(self, at: Numbers, expanded: Column) -> Column:
        """ifIndex, 0 for what is not one interface: unknown, the device itself, discarded, several."""
        first = self._at(at)
        value = np.where(expanded, self._at(at + expanded), first & INTERNAL)
        kind = np.where(expanded, first, first >> 30)
        one = (kind == SINGLE_INTERFACE) & (value != INTERNAL) & (value != INTERNAL_EXPANDED)
        return np.where(one, value, 0).astype(np.uint32)

    def _taken_at(self, at: Numbers, expanded: Column, if_index: Column) -> Column:
        """Whether the data source of a sample is this interface (sflow_data_source of class 0 is an ifIndex)."""
        first = self._at(at)
        kind = np.where(expanded, first, first >> 24)
        index = np.where(expanded, self._at(at + expanded), first & 0xFFFFFF)
        same: Column = (kind == 0) & (index == if_index) & (index != 0)
        return same

    def batches(self, undecoded: Counter[str]) -> Iterator[FlowBatch]:
        yield from self._of_headers(undecoded)
        for record_format in (SAMPLED_IPV4, SAMPLED_IPV6):
            yield from self._of_ip(record_format)

    def _of_headers(self, undecoded: Counter[str]) -> Iterator[FlowBatch]:
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

    def _of_ip(self, record_format: int) -> Iterator[FlowBatch]:
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

    def _batch(self, packets: Packets, sample: Numbers, octets: Numbers, *, layer2: bool) -> FlowBatch:
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
