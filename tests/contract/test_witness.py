"""What every Witness promises: the one in memory, and the one that real octets over TCP lead to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any, Protocol

import pytest
import pytest_asyncio

from teagent.adapters.bmp.listener import BmpWitness
from teagent.adapters.clock import SystemClock
from teagent.model.announcement import Override, Signal, signal_community
from teagent.model.link import NoData
from teagent.model.witness import Sighting
from teagent.ports import Witness
from tests.fakes import bmp as b
from tests.fakes.clock import FakeClock
from tests.fakes.speaker import FakeSpeaker
from tests.fakes.witness import FakeWitness
from tests.unit.service.world import HEAVY, OTHER, network

pytestmark = pytest.mark.asyncio

NETWORK = network()
OVERRIDE = Override(prefix=HEAVY, signals=(Signal(link="a", prepend=1), Signal(link="b", prepend=0)))
NOW = datetime(2026, 1, 12, 19, 40, tzinfo=UTC)
SIGNALS = frozenset(
    signal_community(int(NETWORK.asn), NETWORK.links[signal.link].id, signal) for signal in OVERRIDE.signals
)


class Stage(Protocol):
    """A router that is told of the override and does something with it."""

    witness: Witness

    async def take(self) -> None: ...
    async def drop(self) -> None: ...
    async def go_home(self) -> None: ...
    async def fall_silent(self) -> None: ...


class InMemory:
    def __init__(self) -> None:
        self._speaker = FakeSpeaker()
        self.witness = FakeWitness(self._speaker, NETWORK, FakeClock(NOW))

    async def take(self) -> None:
        await self._speaker.announce(OVERRIDE, owner="p-1", deadline=None)

    async def drop(self) -> None:
        self.witness.drops.add("edge1")
        await self.take()

    async def go_home(self) -> None:
        await self._speaker.withdraw(HEAVY, owner="p-1")

    async def fall_silent(self) -> None:
        self.witness.silent = "sends no BMP: the connection was lost"


@dataclass
class OverTcp:
    witness: BmpWitness
    writer: asyncio.StreamWriter
    views: tuple[str, ...] = field(default=("pre_policy", "post_policy"))

    async def _tell(self, *messages: bytes) -> None:
        self.writer.write(b"".join(messages))
        await self.writer.drain()
        wanted = sum(row.messages for row in self.witness.health()) + len(messages)
        await until(lambda: sum(row.messages for row in self.witness.health()) >= wanted)

    def _route(self, *views: str) -> list[bytes]:
        large = [(c.global_admin, c.function, c.parameter) for c in SIGNALS]
        update = b.update([str(HEAVY)], next_hop="192.0.2.254", large=large)
        return [b.monitoring(update, "127.0.0.2", view=view) for view in views]

    async def take(self) -> None:
        await self._tell(*self._route(*self.views))

    async def drop(self) -> None:
        await self._tell(*self._route("pre_policy"))

    async def go_home(self) -> None:
        gone = b.update(withdrawn=[str(HEAVY)])
        await self._tell(*(b.monitoring(gone, "127.0.0.2", view=view) for view in self.views))

    async def fall_silent(self) -> None:
        self.writer.close()
        await until(lambda: not self.witness.health()[0].connected)


async def until(holds: Any) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110  # a counter has no event to wait for
            await asyncio.sleep(0.005)


@pytest_asyncio.fixture(params=["in memory", "bmp over tcp"])
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    if request.param == "in memory":
        yield InMemory()
        return
    witness = BmpWitness(
        host="127.0.0.1",
        port=0,
        routers={ip_address("127.0.0.1"): "edge1"},
        prefixes=[HEAVY, OTHER],
        speaker=ip_address("127.0.0.2"),
        clock=SystemClock(),
    )
    await witness.start()
    _, writer = await asyncio.open_connection("127.0.0.1", witness.port)
    stage = OverTcp(witness, writer)
    ends = [b.monitoring(b.end_of_rib(), "127.0.0.2", view=view) for view in stage.views]
    await stage._tell(b.initiation(), b.peer_up("127.0.0.2"), *ends)
    yield stage
    writer.close()
    await witness.stop()


def seen(stage: Stage) -> Sighting:
    found = stage.witness.sighting("edge1", HEAVY)
    assert isinstance(found, Sighting)
    return found


async def test_at_home_nothing_is_held_and_nothing_is_missing(stage: Stage) -> None:
    found = seen(stage)
    assert (found.session_up, found.complete) == (True, True)
    assert (found.received, found.accepted, found.selected) == (None, None, None)
    assert found.tells_received
    assert found.tells_accepted


async def test_what_was_taken_is_accepted_with_its_signals(stage: Stage) -> None:
    await stage.take()
    found = seen(stage)
    assert found.received is not None
    assert found.accepted is not None
    assert found.accepted.large_communities == SIGNALS


async def test_what_was_dropped_is_received_and_not_accepted(stage: Stage) -> None:
    await stage.drop()
    found = seen(stage)
    assert found.received is not None
    assert found.accepted is None


async def test_what_went_home_is_held_no_more(stage: Stage) -> None:
    await stage.take()
    await stage.go_home()
    assert (seen(stage).received, seen(stage).accepted) == (None, None)


async def test_other_prefixes_are_untouched(stage: Stage) -> None:
    await stage.take()
    found = stage.witness.sighting("edge1", OTHER)
    assert isinstance(found, Sighting)
    assert found.accepted is None


async def test_a_router_that_fell_silent_gives_no_data_with_a_reason(stage: Stage) -> None:
    await stage.take()
    await stage.fall_silent()
    found = stage.witness.sighting("edge1", HEAVY)
    assert isinstance(found, NoData)
    assert found.reason.startswith("sends no BMP: ")
    (health,) = stage.witness.health()
    assert not health.connected
    assert health.reason


async def test_a_router_that_is_not_expected_gives_no_data(stage: Stage) -> None:
    assert isinstance(stage.witness.sighting("edge9", HEAVY), NoData)


async def test_health_names_the_session_with_the_speaker(stage: Stage) -> None:
    (health,) = stage.witness.health()
    assert (health.router, health.connected, health.told) == ("edge1", True, True)
    assert [session.up for session in health.sessions] == [True]
