"""Routers, links and what is read from them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from teagent.model.bgp import Address, Asn


class LinkKind(StrEnum):
    TRANSIT = "transit"
    PEERING = "peering"
    IX = "ix"
    CUSTOMER = "customer"


class Percentile(StrEnum):
    """Which 5-minute series the 95th percentile is billed on."""

    IN = "in"
    OUT = "out"
    MAX_OF_IN_OUT = "max_of_in_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One place where traffic enters the network.

    `id` is the LINK_ID of the signal communities. `home_prepend` is what the routers prepend by themselves, unless
    a prefix says otherwise. `interface` is matched against ifName, ifDescr, ifAlias or `ifIndex:N`.
    """

    name: str
    id: int
    kind: LinkKind
    router: str
    interface: str
    neighbor: Address
    peer_asn: Asn
    capacity_bps: float
    commit_bps: float | None = None
    price_per_mbps: float | None = None
    percentile: Percentile = Percentile.MAX_OF_IN_OUT
    home_prepend: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleMember:
    """One port of an aggregate (IEEE 802.1AX). `state` is its ifOperStatus, `detached` where it is up and LACP does not
    use it, and `gone` where the agent does not list it any more.
    """

    if_index: int
    if_name: str
    if_high_speed_bps: float | None
    state: str

    @property
    def up(self) -> bool:
        return self.state == "up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """A row of IF-MIB (RFC 2863). `if_high_speed_bps` is None where the agent has none or says 0. `members` are the
    ports that carry it, empty where it is no bundle or the agent does not tell.
    """

    if_index: int
    if_name: str
    if_descr: str
    if_alias: str
    if_high_speed_bps: float | None
    if_oper_status: str  # up, down, testing, unknown, dormant, notPresent, lowerLayerDown
    members: tuple[BundleMember, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterSample:
    """Octet counters of one interface at one moment, as read.

    `at` is our time of the answer; `sys_uptime_seconds` the agent's, None where it has none. `bits` is 64 or 32, the
    width of the counters read. `discontinuity` is ifCounterDiscontinuityTime in hundredths of a second of sysUpTime,
    None where absent.
    """

    at: datetime
    sys_uptime_seconds: float | None
    if_index: int
    in_octets: int
    out_octets: int
    bits: int
    discontinuity: int | None
    if_oper_status: str = "up"
    if_high_speed_bps: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Utilisation:
    """Load on a link averaged over the `seconds` that end at `at`; L2 octets as the interface counts them."""

    link: str
    at: datetime
    in_bps: float
    out_bps: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NoData:
    """A reading that is absent, and why. Never zero."""

    since: datetime
    reason: str


Reading: TypeAlias = Utilisation | NoData


@dataclass(frozen=True, slots=True, kw_only=True)
class P95:
    """95th percentile of 5-minute buckets in the billing month `month` (`2026-11`).

    `buckets` have data; `missing` should have and do not: they are neither zero nor part of the figure.
    """

    link: str
    month: str
    bps: float
    buckets: int
    missing: int = 0
