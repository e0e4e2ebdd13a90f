"""A lab's internet.yaml as values, with the addresses that follow from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import yaml

from labs.traffic import rate_bps

OWN_NETWORKS = IPv4Network("198.18.0.0/16")
"""Network number N of the file has the N-th /24 of it; its own address is the first one."""

SESSIONS = IPv4Network("100.64.0.0/16")
"""Session number N has the N-th /31 of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """One AS. `number` counts from 1 in the file's order; `prefers` names a provider, None where all are alike."""

    name: str
    asn: int
    number: int
    runs: str
    providers: tuple[str, ...]
    peers: tuple[str, ...]
    keeps_older: bool
    ignores_prepends: bool
    prefers: str | None
    sends: bool

    @property
    def prefix(self) -> IPv4Network:
        return IPv4Network((int(OWN_NETWORKS.network_address) + self.number * 256, 24))

    @property
    def address(self) -> IPv4Address:
        return self.prefix.network_address + 1

    @property
    def router_id(self) -> IPv4Address:
        return IPv4Address("10.255.1.0") + self.number


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnLink:
    """A link of ours to a transit, whose network has the name `transit`."""

    name: str
    link_id: int
    transit: str
    interface: str
    capacity_bps: float
    ours: IPv4Address
    theirs: IPv4Address


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPrefix:
    """`home` has the prepends by link; None where the prefix is not announced."""

    prefix: str
    address: str
    home: Mapping[str, int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Two networks that speak BGP. `b` is a provider of `a`, or its peer; each end has an interface of its own."""

    a: str
    b: str
    peers: bool
    a_interface: str
    b_interface: str
    a_address: IPv4Address
    b_address: IPv4Address


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationErrors:
    """How what the model is told of relations differs from the truth; pairs of network names."""

    missing: tuple[tuple[str, str], ...] = ()
    invented: tuple[tuple[str, str], ...] = ()
    peers_as_customers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Internet:
    """`sessions` are those between other networks; ours are `links`."""

    name: str
    node: str
    asn: int
    receiver: str
    links: tuple[OwnLink, ...]
    prefixes: tuple[OwnPrefix, ...]
    networks: Mapping[str, Network]
    sessions: tuple[Session, ...]
    errors: RelationErrors

    def senders(self) -> tuple[Network, ...]:
        return tuple(network for network in self.networks.values() if network.sends)

    def sessions_of(self, name: str) -> Iterator[Session]:
        return (session for session in self.sessions if name in {session.a, session.b})

    def link_of(self, transit: str) -> OwnLink | None:
        return next((link for link in self.links if link.transit == transit), None)

    def path(self, prepends: int | None) -> tuple[int, ...] | None:
        """What a transit hears from us; None where it hears nothing."""
        return None if prepends is None else (self.asn,) * (prepends + 1)


def load_internet(path: Path) -> Internet:
    """Raises ValueError where a name means nothing or an AS number comes twice."""
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    networks = {
        name: _network(name, number, row) for number, (name, row) in enumerate(raw["networks"].items(), start=1)
    }
    _check(networks)
    us = raw["us"]
    links = tuple(_own_link(transit, row) for transit, row in us["links"].items())
    return Internet(
        name=raw["name"],
        node=us["node"],
        asn=us["asn"],
        receiver=us["receiver"],
        links=links,
        prefixes=tuple(
            OwnPrefix(prefix=prefix, address=row["address"], home=dict(row["home"]))
            for prefix, row in us["prefixes"].items()
        ),
        networks=networks,
        sessions=_sessions(networks, {link.transit for link in links}),
        errors=RelationErrors(**{kind: tuple(map(tuple, rows)) for kind, rows in raw["as_rel_errors"].items()}),
    )


def _network(name: str, number: int, row: Mapping[str, Any]) -> Network:
    known = {"asn", "runs", "providers", "peers", "keeps", "ignores", "prefers", "sends"}
    if unknown := set(row) - known:
        raise ValueError(f"{name}: unknown key {', '.join(sorted(unknown))}")
    return Network(
        name=name,
        asn=row["asn"],
        number=number,
        runs=row.get("runs", "bird"),
        providers=tuple(row.get("providers", ())),
        peers=tuple(row.get("peers", ())),
        keeps_older=_is(name, row, "keeps", "older"),
        ignores_prepends=_is(name, row, "ignores", "prepends"),
        prefers=row.get("prefers"),
        sends=row.get("sends", False),
    )


def _is(name: str, row: Mapping[str, Any], key: str, word: str) -> bool:
    if row.get(key, word) != word:
        raise ValueError(f"{name}: {key} is {row[key]}, expected {word}")
    return key in row


def _check(networks: Mapping[str, Network]) -> None:
    if len({network.asn for network in networks.values()}) != len(networks):
        raise ValueError("an AS number comes twice")
    for network in networks.values():
        for other in (*network.providers, *network.peers):
            if other not in networks:
                raise ValueError(f"{network.name}: there is no network {other}")
        if network.prefers is not None and network.prefers not in network.providers:
            raise ValueError(f"{network.name}: prefers {network.prefers}, which is no provider of it")
        if network.runs == "frr" and (network.keeps_older or network.ignores_prepends or network.prefers):
            raise ValueError(f"{network.name}: only networks with BIRD differ from the rule")


def _own_link(transit: str, row: Mapping[str, Any]) -> OwnLink:
    return OwnLink(
        name=row["link"],
        link_id=row["link_id"],
        transit=transit,
        interface=row["interface"],
        capacity_bps=rate_bps(row["capacity"]),
        ours=IPv4Address(row["ours"]),
        theirs=IPv4Address(row["theirs"]),
    )


def _sessions(networks: Mapping[str, Network], transits: set[str]) -> tuple[Session, ...]:
    """A transit's eth1 is the one to us."""
    used = {name: 1 if name in transits else 0 for name in networks}

    def interface(name: str) -> str:
        used[name] += 1
        return f"eth{used[name]}"

    pairs = [(name, other, False) for name, network in networks.items() for other in network.providers]
    pairs += [(name, other, True) for name, network in networks.items() for other in network.peers]
    return tuple(
        Session(
            a=a,
            b=b,
            peers=peers,
            a_interface=interface(a),
            b_interface=interface(b),
            a_address=SESSIONS[2 * number],
            b_address=SESSIONS[2 * number + 1],
        )
        for number, (a, b, peers) in enumerate(pairs)
    )
