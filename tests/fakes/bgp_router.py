"""A border router's end of an iBGP session, made by hand: it waits for us, and notes all that it hears."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from teagent.wire.bgp_session import MessageStream, encode_keepalive, encode_open, kind
from tests.fakes import bmp as b
from tests.fakes.until import until


class BgpRouter:
    """`opening` is its OPEN. `heard` are the kinds of the messages that came, of all connections."""

    def __init__(self, *, asn: int = 64510, families: Sequence[int] = (4,), opening: bytes | None = None) -> None:
        self.opening = opening or encode_open(asn=asn, hold_seconds=30, identifier=b.ROUTER_ID, families=families)
        self.heard: list[int] = []
        self.connections = 0
        self.answers = True
        self._server: asyncio.Server | None = None
        self._writer: asyncio.StreamWriter | None = None

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self.hang_up()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writer = writer
        stream = MessageStream()
        if self.answers:
            writer.write(self.opening + encode_keepalive())
        try:
            while octets := await reader.read(1 << 16):
                self.heard += [kind(message) for message in stream.feed(octets)]
        except OSError:
            pass
        finally:
            writer.close()

    async def tell(self, *messages: bytes) -> None:
        await until(lambda: self._writer is not None)
        assert self._writer is not None
        self._writer.write(b"".join(messages))
        await self._writer.drain()

    def hang_up(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
