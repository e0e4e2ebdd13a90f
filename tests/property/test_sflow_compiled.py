"""The compiled pass over sFlow gives what numpy gives, whatever the datagrams: rows, counts, and what is remembered."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from mmap import mmap

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from teagent.wire.flow.datagrams import Datagrams
from teagent.wire.flow.decoder import FlowDecoder
from teagent.wire.flow.raw_header import EXTENSIONS, FrameKind
from teagent.wire.flow.sflow import FEW, MOST_AGENTS, MOST_APART
from teagent.wire.flow.sflow_pass import SHEET_ROWS, End, OnePass, Passed
from teagent.wire.flow.sflow_sources import MOST_SOURCES
from teagent.wire.flow.sflow_walk import MOST_STEPS
from tests.fakes.netflow import flow_set, ipfix, template
from tests.fakes.sflow import (
    counter_sample,
    datagram,
    discarded_packet,
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
from tests.property.test_sflow_together import ODD, PATHS, REPEATED, made, path_of, told

pytest.importorskip("numba", reason="the extra teagent[compiled] is not installed")

from teagent.wire.flow.sflow_compiled import MOST_AGENT_RUNS, MOST_SOURCE_RUNS, CompiledPass

FOUR = ethernet(ipv4("192.0.2.1", "198.51.100.7", udp(1234, 53)), vlans=(1, 2))
SIX = ethernet(ipv6("2001:db8::1", "2001:db8:100::7", udp(1, 2), extensions=(0, 44, 60)), labels=(16, 17))


@pytest.fixture(scope="session")
def compiled() -> CompiledPass:
    return CompiledPass()


@contextmanager
def standing(burst: Sequence[bytes]) -> Iterator[Datagrams]:
    """As they come off a socket: with something else between them, and overwritten as soon as they have been read. It
    is an error when anybody looks there afterwards.
    """
    stride = max(map(len, burst)) + 12 & ~3
    with mmap(-1, len(burst) * stride) as octets:
        octets[:] = b"\0\0\0\1" * (len(octets) // 4)
        begins = np.arange(len(burst)) * stride
        for begin, datagram in zip(begins.tolist(), burst, strict=True):
            octets[begin : begin + len(datagram)] = datagram
        yield Datagrams(octets, begins, np.array([len(datagram) for datagram in burst]))
        octets[:] = b"\xff" * len(octets)


def alike(one_pass: OnePass, bursts: Sequence[Sequence[bytes]]) -> None:
    """But for what need not be whole."""
    taken_each_time(one_pass, bursts)
    taken_together(one_pass, bursts)


def both(one_pass: OnePass) -> Iterator[tuple[bool, FlowDecoder]]:
    """Whether it reads by the pass, and a decoder."""
    yield False, FlowDecoder("192.0.2.1")
    compiled = FlowDecoder("192.0.2.1")
    compiled.read_sflow_by(one_pass)
    yield True, compiled


def taken_together(one_pass: OnePass, bursts: Sequence[Sequence[bytes]]) -> None:
    """Bursts that come from two ports in turn, again and again, tell what their datagrams tell one by one."""
    found = []
    for compiled, decoder in both(one_pass):
        results = []
        for _ in range(2):
            for number, burst in enumerate([*bursts, *bursts, *bursts]):
                for part in [burst] if compiled else [[each] for each in burst]:
                    decoder.feed(part, at=10.0, stream=number // 2 % 2)
            results.append(decoder.take(whole=False))
        found.append(told(decoder, results))
    assert found[0] == found[1]


def taken_each_time(one_pass: OnePass, bursts: Sequence[Sequence[bytes]]) -> None:
    found = []
    for compiled, decoder in both(one_pass):
        results = []
        for burst in bursts:
            if compiled:
                with standing(burst) as datagrams:
                    decoder.feed(datagrams, at=10.0, stream=1)
                    del datagrams
            else:
                decoder.feed(burst, at=10.0, stream=1)
            pending = decoder.pending
            results.append(decoder.take(whole=False))
        kinds = [
            Counter(
                (batch.family, batch.layer2, direction)
                for batch in result.batches
                for direction in ([0] * len(batch) if batch.direction is None else batch.direction.tolist())
            )
            for result in results
        ]
        found.append((told(decoder, results), kinds, pending))
    assert found[0] == found[1]


MANY = st.lists(
    st.tuples(st.lists(REPEATED, min_size=1, max_size=4), st.dictionaries(st.integers(0, 40), ODD, max_size=2)),
    min_size=1,
    max_size=2,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(MANY)
def test_samples_of_all_sorts_are_read_alike(compiled, bursts):
    alike(compiled, [made(parts, odd) for parts, odd in bursts])


@pytest.mark.slow
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(MANY)
def test_many_samples_of_all_sorts_are_read_alike(compiled, bursts):
    alike(compiled, [made(parts, odd) for parts, odd in bursts])


LAYER = st.one_of(
    st.sampled_from(
        (
            *(struct.pack(">HH", 7, kind) for kind in (0x8100, 0x88A8, 0x9100, 0x800, 0x86DD, 0x8847, 0x8864, 0x880B)),
            *(struct.pack(">HH", 7, kind) for kind in (0x88E7, 40, 0x5FF, 0x600)),
            struct.pack(">I", 16 << 12 | 64),  # a label, and one at the bottom of the stack
            struct.pack(">I", 16 << 12 | 0x140),
            bytes(4),  # the control word of a pseudowire
            bytes.fromhex("110000010020"),  # PPPoE
            bytes.fromhex("ff030021"),
            bytes.fromhex("0021"),
            bytes.fromhex("57"),
            bytes.fromhex("0281"),
            bytes.fromhex("0f000800"),
            bytes.fromhex("aaaa030000000800"),  # SNAP
            bytes(12) + bytes.fromhex("86dd"),
            bytes(16) + bytes.fromhex("0800"),
        )
    ),
    st.binary(max_size=4),
)
PACKET = st.one_of(
    st.builds(
        lambda protocol, fragment, head, rest: (
            bytes([head, 0, 0, 99, 0, 0, *struct.pack(">H", fragment), 64, protocol, 0, 0]) + bytes(range(8)) + rest
        ),
        st.sampled_from((0, 6, 17, 132, 255)),
        st.sampled_from((0, 0, 0x4000, 1, 0x1FFF)),
        st.sampled_from((0x45, 0x45, 0x46, 0x4F, 0x44, 0x65)),
        st.binary(max_size=44),
    ),
    st.builds(
        lambda payload, kinds, rest: (
            bytes([0x60, 0, 0, 0])
            + struct.pack(">HBB", payload, kinds[0], 64)
            + bytes(range(32))
            + b"".join(bytes([kind, length, *struct.pack(">H", offset), *bytes(4)]) for kind, length, offset in rest)
            + bytes([*kinds, 1, 2, 3, 4])
        ),
        st.sampled_from((0, 1, 65535)),
        st.lists(st.sampled_from((*EXTENSIONS.nonzero()[0].tolist(), 6, 17, 58)), min_size=1, max_size=3),
        st.lists(
            st.tuples(
                st.sampled_from((*EXTENSIONS.nonzero()[0].tolist(), 6, 17)),
                st.sampled_from((0, 0, 1, 255)),
                st.sampled_from((0, 1, 8)),
            ),
            max_size=10,
        ),
    ),
)
FRAME = st.tuples(
    st.sampled_from((*FrameKind, 0, 2, 99)),
    st.sampled_from((b"", bytes(12))),
    st.lists(LAYER, max_size=5),
    st.one_of(PACKET, st.sampled_from((FOUR[22:], SIX[22:], b""))),
    st.one_of(st.just(0), st.integers(0, 90)),  # octets that are cut off
    st.sampled_from((None, 0, 1500)),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(FRAME, min_size=1, max_size=40))
@example([(FrameKind.ETHERNET, bytes(12), [b"\x81\0\0\1"] * 18, b"", 0, None)])
def test_frames_of_all_layers_cut_anywhere_are_read_alike(compiled, frames):
    samples = []
    for number, (kind, macs, layers, packet, cut, length) in enumerate(frames):
        frame = macs + b"".join(layers) + packet
        header = sampled_header(frame[: max(0, len(frame) - cut)], protocol=kind, length=length)
        samples.append(flow_sample(header, sequence=number, expanded=number % 3 == 0))
    alike(compiled, [[datagram(*samples, sequence=i) for i in range(FEW)]])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, FEW + 3), st.integers(0, 500), st.integers(0, 255)), max_size=12), st.data())
def test_octets_that_are_changed_anywhere_are_read_alike(compiled, flips, data):
    good = [
        datagram(
            flow_sample(sampled_header(FOUR), gateway(64496, (64501, 64502)), sequence=i),
            flow_sample(sampled_header(SIX), path_of([[1, 2], [3]], 0, 0), sequence=i, expanded=True, source=9),
            counter_sample(if_counters(3)),
            flow_sample(sampled_ipv6("2001:db8::1", "2001:db8:100::7"), sequence=i, source=5),
            discarded_packet(sampled_header(FOUR)),
            sequence=i,
            agent="2001:db8::9" if i % 3 else "192.0.2.1",
        )
        for i in range(FEW + 4)
    ]
    for number, at, value in flips:
        changed = bytearray(good[number])
        changed[at % len(changed)] = value
        good[number] = bytes(changed)
    cut = data.draw(st.sampled_from((None, 0, 1, 4, 28, 60, 404)))
    if cut is not None:
        good[3] = good[3][:cut]
    alike(compiled, [good])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PATHS, st.integers(0, 2), st.integers(0, 30), st.sampled_from((0, 1, 2, 3, 2**32 - 1)))
def test_gateways_that_end_anywhere_are_read_alike(compiled, path, more, cut, kind):
    body = struct.pack(">I", kind) + path_of(path, more, cut)[12:]
    alike(compiled, [[datagram(flow_sample(sampled_header(FOUR), record(1003, body)), sequence=i) for i in range(FEW)]])


def test_more_agents_and_sources_than_are_remembered_are_the_same_ones(compiled):
    sample = sampled_header(FOUR)
    agents = [
        datagram(flow_sample(sample, sequence=i), sequence=i, sub_agent=i % (MOST_AGENTS + 9)) for i in range(200)
    ]
    few_agents = [datagram(flow_sample(sample, sequence=i), sequence=i, sub_agent=i % MOST_AGENTS) for i in range(200)]
    sources = [
        datagram(*(flow_sample(sample, sequence=i, source=i * 60 + k) for k in range(60)), sequence=i)
        for i in range(MOST_SOURCES // 60 + 20)
    ]
    alike(compiled, [few_agents, agents, sources[: MOST_SOURCES // 60], sources, agents[:40], sources[:30]])


def test_datagrams_of_other_protocols_and_of_broken_words_among_them_are_read_in_their_turn(compiled):
    sflow = [datagram(flow_sample(sampled_header(FOUR), sequence=i), sequence=i) for i in range(6 * FEW)]
    others = [ipfix(flow_set(2, template(256, ((1, 4),)))), b"", b"\0\0\0\6" + bytes(40), b"\0\0\0\5"]
    for position, other in enumerate(others * 3):
        sflow.insert(FEW + 3 * position, other)
    assert len(others * 3) > MOST_APART
    alike(compiled, [sflow, [*sflow[:FEW], b"\0", *sflow[:FEW]], [*sflow[:FEW], sflow[0] + b"\0", *sflow[:FEW]]])
    few = sflow[:FEW]
    alike(compiled, [[*few, b"\0", *few, b"\0\0\0", *few], [*few, b"\0", *few[:3], sflow[3] + b"\0\0\0", *few]])


def test_samples_and_records_past_the_bound_of_steps_are_read_alike(compiled):
    for count in (MOST_STEPS - 1, MOST_STEPS, MOST_STEPS + 1):
        records = [record(2, b"")] * count
        full = flow_sample(*records, sampled_header(FOUR))
        samples = [flow_sample(sampled_ipv4("192.0.2.1", "198.51.100.7"), sequence=k) for k in range(count)]
        alike(compiled, [[datagram(full, sequence=i) for i in range(FEW)], [datagram(*samples, sequence=9)] * FEW])


class Watched:
    """Counts what the passes ended with."""

    def __init__(self, one_pass: OnePass) -> None:
        self._one_pass = one_pass
        self.ends: list[End] = []

    @property
    def samples(self) -> int:
        return self._one_pass.samples

    def read(self, datagrams: Datagrams, first: int, most_agents: int, most_sources: int) -> tuple[End, int]:
        end, following = self._one_pass.read(datagrams, first, most_agents, most_sources)
        self.ends.append(end)
        return end, following

    def taken(self) -> Passed | None:
        return self._one_pass.taken()


def burst(first: int, datagrams: int) -> Iterator[bytes]:
    for i in range(first, first + datagrams):
        samples = [flow_sample(sampled_header(FOUR), sequence=i * 8 + k) for k in range(8)]
        yield datagram(*samples, sequence=i)


def test_more_samples_than_a_sheet_has_room_for_are_taken_over_several_times(compiled):
    watched = Watched(compiled)
    taken_each_time(watched, [list(burst(0, SHEET_ROWS // 8 + 100)), list(burst(SHEET_ROWS // 8 + 100, 100))])
    assert set(watched.ends) == {End.FULL, End.ALL}


def test_more_runs_than_there_is_room_for_are_taken_over_several_times(compiled):
    """Of agents and of data sources."""
    sample = sampled_header(FOUR)
    for every in (
        [datagram(flow_sample(sample, sequence=i), sequence=2 * i) for i in range(MOST_AGENT_RUNS + 9)],
        [datagram(flow_sample(sample, sequence=2 * i), sequence=i) for i in range(MOST_SOURCE_RUNS + 9)],
    ):
        watched = Watched(compiled)
        taken_each_time(watched, [every])
        assert watched.ends == [End.FULL, End.ALL]


def test_agents_that_may_all_be_new_wait_until_those_before_them_are_known(compiled):
    """Nobody is forgotten for one who was known."""
    watched = Watched(compiled)
    sample = sampled_header(FOUR)
    known = [datagram(flow_sample(sample), sub_agent=i) for i in range(MOST_AGENTS - 20)]
    others = [datagram(flow_sample(sample), sequence=1, sub_agent=i) for i in range(10, MOST_AGENTS)]
    taken_each_time(watched, [known, others])
    assert watched.ends[-3:] == [End.FULL, End.FULL, End.ALL]


def test_many_known_data_sources_are_read_by_the_compiled_pass(compiled):
    watched = Watched(compiled)
    sample = sampled_header(FOUR)
    ports = [
        datagram(*(flow_sample(sample, sequence=i // 15, source=i % 15 * 50 + k) for k in range(50)), sequence=i)
        for i in range(60)
    ]
    taken_each_time(watched, [ports[:30], ports[30:]])
    assert End.ALL in watched.ends[2:]


def test_what_was_handed_over_stays_as_it_is(compiled):
    decoder = FlowDecoder("192.0.2.1")
    decoder.read_sflow_by(compiled)
    first = decoder.decode(list(burst(0, FEW)), at=10.0)
    before = rows([first])
    for i in range(1, 2 * SHEET_ROWS // (FEW * 8 * 16)):
        decoder.decode([*burst(i * FEW, FEW)] * 16, at=10.0)
    assert rows([first]) == before


def test_good_samples_are_all_read_by_the_compiled_pass(compiled):
    watched = Watched(compiled)
    decoder = FlowDecoder("192.0.2.1")
    decoder.read_sflow_by(watched)
    result = decoder.decode(list(burst(0, FEW)), at=10.0)
    # What was read before may have left too little room for all in one pass.
    assert (set(watched.ends) - {End.FULL}, result.records) == ({End.ALL}, FEW * 8)


def test_rows_that_nobody_has_any_more_are_written_over():
    one_pass = CompiledPass()
    decoder = FlowDecoder("192.0.2.1")
    decoder.read_sflow_by(one_pass)
    first = id(one_pass._sheets[0])  # to have it would be to have its rows
    kept = [decoder.decode(list(burst(0, FEW)), at=10.0)]
    before = rows(kept)
    for i in range(1, 4):
        decoder.decode([*burst(i * FEW, FEW)] * 16, at=10.0)
    assert rows(kept) == before  # beside those
    kept.clear()
    for _ in range(2 * SHEET_ROWS // (FEW * 8 * 16)):
        decoder.decode([*burst(4 * FEW, FEW)] * 16, at=10.0)
        assert one_pass._filled["rows"][0] == FEW * 8 * 16
    assert id(one_pass._sheets[0]) == first
