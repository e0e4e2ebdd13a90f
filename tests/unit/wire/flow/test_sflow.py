from __future__ import annotations

import math
import struct

import pytest

from teagent.errors import BadVersion, Truncated
from teagent.wire.flow.decoder import DecodeResult, FlowDecoder
from teagent.wire.flow.raw_header import FrameKind
from teagent.wire.flow.sflow import MOST_AGENTS, MOST_SOURCES
from tests.fakes.netflow import netflow5, record5
from tests.fakes.sflow import (
    INTERNAL,
    counter_sample,
    datagram,
    ethernet,
    flow_sample,
    gateway,
    if_counters,
    ipv4,
    ipv6,
    opaque,
    record,
    sampled_header,
    sampled_ipv4,
    sampled_ipv6,
    udp,
)

FRAME = ethernet(ipv4("192.0.2.1", "198.51.100.7", udp(1234, 53)))  # 62 octets, 48 of them IP
SIX = ethernet(ipv6("2001:db8::1", "2001:db8:100::7", udp(1234, 53)))
SRC, DST = 0xC0000201, 0xC6336407


@pytest.fixture
def decoder() -> FlowDecoder:
    return FlowDecoder("192.0.2.1")


def decode(decoder: FlowDecoder, *datagrams: bytes) -> DecodeResult:
    return decoder.decode(datagrams, at=0)


def sample(number: int = 1, **header) -> bytes:
    return flow_sample(sampled_header(FRAME), sequence=number, **header)


@pytest.mark.parametrize("expanded", [False, True])
def test_a_flow_sample_becomes_a_record_of_one_packet(decoder, expanded):
    found = flow_sample(sampled_header(FRAME), rate=512, in_if=(0, 7), out_if=(0, 9), expanded=expanded)
    [batch] = decode(decoder, datagram(found)).batches
    assert (batch.family, batch.layer2, batch.exporter) == (4, True, "192.0.2.1")
    columns = "in_if out_if src dst protocol src_port dst_port octets packets sampling_rate src_asn dst_asn"
    assert [getattr(batch, name).tolist() for name in columns.split()] == [
        [value] for value in (7, 9, SRC, DST, 17, 1234, 53, 66, 1, 512.0, 0, 0)
    ]
    assert math.isnan(batch.start[0])
    assert math.isnan(batch.end[0])
    assert (decoder.protocol, decoder.sampling_rate) == ("sflow-v5", 512.0)


def test_octets_are_those_of_the_frame_before_it_was_cut(decoder):
    [batch] = decode(decoder, datagram(flow_sample(sampled_header(FRAME[:40], length=1518)))).batches
    assert (batch.octets.tolist(), batch.layer2) == ([1518], True)


def test_a_frame_of_no_stated_length_has_that_of_its_packet(decoder):
    [batch] = decode(decoder, datagram(flow_sample(sampled_header(FRAME[:40], length=0)))).batches
    assert (batch.octets.tolist(), batch.layer2) == ([62], True)


@pytest.mark.parametrize(
    ("kind", "frame"),
    [
        (FrameKind.IPV4, FRAME[14:]),
        (FrameKind.MPLS, struct.pack(">I", 16 << 12 | 0x140) + FRAME[14:]),
        (FrameKind.PPP, b"\x00\x21" + FRAME[14:]),
    ],
)
def test_headers_of_other_links_count_the_octets_of_the_packet(decoder, kind, frame):
    [batch] = decode(decoder, datagram(flow_sample(sampled_header(frame, protocol=kind, length=66)))).batches
    assert (batch.octets.tolist(), batch.layer2, batch.dst.tolist()) == ([48], False, [DST])


def test_samples_of_all_sorts_in_datagrams_that_came_together_keep_their_order(decoder):
    first = datagram(
        counter_sample(if_counters(3)),
        flow_sample(sampled_header(FRAME), in_if=(0, 1)),
        flow_sample(sampled_header(SIX), in_if=(0, 2), expanded=True),
        flow_sample(sampled_ipv4("192.0.2.1", "198.51.100.7", length=100), in_if=(0, 3)),
    )
    second = datagram(
        flow_sample(sampled_ipv6("2001:db8::1", "2001:db8:100::7", length=200), in_if=(0, 4), expanded=True),
        flow_sample(sampled_header(FRAME), in_if=(0, 5), sequence=2),
        counter_sample(if_counters(3), expanded=True),
        sequence=2,
    )
    result = decode(decoder, first, second)
    assert result.undecoded == {}
    assert result.records == 5
    assert [(b.family, b.layer2, b.in_if.tolist(), b.octets.tolist()) for b in result.batches] == [
        (4, True, [1, 5], [66, 66]),
        (6, True, [2], [86]),
        (4, False, [3], [100]),
        (6, False, [4], [200]),
    ]
    six = result.batches[3]
    assert (six.src.tolist(), six.dst.tolist()) == ([[0x20010DB8 << 32, 1]], [[0x20010DB80100 << 16, 7]])
    assert (six.protocol.tolist(), six.src_port.tolist(), six.dst_port.tolist()) == ([6], [1000], [443])


def test_the_header_comes_before_what_else_a_sample_says_of_its_packet(decoder):
    other = sampled_ipv4("203.0.113.1", "203.0.113.2")
    for records in ((sampled_header(FRAME), other), (other, sampled_header(FRAME))):
        [batch] = decode(decoder, datagram(flow_sample(*records))).batches
        assert batch.dst.tolist() == [DST]


@pytest.mark.parametrize("expanded", [False, True])
@pytest.mark.parametrize(
    ("interface", "if_index"),
    [
        ((0, 0), 0),
        ((0, 7), 7),
        ((0, 0x3FFFFFFE), 0x3FFFFFFE),
        ((0, INTERNAL), 0),
        ((1, 256), 0),
        ((2, 3), 0),
        ((3, 5), 0),
    ],
)
def test_an_interface_is_an_if_index_or_it_is_unknown(decoder, interface, if_index, expanded):
    found = flow_sample(sampled_header(FRAME), in_if=interface, out_if=interface, expanded=expanded)
    [batch] = decode(decoder, datagram(found)).batches
    assert (batch.in_if.tolist(), batch.out_if.tolist()) == ([if_index], [if_index])


def test_an_expanded_interface_may_have_all_32_bits(decoder):
    found = flow_sample(sampled_header(FRAME), in_if=(0, 0xFFFFFFFE), out_if=(0, 0xFFFFFFFF), expanded=True)
    [batch] = decode(decoder, datagram(found)).batches
    assert (batch.in_if.tolist(), batch.out_if.tolist()) == ([0xFFFFFFFE], [0])


@pytest.mark.parametrize("expanded", [False, True])
def test_a_sample_taken_where_the_packet_left_is_an_egress_record(decoder, expanded):
    def directions(*samples: tuple[int, int, int]) -> list[int] | None:
        found = [
            flow_sample(sampled_header(FRAME), source=source, in_if=(0, a), out_if=(0, b), expanded=expanded)
            for source, a, b in samples
        ]
        [batch] = decode(decoder, datagram(*found)).batches
        return None if batch.direction is None else batch.direction.tolist()

    assert directions((3, 3, 4), (4, 3, 4), (9, 3, 4), (3, 3, 3)) == [0, 1, 0, 0]
    assert directions((3, 3, 4), (0, 3, 0)) is None


def test_the_gateway_record_tells_both_as_numbers(decoder):
    result = decode(
        decoder,
        datagram(
            flow_sample(gateway(64496, (64501, 64502)), sampled_header(FRAME)),
            flow_sample(sampled_header(FRAME), gateway(64497, (), own=64500)),
            flow_sample(sampled_header(FRAME)),
        ),
    )
    [batch] = result.batches
    assert batch.src_asn.tolist() == [64496, 64497, 0]
    assert batch.dst_asn.tolist() == [64502, 64500, 0]


@pytest.mark.parametrize("length", range(0, 44, 4))
def test_a_gateway_record_that_is_cut_loses_nothing_but_itself(decoder, length):
    whole = gateway(64496, (64501, 64502))[8:]
    [batch] = decode(decoder, datagram(flow_sample(sampled_header(FRAME), record(1003, whole[:length])))).batches
    assert batch.src_asn.tolist() == [64496 if length >= 24 else 0]


def test_the_configured_rate_comes_before_the_sample_and_no_rate_is_unknown():
    assert decode(FlowDecoder("192.0.2.1"), datagram(sample(rate=7))).batches[0].sampling_rate.tolist() == [7]
    assert math.isnan(decode(FlowDecoder("192.0.2.1"), datagram(sample(rate=0))).batches[0].sampling_rate[0])
    configured = FlowDecoder("192.0.2.1", sampling_rate=50)
    assert decode(configured, datagram(sample(rate=7))).batches[0].sampling_rate.tolist() == [50]


def test_lost_datagrams_are_counted_by_agent_and_sub_agent(decoder):
    for sequence, sub_agent, agent in ((1, 0, "192.0.2.1"), (900, 1, "192.0.2.1"), (50, 0, "2001:db8::1")):
        assert decode(decoder, datagram(sequence=sequence, sub_agent=sub_agent, agent=agent)).lost == 0
    assert decode(decoder, datagram(sequence=5)).lost == 3
    assert decode(decoder, datagram(sequence=901, sub_agent=1)).lost == 0
    assert decode(decoder, datagram(sequence=61, agent="2001:db8::1")).lost == 10
    assert decode(decoder, datagram(sequence=3)).lost == -1


def test_agents_past_the_limit_are_forgotten_the_least_used_first(decoder):
    decode(decoder, datagram(sequence=1))
    for number in range(MOST_AGENTS + 5):
        decode(decoder, datagram(sub_agent=number + 1))
        decode(decoder, datagram(sequence=number + 2))
    assert len(decoder._sflow._agents) == MOST_AGENTS
    assert decode(decoder, datagram(sequence=MOST_AGENTS + 9)).lost == 2


def test_lost_samples_are_counted_by_data_source(decoder):
    def lost(*samples: bytes) -> int:
        return decode(decoder, datagram(*samples)).samples_lost

    assert lost(sample(10, source=3), sample(70, source=4)) == 0
    assert lost(sample(11, source=3), sample(75, source=4), sample(76, source=4)) == 4
    assert lost(sample(13, source=3, expanded=True)) == 1
    assert lost(sample(72, source=4)) == -1
    assert lost(sample(77, source=4)) == 0
    assert lost(sample(5_000, source=3)) == 4_986
    assert lost(sample(1, source=3), sample(2, source=3)) == 0


def test_data_sources_past_the_limit_are_forgotten(decoder):
    for source in range(MOST_SOURCES + 5):
        decode(decoder, datagram(sample(source=source)))
    [agent] = decoder._sflow._agents.values()
    assert len(agent.sources) == MOST_SOURCES


def test_samples_that_the_agent_dropped_are_counted(decoder):
    assert decode(decoder, datagram(sample(1, drops=1000))).samples_dropped == 0
    assert decode(decoder, datagram(sample(2, drops=1000), sample(3, drops=1005))).samples_dropped == 5
    assert decode(decoder, datagram(sample(4, drops=0))).samples_dropped == 0
    assert decode(decoder, datagram(sample(5, drops=2))).samples_dropped == 2


def test_records_that_are_not_known_are_passed_over(decoder):
    found = flow_sample(record(0xABC123, b"12345"), sampled_header(FRAME), record(1016, bytes(12)))
    result = decode(decoder, datagram(record(77, b"abcde"), found, record(5, bytes(28))))
    assert (result.records, result.undecoded) == (1, {})


def test_a_sample_without_a_packet_is_counted(decoder):
    result = decode(decoder, datagram(flow_sample(gateway(64496, ())), flow_sample(), sample()))
    assert (result.records, result.undecoded) == (1, {"no_addresses": 2})


def test_frames_that_are_not_ip_or_cut_too_short_are_counted(decoder):
    arp = flow_sample(sampled_header(ethernet(bytes(46), kind=0x0806)))
    cut = flow_sample(sampled_header(FRAME[:30]))
    result = decode(decoder, datagram(arp, cut, sample(), arp))
    assert (result.records, result.undecoded) == (1, {"not_ip": 2, "truncated": 1})


def test_a_header_that_claims_more_than_its_record_holds_ends_with_it(decoder):
    body = struct.pack(">4I", 1, 66, 4, 4000) + FRAME[:32]
    result = decode(decoder, datagram(flow_sample(record(1, body)), sample()))
    assert (result.records, result.undecoded) == (1, {"truncated": 1})


def test_a_record_or_sample_that_is_cut_loses_itself_and_keeps_the_others(decoder):
    good = sample()
    for bad in (
        record(1, flow_sample(sampled_header(FRAME))[8:40]),
        record(1, bytes(12)),
        record(3, bytes(40)),
        flow_sample(sampled_header(FRAME), count=2),
        flow_sample(struct.pack(">II", 1003, 9999)),
    ):
        result = decode(decoder, datagram(good, bad, good))
        assert 2 <= result.records <= 3
        assert result.undecoded["truncated"] == 1


def test_a_datagram_that_is_cut_keeps_the_samples_before_the_cut(decoder):
    whole = datagram(sample(1), sample(2), sample(3))
    for length in range(len(whole)):
        result = decode(decoder, whole[:length])
        assert result.records == max(0, length - 28) // len(sample())
        assert sum(result.undecoded.values()) == 1


def test_a_count_of_samples_that_is_too_high_or_too_low_is_survived(decoder):
    result = decode(decoder, datagram(sample(1), count=2**32 - 1))
    assert (result.records, result.undecoded) == (1, {"truncated": 1})
    result = decode(decoder, datagram(sample(1), sample(2), count=1))
    assert (result.records, result.undecoded) == (1, {})


@pytest.mark.parametrize(
    ("octets", "error", "message"),
    [
        (bytes(7), Truncated, "sflow header takes at least 24 octets, 7 are there"),
        (datagram()[:20], Truncated, "sflow header takes 28 octets, 20 are there"),
        (struct.pack(">II", 4, 1) + bytes(40), BadVersion, "sflow version 4 is not 5"),
        (struct.pack(">II", 5, 3) + bytes(40), BadVersion, "sflow agent address type 3 is unknown"),
    ],
)
def test_a_header_that_cannot_be_read_says_why(decoder, octets, error, message):
    with pytest.raises(error) as caught:
        decoder.read(octets, at=0)
    assert caught.value.message == message
    assert sum(decode(decoder, octets).undecoded.values()) == 1


def test_an_agent_may_have_no_address(decoder):
    octets = struct.pack(">6I", 5, 0, 0, 1, 0, 1) + sample()
    assert decode(decoder, octets).records == 1


def test_netflow_and_sflow_of_one_exporter_come_by_one_decoder(decoder):
    result = decode(decoder, netflow5(record5(src=SRC, dst=DST)), datagram(sample()))
    assert [batch.layer2 for batch in result.batches] == [False, True]
    assert result.records == 2


def test_an_opaque_header_is_padded_to_words(decoder):
    for length in range(34, 50):
        assert len(opaque(FRAME[:length])) % 4 == 0
        result = decode(decoder, datagram(flow_sample(sampled_header(FRAME[:length]), gateway(64496, ()))))
        assert (result.records, result.batches[0].src_asn.tolist()) == (1, [64496])
