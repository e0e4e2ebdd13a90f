"""An Internet that nobody has: tiers, stubs, private peering and exchanges, from a seeded generator.

For tests, and for whoever wants to try things without a data set. It has the shape that matters to propagation (a
clique at the top, transit that sells to transit, five of six ASes stubs, most of them multihomed, most links peering),
not the size of anybody real.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from teagent.engine.predict.as_graph import AsGraph, Nodes

FIRST_ASN = 4_200_000_000
"""Private AS numbers (RFC 6996)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """`transit` counts the ASes between the clique of `tier1` and the stubs; shares are from 0 to 1.

    `private_peers`: how many private peerings each transit AS asks for. `exchange_members`: the share of ASes other
    than tier 1 at each exchange; `exchange_peering`: the chance that two members of one peer there.
    """

    ases: int = 1000
    tier1: int = 8
    transit: int = 150
    providers_max: int = 4
    private_peers: float = 2.0
    exchanges: int = 5
    exchange_members: float = 0.05
    exchange_peering: float = 0.5

    def __post_init__(self) -> None:
        if not 1 <= self.tier1 <= self.tier1 + self.transit <= self.ases:
            raise ValueError(f"{self.ases} ASes do not hold {self.tier1} of tier 1 and {self.transit} of transit")
        if self.providers_max < 1 or self.exchanges < 0 or self.private_peers < 0:
            raise ValueError("every AS below tier 1 buys from somebody, and nothing is counted below zero")
        if not (0 <= self.exchange_members <= 1 and 0 <= self.exchange_peering <= 1):
            raise ValueError("a share is from 0 to 1")


def internet(rng: np.random.Generator, shape: Shape | None = None) -> AsGraph:
    """The same generator state and shape give the same graph. The AS numbers begin at 4200000000, tier 1 first."""
    shape = shape or Shape()
    seller, buyer = _transit(rng, shape)
    bought = set(zip(seller.tolist(), buyer.tolist(), strict=True))
    pairs = sorted(pair for pair in _peerings(rng, shape) if pair not in bought and pair[::-1] not in bought)
    one, other = (np.array([pair[end] for pair in pairs], dtype=np.int64) for end in (0, 1))
    return AsGraph.of(
        transit=(seller + FIRST_ASN, buyer + FIRST_ASN),
        peering=(one + FIRST_ASN, other + FIRST_ASN),
        alone=np.arange(shape.ases) + FIRST_ASN,
    )


def _transit(rng: np.random.Generator, shape: Shape) -> tuple[Nodes, Nodes]:
    """Who buys from whom: always from somebody earlier, rather from who sells much already."""
    top, core = shape.tier1, shape.tier1 + shape.transit
    popularity = np.ones(core)
    sellers, buyers = [], []
    for buyer in range(top, shape.ases):
        candidates = min(buyer, core)
        # Geometric: most have one or two providers, few have many.
        count = min(int(rng.geometric(0.5)), shape.providers_max, candidates)
        weight = popularity[:candidates] / popularity[:candidates].sum()
        chosen = rng.choice(candidates, size=count, replace=False, p=weight)
        popularity[chosen] += 1.0
        sellers += chosen.tolist()
        buyers += [buyer] * count
    return np.array(sellers, dtype=np.int64), np.array(buyers, dtype=np.int64)


def _peerings(rng: np.random.Generator, shape: Shape) -> set[tuple[int, int]]:
    """Pairs, the lower node first: the clique, private peering of transit ASes, and the exchanges."""
    top, core = shape.tier1, shape.tier1 + shape.transit
    pairs = {(a, b) for a in range(top) for b in range(a + 1, top)}
    if shape.transit:
        asked = rng.integers(top, core, size=(int(shape.private_peers * shape.transit), 2))
        pairs |= {(min(a, b), max(a, b)) for a, b in asked.tolist() if a != b}
    for _ in range(shape.exchanges):
        members = top + np.flatnonzero(rng.random(shape.ases - top) < shape.exchange_members)
        above, below = np.triu_indices(len(members), k=1)
        met = rng.random(len(above)) < shape.exchange_peering
        pairs |= set(zip(members[above[met]].tolist(), members[below[met]].tolist(), strict=True))
    return pairs
