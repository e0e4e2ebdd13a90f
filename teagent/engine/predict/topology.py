"""The Internet with us in it: a file's graph, and our own links as they are configured."""

from __future__ import annotations

from dataclasses import dataclass

from teagent.engine.predict.as_graph import AsGraph
from teagent.engine.predict.propagation import Propagator
from teagent.engine.predict.sessions import graft_network
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
