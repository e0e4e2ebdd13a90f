"""What every Witness promises: the one in memory, and the one that real octets over TCP lead to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import IPv4Address, ip_address
from typing import Protocol

import pytest
import pytest_asyncio

from teagent.adapters.bmp.listener import BmpWitness
from teagent.adapters.clock import SystemClock
from teagent.adapters.ibgp.session import SessionEnds
from teagent.adapters.ibgp.witness import SessionWitness
from teagent.model.announcement import Override, Signal, signal_community
from teagent.model.bgp import LargeCommunity, Prefix
from teagent.model.link import NoData
from teagent.model.witness import Sighting
from teagent.ports import Witness
from tests.fakes import bmp as b
from tests.fakes.bgp_router import BgpRouter
from tests.fakes.clock import FakeClock
from tests.fakes.speaker import FakeSpeaker
from tests.fakes.until import until
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
    silence: str
    session_up: bool | None

    async def take(self) -> None: ...
    async def drop(self) -> None: ...
    async def go_home(self) -> None: ...
    async def fall_silent(self) -> None: ...


class InMemory:
    silence = "sends no BMP: "
    session_up = True

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
    silence: str = "sends no BMP: "
    session_up: bool | None = True

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


class OnASession:
    """A second iBGP session: the router tells its best routes, whatever they are."""

    silence = "has no witness session: "
    session_up = None

    def __init__(self, router: BgpRouter, witness: SessionWitness) -> None:
        self._router, self.witness = router, witness

    async def _tell(self, *messages: bytes) -> None:
        wanted = self.witness.health()[0].messages + len(messages)
        await self._router.tell(*messages)
        await until(lambda: self.witness.health()[0].messages >= wanted)

    async def begin(self) -> None:
        await until(lambda: self.witness.health()[0].connected)
        await self._tell(b.update([str(HEAVY), str(OTHER)]), b.end_of_rib())

    async def take(self) -> None:
        large = [(c.global_admin, c.function, c.parameter) for c in SIGNALS]
        originator = b.attribute(9, b.ROUTER_ID.packed, flags=0x80)
        await self._tell(b.update([str(HEAVY)], next_hop="192.0.2.254", large=large, more=originator))

    async def drop(self) -> None:
        """It goes on to prefer its own."""

    async def go_home(self) -> None:
        await self._tell(b.update([str(HEAVY)]))

    async def fall_silent(self) -> None:
        self._router.hang_up()
        await until(lambda: not self.witness.health()[0].connected)


@asynccontextmanager
async def on_a_session() -> AsyncIterator[OnASession]:
    router = BgpRouter(asn=int(NETWORK.asn))
    await router.start()
    here = ip_address("127.0.0.1")
    ends = SessionEnds(router="edge1", neighbor=here, local_address=here, identifier=IPv4Address("192.0.2.251"))
    witness = SessionWitness(
        [ends], asn=int(NETWORK.asn), prefixes=[HEAVY, OTHER], clock=SystemClock(), port=router.port
    )
    await witness.start()
    stage = OnASession(router, witness)
    await stage.begin()
    yield stage
    await witness.stop()
    await router.stop()


@pytest_asyncio.fixture(params=["in memory", "bmp over tcp", "on a session"])
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    if request.param == "in memory":
        yield InMemory()
        return
    if request.param == "on a session":
        async with on_a_session() as stage:
            yield stage
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


def held(stage: Stage, prefix: Prefix = HEAVY) -> frozenset[LargeCommunity]:
    """Of the override that the router has; empty where it has none."""
    found = stage.witness.sighting("edge1", prefix)
    assert isinstance(found, Sighting)
    assert found.tells_accepted or found.tells_selected
    route = found.accepted if found.tells_accepted else found.selected
    return frozenset() if route is None else route.large_communities


async def test_at_home_nothing_is_held_and_nothing_is_missing(stage: Stage) -> None:
    found = seen(stage)
    assert (found.session_up, found.complete) == (stage.session_up, True)
    assert held(stage) == frozenset()


async def test_what_was_taken_is_held_with_its_signals(stage: Stage) -> None:
    await stage.take()
    assert held(stage) == SIGNALS


async def test_what_was_dropped_is_not_held(stage: Stage) -> None:
    await stage.drop()
    assert held(stage) == frozenset()


async def test_what_was_dropped_was_received_where_that_is_told(stage: Stage) -> None:
    await stage.drop()
    found = seen(stage)
    assert (found.received is not None) is found.tells_received


async def test_what_went_home_is_held_no_more(stage: Stage) -> None:
    await stage.take()
    await stage.go_home()
    assert (seen(stage).received, held(stage)) == (None, frozenset())


async def test_other_prefixes_are_untouched(stage: Stage) -> None:
    await stage.take()
    assert held(stage, OTHER) == frozenset()


async def test_a_router_that_fell_silent_gives_no_data_with_a_reason(stage: Stage) -> None:
    await stage.take()
    await stage.fall_silent()
    found = stage.witness.sighting("edge1", HEAVY)
    assert isinstance(found, NoData)
    assert found.reason.startswith(stage.silence)
    (health,) = stage.witness.health()
    assert not health.connected
    assert health.reason


async def test_a_router_that_is_not_expected_gives_no_data(stage: Stage) -> None:
    assert isinstance(stage.witness.sighting("edge9", HEAVY), NoData)


async def test_health_names_the_router_and_its_session_with_the_speaker_where_it_tells_of_it(stage: Stage) -> None:
    (health,) = stage.witness.health()
    assert (health.router, health.connected, health.told) == ("edge1", True, True)
    assert [session.up for session in health.sessions] == ([True] if stage.session_up else [])
