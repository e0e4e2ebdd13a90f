"""Records that count both ways of a conversation (RFC 5103, and 232 responderOctets): the way back is a record too."""

from __future__ import annotations

import pytest

from teagent.wire.flow.decoder import FlowDecoder
from tests.fakes.netflow import Fields, flow_set, ipfix, netflow9, options_template10, record, template
from tests.unit.wire.flow.test_golden import Row, rows

BACK = 29305 << 16
KEY: Fields = ((8, 4), (12, 4), (10, 4), (14, 4), (4, 1), (7, 2), (11, 2), (16, 4), (17, 4))
COUNTS: Fields = ((1, 8), (2, 4), (BACK | 1, 8), (BACK | 2, 4))
OURS, THEIRS = 0xC6336407, 0x0A000001
ENDS = (OURS, THEIRS, 3, 7, 6, 50_000, 443, 64500, 64999)
THERE = ("198.51.100.7", "10.0.0.1", 100, 2, 3, 7, 6, 50_000, 443, 64500, 64999)
CAME = ("10.0.0.1", "198.51.100.7", 9000, 8, 7, 3, 6, 443, 50_000, 64999, 64500)


def decoded(fields: Fields, *values: int, **how: bool) -> list[Row]:
    """Without times."""
    decoder = FlowDecoder("192.0.2.1")
    decoder.feed([ipfix(flow_set(2, template(300, fields)), flow_set(300, record(fields, *values)))], at=0)
    return [row[:-2] for row in rows(list(decoder.take(**how).batches))]


def test_what_came_back_is_a_record_from_the_other_end_by_the_other_interface() -> None:
    assert decoded((*KEY, *COUNTS), *ENDS, 100, 2, 9000, 8) == [THERE, CAME]


def test_where_nothing_came_back_there_is_no_such_record() -> None:
    assert decoded((*KEY, *COUNTS), *ENDS, 100, 2, 0, 0) == [THERE]


def test_what_the_matrix_asks_for_has_the_sender_of_what_came_back() -> None:
    _, came = decoded((*KEY, *COUNTS), *ENDS, 100, 2, 9000, 8, whole=False)
    assert (came[0], came[2], came[4], came[9]) == ("10.0.0.1", 9000, 7, 64999)


def test_an_interface_that_is_told_for_the_way_back_comes_first() -> None:
    found = decoded((*KEY, *COUNTS, (BACK | 10, 4)), *ENDS, 100, 2, 9000, 8, 9)
    assert found[1][4:6] == (9, 3)


def test_a_probe_that_knows_one_interface_sees_both_ways_on_it() -> None:
    fields = tuple(f for f in KEY if f[0] != 14)
    found = decoded((*fields, *COUNTS), *(value for value in ENDS if value != 7), 100, 2, 9000, 8)
    assert [row[4] for row in found] == [3, 3]


def test_initiator_and_responder_of_netflow_v9_are_both_ways() -> None:
    fields = (*KEY, (231, 4), (232, 4), (298, 4), (299, 4))
    datagram = netflow9(flow_set(0, template(300, fields)), flow_set(300, record(fields, *ENDS, 100, 9000, 2, 8)))
    found = rows(list(FlowDecoder("192.0.2.1").decode([datagram], at=0).batches))
    assert [row[:-2] for row in found] == [THERE, CAME]


def test_each_family_of_a_template_for_both_has_its_own_way_back() -> None:
    fields = ((8, 4), (12, 4), (27, 16), (28, 16), (1, 4), (BACK | 1, 4))
    body = record(fields, OURS, THEIRS, 0, 0, 100, 9000) + record(fields, 0, 0, 1 << 64, 2 << 64, 50, 600)
    datagram = ipfix(flow_set(2, template(300, fields)), flow_set(300, body))
    found = [row[:3] for row in rows(list(FlowDecoder("192.0.2.1").decode([datagram], at=0).batches))]
    assert found == [
        ("198.51.100.7", "10.0.0.1", 100),
        ("10.0.0.1", "198.51.100.7", 9000),
        ("0:0:0:1::", "0:0:0:2::", 50),
        ("0:0:0:2::", "0:0:0:1::", 600),
    ]


@pytest.mark.parametrize(("there", "came", "layer2"), [(1, 1, False), (352, 352, True)])
def test_octets_of_frames_are_those_of_frames_both_ways(there: int, came: int, layer2: bool) -> None:
    fields = ((8, 4), (12, 4), (there, 4), (BACK | came, 4))
    datagram = ipfix(flow_set(2, template(300, fields)), flow_set(300, record(fields, OURS, THEIRS, 1, 2)))
    assert [b.layer2 for b in FlowDecoder("192.0.2.1").decode([datagram], at=0).batches] == [layer2, layer2]


def test_sampling_holds_for_both_ways() -> None:
    options = (
        flow_set(3, options_template10(400, [(149, 4)], [(34, 4)])),
        flow_set(400, bytes([0, 0, 0, 1, 0, 0, 1, 0])),
    )
    fields = ((8, 4), (12, 4), (1, 4), (BACK | 1, 4))
    flows = flow_set(2, template(300, fields)), flow_set(300, record(fields, OURS, THEIRS, 1, 2))
    found = FlowDecoder("192.0.2.1").decode([ipfix(*options, *flows)], at=0).batches
    assert [b.sampling_rate.tolist() for b in found] == [[256.0], [256.0]]


def test_many_datagrams_read_together_have_their_ways_back_in_order() -> None:
    fields = (*KEY, *COUNTS)
    decoder = FlowDecoder("192.0.2.1")
    decoder.decode([ipfix(flow_set(2, template(300, fields)))], at=0)
    sent = [
        ipfix(flow_set(300, record(fields, *ENDS, 100 + n, 2, 9000 + n if n % 3 else 0, 8)), sequence=n)
        for n in range(20)
    ]
    there, came = decoder.decode(sent, at=0).batches
    assert there.octets.tolist() == [100 + n for n in range(20)]
    assert came.octets.tolist() == [9000 + n for n in range(20) if n % 3]
