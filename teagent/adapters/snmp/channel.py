"""One connected UDP socket to one agent: being connected, it hears when the host refuses, and nobody else."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import cast

_MAX_WAITING = 64  # datagrams not yet looked at; one request is out at a time, so more is noise


class UdpChannel(asyncio.DatagramProtocol):
    """Send and receive datagrams. `receive` raises OSError for what the network reports (refused, no route)."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[bytes | OSError] = asyncio.Queue(_MAX_WAITING)
        self._transport: asyncio.DatagramTransport | None = None
        self._closed = asyncio.Event()

    @classmethod
    async def open(cls, address: str, port: int) -> UdpChannel:
        """Resolves a name without blocking. Raises OSError (socket.gaierror when there is no such name)."""
        loop = asyncio.get_running_loop()
        try:
            _, channel = await loop.create_datagram_endpoint(cls, remote_addr=(address, port))
        except ValueError as error:
            # What is no name at all (`a..b`, a NUL in it) does not even reach the resolver.
            raise socket.gaierror(socket.EAI_NONAME, "not a host name") from error
        return channel

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        self._closed.set()

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002  the socket is connected
        with suppress(asyncio.QueueFull):
            self._waiting.put_nowait(data)

    def error_received(self, exc: Exception) -> None:
        with suppress(asyncio.QueueFull):
            self._waiting.put_nowait(exc if isinstance(exc, OSError) else OSError(str(exc)))

    def send(self, message: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            raise OSError("the socket is closed")
        self._transport.sendto(message)

    def drop_late(self) -> None:
        """Answers that came after their time-out belong to nobody."""
        while not self._waiting.empty():
            self._waiting.get_nowait()

    async def receive(self) -> bytes:
        item = await self._waiting.get()
        if isinstance(item, OSError):
            raise item
        return item

    async def close(self) -> None:
        """Returns when the socket is closed; may be called twice."""
        if self._transport is not None:
            self._transport.close()
            await self._closed.wait()
