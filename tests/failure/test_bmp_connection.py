"""Routers that go away, come back, babble, or are none of ours: what they said before is not taken for the truth."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

import pytest
import pytest_asyncio

from teagent.adapters.bmp import listener as module
from teagent.adapters.bmp.listener import BmpWitness
from teagent.errors import TeagentError
from teagent.model.link import NoData
from teagent.model.witness import Sighting
from teagent.ports import WitnessHealth
from teagent.service.witness_log import WitnessLog
from tests.fakes import bmp as b
from tests.fakes.clock import FakeClock
from tests.fakes.until import until

pytestmark = pytest.mark.asyncio

PREFIX = ip_network("11.0.0.0/24")
OVERRIDE = b.update(["11.0.0.0/24"], large=[(65000, 1, 11)])
HOME = b.monitoring(b.update(["11.0.0.0/24"], next_hop="0.0.0.0"), "0.0.0.0", view="post_policy")
BEGIN = (b.initiation(), b.peer_up())
END = (b.monitoring(b.end_of_rib()),)
HELD = [b.monitoring(OVERRIDE, view=view) for view in ("pre_policy", "post_policy")]


@dataclass
class Setting:
    witness: BmpWitness
    clock: FakeClock

    @asynccontextmanager
    async def router(self, *messages: bytes) -> AsyncIterator[asyncio.StreamWriter]:
        _, writer = await asyncio.open_connection("127.0.0.1", self.witness.port)
        try:
            if messages:
                await self.tell(writer, *messages)
            yield writer
        finally:
            writer.close()

    async def tell(self, writer: asyncio.StreamWriter, *messages: bytes) -> None:
        writer.write(b"".join(messages))
        before = self.health().messages
        await until(lambda: self.health().messages >= before + len(messages))

    def health(self) -> WitnessHealth:
        (health,) = self.witness.health()
        return health

    def seen(self) -> Sighting | NoData:
        return self.witness.sighting("edge", PREFIX)


def witness(clock: FakeClock, *, router: str = "127.0.0.1", resync_seconds: float | None = None) -> BmpWitness:
    return BmpWitness(
        host="127.0.0.1",
        port=0,
        routers={ip_address(router): "edge"},
        prefixes=[PREFIX],
        speaker=ip_address("192.0.2.66"),
        clock=clock,
        resync_seconds=resync_seconds,
    )


@pytest_asyncio.fixture
async def setting(clock: FakeClock) -> AsyncIterator[Setting]:
    setting = Setting(witness(clock), clock)
    await setting.witness.start()
    yield setting
    await setting.witness.stop()


@pytest_asyncio.fixture
async def resyncing(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Setting]:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    setting = Setting(witness(clock, resync_seconds=60), clock)
    await setting.witness.start()
    yield setting
    await setting.witness.stop()


async def test_a_router_that_went_away_says_nothing_any_more(setting: Setting) -> None:
    async with setting.router(*BEGIN, *HELD, *END):
        assert isinstance(setting.seen(), Sighting)
    await until(lambda: not setting.health().connected)
    seen = setting.seen()
    assert isinstance(seen, NoData)
    assert seen.reason == "sends no BMP: the router closed the connection"


async def test_a_router_says_why_it_closes(setting: Setting) -> None:
    async with setting.router(*BEGIN, b.termination(0)):
        pass
    await until(lambda: not setting.health().connected)
    assert setting.health().reason == "the router closed the connection: administratively closed"


async def test_what_a_router_said_on_its_last_connection_is_forgotten(setting: Setting) -> None:
    async with setting.router(*BEGIN, *HELD, *END):
        pass
    await until(lambda: not setting.health().connected)
    async with setting.router(*BEGIN, *END):
        seen = setting.seen()
        assert isinstance(seen, Sighting)
        assert (seen.received, seen.accepted) == (None, None)


async def test_of_two_connections_the_newer_counts(setting: Setting) -> None:
    async with setting.router(*BEGIN, *HELD, *END), setting.router(*BEGIN, *END):
        seen = setting.seen()
        assert setting.health().connected
        assert isinstance(seen, Sighting)
        assert seen.accepted is None


async def test_a_connection_that_was_replaced_counts_once(setting: Setting) -> None:
    async with setting.router(*BEGIN, *END) as old, setting.router(*BEGIN):
        old.close()
        await until(lambda: setting.health().messages == len(BEGIN) * 2 + len(END))


async def test_what_is_no_bmp_ends_the_connection_and_is_counted(setting: Setting) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", setting.witness.port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    assert await reader.read() == b""
    writer.close()
    assert setting.health().undecoded == 1
    assert setting.health().reason.startswith("what it sends is no bmp: bmp message of version 71")


async def test_messages_that_make_no_sense_are_counted_and_the_rest_is_read(setting: Setting) -> None:
    nonsense = (b.message(0, b"short"), b.message(99, b"?"), b.message(0, b.peer() + b"no update"))
    async with setting.router(*BEGIN, *nonsense, *HELD, *END):
        assert setting.health().undecoded == 3
        seen = setting.seen()
        assert isinstance(seen, Sighting)
        assert seen.accepted is not None


async def test_strangers_are_refused_and_named(clock: FakeClock) -> None:
    refusing = witness(clock, router="192.0.2.65")
    await refusing.start()
    for _ in range(3):
        reader, writer = await asyncio.open_connection("127.0.0.1", refusing.port)
        assert await reader.read() == b""
        writer.close()
    assert refusing.counters["strangers"] == 3
    assert refusing.strangers() == {"127.0.0.1"}
    await refusing.stop()


async def test_a_flood_of_other_prefixes_leaves_nothing_behind(setting: Setting) -> None:
    floods = [b.monitoring(b.update([f"{10 + n % 100}.{n // 100}.{m}.0/24" for m in range(100)])) for n in range(300)]
    async with setting.router(*BEGIN, *HELD, *floods, *END):
        assert setting.health().routes == 2


async def test_a_router_is_made_to_tell_its_table_anew_and_nothing_is_doubted_meanwhile(resyncing: Setting) -> None:
    async with resyncing.router(*BEGIN, *HELD, HOME, *END):
        resyncing.clock.advance(61)
        await until(lambda: resyncing.health().reason != "")
        assert resyncing.health().connected
        old = resyncing.seen()
        assert isinstance(old, Sighting)
        assert old.accepted is not None
        assert old.complete is False
    async with resyncing.router(*BEGIN, *HELD, HOME, *END):
        seen = resyncing.seen()
        assert isinstance(seen, Sighting)
        assert seen.home is True


async def test_a_router_that_never_pauses_is_made_to_tell_its_table_anew_too(
    resyncing: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 1000.0)
    async with resyncing.router(*BEGIN, *HELD, HOME, *END) as router:
        resyncing.clock.advance(61)
        await resyncing.tell(router, b.statistics({0: 1}))
        await until(lambda: resyncing.health().reason != "")
        assert resyncing.health().reason == "told to begin anew"


async def test_a_router_that_does_not_come_back_to_tell_is_lost(resyncing: Setting) -> None:
    async with resyncing.router(*BEGIN, *HELD, *END):
        resyncing.clock.advance(61)
        await until(lambda: resyncing.health().reason != "")
    resyncing.clock.advance(module.GRACE_SECONDS + 1)
    assert isinstance(resyncing.seen(), NoData)


async def test_a_table_that_takes_long_to_tell_again_is_not_answered_for_by_the_one_before(resyncing: Setting) -> None:
    async with resyncing.router(*BEGIN, *HELD, *END):
        resyncing.clock.advance(61)
        await until(lambda: resyncing.health().reason != "")
    async with resyncing.router(*BEGIN):
        assert isinstance(resyncing.seen(), Sighting)
        resyncing.clock.advance(module.GRACE_SECONDS + 1)
        assert isinstance(resyncing.seen(), NoData)


async def test_home_is_missed_after_a_second_table_without_it(resyncing: Setting) -> None:
    found = []
    for messages in ((HOME,), (), ()):
        async with resyncing.router(*BEGIN, *HELD, *messages, *END):
            seen = resyncing.seen()
            assert isinstance(seen, Sighting)
            found.append(seen.home)
            resyncing.clock.advance(61)
            await until(lambda: resyncing.health().reason != "")
    assert found == [True, None, False]


async def test_a_port_that_is_taken_is_said_so(setting: Setting, clock: FakeClock) -> None:
    second = BmpWitness(
        host="127.0.0.1",
        port=setting.witness.port,
        routers={},
        prefixes=[],
        speaker=ip_address("192.0.2.66"),
        clock=clock,
    )
    with pytest.raises(TeagentError, match=r"bmp cannot be received on 127\.0\.0\.1"):
        await second.start()


async def test_who_tells_and_who_does_not_is_logged_once(setting: Setting, capsys: pytest.CaptureFixture[str]) -> None:
    log = WitnessLog(setting.witness)
    async with setting.router(*BEGIN):
        log.look()
        log.look()
    await until(lambda: not setting.health().connected)
    log.look()
    log.look()
    said = capsys.readouterr().out
    assert said.count("router tells what it holds") == 1
    assert said.count("router tells no more") == 1
