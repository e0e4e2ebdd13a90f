"""Many datagrams by one system call: recvmmsg(2), which Python's socket module does not have.

With one call for each datagram more time goes into calls, addresses and the interpreter's lock than into anything
else that is done to a flow record.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import socket
import struct
import sys
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from teagent.wire.flow.datagrams import Datagrams

NAME_OCTETS: Final = 28  # of a struct sockaddr_in6, the larger one
LARGEST_DATAGRAM: Final = 65_536
SLOT: Final = 1_536  # octets; an Ethernet frame has at most 1,472 of a datagram
REST: Final = LARGEST_DATAGRAM - SLOT
PORT: Final = struct.Struct("!H")


class _Vector(ctypes.Structure):
    """struct iovec"""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Message(ctypes.Structure):
    """struct msghdr"""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.c_void_p),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Header(ctypes.Structure):
    """struct mmsghdr: how long the datagram was is written into `length`."""

    _fields_ = (("message", _Message), ("length", ctypes.c_uint))


def _function() -> Any | None:
    """Called with the interpreter's lock held, because it does not block: to get the lock back after each call would
    take a switch interval while another thread computes, in which the kernel's buffer fills.
    """
    try:
        return ctypes.PyDLL(None, use_errno=True).recvmmsg
    except (AttributeError, OSError, TypeError):
        return None


class DatagramReader:
    """Reads one socket, up to `most` datagrams at a time. Not thread-safe.

    Memory: `most` times 64 KiB are reserved, of which only what datagrams have filled is used. What mostly comes fits
    into slots that lie side by side, because each page of memory that is touched has a price; what a longer one has
    more lies elsewhere.
    """

    def __init__(self, source: socket.socket, most: int) -> None:
        """Raises OSError where the system has no recvmmsg, or does not let us call it."""
        function = _function()
        if function is None:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        self._recvmmsg: Any = function
        self._descriptor = source.fileno()
        self._most = most
        self._octets = mmap.mmap(-1, most * SLOT)
        self._rests = mmap.mmap(-1, most * REST)
        self._begins = np.arange(0, most * SLOT, SLOT)
        self._names = bytearray(most * NAME_OCTETS)
        self._headers = (_Header * most)()
        self._vectors = (_Vector * (2 * most))()
        octets_at = ctypes.addressof(ctypes.c_char.from_buffer(self._octets))
        rests_at = ctypes.addressof(ctypes.c_char.from_buffer(self._rests))
        names_at = ctypes.addressof(ctypes.c_char.from_buffer(self._names))
        vectors_at = ctypes.addressof(self._vectors)
        for i in range(most):
            self._vectors[2 * i] = _Vector(octets_at + i * SLOT, SLOT)
            self._vectors[2 * i + 1] = _Vector(rests_at + i * REST, REST)
            vector_at = vectors_at + 2 * i * ctypes.sizeof(_Vector)
            message = _Message(names_at + i * NAME_OCTETS, NAME_OCTETS, vector_at, 2, None, 0, 0)
            self._headers[i] = _Header(message, 0)
        fields = np.frombuffer(memoryview(self._headers).cast("B"), dtype=np.uint8).reshape(
            most, ctypes.sizeof(_Header)
        )
        self._call(0)
        self._lengths = _words(fields, _Header.length.offset)
        self._name_lengths = _words(fields, _Message.name_length.offset)

    def read(self) -> list[tuple[str, int, Sequence[bytes]]]:
        """(host, port, payloads) of those that wait, sender by sender, those of each in order. Empty where none waits.
        The payloads stand there until it is read again. Raises OSError, as for an ICMP error of an earlier packet.
        """
        count = self._call(self._most)
        lengths = self._lengths[:count].astype(np.int64)
        payloads: Sequence[bytes] = Datagrams(self._octets, self._begins[:count], np.minimum(lengths, SLOT))
        if lengths.max(initial=0) > SLOT:
            payloads = [slot + rest for slot, rest in zip(payloads, self._rests_of(lengths), strict=True)]
        self._name_lengths[:count] = NAME_OCTETS
        names = bytes(self._names[: count * NAME_OCTETS])
        if names == names[:NAME_OCTETS] * count:
            return [(*_sender(names), payloads)] if count else []
        return self._by_sender(names, payloads)

    def _rests_of(self, lengths: npt.NDArray[np.int64]) -> list[bytes]:
        begins = range(0, self._most * REST, REST)
        over = np.maximum(lengths - SLOT, 0).tolist()
        return [self._rests[begin : begin + octets] for begin, octets in zip(begins, over, strict=False)]

    def _call(self, most: int) -> int:
        count: int = self._recvmmsg(self._descriptor, self._headers, most, socket.MSG_DONTWAIT, None)
        if count >= 0:
            return count
        number = ctypes.get_errno()
        if number in {errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR}:
            return 0
        raise OSError(number, os.strerror(number))

    def _by_sender(self, names: bytes, payloads: Sequence[bytes]) -> list[tuple[str, int, Sequence[bytes]]]:
        positions: dict[bytes, list[int]] = {}
        for position, at in enumerate(range(0, len(names), NAME_OCTETS)):
            positions.setdefault(names[at : at + NAME_OCTETS], []).append(position)
        if isinstance(payloads, Datagrams):
            return [(*_sender(name), payloads.those(np.array(its))) for name, its in positions.items()]
        return [(*_sender(name), [payloads[position] for position in its]) for name, its in positions.items()]


def _words(rows: Any, at: int) -> Any:
    return rows[:, at : at + 4].view(np.uint32)[:, 0]


def _sender(name: bytes) -> tuple[str, int]:
    """(host, port) of a struct sockaddr_in or sockaddr_in6; the host as recvfrom tells it, without a scope."""
    family, (port,) = int.from_bytes(name[:2], sys.byteorder), PORT.unpack_from(name, 2)
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, name[4:8]), port
    return socket.inet_ntop(socket.AF_INET6, name[8:24]), port
