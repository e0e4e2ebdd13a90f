"""The Internet with us in it: a file's graph, and our own links as they are configured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from teagent.engine.predict.as_graph import AsGraph, Asns, RouteClass
from teagent.engine.predict.propagation import FAR, Propagator
from teagent.engine.predict.sessions import graft_network
from teagent.engine.predict.shares import Ints
from teagent.model.network import Network


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Topology:
    """`propagator` holds the graph with our configured links grafted on. `strangers` are links whose neighbour the
    file does not know: nobody is seen behind them.
    """

    propagator: Propagator
    strangers: tuple[str, ...]

    @classmethod
    def of(cls, graph: AsGraph, network: Network) -> Topology:
        grafted, sessions = graft_network(graph, network)
        return cls(
            propagator=Propagator(grafted, network.asn, sessions),
            strangers=tuple(link.name for link in network.links.values() if link.peer_asn not in graph),
        )

    @property
    def graph(self) -> AsGraph:
        return self.propagator.graph

    def only_way(self, announcing: Iterable[str], asns: Asns, links: Sequence[str]) -> Ints:
        """(N): the place in `links` of the only one over which each AS may come in, however we prepend; -1 where there
        are several, or none, or where the graph does not know the AS.

        It may have several and one that it always prefers: a customer's route before a peer's before a provider's.
        """
        reach = self.propagator.reach(announcing)
        ways = np.zeros((len(links), len(self.graph)), dtype=bool)
        for (link, _), hops in zip(reach.columns, reach.hops, strict=True):
            ways[links.index(link)] |= hops < FAR
        count = ways.sum(axis=0)
        only = np.where((count == 1) & (reach.route_class != RouteClass.OWN), ways.argmax(axis=0), -1)
        nodes = self.graph.nodes(asns)
        result: Ints = np.where(nodes >= 0, only[np.maximum(nodes, 0)], -1)
        return result
