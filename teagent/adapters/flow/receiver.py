"""One UDP socket and the thread that empties it into a queue. It looks at nothing but the sender's address."""

from __future__ import annotations

import select
import socket
import struct
import threading
from collections import deque
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, NamedTuple

from teagent.adapters.flow.recvmmsg import LARGEST_DATAGRAM, DatagramReader
from teagent.errors import TeagentError
from teagent.ports import Clock

RECEIVE_BUFFER_OCTETS: Final = 16 << 20
CHUNK: Final = 256  # datagrams that are taken at once
SO_RCVBUFFORCE: Final = 33  # linux/include/uapi/asm-generic/socket.h; past net.core.rmem_max, with CAP_NET_ADMIN
SO_MEMINFO: Final = 55
MEMINFO: Final = struct.Struct("9I")
MEMINFO_DROPS: Final = 8
GATHER_SECONDS: Final = 0.01
STOP_WITHIN_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """Where to listen. `host` is an IP address; `0.0.0.0` and `::` may both be bound to one port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Arrivals(NamedTuple):
    """Datagrams of one sender, in the order in which they came."""

    exporter: str
    port: int
    payloads: list[bytes]


class Chunk(NamedTuple):
    """Datagrams taken off a socket together, at the unix time `at`."""

    at: float
    arrivals: list[Arrivals]

    @property
    def datagrams(self) -> int:
        return sum(len(found.payloads) for found in self.arrivals)


class DatagramQueue:
    """Between the receivers and the decoder, bounded in datagrams. What does not fit is dropped and counted."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._chunks: deque[Chunk] = deque()
        self._held = 0
        self._changed = threading.Condition()
        self._closed = True
        self.dropped = 0

    def put(self, chunk: Chunk) -> None:
        with self._changed:
            count, room = chunk.datagrams, self._size - self._held
            if count > room:
                self.dropped += count - room
                chunk, count = _first(chunk, room), room
            if count:
                self._held += count
                self._chunks.append(chunk)
                self._changed.notify()

    def get(self) -> Chunk | None:
        """Blocks; None once the queue is closed and empty."""
        with self._changed:
            while not self._chunks and not self._closed:
                self._changed.wait()
            if not self._chunks:
                return None
            chunk = self._chunks.popleft()
            self._held -= chunk.datagrams
            return chunk

    def open(self) -> None:
        with self._changed:
            self._closed = False

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def _first(chunk: Chunk, most: int) -> Chunk:
    kept: list[Arrivals] = []
    for exporter, port, payloads in chunk.arrivals:
        if most > 0:
            kept.append(Arrivals(exporter, port, payloads[:most]))
            most -= len(payloads)
    return Chunk(chunk.at, kept)


class Receiver:
    """`open` binds, `run` is the thread's work until `stop`. Only configured exporters get into the queue."""

    def __init__(self, binding: Binding, *, exporters: frozenset[str], queue: DatagramQueue, clock: Clock) -> None:
        """`exporters` are addresses in the form in which `str(ip_address(...))` writes them."""
        self.binding = binding
        self._exporters = exporters
        self._queue = queue
        self._clock = clock
        self._socket: socket.socket | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._senders: dict[str, str | None] = {}
        self._kernel_drops = 0
        self.unknown_exporter = 0

    def start(self) -> None:
        """Raises TeagentError where the address cannot be bound."""
        self._socket = opened(self.binding)
        self._stopping.clear()
        self._thread = threading.Thread(
            target=self._run, args=(self._socket,), name=f"flow {self.binding}", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._socket is not None:
            self._kernel_drops = self.kernel_drops
            self._socket.close()
            self._socket = None

    @property
    def port(self) -> int:
        """The port in use, which differs from the binding's where that is 0."""
        return self.binding.port if self._socket is None else int(self._socket.getsockname()[1])

    @property
    def kernel_drops(self) -> int:
        """Datagrams that the kernel dropped because its buffer was full."""
        if self._socket is None:
            return self._kernel_drops
        try:
            memory = self._socket.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, MEMINFO.size)
        except OSError:  # before Linux 4.12
            return self._kernel_drops
        return self._kernel_drops + int(MEMINFO.unpack(memory)[MEMINFO_DROPS])

    def _run(self, source: socket.socket) -> None:
        readable = select.poll()
        readable.register(source, select.POLLIN)
        reader = reader_of(source)
        waiting = False  # whether there were datagrams just now: then more come, and one wait is enough
        while not self._stopping.is_set():
            if not waiting and not readable.poll(STOP_WITHIN_SECONDS * 1000):
                continue
            # A moment's patience makes one chunk of what would have been many, and the kernel keeps them meanwhile.
            self._stopping.wait(GATHER_SECONDS)
            waiting = False
            while (count := self._drain(reader)) and not self._stopping.is_set():
                waiting = True
                if count < CHUNK:
                    break

    def _drain(self, reader: DatagramReader | OneByOne) -> int:
        """Returns how many datagrams were read."""
        try:
            received = reader.read()
        except OSError:  # an ICMP error of an earlier packet, reported here by the kernel
            return 0
        arrivals: list[Arrivals] = []
        count = 0
        for host, port, payloads in received:
            count += len(payloads)
            exporter = self._senders[host] if host in self._senders else self._sender(host)
            if exporter is None:
                self.unknown_exporter += len(payloads)
            else:
                arrivals.append(Arrivals(exporter, port, payloads))
        if arrivals:
            self._queue.put(Chunk(self._clock.now().timestamp(), arrivals))
        return count

    def _sender(self, host: str) -> str | None:
        """The exporter that sends from `host`, None for a stranger. Only exporters are remembered: anybody can send
        from any address.
        """
        try:
            exporter = str(ip_address(host.partition("%")[0]))
        except ValueError:
            return None
        if exporter not in self._exporters:
            return None
        self._senders[host] = exporter
        return exporter


def reader_of(source: socket.socket) -> DatagramReader | OneByOne:
    try:
        return DatagramReader(source, CHUNK)
    except OSError:
        return OneByOne(source, CHUNK)


class OneByOne:
    """DatagramReader where there is no recvmmsg."""

    def __init__(self, source: socket.socket, most: int) -> None:
        self._source = source
        self._most = most

    def read(self) -> list[tuple[str, int, list[bytes]]]:
        found: list[tuple[str, int, list[bytes]]] = []
        for _ in range(self._most):
            try:
                payload, sender = self._source.recvfrom(LARGEST_DATAGRAM)
            except BlockingIOError:
                break
            except OSError:
                continue
            if found and found[-1][:2] == sender[:2]:
                found[-1][2].append(payload)
            else:
                found.append((sender[0], sender[1], [payload]))
        return found


def opened(binding: Binding) -> socket.socket:
    """A bound, non-blocking socket with as large a receive buffer as the kernel grants. Raises TeagentError."""
    family = socket.AF_INET6 if ":" in binding.host else socket.AF_INET
    source = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if family == socket.AF_INET6:
            source.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            source.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_OCTETS)
        except OSError:
            source.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_OCTETS)
        source.bind((binding.host, binding.port))
    except OSError as error:
        source.close()
        reason = (error.strerror or str(error)).lower()
        raise TeagentError(
            f"cannot listen for flows on {binding}: {reason}",
            hint="flows.listen in the configuration says where; `ss -ulpn` shows who has the port",
            host=binding.host,
            port=binding.port,
        ) from error
    source.settimeout(0)
    return source
