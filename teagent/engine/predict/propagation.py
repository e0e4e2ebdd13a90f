"""Which of our links each AS of the Internet would choose, for many announcement vectors at once.

The rule is that of Gao and Rexford: routes from customers are told to everybody, routes from peers and providers to
customers alone; an AS prefers customer over peer over provider, then the shorter path. Equally good paths are all kept:
what breaks the tie is nobody's knowledge but the AS's own.

How. The class of an AS's route depends on where we announce, not on our prepends. With the classes fixed, lengths are
linear in the algebra of minimum and plus: with d(i, x) hops from link i to AS x over ASes of those classes, x's path is
min over i of prepend(i) + d(i, x) long, and the links that reach the minimum are its equally good ones. So the hops are
computed once for each set of links that announce, and a vector of prepends costs one minimum.

The hops: up from our providers to theirs (round by round, through ASes that have customers), one step over to peers,
then down; ASes without customers, five of six, pass nothing on and are settled in one step at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from teagent.engine.predict.as_graph import Adjacency, AsGraph, Nodes, RouteClass
from teagent.engine.predict.sessions import Session
from teagent.model.bgp import Asn

Hops = npt.NDArray[np.int16]
Classes = npt.NDArray[np.int8]
Flags = npt.NDArray[np.bool_]
Masks = npt.NDArray[np.unsignedinteger]
Column = tuple[str, Asn | None]
Seed = tuple[Session, int, int]
"""A session, its neighbour's node, and the length of what that hears."""

MASK_TYPES = (np.uint8, np.uint16, np.uint32, np.uint64)

LINKS_MAX = 64
BLOCK = 64
"""So many columns go down together: more are not faster, and take memory."""

FAR = np.int16(16384)
"""No path. An UPDATE has at most 4096 octets (RFC 4271, section 4), so no path is that long."""

PREPEND_MAX = 1000
"""Nor is any prepended as often as that; below it no sum leaves 16 bits."""

_CUSTOMER, _PEER, _PROVIDER = RouteClass.CUSTOMER, RouteClass.PEER, RouteClass.PROVIDER


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Routes:
    """Rows are the V vectors, columns the n nodes of the graph.

    `route_class` (V, n) holds RouteClass values: NONE where nothing arrives, OWN for ourselves. `length` (V, n) is that
    of the AS path as received: our copies count, the AS's own number does not; -1 where there is no route. Bit k of
    `ingress` (V, n) is set where `links[k]` is among the equally good ones; 0 for NONE and OWN.
    """

    graph: AsGraph
    links: tuple[str, ...]
    route_class: Classes
    length: Hops
    ingress: Masks

    def links_of(self, mask: int) -> tuple[str, ...]:
        return tuple(name for bit, name in enumerate(self.links) if int(mask) >> bit & 1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reach:
    """What one set of announcing links gives, before prepends.

    `hops[c]` (n) leads from column c into the graph: the length that AS x's path would have over column c if its class
    stayed what it is; FAR where there is no such path. A column is a link, or the part of it that ends at a neighbour
    that ignores prepends. `columns[c]` is (link, that neighbour or None).
    """

    route_class: Classes
    columns: tuple[Column, ...]
    hops: Hops


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Pull:
    """From whom each of `to` may have a route: `nth[0]` holds the first neighbour of each, `nth[1]` the second, of
    those that have two, and so on. Who has most comes first, so that each array belongs to a beginning of `to`.

    Few long steps, where a reduction for each node would be many short ones, takes half the time.
    """

    to: Nodes
    nth: tuple[Nodes, ...]

    @classmethod
    def of(cls, adjacency: Adjacency, nodes: Nodes) -> _Pull:
        count = adjacency.counts()[nodes]
        order = np.argsort(-count, kind="stable")
        to, count = nodes[order], count[order]
        start = adjacency.start[to]
        longer = np.searchsorted(-count, -np.arange(int(count.max(initial=0))), side="left")
        target = adjacency.target.astype(np.int64)  # what numpy indexes with, without a conversion each time
        return cls(to=to, nth=tuple(target[start[:m] + k] for k, m in enumerate(longer.tolist())))

    def nearest(self, hops: Hops) -> Hops:
        """Of `hops` (n, K): one hop more than the nearest for each of `to`, in each column; FAR where all are FAR."""
        if not self.nth:
            return np.zeros((0, hops.shape[1]), dtype=np.int16)
        result: Hops = hops.take(self.nth[0], axis=0)
        for origin in self.nth[1:]:
            beginning = result[: len(origin)]
            np.minimum(beginning, hops.take(origin, axis=0), out=beginning)
        result += np.int16(1)
        np.minimum(result, FAR, out=result)
        return result

    def only(self, wanted: Flags) -> _Pull:
        """The part of it that leads to the wanted rows of `to`."""
        nth = (origin[wanted[: len(origin)]] for origin in self.nth)
        return _Pull(to=self.to[wanted], nth=tuple(origin for origin in nth if len(origin)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Ground:
    """What one set of announcing links fixes for every column.

    `held[kind]` are the nodes that take no route of that class but what they hear from us. `route_class` says PROVIDER
    too where nothing arrives; `by_peer` is where it says PEER. `down` and `edge` lead to the nodes of class PROVIDER,
    with customers and without.
    """

    live: tuple[tuple[Session, int], ...]
    held: Mapping[RouteClass, Nodes]
    route_class: Classes
    by_peer: Flags
    down: _Pull
    edge: _Pull


class Propagator:
    """Prepared for one graph, one origin and its sessions; asked for any number of announcement vectors.

    `failed` ASes, of which the origin may be one, pass nothing on and receive nothing. Raises NotFound for an AS that
    the graph does not know, ValueError for a session that the graph does not hold as a relation (see `graft`).
    """

    def __init__(self, graph: AsGraph, origin: Asn, sessions: Sequence[Session], *, failed: Iterable[Asn] = ()) -> None:
        self.graph = graph
        self.origin = origin
        self.sessions = tuple(sessions)
        self.links = tuple(dict.fromkeys(session.link for session in sessions))
        self._origin = graph.node(origin)
        self._failed = frozenset(graph.node(asn) for asn in failed)
        self._sessions = tuple((session, graph.node(session.neighbor)) for session in sessions)
        self._check()
        stub = graph.is_stub()
        bought = graph.providers.counts() > 0
        self._down = _Pull.of(graph.providers, np.flatnonzero(~stub & bought))
        self._edge = _Pull.of(graph.providers, np.flatnonzero(stub & bought))

    def _check(self) -> None:
        related = {
            _CUSTOMER: set(self.graph.providers[self._origin].tolist()),
            _PEER: set(self.graph.peers[self._origin].tolist()),
            _PROVIDER: set(self.graph.customers[self._origin].tolist()),
        }
        for session, node in self._sessions:
            if node not in related.get(session.heard_as, ()):
                raise ValueError(f"the graph does not know AS{session.neighbor} as a neighbor of that kind: graft it")

    # --- asking ----------------------------------------------------------------------------------------------------

    def propagate(self, vectors: Sequence[Mapping[str, int]]) -> Routes:
        """`vectors` map each link that announces to its prepends; a link that is absent is withheld.

        Raises ValueError for more than 64 links (see `shortest`), a link that is not ours, a prepend that is not in 0
        to 1000.
        """
        if len(self.links) > LINKS_MAX:
            raise ValueError(f"{len(self.links)} links do not fit into a mask of {LINKS_MAX} bits")
        kind = next(t for t in MASK_TYPES if len(self.links) <= 8 * np.dtype(t).itemsize)
        shape = (len(vectors), len(self.graph))
        routes = Routes(
            graph=self.graph,
            links=self.links,
            route_class=np.empty(shape, dtype=np.int8),
            length=np.empty(shape, dtype=np.int16),
            ingress=np.zeros(shape, dtype=kind),
        )
        same: dict[frozenset[str], list[int]] = {}
        for row, vector in enumerate(vectors):
            self._check_vector(vector)
            same.setdefault(frozenset(vector), []).append(row)
        for announcing, rows in same.items():
            reach = self.reach(announcing)
            for row in rows:
                routes.route_class[row] = reach.route_class
                self._settle(reach, vectors[row], routes.length[row], routes.ingress[row])
        return routes

    def reach(self, announcing: Iterable[str]) -> Reach:
        """Everything about a set of announcing links that does not depend on prepends."""
        ground = self._ground(announcing)
        columns = tuple(dict.fromkeys(_column(session) for session, _ in ground.live))
        hops = self._hops(ground, [[(s, n, 1) for s, n in ground.live if _column(s) == column] for column in columns])
        route_class = ground.route_class.copy()
        # What was left to the providers of an AS may not have come from there either.
        route_class[hops.min(axis=0, initial=FAR) >= FAR] = RouteClass.NONE
        route_class[self._origin] = RouteClass.OWN
        return Reach(route_class=route_class, columns=columns, hops=hops)

    def shortest(self, vector: Mapping[str, int]) -> tuple[Classes, Hops, Iterator[tuple[Session, Nodes]]]:
        """One vector on any number of links: class and length as in `Routes`, and, session by session, the nodes that
        have it among their equally good ones. The sessions are worked out as they are asked for. Raises as `propagate`.
        """
        self._check_vector(vector)
        ground = self._ground(vector)
        columns = tuple(dict.fromkeys(_column(session) for session, _ in ground.live))
        prepends = dict(zip(columns, self._prepends(columns, vector), strict=True))
        seeds = [(session, node, 1 + prepends[_column(session)]) for session, node in ground.live]
        length = self._hops(ground, [seeds])[0]
        nothing = length >= FAR
        route_class = ground.route_class.copy()
        route_class[nothing] = RouteClass.NONE
        route_class[self._origin] = RouteClass.OWN

        def best() -> Iterator[tuple[Session, Nodes]]:
            for first in range(0, len(seeds), BLOCK):
                block = seeds[first : first + BLOCK]
                for (session, _, _), hops in zip(block, self._hops(ground, [[seed] for seed in block]), strict=True):
                    yield session, np.flatnonzero((hops == length) & ~nothing)

        shown = np.where(nothing, np.int16(-1), length)
        shown[self._origin] = 0
        return route_class, shown, best()

    # --- one set of announcing links -------------------------------------------------------------------------------

    def _ground(self, announcing: Iterable[str]) -> _Ground:
        announced = frozenset(() if self._origin in self._failed else announcing)
        live = tuple((s, node) for s, node in self._sessions if s.link in announced and node not in self._failed)
        held = {kind: {self._origin, *self._failed} for kind in (_CUSTOMER, _PEER, _PROVIDER)}
        for node, kinds in _insisting(live):
            for kind in kinds:
                held[kind].add(node)
        nodes = {kind: np.array(sorted(members), dtype=np.int64) for kind, members in held.items()}
        seeds = [(session, node, 1) for session, node in live]
        up = self._climb(nodes[_CUSTOMER], seeds)
        over = self._cross(nodes[_PEER], up, seeds)
        route_class = np.full(len(self.graph), _PROVIDER, dtype=np.int8)
        route_class[over < FAR] = _PEER
        route_class[up < FAR] = _CUSTOMER
        free = route_class == _PROVIDER
        free[nodes[_PROVIDER]] = False
        return _Ground(
            live=live,
            held=nodes,
            route_class=route_class,
            by_peer=route_class == _PEER,
            down=self._down.only(free[self._down.to]),
            edge=self._edge.only(free[self._edge.to]),
        )

    def _hops(self, ground: _Ground, columns: Sequence[Sequence[Seed]]) -> Hops:
        """How far each node is from each column's sessions, which start with a length each, in the node's own class.

        A row for each column; all columns go down together, which is one walk through memory for all of them.
        """
        rows = np.empty((len(columns), len(self.graph)), dtype=np.int16)
        for row, seeds in zip(rows, columns, strict=True):
            row[:] = self._climb(ground.held[_CUSTOMER], seeds)
            np.copyto(row, self._cross(ground.held[_PEER], row, seeds), where=ground.by_peer)
        direct = [
            (node, number, length)
            for number, seeds in enumerate(columns)
            for session, node, length in seeds
            if session.heard_as is _PROVIDER and ground.route_class[node] == _PROVIDER
        ]
        hops = np.ascontiguousarray(rows.T)
        _hear(hops, direct)
        _relax(ground.down, hops)
        # Nodes without customers had nothing but what they hear from us directly.
        hops[ground.edge.to] = ground.edge.nearest(hops)
        _hear(hops, direct)
        return np.ascontiguousarray(hops.T)

    def _climb(self, held: Nodes, seeds: Sequence[Seed]) -> Hops:
        """Customer routes, from each AS to its providers."""
        hops = np.full(len(self.graph), FAR, dtype=np.int16)
        for session, node, length in seeds:
            if session.heard_as is _CUSTOMER:
                hops[node] = min(int(hops[node]), length)
        # Rounds over everybody would be wasted: a route climbs through few hundreds of ASes.
        front = np.unique([node for session, node, _ in seeds if session.heard_as is _CUSTOMER]).astype(np.int64)
        while len(front):
            place, above = self.graph.providers.of_all(front)
            offer = hops[front][place] + np.int16(1)
            better = (offer < hops[above]) & ~np.isin(above, held)
            above, offer = above[better], offer[better]
            np.minimum.at(hops, above, offer)
            front = np.unique(above).astype(np.int64)
        return hops

    def _cross(self, held: Nodes, up: Hops, seeds: Sequence[Seed]) -> Hops:
        """Peer routes: one step from each AS that has a customer route."""
        hops = np.full(len(self.graph), FAR, dtype=np.int16)
        tellers = np.flatnonzero(up < FAR)
        # The shortest comes last, and of several assignments to one place the last stays.
        tellers = tellers[np.argsort(-up[tellers], kind="stable")]
        place, peer = self.graph.peers.of_all(tellers)
        hops[peer] = up[tellers][place] + np.int16(1)
        hops[held] = FAR
        for session, node, length in seeds:
            if session.heard_as is _PEER:
                hops[node] = min(int(hops[node]), length)
        return hops

    # --- one vector ------------------------------------------------------------------------------------------------

    def _settle(self, reach: Reach, vector: Mapping[str, int], length: Hops, ingress: Masks) -> None:
        prepends = self._prepends(reach.columns, vector)
        totals = [hops + np.int16(prepend) for hops, prepend in zip(reach.hops, prepends, strict=True)]
        length[:] = FAR
        for total in totals:
            np.minimum(length, total, out=length)
        for (link, _), total in zip(reach.columns, totals, strict=True):
            ingress |= (total == length).astype(ingress.dtype) << ingress.dtype.type(self.links.index(link))
        nothing = reach.route_class == RouteClass.NONE
        length[nothing], length[self._origin] = -1, 0
        ingress[nothing], ingress[self._origin] = 0, 0

    def _prepends(self, columns: Sequence[Column], vector: Mapping[str, int]) -> list[int]:
        """What a neighbour that ignores prepends passes on is the shortest that it hears in its best class."""
        result = []
        for link, ignoring in columns:
            mine = [s for s, _ in self._sessions if s.neighbor == ignoring and s.link in vector]
            best = min((s.heard_as for s in mine), default=None)
            result.append(min((vector[s.link] for s in mine if s.heard_as is best), default=vector[link]))
        return result

    def _check_vector(self, vector: Mapping[str, int]) -> None:
        for link, prepend in vector.items():
            if link not in self.links:
                raise ValueError(f"{link} is not among the links {', '.join(self.links)}")
            if not 0 <= prepend <= PREPEND_MAX:
                raise ValueError(f"{link}: prepend {prepend} is not in 0 to {PREPEND_MAX}")


def _column(session: Session) -> Column:
    return session.link, session.neighbor if session.ignores_prepends else None


def _insisting(live: Sequence[tuple[Session, int]]) -> Iterator[tuple[int, tuple[RouteClass, ...]]]:
    """Neighbours that stay with what we tell them, and among routes of which classes they do."""
    for node in {node for _, node in live}:
        sessions = [session for session, other in live if other == node]
        best = min(session.heard_as for session in sessions)
        if any(session.prefers_us for session in sessions):
            yield node, tuple(kind for kind in (_CUSTOMER, _PEER, _PROVIDER) if kind <= best)
        elif any(session.ignores_prepends for session in sessions):
            yield node, (best,)


def _hear(hops: Hops, direct: Sequence[tuple[int, int, int]]) -> None:
    """In place, what nodes hear from us directly: (node, column, length)."""
    for node, column, length in direct:
        hops[node, column] = min(int(hops[node, column]), length)


def _relax(pull: _Pull, hops: Hops) -> None:
    """Shortens `hops` (n, K) at `pull.to`, in place, until nobody has a shorter way in any column."""
    while True:
        has = hops.take(pull.to, axis=0)
        offer = np.minimum(pull.nearest(hops), has)
        if np.array_equal(offer, has):
            return
        hops[pull.to] = offer
