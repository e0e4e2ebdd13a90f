"""Datagrams of sFlow that are walked together give what they give one by one, whatever their mix."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from operator import itemgetter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teagent.wire.flow.decoder import DecodeResult, FlowDecoder
from teagent.wire.flow.sflow import FEW, MOST_AGENTS
from teagent.wire.flow.sflow_sample import Gateways, SampleHeaders, headers_of
from teagent.wire.flow.sflow_sources import MOST_SOURCES, in_turn
from tests.fakes.netflow import flow_set, ipfix, template
from tests.fakes.sflow import (
    counter_sample,
    datagram,
    ethernet,
    flow_sample,
    gateway,
    if_counters,
    ipv4,
    ipv6,
    record,
    sampled_header,
    sampled_ipv4,
    sampled_ipv6,
    udp,
)
from tests.property.test_flow_bursts import rows

FOUR = ethernet(ipv4("192.0.2.1", "198.51.100.7", udp(1234, 53)), vlans=(1,))
SIX = ethernet(ipv6("2001:db8::1", "2001:db8:100::7", udp(1, 2), extensions=(0,)))


class OneByOne:
    def read_together(self, datagrams: Sequence[bytes], stream: int) -> Iterator[bytes]:
        yield from datagrams


def path_of(segments: Sequence[Sequence[int]], more: int, cut: int) -> bytes:
    """An extended_gateway that ends with its path, which says it has `more` segments; without its last octets."""
    count = len(segments) + more
    body = struct.pack(">I4s4I", 1, b"\xc0\0\2\x09", 64500, 64501, 64502, count)
    for segment in segments:
        body += struct.pack(f">II{len(segment)}I", 2, len(segment), *segment)
    return record(1003, body[: len(body) - cut])


ASN = st.integers(0, 2**32 - 1)
PATHS = st.lists(st.lists(ASN, max_size=3), max_size=3)
RECORD = st.one_of(
    st.sampled_from(
        (
            sampled_header(FOUR),
            sampled_header(SIX),
            sampled_header(FOUR[14:], protocol=11),
            sampled_header(FOUR[:20]),
            sampled_ipv4("192.0.2.1", "198.51.100.7"),
            sampled_ipv6("2001:db8::1", "2001:db8:100::7"),
            record(1001, bytes(16)),
        )
    ),
    st.builds(gateway, ASN, st.lists(ASN, max_size=3)),
    st.builds(path_of, PATHS, st.sampled_from((0, 0, 0, 1)), st.sampled_from((0, 0, 1, 4, 5, 9))),
    st.builds(record, st.sampled_from((1, 3, 4, 1003, 77)), st.binary(max_size=60)),
)
INTERFACE = st.tuples(st.sampled_from((0, 0, 0, 1, 2)), st.sampled_from((0, 3, 4, 2**24 - 1, 0x3FFFFFFF)))
SAMPLE = st.tuples(
    st.lists(RECORD, max_size=4),
    st.fixed_dictionaries(
        {
            "source": st.sampled_from((3, 3, 4, 1 << 24 | 3)),
            "rate": st.sampled_from((0, 1, 1000)),
            "in_if": INTERFACE,
            "out_if": INTERFACE,
            "expanded": st.booleans(),
        }
    ),
    st.sampled_from((None, None, None, None, 0, 9)),  # records that it says it has
)
SHAPE = st.fixed_dictionaries(
    {
        "samples": st.lists(SAMPLE, max_size=4),
        "counters": st.booleans(),
        "short": st.sampled_from((None, None, None, None, 0, 20, 31)),  # octets of a sample that are too few
        "agent": st.sampled_from(("192.0.2.1", "192.0.2.1", "2001:db8::9")),
        "sub_agent": st.integers(0, 1),
        "count": st.sampled_from((None, None, None, 0, 9)),
    }
)
REPEATED = st.tuples(SHAPE, st.integers(1, 12), st.sampled_from((1, 1, 1, 0, 2, -3, 2**31)), st.integers(0, 2))
ODD = st.one_of(
    st.tuples(st.integers(0, 90), st.integers(0, 255)),  # an octet of the one before, changed
    st.integers(0, 200),  # the one before, cut
)


def made(parts: Sequence[tuple[dict, int, int, int]], odd: dict[int, object]) -> list[bytes]:
    """At least enough of them to be walked, most with sequence numbers that go on."""
    datagrams: list[bytes] = []
    number = 2**32 - 20
    while len(datagrams) < FEW:
        for shape, times, step, drops in parts:
            for i in range(times):
                number = (number + step) % 2**32
                samples = [
                    flow_sample(*records, count=count, sequence=number, drops=drops + (i == 7), **fields)
                    for records, fields, count in shape["samples"]
                ]
                samples += [counter_sample(if_counters(3))] * shape["counters"]
                if shape["short"] is not None and i % 3 == 0:
                    samples.append(record(1 + 2 * (i % 2), bytes(shape["short"])))
                datagrams.append(
                    datagram(
                        *samples,
                        sequence=number,
                        agent=shape["agent"],
                        sub_agent=shape["sub_agent"],
                        count=shape["count"],
                    )
                )
    for place, change in odd.items():
        octets = bytearray(datagrams[place % len(datagrams)])
        if isinstance(change, int):
            del octets[4 + change :]
        elif len(octets) > 4:
            octets[4 + change[0] % (len(octets) - 4)] = change[1]
        datagrams[place % len(datagrams)] = bytes(octets)
    return datagrams


def told(decoder: FlowDecoder, results: Sequence[DecodeResult]) -> object:
    agents = [
        (
            key,
            [(t._before, t._inclusive, t._missing) for t in agent.sequences._trackers.values()],
            {number: (s.sequence, s.drops, s.missing) for number, s in agent.sources.known.items()},
        )
        for key, agent in decoder._sflow._agents.items()
    ]
    counts = [(r.records, r.lost, r.undecoded, r.samples, r.samples_lost, r.samples_dropped) for r in results]
    return counts, agents, rows(results), decoder.version


def alike(bursts: Sequence[Sequence[bytes]]) -> None:
    together, apart = (FlowDecoder("192.0.2.1") for _ in range(2))
    apart._sflow.read_together = OneByOne().read_together  # type: ignore[method-assign]  the reference
    found = []
    for decoder in (together, apart):
        results = [decoder.decode(burst, at=10.0, stream=1) for burst in bursts]
        found.append(told(decoder, results))
    assert found[0] == found[1]


@pytest.mark.slow
@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(st.lists(REPEATED, min_size=1, max_size=4), st.dictionaries(st.integers(0, 40), ODD, max_size=2)),
        min_size=1,
        max_size=2,
    )
)
def test_datagrams_walked_together_give_what_they_give_one_by_one(bursts):
    alike([made(parts, odd) for parts, odd in bursts])


def test_more_agents_and_sources_than_are_remembered_are_the_same_ones_either_way():
    sample = sampled_header(FOUR)
    many_agents = [
        datagram(flow_sample(sample, sequence=i), sequence=i, sub_agent=i % (MOST_AGENTS + 9)) for i in range(200)
    ]
    many_sources = [
        datagram(*(flow_sample(sample, sequence=i, source=i * 60 + k) for k in range(60)), sequence=i)
        for i in range(MOST_SOURCES // 60 + 20)
    ]
    alike([many_agents, many_sources, many_agents[:40], many_sources[:30]])


def test_samples_of_one_length_by_the_hundred_are_read_one_by_one_and_alike():
    bare = record(2, b"") * 300
    alike([[datagram(bare, flow_sample(sampled_header(FOUR)), sequence=i, count=301) for i in range(FEW)]])


def as_specified(octets: bytes) -> tuple[int, int]:
    """(src_as, last of dst_as_path) of an extended_gateway, read word by word; of what is cut what stands before."""
    words = struct.unpack(f">{len(octets) // 4}I", octets[: len(octets) & ~3])
    if not words or words[0] > 2:
        return 0, 0
    words = words[1 + (0, 1, 4)[words[0]] :]
    if len(words) < 4:
        return 0, 0
    own, source, _, segments, *path = words
    last = own
    for _ in range(segments):
        if len(path) < 2 or len(path) < 2 + path[1]:
            break
        last = path[1 + path[1]] if path[1] else last
        path = path[2 + path[1] :]
    return source, last


@given(
    st.lists(
        st.one_of(
            st.builds(
                lambda path, more, cut: path_of(path, more, cut)[8:], PATHS, st.integers(0, 2), st.integers(0, 30)
            ),
            st.lists(st.sampled_from((0, 1, 2, 3, 4, 2**32 - 1)), max_size=14).map(
                lambda w: struct.pack(f">{len(w)}I", *w)
            ),
            st.none(),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_autonomous_systems_are_those_of_the_specification_wherever_records_end(found):
    octets, place, length = bytes(28), [], []
    for body in found:
        place.append(-1 if body is None else len(octets) // 4)
        length.append(-1 if body is None else len(body))
        octets += b"" if body is None else body + bytes(-len(body) % 4)
    gateways = Gateways(octets, np.array(place), np.array(length))
    expected = [(0, 0) if body is None else as_specified(body) for body in found]
    assert list(zip(gateways.sources().tolist(), gateways.destinations().tolist(), strict=True)) == expected


WORD = st.one_of(st.sampled_from((0, 3, 4, 2**24, 2**30 - 1, 2**30, 2**31, 2**32 - 1)), st.integers(0, 2**32 - 1))


@given(st.lists(st.tuples(st.booleans(), st.tuples(*[WORD] * 11)), min_size=1, max_size=9))
def test_fixed_parts_of_samples_are_those_of_the_specification_in_any_mix(samples):
    octets, place, expected = b"", [], []
    for expanded, words in samples:
        place.append(len(octets) // 4)
        octets += struct.pack(">11I", *words)
        if expanded:
            sequence, kind, index, rate, _, drops, *interfaces, _ = words
            ends = list(zip(interfaces[::2], interfaces[1::2], strict=True))
        else:
            sequence, source, rate, _, drops, *interfaces = words[:7]
            kind, index = source >> 24, source & 0xFFFFFF
            ends = [(value >> 30, value & 0x3FFFFFFF) for value in interfaces]
        in_if, out_if = (0 if form or value in {2**30 - 1, 2**32 - 1} else value for form, value in ends)
        egress = kind == 0 and index == out_if != 0 and in_if != out_if
        expected.append((kind << 32 | index, sequence, drops, rate, in_if, out_if, egress))
    headers = headers_of(octets, np.array(place), np.array([expanded for expanded, _ in samples]))
    assert list(zip(*(column.tolist() for column in headers), strict=True)) == expected


SOURCE = st.one_of(st.integers(0, 4), st.sampled_from((2**40 - 1, 2**40, 2**63, 2**64 - 1)))


@given(st.lists(st.tuples(st.integers(0, 2), SOURCE, st.integers(0, 3), st.integers(0, 1)), min_size=1, max_size=30))
def test_samples_are_put_in_turn_by_agent_and_data_source_and_else_stay_as_they_came(samples):
    agent, source, sequence, drops = (np.array(column, np.uint64) for column in zip(*samples, strict=True))
    nothing = np.zeros(len(samples), np.uint32)
    headers = SampleHeaders(source, sequence, drops, nothing, nothing, nothing, nothing)
    found = in_turn(headers, agent.astype(np.int64))
    expected = sorted(samples, key=itemgetter(0, 1))
    assert list(zip(*(column.tolist() for column in found[:3]), strict=True)) == [sample[1:] for sample in expected]
    next_one = [now == (*last[:2], last[2] + 1, last[3]) for last, now in pairwise(expected)]
    assert found.same.tolist() == next_one
    assert found.distinct == len({sample[:2] for sample in samples})


def test_datagrams_of_other_protocols_among_them_are_read_in_their_turn():
    sflow = [datagram(flow_sample(sampled_header(FOUR), sequence=i), sequence=i) for i in range(3 * FEW)]
    others = [ipfix(flow_set(2, template(256, ((1, 4),)))), b"", b"\0\0\0\6" + bytes(40), b"\0"]
    for position, other in enumerate(others):
        sflow.insert(FEW + 7 * position, other)
    alike([sflow, sflow[: FEW + 8]])


def test_a_decoder_that_need_not_be_whole_tells_the_same_of_all_that_counts():
    sample = flow_sample(sampled_header(FOUR), gateway(64496, (64501, 64502)))
    six = flow_sample(sampled_header(SIX), sampled_header(FOUR[:20]), expanded=True)
    bursts = [datagram(sample, six, sequence=i) for i in range(FEW)]
    found = []
    for whole in (True, False):
        decoder = FlowDecoder("192.0.2.1")
        decoder.feed(bursts, at=10.0)
        found.append(rows([without_particulars(decoder.take(whole=whole))]))
    assert found[0] == found[1]


def without_particulars(result: DecodeResult) -> DecodeResult:
    batches = []
    for batch in result.batches:
        none = np.zeros(len(batch), np.uint8)
        batches.append(replace(batch, protocol=none, src_port=none, dst_port=none, dst_asn=none))
    return replace(result, batches=tuple(batches))


@pytest.mark.parametrize("path", [[], [[]], [[5]], [[5, 6]], [[5], [7]], [[5], []], [[], [7, 8]]])
@pytest.mark.parametrize("cut", range(0, 25, 4))
def test_paths_that_end_anywhere_are_read_alike(path, cut):
    sample = flow_sample(sampled_header(FOUR), path_of(path, 0, cut))
    alike([[datagram(sample, sequence=i) for i in range(FEW)]])
