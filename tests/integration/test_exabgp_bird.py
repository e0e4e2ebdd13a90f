"""Relay, ExaBGP and BIRD 2 as border router with the generated configuration, and a BIRD upstream behind it.

Without root: three addresses of loopback, high ports, no kernel table. What the upstream has is what counts.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, ip_address, ip_network

import pytest

from teagent.adapters.clock import SystemClock
from teagent.adapters.ibgp.session import SessionEnds
from teagent.adapters.ibgp.witness import SessionWitness
from teagent.model.bgp import LargeCommunity
from teagent.model.witness import Sighting
from tests.fakes.until import until as until_async
from tests.integration.bird_network import DUAL, PREFIX, PREFIX6, WITNESS, Network, bird_network
from tests.integration.exabgp_on_loopback import ASN, EDGE, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("bird") is None, reason="bird is not installed"),
]


@pytest.fixture(scope="module")
def running() -> Iterator[Network]:
    with bird_network() as network:
        yield network


@pytest.fixture
def network(running: Network) -> Iterator[Network]:
    running.exabgp.ready(session="up", seconds=60)
    yield running
    running.exabgp.ready(session="up", seconds=60)
    for held in running.exabgp.state()["overrides"]:
        running.exabgp.ask("withdraw", prefix=held["prefix"], owner="test")
    running.until_path("64500")


@pytest.mark.parametrize(("prepends", "path"), [(0, "64500"), (1, "64500 64500"), (3, "64500 64500 64500 64500")])
def test_a_signal_becomes_as_many_prepends_at_the_upstream(network, prepends, path):
    assert network.announce(prepends)["ok"]
    network.until_path(path)
    assert network.exabgp.ask("withdraw", prefix=PREFIX, owner="p-1")["ok"]
    network.until_path("64500")


def test_withholding_takes_the_prefix_from_that_upstream_and_only_that_prefix(network):
    assert network.announce(None)["ok"]
    network.until_path(None)
    assert network.path("203.0.113.0/24") == "64500"


def test_no_community_of_ours_reaches_the_upstream(network):
    assert network.announce(2)["ok"]
    network.until_path("64500 64500 64500")
    assert "large_community" not in network.upstream.ask("show", "route", PREFIX, "all")
    assert "(64500, 1, 12)" in network.edge.ask("show", "route", PREFIX, "all")


def test_an_override_stays_out_of_the_table_that_feeds_the_kernel(network):
    assert network.announce(2)["ok"]
    network.until_path("64500 64500 64500")
    assert "large_community" not in network.edge.ask("show", "route", "table", "teagent_fib4", PREFIX, "all")


def test_a_killed_exabgp_and_its_restart_withdraw_nothing(network):
    assert network.announce(1)["ok"]
    network.until_path("64500 64500")
    before = network.withdrawals()
    network.exabgp.kill()
    time.sleep(1)
    assert network.path() == "64500 64500"
    network.exabgp.start()
    assert network.exabgp.ready(session="up", seconds=60)["counters"]["replays"] == 1
    time.sleep(1)
    assert network.path() == "64500 64500"
    assert network.withdrawals() == before


def test_an_unconfirmed_override_goes_home_by_itself(network):
    assert network.announce(1, deadline=time.time() + 2)["ok"]
    network.until_path("64500 64500", seconds=2)
    network.until_path("64500")


def test_a_killed_relay_leaves_the_route_and_its_successor_sends_nothing(network):
    assert network.announce(1)["ok"]
    network.until_path("64500 64500")
    pid = network.exabgp.relay_pid()
    os.kill(pid, signal.SIGKILL)
    state = network.exabgp.eventually(lambda s: s["in_step"] and s["uptime_seconds"] < 10, what="a successor")
    assert state["overrides"][0]["acked"]
    assert state["counters"].get("replays", 0) == 0
    assert network.path() == "64500 64500"


def test_ipv6_over_the_ipv4_session_beats_home_and_stays_out_of_the_fib(network):
    assert network.announce(2, prefix=PREFIX6)["ok"]
    shown = until(
        lambda: "(64500, 1, 12)" in (told := network.edge.ask("show", "route", PREFIX6, "primary", "all")) and told,
        what="the override as best route",
    )
    assert "BGP.next_hop: 2001:db8:ffff::254" in shown
    assert "home6" in network.edge.ask("show", "route", "table", "teagent_fib6", PREFIX6, "all")
    assert "large_community" not in network.edge.ask("show", "route", "table", "teagent_fib6", PREFIX6, "all")
    assert network.exabgp.ask("withdraw", prefix=PREFIX6, owner="p-1")["ok"]
    until(lambda: "large_community" not in network.edge.ask("show", "route", PREFIX6, "all"), what="home")


def test_on_a_witness_session_bird_tells_its_best_route_and_hears_none(network):
    """In both families over one session: home, the override with its signals, and home again."""

    async def live() -> list[tuple[bool | None, frozenset[LargeCommunity]]]:
        here = SessionEnds(
            router="edge",
            neighbor=ip_address(EDGE),
            local_address=ip_address(WITNESS),
            identifier=IPv4Address("192.0.2.4"),
        )
        prefixes = [ip_network(PREFIX), ip_network(PREFIX6)]
        witness = SessionWitness([here], asn=ASN, prefixes=prefixes, clock=SystemClock(), port=network.port)
        await witness.start()
        try:
            found = [await told(witness, lambda seen: seen.complete)]
            for prefix in (PREFIX, PREFIX6):
                assert (await asyncio.to_thread(network.announce, 1, prefix=prefix))["ok"]
            found.append(await told(witness, lambda seen: seen.home is None))
            for prefix in (PREFIX, PREFIX6):
                withdraw = {"prefix": prefix, "owner": "p-1"}
                assert (await asyncio.to_thread(network.exabgp.ask, "withdraw", **withdraw))["ok"]
            found.append(await told(witness, lambda seen: seen.home is True))
            heard = await asyncio.to_thread(network.edge.ask, "show", "protocols", "all", "teagent_witness")
            assert re.findall(r"Import updates:\s+(\d+)", heard) == ["0", "0"]
            return found
        finally:
            await witness.stop()

    signals = frozenset({LargeCommunity(ASN, 1, 11), LargeCommunity(ASN, 1, 20)})
    assert asyncio.run(live()) == [(True, frozenset()), (None, signals), (True, frozenset())]


async def told(
    witness: SessionWitness, enough: Callable[[Sighting], bool]
) -> tuple[bool | None, frozenset[LargeCommunity]]:
    """Whether home is best, and the signals of the best route; the same of both prefixes."""

    def all_enough() -> bool:
        seen = [witness.sighting("edge", ip_network(prefix)) for prefix in (PREFIX, PREFIX6)]
        return all(isinstance(each, Sighting) and enough(each) for each in seen)

    await until_async(all_enough)
    rows = set()
    for prefix in (PREFIX, PREFIX6):
        seen = witness.sighting("edge", ip_network(prefix))
        assert isinstance(seen, Sighting)
        assert seen.selected is not None
        rows.add((seen.home, seen.selected.large_communities))
    (row,) = rows
    return row


def test_standard_communities_are_read_back_from_exabgp_as_they_were_given(network):
    network.exabgp.allow.write_text(json.dumps({**DUAL, "signals": "standard"}))
    try:
        network.exabgp.eventually(
            lambda s: s["in_step"] and s["allow_list"]["digest"] == _digest(network), what="the new list"
        )
        assert network.announce(None)["ok"]
        os.kill(network.exabgp.relay_pid(), signal.SIGKILL)
        state = network.exabgp.eventually(lambda s: s["in_step"] and s["uptime_seconds"] < 10, what="a successor")
        assert state["counters"].get("replays", 0) == 0
        assert state["counters"].get("foreign_routes_withdrawn", 0) == 0
        assert "community [ 64500:19 64500:20 ]" in network.exabgp.log()
    finally:
        network.exabgp.ask("withdraw", prefix=PREFIX, owner="p-1")
        network.exabgp.allow.write_text(json.dumps(DUAL))
        network.exabgp.eventually(
            lambda s: s["in_step"] and s["allow_list"]["digest"] == _digest(network), what="the old list"
        )


def _digest(network: Network) -> str:
    return hashlib.sha256(network.exabgp.allow.read_bytes()).hexdigest()
