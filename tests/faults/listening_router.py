"""A border router that announces nothing, keeps its session up, and looks at every UPDATE octet by octet."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

MARKER = b"\xff" * 16
OPEN, UPDATE, KEEPALIVE = 1, 2, 4
HOLD_SECONDS = 90


class ListeningRouter:
    """`judge` is called with each UPDATE, whole; what it returns other than None is kept in `outside`."""

    def __init__(self, address: str, port: int, *, asn: int, judge: Callable[[bytes], str | None]) -> None:
        self.sessions = 0
        self.updates = 0
        self.outside: list[str] = []
        self._asn = asn
        self._judge = judge
        self._listening = socket.create_server((address, port))
        self._stopping = False
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stopping = True
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(timeout=10)

    def _serve(self) -> None:
        while not self._stopping:
            try:
                peer, _ = self._listening.accept()
            except OSError:
                return
            with peer, suppress(OSError, EOFError):
                peer.settimeout(5)
                self._converse(peer)

    def _converse(self, peer: socket.socket) -> None:
        rest = b""
        while not self._stopping:
            try:
                chunk = peer.recv(65_536)
            except TimeoutError:
                peer.sendall(_message(KEEPALIVE, b""))
                continue
            if not chunk:
                return
            rest += chunk
            while len(rest) >= 19 and len(rest) >= (length := int.from_bytes(rest[16:18])):
                message, rest = rest[:length], rest[length:]
                self._heard(peer, message)

    def _heard(self, peer: socket.socket, message: bytes) -> None:
        if message[18] == OPEN:
            self.sessions += 1
            peer.sendall(_open(self._asn) + _message(KEEPALIVE, b""))
        elif message[18] == KEEPALIVE:
            peer.sendall(_message(KEEPALIVE, b""))
        elif message[18] == UPDATE:
            self.updates += 1
            found = self._judge(message)
            if found is not None:
                self.outside.append(found)


def _message(kind: int, body: bytes) -> bytes:
    return MARKER + struct.pack(">HB", 19 + len(body), kind) + body


def _open(asn: int) -> bytes:
    """RFC 4271 section 4.2, with multiprotocol for both families (RFC 4760) and four-octet ASNs (RFC 6793)."""
    capabilities = b"\x01\x04\x00\x01\x00\x01" + b"\x01\x04\x00\x02\x00\x01" + b"\x41\x04" + struct.pack(">I", asn)
    parameters = struct.pack(">BB", 2, len(capabilities)) + capabilities
    body = struct.pack(">BHHI", 4, asn, HOLD_SECONDS, 0xC0000241) + struct.pack(">B", len(parameters)) + parameters
    return _message(OPEN, body)
