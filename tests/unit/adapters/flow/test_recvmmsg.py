"""Both ways of reading a socket give the same."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from teagent.adapters.flow import recvmmsg
from teagent.adapters.flow.receiver import OneByOne, reader_of
from teagent.adapters.flow.recvmmsg import SLOT, DatagramReader

HOSTS = {"127.0.0.1": socket.AF_INET, "::1": socket.AF_INET6}


@contextmanager
def sockets(host: str, senders: int) -> Iterator[tuple[socket.socket, list[socket.socket]]]:
    with ExitStack() as opened:
        source, *others = (
            opened.enter_context(socket.socket(HOSTS[host], socket.SOCK_DGRAM)) for _ in range(senders + 1)
        )
        source.bind((host, 0))
        source.settimeout(0)
        for other in others:
            other.connect(source.getsockname())
        yield source, others


@pytest.mark.parametrize("reader", [DatagramReader, OneByOne])
@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("last", [b"c", b"c" * 60_000])
def test_datagrams_come_with_their_sender_those_of_each_in_order(reader, host, last):
    with sockets(host, 2) as (source, (one, two)):
        reading = reader(source, 8)
        assert reading.read() == []
        for sender, payload in ((one, b"a"), (one, b""), (two, b"bb"), (one, last)):
            sender.send(payload)
        ports = one.getsockname()[1], two.getsockname()[1]
        assert [(host, port, list(payloads)) for host, port, payloads in reading.read()] == [
            (host, ports[0], [b"a", b"", last]),
            (host, ports[1], [b"bb"]),
        ]
        assert reading.read() == []


def test_what_is_longer_than_a_slot_comes_whole_and_what_follows_it_too():
    sent = [bytes([i]) * SLOT + b"end" * more for i, more in enumerate((0, 1, 0, 20_000, 1))] + [b"short"]
    with sockets("127.0.0.1", 1) as (source, (sender,)):
        reading = DatagramReader(source, 8)
        for _ in range(2):
            for payload in sent:
                sender.send(payload)
            assert [list(payloads) for _, _, payloads in reading.read()] == [sent]


def test_payloads_stand_where_they_are_until_the_next_ones_are_read():
    with sockets("127.0.0.1", 1) as (source, (sender,)):
        reading = DatagramReader(source, 8)
        sender.send(b"first")
        [(_, _, payloads)] = reading.read()
        assert list(payloads) == [b"first"]
        sender.send(b"other")
        reading.read()
        assert list(payloads) == [b"other"]


@pytest.mark.parametrize("reader", [DatagramReader, OneByOne])
def test_no_more_are_read_at_once_than_was_asked_for_and_none_twice(reader):
    with sockets("127.0.0.1", 1) as (source, (sender,)):
        reading = reader(source, 4)
        for i in range(10):
            sender.send(bytes([i]) * (10 - i))
        found = [[payload for _, _, payloads in reading.read() for payload in payloads] for _ in range(4)]
        assert [len(payloads) for payloads in found] == [4, 4, 2, 0]
        assert [payload for payloads in found for payload in payloads] == [bytes([i]) * (10 - i) for i in range(10)]


def test_where_there_is_no_such_call_datagrams_are_read_one_by_one(monkeypatch):
    with sockets("127.0.0.1", 1) as (source, _):
        assert isinstance(reader_of(source), DatagramReader)
        monkeypatch.setattr(recvmmsg, "_function", lambda: None)
        assert isinstance(reader_of(source), OneByOne)


def test_a_descriptor_that_is_no_socket_is_an_error():
    with sockets("127.0.0.1", 1) as (source, _):
        reading = DatagramReader(source, 4)
        source.close()
        with pytest.raises(OSError, match="Bad file descriptor"):
            reading.read()
