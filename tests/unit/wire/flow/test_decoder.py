from __future__ import annotations

import math

import pytest

from teagent.errors import BadLength, BadVersion, Truncated
from teagent.wire.flow.burst import BurstReader
from teagent.wire.flow.decoder import FlowDecoder
from teagent.wire.flow.exporter_state import ExporterState
from teagent.wire.flow.limits import Limits
from teagent.wire.flow.message import ipfix as ipfix_message
from teagent.wire.flow.message import read_sets
from tests.fakes.netflow import (
    flow_set,
    ipfix,
    netflow5,
    netflow9,
    options_template9,
    options_template10,
    record,
    record5,
    template,
)

FIELDS = ((8, 4), (12, 4), (10, 4), (14, 4), (1, 4), (2, 4))
VARIABLE = 0xFFFF
SRC, DST = 0xC0000201, 0xC6336405


def data(octets: int, number: int = 300, fields=FIELDS, *, pad: int = 0) -> bytes:
    return flow_set(number, record(fields, SRC, DST, 7, 8, octets, 1), pad=pad)


def octets(result) -> list[int]:
    return sorted(value for b in result.batches for value in b.octets.tolist())


def decode(decoder: FlowDecoder, *datagrams: bytes, at: float = 0.0):
    return decoder.decode(datagrams, at=at)


def test_several_sets_and_several_messages_of_a_template_are_decoded_together(decoder, wrap):
    first = wrap(flow_set(0, template(300, FIELDS)), data(10), data(11, pad=2))
    result = decode(decoder, first, wrap(data(12), data(13)))
    assert len(result.batches) == 1
    assert octets(result) == [10, 11, 12, 13]
    assert result.batches[0].in_if.tolist() == [7] * 4
    assert result.undecoded == {}


def test_data_before_its_template_is_held_back_and_comes_with_it(decoder, wrap):
    assert decode(decoder, wrap(data(10)), wrap(data(11))).records == 0
    assert decoder.awaiting_template == 2
    assert octets(decode(decoder, wrap(flow_set(0, template(300, FIELDS)), data(12)))) == [10, 11, 12]
    assert decoder.awaiting_template == 0


def test_data_held_back_too_long_is_given_up_and_counted(decoder, wrap):
    decode(decoder, wrap(data(10)), at=100.0)
    assert decode(decoder, wrap(data(11)), at=161.0).undecoded == {"no_template": 1}
    assert octets(decode(decoder, wrap(flow_set(0, template(300, FIELDS))), at=162.0)) == [11]


def test_held_data_is_bounded_in_number_and_octets(wrap):
    decoder = FlowDecoder("192.0.2.1", limits=Limits(max_pending_sets=3))
    assert decode(decoder, *(wrap(data(i)) for i in range(10))).undecoded == {"no_template": 7}
    assert octets(decode(decoder, wrap(flow_set(0, template(300, FIELDS))))) == [7, 8, 9]
    decoder = FlowDecoder("192.0.2.1", limits=Limits(max_pending_octets=50))
    assert decode(decoder, *(wrap(data(i)) for i in range(10))).undecoded == {"no_template": 8}
    assert decode(decoder, wrap(flow_set(300, bytes(60)))).undecoded == {"no_template": 1}


def test_a_changed_template_holds_from_where_it_stands(decoder, wrap):
    wider = ((8, 4), (12, 4), (10, 2), (14, 2), (1, 8), (2, 8))
    result = decode(
        decoder,
        wrap(flow_set(0, template(300, FIELDS)), data(10)),
        wrap(flow_set(0, template(300, wider)), data(2**40, fields=wider)),
    )
    assert octets(result) == [10, 2**40]
    assert decoder.templates == 1


def test_a_template_set_that_was_read_before_defines_again_what_was_changed_or_withdrawn(decoder):
    told, other = flow_set(2, template(300, FIELDS)), flow_set(2, template(300, FIELDS[::-1]))
    withdrawn = flow_set(2, (300).to_bytes(2, "big") + bytes(2))
    assert octets(decode(decoder, ipfix(told, data(7)))) == [7]
    assert octets(decode(decoder, ipfix(other, told, data(8)))) == [8]
    assert octets(decode(decoder, ipfix(withdrawn, told, data(9)))) == [9]


def test_what_is_not_whole_has_all_that_the_matrix_asks_for(decoder, wrap):
    """Many at once, so that the columns are picked out of the datagrams."""
    fields = ((8, 4), (12, 4), (10, 4), (14, 4), (7, 2), (1, 8), (2, 8), (16, 4), (61, 1))
    values = [(i, i + 1, i % 5, i % 7, 443, i << 33, i * 3, i % 11, i % 2) for i in range(3_000)]
    bodies = [b"".join(record(fields, *row) for row in values[at : at + 10]) for at in range(0, len(values), 10)]
    decode(decoder, wrap(flow_set(0, template(300, fields))))
    decoder.feed([wrap(flow_set(300, body)) for body in bodies], at=0.0)
    (found,) = decoder.take(whole=False).batches
    columns = (found.src, found.dst, found.in_if, found.out_if, found.octets, found.packets, found.src_asn)
    assert [*zip(*(column.tolist() for column in (*columns, found.direction)), strict=True)] == [
        row[:4] + row[5:] for row in values
    ]
    assert set(found.src_port.tolist()) == {0}


def test_domains_of_an_exporter_have_their_own_templates(decoder):
    other = ((12, 4), (8, 4), (10, 4), (14, 4), (1, 4), (2, 4))
    decode(decoder, netflow9(flow_set(0, template(300, FIELDS)), source=1))
    decode(decoder, netflow9(flow_set(0, template(300, other)), source=2))
    one, two = (decode(decoder, netflow9(data(1), source=n)).batches[0] for n in (1, 2))
    assert (one.dst.tolist(), two.dst.tolist()) == ([DST], [SRC])


def test_templates_past_the_limit_displace_the_one_refreshed_longest_ago(wrap):
    decoder = FlowDecoder("192.0.2.1", limits=Limits(max_templates=2))
    for number in (300, 301, 300, 302):
        decode(decoder, wrap(flow_set(0, template(number, FIELDS))))
    assert decoder.templates == 2
    assert decode(decoder, wrap(data(1, 300)), wrap(data(2, 302))).records == 2
    assert decode(decoder, wrap(data(3, 301))).records == 0


def test_a_flood_of_templates_in_one_datagram_is_cut_off(wrap):
    decoder = FlowDecoder("192.0.2.1", limits=Limits(max_new_templates=5))
    flood = b"".join(template(256 + i, FIELDS) for i in range(10))
    assert decode(decoder, wrap(flow_set(0, flood))).undecoded == {"limit_exceeded": 1}
    assert decoder.templates == 5


def test_a_flood_of_domains_keeps_those_in_use():
    decoder = FlowDecoder("192.0.2.1", limits=Limits(max_domains=3))
    decode(decoder, netflow9(flow_set(0, template(300, FIELDS)), source=1))
    for source in range(2, 20):
        decode(decoder, netflow9(flow_set(0, template(300, FIELDS)), source=source))
        assert decode(decoder, netflow9(data(1), source=1)).records == 1
    assert decoder.templates == 3


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ([(8, 4)] * 513, "limit_exceeded"),
        ([(8, 0), (12, 0)], "limit_exceeded"),
        ([(8, 60_000), (12, 60_000)], "limit_exceeded"),
    ],
    ids=["too many fields", "records of no octets", "records longer than a datagram"],
)
def test_a_template_that_no_record_can_follow_is_refused(decoder, wrap, fields, reason):
    assert decode(decoder, wrap(flow_set(0, template(300, fields)))).undecoded == {reason: 1}
    assert decoder.templates == 0


def test_a_template_cut_short_or_with_a_reserved_id_is_counted(decoder, wrap):
    assert decode(decoder, wrap(flow_set(0, template(300, FIELDS)[:-4]))).undecoded == {"truncated": 1}
    assert decode(decoder, wrap(flow_set(0, template(99, FIELDS)))).undecoded == {"bad_length": 1}


def test_reduced_size_odd_and_zero_lengths_are_read(decoder, wrap):
    fields = ((8, 4), (12, 4), (10, 3), (14, 0), (1, 5), (2, 7), (16, 1), (152, 8))
    body = record(fields, SRC, DST, 0x010203, b"", 0x0102030405, 2**50, 200, 1_700_000_000_123)
    result = decode(decoder, wrap(flow_set(0, template(300, fields)), flow_set(300, body * 2)))
    [batch] = result.batches
    assert batch.in_if.tolist() == [0x010203] * 2
    assert batch.out_if.tolist() == [0, 0]
    assert (batch.octets.tolist()[0], batch.packets.tolist()[0]) == (0x0102030405, 2**50)
    assert batch.src_asn.tolist() == [200, 200]
    assert batch.start.tolist() == pytest.approx([1_700_000_000.123] * 2, abs=1e-6)


def test_one_template_for_both_families_gives_a_batch_of_each(decoder, wrap):
    fields = ((8, 4), (12, 4), (27, 16), (28, 16), (1, 4))
    six = bytes.fromhex("20010db8000100000000000000000005")
    rows = record(fields, SRC, DST, bytes(16), bytes(16), 10) + record(fields, 0, 0, six, six, 20)
    result = decode(decoder, wrap(flow_set(0, template(300, fields)), flow_set(300, rows)))
    four, sixth = result.batches
    assert (four.family, four.dst.tolist(), four.octets.tolist()) == (4, [DST], [10])
    assert (sixth.family, sixth.octets.tolist()) == (6, [20])
    assert sixth.dst.tolist() == [[0x20010DB800010000, 5]]


def test_records_without_addresses_are_counted_not_guessed(decoder, wrap):
    fields = ((10, 4), (1, 4))
    result = decode(decoder, wrap(flow_set(0, template(300, fields)), flow_set(300, record(fields, 7, 100))))
    assert (result.records, result.undecoded) == (0, {"no_addresses": 1})


def test_the_physical_port_stands_in_for_a_missing_interface_and_beside_a_logical_one(decoder, wrap):
    alone, both = ((8, 4), (12, 4), (252, 4), (253, 4)), ((8, 4), (12, 4), (10, 4), (252, 4))
    first = decode(decoder, wrap(flow_set(0, template(300, alone)), flow_set(300, record(alone, SRC, DST, 5, 6))))
    assert (first.batches[0].in_if.tolist(), first.batches[0].out_if.tolist()) == ([5], [6])
    assert first.batches[0].in_physical_if is None
    second = decode(decoder, wrap(flow_set(0, template(301, both)), flow_set(301, record(both, SRC, DST, 500, 5))))
    assert second.batches[0].in_if.tolist() == [500]
    assert second.batches[0].in_physical_if.tolist() == [5]


def test_variable_length_and_enterprise_fields_are_walked_over(decoder):
    fields = ((8, 4), (5951 << 16 | 1, VARIABLE), (12, 4), (371, VARIABLE), (1, 4))
    rows = record(fields, SRC, b"", DST, b"x" * 300, 10) + record(fields, SRC, b"ab", DST, b"y" * 254, 20)
    message = ipfix(flow_set(2, template(300, fields)), flow_set(300, rows))
    assert octets(decode(decoder, message)) == [10, 20]
    [records] = FlowDecoder("192.0.2.1").read(message, at=0)
    assert records.decode().variable == {1: [b"", b"ab"], 3: [b"x" * 300, b"y" * 254]}
    assert [f.enterprise for f in records.layout.template.fields] == [0, 5951, 0, 0, 0]


def test_an_enterprise_element_is_not_taken_for_ianas_of_that_number(decoder):
    fields = ((8, 4), (12, 4), (9 << 16 | 1, 4), (1, 4))
    message = ipfix(flow_set(2, template(300, fields)), flow_set(300, record(fields, SRC, DST, 99, 10)))
    assert octets(decode(decoder, message)) == [10]


def test_a_variable_length_that_leaves_the_set_ends_it_and_keeps_what_was_before(decoder):
    fields = ((8, 4), (12, 4), (1, 4), (371, VARIABLE))
    rows = record(fields, SRC, DST, 10, b"ok") + record(fields, SRC, DST, 20, b"gone")[:-2]
    result = decode(decoder, ipfix(flow_set(2, template(300, fields)), flow_set(300, rows)))
    assert (octets(result), result.undecoded) == ([10], {"truncated": 1})


def test_a_record_that_leaves_its_set_is_counted_when_its_template_comes_later(decoder):
    fields = ((12, 4), (1, 4), (82, 0xFFFF))
    rows = record(fields, 0xC6336407, 10, b"abc") + record(fields, 0xC6336407, 20, b"")[:-1] + b"\x40"
    decode(decoder, ipfix(flow_set(300, rows)))
    result = decode(decoder, ipfix(flow_set(2, template(300, fields))))
    assert (octets(result), result.undecoded) == ([10], {"truncated": 1})


def test_ipfix_templates_can_be_withdrawn_one_by_one_and_all_at_once(decoder):
    decode(decoder, ipfix(flow_set(2, template(300, FIELDS) + template(301, FIELDS) + template(302, FIELDS))))
    decode(decoder, ipfix(flow_set(2, b"\x01\x2c\x00\x00")))
    assert decoder.templates == 2
    decode(decoder, ipfix(flow_set(2, b"\x00\x02\x00\x00")))
    assert decoder.templates == 0


def test_zeros_after_the_last_set_are_padding_and_anything_else_is_not(decoder, wrap):
    message = wrap(flow_set(0, template(300, FIELDS)), data(10), bytes(12))
    assert decode(decoder, message).undecoded == {}
    assert decode(decoder, wrap(data(10), b"\x01\x2c\x00\x02rest")).undecoded == {"bad_length": 1}
    assert decode(decoder, wrap(data(10), b"\x01\x2c\x01\x00rest")).undecoded == {"truncated": 1}


def test_several_messages_in_one_datagram_are_all_read(decoder):
    first = ipfix(flow_set(2, template(300, FIELDS)), data(10))
    assert octets(decode(decoder, first + ipfix(data(11)) + bytes(5))) == [10, 11]
    assert octets(decode(decoder, netflow5(record5(src=SRC, dst=DST, octets=12)) * 2)) == [12, 12]


def test_netflow5_takes_the_sampling_interval_whatever_the_mode_bits_say(decoder):
    plain = record5(src=SRC, dst=DST, octets=100, in_if=3, asn=64500)
    for sampling, rate in ((0, 1.0), (1000, 1000.0), (0x4000 | 512, 512.0), (0xC000, 1.0)):
        [batch] = decode(decoder, netflow5(plain, sampling=sampling)).batches
        assert batch.sampling_rate.tolist() == [rate]
    assert (batch.in_if.tolist(), batch.src_asn.tolist(), batch.end.tolist()) == ([3], [64500], [1_699_999_995.0])


def test_a_change_of_sampling_among_datagrams_that_came_together_holds_for_each_its_own(decoder):
    plain = record5(src=SRC, dst=DST)
    result = decode(decoder, netflow5(plain, sampling=10), netflow5(plain, sampling=20, sequence=1))
    assert [b.sampling_rate.tolist() for b in result.batches] == [[10.0], [20.0]]


@pytest.mark.parametrize(
    ("datagram", "error", "message"),
    [
        (b"", Truncated, "0 octets are no flow datagram"),
        (b"\x00\x05\x00\x01", Truncated, "netflow v5 header takes 24 octets, 4 are there"),
        (netflow5(record5(src=1, dst=2), count=3), BadLength, "netflow v5 header promises 3 records, 1 are there"),
        (b"\x00\x09", Truncated, "netflow v9 header takes 20 octets, 2 are there"),
        (b"\x00\x0a" + bytes(14), BadLength, "ipfix message states a length of 0, the header alone takes 16"),
        (ipfix(data(1))[:-4], Truncated, "ipfix message states a length of 44, 40 are there"),
        (b"\x00\x01" + bytes(30), BadVersion, "version 1 is not NetFlow v5, v9, IPFIX or sFlow"),
    ],
)
def test_what_cannot_be_read_at_all_says_why(decoder, datagram, error, message):
    with pytest.raises(error) as caught:
        decoder.read(datagram, at=0)
    assert caught.value.message == message
    assert sum(decode(decoder, datagram).undecoded.values()) == 1


def options_sampler(wrap_options, number: int, sampler: int, rate: int) -> tuple[bytes, bytes]:
    fields = ((48, 1), (50, 4))
    return wrap_options(number, ((1, 4),), fields), flow_set(number, record(((1, 4), *fields), 0, sampler, rate))


SAMPLED = ((8, 4), (12, 4), (10, 4), (1, 4), (48, 1))


def sampled_rates(decoder, *datagrams) -> list[float]:
    return [rate for b in decode(decoder, *datagrams).batches for rate in b.sampling_rate.tolist()]


def sampled_data(*samplers: int) -> bytes:
    return flow_set(300, b"".join(record(SAMPLED, SRC, DST, 7, 100, sampler) for sampler in samplers))


def test_each_record_takes_the_rate_of_the_sampler_that_it_names(decoder):
    one, first = options_sampler(options_template9, 400, 1, 100)
    _, second = options_sampler(options_template9, 400, 2, 200)
    decode(decoder, netflow9(flow_set(1, one), first, second, flow_set(0, template(300, SAMPLED))))
    rates = sampled_rates(decoder, netflow9(sampled_data(1, 2, 1, 3)))
    assert rates[:3] == [100.0, 200.0, 100.0]
    assert math.isnan(rates[3])


def test_a_sampler_that_all_others_agree_with_stands_for_an_unnamed_one(decoder):
    one, first = options_sampler(options_template9, 400, 1, 100)
    decode(decoder, netflow9(flow_set(1, one), first, flow_set(0, template(300, FIELDS))))
    assert sampled_rates(decoder, netflow9(data(10))) == [100.0]


def test_a_changed_rate_holds_from_then_on(decoder):
    one, first = options_sampler(options_template9, 400, 1, 100)
    _, then = options_sampler(options_template9, 400, 1, 1000)
    decode(decoder, netflow9(flow_set(1, one), first, flow_set(0, template(300, SAMPLED))))
    assert sampled_rates(decoder, netflow9(sampled_data(1))) == [100.0]
    assert sampled_rates(decoder, netflow9(then), netflow9(sampled_data(1))) == [1000.0]


def test_rates_that_were_told_before_hold_again_after_others(decoder):
    told = [options_sampler(options_template9, 400, 1, rate) for rate in (1000, 50)]
    for templates, rates in (told[0], told[0], told[1], told[0]):
        decode(decoder, netflow9(flow_set(1, templates), rates, flow_set(0, template(300, SAMPLED))))
    assert sampled_rates(decoder, netflow9(sampled_data(1))) == [1000.0]


def test_sampling_that_nobody_told_is_unknown_and_an_override_is_believed(wrap):
    message = wrap(flow_set(0, template(300, FIELDS)), data(10))
    decoder = FlowDecoder("192.0.2.1")
    assert math.isnan(sampled_rates(decoder, message)[0])
    assert decoder.sampling_rate is None
    assert sampled_rates(FlowDecoder("192.0.2.1", sampling_rate=500), message) == [500.0]


@pytest.mark.parametrize(
    ("fields", "values", "rate"),
    [
        (((34, 4), (35, 1)), (1000, 1), 1000.0),
        (((305, 4), (306, 4)), (1, 9), 10.0),
        (((305, 4), (306, 4)), (2, 8), 5.0),
        (((305, 4), (304, 2), (309, 4), (310, 4)), (1, 3, 1, 256), 256.0),
        (((311, 8),), (0x3F847AE147AE147B,), 100.0),
        (((311, 4),), (0x7FA00000,), None),
        (((311, 8),), (1,), None),
        (((309, 4), (310, 8)), (1, 2**33), None),
        (((34, 4),), (0,), None),
        (((305, 4), (306, 4)), (0, 9), None),
        (((305, 4),), (1000,), None),
    ],
)
def test_ipfix_options_tell_the_rate_in_several_ways(decoder, fields, values, rate):
    scope = ((149, 4),)
    options = flow_set(3, options_template10(400, scope, fields))
    told = flow_set(400, record((*scope, *fields), 1, *values))
    [found] = sampled_rates(decoder, ipfix(options, told, flow_set(2, template(300, FIELDS)), data(10)))
    assert math.isnan(found) if rate is None else found == pytest.approx(rate)


def test_selector_ids_in_scope_are_sampler_ids(decoder):
    fields = ((8, 4), (12, 4), (1, 4), (302, 4))
    options = flow_set(3, options_template10(400, ((302, 4),), ((309, 4), (310, 4))))
    told = flow_set(400, record(((302, 4), (309, 4), (310, 4)), 70_000, 1, 64) + record(fields[:3], 5, 1, 32))
    flows = flow_set(300, record(fields, SRC, DST, 1, 5) + record(fields, SRC, DST, 1, 70_000))
    assert sampled_rates(decoder, ipfix(options, told, flow_set(2, template(300, fields)), flows)) == [32.0, 64.0]


def test_rates_told_by_interface_hold_for_the_input_interface(decoder):
    options = flow_set(1, options_template9(400, ((2, 4),), ((34, 4),)))
    told = flow_set(400, record(((2, 4), (34, 4)), 7, 50))
    result = sampled_rates(decoder, netflow9(options, told, flow_set(0, template(300, FIELDS)), data(10)))
    assert result == [50.0]
    other = flow_set(300, record(FIELDS, SRC, DST, 9, 8, 10, 1))
    assert math.isnan(sampled_rates(decoder, netflow9(other))[0])


@pytest.mark.parametrize("length", [1, 2, 3, 4, 8])
def test_an_interface_that_is_told_a_rate_may_be_of_any_width(decoder, length):
    scope, fields = (10, length), ((8, 4), (12, 4), (10, length), (1, 4))
    options = flow_set(3, options_template10(400, (scope,), ((34, 4),)))
    told = flow_set(400, b"".join(record((scope, (34, 4)), number, 1000 + number) for number in range(1, 41)))
    flows = flow_set(300, b"".join(record(fields, SRC, DST, number, 99) for number in range(1, 42)))
    rates = sampled_rates(decoder, ipfix(options, flow_set(2, template(300, fields)), told, flows))
    assert rates[:40] == [1000.0 + number for number in range(1, 41)]
    assert math.isnan(rates[40])


def test_a_record_may_state_its_own_rate(decoder, wrap):
    fields = ((8, 4), (12, 4), (1, 4), (34, 4))
    rows = record(fields, SRC, DST, 1, 10) + record(fields, SRC, DST, 1, 20)
    assert sampled_rates(decoder, wrap(flow_set(0, template(300, fields)), flow_set(300, rows))) == [10.0, 20.0]


def test_samplers_are_bounded():
    decoder = FlowDecoder("192.0.2.1", limits=Limits(max_samplers=4, max_domains=2))
    one, _ = options_sampler(options_template9, 400, 1, 1)
    told = [options_sampler(options_template9, 400, i, 10 + i)[1] for i in range(1, 9)]
    decode(decoder, netflow9(flow_set(1, one), *told, flow_set(0, template(300, SAMPLED))))
    known = [r for r in sampled_rates(decoder, netflow9(sampled_data(*range(1, 9)))) if not math.isnan(r)]
    assert known == [15.0, 16.0, 17.0, 18.0]


def test_the_direction_of_a_flow_is_told_where_the_template_has_it(wrap):
    fields = (*FIELDS, (61, 1))
    body = record(fields, SRC, DST, 7, 8, 100, 1, 1) + record(fields, SRC, DST, 7, 8, 100, 1, 0)
    result = FlowDecoder("192.0.2.1").decode([wrap(flow_set(0, template(300, fields)), flow_set(300, body))], at=0.0)
    assert [batch.direction.tolist() for batch in result.batches] == [[1, 0]]
    result = FlowDecoder("192.0.2.1").decode([wrap(flow_set(0, template(300, FIELDS)), data(100))], at=0.0)
    assert [batch.direction for batch in result.batches] == [None]


def test_it_is_known_when_the_last_template_came(wrap):
    decoder = FlowDecoder("192.0.2.1")
    assert decoder.template_at is None
    decoder.decode([wrap(flow_set(0, template(300, FIELDS)))], at=1000.0)
    decoder.decode([wrap(data(100), sequence=1)], at=2000.0)
    assert decoder.template_at == 1000.0
    decoder.decode([wrap(flow_set(0, template(300, FIELDS)), sequence=2)], at=3000.0)
    assert decoder.template_at == 3000.0


def test_what_is_told_once_more_does_not_part_a_burst():
    """Templates, a sampler and data in one datagram, among others."""
    options = ((302, 1), (309, 4), (310, 4))
    told = ipfix(
        flow_set(2, template(300, FIELDS)),
        flow_set(3, options_template10(301, options[:1], options[1:])),
        flow_set(301, record(options, 1, 1, 100)),
    )
    sent = ipfix(flow_set(300, record(FIELDS, *range(1, len(FIELDS) + 1))))
    state, reader = ExporterState(Limits()), BurstReader()
    for _ in range(2):
        for part in reader.parted(state, [sent, told, sent]):
            if isinstance(part, bytes):
                read_sets(state, ipfix_message(state, part, 0), part, 0.0, [])
    [lanes] = reader.parted(state, [sent, told, sent, told])
    assert sorted(lane.positions.tolist() for lane in lanes) == [[0, 2], [1, 3]]
