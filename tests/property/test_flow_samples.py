"""Any bytes in samples, frames and capture files give records or a WireError, within bounds."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from teagent.errors import WireError
from teagent.wire.capture import Frame, frames
from teagent.wire.capture_udp import UdpReader
from teagent.wire.flow.decoder import FlowDecoder
from teagent.wire.flow.offline import OfflineReader
from teagent.wire.flow.raw_header import FrameKind, Headers, parse
from teagent.wire.flow.records import Undecoded
from teagent.wire.flow.sflow_view import view
from tests.fakes.netflow import flow_set, ipfix, record, template
from tests.fakes.sflow import (
    counter_sample,
    datagram,
    ethernet,
    flow_sample,
    gateway,
    if_counters,
    ipv4,
    ipv6,
    sampled_header,
    sampled_ipv4,
    sampled_ipv6,
    udp,
)
from tests.fakes.sflow import record as sflow_record
from tests.property.test_flow_decoder import sound
from tests.unit.wire.test_capture import enhanced, interface, pcap, section

FOUR = ethernet(ipv4("192.0.2.1", "198.51.100.7", udp(1234, 53), options=bytes(8)), vlans=(1, 2))
SIX = ethernet(ipv6("2001:db8::1", "2001:db8:100::7", udp(1, 2), extensions=(0, 60, 44)), labels=(16, 17))
REAL = (
    datagram(flow_sample(sampled_header(FOUR), gateway(64496, (64501, 64502))), counter_sample(if_counters(3))),
    datagram(
        flow_sample(sampled_header(SIX), expanded=True),
        flow_sample(sampled_ipv4("192.0.2.1", "198.51.100.7"), sampled_header(FOUR)),
        flow_sample(sampled_ipv6("2001:db8::1", "2001:db8:100::7"), expanded=True),
        agent="2001:db8::9",
    ),
)
KINDS = st.sampled_from((*FrameKind, 0, 2, 99))
FLIPS = st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), max_size=8)


def mutated(octets: bytes, flips: list[tuple[int, int]], cut: int) -> bytes:
    changed = bytearray(octets)
    for at, value in flips:
        changed[at % len(changed)] = value
    return bytes(changed[:cut])


def shown(octets: bytes) -> None:
    with suppress(WireError):
        found = view(octets)
        assert len(found.samples) <= len(octets)
        assert {reason for reason, _ in found.undecoded} <= set(Undecoded)
    reader = OfflineReader()
    documents = list(reader.read(octets, exporter="192.0.2.1", port=1, at=0))
    assert len(documents) <= len(octets)


@given(st.binary(max_size=300))
def test_any_bytes_after_an_sflow_version_give_records_or_counts(octets):
    for start in (b"\0\0\0\5", datagram()[:24]):
        sound(FlowDecoder("192.0.2.1"), [start + octets])
        shown(start + octets)


RECORDS = st.builds(sflow_record, st.sampled_from((1, 2, 3, 4, 1001, 1002, 1003, 1012, 77)), st.binary(max_size=80))


@given(st.lists(st.tuples(st.lists(RECORDS, max_size=4), st.booleans(), st.integers(0, 5)), max_size=5))
def test_any_records_in_any_samples_give_sound_columns(samples):
    made = [flow_sample(*records, expanded=expanded, count=count) for records, expanded, count in samples]
    sound(FlowDecoder("192.0.2.1"), [datagram(*made)])
    shown(datagram(*made))


@settings(max_examples=200)
@given(st.sampled_from(REAL), FLIPS, st.integers(0, 600))
@example(REAL[0], [], 600)
@example(REAL[1], [], 600)
def test_real_datagrams_with_flipped_octets_and_cut_short_are_survived(octets, flips, cut):
    changed = mutated(octets, flips, cut)
    sound(FlowDecoder("192.0.2.1"), [octets, changed, octets])
    shown(changed)


def rows(found: Headers) -> list[tuple[object, ...]]:
    return [
        (frame, *(np.asarray(column[place]).tolist() for column in (part.begin, *part[3:])))
        for part in (found.ipv4, found.ipv6)
        for place, frame in enumerate(part.frame.tolist())
    ]


FRAMES = st.lists(
    st.tuples(
        KINDS,
        st.one_of(
            st.binary(max_size=80),
            st.builds(mutated, st.sampled_from((FOUR, SIX, FOUR[14:], SIX[22:])), FLIPS, st.integers(0, 130)),
        ),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=300)
@given(FRAMES)
def test_each_frame_is_read_as_if_it_were_alone_and_nothing_beyond_its_end(given_frames):
    octets = [frame for _, frame in given_frames]
    edges = np.cumsum([0, *map(len, octets)])
    kinds = np.array([int(kind) for kind, _ in given_frames])
    together = parse(b"".join(octets), edges[:-1], edges[1:], kinds)
    outcome = [*together.ipv4.frame, *together.ipv6.frame, *together.truncated, *together.not_ip]
    assert sorted(map(int, outcome)) == list(range(len(octets)))
    alone = []
    for i, (kind, frame) in enumerate(given_frames):
        # What stands around a frame must not show in it.
        one = parse(b"\xff" + frame + b"\xff", np.array([1]), np.array([1 + len(frame)]), np.array([int(kind)]))
        alone += [(i, int(str(begin)) - 1 + int(edges[i]), *rest) for _, begin, *rest in rows(one)]
        assert (i in together.truncated) == bool(len(one.truncated))
    assert sorted(rows(together), key=str) == sorted(alone, key=str)


SECTIONS = ((10, 4), (408, 2), (315, 0xFFFF))


@given(st.lists(st.tuples(st.integers(0, 2), st.binary(max_size=120)), min_size=1, max_size=6))
def test_any_section_of_a_frame_gives_sound_columns(sections):
    body = b"".join(record(SECTIONS, 7, kind, octets) for kind, octets in sections)
    message = ipfix(flow_set(2, template(300, SECTIONS)), flow_set(300, body))
    decoder = FlowDecoder("192.0.2.1")
    result = decoder.decode([message], at=0)
    counted = sum(result.undecoded.get(reason, 0) for reason in (Undecoded.TRUNCATED, Undecoded.NOT_IP))
    assert result.records + counted == len(sections)
    sound(decoder, [message])
    shown(message)


CAPTURES = (
    pcap(FOUR, SIX, b"x"),
    pcap(FOUR, order=">", nanoseconds=True, link=113),
    section() + interface() + enhanced(FOUR) + interface(link=101) + enhanced(SIX, number=1),
    section(">") + interface(">") + enhanced(FOUR, ">"),
)


@settings(max_examples=200)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.tuples(st.sampled_from([c[:24] for c in CAPTURES]), st.binary(max_size=200)).map(b"".join),
        st.builds(mutated, st.sampled_from(CAPTURES), FLIPS, st.integers(0, 600)),
    ),
    st.lists(st.integers(0, 600), max_size=5),
)
def test_any_capture_gives_frames_or_a_wire_error_however_it_is_cut(octets, cuts):
    def read(pieces: list[bytes]) -> tuple[list[Frame], str]:
        found: list[Frame] = []
        try:
            found.extend(frames(pieces))
        except WireError as error:
            return found, error.message
        return found, ""

    edges = sorted({0, len(octets), *(cut for cut in cuts if cut < len(octets))})
    found, error = read([octets])
    assert repr(read([octets[a:b] for a, b in pairwise(edges)])) == repr((found, error))
    assert sum(len(frame.octets) for frame in found) <= len(octets)
    udp_found = list(UdpReader().datagrams(found))
    assert len(udp_found) <= len(found)


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.sampled_from((0, 1, 9, 12, 101, 108, 113, 276, 500)), st.binary(max_size=120)), max_size=6)
)
def test_any_frames_give_datagrams_or_counts(octets):
    reader = UdpReader()
    given_frames = [Frame(0.0, link, frame, len(frame)) for link, frame in octets]
    found = list(reader.datagrams(given_frames))
    assert len(found) + sum(reader.skipped.values()) <= len(given_frames)
    for one in found:
        assert len(one.payload) <= 120


@given(st.binary(min_size=1, max_size=400), st.data())
def test_a_datagram_in_any_fragments_in_any_order_is_put_together(payload, data):
    body = udp(50_000, 2055, payload)
    eighths = len(body) // 8
    cuts = data.draw(st.sets(st.integers(1, max(1, eighths)), max_size=6)) if eighths else set()
    edges = [0, *sorted(8 * cut for cut in cuts if 8 * cut < len(body)), len(body)]
    parts = [
        ipv4("192.0.2.1", "192.0.2.2", body[a:b], fragment=a // 8 | (0x2000 if b < len(body) else 0))
        for a, b in pairwise(edges)
    ]
    order = data.draw(st.permutations(parts))
    reader = UdpReader()
    [found] = reader.datagrams(Frame(0.0, 101, part, len(part)) for part in order)
    assert (found.payload, found.port, dict(reader.skipped)) == (payload, 2055, {})
