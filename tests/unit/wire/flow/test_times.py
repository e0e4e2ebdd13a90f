"""When flows began and ended, out of sysUpTime and what it is counted from."""

from __future__ import annotations

import math

import pytest

from tests.fakes.netflow import flow_set, ipfix, netflow5, netflow9, options_template10, record, record5, template

SRC, DST = 0xC0000201, 0xC6336405
ROUND = 2**32  # milliseconds


def test_sysuptime_is_counted_from_the_boot_that_the_header_tells(decoder):
    fields = ((8, 4), (12, 4), (22, 4), (21, 4))
    message = netflow9(
        flow_set(0, template(300, fields)),
        flow_set(300, record(fields, SRC, DST, 590_000, 595_000)),
        seconds=1_700_000_600,
        uptime=600_000,
    )
    [batch] = decoder.decode([message], at=0).batches
    assert (batch.start.tolist(), batch.end.tolist()) == ([1_700_000_590.0], [1_700_000_595.0])


def test_a_reboot_among_datagrams_that_came_together_keeps_their_times_apart(decoder):
    fields = ((8, 4), (12, 4), (22, 4))
    rows = flow_set(300, record(fields, SRC, DST, 1000))
    decoder.decode([netflow9(flow_set(0, template(300, fields)))], at=0)
    old = netflow9(rows, seconds=1_700_000_600, uptime=600_000)
    new = netflow9(rows, seconds=1_700_000_700, uptime=2_000)
    starts = [s for b in decoder.decode([old, new], at=0).batches for s in b.start.tolist()]
    assert starts == [1_700_000_001.0, 1_700_000_699.0]


def test_without_a_boot_time_sysuptime_tells_nothing(decoder):
    fields = ((8, 4), (12, 4), (22, 4))
    message = ipfix(flow_set(2, template(300, fields)), flow_set(300, record(fields, SRC, DST, 5)))
    assert math.isnan(decoder.decode([message], at=0).batches[0].start[0])


@pytest.mark.parametrize(("start", "before"), [(ROUND - 9_000, 10.0), (400, 0.6), (0, 1.0)])
def test_a_flow_that_began_before_sysuptime_began_anew_is_none_of_the_future(decoder, start, before):
    fields = ((8, 4), (12, 4), (22, 4))
    sets = flow_set(0, template(300, fields)), flow_set(300, record(fields, SRC, DST, start))
    [batch] = decoder.decode([netflow9(*sets, seconds=1_700_000_000, uptime=1_000)], at=0).batches
    assert batch.start[0] == pytest.approx(1_700_000_000 - before, abs=1e-5)


def test_netflow_v5_takes_the_boot_time_from_its_header_too(decoder):
    """record5 has flows that end at 595,000 ms; the header of this one says 600,000 ms."""
    [batch] = decoder.decode([netflow5(record5(src=1, dst=2))], at=0).batches
    assert batch.end.tolist() == [1_700_000_000 - 5.0]


@pytest.mark.parametrize("rounds", [0, 1, 7])
def test_ipfix_counts_sysuptime_from_the_boot_time_in_options_however_often_it_began_anew(decoder, rounds):
    fields, options = ((8, 4), (12, 4), (22, 4)), ((149, 4), (160, 8))
    boot = 1_700_000_000_000 - rounds * ROUND - 700_000
    message = ipfix(
        flow_set(3, options_template10(400, options[:1], options[1:])),
        flow_set(2, template(300, fields)),
        flow_set(400, record(options, 1, boot)),
        flow_set(300, record(fields, SRC, DST, 640_000)),
    )
    [batch] = decoder.decode([message], at=0).batches
    assert batch.start[0] == pytest.approx(1_700_000_000 - 60, abs=1e-3)


def test_a_boot_time_in_the_record_itself_counts(decoder):
    fields = ((22, 4), (8, 4), (12, 4), (160, 8))
    message = ipfix(
        flow_set(2, template(300, fields)), flow_set(300, record(fields, 5_000, SRC, DST, 1_699_999_990_000))
    )
    [batch] = decoder.decode([message], at=0).batches
    assert batch.start.tolist() == [1_699_999_995.0]
