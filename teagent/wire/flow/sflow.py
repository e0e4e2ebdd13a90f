"""sFlow version 5 (sflow.org/sflow_version_5.txt, July 2004): flow samples as columns.

Structures are called as in the specification. A datagram is walked once for where its samples and records stand; the
columns of all samples that came together are then gathered at once. Counter samples are walked over here;
teagent.wire.flow.sflow_records shows them, and every other record.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from teagent.errors import BadVersion, Truncated
from teagent.model.traffic import FlowBatch
from teagent.wire.flow.datagrams import Datagrams
from teagent.wire.flow.records import Undecoded
from teagent.wire.flow.sequence import Sequences
from teagent.wire.flow.sflow_columns import SampleBlock, batches
from teagent.wire.flow.sflow_pass import End, OnePass, RowBlock
from teagent.wire.flow.sflow_sample import SampleHeaders, headers_of
from teagent.wire.flow.sflow_sources import MOST_SORTED_AGENTS, MOST_SOURCES, DataSources, Tally, follow_runs, in_turn
from teagent.wire.flow.sflow_walk import (
    EXTENDED_GATEWAY,
    FLOW_SAMPLE,
    FLOW_SAMPLE_EXPANDED,
    LEAST_OCTETS,
    SAMPLED_HEADER,
    VERSION,
    Numbers,
    Walked,
    walk,
)

SFLOW_VERSION: Final = b"\0\0\0\5"  # as a datagram begins
MOST_AGENTS: Final = MOST_SORTED_AGENTS  # agents and their sub-agents behind one exporter address
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
class _Agent:
    """What one agent, or sub-agent, has told so far."""

    sources: DataSources
    sequences: Sequences = field(default_factory=Sequences)


@dataclass(slots=True, eq=False)
class _Found:
    """A SampleBlock in the making."""

    data: bytearray = field(default_factory=bytearray)
    samples: list[int] = field(default_factory=list)
    expanded: list[bool] = field(default_factory=list)
    record: list[int] = field(default_factory=list)
    format: list[int] = field(default_factory=list)
    gateway: list[int] = field(default_factory=list)
    gateway_octets: list[int] = field(default_factory=list)

    def block(self) -> SampleBlock:
        octets = bytes(self.data)
        samples = np.array(self.samples, dtype=np.int64)
        columns = (self.record, self.format, self.gateway, self.gateway_octets)
        return SampleBlock(
            octets,
            headers_of(octets, samples, np.array(self.expanded, dtype=bool)),
            *(np.array(column, dtype=np.int64) for column in columns),
        )


class SFlowReader:
    """The sFlow of one exporter address. `rate` overrides what the samples say of their sampling."""

    def __init__(self, exporter: str, *, rate: float | None = None) -> None:
        self._exporter = exporter
        self._rate = rate
        self._agents: dict[_AgentKey, _Agent] = {}
        self._found = _Found()
        self._blocks: list[SampleBlock | RowBlock] = []  # that came before what is in _found
        self._undecoded: Counter[str] = Counter()
        self._lost = 0  # these three since `taken`
        self._samples = 0
        self._missing = Tally()
        self._one_pass: OnePass | None = None
        self._stream = 0  # of what it has read
        self._room = (0, 0)  # agents and data sources that it may come upon

    def use(self, one_pass: OnePass) -> None:
        """From now on for datagrams that come together, where it can read them: it takes less time. Nobody else has
        it.
        """
        self._settle()
        self._one_pass = one_pass

    def read(self, datagram: bytes, start: int, stream: int) -> int:
        """Takes the samples of the sample_datagram_v5 that begins at `start`; returns the datagram's end, because what
        stands after the last sample that is counted is of no use. What is wrong in a sample loses that sample. Raises
        Truncated and BadVersion.
        """
        key, sequence, count, at = head(datagram, start)
        self._settle()
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

    def read_together(self, datagrams: Sequence[bytes], stream: int) -> Iterator[bytes | None]:
        """Takes the samples of many datagrams, but for those that it yields: `read` each of these before taking the
        next. None says that all before the next ones were taken. Others than those of sFlow are among those.
        """
        if self._one_pass is None or len(datagrams) < FEW:
            return self._walk(datagrams, stream)
        standing = Datagrams.of(datagrams)
        if len(standing.octets) % 4:
            return self._walk(datagrams, stream)
        return self._pass_over(standing, stream, self._one_pass)

    def _pass_over(self, datagrams: Datagrams, stream: int, one_pass: OnePass) -> Iterator[bytes | None]:
        if stream != self._stream:
            self._settle()
            self._stream = stream
        at = apart = 0
        while at < len(datagrams):
            if not one_pass.samples:
                self._room = self._room_for_more()
            before = at
            end, at = one_pass.read(datagrams, at, *self._room)
            if at > before:
                yield None
            if end == End.ODD and apart <= MOST_APART:
                self._settle()
                yield datagrams[at]
                at += 1
                apart += 1
            elif end == End.ODD or (end == End.FULL and not self._settle()):
                yield from self._walk(datagrams[at:], stream)
                return

    def _room_for_more(self) -> tuple[int, int]:
        """Agents and data sources that can come to those that are remembered, if all of them are new."""
        most = max([len(agent.sources) for agent in self._agents.values()], default=0)
        return MOST_AGENTS - len(self._agents), MOST_SOURCES - most

    def _settle(self) -> bool:
        """Takes over what the pass has read; whether there was anything."""
        found = None if self._one_pass is None else self._one_pass.taken()
        if found is None:
            return False
        heard = {its: number for its, _, _, number in found.agent_runs}
        # The one that was heard last comes last.
        agents = {its: self._agent(found.agents[its]) for its in sorted(heard, key=heard.__getitem__)}
        for its, sequence, count, _ in found.agent_runs:
            self._lost += agents[its].sequences.lost_in_a_run(self._stream, sequence, count)
        follow_runs({its: agent.sources for its, agent in agents.items()}, found.source_runs)
        self._samples += found.samples
        if found.without_packet:
            self._undecoded[Undecoded.NO_ADDRESSES] += found.without_packet
        self._flush()
        before = self._blocks[-1] if self._blocks else None
        both = before.and_then(found.block) if isinstance(before, RowBlock) else None
        self._blocks[len(self._blocks) - (both is not None) :] = [both or found.block]
        return True

    def _walk(self, datagrams: Sequence[bytes], stream: int) -> Iterator[bytes | None]:
        apart = 0
        datagrams = list(datagrams)
        self._settle()
        while datagrams:
            walked = None if len(datagrams) < FEW or apart > MOST_APART else walk(datagrams)
            if walked is None or (not len(walked.odd) and not self._take(walked, datagrams, stream)):
                yield from datagrams
                return
            if not len(walked.odd):
                yield None
                return
            first = int(walked.odd[0])
            yield from self._walk(datagrams[:first], stream)
            yield datagrams[first]
            datagrams = datagrams[first + 1 :]
            apart += 1

    def _take(self, walked: Walked, datagrams: Sequence[bytes], stream: int) -> bool:
        """False, and nothing is taken, where more agents or sources come together than are remembered."""
        agents = _agents(walked.agent)
        if agents is None:
            return False
        number, last = agents
        keys = [head(datagrams[position], 0)[0] for position in last]
        headers = headers_of(walked.octets, walked.sample, walked.expanded)
        its_agent = number.take(walked.datagram)
        told = in_turn(headers, its_agent)
        if not self._have_room(keys, told.distinct):
            return False
        end = np.cumsum(np.bincount(its_agent, minlength=len(last))).tolist()
        for position, key in reversed(list(enumerate(keys))):  # the one that was heard last comes last
            agent = self._agent(key)
            sequences = walked.sequences if len(last) == 1 else walked.sequences[number == position]
            self._lost += agent.sequences.lost_in_a_row(stream, sequences, np.ones(len(sequences), dtype=np.int64))
            begin = end[position - 1] if position else 0
            agent.sources.follow_many(told if len(last) == 1 else told.part(begin, end[position]))
        self._samples += len(walked.sample)
        self._keep(walked, headers)
        return True

    def _have_room(self, keys: Iterable[_AgentKey], sources: int) -> bool:
        """Whether so many data sources of these agents can come to those that are remembered."""
        most = max([len(agent.sources.known) for agent in self._agents.values()], default=0) + sources
        return len(self._agents.keys() | keys) <= MOST_AGENTS and most <= MOST_SOURCES

    def _keep(self, walked: Walked, headers: SampleHeaders) -> None:
        self._flush()
        block = SampleBlock(walked.octets, headers, walked.record, walked.format, walked.gateway, walked.gateway_octets)
        usable = walked.record >= 0
        if not usable.all():
            which = np.flatnonzero(usable)
            self._undecoded[Undecoded.NO_ADDRESSES] += len(usable) - len(which)
            block = block.only(which)
        self._blocks.append(block)

    def _flush(self) -> None:
        """What was read datagram by datagram becomes a block."""
        if self._found.samples:
            self._blocks.append(self._found.block())
            self._found = _Found()

    def _agent(self, key: _AgentKey) -> _Agent:
        """The most recently used ones are kept."""
        agent = self._agents.pop(key, None)
        if agent is None:
            if len(self._agents) >= MOST_AGENTS:
                del self._agents[next(iter(self._agents))]
            agent = _Agent(DataSources(self._missing))
        self._agents[key] = agent
        return agent

    def _flow_sample(
        self, datagram: bytes, at: int, stop: int, base: int, sources: DataSources, layout: struct.Struct
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
        sources.follow(source, sequence, drops)
        found = self._found
        record, record_format, gateway, gateway_octets = -1, 0, -1, -1
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
                gateway, gateway_octets = base + place >> 2, length
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
        found.gateway.append(gateway)
        found.gateway_octets.append(gateway_octets)

    @property
    def pending(self) -> int:
        """Samples that `batches` has not handed over."""
        passed = 0 if self._one_pass is None else self._one_pass.samples
        return sum(block.samples for block in self._blocks) + len(self._found.samples) + passed

    def taken(self) -> SampleCounts:
        """Since it was asked before."""
        self._settle()
        missing = self._missing
        counts = SampleCounts(self._lost, self._samples, missing.lost, missing.dropped)
        self._lost = self._samples = missing.lost = missing.dropped = 0
        return counts

    def batches(self, undecoded: Counter[str], *, whole: bool = True) -> Iterator[FlowBatch]:
        """The samples of all datagrams read since it was asked before; what could not be used is added to
        `undecoded`. What is not `whole` may leave unknown what layout.Batching says.
        """
        self._settle()
        blocks, self._blocks = self._blocks, []
        if self._found.samples:
            blocks.append(self._found.block())
        self._found = _Found()
        undecoded.update(self._undecoded)
        self._undecoded.clear()
        yield from batches(self._exporter, blocks, self._rate, undecoded, whole=whole)


def _agents(agent: Numbers) -> tuple[Numbers, list[int]] | None:
    """(a number from 0 on for each, where each number stands last), beginning with the one that stands last of all;
    None where there are too many of them.
    """
    number, last = np.zeros(len(agent), dtype=np.int64), [len(agent) - 1]
    left = np.flatnonzero(agent != agent[-1])
    while len(left):
        if len(last) == MOST_AGENTS:
            return None
        position = int(left[-1])
        its = agent.take(left) == agent[position]
        number[left[its]] = len(last)
        last.append(position)
        left = left[~its]
    return number, last


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
