"""The relay's socket, with a client that does not read what it asked for."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import tempfile
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from teagent.relay.journal import Journal
from teagent.relay.relay import Relay
from teagent.relay.server import Clients, Server
from tests.unit.relay.exabgp_double import ExabgpDouble
from tests.unit.relay.setting import StillClock

REQUEST = b'{"version":1,"id":1,"do":"nonsense"}\n'


@pytest.fixture
def place() -> Iterator[Path]:
    """Short, because a socket's path must be."""
    with tempfile.TemporaryDirectory(prefix="te-") as name:
        yield Path(name)


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def server(place: Path, clients: Clients) -> Server:
    relay = Relay(
        allow_path=place / "allow.json",
        allow_owners=frozenset({os.getuid()}),
        journal=Journal(place / "journal"),
        pipe=ExabgpDouble().pipe,
        clock=StillClock(),
        tell=clients.tell,
        log=lambda _line: None,
    )
    return Server(path=place / "relay.sock", group=None, relay=relay, clients=clients, log=lambda _line: None)


async def until(holds: Callable[[], Any]) -> None:
    for _ in range(300):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("not within 3 s")


@pytest.mark.asyncio
@pytest.mark.usefixtures("no_collector")
async def test_of_a_client_that_never_reads_nothing_is_kept_when_it_has_gone(place: Path) -> None:
    """Not even until the collector comes by: a hundred of them would be a dozen megabytes by then."""
    clients = Clients()
    listening = asyncio.ensure_future(server(place, clients).run())
    await until((place / "relay.sock").exists)
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.setblocking(False)
        await asyncio.get_running_loop().sock_connect(deaf, str(place / "relay.sock"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await asyncio.get_running_loop().sock_sendall(deaf, REQUEST * 100_000)
        [reader] = [weakref.ref(client.reader) for client in clients.connected]
    await until(lambda: not clients.connected)
    await until(lambda: reader() is None)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
