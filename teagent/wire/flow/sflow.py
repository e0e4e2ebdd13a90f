"""sFlow version 5 (sflow.org/sflow_version_5.txt, July 2004): flow samples as columns.

Structures are called as in the specification. A datagram is walked once for where its samples and records stand; the
columns of all samples that came together are then gathered at once. Counter samples are walked over here;
teagent.wire.flow.sflow_records shows them, and every other record.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from teagent.errors import BadVersion, Truncated
from teagent.model.traffic import Column, FlowBatch
from teagent.wire.flow.records import Undecoded
from teagent.wire.flow.sequence import MODULUS, RESTART, Sequences
from teagent.wire.flow.sflow_columns import SampleBlock, SampleColumns
from teagent.wire.flow.sflow_walk import (
    EXTENDED_GATEWAY,
    FLOW_SAMPLE,
    FLOW_SAMPLE_EXPANDED,
    LEAST_OCTETS,
    SAMPLED_HEADER,
    Numbers,
    Walked,
    autonomous_systems,
    walk,
)

VERSION: Final = 5
SFLOW_VERSION: Final = b"\0\0\0\5"  # as a datagram begins
MOST_AGENTS: Final = 64  # agents and their sub-agents behind one exporter address
MOST_SOURCES: Final = 1024  # data sources of one of them
LATE: Final = 1024  # samples by which one may come after a later one

COUNTERS_SAMPLE: Final = 2
COUNTERS_SAMPLE_EXPANDED: Final = 4
DISCARDED_PACKET: Final = 5  # sflow.org/sflow_drops.txt: that it was not forwarded, which is no sample of the traffic
FEW: Final = 16  # datagrams that are read sooner one by one than together
MOST_APART: Final = 8  # datagrams that are picked out of many

PAIR: Final = struct.Struct(">II")
WORD: Final = struct.Struct(">I")
ADDRESS_LENGTHS: Final = {0: 0, 1: 4, 2: 16}  # address_type UNKNOWN, IP_V4, IP_V6
SAMPLE: Final = struct.Struct(">8I")
SAMPLE_EXPANDED: Final = struct.Struct(">11I")
LAYOUTS: Final = {FLOW_SAMPLE: SAMPLE, FLOW_SAMPLE_EXPANDED: SAMPLE_EXPANDED}

_AgentKey: TypeAlias = tuple[bytes, int]  # address, sub-agent


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
    """A SampleBlock in the making."""

    data: bytearray = field(default_factory=bytearray)
    samples: list[int] = field(default_factory=list)
    expanded: list[bool] = field(default_factory=list)
    record: list[int] = field(default_factory=list)
    format: list[int] = field(default_factory=list)
    src_asn: list[int] = field(default_factory=list)
    dst_asn: list[int] = field(default_factory=list)

    def block(self) -> SampleBlock:
        return SampleBlock(
            bytes(self.data),
            np.array(self.samples, dtype=np.int64),
            np.array(self.expanded, dtype=bool),
            np.array(self.record, dtype=np.int64),
            np.array(self.format, dtype=np.int64),
            np.array((self.src_asn, self.dst_asn), dtype=np.uint32),
        )


class SFlowReader:
    """The sFlow of one exporter address. `rate` overrides what the samples say of their sampling."""

    def __init__(self, exporter: str, *, rate: float | None = None) -> None:
        self._exporter = exporter
        self._rate = rate
        self._agents: dict[_AgentKey, _Agent] = {}
        self._found = _Found()
        self._blocks: list[SampleBlock] = []  # that came before what is in _found
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
        agent = self._agent(key)
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

    def read_together(self, datagrams: Sequence[bytes], stream: int) -> Iterator[bytes]:
        """Takes the samples of many datagrams for which `is_sflow` holds, but for those that it yields: `read` each of
        these before taking the next.
        """
        apart = 0
        while datagrams:
            walked = None if len(datagrams) < FEW or apart > MOST_APART else walk(datagrams)
            if walked is None or (not len(walked.odd) and not self._take(walked, datagrams, stream)):
                yield from datagrams
                return
            if not len(walked.odd):
                return
            first = int(walked.odd[0])
            yield from self.read_together(datagrams[:first], stream)
            yield datagrams[first]
            datagrams = datagrams[first + 1 :]
            apart += 1

    def _take(self, walked: Walked, datagrams: Sequence[bytes], stream: int) -> bool:
        """False, and nothing is taken, where more agents or sources come together than are remembered."""
        last = _last_of_each(walked.agent)
        keys = {position: head(datagrams[position], 0)[0] for position in last}
        told = sources_told(np.frombuffer(walked.octets, dtype=">u4"), walked)
        most = max((len(agent.sources) for agent in self._agents.values()), default=0) + len(np.unique(told.source))
        if len(self._agents.keys() | set(keys.values())) > MOST_AGENTS or most > MOST_SOURCES:
            return False
        for position in last:
            agent = self._agent(keys[position])
            its = walked.agent == walked.agent[position]
            sequences = walked.sequences[its]
            self._lost += agent.sequences.lost_in_a_row(stream, sequences, np.ones(len(sequences), dtype=np.int64))
            self._follow_many(agent.sources, told if len(last) == 1 else told.only(its.take(walked.datagram)))
        self._samples += len(walked.sample)
        self._keep(walked)
        return True

    def _keep(self, walked: Walked) -> None:
        if self._found.samples:
            self._blocks.append(self._found.block())
            self._found = _Found()
        src_asn, dst_asn, long = autonomous_systems(walked)
        for i in long.tolist():
            at = int(walked.gateway[i]) * 4
            src_asn[i], dst_asn[i] = _gateway(walked.octets, at, at + int(walked.gateway_octets[i]))
        block = SampleBlock(
            walked.octets, walked.sample, walked.expanded, walked.record, walked.format, np.stack((src_asn, dst_asn))
        )
        usable = np.flatnonzero(walked.record >= 0)
        if len(usable) < len(walked.record):
            self._undecoded[Undecoded.NO_ADDRESSES] += len(walked.record) - len(usable)
            block = block.only(usable)
        self._blocks.append(block)

    def _agent(self, key: _AgentKey) -> _Agent:
        """The most recently used ones are kept."""
        agent = self._agents.pop(key, None)
        if agent is None:
            if len(self._agents) >= MOST_AGENTS:
                del self._agents[next(iter(self._agents))]
            agent = _Agent()
        self._agents[key] = agent
        return agent

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
            elif kind in LEAST_OCTETS and (record < 0 or kind == SAMPLED_HEADER) and length >= LEAST_OCTETS[kind]:
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

    def _follow_many(self, sources: dict[int, _Source], told: Told) -> None:
        """`_follow` for samples in their order. Mostly each is the next one of its data source."""
        source, sequence, drops = told.only(np.argsort(told.source, kind="stable"))
        if not len(source):
            return
        next_one = (sequence[1:] == sequence[:-1] + 1) & (source[1:] == source[:-1]) & (drops[1:] == drops[:-1])
        first = [0, *(np.flatnonzero(~next_one) + 1).tolist()]
        for begin, end in pairwise([*first, len(source)]):
            key, dropped = int(source[begin]), int(drops[begin])
            for number in range(int(sequence[begin]), int(sequence[begin]) + end - begin):
                self._follow(sources, key, number, dropped)
                last = sources[key]
                if (last.sequence, last.drops) == (number, dropped):
                    last.sequence = int(sequence[end - 1])
                    break

    @property
    def pending(self) -> int:
        """Samples that `batches` has not handed over."""
        return sum(len(block.sample) for block in self._blocks) + len(self._found.samples)

    def taken(self) -> SampleCounts:
        """Since it was asked before."""
        counts = SampleCounts(self._lost, self._samples, self._samples_lost, self._samples_dropped)
        self._lost = self._samples = self._samples_lost = self._samples_dropped = 0
        return counts

    def batches(self, undecoded: Counter[str]) -> Iterator[FlowBatch]:
        """The samples of all datagrams read since it was asked before; what could not be used is added to
        `undecoded`.
        """
        blocks, self._blocks = self._blocks, []
        if self._found.samples:
            blocks.append(self._found.block())
        self._found = _Found()
        undecoded.update(self._undecoded)
        self._undecoded.clear()
        for block in blocks:
            if len(block.sample):
                yield from SampleColumns(self._exporter, block, self._rate).batches(undecoded)


class Told(NamedTuple):
    """Of each sample: its data source, its sequence number there, and what the source has dropped so far."""

    source: Column
    sequence: Column
    drops: Column

    def only(self, which: Column) -> Told:
        return Told(*(column[which] for column in self))


def sources_told(words: Column, walked: Walked) -> Told:
    sample, wider = walked.sample, walked.expanded.astype(np.int64)
    stated = words[sample + 1].astype(np.uint64)
    source = (stated >> np.uint64(24)) << np.uint64(32) | stated & np.uint64(0xFFFFFF)
    if wider.any():
        index = words[sample + 2].astype(np.uint64)
        source = np.where(walked.expanded, stated << np.uint64(32) | index, source)
    return Told(source, words[sample].astype(np.int64), words[sample + 4 + wider].astype(np.int64))


def _last_of_each(agent: Numbers) -> list[int]:
    """Where each stands last, ascending."""
    if (agent == agent[0]).all():
        return [len(agent) - 1]
    _, from_behind = np.unique(agent[::-1], return_index=True)
    return sorted((len(agent) - 1 - from_behind).tolist())


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
