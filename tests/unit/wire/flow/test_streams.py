"""Several exporting processes behind one address: what they share, and when each has its own."""

from __future__ import annotations

import pytest

from teagent.wire.flow.decoder import FlowDecoder
from teagent.wire.flow.limits import Limits
from tests.fakes.netflow import flow_set, record, template
from tests.unit.wire.flow.test_decoder import DST, FIELDS, SRC, data

TURNED = (FIELDS[1], FIELDS[0], *FIELDS[2:4], FIELDS[5], FIELDS[4])


def other_way_round(octets: int) -> bytes:
    """What `data` says, by another template of the same number."""
    return flow_set(300, record(TURNED, DST, SRC, 7, 8, 1, octets))


def said(result) -> set[tuple[int, int, int]]:
    return {(int(b.src[i]), int(b.dst[i]), int(b.octets[i])) for b in result.batches for i in range(len(b))}


@pytest.mark.parametrize("together", [False, True])
def test_two_processes_that_use_one_template_number_for_different_things_are_told_apart(decoder, wrap, together):
    decoder.decode([wrap(flow_set(0, template(300, FIELDS)), data(1))], at=0, stream=1)
    decoder.decode([wrap(flow_set(0, template(300, TURNED)), other_way_round(1))], at=0, stream=2)
    for octets in range(10, 14):
        messages = [wrap(data(octets)), wrap(data(octets + 100))]
        turned = [wrap(other_way_round(octets)), wrap(other_way_round(octets + 100))]
        expected = {(SRC, DST, octets), (SRC, DST, octets + 100)}
        for stream, burst in ((1, messages), (2, turned)):
            for part in [burst] if together else [[one] for one in burst]:
                decoder.feed(part, at=0, stream=stream)
            assert said(decoder.take()) == expected
    assert decoder.templates == 2


def test_the_rest_of_the_datagram_that_parts_them_is_read_by_the_new_template(decoder, wrap):
    decoder.decode([wrap(flow_set(0, template(300, FIELDS)))], at=0, stream=1)
    result = decoder.decode([wrap(flow_set(0, template(300, TURNED)), other_way_round(5))], at=0, stream=2)
    assert said(result) == {(SRC, DST, 5)}


def test_a_process_that_goes_on_from_another_port_keeps_its_templates_and_one_that_changes_them_alone_has_one(
    decoder, wrap
):
    decoder.decode([wrap(flow_set(0, template(300, FIELDS)))], at=0, stream=1)
    assert said(decoder.decode([wrap(data(5))], at=0, stream=2)) == {(SRC, DST, 5)}
    decoder.decode([wrap(flow_set(0, template(300, TURNED)))], at=0, stream=1)
    assert decoder.templates == 1
    assert said(decoder.decode([wrap(other_way_round(6))], at=0, stream=1)) == {(SRC, DST, 6)}


def test_many_ports_that_contradict_each_other_stay_within_the_bounds(wrap):
    decoder = FlowDecoder("192.0.2.1", limits=Limits(max_domains=4, max_templates=6))
    for stream in range(50):
        fields = TURNED if stream % 2 else FIELDS
        decoder.decode([wrap(flow_set(0, template(300, fields) + template(301, fields)))], at=0, stream=stream)
        assert decoder.templates <= 6
        assert len(decoder._state._domains) <= 4
    assert len(decoder._state._apart) <= 4
