"""AS paths towards us under one announcement vector: what an AS may have chosen, hop by hop."""

from __future__ import annotations

from collections.abc import Mapping

from teagent.engine.predict.as_graph import RouteClass
from teagent.engine.predict.propagation import Propagator
from teagent.model.bgp import Asn


class Paths:
    """The routes of one vector with their next hops. `route_class` and `length` are as in `Routes`, for one vector."""

    def __init__(self, propagator: Propagator, vector: Mapping[str, int]) -> None:
        self.propagator = propagator
        self._graph = propagator.graph
        self._origin = propagator.origin
        self.route_class, self.length, _ = propagator.shortest(vector)
        live = [s for s in propagator.sessions if s.link in vector]
        self._direct: dict[Asn, tuple[RouteClass, int, bool]] = {}
        for session in sorted(live, key=lambda s: (s.heard_as, vector[s.link]), reverse=True):
            mine = [s for s in live if s.neighbor == session.neighbor]
            special = any(s.prefers_us or s.ignores_prepends for s in mine)
            # The last one written is the best: of class, then of length.
            self._direct[session.neighbor] = (session.heard_as, 1 + vector[session.link], special)

    def next_hops(self, asn: Asn) -> tuple[Asn, ...]:
        """All neighbours whose offer is as good as what this AS has, ascending; empty for us and where there is no
        route. Raises NotFound.
        """
        node = self._graph.node(asn)
        kind, length = RouteClass(int(self.route_class[node])), int(self.length[node])
        if kind in {RouteClass.OWN, RouteClass.NONE}:
            return ()
        heard_as, direct, special = self._direct.get(asn, (RouteClass.NONE, 0, False))
        if heard_as is kind and special:
            return (self._origin,)
        hops = [self._origin] if heard_as is kind and direct == length else []
        hops += [Asn(int(self._graph.asn[n])) for n in self._told_by(kind, node) if self.length[n] == length - 1]
        return tuple(sorted(hops))

    def path(self, asn: Asn) -> tuple[Asn, ...]:
        """The AS path that this AS has if everybody breaks ties by the lowest AS number; ends with our copies.

        Empty where there is no route. Raises NotFound.
        """
        path: list[Asn] = []
        while hops := self.next_hops(asn):
            if hops[0] == self._origin:
                return (*path, *(self._origin,) * int(self.length[self._graph.node(asn)]))
            asn = hops[0]
            path.append(asn)
        return tuple(path)

    def _told_by(self, kind: RouteClass, node: int) -> list[int]:
        """Neighbours of the kind whose export rule lets them tell what they have. We are among them nowhere."""
        graph, origin = self._graph, self._graph.node(self._origin)
        if kind is RouteClass.PROVIDER:
            tellers = graph.providers[node]
            heard = (self.route_class[tellers] != RouteClass.NONE) & (tellers != origin)
        else:
            tellers = graph.customers[node] if kind is RouteClass.CUSTOMER else graph.peers[node]
            heard = self.route_class[tellers] == RouteClass.CUSTOMER
        result: list[int] = tellers[heard].tolist()
        return result
