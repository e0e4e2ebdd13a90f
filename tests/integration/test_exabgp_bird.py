"""Relay, ExaBGP and BIRD 2 as border router with the generated configuration, and a BIRD upstream behind it.

Without root: three addresses of loopback, high ports, no kernel table. What the upstream has is what counts.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator

import pytest

from tests.integration.bird_network import DUAL, PREFIX, PREFIX6, Network, bird_network
from tests.integration.exabgp_on_loopback import until

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
