"""Relay, ExaBGP and BIRD 2 as border router with the generated configuration, and a BIRD upstream behind it.

Without root: three addresses of loopback, high ports, no kernel table. What the upstream has is what counts.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from teagent.wire.router_config import BorderLink, BorderRouter, router_config
from tests.integration.exabgp_on_loopback import (
    ALLOW,
    ASN,
    EDGE,
    SPEAKER,
    ExabgpOnLoopback,
    exabgp_on_loopback,
    free_port,
    until,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("bird") is None, reason="bird is not installed"),
]

PREFIX = "198.51.100.0/24"
PREFIX6 = "2001:db8:100::/44"
DUAL = {
    **ALLOW,
    "prefixes": [*ALLOW["prefixes"], {"prefix": PREFIX6}],
    "next_hop": {"ipv4": "192.0.2.254", "ipv6": "2001:db8:ffff::254"},
    "neighbors": [{"address": EDGE, "families": ["ipv4", "ipv6"]}],
}
UPSTREAM = "127.0.0.3"
UPSTREAM_ASN = 64510


class Bird:
    def __init__(self, directory: Path, name: str, config: str) -> None:
        self._directory = directory
        self._name = name
        (directory / f"{name}.conf").write_text(config)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        log = (self._directory / f"{self._name}.log").open("wb")
        with log:
            self._process = subprocess.Popen(
                ["bird", "-f", "-c", f"{self._name}.conf", "-s", f"{self._name}.ctl", "-P", f"{self._name}.pid"],
                cwd=self._directory,
                stdout=log,
                stderr=log,
            )
        until((self._directory / f"{self._name}.ctl").exists, what=f"bird {self._name}")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def ask(self, *words: str) -> str:
        """What birdc prints; it exits with 1 where a network is not found, which is an answer too."""
        return subprocess.run(
            ["birdc", "-s", f"{self._name}.ctl", *words],
            cwd=self._directory,
            capture_output=True,
            text=True,
            check=False,
            timeout=10,
        ).stdout


class Network:
    def __init__(self, exabgp: ExabgpOnLoopback, edge: Bird, upstream: Bird) -> None:
        self.exabgp = exabgp
        self.edge = edge
        self.upstream = upstream

    def path(self, prefix: str = PREFIX) -> str | None:
        """The AS path of the prefix at the upstream, None where it has none."""
        found = re.search(r"BGP\.as_path: ([0-9 ]*)", self.upstream.ask("show", "route", prefix, "all"))
        return found[1].strip() if found else None

    def withdrawals(self) -> int:
        """How many the upstream has received from the edge."""
        counts = re.search(r"Import withdraws:\s+(\d+)", self.upstream.ask("show", "protocols", "all", "edge"))
        assert counts is not None
        return int(counts[1])

    def announce(self, a: int | None, *, prefix: str = PREFIX, deadline: float | None = None) -> dict:
        signal_a = {"link_id": 1, "withhold": True} if a is None else {"link_id": 1, "prepend": a}
        signals = [signal_a, {"link_id": 2, "prepend": 0}]
        return self.exabgp.ask("announce", prefix=prefix, signals=signals, owner="p-1", deadline=deadline)

    def until_path(self, path: str | None, *, prefix: str = PREFIX, seconds: float = 10) -> None:
        until(lambda: self.path(prefix) == path, seconds=seconds, what=f"{prefix} with path {path}")


def edge_config(port: int, upstream_port: int) -> str:
    router = BorderRouter(
        name="edge",
        asn=ASN,
        speaker=ip_address(SPEAKER),
        links=(BorderLink(name="transit-a", link_id=1, neighbor=ip_address(UPSTREAM)),),
        prefixes=tuple(ip_network(row["prefix"]) for row in DUAL["prefixes"]),
        next_hop_ipv4=ip_address("192.0.2.254"),
        next_hop_ipv6=ip_address("2001:db8:ffff::254"),
    )
    generated = router_config(router, "bird")
    listening = f"local as {ASN};"
    assert generated.count(listening) == 1
    return f"""
router id 192.0.2.1;
protocol device {{}}
protocol static home {{ ipv4; route 198.51.100.0/24 blackhole; route 203.0.113.0/24 blackhole; }}
protocol static home6 {{ ipv6; route {PREFIX6} blackhole; }}
{generated.replace(listening, f"local {EDGE} port {port} as {ASN}; strict bind;")}
filter to_a {{
  teagent_export_1();
  if proto = "home" then accept;
  reject;
}}
protocol bgp a {{
  local {EDGE} as {ASN};
  neighbor {UPSTREAM} port {upstream_port} as {UPSTREAM_ASN};
  multihop;
  connect delay time 1; connect retry time 1; error wait time 1, 2;
  ipv4 {{ import none; export filter to_a; next hop self; }};
}}
"""


def upstream_config(port: int) -> str:
    return f"""
router id 192.0.2.3;
protocol device {{}}
protocol bgp edge {{
  local {UPSTREAM} port {port} as {UPSTREAM_ASN}; strict bind;
  neighbor {EDGE} as {ASN};
  multihop; passive;
  ipv4 {{ import all; export none; }};
}}
"""


@pytest.fixture(scope="module")
def running() -> Iterator[Network]:
    port, upstream_port = free_port(), free_port()
    with exabgp_on_loopback(port=port, allow=DUAL, families=("ipv4", "ipv6")) as exabgp:
        edge = Bird(exabgp.directory, "edge", edge_config(port, upstream_port))
        upstream = Bird(exabgp.directory, "up", upstream_config(upstream_port))
        try:
            upstream.start()
            edge.start()
            exabgp.start()
            network = Network(exabgp, edge, upstream)
            exabgp.ready(session="up", seconds=60)
            network.until_path("64500", seconds=30)
            yield network
        finally:
            edge.stop()
            upstream.stop()


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
