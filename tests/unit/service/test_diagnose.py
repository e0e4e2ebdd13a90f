"""The doctor says what is so, what is not, and what nobody can tell; each with a remedy where it is not proven."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address

import pytest
import pytest_asyncio

from teagent.model.diagnosis import Diagnosis, Verdict
from teagent.model.link import LinkKind
from teagent.model.witness import WitnessKind
from teagent.service.diagnose import Doctor
from tests.fakes.clock import FakeClock
from tests.fakes.witness import FakeWitness
from tests.unit.service.deciding import EXPORTER, DecidingWorld
from tests.unit.service.test_exporters import health
from tests.unit.service.world import network

pytestmark = pytest.mark.asyncio

DIGEST = "a" * 64


@pytest_asyncio.fixture
async def world(clock: FakeClock) -> DecidingWorld:
    world = DecidingWorld(clock)
    world.witness = FakeWitness(world.speaker, network(), clock)
    world.witness.home = True
    world.build()
    world.speaker.allow_list = DIGEST
    world.source.health = (health(EXPORTER, "edge1", clock, clock_skew_seconds=1.0),)
    await world.store.start()
    return world


async def examine(
    world: DecidingWorld, *, dry_run: bool = False, signed: Collection[str] = ()
) -> dict[tuple[str, str], Diagnosis]:
    """By check and subject."""
    doctor = Doctor(
        network=world.network,
        neighbors={"edge1": ip_address("192.0.2.65")},
        signed=signed,
        dry_run=dry_run,
        allow_list_digest=DIGEST,
        routes=world.routes,
        prover=world.prover,
        witness=world.witness,
        observer=world.observer,
        ingest=world.ingest,
        exporter_watch=world.ingest._exporter_watch,
        clock_skew_seconds=120,
    )
    return {(each.check, each.subject): each for each in await doctor.examine(world.clock.now())}


async def announced(world: DecidingWorld) -> None:
    """A change that the router holds."""

    async def same(*_: object) -> tuple[str, ...]:
        return ()

    world.approver._recheck = same
    await world.active()


async def wrong(world: DecidingWorld) -> dict[tuple[str, str], str]:
    found = await examine(world)
    return {key: each.message for key, each in found.items() if each.verdict is Verdict.WRONG}


async def test_nothing_is_wrong_with_what_is_right(world: DecidingWorld) -> None:
    await world.windows(2)
    found = await examine(world)
    assert set(await wrong(world)) == {("flows", "b")}  # of which this world's exporter tells nothing
    assert found["relay", "relay"].verdict is Verdict.PROVEN
    assert found["allow_list", "allow_list"].verdict is Verdict.PROVEN
    assert found["session", "192.0.2.65"].verdict is Verdict.PROVEN
    assert found["home", "network"].verdict is Verdict.PROVEN
    assert found["clock", EXPORTER].verdict is Verdict.PROVEN


async def test_all_that_is_not_proven_has_a_remedy(world: DecidingWorld) -> None:
    world.speaker.down = True
    found = (await examine(world)).values()
    assert all(each.remedy for each in found if each.verdict is not Verdict.PROVEN)
    assert not any(each.remedy for each in found if each.verdict is Verdict.PROVEN)


@pytest.mark.parametrize(("kind", "check"), [(WitnessKind.BMP, "bmp"), (WitnessKind.IBGP, "witness_session")])
async def test_a_witness_that_tells_is_proven_and_one_that_does_not_is_wrong(
    world: DecidingWorld, kind: WitnessKind, check: str
) -> None:
    assert world.witness is not None
    world.witness.kind = kind
    assert (await examine(world))[check, check].verdict is Verdict.PROVEN
    world.witness.silent = "it is gone"
    assert (await wrong(world))[check, check].endswith(": it is gone")


async def test_where_there_is_no_witness_it_is_said(world: DecidingWorld) -> None:
    world.witness = None
    world.build()
    assert "neither BMP nor a witness session" in (await examine(world))["bmp", "bmp"].message


async def test_whether_overrides_win_is_assumed_until_a_router_holds_one(world: DecidingWorld) -> None:
    await world.windows(1)
    assert (await examine(world))["wins", "overrides"].verdict is Verdict.ASSUMED
    await announced(world)
    assert (await examine(world))["wins", "overrides"].verdict is Verdict.PROVEN


async def test_an_override_that_a_router_drops_is_wrong(world: DecidingWorld) -> None:
    assert world.witness is not None
    await announced(world)
    world.witness.drops.add("edge1")
    (proposal,) = world.book.live()
    for _ in range(2):  # the watch would take it back; the doctor may come first
        await world.prover.look(proposal, world.clock.advance(5))
    assert "dropped it" in (await wrong(world))["wins", "overrides"]


async def test_what_the_router_makes_of_signals_is_never_said_to_be_proven_from_here(world: DecidingWorld) -> None:
    await announced(world)
    assert (await examine(world))["signals", "a"].verdict is Verdict.ASSUMED


async def test_a_lost_home_is_wrong_and_an_unseen_one_assumed(world: DecidingWorld) -> None:
    assert world.witness is not None
    world.witness.home = False
    assert "does not originate" in (await wrong(world))["home", "network"]
    world.witness.home = None
    assert (await examine(world))["home", "network"].verdict is Verdict.ASSUMED


@pytest.mark.parametrize(("digest", "words"), [("b" * 64, "another allow-list"), (None, "no usable allow-list")])
async def test_another_allow_list_than_the_configuration_s_is_wrong(
    world: DecidingWorld, digest: str | None, words: str
) -> None:
    world.speaker.allow_list = digest
    assert words in (await wrong(world))["allow_list", "allow_list"]


async def test_a_relay_that_is_away_is_wrong_and_what_it_would_tell_is_assumed(world: DecidingWorld) -> None:
    world.speaker.down = True
    found = await examine(world)
    assert found["relay", "relay"].verdict is Verdict.WRONG
    assert found["session", "192.0.2.65"].verdict is Verdict.ASSUMED


@pytest.mark.parametrize(
    ("signed", "asks"),
    [
        (["edge1"], "whether it has the TCP MD5 key of routers.edge1.bgp.md5_password"),
        ([], "whether it wants a TCP MD5 key (routers.edge1.bgp.md5_password)"),
    ],
)
async def test_a_session_that_is_down_may_be_for_want_of_the_same_key(
    world: DecidingWorld, signed: list[str], asks: str
) -> None:
    world.speaker.neighbor = "down"
    found = (await examine(world, signed=signed))["session", "192.0.2.65"]
    assert found.verdict is Verdict.WRONG
    assert asks in found.remedy


async def test_in_a_dry_run_nothing_is_wrong_with_a_relay_that_is_not_asked(world: DecidingWorld) -> None:
    found = await examine(world, dry_run=True)
    assert {found[key].verdict for key in (("relay", "relay"), ("session", "192.0.2.65"))} == {Verdict.ASSUMED}


async def test_a_port_slower_than_the_configured_capacity_is_wrong(world: DecidingWorld) -> None:
    await world.observer.poll()
    slow = {name: replace(each, if_high_speed_bps=10e6) for name, each in world.observer._interfaces.items()}
    world.observer._interfaces = slow
    assert "its interface has 10.0M" in (await wrong(world))["capacity", "a"]


async def test_a_clock_that_is_off_is_wrong(world: DecidingWorld, clock: FakeClock) -> None:
    world.source.health = (health(EXPORTER, "edge1", clock, clock_skew_seconds=-3600.0),)
    assert (await wrong(world))["clock", EXPORTER] == "its clock is -3600s from ours, limit 2m"


async def test_flows_that_are_not_what_the_interface_counts_are_wrong(world: DecidingWorld) -> None:
    await world.run(60)
    world.send(60, towards={"198.51.100.7": 9e6})
    await world.ingest.close_window()
    assert "flows are 10% of what the interface of a counts" in (await wrong(world))["flows", "a"]


async def test_a_transit_link_that_the_transit_alone_sends_by_is_asked_about(world: DecidingWorld) -> None:
    neighbor = int(world.network.links["a"].peer_asn)
    assert (await examine(world))["senders", "a"].verdict is Verdict.ASSUMED
    for asn, towards, verdict, words in (
        (
            neighbor,
            {"198.51.100.7": 60e6},
            Verdict.ASSUMED,
            f"100% of it is sent by AS{neighbor} itself, say its flows",
        ),
        (neighbor, {"198.51.100.7": 50e6, "203.0.113.7": 40e6}, Verdict.PROVEN, "is known of 100% of it"),
        (0, {"198.51.100.7": 60e6}, Verdict.ASSUMED, "is known of 0% of it: predictions are by prefix"),
    ):
        await world.run(60)
        world.send(60, towards=towards, asn=asn)
        await world.ingest.close_window()
        found = await examine(world)
        assert (found["senders", "a"].verdict, words in found["senders", "a"].message) == (verdict, True)
        assert "nothing comes in" in found["senders", "b"].message


async def test_who_sends_by_a_peering_is_not_asked_about(world: DecidingWorld) -> None:
    links = {name: replace(link, kind=LinkKind.PEERING) for name, link in world.network.links.items()}
    world.network = replace(world.network, links=links)
    assert not {key for key in await examine(world) if key[0] == "senders"}


async def test_counters_that_are_not_read_any_more_are_wrong(world: DecidingWorld) -> None:
    await world.windows(1)
    world.clock.advance(timedelta(minutes=10).total_seconds())
    assert "its counters are not read" in (await wrong(world))["snmp", "a"]
