"""Flow samples of sFlow in one pass over the datagrams, compiled: what teagent.wire.flow.sflow_walk, sflow_sample,
sflow_columns and raw_header make of them with numpy, in a fraction of the time. Those are the reference.

Nothing of the core imports this module: whoever wants it hands a CompiledPass to the decoders.

What stands in a datagram is looked at twice before it is read: each function makes sure that it is there, and all are
compiled with checks of every index. What is calculated with is int64: of int64 and uint64 together numba makes float64.
"""

from __future__ import annotations

import struct
import sys
from typing import Any, Final

import numpy as np

from teagent.compiling import kept, within
from teagent.wire.flow.datagrams import Datagrams
from teagent.wire.flow.raw_header import CUT, IPV4, IPV6
from teagent.wire.flow.raw_header_compiled import ETHERNET, ip_header, placed, u16, u32, u64
from teagent.wire.flow.sflow_pass import SHEET_ROWS, AgentRun, End, Passed, RowBlock, SourceRun, Stretch, sheet
from teagent.wire.flow.sflow_sample import INTERNAL, INTERNAL_EXPANDED
from teagent.wire.flow.sflow_sources import MOST_SORTED_AGENTS, MOST_SOURCES
from teagent.wire.flow.sflow_walk import (
    ADDRESS_WORDS,
    EXTENDED_GATEWAY,
    FLOW_SAMPLE,
    FLOW_SAMPLE_EXPANDED,
    LEAST_HEAD,
    LEAST_OCTETS,
    MOST_STEPS,
    SAMPLE_WORDS,
    SAMPLED_HEADER,
    SAMPLED_IPV4,
    SAMPLED_IPV6,
    VERSION,
)

MOST_AGENT_RUNS: Final = 1_024
MOST_SOURCE_RUNS: Final = 4_096
SLOTS: Final = 4 * MOST_SOURCES  # a power of two
HASH: Final = 0x9E3779B1  # Knuth, The Art of Computer Programming 6.4: 2**32 by the golden ratio
LITTLE: Final = sys.byteorder == "little"
ALL, ODD, FULL = (int(end) for end in End)
ADDRESS_KINDS, IPV4_WORDS, IPV6_WORDS = len(ADDRESS_WORDS), ADDRESS_WORDS[1], ADDRESS_WORDS[2]
PLAIN_WORDS, EXPANDED_WORDS = SAMPLE_WORDS[FLOW_SAMPLE], SAMPLE_WORDS[FLOW_SAMPLE_EXPANDED]
LEAST_HEADER, LEAST_IPV4, LEAST_IPV6 = (LEAST_OCTETS[kind] for kind in (SAMPLED_HEADER, SAMPLED_IPV4, SAMPLED_IPV6))
COUNTS = range(10)
SAMPLES, WITHOUT, CUT_HEADERS, NOT_IP_HEADERS, DATAGRAMS, AGENTS, SOURCES, AGENT_RUNS, SOURCE_RUNS, FOLLOWING = COUNTS
LAST_RUN: Final = 6
NUMBERED: Final = np.dtype([(name, np.int64) for name in ("source", "sequence", "drops")], align=True)
"""Of each sample of a datagram."""
FILLED: Final = np.dtype(
    [(name, np.int64) for name in ("rows", "layer2", "egress", "any_rate", "all_rates")], align=True
)
"""Of a sheet how many rows are filled, and of those since `taken` what Stretch tells."""
UNTOLD: Final = (0, 0, 0, 0xFFFFFFFF)  # of no row
AGENT_RUN, SOURCE_RUN = (
    np.dtype([(name, np.int64) for name in run._fields], align=True) for run in (AgentRun, SourceRun)
)


@within
def _word(words: Any, at: Any) -> Any:
    word = words[np.uint64(at)]
    if not LITTLE:
        return np.int64(word)
    high = (word & np.uint32(0xFF)) << np.uint32(24) | (word & np.uint32(0xFF00)) << np.uint32(8)
    low = (word >> np.uint32(8)) & np.uint32(0xFF00) | (word >> np.uint32(24)) & np.uint32(0xFF)
    return np.int64(high | low)


@within
def _address_words(kind: Any) -> Any:
    return IPV4_WORDS if kind == 1 else IPV6_WORDS if kind == 2 else 0


@within
def _tells_of_ip(kind: Any, octets: Any) -> Any:
    return (kind == SAMPLED_IPV4 and octets >= LEAST_IPV4) or (kind == SAMPLED_IPV6 and octets >= LEAST_IPV6)


@within
def _records(words: Any, at: Any, stop: Any, count: Any) -> Any:
    """(whether they are whole, then where the records stand that are wanted of a sample: the packet's, its format, and
    the gateway's with its octets)
    """
    record, form, gateway, gateway_octets = -1, 0, -1, -1
    at = placed(at)
    for _ in range(count):
        if at + 2 > stop:
            return False, record, form, gateway, gateway_octets
        kind, octets = _word(words, at), _word(words, at + 1)
        following = placed(at + (octets + 11 >> 2))
        if following > stop:
            return False, record, form, gateway, gateway_octets
        if kind == EXTENDED_GATEWAY:
            gateway, gateway_octets = at + 2, octets
        elif kind == SAMPLED_HEADER:
            if octets >= LEAST_HEADER:  # counts above the others
                record, form = at + 2, kind
        elif record < 0 and _tells_of_ip(kind, octets):
            record, form = at + 2, kind
        at = following
    return True, record, form, gateway, gateway_octets


@within
def _samples(
    octets: Any, words: Any, at: Any, end: Any, numbered: Any, four: Any, six: Any, filled: Any, counts: Any
) -> Any:
    """Reads the samples of a datagram, which begin at `at`, into rows; returns how many flow samples there are, or -1
    where it is odd.
    """
    count, flow_samples = _word(words, at - 1), 0
    if count > MOST_STEPS or end > len(words):
        return -1
    at = placed(at)
    for _ in range(count):
        if at + 2 > end:
            return -1
        kind, place = _word(words, at), at + 2
        stop = placed(place + (_word(words, at + 1) + 3 >> 2))
        if stop > end:
            return -1
        at = stop
        if kind not in (FLOW_SAMPLE, FLOW_SAMPLE_EXPANDED):
            continue
        if place + PLAIN_WORDS > stop or (kind == FLOW_SAMPLE_EXPANDED and place + EXPANDED_WORDS > stop):
            return -1
        first = place + (PLAIN_WORDS if kind == FLOW_SAMPLE else EXPANDED_WORDS)
        records = _word(words, first - 1)
        if records > MOST_STEPS:
            return -1
        whole, record, form, gateway, gateway_octets = _records(words, first, stop, records)
        if not whole:
            return -1
        fixed, source, drops = _head(words, place, kind == FLOW_SAMPLE_EXPANDED)
        its = numbered[np.uint64(flow_samples)]
        its.source, its.sequence, its.drops = source, _word(words, place), drops
        flow_samples += 1
        if record < 0:
            counts[WITHOUT] += 1
            continue
        system = _system(words, gateway, gateway_octets)
        if form == SAMPLED_HEADER:
            _from_header(octets, words, record, fixed, system, four, six, filled, counts)
        else:
            _from_ip(words, record, form, fixed, system, four, six, filled)
    return flow_samples


@within
def _agent(words: Any, begin: Any, head: Any, agents: Any, most: Any, counts: Any) -> Any:
    """The number of the agent whose datagram begins at `begin`, -1 where it would be more than `most`."""
    kind, sub_agent = _word(words, begin + 1), _word(words, head)
    known = counts[AGENTS]
    for number in range(known):
        its = agents[number]
        same = its[0] == kind and its[1] == sub_agent
        for i in range(begin + 2, head):
            same &= its[i - begin] == _word(words, i)
        if same:
            return number
    if known >= most:
        return -1
    its = agents[known]
    its[0], its[1], its[LAST_RUN] = kind, sub_agent, -1
    for i in range(begin + 2, head):
        its[i - begin] = _word(words, i)
    counts[AGENTS] = known + 1
    return known


@within
def _follow_agent(agent: Any, sequence: Any, number: Any, agents: Any, runs: Any, counts: Any) -> Any:
    last = agents[agent, LAST_RUN]
    if last >= 0:
        run = runs[np.uint64(last)]
        if run.sequence + run.datagrams & 0xFFFFFFFF == sequence:
            run.datagrams += 1
            run.last = number
            return
    run = runs[np.uint64(counts[AGENT_RUNS])]
    run.agent, run.sequence, run.datagrams, run.last = agent, sequence, 1, number
    agents[agent, LAST_RUN] = counts[AGENT_RUNS]
    counts[AGENT_RUNS] += 1


@within
def _follow_source(agent: Any, source: Any, sequence: Any, drops: Any, slots: Any, runs: Any, counts: Any) -> None:
    slot = ((source ^ source >> 32 ^ agent << 24) * HASH >> 15) & SLOTS - 1
    while slots[np.uint64(slot)] >= 0:
        run = runs[np.uint64(slots[np.uint64(slot)])]
        if run.source == source and run.agent == agent:
            if run.sequence + run.samples == sequence and run.drops == drops:
                run.samples += 1
                return
            break
        slot = slot + 1 & SLOTS - 1
    if slots[np.uint64(slot)] < 0:
        counts[SOURCES] += 1
    slots[np.uint64(slot)] = counts[SOURCE_RUNS]
    run = runs[np.uint64(counts[SOURCE_RUNS])]
    run.agent, run.source, run.sequence, run.drops, run.samples = agent, source, sequence, drops, 1
    counts[SOURCE_RUNS] += 1


@within
def _system(words: Any, gateway: Any, length: Any) -> Any:
    """src_as of an extended_gateway of so many octets, as Gateways has it."""
    if gateway < 0 or length < 20:
        return 0
    kind = _word(words, gateway)
    address = _address_words(kind)
    if kind >= ADDRESS_KINDS or length < 20 + 4 * address:
        return 0
    return _word(words, gateway + 2 + address)


@within
def _put(row: Any, filled: Any, head: Any, system: Any, octets: Any, layer2: Any) -> Any:
    in_if, out_if, rate, egress = head
    row.in_if, row.out_if, row.rate, row.egress = in_if, out_if, rate, egress
    row.src_asn, row.octets, row.layer2 = system, octets, layer2
    filled.rows += 1
    filled.layer2 += layer2
    filled.egress += egress
    filled.any_rate |= rate
    filled.all_rates &= rate


@within
def _from_header(
    octets: Any, words: Any, record: Any, head: Any, system: Any, four: Any, six: Any, filled: Any, counts: Any
) -> Any:
    """A row out of sampled_header."""
    kind, stated = _word(words, record), _word(words, record + 1)
    first = placed(4 * (record + 4))
    end = min(first + min(_word(words, record + 3), _word(words, record - 1) - 16), len(octets))
    family, at = ip_header(octets, first, end, kind)
    if family == IPV4:
        filled4 = filled[0]
        row4 = four[np.uint64(filled4.rows)]
        length = u16(octets, at + 2)
        row4.src, row4.dst = u32(octets, at + 12), u32(octets, at + 16)
        _put(row4, filled4, head, system, _length(kind, stated, at - first, length), kind == ETHERNET)
    elif family == IPV6:
        filled6 = filled[1]
        row6 = six[np.uint64(filled6.rows)]
        length = u16(octets, at + 4)
        length += 40 if length > 0 else 0  # 0 is a jumbogram's (RFC 2675), or none
        row6.src_high, row6.src_low = u64(octets, at + 8), u64(octets, at + 16)
        row6.dst_high, row6.dst_low = u64(octets, at + 24), u64(octets, at + 32)
        _put(row6, filled6, head, system, _length(kind, stated, at - first, length), kind == ETHERNET)
    else:
        counts[CUT_HEADERS if family == CUT else NOT_IP_HEADERS] += 1


@within
def _length(kind: Any, stated: Any, before: Any, length: Any) -> Any:
    """Octets of a packet whose IP header states `length`, with so many before it."""
    if kind == ETHERNET:
        return stated if stated > 0 else before + length
    return stated if length == 0 else length


@within
def _from_ip(words: Any, record: Any, form: Any, head: Any, system: Any, four: Any, six: Any, filled: Any) -> Any:
    """A row out of sampled_ipv4 or sampled_ipv6."""
    length = _word(words, record)
    if form == SAMPLED_IPV4:
        filled4 = filled[0]
        row4 = four[np.uint64(filled4.rows)]
        row4.src, row4.dst = _word(words, record + 2), _word(words, record + 3)
        _put(row4, filled4, head, system, length, layer2=False)
    else:
        filled6 = filled[1]
        row6 = six[np.uint64(filled6.rows)]
        row6.src_high, row6.src_low = _wide(words, record + 2), _wide(words, record + 4)
        row6.dst_high, row6.dst_low = _wide(words, record + 6), _wide(words, record + 8)
        _put(row6, filled6, head, system, length, layer2=False)


@within
def _wide(words: Any, at: Any) -> Any:
    return np.uint64(_word(words, at) << 32 | _word(words, at + 1))


@within
def _interface(form: Any, value: Any) -> Any:
    return 0 if form != 0 or value in (INTERNAL, INTERNAL_EXPANDED) else value


@within
def _head(words: Any, at: Any, expanded: Any) -> Any:
    """((in_if, out_if, rate, egress), data source, drops) of a sample."""
    if expanded:
        source_class, index = _word(words, at + 1), _word(words, at + 2)
        rate, drops = _word(words, at + 3), _word(words, at + 5)
        in_if = _interface(_word(words, at + 6), _word(words, at + 7))
        out_if = _interface(_word(words, at + 8), _word(words, at + 9))
    else:
        source, rate, drops = _word(words, at + 1), _word(words, at + 2), _word(words, at + 4)
        source_class, index = source >> 24, source & 0xFFFFFF
        in_if, out_if = _word(words, at + 5), _word(words, at + 6)
        in_if = in_if if in_if < INTERNAL else 0
        out_if = out_if if out_if < INTERNAL else 0
    egress = source_class == 0 and index != 0 and index == out_if and in_if != out_if
    return (in_if, out_if, rate, egress), source_class << 32 | index, drops


@kept
def _pass(
    octets: Any,
    words: Any,
    begins: Any,
    lengths: Any,
    first: Any,
    most_agents: Any,
    most_sources: Any,
    numbered: Any,
    four: Any,
    six: Any,
    filled: Any,
    before: Any,
    agents: Any,
    agent_runs: Any,
    slots: Any,
    source_runs: Any,
    counts: Any,
) -> Any:
    """Reads datagrams from the one of this number on; returns why it ended."""
    for number in range(first, len(lengths)):
        counts[FOLLOWING] = number
        if begins[number] & 3 != 0 or lengths[number] & 3 != 0:
            return ODD
        begin = begins[number] >> 2
        end = begin + (lengths[number] >> 2)
        if end - begin < LEAST_HEAD >> 2 or _word(words, begin) != VERSION:
            return ODD
        kind = _word(words, begin + 1)
        head = begin + 2 + _address_words(kind)
        if kind >= ADDRESS_KINDS or head + 4 > end:
            return ODD
        most = min(_word(words, head + 3), MOST_STEPS)
        if counts[SOURCES] + most > most_sources or counts[SOURCE_RUNS] + most > MOST_SOURCE_RUNS:
            return FULL
        if max(filled[0].rows, filled[1].rows) + most > SHEET_ROWS or counts[AGENT_RUNS] == MOST_AGENT_RUNS:
            return FULL
        before[0], before[1] = filled[0], filled[1]
        without, cut, not_ip = counts[WITHOUT], counts[CUT_HEADERS], counts[NOT_IP_HEADERS]
        samples = _samples(octets, words, head + 4, end, numbered, four, six, filled, counts)
        agent = _agent(words, begin, head, agents, most_agents, counts) if samples >= 0 else -1
        if agent < 0:
            filled[0], filled[1] = before[0], before[1]
            counts[WITHOUT], counts[CUT_HEADERS], counts[NOT_IP_HEADERS] = without, cut, not_ip
            return ODD if samples < 0 else FULL
        _follow_agent(agent, _word(words, head + 1), counts[DATAGRAMS], agents, agent_runs, counts)
        counts[DATAGRAMS] += 1
        for i in range(samples):
            its = numbered[np.uint64(i)]
            _follow_source(agent, its.source, its.sequence, its.drops, slots, source_runs, counts)
        counts[SAMPLES] += samples
    counts[FOLLOWING] = len(lengths)
    return ALL


class CompiledPass:
    """A OnePass. It keeps room for what it finds, some 3 MiB. To make the first one takes as long as compiling does,
    and raises whatever numba does.
    """

    def __init__(self) -> None:
        self._sheets = [sheet(4), sheet(6)]
        self._alone = self._references()
        self._filled = np.zeros(2, FILLED)
        self._begins = [0, 0]  # rows of the sheets that had been filled when `taken` was asked
        self._numbered = np.zeros(MOST_STEPS, NUMBERED)
        self._counts = np.zeros(len(COUNTS), np.int64)
        # Each run as numbers, which are quickly made objects of the interpreter.
        self._agent_runs = np.zeros((MOST_AGENT_RUNS, len(AgentRun._fields)), np.int64)
        self._source_runs = np.zeros((MOST_SOURCE_RUNS, len(SourceRun._fields)), np.int64)
        # Of each agent its address type, sub-agent and address in words, and its last run; and where the last run of a
        # data source is found.
        self._agents, self._slots = np.zeros((MOST_SORTED_AGENTS, LAST_RUN + 1), np.int64), np.zeros(SLOTS, np.int32)
        agent_runs, source_runs = self._agent_runs.view(AGENT_RUN).ravel(), self._source_runs.view(SOURCE_RUN).ravel()
        self._told = self._filled, np.zeros(2, FILLED), self._agents, agent_runs, self._slots, source_runs, self._counts
        self._begin()
        self.read(Datagrams.of([]), 0, 0, 0)  # is compiled, or found in the cache

    def _references(self) -> list[int]:
        return [sys.getrefcount(each) for each in self._sheets]

    def _begin(self) -> None:
        """Nothing has been read. A sheet of which nobody has a row any more is filled anew: it is still in the cache,
        and its memory the process's own.
        """
        now = self._references()
        for family, filled in enumerate(self._filled["rows"].tolist()):
            begin = filled
            if now[family] == self._alone[family]:
                begin = 0
            elif filled > SHEET_ROWS - MOST_STEPS:
                self._sheets[family] = sheet((4, 6)[family])
                begin = 0
            self._begins[family] = begin
            self._filled[family] = (begin, *UNTOLD)
        self._slots[:] = -1
        self._counts[:] = 0

    @property
    def samples(self) -> int:
        found: int = self._counts.item(SAMPLES) - self._counts.item(WITHOUT)
        return found

    def read(self, datagrams: Datagrams, first: int, most_agents: int, most_sources: int) -> tuple[End, int]:
        if not self._counts.item(DATAGRAMS):
            self._begin()
        octets = np.frombuffer(datagrams.octets, np.uint8)
        octets.flags.writeable = False  # for another kind of array all would be compiled again
        stand = octets, octets.view(np.uint32), datagrams.begins, datagrams.lengths
        room = min(most_agents, MOST_SORTED_AGENTS), min(most_sources, MOST_SOURCES)
        ipv4, ipv6 = self._sheets
        end = _pass(*stand, first, *room, self._numbered, ipv4, ipv6, *self._told)
        return End(end), self._counts.item(FOLLOWING)

    def taken(self) -> Passed | None:
        samples, without, *unusable, datagrams, agents, _, agent_runs, source_runs, _ = self._counts.tolist()
        if not datagrams:
            return None
        stretches = [
            Stretch(its, begin, *filled)
            for its, begin, filled in zip(self._sheets, self._begins, self._filled.tolist(), strict=True)
        ]
        passed = Passed(
            agents=[_agent_key(its) for its in self._agents[:agents].tolist()],
            agent_runs=self._agent_runs[:agent_runs].tolist(),
            source_runs=self._source_runs[:source_runs].tolist(),
            samples=samples,
            without_packet=without,
            block=RowBlock((stretches[0], stretches[1]), samples - without, *unusable),
        )
        self._counts[:] = 0
        return passed


def _agent_key(its: list[int]) -> tuple[bytes, int]:
    kind, sub_agent, *words = its[:LAST_RUN]
    return struct.pack(">4I", *words)[: 4 * ADDRESS_WORDS[kind]], sub_agent
