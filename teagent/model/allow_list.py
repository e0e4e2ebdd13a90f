"""What the operator lets out: the values that the relay checks every announcement against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from teagent.model.bgp import Address, Asn, Prefix


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedPrefix:
    """`link_ids` are the links that carry the prefix."""

    prefix: Prefix
    max_prepend: int
    link_ids: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedNeighbor:
    """`families` out of ipv4 and ipv6."""

    address: Address
    families: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowList:
    """`links` maps LINK_IDs to names. A next hop is None for a family that is not announced."""

    local_asn: Asn
    links: Mapping[int, str]
    prefixes: tuple[AllowedPrefix, ...]
    next_hop_ipv4: IPv4Address | None
    next_hop_ipv6: IPv6Address | None
    neighbors: tuple[AllowedNeighbor, ...]
    max_prepend: int
    withhold: bool = False
    signals: str = "large"
    max_overrides: int = 50
    changes_per_minute: float = 60
    burst: int = 50
    max_window_seconds: float = 86_400
