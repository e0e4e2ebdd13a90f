"""The compiled reader of sFlow as the listener gets it: numba in processes of its own, and where it does not work."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import textwrap
import threading
from contextlib import ExitStack

import pytest

from teagent.adapters.flow import compiled
from teagent.adapters.flow.account import LEAST_IN_PLACE, READ_AT_ONCE
from teagent.adapters.flow.compiled import NotCompiled, Outcome, Preparation
from teagent.adapters.flow.listener import FlowListener
from teagent.adapters.flow.receiver import Arrivals, Chunk
from tests.fakes.netflow import netflow5, record5
from tests.fakes.sflow import datagram, ethernet, flow_sample, ipv4, sampled_header, udp
from tests.integration.test_flow_listener import heard, running

WITHIN_SECONDS = 120.0
needs_numba = pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="numba is not installed")
SAMPLE = sampled_header(ethernet(ipv4("192.0.2.1", "198.51.100.7", udp(1, 2))))


class Told:
    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.came = threading.Event()

    def __call__(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self.came.set()


def outcome() -> Outcome:
    told = Told()
    preparation = Preparation(told)
    preparation.begin()
    assert told.came.wait(WITHIN_SECONDS)
    preparation.stop()
    return told.outcomes[0]


def chunk(first: int, datagrams: int) -> Chunk:
    payloads = [
        datagram(flow_sample(SAMPLE, sequence=number), sequence=number) for number in range(first, first + datagrams)
    ]
    return Chunk(10.0, [Arrivals("192.0.2.1", 1, payloads)])


@needs_numba
@pytest.mark.slow
def test_the_listener_reads_much_sflow_by_the_compiled_pass_and_goes_on_meanwhile() -> None:
    told = Told()
    listener = FlowListener(bindings=(), exporters={"192.0.2.1": "edge-1"}, tell=told)
    listener._decode([chunk(0, READ_AT_ONCE)])
    listener._decode([chunk(READ_AT_ONCE, 100)])
    before = sum(map(len, listener.take()))
    assert told.came.wait(WITHIN_SECONDS)
    listener._decode([chunk(READ_AT_ONCE + 100, 100)])
    after = sum(map(len, listener.take()))
    listener.stop()
    [health] = listener.exporters()
    [ready] = told.outcomes
    assert not isinstance(ready, NotCompiled)
    assert listener.count is ready.count
    assert (before, after) == (READ_AT_ONCE + 100, 100)
    assert (health.lost, health.samples_lost, health.undecoded) == (0, 0, {})


def compiled_listener() -> FlowListener:
    """That has heard much already, of which nothing waits."""
    found = compiled.loaded()
    assert not isinstance(found, NotCompiled)
    listener = FlowListener(bindings=(), exporters={"192.0.2.1": "edge-1"}, compile_sflow=False)
    listener.read_sflow_by(found.new_pass)
    listener._decode([chunk(0, READ_AT_ONCE)])
    listener.take()
    return listener


@needs_numba
def test_much_compiled_sflow_is_read_where_it_stands_and_nothing_of_it_is_lost() -> None:
    listener = compiled_listener()
    assert listener._in_place(chunk(READ_AT_ONCE, 500))
    assert listener._decode_in_place(chunk(READ_AT_ONCE, 500))
    listener._decode([chunk(READ_AT_ONCE + 500, 10)])  # waits
    assert listener._decode_in_place(chunk(READ_AT_ONCE + 510, 500))
    assert sum(map(len, listener.take())) == 1010
    [health] = listener.exporters()
    assert (health.datagrams, health.lost, health.samples_lost) == (READ_AT_ONCE + 1010, 0, 0)


@needs_numba
def test_bursts_of_an_exporter_between_those_of_another_are_read_where_they_stand_too() -> None:
    """As long as both have enough of them together; each number is given out once, so nothing seems lost."""
    found = compiled.loaded()
    assert not isinstance(found, NotCompiled)
    others = ["192.0.2.1", "192.0.2.2"]
    listener = FlowListener(bindings=(), exporters=dict.fromkeys(others, "edge-1"), compile_sflow=False)
    listener.read_sflow_by(found.new_pass)
    for exporter in others:
        listener._decode([Chunk(10.0, [Arrivals(exporter, 1, chunk(0, READ_AT_ONCE).arrivals[0].payloads)])])
    listener.take()
    parts = [chunk(READ_AT_ONCE + 16 * i, 16).arrivals[0].payloads for i in range(LEAST_IN_PLACE // 16)]
    in_turns = Chunk(11.0, [Arrivals(exporter, 1, part) for part in parts for exporter in others])
    assert listener._in_place(in_turns)
    assert not listener._in_place(Chunk(11.0, in_turns.arrivals[1:]))
    assert listener._decode_in_place(in_turns)
    for found_parts in parts:
        found_parts.clear()  # the socket is read again
    assert sum(map(len, listener.take())) == 2 * LEAST_IN_PLACE
    assert [(health.datagrams, health.lost) for health in listener.exporters()] == [
        (READ_AT_ONCE + LEAST_IN_PLACE, 0)
    ] * 2


def watched(listener: FlowListener) -> list[bool]:
    """Of each chunk that was offered to be read where it stands, whether it was."""
    outcomes: list[bool] = []
    intake = listener._intake
    original = intake._decode_in_place

    def decode_in_place(chunk: Chunk) -> bool:
        outcomes.append(original(chunk))
        return outcomes[-1]

    intake._decode_in_place = decode_in_place
    return outcomes


@needs_numba
def test_what_exporters_and_their_line_cards_send_in_turns_comes_whole_off_a_socket() -> None:
    """Two exporters, each from two ports as a sub-agent each; every sender and data source numbers its own."""
    found = compiled.loaded()
    assert not isinstance(found, NotCompiled)
    hosts, rounds, each = ("127.0.0.2", "127.0.0.3"), 30, 40
    with ExitStack() as opened, running("0.0.0.0", exporters=dict.fromkeys(hosts, "edge-1")) as listener:
        listener.read_sflow_by(found.new_pass)
        for host in hosts:
            listener._decode([Chunk(10.0, [Arrivals(host, 1, chunk(0, READ_AT_ONCE).arrivals[0].payloads)])])
        in_place = watched(listener)
        senders = [opened.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(4)]
        for number, sender in enumerate(senders):
            sender.bind((hosts[number % 2], 0))
            sender.connect((hosts[number % 2], listener.ports()[0]))
        for done in range(0, rounds * each, each):
            for sequence in range(done, done + each):
                for card, sender in enumerate(senders):
                    sample = flow_sample(SAMPLE, sequence=sequence, source=card + 1)
                    sender.send(datagram(sample, sequence=sequence, sub_agent=card))
            heard(listener, 2 * READ_AT_ONCE + 4 * (done + each))
        taken = sum(map(len, listener.take()))
        told = [(h.datagrams, h.records, h.lost, h.samples_lost, h.undecoded) for h in listener.exporters()]
    assert taken == 2 * READ_AT_ONCE + 4 * rounds * each
    assert told == [(READ_AT_ONCE + 2 * rounds * each, READ_AT_ONCE + 2 * rounds * each, 0, 0, {})] * 2
    assert any(in_place)


@needs_numba
def test_what_could_not_be_read_quickly_where_it_stands_is_left_alone() -> None:
    listener = compiled_listener()
    few = chunk(READ_AT_ONCE, LEAST_IN_PLACE - 1)
    assert not listener._in_place(few)
    with listener._lock:  # another thread takes records
        assert not listener._decode_in_place(chunk(READ_AT_ONCE, 500))
    others = Chunk(10.0, [Arrivals("192.0.2.1", 1, [netflow5(record5(src=1, dst=2))] * 500)])
    assert listener._decode_in_place(others)
    assert not listener._in_place(others)
    assert sum(map(len, listener.take())) == 500


@pytest.mark.slow
def test_little_sflow_is_not_worth_it() -> None:
    code = """
        import sys
        from teagent.adapters.flow.listener import FlowListener
        from teagent.wire.flow.decoder import FlowDecoder
        from teagent.cli import main
        import teagent.daemon.app
        from tests.integration.test_flow_compiled import SAMPLE, datagram, flow_sample
        FlowDecoder("192.0.2.1").decode([datagram(flow_sample(SAMPLE))] * 300, at=1.0)
        listener = FlowListener(bindings=(), exporters={"192.0.2.1": "edge"})
        listener._accounts["192.0.2.1"].feed([datagram(flow_sample(SAMPLE))] * 300, port=1, at=1.0)
        assert not listener._accounts["192.0.2.1"].much_sflow
        sys.exit("numba" in sys.modules)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False, timeout=WITHIN_SECONDS)
    assert done.returncode == 0


@needs_numba
@pytest.mark.slow
def test_where_nothing_can_be_cached_that_is_told_and_nothing_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = "import numba.core.caching as caching; caching.CacheImpl._locator_classes = []; "
    monkeypatch.setattr(compiled, "COMPILE", nowhere + compiled.COMPILE)
    found = outcome()
    assert isinstance(found, NotCompiled)
    assert "cannot cache function" in found.reason


@needs_numba
def test_where_memory_may_not_become_code_that_is_told_and_nothing_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under MemoryDenyWriteExecute= of the shipped unit: PR_SET_MDWE of prctl(2), where the kernel has it."""
    forbid = "import ctypes; assert ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) == 0; "
    if subprocess.run([sys.executable, "-c", forbid], check=False, capture_output=True).returncode:
        pytest.skip("this kernel has no PR_SET_MDWE")
    monkeypatch.setattr(compiled, "COMPILE", forbid + compiled.COMPILE)
    found = outcome()
    assert isinstance(found, NotCompiled)
    assert "cannot allocate executable memory" in found.reason


def test_where_numba_cannot_be_imported_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "EXTRA", "teagent")
    monkeypatch.setattr(compiled, "COMPILE", "import sys; sys.modules['numba'] = None; " + compiled.COMPILE)
    found = outcome()
    assert isinstance(found, NotCompiled)
    assert "numba" in found.reason


@needs_numba
@pytest.mark.slow
def test_it_is_compiled_where_no_priority_may_be_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under SystemCallFilter=~@resources of the shipped unit."""
    forbid = "import errno, os\ndef nice(_): raise OSError(errno.EPERM, 'Operation not permitted')\nos.nice = nice\n"
    monkeypatch.setattr(compiled, "COMPILE", forbid + compiled.COMPILE)
    assert not isinstance(outcome(), NotCompiled)


def test_where_the_compiler_is_killed_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "EXTRA", "teagent")
    monkeypatch.setattr(compiled, "COMPILE", "import os; os.abort()")
    assert outcome() == NotCompiled(reason="it ended with -6")


def test_without_numba_nothing_is_begun_and_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "EXTRA", "no_such_package")
    told = Told()
    preparation = Preparation(told)
    preparation.begin()
    preparation.stop()
    assert told.outcomes == []


def test_a_stop_does_not_wait_for_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "EXTRA", "teagent")
    monkeypatch.setattr(compiled, "COMPILE", "import signal; signal.pause()")
    told = Told()
    preparation = Preparation(told)
    preparation.begin()
    preparation.stop()
    preparation.begin()
    assert told.outcomes == []


@needs_numba
@pytest.mark.slow
def test_the_cache_serves_the_next_process() -> None:
    """The second one has nothing to compile: it is told apart by what numba counts, not by its time."""
    compiled.compiler().communicate(timeout=WITHIN_SECONDS)
    code = """
        from teagent.adapters.flow.compiled import loaded
        from teagent.engine.measure.counting_compiled import _count4, _count6
        from teagent.wire.flow.sflow_compiled import _pass
        loaded()
        print([(f.stats.cache_hits.total(), f.stats.cache_misses.total()) for f in (_pass, _count4, _count6)])
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        check=True,
        capture_output=True,
        text=True,
        timeout=WITHIN_SECONDS,
        env=environment,
    )
    assert done.stdout.strip() == str([(1, 0)] * 3)
