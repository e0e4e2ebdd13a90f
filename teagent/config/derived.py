"""What follows from the configuration: who is spoken to, who is listened to, what may be changed."""

from __future__ import annotations

from ipaddress import ip_address

from teagent.config.effective import Config, RouterConfig
from teagent.model.allow_list import AllowedNeighbor, AllowedPrefix, AllowList
from teagent.model.announcement import PREPEND_HARD_MAX
from teagent.model.bgp import Address
from teagent.model.network import OwnPrefix


def exporters(config: Config) -> dict[str, str]:
    """Exporter address -> router; only these count."""
    return {str(address): name for name, router in config.routers.items() for address in router.exporter_addresses}


def from_clickhouse(config: Config) -> dict[str, str]:
    """Those of `exporters` whose flows are read from ClickHouse."""
    clickhouse = config.flows.clickhouse
    routers = () if clickhouse is None else clickhouse.routers
    return {address: router for address, router in exporters(config).items() if router in routers}


def by_datagrams(config: Config) -> dict[str, str]:
    """Those of `exporters` that send us datagrams."""
    elsewhere = from_clickhouse(config)
    return {address: router for address, router in exporters(config).items() if address not in elsewhere}


def sampling_rates(config: Config) -> dict[str, float]:
    """Exporter address -> 1 of how many packets, where the operator knows better than the exporter says."""
    return {
        str(address): float(router.sampling_rate)
        for router in config.routers.values()
        if router.sampling_rate is not None
        for address in router.exporter_addresses
    }


def active_timeouts(config: Config) -> dict[str, float]:
    """Exporter address -> after how long it reports a flow that goes on, where the operator says so."""
    return {
        str(address): router.active_timeout_seconds
        for router in config.routers.values()
        if router.active_timeout_seconds is not None
        for address in router.exporter_addresses
    }


def engineered(config: Config) -> list[OwnPrefix]:
    return [own for own in config.network.prefixes if own.engineer]


def families(config: Config) -> tuple[str, ...]:
    """Of the prefixes that may be changed: the sessions carry these and nothing else."""
    versions = sorted({own.prefix.version for own in engineered(config)}) or [4]
    return tuple(f"ipv{version}" for version in versions)


def bmp_station(config: Config) -> tuple[Address, int] | None:
    """What routers connect to with BMP; where every address is listened on, the one that ExaBGP speaks from."""
    if config.bmp is None:
        return None
    address = ip_address(config.bmp.listen.host)
    return (config.bgp.local_address if address.is_unspecified else address), config.bmp.listen.port


def speaking_routers(config: Config) -> list[RouterConfig]:
    """The border routers that hear overrides: those with a link."""
    with_links = {link.router for link in config.network.links.values()}
    return [router for name, router in config.routers.items() if name in with_links]


def allow_list(config: Config) -> AllowList:
    """What the operator lets out: the prefixes with `engineer: true`, each on the links that carry it at home."""
    links = config.network.links
    cap = config.bgp.max_prepend
    return AllowList(
        local_asn=config.network.asn,
        links={link.id: link.name for link in links.values()},
        prefixes=tuple(
            AllowedPrefix(
                prefix=own.prefix,
                max_prepend=min(cap, PREPEND_HARD_MAX if own.max_prepend is None else own.max_prepend),
                link_ids=frozenset(links[name].id for name in own.home),
            )
            for own in engineered(config)
        ),
        next_hop_ipv4=config.bgp.next_hop_ipv4,
        next_hop_ipv6=config.bgp.next_hop_ipv6,
        neighbors=tuple(
            AllowedNeighbor(address=router.neighbor, families=frozenset(families(config)))
            for router in speaking_routers(config)
        ),
        max_prepend=cap,
        max_overrides=config.bgp.budget.max_overrides,
        changes_per_minute=config.bgp.budget.changes_per_minute,
        burst=config.bgp.budget.burst,
    )
