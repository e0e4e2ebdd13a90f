"""A relay with an ExaBGP and a clock of the tests' own, and the commands that it may give."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
from collections.abc import Callable
from typing import Any

import pytest

from teagent.relay.journal import Journal
from teagent.relay.protocol import Announce, Override, Signal
from teagent.relay.refusal import Refusal
from teagent.relay.relay import Relay
from tests.unit.relay.exabgp_double import ExabgpDouble

PREFIX = ipaddress.ip_network("198.51.100.0/24")
BOTH = ("192.0.2.65", "192.0.2.73")


def command(neighbor: str, *tags: str, prefix: str = "198.51.100.0/24") -> str:
    return f"neighbor {neighbor} announce route {prefix} next-hop 192.0.2.254 large-community [ {' '.join(tags)} ]"


def withdrawal(neighbor: str, prefix: str = "198.51.100.0/24") -> str:
    return f"neighbor {neighbor} withdraw route {prefix}"


def request(a: int, b: int, *, owner: str = "p-1", deadline: float | None = None, prefix: Any = PREFIX) -> Announce:
    signals = (Signal(link_id=1, prepend=a), Signal(link_id=2, prepend=b))
    return Announce(override=Override(prefix=prefix, signals=signals), owner=owner, deadline=deadline)


class StillClock:
    """A clock that moves only when told. `wall` may be stepped alone."""

    def __init__(self) -> None:
        self.boot = "boot-1"
        self.now = 1_760_000_000.0
        self.up = 5000.0

    def wall(self) -> float:
        return self.now

    def uptime(self) -> float:
        return self.up

    def advance(self, seconds: float) -> None:
        self.now += seconds
        self.up += seconds


class Setting:
    """A relay with its ExaBGP; `die` and `revive` are a crash of the relay alone."""

    def __init__(self, directory, still: StillClock, write_allow: Callable[..., Any]) -> None:
        self.exabgp = ExabgpDouble(*BOTH)
        self.still = still
        self.write_allow = write_allow
        self.allow_path = write_allow()
        self.journal_path = directory / "journal"
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.relay = self.new_relay()

    def new_relay(self) -> Relay:
        return Relay(
            allow_path=self.allow_path,
            allow_owners=frozenset({0, os.getuid()}),
            freeze_file=self.journal_path.with_name("freeze"),
            journal=Journal(self.journal_path),
            pipe=self.exabgp.pipe,
            clock=self.still,
            tell=lambda event, **fields: self.events.append((event, fields)),
            log=lambda _line: None,
        )

    async def turn(self) -> None:
        """Lets the relay do what it does by itself, once."""
        self.relay._not_before = 0.0
        running = asyncio.ensure_future(self.relay.run())
        for _ in range(400):
            await asyncio.sleep(0)
        with contextlib.suppress(asyncio.CancelledError):
            running.cancel()
            await running

    async def restart(self) -> None:
        self.relay.journal.close()
        self.relay = self.new_relay()
        await self.turn()

    def held(self) -> dict[str, str]:
        return {str(prefix): entry.owner for prefix, entry in self.relay.journal.entries.items()}


async def refused(awaitable) -> tuple[str, str]:
    with pytest.raises(Refusal) as caught:
        await awaitable
    return (caught.value.kind, caught.value.rule)
