"""A witness session that breaks, is refused, or babbles proves nothing, and nothing is ever announced on it."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, ip_address, ip_network

import pytest

from teagent.adapters.ibgp.session import TOLD_AFTER_SECONDS, SessionEnds
from teagent.adapters.ibgp.witness import SessionWitness
from teagent.model.link import NoData
from teagent.model.witness import Sighting
from teagent.ports import WitnessHealth
from teagent.wire.bgp_session import CEASE, SHUTDOWN, encode_notification, encode_open
from tests.fakes import bmp as b
from tests.fakes.bgp_router import BgpRouter
from tests.fakes.clock import FakeClock
from tests.fakes.until import until

pytestmark = pytest.mark.asyncio

ASN = 65000
PREFIX, SIX = ip_network("11.0.0.0/24"), ip_network("2001:db8:11::/48")
OPEN, UPDATE, NOTIFICATION, KEEPALIVE = 1, 2, 3, 4
HOME = b.update(["11.0.0.0/24"])
HERE = ip_address("127.0.0.1")


class Setting:
    def __init__(self, witness: SessionWitness, clock: FakeClock, router: BgpRouter) -> None:
        self.witness, self.clock, self.router = witness, clock, router

    def health(self) -> WitnessHealth:
        (health,) = self.witness.health()
        return health

    def seen(self, prefix: object = PREFIX) -> Sighting | NoData:
        return self.witness.sighting("edge", prefix)  # type: ignore[arg-type]

    async def up(self) -> None:
        await until(lambda: self.health().connected)

    async def told(self) -> None:
        await self.up()
        await self.router.tell(HOME, b.end_of_rib())
        await until(lambda: isinstance(seen := self.seen(), Sighting) and seen.complete)

    async def ended(self) -> str:
        """Why; the clock goes on, so that what waits for it does not wait for us."""
        await until(lambda: not self.health().connected and self.health().reason != "has not been reached yet")
        return self.health().reason


@asynccontextmanager
async def session(
    clock: FakeClock, router: BgpRouter, *, local: str = "127.0.0.1", port: int | None = None
) -> AsyncIterator[Setting]:
    await router.start()
    ends = SessionEnds(
        router="edge", neighbor=HERE, local_address=ip_address(local), identifier=IPv4Address("192.0.2.251")
    )
    witness = SessionWitness([ends], asn=ASN, prefixes=[PREFIX, SIX], clock=clock, port=port or router.port)
    await witness.start()
    try:
        yield Setting(witness, clock, router)
    finally:
        await witness.stop()
        await router.stop()


@asynccontextmanager
async def told(clock: FakeClock) -> AsyncIterator[Setting]:
    async with session(clock, BgpRouter(asn=ASN)) as setting:
        await setting.told()
        yield setting


async def test_what_a_lost_session_said_counts_no_more(clock: FakeClock) -> None:
    async with told(clock) as setting:
        setting.router.hang_up()
        reason = await setting.ended()
        found = setting.seen()
    assert isinstance(found, NoData)
    assert found.reason == f"has no witness session: {reason}"
    assert reason == "the router closed the connection"


async def test_a_session_that_was_lost_is_made_again_and_told_anew(clock: FakeClock) -> None:
    async with told(clock) as setting:
        setting.router.hang_up()
        await setting.ended()
        await until(lambda: clock.advance(1) and setting.router.connections == 2)
        await setting.up()
        found = setting.seen()
        assert isinstance(found, Sighting)
        assert (found.selected, found.complete) == (None, False)


async def test_a_notification_is_named(clock: FakeClock) -> None:
    async with told(clock) as setting:
        await setting.router.tell(encode_notification(CEASE, SHUTDOWN))
        assert await setting.ended() == "the router closed it: cease, administrative shutdown"


async def test_a_router_that_says_nothing_any_more_is_lost_at_the_end_of_the_hold_time(clock: FakeClock) -> None:
    async with told(clock) as setting:
        clock.advance(29)
        assert isinstance(setting.seen(), Sighting)
        clock.advance(1)
        assert await setting.ended() == "the router has said nothing for 30s"
        await until(lambda: NOTIFICATION in setting.router.heard)


async def test_the_session_is_kept_alive_and_nothing_is_ever_announced_on_it(clock: FakeClock) -> None:
    async with told(clock) as setting:
        for kept in range(1, 4):
            clock.advance(10)
            await setting.router.tell(b.bgp(KEEPALIVE, b""), HOME)
            await until(lambda kept=kept: setting.router.heard.count(KEEPALIVE) >= 1 + kept)  # type: ignore[misc]
        assert setting.health().connected
    await until(lambda: NOTIFICATION in setting.router.heard)
    assert set(setting.router.heard) == {OPEN, KEEPALIVE, NOTIFICATION}


async def test_an_update_that_makes_no_sense_ends_the_session_since_it_may_have_been_of_ours(clock: FakeClock) -> None:
    async with told(clock) as setting:
        await setting.router.tell(b.bgp(UPDATE, b"\xff\xff\xff\xff"))
        assert (await setting.ended()).startswith("an update makes no sense: ")
        assert setting.health().undecoded == 1
        assert isinstance(setting.seen(), NoData)


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (b"GET / HTTP/1.1\r\n\r\n\r\n", "what it sends is no bgp: "),
        (b.bgp(5, b"\0\1\0\1"), "a message of type 5 out of turn"),
    ],
)
async def test_what_is_not_for_a_witness_ends_the_session(clock: FakeClock, octets: bytes, words: str) -> None:
    async with told(clock) as setting:
        await setting.router.tell(octets)
        assert words in await setting.ended()


@pytest.mark.parametrize(
    ("opening", "words"),
    [
        (b.open_(asn=64501), "the router is AS64501 on it, not AS65000"),
        (encode_open(asn=ASN, hold_seconds=2, identifier=b.ROUTER_ID, families=[4]), "a hold time of 2s"),
        (HOME, "a message of type 2 out of turn"),
    ],
)
async def test_a_session_that_may_not_be_is_not(clock: FakeClock, opening: bytes, words: str) -> None:
    async with session(clock, BgpRouter(asn=ASN, opening=opening)) as setting:
        assert words in await setting.ended()
        assert isinstance(setting.seen(), NoData)


async def test_a_router_that_does_not_answer_the_open_is_given_up(clock: FakeClock) -> None:
    router = BgpRouter(asn=ASN)
    router.answers = False
    async with session(clock, router) as setting:
        await until(lambda: router.heard == [OPEN])
        clock.advance(30)
        assert await setting.ended() == "the router has said nothing for 30s"


async def test_a_family_that_the_router_does_not_carry_is_not_taken_for_absent(clock: FakeClock) -> None:
    async with told(clock) as setting:
        found = setting.seen(SIX)
    assert isinstance(found, NoData)
    assert found.reason == "carries no IPv6 on its witness session"


async def test_without_an_end_of_rib_a_table_is_over_after_half_a_minute(clock: FakeClock) -> None:
    async with session(clock, BgpRouter(asn=ASN)) as setting:
        await setting.up()
        assert not setting.health().told
        clock.advance(TOLD_AFTER_SECONDS)
        assert setting.health().told


async def test_an_address_that_is_none_of_this_machine_is_said_and_tried_again(clock: FakeClock) -> None:
    async with session(clock, BgpRouter(asn=ASN), local="192.0.2.251") as setting:
        reason = await setting.ended()
        assert "192.0.2.251" in reason


async def test_a_port_that_is_closed_is_said_so(clock: FakeClock) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    async with session(clock, BgpRouter(asn=ASN), port=port) as setting:
        assert "connect" in await setting.ended()
