"""The listener on real sockets of the loopback interface."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from teagent.adapters.flow.listener import Binding, FlowListener
from teagent.errors import TeagentError
from tests.fakes.netflow import flow_set, netflow5, netflow9, record, record5, template

FIELDS = ((8, 4), (12, 4), (10, 4), (1, 4), (2, 4))
PATIENCE_SECONDS = 10


@contextmanager
def running(host: str = "127.0.0.1", **settings) -> Iterator[FlowListener]:
    settings.setdefault("exporters", {host: "edge-1"})
    listener = FlowListener(bindings=[Binding(host=host, port=0)], **settings)
    listener.start()
    try:
        yield listener
    finally:
        listener.stop()


def send(listener: FlowListener, *payloads: bytes, host: str = "127.0.0.1", source: str | None = None) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        if source:
            sender.bind((source, 0))
        for payload in payloads:
            sender.sendto(payload, (host, listener.ports()[0]))


def until(condition) -> None:
    """Waits for another thread, without measuring time: a condition that never holds fails the test."""
    pause = threading.Event()
    for _ in range(PATIENCE_SECONDS * 100):
        if condition():
            return
        pause.wait(0.01)
    pytest.fail("it did not happen")


def heard(listener: FlowListener, records: int) -> None:
    until(lambda: sum(health.records for health in listener.exporters()) >= records)


def test_datagrams_of_a_configured_exporter_become_batches_and_are_accounted_for():
    with running() as listener:
        body = record(FIELDS, 0xC0000201, 0xC6336405, 7, 1500, 3)
        send(listener, netflow9(flow_set(0, template(300, FIELDS)), flow_set(300, body), seconds=1_700_000_000))
        heard(listener, 1)
        [batch] = listener.take()
        assert (batch.exporter, batch.octets.tolist(), batch.in_if.tolist()) == ("127.0.0.1", [1500], [7])
        [health] = listener.exporters()
        assert (health.router, health.protocol, health.datagrams, health.templates) == ("edge-1", "netflow-v9", 1, 1)
        assert health.last_at is not None
        assert health.sampling_rate is None
        assert listener.take() == []


def test_an_ipv6_exporter_is_known_in_whatever_way_its_address_is_written():
    with running("::1", exporters={"0:0:0:0:0:0:0:1": "edge-1"}) as listener:
        send(listener, netflow5(record5(src=1, dst=2)), host="::1")
        heard(listener, 1)
        assert listener.exporters()[0].exporter == "::1"


def test_an_unknown_sender_is_counted_and_nothing_else():
    with running(exporters={"127.0.0.2": "edge-1"}) as listener:
        send(listener, netflow5(record5(src=1, dst=2)))
        until(lambda: listener.dropped()["unknown_exporter"] == 1)
        send(listener, netflow5(record5(src=1, dst=2)), source="127.0.0.2")
        heard(listener, 1)
        assert [health.datagrams for health in listener.exporters()] == [1]


def test_malformed_datagrams_are_counted_by_reason_and_the_rest_goes_on():
    with running() as listener:
        send(listener, b"", b"\x00\x09", b"\x00\x07" + bytes(40), netflow5(record5(src=1, dst=2), count=30))
        send(listener, netflow5(record5(src=1, dst=2)))
        heard(listener, 1)
        until(lambda: listener.exporters()[0].datagrams == 5)
        [health] = listener.exporters()
        assert health.undecoded == {"truncated": 2, "bad_version": 1, "bad_length": 1}


def test_each_exporting_process_of_a_router_has_its_own_sequence():
    with running() as listener:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as two,
        ):
            for i in range(5):
                for sender, first in ((one, 0), (two, 70_000)):
                    payload = netflow5(record5(src=1, dst=2), sequence=first + i + (10 if i == 4 else 0))
                    sender.sendto(payload, ("127.0.0.1", listener.ports()[0]))
        heard(listener, 10)
        assert listener.exporters()[0].lost == 20


def test_records_that_nobody_takes_are_bounded_and_counted():
    with running(most_untaken_records=10) as listener:
        for i in range(10):
            send(listener, netflow5(*[record5(src=1, dst=2)] * 4, sequence=4 * i))
            heard(listener, 4 * (i + 1))
        assert sum(len(batch) for batch in listener.take()) <= 10
        assert listener.dropped()["not_taken"] >= 30


def test_it_says_once_that_many_records_wait_until_they_are_taken():
    with running(many_untaken_records=3) as listener:
        said: list[int] = []
        listener.call_when_many(lambda: said.append(1))
        for total in range(1, 6):
            send(listener, netflow5(record5(src=1, dst=2), sequence=total - 1))
            heard(listener, total)
            assert len(said) == (total >= 3)
        assert sum(map(len, listener.take())) == 5
        send(listener, netflow5(*[record5(src=1, dst=2)] * 3, sequence=5))
        heard(listener, 8)
        assert len(said) == 2


def test_what_the_kernel_dropped_is_counted():
    listener = FlowListener(bindings=[Binding(host="127.0.0.1", port=0)], exporters={"127.0.0.1": "edge-1"})
    [receiver] = listener._receivers
    from teagent.adapters.flow.receiver import opened

    receiver._socket = opened(receiver.binding)  # bound, and nobody reads it
    receiver._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    try:
        send(listener, *[bytes(1400)] * 50)
        assert 0 < listener.dropped()["kernel_buffer_full"] <= 50
    finally:
        receiver.stop()
    assert listener.dropped()["kernel_buffer_full"] > 0


def test_constructing_opens_nothing_and_stopping_is_safe_at_any_time():
    before = threading.active_count()
    listener = FlowListener(bindings=[Binding(host="127.0.0.1", port=0)], exporters={})
    assert threading.active_count() == before
    listener.stop()
    listener.start()
    listener.start()
    listener.stop()
    listener.stop()
    assert threading.active_count() == before


def test_it_can_start_again_and_goes_on_counting():
    listener = FlowListener(bindings=[Binding(host="127.0.0.1", port=0)], exporters={"127.0.0.1": "edge-1"})
    for total in (1, 2):
        listener.start()
        send(listener, netflow5(record5(src=1, dst=2), sequence=total - 1))
        heard(listener, total)
        listener.stop()
    assert sum(len(batch) for batch in listener.take()) == 2


def test_a_port_in_use_is_named_and_nothing_stays_open():
    before = threading.active_count()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        taken = Binding(host="127.0.0.1", port=other.getsockname()[1])
        listener = FlowListener(bindings=[Binding(host="127.0.0.1", port=0), taken], exporters={})
        with pytest.raises(TeagentError, match=rf"cannot listen for flows on {taken}: address already in use"):
            listener.start()
    assert threading.active_count() == before
