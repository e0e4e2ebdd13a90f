"""The graph of all ASes: who sells transit to whom, and who peers.

ASes are nodes 0 to n-1 in the order of their numbers; every relation is held twice, once from each end, as adjacency
arrays, because what is asked of the graph goes over all of it at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from teagent.errors import NotFound
from teagent.model.bgp import Asn

Asns = npt.NDArray[np.int64]
Nodes = npt.NDArray[np.int64]
Index = npt.NDArray[np.int32]


class RouteClass(IntEnum):
    """From whom an AS has a route, in the order of preference (Gao and Rexford). What earns money comes first."""

    OWN = 0
    CUSTOMER = 1
    PEER = 2
    PROVIDER = 3
    NONE = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Adjacency:
    """`target[start[i] : start[i + 1]]` are node i's neighbours, in ascending order. `start` has n + 1 entries."""

    start: Index
    target: Index

    @classmethod
    def of(cls, source: Nodes, target: Nodes, nodes: int) -> Adjacency:
        order = np.argsort(source * nodes + target)
        start = np.zeros(nodes + 1, dtype=np.int32)
        np.cumsum(np.bincount(source, minlength=nodes), out=start[1:])
        return cls(start=start, target=target[order].astype(np.int32))

    def __getitem__(self, node: int) -> Index:
        return self.target[self.start[node] : self.start[node + 1]]

    def counts(self) -> Index:
        return np.diff(self.start)

    def sources(self) -> Nodes:
        """For each entry of `target`, whose neighbour that is."""
        return np.repeat(np.arange(len(self.start) - 1), self.counts())

    def of_all(self, nodes: Nodes) -> tuple[Nodes, Index]:
        """All neighbours of these nodes: for each the place in `nodes` that it belongs to, and itself."""
        first = self.start[nodes].astype(np.int64)
        count = self.start[nodes + 1] - first
        place = np.repeat(np.arange(len(nodes)), count)
        offset = np.repeat(first - (np.cumsum(count) - count), count)
        return place, self.target[np.arange(len(place)) + offset]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AsGraph:
    """`asn` (n, ascending) names the nodes. `providers[i]`, `customers[i]`, `peers[i]` are node i's neighbours.

    `siblings` counts pairs of ASes of one owner; they are held as peers. Use `of` to make one.
    """

    asn: Asns
    providers: Adjacency
    customers: Adjacency
    peers: Adjacency
    siblings: int = 0

    @classmethod
    def of(
        cls,
        *,
        transit: tuple[Asns, Asns],
        peering: tuple[Asns, Asns],
        alone: Asns | None = None,
        siblings: int = 0,
    ) -> AsGraph:
        """`transit` is (providers, customers), `peering` the two ends; `alone` are ASes that may have no relation.

        No pair may be given twice in the same relation. Raises ValueError for an AS that is related to itself.
        """
        parts = (*transit, *peering, np.zeros(0, dtype=np.int64) if alone is None else alone)
        asn, node = np.unique(np.concatenate(parts).astype(np.int64), return_inverse=True)
        ends = np.cumsum([len(p) for p in parts])
        provider, customer, one, other, _ = np.split(node.reshape(-1), ends[:-1])
        if (provider == customer).any() or (one == other).any():
            raise ValueError("an AS is related to itself")
        n = len(asn)
        return cls(
            asn=asn,
            providers=Adjacency.of(customer, provider, n),
            customers=Adjacency.of(provider, customer, n),
            peers=Adjacency.of(np.concatenate([one, other]), np.concatenate([other, one]), n),
            siblings=siblings,
        )

    def __len__(self) -> int:
        return len(self.asn)

    def node(self, asn: Asn) -> int:
        """Raises NotFound."""
        place = int(np.searchsorted(self.asn, asn))
        if place == len(self.asn) or self.asn[place] != asn:
            raise NotFound("AS", str(asn), where="in the graph", hint="teagent graph info says what the graph holds")
        return place

    def __contains__(self, asn: object) -> bool:
        return isinstance(asn, int) and bool(np.isin(asn, self.asn))

    def nodes(self, asns: Asns) -> Nodes:
        """The nodes of many ASes at once, -1 for those that the graph does not know."""
        if not len(self.asn):
            return np.full(len(asns), -1, dtype=np.int64)
        place = np.minimum(np.searchsorted(self.asn, asns), len(self.asn) - 1)
        return np.where(self.asn[place] == asns, place, -1)

    def is_stub(self) -> npt.NDArray[np.bool_]:
        """Which nodes have no customers: they pass nobody's traffic on."""
        result: npt.NDArray[np.bool_] = self.customers.counts() == 0
        return result

    def transit_pairs(self) -> tuple[Asns, Asns]:
        """(providers, customers) as AS numbers."""
        return self.asn[self.customers.sources()], self.asn[self.customers.target]

    def peering_pairs(self) -> tuple[Asns, Asns]:
        """Each pair once, the lower AS number first."""
        one, other = self.peers.sources(), self.peers.target
        once = one < other
        return self.asn[one[once]], self.asn[other[once]]

    def with_neighbors(self, asn: Asn, neighbors: Iterable[tuple[Asn, RouteClass]]) -> AsGraph:
        """The graph in which `asn` has these neighbours and no others, whatever the graph said before.

        The class is what our route is to the neighbour: CUSTOMER where we buy transit from it. ASes that the graph
        does not know yet come in. Raises ValueError for OWN and NONE.
        """
        wanted = sorted(set(neighbors))
        if any(heard_as not in {RouteClass.CUSTOMER, RouteClass.PEER, RouteClass.PROVIDER} for _, heard_as in wanted):
            raise ValueError("a neighbor hears us as customer, peer or provider")
        above, equal, below = (
            np.array([n for n, heard_as in wanted if heard_as is kind], dtype=np.int64)
            for kind in (RouteClass.CUSTOMER, RouteClass.PEER, RouteClass.PROVIDER)
        )
        provider, customer = self.transit_pairs()
        one, other = self.peering_pairs()
        others, apart = (provider != asn) & (customer != asn), (one != asn) & (other != asn)
        return AsGraph.of(
            transit=(
                np.concatenate([provider[others], above, np.full(len(below), asn)]),
                np.concatenate([customer[others], np.full(len(above), asn), below]),
            ),
            peering=(
                np.concatenate([one[apart], equal]),
                np.concatenate([other[apart], np.full(len(equal), asn)]),
            ),
            alone=np.concatenate([self.asn, [asn]]),
            siblings=self.siblings,
        )

    def cycles(self) -> tuple[tuple[Asn, ...], ...]:
        """Groups of ASes that are, over others, each other's providers: an error of the data, or one business."""
        label = self._groups()
        return tuple(
            tuple(Asn(int(a)) for a in self.asn[label == group]) for group in np.flatnonzero(np.bincount(label) > 1)
        )

    def ranks(self) -> Index:
        """How far above the edge each node is: 0 for a stub, else one more than its highest customer.

        ASes that are each other's providers share a rank.
        """
        label = self._groups()
        groups = int(label.max(initial=-1)) + 1
        above, below = label[self.customers.sources()], label[self.customers.target]
        between = above != below
        edges = Adjacency.of(above[between].astype(np.int64), below[between].astype(np.int64), groups)
        upwards = Adjacency.of(below[between].astype(np.int64), above[between].astype(np.int64), groups)
        open_customers = edges.counts().copy()
        rank = np.zeros(groups, dtype=np.int32)
        level, front = 0, np.flatnonzero(open_customers == 0)
        while len(front):
            rank[front] = level
            _, sellers = upwards.of_all(front)
            np.subtract.at(open_customers, sellers, 1)
            sellers = np.unique(sellers)
            front, level = sellers[open_customers[sellers] == 0].astype(np.int64), level + 1
        return rank[label]

    def _groups(self) -> Index:
        n = len(self.asn)
        matrix = csr_array(
            (np.ones(len(self.customers.target), dtype=np.int8), self.customers.target, self.customers.start),
            shape=(n, n),
        )
        label: Index = connected_components(matrix, directed=True, connection="strong")[1]
        return label
