"""Who sends, and what the AS graph says of each before anything was seen: the links it may choose among, how far they
are from it, and from whom it buys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from teagent.engine.predict.as_graph import AsGraph
from teagent.engine.predict.habits import SLOTS_MAX
from teagent.engine.predict.nearness import Shift, shifted
from teagent.engine.predict.propagation import FAR, Propagator

Ints = npt.NDArray[np.integer]

NEAREST = 2**20
"""Hops by which the link that a sender was seen on is nearer than any other."""
UPSTREAMS_MAX = 8
"""Of an AS with more providers the rest is left out: each would say little."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Distances:
    """What a graph says of many ASes: `asn` (n, ascending), `hops` (n, K) to each of `links`, FAR and more where there
    is no path; row i's upstreams are `upstream[start[i] : start[i + 1]]`, AS numbers. `further` (K, or nothing): by how
    many hops each link turned out to be further than the graph says, for everybody (`nearness`).
    """

    links: tuple[str, ...]
    asn: Ints
    hops: Ints
    start: Ints
    upstream: Ints
    further: Shift = ()

    @classmethod
    def unknown(cls, links: Sequence[str]) -> Distances:
        """Without a graph."""
        none = np.zeros(0, dtype=np.int64)
        return cls(
            links=tuple(links),
            asn=none,
            hops=np.zeros((0, len(links)), dtype=np.int64),
            start=np.zeros(1, dtype=np.int64),
            upstream=none,
        )

    @classmethod
    def in_graph(cls, propagator: Propagator, links: Sequence[str]) -> Distances:
        """With all sessions announcing. A link that has no session there is one without a path."""
        graph: AsGraph = propagator.graph
        reach = propagator.reach(propagator.links)
        hops = np.full((len(graph), len(links)), int(FAR), dtype=np.int64)
        for (link, _), column in zip(reach.columns, reach.hops, strict=True):
            if link in links:
                k = list(links).index(link)
                hops[:, k] = np.minimum(hops[:, k], column)
        return cls(
            links=tuple(links),
            asn=graph.asn,
            hops=hops,
            start=graph.providers.start.astype(np.int64),
            upstream=graph.asn[graph.providers.target],
        )

    def rows(self, asns: Ints) -> Ints:
        """-1 for an AS that the graph does not know."""
        if not len(self.asn):
            return np.full(len(asns), -1, dtype=np.int64)
        place = np.minimum(np.searchsorted(self.asn, asns), len(self.asn) - 1)
        return np.where(self.asn[place] == asns, place, -1)

    def knows(self, asn: int) -> bool:
        return bool(self.rows(np.array([asn]))[0] >= 0)

    def as_in_graph(self) -> Distances:
        """As if nothing had turned out to be otherwise."""
        if not any(self.further):
            return self
        return replace(self, hops=shifted(self.hops, -np.array(self.further)), further=())

    def turned_out(self, further: Shift) -> Distances:
        """With links `further` (K) away than the graph says."""
        graph = self.as_in_graph()
        return replace(graph, hops=shifted(graph.hops, np.array(further)), further=further) if any(further) else graph

    def hops_of(self, asns: Ints) -> Ints:
        """(N, K) as they turned out; of an AS that the graph does not know, all links are taken to be equally far."""
        rows = self.rows(asns)
        if not len(self.asn):
            return np.zeros((len(asns), len(self.links)), dtype=np.int64)
        hops: Ints = self.hops.take(rows, axis=0)
        hops[rows < 0] = self.further or 0
        return hops

    def upstreams_of(self, asns: Ints) -> tuple[Ints, Ints]:
        """Pairs (place in `asns`, AS number of an upstream)."""
        rows = self.rows(asns)
        known = np.flatnonzero(rows >= 0)
        first = self.start[rows[known]]
        count = np.minimum(self.start[rows[known] + 1] - first, UPSTREAMS_MAX)
        place = np.repeat(known, count)
        offset = np.arange(len(place)) - np.repeat(np.cumsum(count) - count, count)
        return place, self.upstream[np.repeat(first, count) + offset]


def slots(hops: Ints, seen: Ints) -> Ints:
    """(N, S) ascending: the links among which each sender is taken to choose.

    All K where there are at most SLOTS_MAX; of more, the one it was seen on (`seen` (N), -1 for nowhere), then the
    nearest of `hops` (N, K), lower columns first.
    """
    count, width = hops.shape
    if width <= SLOTS_MAX:
        return np.broadcast_to(np.arange(width), (count, width)).copy()
    # Links come first in what is worked with: what is reckoned along a short last axis takes many times as long.
    rank = hops.T.astype(np.int64, "C")
    rank *= width
    rank += np.arange(width)[:, None]
    known = np.flatnonzero(seen >= 0)
    rank[seen[known], known] -= NEAREST * width
    found: list[Ints] = []
    for _ in range(SLOTS_MAX):
        place = rank.min(axis=0) % width
        rank[place, np.arange(count)] = np.iinfo(np.int64).max
        for number, other in enumerate(found):
            found[number], place = np.minimum(other, place), np.maximum(other, place)
        found.append(place)
    return np.stack(found, axis=1)
