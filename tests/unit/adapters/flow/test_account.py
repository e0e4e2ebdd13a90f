"""What is known of an exporter besides its records."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from teagent.adapters.flow.account import (
    COMPILED_AT_ONCE,
    LEAST_AT_ONCE,
    LONGEST_READ_SECONDS,
    READ_AT_ONCE,
    ExporterAccount,
    next_at_once,
)
from teagent.ports import ExporterHealth
from teagent.wire.flow.datagrams import Datagrams
from teagent.wire.flow.limits import Limits
from teagent.wire.flow.sflow_pass import End
from tests.fakes import sflow
from tests.fakes.netflow import flow_set, ipfix, netflow5, netflow9, record, record5, template

AT = 1_700_000_000.0
FIELDS = ((8, 4), (12, 4), (10, 4), (1, 4), (2, 4), (150, 4), (151, 4))


def told(*datagrams: bytes, at: float = AT) -> ExporterHealth:
    account = ExporterAccount(exporter="192.0.2.1", router="edge1", limits=Limits(), sampling_rate=None)
    for datagram in datagrams:
        account.feed([datagram], port=1, at=at)
    account.collect()
    return account.health()


def flow(octets: int, seconds: int, *, end: int = 1_700_000_000) -> bytes:
    return record(FIELDS, 1, 2, 3, octets, 1, end - seconds, end)


def test_the_clock_of_the_header_is_compared_with_ours() -> None:
    assert told(netflow5(record5(src=1, dst=2)), at=AT + 30).clock_skew_seconds == -30
    assert told(bytes(40)).clock_skew_seconds is None


def test_templates_have_their_time_and_version_5_has_none() -> None:
    assert told(netflow9(flow_set(0, template(300, FIELDS)))).last_template_at == datetime.fromtimestamp(AT, UTC)
    assert told(netflow5(record5(src=1, dst=2))).last_template_at is None


def test_what_is_expected_is_what_came_and_what_did_not_in_the_units_of_the_protocol() -> None:
    two = (record5(src=1, dst=2), record5(src=1, dst=3))
    health = told(netflow5(*two, sequence=0), netflow5(*two, sequence=2), netflow5(*two, sequence=14))
    assert (health.lost, health.expected, health.sequence_gaps) == (10, 16, 1)
    health = told(*(netflow9(flow_set(0, template(300, FIELDS)), sequence=n) for n in (0, 1, 5)))
    assert (health.lost, health.expected, health.sequence_gaps) == (3, 6, 1)


@pytest.mark.parametrize("wrap", [netflow9, ipfix])
def test_the_records_show_the_active_timeout_and_times_in_the_future(wrap) -> None:
    templates = flow_set(0 if wrap is netflow9 else 2, template(300, FIELDS))
    body = flow(10_000, 1800) + flow(10, 2) + flow(10, 2, end=1_700_003_600) + flow(10, 2)
    health = told(wrap(templates, flow_set(300, body)))
    assert (health.active_timeout_seconds, health.future_share) == (1800.0, 0.25)


def test_samples_that_were_lost_and_those_that_the_agent_dropped_are_told_apart() -> None:
    frame = sflow.sampled_header(sflow.ethernet(sflow.ipv4("10.0.0.1", "198.51.100.1", sflow.udp(1, 2))))
    samples = [sflow.flow_sample(frame, sequence=n, drops=drops) for n, drops in ((1, 7), (2, 7), (5, 10))]
    health = told(*(sflow.datagram(each, sequence=n) for n, each in enumerate(samples, 1)))
    assert (health.samples, health.samples_lost, health.samples_dropped, health.lost) == (3, 2, 3, 0)


def test_what_takes_long_is_read_in_smaller_parts_and_in_larger_ones_when_it_no_longer_does() -> None:
    at_once, parts = READ_AT_ONCE, []
    for _ in range(5):
        at_once = next_at_once(at_once, at_once, LONGEST_READ_SECONDS * 2)
        parts.append(at_once)
    assert parts == [1024, 512, LEAST_AT_ONCE, LEAST_AT_ONCE, LEAST_AT_ONCE]
    for _ in range(5):
        at_once = next_at_once(at_once, at_once, LONGEST_READ_SECONDS / 10)
    assert at_once == READ_AT_ONCE
    assert next_at_once(512, 512, LONGEST_READ_SECONDS / 2) == 512
    assert next_at_once(512, 3, LONGEST_READ_SECONDS / 10) == 512  # of a few nothing follows


def numbered(sequence: int) -> bytes:
    return netflow5(record5(src=sequence, dst=2), sequence=sequence)


@pytest.mark.parametrize("standing", [False, True])
def test_what_comes_from_ports_in_turns_is_read_port_by_port_and_nothing_is_lost(standing: bool) -> None:
    """Each of them numbers its own, from another number on."""
    account = ExporterAccount(exporter="192.0.2.1", router="edge1", limits=Limits(), sampling_rate=None)
    of_port = {port: [numbered(1000 * port + number) for number in range(20)] for port in (1, 2, 3)}
    in_turns = [(port, datagrams[at]) for at in range(20) for port, datagrams in of_port.items()]
    all_of_them = Datagrams.of([datagram for _, datagram in in_turns])
    for place, (port, datagram) in enumerate(in_turns):
        account.feed(all_of_them[place : place + 1] if standing else [datagram], port=port, at=AT)
    assert account.health().datagrams == 0  # all wait
    account.settle()
    [batch] = account.collect()
    assert batch.src.tolist() == [1000 * port + number for port in of_port for number in range(20)]
    assert (account.health().datagrams, account.health().lost, account.health().undecoded) == (60, 0, {})


def test_as_soon_as_enough_wait_they_are_read_whatever_ports_they_came_from() -> None:
    account = ExporterAccount(exporter="192.0.2.1", router="edge1", limits=Limits(), sampling_rate=None)
    for number in range(READ_AT_ONCE - 1):
        account.feed([numbered(number)], port=number % 7, at=AT)
    assert account.pending == 0
    account.feed([], port=1, at=AT)
    account.feed([numbered(READ_AT_ONCE)], port=8, at=AT)
    assert account.pending == READ_AT_ONCE


class LeavesAll:
    """A pass that leaves all to others."""

    samples = 0

    def read(self, datagrams: Datagrams, first: int, most_agents: int, most_sources: int) -> tuple[End, int]:
        return End.FULL, first

    def taken(self) -> None:
        return None


def test_compiled_sflow_is_read_while_it_is_in_the_cache_and_nothing_else_is_read_that_soon() -> None:
    frame = sflow.sampled_header(sflow.ethernet(sflow.ipv4("10.0.0.1", "198.51.100.1", sflow.udp(1, 2))))
    found = []
    for datagram in (sflow.datagram(sflow.flow_sample(frame)), netflow5(record5(src=1, dst=2))):
        account = ExporterAccount(exporter="192.0.2.1", router="edge1", limits=Limits(), sampling_rate=None)
        account.read_sflow_by(LeavesAll)
        account.feed([datagram] * READ_AT_ONCE, port=1, at=AT)
        account.collect()
        account.feed([datagram] * COMPILED_AT_ONCE, port=1, at=AT)
        found.append(account.pending)
    assert found == [COMPILED_AT_ONCE, 0]
