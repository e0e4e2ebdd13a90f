from __future__ import annotations

import struct

import pytest

from teagent.model.traffic import FlowBatch
from teagent.wire.flow.decoder import DecodeResult, FlowDecoder
from tests.fakes.netflow import flow_set, ipfix, netflow9, options_template10, record, template
from tests.fakes.sflow import ethernet, ipv4, ipv6, udp

VARIABLE = 0xFFFF
FOUR = ethernet(ipv4("192.0.2.1", "198.51.100.7", udp(1234, 53)))
SIX = ethernet(ipv6("2001:db8::1", "2001:db8:100::7", udp(1234, 53)), vlans=(7,))
DST = 0xC6336407


def decode(fields, *rows: bytes, before: bytes = b"") -> DecodeResult:
    message = ipfix(before, flow_set(2, template(300, fields)), flow_set(300, b"".join(rows)))
    return FlowDecoder("192.0.2.1").decode([message], at=0)


def four(result: DecodeResult) -> FlowBatch:
    [batch] = result.batches
    assert (batch.family, batch.dst.tolist(), batch.dst_port.tolist()) == (4, [DST], [53])
    return batch


def test_a_variable_section_gives_the_packet_and_the_record_the_rest():
    fields = ((10, 4), (14, 4), (61, 1), (312, 2), (315, VARIABLE))
    rows = [record(fields, 582, 9, 0, len(frame) + 4, frame) for frame in (FOUR, SIX, FOUR)]
    result = decode(fields, *rows)
    assert result.undecoded == {}
    first, second = result.batches
    assert (first.family, first.layer2, first.in_if.tolist(), first.out_if.tolist()) == (4, True, [582] * 2, [9] * 2)
    assert (first.octets.tolist(), first.packets.tolist()) == ([66, 66], [1, 1])
    assert (first.protocol.tolist(), first.src_port.tolist()) == ([17, 17], [1234, 1234])
    assert (second.family, second.octets.tolist(), second.src.tolist()) == (6, [90], [[0x20010DB8 << 32, 1]])


@pytest.mark.parametrize("protocol", ["netflow-v9", "ipfix"])
def test_a_fixed_section_is_read_as_well(protocol):
    fields = ((10, 2), (104, 48))
    sets = flow_set(300, record(fields, 7, FOUR[:48]) * 2)
    head = template(300, fields)
    message = netflow9(flow_set(0, head), sets) if protocol == "netflow-v9" else ipfix(flow_set(2, head), sets)
    [batch] = FlowDecoder("192.0.2.1").decode([message], at=0).batches
    assert (batch.dst.tolist(), batch.in_if.tolist(), batch.layer2) == ([DST] * 2, [7] * 2, False)
    assert batch.octets.tolist() == [48] * 2


def test_a_section_of_sixteen_octets_is_octets_and_no_number():
    fields = ((313, 16),)
    result = decode(fields, record(fields, FOUR[14:30]))
    assert (result.records, result.undecoded) == (0, {"truncated": 1})


def test_an_ip_section_begins_with_the_packet():
    fields = ((313, VARIABLE),)
    batch = four(decode(fields, record(fields, FOUR[14:])))
    assert (batch.octets.tolist(), batch.layer2) == ([48], False)
    [six] = decode(fields, record(fields, SIX[18:])).batches
    assert (six.family, six.octets.tolist()) == (6, [68])


@pytest.mark.parametrize(
    ("element", "value", "octets", "layer2"), [(1, 5000, 5000, False), (352, 6000, 6000, True), (312, 70, 70, True)]
)
def test_octets_are_those_counted_before_those_of_the_frame_before_those_of_the_packet(element, value, octets, layer2):
    fields = ((element, 4), (315, VARIABLE))
    batch = four(decode(fields, record(fields, value, FOUR)))
    assert (batch.octets.tolist(), batch.layer2) == ([octets], layer2)


def test_packets_that_a_record_counts_are_not_taken_for_one():
    fields = ((1, 4), (2, 4), (315, VARIABLE))
    assert four(decode(fields, record(fields, 5000, 12, FOUR))).packets.tolist() == [12]


def test_options_tell_the_rate_of_sections_too():
    options = ((302, 4), (305, 4), (306, 4))
    before = flow_set(3, options_template10(400, options[:1], options[1:]))
    before += flow_set(400, record(options, 1, 1, 99))
    fields = ((302, 4), (315, VARIABLE))
    assert four(decode(fields, record(fields, 1, FOUR), before=before)).sampling_rate.tolist() == [100]


def test_addresses_in_the_record_come_before_a_section():
    fields = ((8, 4), (12, 4), (1, 4), (315, VARIABLE))
    [batch] = decode(fields, record(fields, 1, 2, 100, SIX)).batches
    assert (batch.family, batch.dst.tolist()) == (4, [2])


def test_other_frames_and_sections_from_within_a_packet_are_not_ip():
    for element in (408, 409, 102):
        fields = ((element, 2), (315, VARIABLE))
        rows = [record(fields, value, FOUR) for value in (1, 2, 0)]
        result = decode(fields, *rows)
        assert (result.records, result.undecoded) == (1, {"not_ip": 2})


def test_empty_and_cut_sections_are_counted():
    fields = ((315, VARIABLE),)
    rows = [record(fields, frame) for frame in (b"", FOUR[:30], FOUR, ethernet(bytes(40), kind=0x0806))]
    result = decode(fields, *rows)
    assert (result.records, result.undecoded) == (1, {"truncated": 2, "not_ip": 1})


def test_an_enterprise_element_of_that_number_is_no_section():
    fields = ((9 << 16 | 315, VARIABLE), (1, 4))
    result = decode(fields, record(fields, FOUR, 10))
    assert (result.records, result.undecoded) == (0, {"no_addresses": 1})


def test_sections_of_datagrams_that_came_together_are_read_together():
    fields = ((10, 4), (315, VARIABLE))
    first = ipfix(flow_set(2, template(300, fields)), flow_set(300, record(fields, 1, FOUR)))
    second = ipfix(flow_set(300, record(fields, 2, FOUR) + record(fields, 3, FOUR)), sequence=1)
    [batch] = FlowDecoder("192.0.2.1").decode([first, second], at=0).batches
    assert batch.in_if.tolist() == [1, 2, 3]


def test_layer_2_octets_of_plain_records_are_said_to_be_such():
    fields = ((8, 4), (12, 4), (352, 8))
    [batch] = decode(fields, record(fields, 1, DST, 100)).batches
    assert (batch.octets.tolist(), batch.layer2) == ([100], True)
    assert struct.unpack(">I", batch.dst.astype(">u4").tobytes()) == (DST,)
