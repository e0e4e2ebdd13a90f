"""A border router as the generators need to know it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from teagent.model.bgp import Address, Asn, Prefix, prefix_key

MAP_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,62}", re.ASCII)
LINK_ID_MAX = 99_999
MAX_PREFIXES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class BorderLink:
    """A link of this router. `export_map` is the operator's own export policy on it, None where none is configured."""

    name: str
    link_id: int
    neighbor: Address
    export_map: str | None = None

    def __post_init__(self) -> None:
        if not 0 < self.link_id <= LINK_ID_MAX:
            raise ValueError(f"link {self.name}: id {self.link_id} is not in 1 to {LINK_ID_MAX}")
        if self.export_map is not None and not MAP_NAME.fullmatch(self.export_map):
            raise ValueError(f"link {self.name}: '{self.export_map}' is not a name for an export policy")

    @property
    def map_name(self) -> str:
        return self.export_map or f"TEAGENT-OUT-{self.link_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BorderRouter:
    """`speaker` is ExaBGP's address. `prefixes` are those that overrides may name; only their families are configured.

    `next_hop_*` is what overrides carry as next hop: an address of no host, with a blackhole host route, so that an
    override never decides forwarding. `bmp` is where the router reports what it holds to: address and port. `witness`
    is where it tells its best routes on a second session. `signed`: our sessions have a TCP MD5 key (RFC 2385), which
    is not known here.

    Raises ValueError where a family has prefixes and no next hop.
    """

    name: str
    asn: Asn
    speaker: Address
    links: tuple[BorderLink, ...]
    prefixes: tuple[Prefix, ...]
    next_hop_ipv4: IPv4Address | None = None
    next_hop_ipv6: IPv6Address | None = None
    max_prefixes: int = MAX_PREFIXES
    bmp: tuple[Address, int] | None = None
    witness: Address | None = None
    signed: bool = False

    def __post_init__(self) -> None:
        if not self.links:
            raise ValueError(f"router {self.name} has no link")
        if not self.prefixes:
            raise ValueError("there is no prefix that an override may name")
        if len({link.link_id for link in self.links}) != len(self.links):
            raise ValueError(f"router {self.name} has two links of the same id")
        if self.ours(4) and self.next_hop_ipv4 is None:
            raise ValueError(f"router {self.name}: there are IPv4 prefixes and no IPv4 next hop")
        if self.ours(6) and self.next_hop_ipv6 is None:
            raise ValueError(f"router {self.name}: there are IPv6 prefixes and no IPv6 next hop")

    @property
    def md5_setting(self) -> str:
        """Where in teagent's configuration the key is referred to."""
        return f"routers.{self.name}.bgp.md5_password"

    def sessions(self) -> tuple[Address, ...]:
        """Our ends of those that we have with it."""
        return (self.speaker,) if self.witness is None else (self.speaker, self.witness)

    def ours(self, version: int) -> tuple[Prefix, ...]:
        return tuple(sorted((p for p in self.prefixes if p.version == version), key=prefix_key))

    def sorted_links(self) -> tuple[BorderLink, ...]:
        return tuple(sorted(self.links, key=lambda link: link.link_id))
