"""Networks under load that nobody has, from a seeded generator: what `decide.py` decides on.

Who sends how much, which prefix draws how much, and how much a sender has for a prefix are heavy-tailed (Zipf, Zipf and
log-normal). A sender comes in over one link of its own choice for the most part; the more it sends, the more prefixes
it sends to. Two transits and an exchange port are too full; the others are not.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address

import numpy as np

from teagent.model.announcement import AnnouncementSet
from teagent.model.bgp import Asn, Prefix
from teagent.model.link import Link, LinkKind, Utilisation
from teagent.model.network import Network, OwnPrefix
from teagent.model.snapshot import Snapshot
from teagent.model.traffic import Source, TrafficMatrix

NOW = datetime(2026, 1, 12, 19, 40, tzinfo=UTC)
WINDOW_SECONDS = 300.0
POLL_SECONDS = 30
HISTORY_POLLS = 80
COVERAGE = 0.97
UNATTRIBUTED = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """`rows`: how many demands (link, prefix, source) the matrix holds; a config lets it have a million a family.

    `vectors`: how many ways of announcing a prefix there are, the most common of which prepends nowhere.
    """

    prefixes: int = 1000
    links: int = 10
    sources: int = 75_000
    rows: int = 1_000_000
    vectors: int = 16


def network(rng: np.random.Generator, size: Size) -> Network:
    """Seven of ten links are transits, the others exchange ports; most prefixes are announced on all of them."""
    links = {}
    for number in range(1, size.links + 1):
        transit = number % 10 not in {3, 6, 9}
        links[f"link-{number:02d}"] = Link(
            name=f"link-{number:02d}",
            id=number,
            kind=LinkKind.TRANSIT if transit else LinkKind.IX,
            router=f"edge-{number % 3}",
            interface=f"eth{number}",
            neighbor=ip_address(f"192.0.2.{number}"),
            peer_asn=Asn(64500 + number),
            capacity_bps=float(rng.choice([10e9, 10e9, 20e9])),
            commit_bps=2e9 if transit else None,
            price_per_mbps=round(float(rng.uniform(0.1, 0.6)), 2) if transit else None,
        )
    ways = [dict.fromkeys(links, 0), *(_way(rng, list(links)) for _ in range(size.vectors - 1))]
    chosen = np.minimum(rng.geometric(0.5, size=size.prefixes), len(ways)) - 1
    own = tuple(_own(rng, number, ways[way]) for number, way in enumerate(chosen.tolist()))
    return Network(asn=Asn(65000), links=links, prefixes=own)


def _way(rng: np.random.Generator, links: list[str]) -> dict[str, int]:
    """Not on all links, or with prepends on some."""
    if rng.random() < 0.5:
        links = sorted(str(n) for n in rng.choice(links, size=rng.integers(2, len(links) + 1), replace=False))
    return {name: int(rng.choice([0, 0, 0, 1, 2])) for name in links}


def _own(rng: np.random.Generator, number: int, home: dict[str, int]) -> OwnPrefix:
    prefix: Prefix = IPv4Network(((10 << 24) + (number << 8), 24))
    if number % 8 == 7:
        prefix = IPv6Network(((0x20010DB8 << 96) + (number << 80), 48))
    return OwnPrefix(
        prefix=prefix,
        home=home,
        tags=frozenset({"eyeball"}) if rng.random() < 0.7 else frozenset({"hosting"}),
        engineer=bool(rng.random() < 0.9),
    )


def loads_bps(rng: np.random.Generator, links: Network) -> dict[str, float]:
    """The first transit is above 80 %, one of four times full; the first exchange port above 90 %. Others have room."""
    shares = {name: float(rng.uniform(0.2, 0.55)) for name in links.links}
    transits = [name for name, link in links.links.items() if link.kind is LinkKind.TRANSIT]
    ports = [name for name, link in links.links.items() if link.kind is LinkKind.IX]
    shares |= {name: float(rng.uniform(0.81, 0.86)) for name in transits[:1]}
    if rng.random() < 0.25:
        shares[transits[0]] = float(rng.uniform(0.96, 1.0))
    shares |= {name: float(rng.uniform(0.905, 0.94)) for name in ports[:1]}
    return {name: shares[name] * link.capacity_bps for name, link in links.links.items()}


def matrix(rng: np.random.Generator, size: Size, links: Network, loads: dict[str, float]) -> TrafficMatrix:
    """In the order of link, prefix, source, as the builder of matrices leaves it."""
    names, prefixes = tuple(links.links), tuple(own.prefix for own in links.prefixes)
    link, prefix, source, bps = _demands(rng, size, links)
    flows = np.bincount(link, weights=bps, minlength=len(names))
    wanted = np.array([loads[name] for name in names]) * (1 - UNATTRIBUTED)
    bps *= np.divide(wanted, flows, out=np.zeros_like(flows), where=flows > 0)[link]
    senders = [Source(asn=asn) for asn in range(1, size.sources)]
    return TrafficMatrix(
        at=NOW - timedelta(seconds=20),
        seconds=WINDOW_SECONDS,
        links=names,
        prefixes=prefixes,
        sources=(Source(), *senders),
        link_index=link.astype(np.int32),
        prefix_index=prefix.astype(np.int32),
        source_index=source.astype(np.int32),
        bps=bps,
        coverage=dict.fromkeys(names, COVERAGE),
        unattributed_bps={name: loads[name] * UNATTRIBUTED for name in names},
    )


def _demands(rng: np.random.Generator, size: Size, links: Network) -> tuple[np.ndarray, ...]:
    weight_of_source = _zipf(rng, size.sources, 1.1)
    weight_of_prefix = _zipf(rng, size.prefixes, 1.0)
    carried = np.array([[name in own.home for name in links.links] for own in links.prefixes])
    attractive = _zipf(rng, size.links, 0.5)
    favourite = rng.choice(size.links, size=size.sources, p=attractive)
    breadth = np.sqrt(weight_of_source)
    cells = size.links * size.prefixes * size.sources
    found = np.zeros(0, dtype=np.int64)
    # Pairs drawn twice count once: draw until there are enough, or nearly all that there can be.
    for _ in range(40):
        missing = min(size.rows, cells // 4) - len(found)
        if missing <= 0:
            break
        count = 2 * missing + 100
        source = rng.choice(size.sources, size=count, p=breadth / breadth.sum())
        prefix = rng.choice(size.prefixes, size=count, p=weight_of_prefix)
        link = np.where(rng.random(count) < 0.85, favourite[source], rng.choice(size.links, size=count, p=attractive))
        key = ((link * size.prefixes + prefix) * size.sources + source)[carried[prefix, link]]
        found = np.unique(np.concatenate((found, key)))
    if len(found) > size.rows:
        found = np.sort(rng.choice(found, size=size.rows, replace=False))
    link, rest = np.divmod(found, size.prefixes * size.sources)
    prefix, source = np.divmod(rest, size.sources)
    bps = weight_of_source[source] * weight_of_prefix[prefix] * rng.lognormal(0.0, 1.0, size=len(found))
    return link, prefix, source, bps


def _zipf(rng: np.random.Generator, count: int, exponent: float) -> np.ndarray:
    weights = rng.permutation(1.0 / np.arange(1, count + 1) ** exponent)
    return weights / weights.sum()


def snapshot(links: Network, loads: dict[str, float], traffic: TrafficMatrix) -> Snapshot:
    """Loads held for 40 minutes, in polls of 30 s; no digest yet."""
    history = {
        name: tuple(
            Utilisation(
                link=name,
                at=NOW - timedelta(seconds=POLL_SECONDS * back),
                in_bps=bps,
                out_bps=bps / 10,
                seconds=POLL_SECONDS,
            )
            for back in range(HISTORY_POLLS - 1, -1, -1)
        )
        for name, bps in loads.items()
    }
    return Snapshot(
        taken_at=NOW,
        network=links,
        live=AnnouncementSet(links.home()),
        latest={name: readings[-1] for name, readings in history.items()},
        history=history,
        matrix=traffic,
        busy={},
        frozen=False,
        distrust=(),
        digest="",
    )
