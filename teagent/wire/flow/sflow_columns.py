"""Flow samples of sFlow as columns, once it is known where they stand."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from teagent.model.traffic import Column, FlowBatch
from teagent.wire.flow import raw_header
from teagent.wire.flow.columns import constant, zeros
from teagent.wire.flow.frames import unusable
from teagent.wire.flow.raw_header import FrameKind, Packets
from teagent.wire.flow.sflow_pass import RowBlock, Rows
from teagent.wire.flow.sflow_sample import Gateways, SampleHeaders
from teagent.wire.flow.sflow_walk import SAMPLED_HEADER, SAMPLED_IPV4, SAMPLED_IPV6, Numbers, Words

_HEADER: Final = np.array([-1, 0, 1, 3])  # words of a sampled_header: its length, header_protocol, frame_length, size
IP_WORDS: Final = {SAMPLED_IPV4: (4, 1), SAMPLED_IPV6: (6, 4)}  # family, words of an address


class SampleBlock(NamedTuple):
    """Flow samples whose records are in `octets`; `record` and `gateway` are word numbers, -1 where there is none;
    `format` is the record's.
    """

    octets: bytes
    headers: SampleHeaders
    record: Numbers
    format: Numbers
    gateway: Numbers
    gateway_octets: Numbers

    @property
    def samples(self) -> int:
        return len(self.record)

    def only(self, which: Numbers) -> SampleBlock:
        octets, headers, *columns = self
        return SampleBlock(octets, headers.only(which), *(column.take(which) for column in columns))


def batches(
    exporter: str, blocks: Sequence[SampleBlock | RowBlock], rate: float | None, undecoded: Counter[str], *, whole: bool
) -> Iterator[FlowBatch]:
    """One batch for each family and each way of counting octets, and of each RowBlock its own, which is large; `rate`
    overrides what the samples say of theirs.
    """
    kinds: dict[tuple[int, bool], list[Rows]] = {}
    for block in blocks:
        if isinstance(block, RowBlock):
            undecoded.update(block.undecoded)
            for family, layer2, rows in block.rows():
                yield _batch(exporter, family, rows, rate, layer2=layer2, whole=whole)
            continue
        for family, layer2, rows in _rows(block, undecoded, whole=whole):
            kinds.setdefault((family, layer2), []).append(rows)
    for (family, layer2), parts in kinds.items():
        rows = parts[0] if len(parts) == 1 else Rows(*map(np.concatenate, zip(*parts, strict=True)))
        yield _batch(exporter, family, rows, rate, layer2=layer2, whole=whole)


def _batch(exporter: str, family: int, rows: Rows, rate: float | None, *, layer2: bool, whole: bool) -> FlowBatch:
    count = len(rows.octets)
    nothing, unknown = zeros(count), constant(count, math.nan)  # samples carry no time of their own
    return FlowBatch(
        exporter=exporter,
        family=family,
        in_if=rows.in_if,
        out_if=rows.out_if,
        src=rows.src,
        dst=rows.dst,
        protocol=rows.protocol if whole else nothing,
        src_port=rows.src_port if whole else nothing,
        dst_port=rows.dst_port if whole else nothing,
        src_asn=rows.src_asn,
        dst_asn=rows.dst_asn if whole else nothing,
        octets=rows.octets,
        packets=constant(count, 1.0),
        sampling_rate=_sampling(rows.rate) if rate is None else constant(count, rate),
        start=unknown,
        end=unknown,
        direction=rows.egress.view(np.uint8) if rows.egress.strides != (0,) and rows.egress.any() else None,
        layer2=layer2,
    )


def _sampling(stated: Column) -> Column:
    """Mostly one rate for all; 0 is none."""
    if stated.strides == (0,) or (stated == stated[0]).all():
        return constant(len(stated), float(stated[0]) or math.nan)
    rates = stated.astype(np.float64)
    rates[stated == 0] = math.nan
    return rates


def _rows(block: SampleBlock, undecoded: Counter[str], *, whole: bool) -> Iterator[tuple[int, bool, Rows]]:
    """(family, whether octets are of layer 2, rows)"""
    words = Words(block.octets)
    gateways = Gateways(block.octets, block.gateway, block.gateway_octets)
    asn = (gateways.sources(), gateways.destinations() if whole else zeros(len(block.record)))
    of_headers = block.format == SAMPLED_HEADER
    which = None if of_headers.all() else np.flatnonzero(of_headers)
    if which is None or len(which):
        record = block.record if which is None else block.record.take(which)
        for packets, octets, layer2 in _of_headers(block.octets, words, record, undecoded, whole=whole):
            sample = packets.frame if which is None else which.take(packets.frame)
            yield packets.family, layer2, _rows_of(block.headers, asn, packets, sample, octets)
    if which is not None:
        for record_format in IP_WORDS:
            sample = np.flatnonzero(block.format == record_format)
            if len(sample):
                packets = _of_ip(words, block.record.take(sample), record_format)
                yield packets.family, False, _rows_of(block.headers, asn, packets, sample, packets.octets)


def _rows_of(
    headers: SampleHeaders, asn: tuple[Column, Column], packets: Packets, sample: Numbers, octets: Column
) -> Rows:
    """`sample` says which one each packet is of."""
    src_asn, dst_asn = asn
    return Rows(
        in_if=headers.in_if.take(sample),
        out_if=headers.out_if.take(sample),
        src=packets.src,
        dst=packets.dst,
        src_asn=src_asn.take(sample),
        octets=octets.astype(np.uint64),
        rate=headers.rate.take(sample),
        egress=headers.egress.take(sample),
        protocol=packets.protocol,
        src_port=packets.src_port,
        dst_port=packets.dst_port,
        dst_asn=dst_asn.take(sample),
    )


def _of_headers(
    octets: bytes, words: Words, record: Numbers, undecoded: Counter[str], *, whole: bool
) -> Iterator[tuple[Packets, Column, bool]]:
    """(packets, octets, whether these are of layer 2) of sampled_header records; a frame's number is its record's."""
    room, kinds, length, size = words.several(record, _HEADER)
    begin = (record + 4) * 4
    room -= 16  # a header that claims more than there is ends with its record
    headers = raw_header.parse(octets, begin, begin + np.minimum(size, room), kinds, whole=whole)
    undecoded.update(unusable(headers))
    for packets in (headers.ipv4, headers.ipv6):
        if not len(packets.frame):
            continue
        stated = length.take(packets.frame)
        ethernet = kinds.take(packets.frame) == FrameKind.ETHERNET
        if stated.all() and ethernet.all():
            yield packets, stated, True
            continue
        layer2 = np.where(stated > 0, stated, packets.begin - begin.take(packets.frame) + packets.octets)
        layer3 = np.where(packets.octets > 0, packets.octets, stated)
        for mask, counted, is_layer2 in ((ethernet, layer2, True), (~ethernet, layer3, False)):
            if mask.any():
                part = Packets(packets.family, *(column[mask] for column in packets[1:]))
                yield part, counted[mask], is_layer2


def _of_ip(words: Words, record: Numbers, record_format: int) -> Packets:
    """sampled_ipv4 and sampled_ipv6, for samples without a header."""
    family, wide = IP_WORDS[record_format]
    both = words.u32(record[:, None] + 2 + np.arange(2 * wide))
    if family == 4:
        src, dst = both.T
    else:
        high, low = both[:, 0::2].astype(np.uint64), both[:, 1::2]
        src, dst = np.split(high << np.uint64(32) | low, 2, axis=1)
    src_port, dst_port = words.at(record[:, None] + 2 + 2 * wide + np.arange(2)).T.astype(np.uint16)
    length, protocol = words.at(record), words.at(record + 1).astype(np.uint8)
    return Packets(family, record, record, src, dst, protocol, src_port, dst_port, length)
