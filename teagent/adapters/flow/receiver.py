"""One UDP socket. It looks at nothing but the sender's address."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, NamedTuple

from teagent.adapters.flow.recvmmsg import LARGEST_DATAGRAM, DatagramReader
from teagent.errors import TeagentError
from teagent.ports import Clock

RECEIVE_BUFFER_OCTETS: Final = 16 << 20
CHUNK: Final = 1_024  # datagrams that are taken at once
SO_RCVBUFFORCE: Final = 33  # linux/include/uapi/asm-generic/socket.h; past net.core.rmem_max, with CAP_NET_ADMIN
SO_MEMINFO: Final = 55
MEMINFO: Final = struct.Struct("9I")
MEMINFO_FILLED, MEMINFO_SIZE, MEMINFO_DROPS = 0, 1, 8  # linux/include/uapi/linux/sock_diag.h, SK_MEMINFO_*


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """Where to listen. `host` is an IP address; `0.0.0.0` and `::` may both be bound to one port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Arrivals(NamedTuple):
    """Datagrams of one sender, in the order in which they came; they stand there until the socket is read again."""

    exporter: str
    port: int
    payloads: Sequence[bytes]


class Chunk(NamedTuple):
    """Datagrams taken off a socket together, at the unix time `at`."""

    at: float
    arrivals: list[Arrivals]

    def kept(self) -> Chunk:
        """A copy, for as long as one likes."""
        return Chunk(self.at, [Arrivals(exporter, port, list(found)) for exporter, port, found in self.arrivals])

    @property
    def datagrams(self) -> int:
        return sum(len(found.payloads) for found in self.arrivals)


class Buffer(NamedTuple):
    """The kernel's buffer of a socket, in the octets that datagrams take there, which are more than they have."""

    filled: int
    size: int
    drops: int  # datagrams that found it full


class Receiver:
    """`start` binds, `read` takes what waits. What strangers send is counted, and no more."""

    def __init__(self, binding: Binding, *, exporters: frozenset[str], clock: Clock) -> None:
        """`exporters` are addresses in the form in which `str(ip_address(...))` writes them."""
        self.binding = binding
        self._exporters = exporters
        self._clock = clock
        self._socket: socket.socket | None = None
        self._reader: DatagramReader | OneByOne | None = None
        self._senders: dict[str, str | None] = {}
        self._kernel_drops = 0
        self.unknown_exporter = 0
        self.last_unknown: tuple[float, str] | None = None  # when it sent, and its address

    def start(self) -> None:
        """Raises TeagentError where the address cannot be bound."""
        self._socket = opened(self.binding)
        self._reader = reader_of(self._socket)

    def stop(self) -> None:
        if self._socket is not None:
            self._kernel_drops = self.kernel_drops
            self._reader = None
            self._socket.close()
            self._socket = None

    @property
    def port(self) -> int:
        """The port in use, which differs from the binding's where that is 0."""
        return self.binding.port if self._socket is None else int(self._socket.getsockname()[1])

    def fileno(self) -> int:
        return -1 if self._socket is None else self._socket.fileno()

    @property
    def kernel_drops(self) -> int:
        """Datagrams that the kernel dropped because its buffer was full."""
        return self._kernel_drops + self.buffer.drops

    @property
    def buffer(self) -> Buffer:
        """Nothing is known of it before Linux 4.12, and while it is closed."""
        if self._socket is not None:
            with suppress(OSError):
                told = MEMINFO.unpack(self._socket.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, MEMINFO.size))
                return Buffer(told[MEMINFO_FILLED], told[MEMINFO_SIZE], told[MEMINFO_DROPS])
        return Buffer(0, 0, 0)

    def read(self) -> tuple[int, Chunk]:
        """How many datagrams were read, CHUNK at the most, and those of exporters among them. Does not block."""
        arrivals: list[Arrivals] = []
        count, at = 0, self._clock.now().timestamp()
        for host, port, payloads in self._received():
            count += len(payloads)
            exporter = self._senders[host] if host in self._senders else self._sender(host)
            if exporter is None:
                self.unknown_exporter += len(payloads)
                self.last_unknown = at, host
            else:
                arrivals.append(Arrivals(exporter, port, payloads))
        return count, Chunk(at, arrivals)

    def _received(self) -> Sequence[tuple[str, int, Sequence[bytes]]]:
        try:
            return [] if self._reader is None else self._reader.read()
        except OSError:  # an ICMP error of an earlier packet, reported here by the kernel
            return []

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
        found: dict[tuple[str, int], list[bytes]] = {}
        for _ in range(self._most):
            try:
                payload, sender = self._source.recvfrom(LARGEST_DATAGRAM)
            except BlockingIOError:
                break
            except OSError:
                continue
            found.setdefault(sender[:2], []).append(payload)
        return [(*sender, payloads) for sender, payloads in found.items()]


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
