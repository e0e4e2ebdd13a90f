"""Who stands above whom: customer cones, upstreams, what two links have in common, what one failure cuts off."""

from __future__ import annotations

from collections.abc import Sequence

import networkx as nx
import numpy as np

from teagent.engine.predict.as_graph import AsGraph, RouteClass
from teagent.engine.predict.propagation import Propagator
from teagent.engine.predict.reference import providers_graph
from teagent.engine.predict.sessions import Session
from teagent.model.bgp import Asn


class Upstreams:
    """The provider relation as a graph of networkx, for questions about its shape."""

    def __init__(self, graph: AsGraph) -> None:
        self._graph = graph
        self.providers = providers_graph(graph)

    def customer_cone(self, asn: Asn) -> frozenset[Asn]:
        """The AS, its customers, theirs, and so on. Raises NotFound."""
        self._graph.node(asn)
        return frozenset({asn, *nx.ancestors(self.providers, asn)})

    def upstreams(self, asn: Asn) -> frozenset[Asn]:
        """Its providers, theirs, and so on. Raises NotFound."""
        self._graph.node(asn)
        return frozenset(nx.descendants(self.providers, asn))

    def shared_upstreams(self, one: Asn, other: Asn) -> frozenset[Asn]:
        """Where the ways up from two neighbours meet, the neighbours themselves included: who hears both links and
        chooses between them. Raises NotFound.
        """
        return frozenset((self.upstreams(one) | {one}) & (self.upstreams(other) | {other}))


def cut_by_failure(graph: AsGraph, origin: Asn, sessions: Sequence[Session], failed: Asn) -> frozenset[Asn]:
    """Who reaches us, and would not if this AS failed; the failed AS itself is left out. Raises NotFound.

    Valley-free reachability: an AS with another path that nobody would sell it is cut off too.
    """
    everywhere = {session.link for session in sessions}
    before = Propagator(graph, origin, sessions).reach(everywhere).route_class
    after = Propagator(graph, origin, sessions, failed=[failed]).reach(everywhere).route_class
    cut = (before != RouteClass.NONE) & (after == RouteClass.NONE)
    cut[graph.node(failed)] = False
    return frozenset(Asn(int(asn)) for asn in graph.asn[np.flatnonzero(cut)])
