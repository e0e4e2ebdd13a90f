"""The Unix socket: who asks, and who listens. A client that does not read is dropped; it never holds up the relay."""

from __future__ import annotations

import asyncio
import contextlib
import grp
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import assert_never

from teagent.relay import protocol
from teagent.relay.protocol import Announce, Confirm, Plain, Request, WithdrawRequest
from teagent.relay.refusal import Json, Refusal
from teagent.relay.relay import Relay

CLIENTS_MAX = 32
OUT_MAX_BYTES = 1_048_576
SEND_TIMEOUT_SECONDS = 30.0
SOCKET_MODE = 0o660


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.subscribed = False

    def push(self, line: bytes) -> bool:
        """Queues a line; false when the client does not read and was dropped for it."""
        if self.writer.is_closing():
            return True
        if self.writer.transport.get_write_buffer_size() + len(line) > OUT_MAX_BYTES:
            self.writer.transport.abort()
            return False
        self.writer.write(line)
        return True


class Clients:
    """Who is connected, and who of them wants to hear what happens."""

    def __init__(self) -> None:
        self.connected: set[Client] = set()
        self.dropped = 0

    def tell(self, event: str, **fields: Json) -> None:
        """Sends an event to all who subscribed."""
        listeners = [client for client in self.connected if client.subscribed]
        if listeners:
            line = protocol.encode({"version": protocol.VERSION, "event": event, **fields})
            self.dropped += sum(not client.push(line) for client in listeners)


class Server:
    """Owns the socket file."""

    def __init__(
        self, *, path: Path, group: str | None, relay: Relay, clients: Clients, log: Callable[[str], None]
    ) -> None:
        self._path = path
        self._group = group
        self._relay = relay
        self._clients = clients
        self._log = log
        self._started_at = time.monotonic()

    async def run(self) -> None:
        """Listens until cancelled. A socket that cannot be made is tried again: the relay works without."""
        said = ""
        while True:
            try:
                listening = self._listen()
            except (OSError, LookupError) as error:
                if str(error) != said:
                    said = str(error)
                    self._log(f"socket cannot be made  path={self._path} reason={said}")
                await asyncio.sleep(2)
                continue
            await self._serve(listening)

    def _listen(self) -> socket.socket:
        self._path.unlink(missing_ok=True)  # we hold the lock, so whoever made it is gone
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listening.setblocking(False)  # noqa: FBT003 - the standard library's signature
            listening.bind(str(self._path))
            self._path.chmod(SOCKET_MODE)
            if self._group is not None:
                os.chown(self._path, -1, grp.getgrnam(self._group).gr_gid)
            listening.listen(CLIENTS_MAX)
        except BaseException:
            listening.close()
            raise
        return listening

    async def _serve(self, listening: socket.socket) -> None:
        server = await asyncio.start_unix_server(self._connected, sock=listening, limit=protocol.LINE_MAX_BYTES)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            server.close()
            for client in self._clients.connected:
                client.writer.transport.abort()
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = Client(reader, writer)
        if len(self._clients.connected) >= CLIENTS_MAX:
            refusal = Refusal("busy", "clients", "too many clients", limit=CLIENTS_MAX)
            client.push(protocol.denial(None, refusal))
            writer.close()
            return
        self._clients.connected.add(client)
        try:
            await self._converse(client)
        except (OSError, TimeoutError) as error:
            # The reader keeps the error, and by its traceback the error keeps the reader: a ring that holds all that
            # was read and not answered until the collector comes by, long after the next clients.
            error.__traceback__ = None
        finally:
            self._clients.connected.discard(client)
            writer.close()

    async def _converse(self, client: Client) -> None:
        while True:
            try:
                line = await client.reader.readuntil(b"\n")
            except asyncio.IncompleteReadError:
                return
            except asyncio.LimitOverrunError:
                refusal = Refusal(
                    "bad_request", "line_length", "the request is too long", limit=protocol.LINE_MAX_BYTES
                )
                client.push(protocol.denial(None, refusal))
                return
            client.push(await self.answer(client, line))
            async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
                await client.writer.drain()

    async def answer(self, client: Client, line: bytes) -> bytes:
        """The answer to one request line, whatever the bytes."""
        identity: int | None = None
        try:
            document = protocol.decode(line)
            identity = protocol.identifier(document)
            return protocol.answer(identity, **await self._do(client, protocol.parse(document)))
        except Refusal as refusal:
            self._relay.counters[f"answers_{refusal.kind}"] += 1
            if refusal.kind == "refused":
                self._clients.tell("refused", rule=refusal.rule, message=refusal.message)
            return protocol.denial(identity, refusal)

    async def _do(self, client: Client, request: Request) -> dict[str, Json]:
        relay = self._relay
        match request:
            case Announce():
                return await relay.announce(request)
            case WithdrawRequest():
                return await relay.withdraw(request)
            case Confirm():
                return relay.confirm(request)
            case Plain(do="state"):
                return {"state": {**relay.state(), **self._own_state()}}
            case Plain(do="subscribe"):
                client.subscribed = True
                return {}
            case Plain(do="freeze" | "thaw"):
                return relay.freeze(frozen=request.do == "freeze")
            case Plain(do="repeat"):
                return await relay.repeat()
            case Plain():
                return await relay.reconcile()
            case _:
                assert_never(request)

    def _own_state(self) -> dict[str, Json]:
        return {
            "pid": os.getpid(),
            "uptime_seconds": time.monotonic() - self._started_at,
            "clients": len(self._clients.connected),
            "clients_dropped": self._clients.dropped,
        }
