"""A small configuration in a directory of its own, to be bent by each test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from teagent.config.load import load
from teagent.errors import ConfigError

CONFIG = """\
version: 1
local: {asn: 64500, router_id: 192.0.2.250}
prefixes:
  - {prefix: 198.51.100.0/24, tags: [eyeball], engineer: true}
  - {prefix: "2001:db8:100::/44", tags: [eyeball], engineer: true}
  - {prefix: 203.0.113.0/24, tags: [dns], home: {transit-b: withhold}}
routers:
  edge1: {address: 192.0.2.1, snmp: {version: 2c, community: "env:EDGE1"}}
  edge2:
    address: 192.0.2.2
    snmp:
      version: 3
      user: teagent
      auth: {protocol: sha256, key: "env:AUTH"}
      priv: {protocol: aes128, key: "env:PRIV"}
links:
  transit-a: {id: 1, kind: transit, router: edge1, interface: eth0, neighbor: 192.0.2.9, peer_asn: 64510,
              capacity: 10Gbps, price_per_mbps: 0.20}
  transit-b: {id: 2, kind: transit, router: edge2, interface: eth0, neighbor: 192.0.2.17, peer_asn: 64501,
              capacity: 10Gbps, home: {prepend: 1}}
flows:
  listen: [{protocol: netflow, address: "127.0.0.1:2055"}]
bgp:
  local_address: 192.0.2.250
  next_hop: {ipv4: 192.0.2.254, ipv6: "2001:db8::254"}
policies: policies
"""

POLICY = """\
version: 1
policy: balance
match:
  links: {kind: transit}
  prefixes: {tags: [eyeball]}
when: {metric: in_utilisation, above: 80%, for: 15m, clear_below: 70%}
objective: relieve_at_least_cost
allow:
  - {lever: prepend, max: 3}
confirm:
  window: 20m
  settle: 6m
  revert_if:
    - {guard: in_utilisation, above: 95%}
    - {guard: announced_links, below: 2}
    - {guard: no_data, for: 3m}
"""

SECRETS = {"EDGE1": "community-1", "AUTH": "auth-pass-phrase", "PRIV": "priv-pass-phrase"}


class Files:
    """The directory; `bend` replaces text in a file, and insists that the text was there."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config = directory / "config.yaml"
        self.policy = directory / "policies" / "10-balance.yaml"
        self.policy.parent.mkdir()
        self.config.write_text(CONFIG)
        self.policy.write_text(POLICY)

    def bend(self, old: str, new: str, *, policy: bool = False) -> None:
        path = self.policy if policy else self.config
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    def problems(self) -> list[str]:
        """What is wrong, without the directory in front; empty when nothing is."""
        try:
            load(self.config, environment=SECRETS)
        except ConfigError as error:
            return [str(p).replace(f"{self.directory}/", "") for p in error.problems]
        return []


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture
def bent(files: Files) -> Callable[..., list[str]]:
    """Bend once, and say what is wrong."""

    def bend(old: str, new: str, *, policy: bool = False) -> list[str]:
        files.bend(old, new, policy=policy)
        return files.problems()

    return bend
