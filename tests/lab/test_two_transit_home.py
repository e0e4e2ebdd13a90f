"""The two-transit lab as it is without teagent, and the edge's answer to signals from a real ExaBGP."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from labs.runner import NodeProcess
from labs.scenario import (
    Traffic,
    announced_routes,
    as_paths,
    load_scenario,
    loss_towards,
    received_paths,
    wait_for_paths,
)
from labs.traffic import rate_bps
from tests.lab.conftest import RunningLab

pytestmark = pytest.mark.lab

SCENARIO = load_scenario(Path(__file__).resolve().parents[2] / "labs" / "two-transit" / "scenario.yaml")
LINK_IDS = {link.name: link.link_id for link in SCENARIO.links}


def until(holds: Callable[[], Any], *, seconds: float = 20.0) -> Any:
    """The first true answer; fails the test when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (answer := holds()):
        assert time.monotonic() < deadline, f"not within {seconds:g}s"
        time.sleep(0.1)
    return answer


class Speaker:
    """ExaBGP in the management node; it reads its commands from a file that `tail` follows as its API process."""

    CONFIG = """
process commands {{ run /usr/bin/tail -n +1 -F {commands}; encoder json; }}
neighbor {router} {{
    router-id {speaker}; local-address {speaker}; local-as {asn}; peer-as {asn}; hold-time 30;
    family {{ ipv4 unicast; }}
    api {{ processes [ commands ]; }}
}}
"""

    def __init__(self, running: RunningLab, directory: Path) -> None:
        self._running = running
        self._commands = directory / "commands"
        self._commands.touch()
        signal_ = SCENARIO.raw["signal"]
        self._config = directory / "exabgp.conf"
        self._config.write_text(
            self.CONFIG.format(
                commands=self._commands, router=signal_["router"], speaker=signal_["speaker"], asn=SCENARIO.local_asn
            )
        )
        self._said: set[str] = set()
        self._process: NodeProcess | None = None

    def start(self) -> None:
        """Does nothing while it runs; it takes ExaBGP some 5 s to come up."""
        if self._process is not None:
            return
        self._commands.write_text("")
        exabgp = shutil.which("exabgp", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        assert exabgp is not None, "exabgp is a dependency of the project"
        self._process = self._running.lab.node("mgmt").popen(
            [exabgp, "server", str(self._config)],
            env={"exabgp_daemon_user": "root", "exabgp_api_cli": "false", "exabgp_log_all": "false"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until(self.established, seconds=30)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = None
        self._said.clear()

    def established(self) -> bool:
        return self._neighbor().get("bgpState") == "Established"

    def refused(self) -> set[str]:
        """The prefixes that came from ExaBGP and that the edge's inbound policy holds back."""
        found = self._edge(f"show bgp ipv4 unicast neighbors {self._address} received-routes json")
        taken = self._edge(f"show bgp ipv4 unicast neighbors {self._address} routes json")
        return set(found.get("receivedRoutes", {})) - set(taken.get("routes", {}))

    def say(self, *lines: str) -> None:
        with self._commands.open("a") as file:
            file.writelines(f"{line}\n" for line in lines)

    def announce(self, prefix: str, *large_communities: str) -> None:
        communities = f" large-community [ {' '.join(large_communities)} ]" if large_communities else ""
        self._said.add(prefix)
        self.say(f"announce route {prefix} next-hop {SCENARIO.raw['signal']['next_hop']}{communities}")

    def withdraw_all(self) -> None:
        for prefix in sorted(self._said):
            self.withdraw(prefix)
        self._said.clear()

    def withdraw(self, prefix: str) -> None:
        self.say(f"withdraw route {prefix} next-hop {SCENARIO.raw['signal']['next_hop']}")

    @property
    def _address(self) -> str:
        return str(SCENARIO.raw["signal"]["speaker"])

    def _neighbor(self) -> Any:
        return self._edge(f"show bgp neighbors {self._address} json").get(self._address, {})

    def _edge(self, command: str) -> Any:
        return json.loads(self._running.lab.node("edge").run(["vtysh", "-c", command]).stdout)


@pytest.fixture(scope="module")
def exabgp(two_transit: RunningLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Speaker]:
    speaker = Speaker(two_transit, tmp_path_factory.mktemp("exabgp"))
    yield speaker
    speaker.kill()


@pytest.fixture
def speaker(two_transit: RunningLab, exabgp: Speaker) -> Iterator[Speaker]:
    """A speaker with its session up that says nothing yet; what a test makes it say is taken back."""
    exabgp.start()
    yield exabgp
    exabgp.withdraw_all()
    wait_for_paths(two_transit.lab, SCENARIO, SCENARIO.home)


def signals(prepends: dict[str, int | None]) -> list[str]:
    asn = SCENARIO.local_asn
    return [
        f"{asn}:2:{LINK_IDS[link]}" if count is None else f"{asn}:1:{LINK_IDS[link] * 10 + count}"
        for link, count in prepends.items()
    ]


def test_at_home_each_transit_has_the_paths_of_the_scenario(two_transit: RunningLab) -> None:
    assert received_paths(two_transit.lab, SCENARIO) == SCENARIO.home


def test_the_dual_homed_network_reaches_the_heavy_prefix_over_transit_a(two_transit: RunningLab) -> None:
    def best_as_path() -> str:
        shown = json.loads(two_transit.lab.node("rc").run(["vtysh", "-c", "show bgp ipv4 11.0.0.0/24 json"]).stdout)
        best = next((path for path in shown.get("paths", ()) if path.get("bestpath", {}).get("overall")), None)
        return best["aspath"]["string"] if best is not None else "no route"

    # at home means at the transits: this network is one hop further, and hears of it from them later
    until(lambda: best_as_path() == "64501 65000")


def test_the_overloaded_link_loses_packets_at_home_and_the_other_does_not(
    two_transit: RunningLab, tmp_path: Path
) -> None:
    counter = "cat /sys/class/net/{}/statistics/rx_bytes"
    edge = two_transit.lab.node("edge")
    with Traffic(two_transit.lab, SCENARIO, seconds=7, directory=tmp_path) as traffic:
        time.sleep(2)
        started = time.monotonic()
        before = {link.name: int(edge.run(counter.format(link.interface)).stdout) for link in SCENARIO.links}
        time.sleep(4)
        after = {link.name: int(edge.run(counter.format(link.interface)).stdout) for link in SCENARIO.links}
        seconds = time.monotonic() - started
        told = traffic.finish()
    for bound in SCENARIO.home_loss:
        lost = loss_towards(told[bound.host], bound.prefix, skip_seconds=1)
        assert lost is not None, bound
        assert bound.at_least <= lost <= bound.at_most, bound
    for name, bounds in SCENARIO.raw["home"]["carried"].items():
        bps = (after[name] - before[name]) * 8 / seconds
        assert 0.9 * rate_bps(bounds["at_least"]) <= bps <= 1.1 * rate_bps(bounds["at_most"]), name


@pytest.mark.parametrize("case", SCENARIO.raw["signals"], ids=lambda case: f"{case['prefix']} {case['prepends']}")
def test_a_signal_replaces_the_paths_of_its_prefix_alone(
    two_transit: RunningLab, speaker: Speaker, case: dict[str, Any]
) -> None:
    prefix = case["prefix"]
    expected = {link: {**paths, prefix: as_paths(case["as_paths"])[link]} for link, paths in SCENARIO.home.items()}
    speaker.announce(prefix, *signals(case["prepends"]))
    wait_for_paths(two_transit.lab, SCENARIO, expected, timeout_seconds=20)
    speaker.withdraw(prefix)
    wait_for_paths(two_transit.lab, SCENARIO, SCENARIO.home, timeout_seconds=20)


def test_no_signal_community_reaches_a_transit_and_others_do(two_transit: RunningLab, speaker: Speaker) -> None:
    speaker.announce("11.0.0.0/24", "65000:1:11", "65000:1:20", "65000:2:9", "65000:7:1")
    expected = {
        link: {**paths, "11.0.0.0/24": {"transit-a": (65000, 65000), "transit-b": (65000,)}[link]}
        for link, paths in SCENARIO.home.items()
    }
    wait_for_paths(two_transit.lab, SCENARIO, expected, timeout_seconds=20)
    for link in SCENARIO.links:
        assert "11.0.0.0/24" in announced_routes(two_transit.lab, link)
        shown = two_transit.lab.node(link.node).run(["vtysh", "-c", "show bgp ipv4 11.0.0.0/24 json"]).stdout
        ours = next(p for p in json.loads(shown)["paths"] if p["peer"]["peerId"] == link.neighbor)
        assert ours["largeCommunity"]["string"] == "65000:7:1"


@pytest.mark.parametrize(
    ("prefix", "communities"),
    [
        pytest.param("203.0.113.0/24", ["65000:1:10", "65000:1:20"], id="a foreign prefix"),
        pytest.param("11.0.0.0/25", ["65000:1:10", "65000:1:20"], id="a part of ours"),
        pytest.param("10.0.0.0/24", [], id="ours without a signal"),
        pytest.param("10.0.0.0/24", ["65001:1:10", "65000:3:10"], id="ours with somebody else's signal"),
    ],
)
def test_the_edge_refuses(two_transit: RunningLab, speaker: Speaker, prefix: str, communities: list[str]) -> None:
    speaker.announce(prefix, *communities)
    until(lambda: prefix in speaker.refused())
    assert received_paths(two_transit.lab, SCENARIO) == SCENARIO.home


def test_an_override_never_decides_how_the_edge_forwards(two_transit: RunningLab, speaker: Speaker) -> None:
    before = two_transit.lab.node("edge").run("ip route").stdout
    speaker.announce("11.0.0.0/24", "65000:1:13", "65000:1:20")
    until(lambda: received_paths(two_transit.lab, SCENARIO)["transit-a"]["11.0.0.0/24"] == (65000,) * 4)
    assert two_transit.lab.node("edge").run("ip route").stdout == before


def test_killing_the_speaker_brings_home_back(two_transit: RunningLab, speaker: Speaker) -> None:
    speaker.announce("11.0.0.0/24", "65000:1:12", "65000:1:20")
    until(lambda: received_paths(two_transit.lab, SCENARIO)["transit-b"]["11.0.0.0/24"] == (65000,))
    speaker.kill()
    wait_for_paths(two_transit.lab, SCENARIO, SCENARIO.home, timeout_seconds=20)


def test_snmp_is_answered_to_the_management_network_alone(two_transit: RunningLab) -> None:
    alias = ".1.3.6.1.2.1.31.1.1.1.18"
    v2 = ["snmpwalk", "-m", "", "-Ovq", "-v2c", "-c", "public", "192.0.2.65", alias]
    v3 = ["snmpwalk", "-m", "", "-Ovq", "-v3", "-l", "authPriv", "-u", "teagent", "-a", "SHA-256", "-A", "authpass123"]
    v3 += ["-x", "AES", "-X", "privpass123", "192.0.2.65", alias]
    for command in (v2, v3):
        aliases = two_transit.lab.node("mgmt").run(command).stdout.split("\n")
        assert '"transit-A AS64501"' in aliases
        assert '"transit-B AS64502"' in aliases
    refused = two_transit.lab.node("srv").run([*v2[:1], "-t", "1", "-r", "0", *v2[1:]], check=False)
    assert refused.returncode != 0


def test_flows_of_what_comes_in_reach_the_collector(two_transit: RunningLab, tmp_path: Path) -> None:
    """Each flow is told of within seconds, with the interface it came in by; what goes out is not told of."""
    mgmt = two_transit.lab.node("mgmt")
    mgmt.run("mkdir -p /run/flows")
    collector = mgmt.popen(
        ["nfcapd", "-p", "2055", "-l", "/run/flows"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    with Traffic(two_transit.lab, SCENARIO, seconds=12, directory=tmp_path) as traffic:
        traffic.finish()
    collector.send_signal(signal.SIGTERM)
    collector.wait(timeout=10)
    rows = mgmt.run(["nfdump", "-q", "-R", "/run/flows", "-o", "fmt:%sa,%da,%in,%byt", "-N"]).stdout
    seen = {tuple(cell.strip() for cell in row.split(",")[:3]) for row in rows.splitlines() if row.strip()}
    index = {link: if_index(two_transit, link) for link in ("eth1", "eth2")}
    assert ("198.18.3.10", "11.0.0.10", index["eth1"]) in seen
    assert ("198.18.2.10", "12.0.0.10", index["eth2"]) in seen
    assert not {row for row in seen if row[0].startswith(("10.0.0.", "11.0.0.", "12.0.0."))}


def if_index(two_transit: RunningLab, interface: str) -> str:
    return two_transit.lab.node("edge").run(f"cat /sys/class/net/{interface}/ifindex").stdout.strip()


# a BMP station that is not there yet; and of two connections between neighbours that dial at once, one is dropped
EXPECTED = ("bmp[192.0.2.66]", "Connection reset by peer")


def test_no_daemon_complains_in_its_log(two_transit: RunningLab) -> None:
    for node in ("edge", "ta", "tb", "t1", "rc", "ra", "rb"):
        log = two_transit.lab.node(node).run("cat /var/log/frr/frr.log").stdout
        odd = [line for line in log.splitlines() if re.search(r"error|fail|warn", line, re.IGNORECASE)]
        assert not [line for line in odd if not any(word in line for word in EXPECTED)], node
