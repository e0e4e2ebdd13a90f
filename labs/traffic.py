#!/usr/bin/env python3
"""Paced UDP traffic for the labs, and the loss of it as its sender sees it. It needs the standard library alone.

    traffic.py receive --listen 10.0.0.10 --listen 11.0.0.10 --seconds 60
    traffic.py send --flow 10.0.0.10=4Mbps --flow 11.0.0.10=9Mbps --seconds 30

A flow's rate is that of its Ethernet frames, as an interface counts them. Every packet carries its flow's number, its
place in the flow and the second of the flow in which it was sent; once a second the receiver answers each flow with
how many packets of each of its last seconds have come. So the sender knows its loss second by second, as a host with
acknowledged traffic does. Both write JSON lines and end by themselves, at the latest after an hour, or on SIGTERM.

The sender, for each flow and second, two seconds later: {"at", "source", "destination", "second", "sent", "received",
"lost", "loss"}; the last three are null where no answer tells of that second: silence is no measurement.
At its end: {"summary": true, "source", "destination", "seconds", "sent", "received", "lost", "loss", "errors",
"skipped"}; `errors` were refused by the host itself, `skipped` were never sent because the machine could not keep up.
The receiver, for each flow that came in that second: {"at", "source", "destination", "received", "lost", "late",
"bytes"}; `lost` are gaps in the numbers so far, `late` came after a packet with a higher number.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import secrets
import selectors
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TextIO

PORT = 9000
MAX_SECONDS = 3600
MAX_BPS = 200_000_000
FRAME_OVERHEAD = 14 + 20 + 8  # Ethernet, IPv4 and UDP headers
TICK_SECONDS = 0.005
CATCH_UP_SECONDS = 0.05  # after a stall no more than this is sent at once, so that a stall never becomes a burst
LONGEST_TICK_SECONDS = CATCH_UP_SECONDS / 2
GRACE_SECONDS = 2  # an answer about a second is waited for this long
REMEMBERED_SECONDS = 8  # an answer tells of this many seconds, so that one that is lost costs nothing

_DATA = struct.Struct("!4sQQI")  # magic, flow, number, second
_ANSWER = struct.Struct("!4sQIQ")  # magic, flow, first second told of, packets received in all; then the counts
_COUNT = struct.Struct("!I")
_DATA_MAGIC = b"TEld"
_ANSWER_MAGIC = b"TEla"

_UNITS = {"bps": 1, "kbps": 1_000, "mbps": 1_000_000, "gbps": 1_000_000_000}

_CHANCE = secrets.SystemRandom()

Writer = Callable[[dict[str, Any]], None]


def rate_bps(text: str) -> float:
    """`4Mbps`, `500kbps`; raises ValueError with what is wrong."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([kmg]?bps)", text.strip().lower())
    if match is None:
        raise ValueError(f"{text!r} is not a rate, for example 4Mbps")
    bps = float(match[1]) * _UNITS[match[2]]
    if not 0 < bps <= MAX_BPS:
        raise ValueError(f"{text} is outside of what a lab is for, up to {MAX_BPS // 1_000_000}Mbps")
    return bps


@dataclass(slots=True)
class Pace:
    """How many packets are due: `rate` a second since `started`, and never a burst after a stall."""

    packets_per_second: float
    due_at_seconds: float = 0.0
    skipped: int = 0
    _carry: float = 0.0

    def due(self, elapsed_seconds: float) -> int:
        gap = max(0.0, elapsed_seconds - self.due_at_seconds)
        self.due_at_seconds = max(self.due_at_seconds, elapsed_seconds)
        allowed = min(gap, CATCH_UP_SECONDS)
        self.skipped += int((gap - allowed) * self.packets_per_second)
        whole = self._carry + allowed * self.packets_per_second
        self._carry = whole - int(whole)
        return int(whole)


@dataclass(slots=True)
class Sent:
    """What a sender knows of one flow: packets by the second they were sent in, and what the answers tell of them."""

    sent: dict[int, int] = field(default_factory=dict)
    received: dict[int, int] = field(default_factory=dict)
    received_in_all: int | None = None

    def answer(self, first: int, counts: Sequence[int], received_in_all: int, *, settled: int) -> None:
        """Counts only grow, so answers may come twice or out of order.

        What was sent up to the second `settled` has had its time: where the answer counts nothing, nothing came.
        """
        for second, count in enumerate(counts, first):
            if second in self.sent:
                self.received[second] = max(count, self.received.get(second, 0))
        for second in self.sent:
            if second <= settled:
                self.received.setdefault(second, 0)
        self.received_in_all = max(received_in_all, self.received_in_all or 0)

    def second(self, second: int) -> dict[str, Any]:
        return {"second": second, **loss(self.sent.get(second, 0), self.received.get(second))}

    def whole(self) -> dict[str, Any]:
        return {"seconds": len(self.sent), **loss(sum(self.sent.values()), self.received_in_all)}


def loss(sent: int, received: int | None) -> dict[str, Any]:
    if received is None:
        return {"sent": sent, "received": None, "lost": None, "loss": None}
    lost = max(0, sent - received)
    return {"sent": sent, "received": received, "lost": lost, "loss": round(lost / sent, 4) if sent else None}


class Flow:
    """One destination's stream of numbered packets from a socket of its own."""

    def __init__(self, destination: str, bps: float, *, port: int, frame_bytes: int) -> None:
        self.destination = destination
        self.number = secrets.randbits(64)
        self.pace = Pace(bps / 8 / frame_bytes)
        self.counts = Sent()
        self.errors = 0
        self._next = 0
        self._padding = bytes(frame_bytes - FRAME_OVERHEAD - _DATA.size)
        self._address = (destination, port)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(0)
        # the kernel chooses the source by the route; connecting would also bring back every ICMP error as an exception
        with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
            probe.connect(self._address)
            self.source = probe.getsockname()[0]

    def send_one(self, second: int) -> None:
        packet = _DATA.pack(_DATA_MAGIC, self.number, self._next, second) + self._padding
        try:
            self.socket.sendto(packet, self._address)
        except OSError:  # no route for the moment, a full queue, an ICMP error: the next packet may do better
            self.errors += 1
            return
        self._next += 1
        self.counts.sent[second] = self.counts.sent.get(second, 0) + 1

    def hear(self, elapsed_seconds: float) -> None:
        while True:
            try:
                data = self.socket.recv(2048)
            except OSError:  # nothing more to read, or an ICMP error that was waiting
                return
            if len(data) < _ANSWER.size:
                continue
            magic, number, first, received = _ANSWER.unpack_from(data)
            if magic == _ANSWER_MAGIC and number == self.number:
                whole = len(data) - (len(data) - _ANSWER.size) % _COUNT.size
                counts = [count for (count,) in _COUNT.iter_unpack(data[_ANSWER.size : whole])]
                self.counts.answer(first, counts, received, settled=int(elapsed_seconds) - GRACE_SECONDS)

    def describe(self) -> dict[str, Any]:
        return {"source": self.source, "destination": self.destination}


def tick_seconds(packets_per_second: float) -> float:
    """Between two looks at what is due: a slow sender need not wake up for nothing, for a lab may have dozens."""
    return min(max(TICK_SECONDS, 0.5 / packets_per_second), LONGEST_TICK_SECONDS)


def send(flows: Sequence[Flow], *, seconds: float, write: Writer, stopped: Callable[[], bool]) -> None:
    """Sends for `seconds`, then waits for the last answers. Seconds are told of once their answers have had time."""
    selector = selectors.DefaultSelector()
    for flow in flows:
        selector.register(flow.socket, selectors.EVENT_READ, flow)
    tick = tick_seconds(sum(flow.pace.packets_per_second for flow in flows))
    started, told = time.monotonic(), 0
    ends: float | None = None
    while ends is None or time.monotonic() < ends:
        elapsed = time.monotonic() - started
        if ends is None and (elapsed >= seconds or stopped()):
            ends = time.monotonic() + GRACE_SECONDS + 1
        if ends is None:
            due = [flow for flow in flows for _ in range(flow.pace.due(elapsed))]
            # a full queue drops the last of each batch: chance decides whose they are, as between many hosts
            _CHANCE.shuffle(due)
            for flow in due:
                flow.send_one(int(elapsed))
        for key, _ in selector.select(tick * _CHANCE.uniform(0.5, 1.5)):
            key.data.hear(elapsed)
        while told < int(elapsed) - GRACE_SECONDS:
            _tell(flows, told, write)
            told += 1
    last = max((max(flow.counts.sent, default=-1) for flow in flows), default=-1)
    for second in range(told, last + 1):
        _tell(flows, second, write)
    for flow in flows:
        write(
            {"summary": True, **flow.describe(), **flow.counts.whole(), "errors": flow.errors}
            | {"skipped": flow.pace.skipped}
        )


def _tell(flows: Sequence[Flow], second: int, write: Writer) -> None:
    for flow in flows:
        if second in flow.counts.sent:
            write({"at": round(time.time(), 3), **flow.describe(), **flow.counts.second(second)})


@dataclass(slots=True)
class Heard:
    """What a receiver knows of one flow. `take` returns nothing that is not counted: each packet is new or late."""

    highest: int = -1
    in_all: int = 0
    by_second: dict[int, int] = field(default_factory=dict)
    received: int = 0
    late: int = 0
    octets: int = 0
    idle_seconds: int = 0
    _highest_told: int = -1

    def take(self, number: int, second: int, octets: int) -> None:
        self.in_all += 1
        self.received += 1
        self.octets += octets
        self.by_second[second] = self.by_second.get(second, 0) + 1
        if number > self.highest:
            self.highest = number
        else:
            self.late += 1

    def tell(self) -> dict[str, int]:
        """The last second's counts, which start anew; a packet that comes late lowers the loss that was told before."""
        told = {
            "received": self.received,
            "lost": self.highest - self._highest_told - self.received,
            "late": self.late,
            "bytes": self.octets,
        }
        self._highest_told = self.highest
        self.idle_seconds = 0 if self.received else self.idle_seconds + 1
        self.received = self.late = self.octets = 0
        return told

    def answer(self, flow: int) -> bytes:
        latest = max(self.by_second, default=0)
        first = max(0, latest - REMEMBERED_SECONDS + 1)
        self.by_second = {second: n for second, n in self.by_second.items() if second >= first}
        counts = (self.by_second.get(second, 0) for second in range(first, latest + 1))
        return _ANSWER.pack(_ANSWER_MAGIC, flow, first, self.in_all) + b"".join(_COUNT.pack(n) for n in counts)


MAX_FLOWS = 1000
MAX_SECOND = MAX_SECONDS + 60


RECEIVE_BUFFER_BYTES = 4 << 20  # seconds of a lab's traffic: a receiver that waits for its turn loses nothing
_SO_RCVBUFFORCE = 33  # Linux, socket(7); the module has no name for it


def _widen(sock: socket.socket) -> None:
    """As root whatever net.core.rmem_max says, for its usual 208 KiB are full in a quarter of a second."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)


class Receiver:
    """One socket an address, so that an answer has the source that the sender sent to."""

    def __init__(self, addresses: Sequence[str], *, port: int, write: Writer) -> None:
        self._write = write
        self._selector = selectors.DefaultSelector()
        self._flows: dict[tuple[socket.socket, tuple[str, int], int], Heard] = {}
        for address in addresses:
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            _widen(sock)
            sock.settimeout(0)
            sock.bind((address, port))
            self._selector.register(sock, selectors.EVENT_READ, address)

    def close(self) -> None:
        for key in list(self._selector.get_map().values()):
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
        self._selector.close()

    def run(self, *, seconds: float, stopped: Callable[[], bool]) -> None:
        started = time.monotonic()
        tick = started + 1
        while (now := time.monotonic()) < started + seconds and not stopped():
            for key, _ in self._selector.select(max(0.0, min(tick - now, 0.2))):
                if isinstance(key.fileobj, socket.socket):
                    self._hear(key.fileobj)
            if time.monotonic() >= tick:
                self._tell()
                tick += 1
        self._tell()

    def _hear(self, sock: socket.socket) -> None:
        for _ in range(256):  # then the other addresses have their turn
            try:
                data, source = sock.recvfrom(65535)
            except OSError:
                return
            if len(data) < _DATA.size:
                continue
            magic, flow, number, second = _DATA.unpack_from(data)
            key = (sock, source, flow)
            if (
                magic != _DATA_MAGIC
                or second > MAX_SECOND
                or (key not in self._flows and len(self._flows) >= MAX_FLOWS)
            ):
                continue
            self._flows.setdefault(key, Heard()).take(number, second, len(data) + FRAME_OVERHEAD)

    def _tell(self) -> None:
        at = round(time.time(), 3)
        for key, heard in list(self._flows.items()):
            sock, source, flow = key
            told = heard.tell()
            if told["received"]:
                names = {"source": source[0], "destination": sock.getsockname()[0]}
                self._write({"at": at, **names, **told})
            with contextlib.suppress(OSError):
                sock.sendto(heard.answer(flow), source)
            if heard.idle_seconds > 10:
                del self._flows[key]


def _flow_argument(text: str) -> tuple[str, float]:
    destination, found, rate = text.partition("=")
    try:
        socket.inet_aton(destination)
        if not found:
            raise ValueError(f"{text!r} is not ADDRESS=RATE")  # noqa: TRY301
        return destination, rate_bps(rate)
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _seconds_argument(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= MAX_SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time from 0 to {MAX_SECONDS} seconds")
    return seconds


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="traffic.py", description="Paced UDP traffic that knows its loss.")
    actions = parser.add_subparsers(dest="action", required=True)
    for name in ("send", "receive"):
        sub = actions.add_parser(name)
        sub.add_argument("--seconds", type=_seconds_argument, required=True)
        sub.add_argument("--port", type=int, default=PORT)
        sub.add_argument("--output", metavar="FILE", help="for the JSON lines; standard output without it")
        if name == "send":
            sub.add_argument("--flow", type=_flow_argument, action="append", required=True, metavar="ADDRESS=RATE")
            sub.add_argument("--frame-bytes", type=int, default=1214, choices=range(80, 1515), metavar="80-1514")
        else:
            sub.add_argument("--listen", action="append", required=True, metavar="ADDRESS")
    options = parser.parse_args(arguments)
    stop = False

    def stopping(_signal: int, _frame: object) -> None:
        nonlocal stop
        stop = True

    signal.signal(signal.SIGTERM, stopping)
    signal.signal(signal.SIGINT, stopping)
    with contextlib.ExitStack() as stack:
        out: TextIO = sys.stdout
        if options.output:
            out = stack.enter_context(open(options.output, "w", encoding="utf-8"))  # noqa: PTH123  # may be /dev/fd/N

        def write(line: dict[str, Any]) -> None:
            out.write(json.dumps(line) + "\n")
            out.flush()

        try:
            if options.action == "send":
                made = [Flow(d, bps, port=options.port, frame_bytes=options.frame_bytes) for d, bps in options.flow]
                send(made, seconds=options.seconds, write=write, stopped=lambda: stop)
            else:
                receiver = Receiver(options.listen, port=options.port, write=write)
                receiver.run(seconds=options.seconds, stopped=lambda: stop)
        except BrokenPipeError:
            return 0
        except OSError as error:
            sys.stderr.write(f"error: {(error.strerror or str(error)).lower()}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
