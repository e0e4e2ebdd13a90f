"""ExaBGP with the relay, BIRD 2 as border router with the generated configuration, a BIRD upstream behind it.

Without root: three addresses of loopback, high ports, no kernel table. What the upstream has is what counts. Several
may run at once: no session listens on port 179, of which there is one.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address, ip_network
from pathlib import Path

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

PREFIX = "198.51.100.0/24"
PREFIX6 = "2001:db8:100::/44"
DUAL = {
    **ALLOW,
    "prefixes": [*ALLOW["prefixes"], {"prefix": PREFIX6}],
    "next_hop": {"ipv4": "192.0.2.254", "ipv6": "2001:db8:ffff::254"},
    "neighbors": [{"address": EDGE, "families": ["ipv4", "ipv6"]}],
}
UPSTREAM = "127.0.0.3"
WITNESS = "127.0.0.4"
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
    def __init__(self, exabgp: ExabgpOnLoopback, edge: Bird, upstream: Bird, *, port: int) -> None:
        """`port`: on which the edge listens."""
        self.port = port
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
        witness=ip_address(WITNESS),
    )
    generated = router_config(router, "bird")
    listening = f"local as {ASN};"
    assert generated.count(listening) == 2
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
  local {EDGE} port {port} as {ASN}; strict bind;
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


@contextmanager
def bird_network() -> Iterator[Network]:
    port, upstream_port = free_port(), free_port()
    with exabgp_on_loopback(port=port, allow=DUAL, families=("ipv4", "ipv6")) as exabgp:
        edge = Bird(exabgp.directory, "edge", edge_config(port, upstream_port))
        upstream = Bird(exabgp.directory, "up", upstream_config(upstream_port))
        try:
            upstream.start()
            edge.start()
            exabgp.start()
            network = Network(exabgp, edge, upstream, port=port)
            exabgp.ready(session="up", seconds=60)
            network.until_path("64500", seconds=30)
            yield network
        finally:
            edge.stop()
            upstream.stop()
