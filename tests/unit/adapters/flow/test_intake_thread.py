"""One thread reads and decodes in turns; nothing here waits for time, only for the thread."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence

import pytest

from teagent.adapters.flow.intake_thread import (
    AT_ONCE,
    LEAST_PATIENCE_SECONDS,
    MOST_PATIENCE_SECONDS,
    READ_AT_ONCE,
    IntakeThread,
    next_patience,
)
from teagent.adapters.flow.receiver import CHUNK, Arrivals, Buffer, Chunk

PATIENCE_SECONDS = 10
MIB = 1 << 20


class Socket:
    """A Receiver that has so many datagrams, which are numbered."""

    buffer = Buffer(0, 8 * MIB, 0)

    def __init__(self, count: int) -> None:
        self._left = count
        self.read_so_far = 0
        self._ends = os.pipe()
        os.write(self._ends[1], b"!")  # readable

    def fileno(self) -> int:
        return self._ends[0]

    def read(self) -> tuple[int, Chunk]:
        count = min(CHUNK, self._left - self.read_so_far)
        payloads = [b"%d" % (self.read_so_far + i) for i in range(count)]
        self.read_so_far += count
        return count, Chunk(0.0, [Arrivals("192.0.2.1", 4711, payloads)] if count else [])

    def close(self) -> None:
        for end in self._ends:
            os.close(end)


@pytest.fixture
def endless() -> Iterator[Socket]:
    made = Socket(10 * READ_AT_ONCE)
    yield made
    made.close()


@pytest.fixture
def another() -> Iterator[Socket]:
    made = Socket(10 * READ_AT_ONCE)
    yield made
    made.close()


def decoded_all(source: Socket, *, size: int, count: int) -> tuple[list[bytes], list[int]]:
    """(all payloads, how many were read and not decoded yet at each step)"""
    payloads: list[bytes] = []
    waiting: list[int] = []
    done = threading.Event()

    def decode(chunks: Sequence[Chunk]) -> None:
        waiting.append(source.read_so_far - len(payloads))
        payloads.extend(payload for chunk in chunks for found in chunk.arrivals for payload in found.payloads)
        if len(payloads) >= count:
            done.set()

    thread = IntakeThread([source], size=size, decode=decode)
    thread.start()
    try:
        assert done.wait(PATIENCE_SECONDS)
    finally:
        thread.stop()
    return payloads, waiting


def test_datagrams_are_decoded_in_the_order_in_which_they_came_and_none_twice(endless: Socket) -> None:
    payloads, _ = decoded_all(endless, size=100_000, count=10 * READ_AT_ONCE)
    assert payloads == [b"%d" % i for i in range(10 * READ_AT_ONCE)]


def test_no_more_than_its_size_is_taken_off_the_kernel_before_it_is_decoded(endless: Socket) -> None:
    _, waiting = decoded_all(endless, size=5_000, count=10 * READ_AT_ONCE)
    assert AT_ONCE < max(waiting) < 5_000 + CHUNK


def test_a_socket_that_is_always_full_does_not_keep_another_one_waiting(endless: Socket, another: Socket) -> None:
    whole = 10 * READ_AT_ONCE
    steps: list[tuple[int, int]] = []
    done = threading.Event()

    def decode(chunks: Sequence[Chunk]) -> None:
        steps.append((endless.read_so_far, another.read_so_far))
        if steps[-1] == (whole, whole):
            done.set()

    thread = IntakeThread([endless, another], size=READ_AT_ONCE, decode=decode)
    thread.start()
    try:
        assert done.wait(PATIENCE_SECONDS)
    finally:
        thread.stop()
    one, other = next(step for step in steps if whole in step)
    assert min(one, other) > whole / 2


def test_what_is_decoded_in_place_does_not_wait_and_what_is_refused_waits_as_a_copy(endless: Socket) -> None:
    whole = 10 * READ_AT_ONCE
    offered: list[list[bytes]] = []
    order: list[bytes] = []
    done = threading.Event()

    def take(chunk: Chunk) -> None:
        order.extend(payload for found in chunk.arrivals for payload in found.payloads)
        if len(order) == whole:
            done.set()

    def suits(chunk: Chunk) -> bool:
        [found] = chunk.arrivals
        return found.payloads[0] < b"2"  # some are, and some are not

    def in_place(chunk: Chunk) -> bool:
        [found] = chunk.arrivals
        assert isinstance(found.payloads, list)
        offered.append(found.payloads)
        if len(offered) % 3:
            take(chunk)
            found.payloads.clear()  # the socket is read again
            return True
        return False

    def decode(chunks: Sequence[Chunk]) -> None:
        for chunk in chunks:
            take(chunk)
            assert all(found.payloads is not one for found in chunk.arrivals for one in offered)

    thread = IntakeThread([endless], size=100_000, decode=decode, in_place=suits, decode_in_place=in_place)
    thread.start()
    try:
        assert done.wait(PATIENCE_SECONDS)
    finally:
        thread.stop()
    assert order == [b"%d" % i for i in range(whole)]


def test_what_has_been_read_is_decoded_before_it_stops(endless: Socket) -> None:
    payloads, _ = decoded_all(endless, size=5_000, count=1)
    assert len(payloads) == endless.read_so_far


def test_it_waits_longer_while_little_comes_but_not_for_ever() -> None:
    patience, waits = 0.005, []
    for _ in range(6):
        patience = next_patience(patience, Buffer(1000, 8 * MIB, 0))
        waits.append(patience)
    assert waits == [0.01, 0.02, 0.04, MOST_PATIENCE_SECONDS, MOST_PATIENCE_SECONDS, MOST_PATIENCE_SECONDS]


def test_it_waits_for_so_long_as_fills_an_eighth_of_the_buffer() -> None:
    assert next_patience(0.02, Buffer(2 * MIB, 8 * MIB, 0)) == 0.01
    assert next_patience(0.01, Buffer(MIB, 8 * MIB, 0)) == 0.01
    assert next_patience(0.002, Buffer(8 * MIB, 8 * MIB, 9)) == LEAST_PATIENCE_SECONDS


@pytest.mark.parametrize(("size", "most"), [(425_984, 0.00425984), (32 * MIB, MOST_PATIENCE_SECONDS)])
def test_a_burst_out_of_nothing_fits_into_the_buffer(size: int, most: float) -> None:
    assert next_patience(MOST_PATIENCE_SECONDS, Buffer(0, size, 0)) == pytest.approx(most)


def test_where_the_kernel_tells_nothing_it_hardly_waits() -> None:
    assert next_patience(MOST_PATIENCE_SECONDS, Buffer(0, 0, 0)) == LEAST_PATIENCE_SECONDS
